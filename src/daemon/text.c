/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/text.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void fgd_text_clear(struct fgd_text *text)
{
        free(text->data);
        *text = (struct fgd_text){0};
}

static bool reserve(struct fgd_text *text, size_t more)
{
        size_t need = text->size + more + 1;
        if (text->failed)
                return false;
        if (need <= text->room)
                return true;
        size_t room = text->room ? text->room : 512;
        while (room < need)
                room *= 2;
        char *data = realloc(text->data, room);
        if (!data) {
                text->failed = true;
                return false;
        }
        text->data = data;
        text->room = room;
        return true;
}

static void add_bytes(struct fgd_text *text, const char *bytes, size_t size)
{
        if (!reserve(text, size))
                return;
        memcpy(text->data + text->size, bytes, size);
        text->size += size;
        text->data[text->size] = 0;
}

void fgd_text_add(struct fgd_text *text, const char *piece)
{
        add_bytes(text, piece, strlen(piece));
}

void fgd_text_addf(struct fgd_text *text, const char *format, ...)
{
        va_list args;
        char buf[1024];
        va_start(args, format);
        int n = vsnprintf(buf, sizeof buf, format, args);
        va_end(args);
        if (n > 0)
                add_bytes(text, buf, (size_t)n < sizeof buf ? (size_t)n : sizeof buf - 1);
}

void fgd_text_string(struct fgd_text *text, const char *value)
{
        add_bytes(text, "\"", 1);
        for (const unsigned char *s = (const unsigned char *)value; *s;) {
                size_t n = fg_utf8_decode(s, FG_UTF8_MAX, NULL);
                if (n == 0)
                        add_bytes(text, "?", 1);
                else if (*s == '"' || *s == '\\')
                        fgd_text_addf(text, "\\%c", *s);
                else if (*s < 0x20 || *s == 0x7f)
                        fgd_text_addf(text, "\\u%04x", *s);
                else
                        add_bytes(text, (const char *)s, n);
                s += n ? n : 1;
        }
        add_bytes(text, "\"", 1);
}

void fgd_text_name(struct fgd_text *text, const char *name)
{
        char last = text->size ? text->data[text->size - 1] : '{';
        fgd_text_addf(text, "%s\"%s\": ", last == '{' || last == '[' ? "" : ", ", name);
}

void fgd_text_field(struct fgd_text *text, const char *name, const char *value)
{
        fgd_text_name(text, name);
        fgd_text_string(text, value);
}

void fgd_text_number(struct fgd_text *text, const char *name, uint64_t value)
{
        fgd_text_name(text, name);
        fgd_text_addf(text, "%llu", (unsigned long long)value);
}

void fgd_text_bool(struct fgd_text *text, const char *name, bool value)
{
        fgd_text_name(text, name);
        fgd_text_add(text, value ? "true" : "false");
}

static void format_time(int64_t seconds, const char *format, char buf[32])
{
        time_t at = (time_t)seconds;
        struct tm tm = {0};
        if (!gmtime_r(&at, &tm) || !strftime(buf, 24, format, &tm))
                buf[0] = 0;
}

char *fgd_time_format(int64_t ms, char buf[32])
{
        format_time(ms / 1000, "%Y-%m-%dT%H:%M:%S", buf);
        size_t n = strlen(buf);
        snprintf(buf + n, 32 - n, ".%03dZ", (int)(ms % 1000));
        return buf;
}

char *fgd_date_format(int64_t seconds, char buf[32])
{
        format_time(seconds, "%Y-%m-%dT%H:%M:%SZ", buf);
        return buf;
}
