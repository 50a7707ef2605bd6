/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fit.h"

#include "base/utf8.h"

#include <langinfo.h>
#include <string.h>
#include <wchar.h>

#define MARKS 2 /* combining marks that a letter keeps: more would run over the neighbouring lines */

bool cli_fit_is_utf8(void)
{
        return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* Controls, joiners, direction marks, separators, tags, fillers, variation selectors, private use. */
bool cli_fit_is_format(uint32_t c)
{
        static const struct {
                uint32_t first, last;
        } range[] = {{0, 0x1f},         {0x7f, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},         {0x61c, 0x61c},
                     {0x115f, 0x1160},  {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},       {0x2028, 0x202e},
                     {0x2060, 0x206f},  {0x3164, 0x3164},   {0xd800, 0xf8ff},   {0xfe00, 0xfe0f},       {0xfeff, 0xfeff},
                     {0xffa0, 0xffa0},  {0xfff0, 0xfffc},   {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},     {0xe0000, 0x10ffff}};
        for (size_t i = 0; i < sizeof range / sizeof range[0]; i++)
                if (c >= range[i].first && c <= range[i].last)
                        return true;
        return false;
}

/* Bytes of the next character, at least 1; *ret_width its columns, -1 where it must not be printed. */
static size_t next(const char *text, bool utf8, int *ret_width)
{
        uint32_t c;
        size_t n = fg_utf8_decode(text, FG_UTF8_MAX, &c);
        *ret_width = -1;
        if (n == 0)
                return 1;
        if (!cli_fit_is_format(c) && (utf8 || c < 0x80))
                *ret_width = wcwidth((wchar_t)c);
        return n;
}

static size_t width_of(const char *text, bool utf8)
{
        size_t width = 0;
        int w;
        for (; *text; width += w < 0 ? 1 : (size_t)w)
                text += next(text, utf8, &w);
        return width;
}

size_t cli_fit(const char *text, size_t columns, char *ret, size_t len)
{
        bool utf8 = cli_fit_is_utf8(), cut = width_of(text, utf8) > columns;
        size_t used = 0, at = 0, room = cut && columns ? columns - 1 : columns;
        unsigned marks = MARKS; /* none without a letter */
        while (*text) {
                int w;
                size_t n = next(text, utf8, &w), wide = w < 0 ? 1 : (size_t)w;
                if (used + wide > room || at + n + 4 > len)
                        break;
                if (w < 0)
                        ret[at++] = '?';
                else if (w > 0 || marks < MARKS) {
                        memcpy(ret + at, text, n);
                        at += n;
                }
                marks = w > 0 ? 0 : marks + 1;
                used += wide;
                text += n;
        }
        ret[at] = '\0';
        if (!cut || !columns || at + 4 > len)
                return used;
        strcpy(ret + at, utf8 ? "…" : "~");
        return used + 1;
}

void cli_spark(const uint16_t *values, size_t count, size_t columns, char *ret)
{
        static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
        static const char *const letters[] = {"_", ".", "-", "=", "+", "*", "%", "#"};
        const char *const *level = cli_fit_is_utf8() ? blocks : letters;
        for (size_t i = 0; i < columns; i++) {
                size_t back = columns - i; /* the last column is the newest */
                uint16_t v = back > count ? CLI_SPARK_NONE : values[count - back];
                unsigned of8 = v > 1000 ? 7 : v == 0 ? 0 : 1 + (v - 1u) * 7 / 1000;
                ret = stpcpy(ret, v == CLI_SPARK_NONE ? " " : level[of8 > 7 ? 7 : of8]);
        }
        *ret = '\0';
}
