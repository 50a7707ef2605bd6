/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

static size_t length_by_first(uint8_t first)
{
        if (first < 0x80)
                return 1;
        if (first < 0xc2 || first > 0xf4) /* the middle or an overlong form; beyond U+10FFFF */
                return 0;
        return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

size_t fg_utf8_decode(const void *text, size_t size, uint32_t *ret_code)
{
        static const uint32_t least[FG_UTF8_MAX + 1] = {0, 0, 0x80, 0x800, 0x10000};
        const uint8_t *s = text;
        size_t len = size ? length_by_first(s[0]) : 0;
        if (len == 0 || len > size)
                return 0;
        uint32_t code = len == 1 ? s[0] : s[0] & (0x7fu >> len);
        for (size_t i = 1; i < len; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (s[i] & 0x3f);
        }
        if (code < least[len] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
                return 0;
        if (ret_code)
                *ret_code = code;
        return len;
}
