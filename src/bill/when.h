/* SPDX-License-Identifier: Apache-2.0
 * Points in time and months as people write them, in UTC whatever the machine's time zone. */
#ifndef FG_BILL_WHEN_H
#define FG_BILL_WHEN_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define FG_BILL_WHEN_MAX 24u /* "2026-11-01T00:00:00Z" and its NUL */
#define FG_BILL_DAY      86400

/* "2026-11-01", "2026-11-01T08:30Z", "2026-11-01T08:30:00Z" -> unix seconds; years 1970 to 9999. -EINVAL. */
int fg_bill_when_parse(const char *text, int64_t *ret, struct fg_error *err);
/* "2026-11" -> its first second and the next month's. -EINVAL. */
int fg_bill_month_parse(const char *text, int64_t *ret_from, int64_t *ret_until, struct fg_error *err);
/* The month that `when` is in. */
void fg_bill_month_of(int64_t when, int64_t *ret_from, int64_t *ret_until);

/* Return buf. What no year of four digits has is shown as a number. */
char *fg_bill_when_format(int64_t when, char buf[FG_BILL_WHEN_MAX]);  /* "2026-11-01T08:30:00Z" */
char *fg_bill_month_format(int64_t when, char buf[FG_BILL_WHEN_MAX]); /* "2026-11" */

#endif
