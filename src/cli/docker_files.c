/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/docker.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "fastgpu"

int cli_file_read(const char *path, char **ret, struct fg_error *err)
{
        struct stat st;
        fg_autofree char *text = calloc(1, CLI_FILE_MAX + 1);
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (!text)
                return fg_error_set(err, -ENOMEM, "out of memory");
        if (fd < 0 && errno != ENOENT)
                return fg_error_set(err, -errno, "%s: %m", path);
        if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > CLI_FILE_MAX))
                return fg_error_set(err, -E2BIG, "%s is no plain file of at most 1 MiB", path);
        if (fd >= 0 && read(fd, text, CLI_FILE_MAX) < 0)
                return fg_error_set(err, -errno, "%s: %m", path);
        *ret = FG_TAKE_PTR(text);
        return 0;
}

static int replace(const char *path, const char *text, struct fg_error *err)
{
        char temporary[PATH_MAX], folder[PATH_MAX];
        struct stat st = {.st_mode = 0644};
        snprintf(folder, sizeof folder, "%s", path);
        *strrchr(folder, '/') = 0;
        snprintf(temporary, sizeof temporary, "%s.fastgpu", path);
        int r = access(folder, F_OK) == 0 ? 0 : fg_mkdirs(folder, 0755, err);
        if (r < 0)
                return r;
        if (stat(path, &st) < 0 && errno != ENOENT)
                return fg_error_set(err, -errno, "%s: %m", path);
        unlink(temporary);
        fg_autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        ssize_t size = (ssize_t)strlen(text);
        if (fd < 0 || fchmod(fd, st.st_mode & 0777) < 0 || write(fd, text, (size_t)size) != size || fsync(fd) < 0 || rename(temporary, path) < 0) {
                r = errno ? -errno : -EIO;
                unlink(temporary);
                return fg_error_set(err, r, "cannot write %s: %s", path, strerror(-r));
        }
        return 0;
}

int cli_file_write(const char *path, const char *text, struct fg_error *err)
{
        fg_autofree char *before = NULL;
        bool is_there = access(path, F_OK) == 0;
        if (!text) {
                if (is_there && unlink(path) < 0)
                        return fg_error_set(err, -errno, "cannot remove %s: %m", path);
                return is_there;
        }
        int r = cli_file_read(path, &before, err);
        if (r < 0 || (is_there && strcmp(before, text) == 0) || (!is_there && !*text))
                return r;
        r = replace(path, text, err);
        return r < 0 ? r : 1;
}

static bool is_line_of(const char *line, const char *name)
{
        size_t len = strlen(name);
        line += strspn(line, " \t");
        if (strncmp(line, name, len) != 0)
                return false;
        line += len;
        return line[strspn(line, " \t")] == '=';
}

char *cli_lines_set(const char *text, const char *name, const char *value)
{
        size_t room = strlen(text) + strlen(name) + (value ? strlen(value) : 0) + 8;
        char *ret = malloc(room), *at = ret;
        while (ret && *text) {
                size_t len = strcspn(text, "\n");
                len += text[len] == '\n';
                if (!is_line_of(text, name))
                        at = mempcpy(at, text, len);
                text += len;
        }
        if (!ret)
                return NULL;
        if (value && at > ret && at[-1] != '\n')
                *at++ = '\n';
        *at = 0;
        if (value)
                snprintf(at, room - (size_t)(at - ret), "%s = %s\n", name, value);
        return ret;
}

static int set_runtime(json_t *config, const char *runtime, struct fg_error *err)
{
        json_t *runtimes = json_object_get(config, "runtimes"), *own;
        if (runtimes && !json_is_object(runtimes))
                return fg_error_set(err, -EINVAL, "\"runtimes\" is no object");
        if (!runtime) {
                json_object_del(runtimes, NAME);
                if (runtimes && !json_object_size(runtimes))
                        json_object_del(config, "runtimes");
                return 0;
        }
        if (!runtimes) {
                runtimes = json_object();
                json_object_set_new(config, "runtimes", runtimes);
        }
        own = json_pack("{s:s}", "path", runtime);
        return json_object_set_new(runtimes, NAME, own) < 0 ? fg_error_set(err, -ENOMEM, "out of memory") : 0;
}

int cli_docker_edit(json_t *config, const char *runtime, bool is_default, struct fg_error *err)
{
        const char *usual = json_string_value(json_object_get(config, "default-runtime"));
        bool is_ours = usual && strcmp(usual, NAME) == 0;
        if (is_default && usual && !is_ours && strcmp(usual, "runc") != 0)
                return fg_error_set(err, -EEXIST, "the default-runtime is \"%.60s\"; take it out, as --gpus is about one of them only", usual);
        if (is_default)
                json_object_set_new(config, "default-runtime", json_string(NAME));
        else if (is_ours)
                json_object_del(config, "default-runtime");
        return set_runtime(config, runtime, err);
}
