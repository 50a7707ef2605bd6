/* SPDX-License-Identifier: Apache-2.0
 * Groups for logs under test. */
#ifndef MONEYLOG_MAKE_H
#define MONEYLOG_MAKE_H

#include "daemon/moneylog.h"

#define START 1793491200ll /* 2026-11-01T00:00:00Z */
#define VGPUS 3

static const char *window_user = "ann"; /* of all usage: another one makes another history */

static inline int window(struct fgd_moneylog *log, int64_t start, struct fg_error *err)
{
        struct fg_meter_line line[VGPUS], *view[VGPUS];
        struct fg_meter_window settled = {.wall_us = FG_METER_WINDOW_US, .beta_ppm = 500000};
        for (int i = 0; i < VGPUS; i++) {
                line[i] = (struct fg_meter_line){.segment = {{0, 200000, 300000, i == 0, FG_METER_RUN}}, .segments = 1,
                                                 .end = FG_METER_WINDOW_US, .busy_us = i ? 20000000 : 0};
                view[i] = &line[i];
        }
        assert_int_equal(fg_meter_settle(&settled, view, VGPUS, NULL), 0);
        struct fg_bill_record head = {.type = FG_BILL_WINDOW, .window = {.start = start, .device = "d0", .model = "m",
                                      .wall = settled.wall_us, .beta = 500000, .lines = VGPUS, .idle = settled.idle}};
        fgd_moneylog_begin(log);
        int r = fgd_moneylog_add(log, &head, err);
        for (int i = 0; r == 0 && i < VGPUS; i++) {
                struct fg_bill_record record = {.type = FG_BILL_USAGE};
                struct fg_bill_usage *u = &record.usage;
                const struct fg_meter_line *l = &line[i];
                snprintf(u->vgpu, sizeof u->vgpu, "v%d", i);
                strcpy(u->project, "lab");
                snprintf(u->user, sizeof u->user, "%s", window_user);
                strcpy(u->mode, fg_bill_mode(l));
                fg_bill_segments_write(l, u->segments);
                u->end = l->end, u->busy = l->busy_us, u->conserved = l->conserved_us, u->conserved_cap = l->conserved_cap_us;
                u->reserved = l->reserved, u->burst = l->burst, u->surcharge = l->surcharge, u->unused = l->unused;
                u->credit = l->credit, u->rebate = l->rebate;
                assert_int_equal(fg_bill_books_place(fgd_moneylog_books(log), u), 0);
                r = fgd_moneylog_add(log, &record, err);
        }
        return r < 0 ? r : fgd_moneylog_end(log, err);
}

static inline int prices(struct fgd_moneylog *log)
{
        static const char csv[] = "currency,price\nEUR,2\n";
        struct fg_bill_prices list;
        if (fg_bill_books_prices(fgd_moneylog_books(log))->list)
                return 0;
        assert_int_equal(fg_bill_prices_parse(csv, strlen(csv), &list, NULL), 0);
        int r = fgd_moneylog_prices(log, &list, START, NULL);
        fg_bill_prices_clear(&list);
        return r;
}

#endif
