/* SPDX-License-Identifier: Apache-2.0 */
#include "bill/when.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Every digit of `form` stands for one of text's, its largest allowed value for nothing: timegm() judges. */
static bool has_form(const char *text, const char *form)
{
        size_t size = strlen(form);
        if (strlen(text) != size)
                return false;
        for (size_t i = 0; i < size; i++)
                if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
                        return false;
        return true;
}

static int number_at(const char *text, int at, int digits)
{
        int value = 0;
        for (int i = 0; i < digits; i++)
                value = value * 10 + (text[at + i] - '0');
        return value;
}

int fg_bill_when_parse(const char *text, int64_t *ret, struct fg_error *err)
{
        bool is_day = has_form(text, "0000-00-00"), has_seconds = has_form(text, "0000-00-00T00:00:00Z");
        struct tm tm = {0}, again;
        if (is_day || has_seconds || has_form(text, "0000-00-00T00:00Z")) {
                tm.tm_year = number_at(text, 0, 4) - 1900;
                tm.tm_mon = number_at(text, 5, 2) - 1;
                tm.tm_mday = number_at(text, 8, 2);
                tm.tm_hour = is_day ? 0 : number_at(text, 11, 2);
                tm.tm_min = is_day ? 0 : number_at(text, 14, 2);
                tm.tm_sec = has_seconds ? number_at(text, 17, 2) : 0;
                again = tm;
                time_t when = timegm(&again);
                /* A 31st of November is another day to timegm(). */
                if (tm.tm_year >= 70 && again.tm_mon == tm.tm_mon && again.tm_mday == tm.tm_mday &&
                    again.tm_hour == tm.tm_hour && again.tm_min == tm.tm_min && again.tm_sec == tm.tm_sec) {
                        *ret = when;
                        return 0;
                }
        }
        return fg_error_set(err, -EINVAL, "\"%.40s\" is no time in UTC such as 2026-11-01 or 2026-11-01T08:30Z", text);
}

void fg_bill_month_of(int64_t when, int64_t *ret_from, int64_t *ret_until)
{
        time_t t = (time_t)when;
        struct tm tm = {0};
        gmtime_r(&t, &tm);
        struct tm first = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1};
        struct tm next = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1};
        *ret_from = timegm(&first);
        *ret_until = timegm(&next);
}

int fg_bill_month_parse(const char *text, int64_t *ret_from, int64_t *ret_until, struct fg_error *err)
{
        char day[FG_BILL_WHEN_MAX];
        int64_t when;
        if (has_form(text, "0000-00") && snprintf(day, sizeof(day), "%s-01", text) > 0 &&
            fg_bill_when_parse(day, &when, NULL) == 0) {
                fg_bill_month_of(when, ret_from, ret_until);
                return 0;
        }
        return fg_error_set(err, -EINVAL, "\"%.40s\" is no month such as 2026-11", text);
}

static char *format(int64_t when, const char *form, char buf[FG_BILL_WHEN_MAX])
{
        time_t t = (time_t)when;
        struct tm tm;
        if (when < 0 || !gmtime_r(&t, &tm) || tm.tm_year > 9999 - 1900)
                snprintf(buf, FG_BILL_WHEN_MAX, "%" PRId64, when);
        else
                strftime(buf, FG_BILL_WHEN_MAX, form, &tm);
        return buf;
}

char *fg_bill_when_format(int64_t when, char buf[FG_BILL_WHEN_MAX])
{
        return format(when, "%Y-%m-%dT%H:%M:%SZ", buf);
}

char *fg_bill_month_format(int64_t when, char buf[FG_BILL_WHEN_MAX])
{
        return format(when, "%Y-%m", buf);
}
