/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cdi_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static void keep_kind(const char *text, size_t length, char ret[CLI_CDI_KIND_MAX])
{
        static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/";
        if (length < CLI_CDI_KIND_MAX && strspn(text, signs) >= length && memchr(text, '/', length))
                memcpy(ret, text, length);
}

/* YAML's first line `kind: VALUE` that is not indented; the value plain or quoted, with a comment behind it or not. */
static void find_kind(const char *text, char ret[CLI_CDI_KIND_MAX])
{
        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, "kind:", 5) != 0)
                        continue;
                const char *value = line + 5 + strspn(line + 5, " \t");
                bool is_quoted = *value == '"' || *value == '\'';
                value += is_quoted;
                keep_kind(value, is_quoted ? strcspn(value, "\"'\r\n") : strcspn(value, " \t\r\n"), ret);
                return;
        }
}

int cli_cdi_parse(const char *text, size_t size, bool is_yaml, struct cli_cdi_file *ret, struct fg_error *err)
{
        struct cli_cdi_file file = {.kind = ""};
        json_error_t where;
        file.json = json_loadb(text, size, 0, &where);
        if (file.json && !json_is_object(file.json)) {
                json_decref(file.json);
                return fg_error_set(err, -EINVAL, "it is no object");
        }
        if (!file.json && !is_yaml)
                return fg_error_set(err, -EINVAL, "it is no JSON at line %d, column %d", where.line, where.column);
        const char *kind = json_string_value(json_object_get(file.json, "kind"));
        if (kind) {
                keep_kind(kind, strlen(kind), file.kind);
        } else if (!file.json) {
                fg_autofree char *copy = strndup(text, size);
                find_kind(copy ? copy : "", file.kind);
        }
        *ret = file;
        return 0;
}

int cli_cdi_read(const char *path, bool is_yaml, struct cli_cdi_file *ret, struct fg_error *err)
{
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        size_t size = 0;
        ssize_t n;
        if (fd < 0 || fstat(fd, &st) < 0)
                return fg_error_set(err, -errno, "it cannot be read: %m");
        if (!S_ISREG(st.st_mode))
                return fg_error_set(err, -ENOTSUP, "it is no file");
        if (st.st_size > CLI_CDI_SIZE_MAX)
                return fg_error_set(err, -EFBIG, "it is larger than 4 MiB");
        fg_autofree char *text = malloc(CLI_CDI_SIZE_MAX);
        while (text && size < CLI_CDI_SIZE_MAX && (n = read(fd, text + size, CLI_CDI_SIZE_MAX - size)) != 0) {
                if (n < 0 && errno != EINTR)
                        return fg_error_set(err, -errno, "it cannot be read: %m");
                size += n > 0 ? (size_t)n : 0;
        }
        return text ? cli_cdi_parse(text, size, is_yaml, ret, err) : fg_error_set(err, -ENOMEM, "out of memory");
}
