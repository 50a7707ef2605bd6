/* SPDX-License-Identifier: Apache-2.0
 * A project's month: report.c (what the daemon says), report_rows.c (what to do about each vGPU), report_page.c and
 * report_chart.c (the page), report_text.c (what may stand in a page). */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "bill/advice.h"
#include "cli/cli.h"
#include "sched/perf.h"

#include <stdio.h>

/* One vGPU. What is not known of it is NULL; the texts are the answers'. */
struct cli_report_row {
        const json_t *usage;   /* of the bill */
        const json_t *history; /* what it did */
        const json_t *vgpu;    /* as it is now; NULL: gone */
        const json_t *device;
        const char *set;       /* its set's name, while it is there */
        char currency[8];      /* of its savings; "": no price is in force */
        struct fg_bill_advice advice;
};

struct cli_report {
        char project[80], month[24], from[24], until[24], made[24];
        int64_t from_s, until_s;
        json_t *usage, *days, *invoices, *history, *course, *prices, *devices, *sets, *budgets; /* answers */
        char no_history[256]; /* why there is none; "": there is */
        struct cli_report_row *row; /* in the order of what they cost */
        size_t rows;
        struct fg_perf factors;
        bool is_calibrated;
};

/* --- report_rows.c --- */

/* 0, or the exit code, said. */
int cli_report_make_rows(struct cli_report *report);
/* "resize: it held 8GiB and never used more than 3GiB", and what to type; "" where there is nothing to do. */
void cli_report_reason(const struct cli_report_row *row, char *ret, size_t len);
void cli_report_command(const struct cli_report *report, const struct cli_report_row *row, char *ret, size_t len);
bool cli_report_is_advised(const struct cli_report_row *row);
const char *cli_report_name(const struct cli_report_row *row);
/* The series' value at i; false: nothing is known. */
bool cli_report_at(const struct cli_report *report, const char *series, size_t i, double *ret);
double cli_report_sum(const struct cli_report *report, const char *series);

/* --- report_text.c --- */

/* Text of others: escaped, its direction its own, without control characters, cut when it is long. */
void cli_report_put(FILE *out, const char *text);
/* "12.35 EUR" of an exact amount, which stands beside it for programs. */
void cli_report_put_money(FILE *out, const char *amount, const char *currency);
/* Rounded to the currency's coin; `amount` as it is where it cannot be read. */
const char *cli_report_coins(const char *amount, const char *currency, char *buf, size_t len);
const char *cli_report_nano(int64_t nano, const char *currency, char *buf, size_t len);
/* "3.8 GiB" */
const char *cli_report_bytes(double bytes, char *buf, size_t len);

/* --- report_chart.c --- */

void cli_report_charts(const struct cli_report *report, FILE *out);

/* --- report_page.c --- */

void cli_report_page(const struct cli_report *report, FILE *out);

#endif
