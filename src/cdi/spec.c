/* SPDX-License-Identifier: Apache-2.0
 * The spec file. Engines read every file of their folders before they start a container, and drop one of which they do not know a
 * version, a field or a name: hence the oldest version that will do, and nothing optional. */
#include "cdi/cdi.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION           "0.3.0"
#define VERSION_OF_DIGITS "0.5.0" /* the first in which a device's name may start with a digit */

#define DEVICE_NAME       "{\"name\":\""

char *fg_cdi_spec_device(const char *name, const json_t *edits)
{
        char *text;
        fg_autofree char *own = json_dumps(edits, JSON_COMPACT);
        return own && asprintf(&text, DEVICE_NAME "%s\",\"containerEdits\":%s}", name, own) >= 0 ? text : NULL;
}

static void print(FILE *file, const char *common, const char *const *device, size_t count)
{
        const char *version = VERSION;
        for (size_t i = 0; i < count; i++)
                if (isdigit((unsigned char)device[i][sizeof DEVICE_NAME - 1]))
                        version = VERSION_OF_DIGITS;
        fprintf(file, "{\"cdiVersion\":\"%s\",\"kind\":\"" FG_CDI_KIND "\",\"devices\":[", version);
        for (size_t i = 0; i < count; i++) {
                fputs(i ? "," : "", file);
                fputs(device[i], file);
        }
        fprintf(file, "],\"containerEdits\":%s}", common);
}

/* One write: engines read the whole file for every container. */
static int write_text(int fd, const char *common, const char *const *device, size_t count)
{
        char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);
        if (!file)
                return -1;
        print(file, common, device, count);
        int r = fclose(file);
        errno = r ? ENOMEM : EIO;
        ssize_t n = r ? -1 : write(fd, text, size);
        free(text);
        return n == (ssize_t)size ? 0 : -1;
}

/* The temporary name does not end in .json, so that no engine takes it for a spec. */
int fg_cdi_spec_write(const char *common, const char *const *device, size_t count, const char *folder, struct fg_error *err)
{
        char path[PATH_MAX], temporary[PATH_MAX];
        int r = fg_mkdirs(folder, 0755, err);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "%s/" FG_CDI_FILE, folder);
        snprintf(temporary, sizeof temporary, "%s/." FG_CDI_FILE ".new", folder);
        unlink(temporary);
        fg_autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return fg_error_set(err, -errno, "cannot create %s: %m", temporary);
        r = fchmod(fd, 0644) < 0 || write_text(fd, common, device, count) < 0 || rename(temporary, path) < 0 ? -errno : 0;
        if (r < 0) {
                unlink(temporary);
                return fg_error_set(err, r ? r : -EIO, "cannot write %s: %m", path);
        }
        return 0;
}

bool fg_cdi_spec_is_there(const char *folder)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/" FG_CDI_FILE, folder);
        return access(path, F_OK) == 0;
}

int fg_cdi_spec_remove(const char *folder, struct fg_error *err)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/" FG_CDI_FILE, folder);
        return unlink(path) == 0 || errno == ENOENT ? 0 : fg_error_set(err, -errno, "cannot remove %s: %m", path);
}
