/* SPDX-License-Identifier: Apache-2.0
 * The parts of a target as people write them, and where they come from. */
#include "client/login.h"

#include "base/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SCHEME       "https://"
#define DEFAULT_PORT 443

int fg_url_parse(const char *text, char ret[FG_CLIENT_URL_MAX], struct fg_error *err)
{
        char host[FG_ADDRESS_MAX + 8], canonical[FG_ADDRESS_MAX];
        struct fg_address address;
        if (strncasecmp(text, SCHEME, strlen(SCHEME)) != 0)
                return fg_error_set(err, -EINVAL, "the URL \"%.80s\" is not https://HOST:PORT", text);
        const char *rest = text + strlen(SCHEME);
        size_t len = strcspn(rest, "/?#@");
        /* A password in a URL ends in logs; a path would be a proxy that nobody has tried. */
        if (rest[len] && strcmp(rest + len, "/") != 0)
                return fg_error_set(err, -EINVAL, "the URL is https://HOST:PORT and nothing else; \"%.1s\" and what follows it is too much", rest + len);
        if (len == 0 || len >= sizeof host)
                return fg_error_set(err, -EINVAL, "the URL \"%.80s\" is not https://HOST:PORT", text);
        snprintf(host, sizeof host, "%.*s", (int)len, rest);
        int r = fg_address_parse("the URL's host", host, DEFAULT_PORT, &address, err);
        if (r == 0 && (!address.host[0] || !address.port))
                r = fg_error_set(err, -EINVAL, "the URL \"%.80s\" has no %s", text, address.port ? "host" : "port");
        if (r == 0)
                snprintf(ret, FG_CLIENT_URL_MAX, SCHEME "%s", fg_address_format(&address, canonical));
        return r;
}

int fg_fingerprint_parse(const char *text, char ret[FG_CLIENT_FINGERPRINT_MAX], struct fg_error *err)
{
        char hex[FG_CLIENT_FINGERPRINT_MAX];
        size_t n = 0;
        const char *c = strncasecmp(text, "sha256:", 7) == 0 ? text + 7 : text;
        for (; *c; c++) {
                bool digit = *c >= '0' && *c <= '9', letter = (*c | 0x20) >= 'a' && (*c | 0x20) <= 'f';
                if (*c == ':' && n && n % 2 == 0)
                        continue;
                if ((!digit && !letter) || n == sizeof hex - 1)
                        break;
                hex[n++] = letter ? (char)(*c | 0x20) : *c;
        }
        if (*c || n != sizeof hex - 1)
                return fg_error_set(err, -EINVAL, "the fingerprint \"%.80s\" is not 64 hexadecimal digits", text);
        hex[n] = '\0';
        strcpy(ret, hex);
        return 0;
}

int fg_token_check(const char *token, struct fg_error *err)
{
        for (const char *c = token; *c; c++)
                if (*c <= ' ' || *c >= 0x7f)
                        return fg_error_set(err, -EINVAL, "the token holds a blank or another character that no token has");
        if (!*token)
                return fg_error_set(err, -EINVAL, "the token is empty");
        return strlen(token) < FG_CLIENT_TOKEN_MAX ? 0 : fg_error_set(err, -EINVAL, "the token is longer than any token is");
}

static const char *env_or_null(const char *name)
{
        const char *value = getenv(name);
        return value && *value ? value : NULL;
}

/* The login lends what the environment does not say, if it is about the same daemon. */
static int add_login(struct fg_client_target *target, bool pin, bool token, struct fg_error *err)
{
        struct fg_client_target login = {0};
        int r = fg_login_read(&login, err);
        if (r == -ENOENT)
                return 0;
        if (r == 0 && strcmp(login.url, target->url) == 0) {
                if (pin)
                        strcpy(target->fingerprint, login.fingerprint);
                if (token)
                        strcpy(target->token, login.token);
        }
        fg_client_target_clear(&login);
        return r;
}

static int from_environment(const char *url, struct fg_client_target *ret, struct fg_error *err)
{
        const char *pin = env_or_null("FASTGPU_FINGERPRINT"), *token = env_or_null("FASTGPU_TOKEN_FILE");
        int r = fg_url_parse(url, ret->url, err);
        if (r < 0)
                return fg_error_wrap(err, r, "FASTGPU_URL");
        if (pin && (r = fg_fingerprint_parse(pin, ret->fingerprint, err)) < 0)
                return fg_error_wrap(err, r, "FASTGPU_FINGERPRINT");
        if (token && (r = fg_token_read(token, ret->token, err)) < 0)
                return fg_error_wrap(err, r, "FASTGPU_TOKEN_FILE");
        return pin && token ? 0 : add_login(ret, !pin, !token, err);
}

static int from_login(struct fg_client_target *ret, struct fg_error *err)
{
        const char *token = env_or_null("FASTGPU_TOKEN_FILE");
        int r = fg_login_read(ret, err);
        if (r == 0 && token && (r = fg_token_read(token, ret->token, err)) < 0)
                return fg_error_wrap(err, r, "FASTGPU_TOKEN_FILE");
        return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

int fg_target_find(struct fg_client_target *ret, struct fg_error *err)
{
        const char *url = env_or_null("FASTGPU_URL");
        bool local = url && strcmp(url, "local") == 0;
        struct fg_client_target target = {0};
        int r = 0;
        if (env_or_null("FASTGPU_STATE_DIR")) {
                if (url && !local)
                        return fg_error_set(err, -EINVAL, "FASTGPU_STATE_DIR means a daemon of this machine and FASTGPU_URL one elsewhere; unset one");
                return 0;
        }
        if (local)
                return 0;
        if (!url)
                r = from_login(&target, err);
        else if ((r = from_environment(url, &target, err)) == 0)
                r = 1;
        if (r == 1)
                *ret = target;
        fg_client_target_clear(&target);
        return r;
}

void fg_client_target_clear(struct fg_client_target *target)
{
        explicit_bzero(target, sizeof *target);
}

int fg_client_tell(int r, const struct fg_error *err, char *error, size_t error_len)
{
        if (r < 0 && error && error_len)
                snprintf(error, error_len, "%s", err->text);
        return r;
}

int fg_client_target_url(struct fg_client_target *target, const char *url, char *error, size_t error_len)
{
        struct fg_error err = {0};
        return fg_client_tell(fg_url_parse(url, target->url, &err), &err, error, error_len);
}

int fg_client_target_fingerprint(struct fg_client_target *target, const char *hex, char *error, size_t error_len)
{
        struct fg_error err = {0};
        return fg_client_tell(fg_fingerprint_parse(hex, target->fingerprint, &err), &err, error, error_len);
}

int fg_client_target_token(struct fg_client_target *target, const char *token, char *error, size_t error_len)
{
        struct fg_error err = {0};
        int r = fg_token_check(token, &err);
        if (r == 0)
                strcpy(target->token, token);
        return fg_client_tell(r, &err, error, error_len);
}

int fg_client_target_token_file(struct fg_client_target *target, const char *path, char *error, size_t error_len)
{
        struct fg_error err = {0};
        return fg_client_tell(fg_token_read(path, target->token, &err), &err, error, error_len);
}

int fg_client_target_find(struct fg_client_target *ret, char *error, size_t error_len)
{
        struct fg_error err = {0};
        return fg_client_tell(fg_target_find(ret, &err), &err, error, error_len);
}
