/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/text.h"
#include "base/utf8.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_MIN (32u << 10)
#define SPARE_MAX (256u << 10)
#define DAY_SIZE  11u

/* The block of a long answer that was sent, for the next one: what goes back to the kernel comes again page by page, each a fault. */
static char *spare;

void fgd_text_clear(struct fgd_text *text)
{
        free(text->data);
        *text = (struct fgd_text){0};
}

/* Room for the text so far and `need` bytes in the spare block. */
static bool take_spare(struct fgd_text *text, size_t need)
{
        if (!spare || need < SPARE_MIN / 2 || need > malloc_usable_size(spare))
                return false;
        if (text->size)
                memcpy(spare, text->data, text->size + 1);
        free(text->data);
        text->data = spare;
        text->room = malloc_usable_size(spare);
        spare = NULL;
        return true;
}

bool fgd_text_reserve(struct fgd_text *text, size_t more)
{
        size_t need = text->size + more + 1;
        if (text->failed)
                return false;
        if (need <= text->room || take_spare(text, need))
                return true;
        size_t room = text->room ? text->room : 512;
        while (room < need)
                room *= 2;
        char *data = realloc(text->data, room);
        if (!data) {
                text->failed = true;
                text->room = 0;
                return false;
        }
        text->data = data;
        text->room = room;
        return true;
}

void fgd_text_free(void *data)
{
        size_t size = data ? malloc_usable_size(data) : 0;
        if (!spare && size >= SPARE_MIN && size <= SPARE_MAX)
                spare = data;
        else
                free(data);
}

void fgd_text_addf(struct fgd_text *text, const char *format, ...)
{
        va_list args;
        char buf[1024];
        va_start(args, format);
        int n = vsnprintf(buf, sizeof buf, format, args);
        va_end(args);
        if (n > 0)
                fgd_text_bytes(text, buf, (size_t)n < sizeof buf ? (size_t)n : sizeof buf - 1);
}

/* How much of the text stands in JSON for itself. */
static size_t plain_length(const unsigned char *s)
{
        size_t n = 0;
        while (s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
                n++;
        return n;
}

/* Returns how much of it was written. */
static size_t add_special(struct fgd_text *text, const unsigned char *s)
{
        size_t n = fg_utf8_decode(s, FG_UTF8_MAX, NULL);
        if (n == 0)
                fgd_text_bytes(text, "?", 1);
        else if (*s == '"' || *s == '\\')
                fgd_text_addf(text, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7f)
                fgd_text_addf(text, "\\u%04x", *s);
        else
                fgd_text_bytes(text, (const char *)s, n);
        return n ? n : 1;
}

void fgd_text_string(struct fgd_text *text, const char *value)
{
        const unsigned char *s = (const unsigned char *)value;
        fgd_text_bytes(text, "\"", 1);
        while (*s) {
                size_t n = plain_length(s);
                if (n)
                        fgd_text_bytes(text, (const char *)s, n);
                else
                        n = add_special(text, s);
                s += n;
        }
        fgd_text_bytes(text, "\"", 1);
}

void fgd_text_name(struct fgd_text *text, const char *name)
{
        char last = text->size ? text->data[text->size - 1] : '{';
        size_t size = strlen(name);
        if (!fgd_text_reserve(text, size + sizeof ", \"\": "))
                return;
        char *at = text->data + text->size;
        if (last != '{' && last != '[')
                at = mempcpy(at, ", ", 2);
        *at++ = '"';
        at = mempcpy(mempcpy(at, name, size), "\": ", sizeof "\": ");
        text->size = (size_t)(at - text->data) - 1;
}

void fgd_text_word(struct fgd_text *text, const char *name, const char *value)
{
        fgd_text_name(text, name);
        fgd_text_bytes(text, "\"", 1);
        fgd_text_bytes(text, value, strlen(value));
        fgd_text_bytes(text, "\"", 1);
}

void fgd_text_field(struct fgd_text *text, const char *name, const char *value)
{
        fgd_text_name(text, name);
        fgd_text_string(text, value);
}

void fgd_text_digits(struct fgd_text *text, uint64_t value)
{
        char digits[20];
        size_t at = sizeof digits;
        do
                digits[--at] = (char)('0' + value % 10);
        while (value /= 10);
        fgd_text_bytes(text, digits + at, sizeof digits - at);
}

void fgd_text_number(struct fgd_text *text, const char *name, uint64_t value)
{
        fgd_text_name(text, name);
        fgd_text_digits(text, value);
}

void fgd_text_bool(struct fgd_text *text, const char *name, bool value)
{
        fgd_text_name(text, name);
        fgd_text_add(text, value ? "true" : "false");
}

static void add_digits(char **at, unsigned value, unsigned count)
{
        for (unsigned i = count; i-- > 0; value /= 10)
                (*at)[i] = (char)('0' + value % 10);
        *at += count;
}

/* "2026-11-23T" of days since 1 March of the year 0, in eras of 400 years: then the leap day is a year's last. */
static void put_day(unsigned days, char at[DAY_SIZE])
{
        unsigned era = days / 146097, day_of_era = days % 146097;
        unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
        unsigned day = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        unsigned month = (5 * day + 2) / 153;
        add_digits(&at, era * 400 + year_of_era + (month >= 10), 4);
        *at++ = '-';
        add_digits(&at, month < 10 ? month + 3 : month - 9, 2);
        *at++ = '-';
        add_digits(&at, day - (153 * month + 2) / 5 + 1, 2);
        *at = 'T';
}

/* "2026-11-23T12:00:00" of a unix time up to the year 9999, else "". Long lists are full of times of a few days, and strftime() looks for
 * the time zone each time. */
static char *put_time(int64_t seconds, char *at)
{
        static struct {
                unsigned days; /* 0, long before 1970: none */
                char text[DAY_SIZE];
        } kept[8];
        if (seconds < 0 || seconds >= 253402300800)
                return at;
        unsigned rest = (unsigned)(seconds % 86400), days = (unsigned)(seconds / 86400) + 719468, place = days % 8;
        if (kept[place].days != days)
                put_day(days, kept[place].text);
        kept[place].days = days;
        at = mempcpy(at, kept[place].text, DAY_SIZE);
        add_digits(&at, rest / 3600, 2);
        *at++ = ':';
        add_digits(&at, rest / 60 % 60, 2);
        *at++ = ':';
        add_digits(&at, rest % 60, 2);
        return at;
}

char *fgd_time_format(int64_t ms, char buf[32])
{
        char *at = put_time(ms / 1000, buf);
        if (at > buf) {
                *at++ = '.';
                add_digits(&at, (unsigned)(ms % 1000), 3);
                *at++ = 'Z';
        }
        *at = 0;
        return buf;
}

char *fgd_date_format(int64_t seconds, char buf[32])
{
        char *at = put_time(seconds, buf);
        strcpy(at, at > buf ? "Z" : "");
        return buf;
}
