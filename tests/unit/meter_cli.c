/* SPDX-License-Identifier: Apache-2.0
 * Histories of usage on standard input, what is billed for them on standard output: for test_meter_oracle.py. One
 * letter and its whole numbers each:
 *
 *      H DECIMALS                              a history begins
 *      W WALL BETA PRICE                       a window begins
 *      L VGPU END BUSY BUSY_CAP                a line of it
 *      S FROM MEMORY SHARE CAP STATE           a segment of the line, as it is
 *      C AT MEMORY SHARE CAP STATE             a change of the line
 *      X                                       settles the window; prints idle, and for each line all that the rule
 * says of it E                                       ends the history; prints what each vGPU pays for all of it,
 * exactly and rounded, its credits rounded as an amount below 0, and the cost of idle and of the whole GPU */
#include "sched/meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 512

static struct fg_meter_line line[LINES_MAX], *view[LINES_MAX];
static int64_t vgpu[LINES_MAX]; /* of each line */
static size_t lines;
static struct fg_meter_window window;
static int64_t price, decimals;
static fg_int128 cost[LINES_MAX], credits[LINES_MAX], idle, whole; /* of the history */

__attribute__((noreturn)) static void die(const char *what)
{
        fprintf(stderr, "meter_cli: %s\n", what);
        exit(1);
}

static void read_numbers(int64_t *ret, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (scanf("%" SCNd64, &ret[i]) != 1)
                        die("a number is missing");
}

static void begin_line(const int64_t n[4])
{
        if (lines == LINES_MAX || n[0] < 0 || n[0] >= LINES_MAX)
                die("too many lines");
        memset(&line[lines], 0, sizeof(line[lines]));
        line[lines].end = n[1], line[lines].busy_us = n[2], line[lines].busy_cap_us = n[3];
        view[lines] = &line[lines];
        vgpu[lines++] = n[0];
}

static void add_segment(char how, const int64_t n[5])
{
        struct fg_meter_segment s = {n[0], (uint32_t)n[1], (uint32_t)n[2], n[3] != 0, (enum fg_meter_state)n[4]};
        struct fg_meter_line *l = lines ? &line[lines - 1] : NULL;
        if (!l || (how == 'S' && l->segments == FG_METER_SEGMENTS))
                die("no line for this segment");
        if (how == 'C') {
                fg_meter_change(l, n[0], &s);
                return;
        }
        if (l->segments == 0)
                l->begin = n[0];
        l->segment[l->segments++] = s;
}

static void add_cost(fg_int128 *to, fg_int128 ppmus)
{
        fg_int128 more = 0;
        if (fg_cost_of(ppmus, price, &more) < 0)
                die("a cost is too large");
        *to += more;
}

static void settle(void)
{
        struct fg_error err = {0};
        if (fg_meter_settle(&window, view, lines, &err) < 0)
                die(err.text);
        printf("%" PRId64 "\n", window.idle);
        for (size_t i = 0; i < lines; i++) {
                const struct fg_meter_line *l = &line[i];
                printf("%u %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
                       "\n",
                       l->segments, l->conserved_us, l->conserved_cap_us, l->reserved, l->burst, l->surcharge,
                       l->unused, l->credit, l->rebate);
                add_cost(&cost[vgpu[i]], fg_meter_bill(l));
                add_cost(&credits[vgpu[i]], -l->credit);
        }
        add_cost(&idle, window.idle);
        add_cost(&whole, window.wall_us * FG_PPM);
}

static void end_history(void)
{
        char a[FG_NUMBER_MAX], b[FG_NUMBER_MAX];
        for (size_t i = 0; i < LINES_MAX; i++)
                if (cost[i] || credits[i])
                        printf("%zu %s %" PRId64 " %" PRId64 "\n", i, fg_int128_format(cost[i], a, sizeof(a)),
                               fg_money_round(cost[i], (unsigned)decimals),
                               fg_money_round(credits[i], (unsigned)decimals));
        printf("%s %s\n", fg_int128_format(idle, a, sizeof(a)), fg_int128_format(whole, b, sizeof(b)));
}

int main(void)
{
        char what[2];
        while (scanf("%1s", what) == 1) {
                int64_t n[5];
                switch (what[0]) {
                case 'H':
                        read_numbers(&decimals, 1);
                        memset(cost, 0, sizeof(cost));
                        memset(credits, 0, sizeof(credits));
                        idle = whole = 0;
                        break;
                case 'W':
                        read_numbers(n, 3);
                        window = (struct fg_meter_window){.wall_us = n[0], .beta_ppm = (uint32_t)n[1]};
                        price = n[2];
                        lines = 0;
                        break;
                case 'L':
                        read_numbers(n, 4);
                        begin_line(n);
                        break;
                case 'S':
                case 'C':
                        read_numbers(n, 5);
                        add_segment(what[0], n);
                        break;
                case 'X':
                        settle();
                        break;
                case 'E':
                        end_history();
                        break;
                default:
                        die("no such letter");
                }
        }
        return 0;
}
