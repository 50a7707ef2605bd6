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
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION           "0.3.0"
#define VERSION_OF_DIGITS "0.5.0" /* the first in which a device's name may start with a digit */

json_t *fg_cdi_spec_new(json_t *common)
{
        json_t *spec = json_pack("{s:s, s:s, s:[], s:o}", "cdiVersion", VERSION, "kind", FG_CDI_KIND, "devices", "containerEdits", common);
        return spec;
}

int fg_cdi_spec_add(json_t *spec, const char *name, json_t *edits)
{
        json_t *device = edits ? json_pack("{s:s, s:o}", "name", name, "containerEdits", edits) : NULL;
        if (!device || json_array_append_new(json_object_get(spec, "devices"), device) < 0)
                return -ENOMEM;
        if (isdigit((unsigned char)name[0]))
                return json_object_set_new(spec, "cdiVersion", json_string(VERSION_OF_DIGITS)) < 0 ? -ENOMEM : 0;
        return 0;
}

/* json_dumpfd() would write every word by itself. */
static int write_text(int fd, const json_t *spec)
{
        fg_autofree char *text = json_dumps(spec, JSON_COMPACT);
        ssize_t size = text ? (ssize_t)strlen(text) : 0;
        errno = text ? EIO : ENOMEM;
        return text && write(fd, text, (size_t)size) == size ? 0 : -1;
}

/* The temporary name does not end in .json, so that no engine takes it for a spec. */
int fg_cdi_spec_write(json_t *spec, const char *folder, struct fg_error *err)
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
        r = fchmod(fd, 0644) < 0 || write_text(fd, spec) < 0 || rename(temporary, path) < 0 ? -errno : 0;
        if (r < 0) {
                unlink(temporary);
                return fg_error_set(err, r ? r : -EIO, "cannot write %s: %m", path);
        }
        return 0;
}

int fg_cdi_spec_remove(const char *folder, struct fg_error *err)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/" FG_CDI_FILE, folder);
        return unlink(path) == 0 || errno == ENOENT ? 0 : fg_error_set(err, -errno, "cannot remove %s: %m", path);
}
