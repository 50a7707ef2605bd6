/* SPDX-License-Identifier: Apache-2.0
 * The file holds a token, which is as good as a password: nobody else may read it, and what is in it is never shown. */
#include "client/login.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_VERSION 1

static inline void clear_json(json_t **value)
{
        json_decref(*value);
}

static int damaged(struct fg_error *err, const char *why)
{
        return fg_error_set(err, -EUCLEAN, "%s; `fastgpu logout` and log in again", why);
}

static int take_values(const json_t *file, struct fg_client_target *ret, struct fg_error *err)
{
        const char *url = json_string_value(json_object_get(file, "url")), *token = json_string_value(json_object_get(file, "token"));
        const char *pin = json_string_value(json_object_get(file, "fingerprint")), *ca = json_string_value(json_object_get(file, "ca"));
        int r = 0;
        if (json_integer_value(json_object_get(file, "version")) != FILE_VERSION)
                return damaged(err, "it is of another version");
        if (!url || !token || !pin == !ca)
                return damaged(err, "it lacks what a login has");
        if (ca && strcmp(ca, "system") != 0)
                return damaged(err, "its \"ca\" is not \"system\"");
        if (fg_url_parse(url, ret->url, err) < 0 || (pin && fg_fingerprint_parse(pin, ret->fingerprint, err) < 0))
                r = fg_error_wrap(err, -EUCLEAN, "it is damaged");
        if (r == 0 && fg_token_check(token, err) < 0)
                r = fg_error_wrap(err, -EUCLEAN, "it is damaged");
        if (r == 0)
                strcpy(ret->token, token);
        return r;
}

int fg_login_parse(const char *text, size_t size, struct fg_client_target *ret, struct fg_error *err)
{
        FG_CLEANUP(clear_json) json_t *file = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
        struct fg_client_target target = {0};
        if (!json_is_object(file))
                return damaged(err, "it is not JSON");
        int r = take_values(file, &target, err);
        if (r == 0)
                *ret = target;
        fg_client_target_clear(&target);
        return r;
}

static const char *absolute_or_null(const char *name)
{
        const char *value = getenv(name);
        return value && *value == '/' ? value : NULL;
}

int fg_login_path(char ret[PATH_MAX], struct fg_error *err)
{
        const char *config = absolute_or_null("XDG_CONFIG_HOME"), *home = absolute_or_null("HOME");
        if (!config && !home)
                return fg_error_set(err, -ENOENT, "no folder to keep a login in: set HOME or XDG_CONFIG_HOME");
        int n = snprintf(ret, PATH_MAX, "%s%s/fastgpu/login.json", config ? config : home, config ? "" : "/.config");
        return n < PATH_MAX ? 0 : fg_error_set(err, -ENAMETOOLONG, "the path of the login file is too long");
}

/* Up to `room` bytes and a NUL. More than that is an error. */
static int read_whole(int fd, char *ret, size_t room, size_t *ret_size)
{
        size_t size = 0;
        for (;;) {
                ssize_t n = read(fd, ret + size, room + 1 - size);
                if (n < 0 && errno != EINTR)
                        return -errno;
                size += n > 0 ? (size_t)n : 0;
                if (size > room)
                        return -EFBIG;
                if (n == 0)
                        break;
        }
        ret[size] = '\0';
        *ret_size = size;
        return 0;
}

static int check_owner(int fd, const char *path, struct fg_error *err)
{
        struct stat st;
        if (fstat(fd, &st) < 0)
                return fg_error_set(err, -errno, "cannot read %s: %m", path);
        if (!S_ISREG(st.st_mode))
                return fg_error_set(err, -EINVAL, "%s is not a file", path);
        if (st.st_uid != geteuid() && st.st_uid != 0)
                return fg_error_set(err, -EPERM, "%s is user %u's, not yours: its login is not used; remove it or log in again", path, st.st_uid);
        if (st.st_mode & 077)
                return fg_error_set(err, -EPERM, "%s may be read or written by others (mode %04o): its login is not used. Type `chmod 600 %s`; if "
                                    "others could have seen it, revoke its token", path, st.st_mode & 07777, path);
        return 0;
}

int fg_login_read(struct fg_client_target *ret, struct fg_error *err)
{
        char path[PATH_MAX];
        size_t size = 0;
        if (fg_login_path(path, NULL) < 0)
                return -ENOENT; /* where no folder is, none was stored */
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? -ENOENT : fg_error_set(err, -errno, "cannot read the login %s: %m", path);
        int r = check_owner(fd, path, err);
        if (r < 0)
                return r;
        fg_autofree char *text = malloc(FG_LOGIN_FILE_MAX + 1);
        if (!text)
                return fg_error_set(err, -ENOMEM, "out of memory");
        r = read_whole(fd, text, FG_LOGIN_FILE_MAX, &size);
        if (r < 0)
                fg_error_set(err, r, "cannot read the login %s: %m", path);
        else if ((r = fg_login_parse(text, size, ret, err)) < 0)
                fg_error_wrap(err, r, "the login %s", path);
        explicit_bzero(text, FG_LOGIN_FILE_MAX + 1);
        return r;
}

static int make_folder(const char *path, struct fg_error *err)
{
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
        return fg_mkdirs(folder, 0700, err);
}

static int write_text(int fd, const char *text)
{
        for (size_t len = strlen(text); len > 0;) {
                ssize_t n = write(fd, text, len);
                if (n < 0 && errno != EINTR)
                        return -errno;
                text += n > 0 ? n : 0;
                len -= n > 0 ? (size_t)n : 0;
        }
        return fsync(fd) < 0 ? -errno : 0;
}

/* The whole file or the one before, and at no instant readable by others: mkostemp(3) makes it 0600. */
static int replace(const char *path, const char *text, struct fg_error *err)
{
        char part[PATH_MAX + 8];
        snprintf(part, sizeof part, "%s.XXXXXX", path);
        fg_autoclose int fd = mkostemp(part, O_CLOEXEC);
        if (fd < 0)
                return fg_error_set(err, -errno, "cannot write %s: %m", path);
        int r = fchmod(fd, 0600) < 0 ? -errno : write_text(fd, text);
        if (r == 0 && rename(part, path) < 0)
                r = -errno;
        if (r < 0)
                unlink(part);
        return r < 0 ? fg_error_set(err, r, "cannot write %s: %m", path) : 0;
}

int fg_login_write(const struct fg_client_target *target, struct fg_error *err)
{
        char path[PATH_MAX];
        bool pin = target->fingerprint[0];
        int r = fg_login_path(path, err);
        if (r == 0)
                r = make_folder(path, err);
        if (r < 0)
                return r;
        FG_CLEANUP(clear_json) json_t *file =
                json_pack("{s:i, s:s, s:s, s:s}", "version", FILE_VERSION, "url", target->url, pin ? "fingerprint" : "ca",
                          pin ? target->fingerprint : "system", "token", target->token);
        fg_autofree char *text = file ? json_dumps(file, JSON_INDENT(2)) : NULL;
        if (!text)
                return fg_error_set(err, -ENOMEM, "out of memory");
        r = replace(path, text, err);
        explicit_bzero(text, strlen(text));
        return r;
}

/* A pipe, as `--token-file <(pass show fastgpu)` is one, has no readers to be afraid of. */
static int check_token_file(int fd, const char *path, struct fg_error *err)
{
        struct stat st;
        if (fstat(fd, &st) < 0)
                return fg_error_set(err, -errno, "cannot read %s: %m", path);
        if (S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXO | S_IWGRP)))
                return fg_error_set(err, -EPERM, "the token file %s may be read or written by others (mode %04o): chmod 600 it", path,
                                    st.st_mode & 07777);
        return 0;
}

int fg_token_read(const char *path, char ret[FG_CLIENT_TOKEN_MAX], struct fg_error *err)
{
        char text[FG_CLIENT_TOKEN_MAX + 4];
        size_t size = 0;
        bool own = strcmp(path, "-") != 0;
        fg_autoclose int fd = own ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : dup(0);
        if (fd < 0)
                return fg_error_set(err, -errno, "cannot read the token file %s: %m", path);
        int r = own ? check_token_file(fd, path, err) : 0;
        if (r < 0)
                return r;
        r = read_whole(fd, text, sizeof text - 2, &size);
        while (r == 0 && size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
                text[--size] = '\0';
        if (r < 0)
                fg_error_set(err, r, "cannot read the token file %s: %m", path);
        else if (strlen(text) != size)
                r = fg_error_set(err, -EINVAL, "%s: the token holds a NUL byte", path);
        else if ((r = fg_token_check(text, err)) < 0)
                fg_error_wrap(err, r, "%s", own ? path : "standard input");
        if (r == 0)
                strcpy(ret, text);
        explicit_bzero(text, sizeof text);
        return r;
}

int fg_client_login_load(struct fg_client_target *ret, char *error, size_t error_len)
{
        struct fg_error err = {0};
        return fg_client_tell(fg_login_read(ret, &err), &err, error, error_len);
}

int fg_client_login_store(const struct fg_client_target *target, char *error, size_t error_len)
{
        struct fg_error err = {0};
        return fg_client_tell(fg_login_write(target, &err), &err, error, error_len);
}

int fg_client_login_forget(char *error, size_t error_len)
{
        struct fg_error err = {0};
        char path[PATH_MAX];
        int r = fg_login_path(path, &err);
        if (r == 0 && unlink(path) < 0)
                r = errno == ENOENT || errno == ENOTDIR ? fg_error_set(&err, -ENOENT, "there is no login")
                                                        : fg_error_set(&err, -errno, "cannot remove %s: %m", path);
        return fg_client_tell(r, &err, error, error_len);
}
