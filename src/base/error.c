/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What was typed may hold anything; a terminal, a log line and a JSON string take only printable, well-formed text. */
static void make_printable(char *text)
{
        unsigned char *s = (unsigned char *)text;
        while (*s) {
                size_t len = fg_utf8_decode(s, FG_UTF8_MAX, NULL);
                bool control = *s < 0x20 || *s == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
                if (len == 0 || (len == 1 && control))
                        *s++ = '?';
                else if (control)
                        *s++ = '?', *s++ = '?';
                else
                        s += len;
        }
}

/* Drops the beginning of a character whose end was cut off. */
static void trim_cut_character(char *text, size_t len)
{
        size_t back = 0;
        while (back < len && back < 3 && ((unsigned char)text[len - 1 - back] & 0xc0) == 0x80)
                back++;
        if (back < len && fg_utf8_decode(text + len - 1 - back, back + 1, NULL) == 0 &&
            (unsigned char)text[len - 1 - back] >= 0xc0)
                text[len - 1 - back] = '\0';
}

static void finish(struct fg_error *err, int code, const char *text, int printed)
{
        size_t len = strnlen(text, FG_ERROR_MAX - 1);
        memmove(err->text, text, len);
        err->text[len] = '\0';
        err->code = code;
        if (printed >= FG_ERROR_MAX)
                trim_cut_character(err->text, len);
        make_printable(err->text);
}

int fg_error_set(struct fg_error *err, int code, const char *format, ...)
{
        if (!err)
                return code;
        int saved = errno;
        char text[FG_ERROR_MAX] = "";
        va_list args;
        va_start(args, format);
        errno = -code;
        int printed = vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        finish(err, code, text, printed);
        errno = saved;
        return code;
}

int fg_error_wrap(struct fg_error *err, int code, const char *format, ...)
{
        if (!err)
                return code;
        int saved = errno;
        char context[FG_ERROR_MAX] = "", text[2 * FG_ERROR_MAX];
        va_list args;
        va_start(args, format);
        errno = err->code ? -err->code : -code;
        vsnprintf(context, sizeof(context), format, args);
        va_end(args);
        /* Somebody below failed without a word: its errno is the sentence. */
        if (err->code == 0)
                err->code = code, err->text[0] = '\0';
        errno = -err->code;
        int printed = err->text[0] ? snprintf(text, sizeof(text), "%s: %s", context, err->text)
                                   : snprintf(text, sizeof(text), "%s: %m", context);
        finish(err, err->code, text, printed);
        errno = saved;
        return err->code;
}
