/* SPDX-License-Identifier: Apache-2.0
 * A login file, a URL, a fingerprint and a token: the first byte says which. What is taken means the same when it is read again, and
 * no complaint shows a token. */
#include "client/login.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct fg_error *err, int r)
{
        assert(r <= 0 && err->code == r && (r == 0) == (err->text[0] == '\0'));
        for (const char *c = err->text; *c; c++)
                assert((unsigned char)*c >= 0x20);
}

static void check_url(const char *text)
{
        char url[FG_CLIENT_URL_MAX] = "", again[FG_CLIENT_URL_MAX] = "";
        struct fg_error err = {0};
        int r = fg_url_parse(text, url, &err);
        check_error(&err, r);
        if (r < 0) {
                assert(url[0] == '\0');
                return;
        }
        assert(fg_url_parse(url, again, NULL) == 0 && strcmp(url, again) == 0);
        /* Nothing that would make another request of it. */
        assert(strncmp(url, "https://", 8) == 0 && !strpbrk(url + 8, "/?#@ \r\n\\%"));
}

static void check_fingerprint(const char *text)
{
        char hex[FG_CLIENT_FINGERPRINT_MAX] = "", again[FG_CLIENT_FINGERPRINT_MAX];
        struct fg_error err = {0};
        int r = fg_fingerprint_parse(text, hex, &err);
        check_error(&err, r);
        assert(strlen(hex) == (r == 0 ? 64 : 0) && strspn(hex, "0123456789abcdef") == strlen(hex));
        if (r == 0)
                assert(fg_fingerprint_parse(hex, again, NULL) == 0 && strcmp(hex, again) == 0);
}

static void check_token(const char *text)
{
        struct fg_error err = {0};
        int r = fg_token_check(text, &err);
        check_error(&err, r);
        if (r == 0)
                assert(!strpbrk(text, " \t\r\n") && strlen(text) < FG_CLIENT_TOKEN_MAX);
        else if (strlen(text) > 80)
                assert(!strstr(err.text, text));
}

static void check_file(const char *text, size_t size)
{
        static const struct fg_client_target none;
        struct fg_client_target target = {0};
        struct fg_error err = {0};
        int r = fg_login_parse(text, size, &target, &err);
        check_error(&err, r);
        if (r < 0) {
                assert(memcmp(&target, &none, sizeof none) == 0);
                return;
        }
        check_url(target.url);
        assert(strlen(target.fingerprint) == 64 || !*target.fingerprint);
        assert(fg_token_check(target.token, NULL) == 0);
        assert(fg_url_parse(target.url, target.url, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        char *text = malloc(size);
        if (!text)
                return 0;
        memcpy(text, data + 1, size - 1);
        text[size - 1] = '\0';
        switch (data[0]) {
        case 'u':
                check_url(text);
                break;
        case 'f':
                check_fingerprint(text);
                break;
        case 't':
                check_token(text);
                break;
        default:
                check_file(text, size - 1);
        }
        free(text);
        return 0;
}
