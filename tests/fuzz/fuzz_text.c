/* SPDX-License-Identifier: Apache-2.0
 * Sizes, shares, counts, names and targets as people type them. */
#include "base/size.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define LONGEST 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct fg_error *err, int r)
{
        assert(r <= 0 && err->code == r);
        assert((r == 0) == (err->text[0] == '\0'));
        for (const char *c = err->text; *c; c++)
                assert((unsigned char)*c >= 0x20);
}

static void check_size(const char *text, uint64_t whole)
{
        struct fg_error err = {0};
        uint64_t bytes = 0, again = 0;
        char buf[32];
        int r = fg_size_parse(text, whole, &bytes, &err);
        check_error(&err, r);
        assert((r == 0) == (bytes != 0));
        if (r < 0)
                return;
        assert(bytes <= 1ull << 50);
        assert(!strchr(text, '%') || bytes <= whole);
        assert(fg_size_parse(fg_size_format(bytes, buf, sizeof(buf)), 0, &again, NULL) == 0);
        /* Three digits at least, unless it is at the very top and was rounded up. */
        assert((again > bytes ? again - bytes : bytes - again) <= bytes / 180);
}

static void check_share(const char *text)
{
        struct fg_error err = {0};
        uint32_t permille = 0;
        int r = fg_share_parse(text, &permille, &err);
        check_error(&err, r);
        assert(r == 0 ? permille >= 1 && permille <= 1000 : permille == 0);
}

static void check_count(const char *text)
{
        struct fg_error err = {0};
        uint64_t value = 0;
        int r = fg_count_parse("count", text, 3, 1000, &value, &err);
        check_error(&err, r);
        assert(r == 0 ? value >= 3 && value <= 1000 : value == 0);
}

static void check_target(const char *text)
{
        struct fg_error err = {0};
        char name[64] = "";
        int64_t index = -2;
        int r = fg_target_parse(text, name, &index, &err);
        check_error(&err, r);
        if (r < 0) {
                assert(name[0] == '\0' && index == -2);
                return;
        }
        assert(fg_name_check(name, NULL) == 0);
        assert(strncmp(text, name, strlen(name)) == 0);
        assert((index == -1) == (strchr(text, '/') == NULL));
        assert(!strchr(name, '/') && name[0] != '.' && strlen(name) < 64);
}

/* The first byte chooses what a percentage is of, the rest is the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint64_t whole[] = {0, 1, 1000, 8ull << 30, 1ull << 50, UINT64_MAX};
        char text[LONGEST + 1];
        if (size == 0)
                return 0;
        size_t len = size - 1 < LONGEST ? size - 1 : LONGEST;
        memcpy(text, data + 1, len);
        text[len] = '\0';
        check_size(text, whole[data[0] % (sizeof(whole) / sizeof(whole[0]))]);
        check_share(text);
        check_count(text);
        check_target(text);
        return 0;
}
