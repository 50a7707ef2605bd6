/* SPDX-License-Identifier: Apache-2.0
 * money_log FOLDER VGPUS MINUTES: writes a money log of so many vGPUs and minutes into the folder, and says what its parts take, in ms:
 * to put a minute on record, to sign, to keep the books, and to open it with and without what was kept. */
#include "daemon/moneylog.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define START 1793491200ll
#define PIECE 128 /* lines: FGD_METER_PIECE */

static double now_ms(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void must(int r, const char *what, const struct fg_error *err)
{
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, err->text);
        exit(1);
}

static void fill(struct fg_meter_line *line, size_t count, int64_t seed)
{
        for (size_t i = 0; i < count; i++)
                line[i] = (struct fg_meter_line){.segment = {{0, (uint32_t)(900000 / count), (uint32_t)(900000 / count), i % 3 == 0, FG_METER_RUN}},
                                                 .segments = 1,
                                                 .end = FG_METER_WINDOW_US,
                                                 .busy_us = i % 3 ? (seed + (int64_t)i * 7919) % (int64_t)(2 * FG_METER_WINDOW_US / count) : 0};
}

/* ret: the longest piece, and its end, which is written and synced. */
static void put(struct fgd_moneylog *log, const struct fg_meter_window *window, struct fg_meter_line *const *line, size_t count, int64_t start,
                double ret[2])
{
        double before = now_ms(), now;
        ret[0] = 0;
        struct fg_error err = {0};
        struct fg_bill_record head = {.type = FG_BILL_WINDOW, .window = {.start = start, .device = "d0", .model = "m", .wall = window->wall_us,
                                      .beta = window->beta_ppm, .lines = (int64_t)count, .idle = window->idle}};
        fgd_moneylog_begin(log);
        must(fgd_moneylog_add(log, &head, &err), "window", &err);
        for (size_t i = 0; i < count; i++) {
                const struct fg_meter_line *l = line[i];
                struct fg_bill_record record = {.type = FG_BILL_USAGE};
                struct fg_bill_usage *u = &record.usage;
                snprintf(u->vgpu, sizeof u->vgpu, "5f9e0000-0000-4000-8000-%012zu", i);
                snprintf(u->name, sizeof u->name, "train%zu/0", i);
                snprintf(u->project, sizeof u->project, "project%zu", i % 20);
                snprintf(u->mode, sizeof u->mode, "%s", fg_bill_mode(l));
                fg_bill_segments_write(l, u->segments);
                fg_bill_books_place(fgd_moneylog_books(log), u);
                u->end = l->end, u->busy = l->busy_us, u->busy_cap = l->busy_cap_us, u->conserved = l->conserved_us;
                u->conserved_cap = l->conserved_cap_us, u->reserved = l->reserved, u->burst = l->burst, u->surcharge = l->surcharge;
                u->unused = l->unused, u->credit = l->credit, u->rebate = l->rebate;
                must(fgd_moneylog_add(log, &record, &err), "usage", &err);
                if (i % PIECE == PIECE - 1 || i + 1 == count) {
                        now = now_ms();
                        ret[0] = now - before > ret[0] ? now - before : ret[0];
                        before = now;
                }
        }
        must(fgd_moneylog_end(log, &err), "end", &err);
        ret[1] = now_ms() - before;
}

static double open_ms(const char *folder, uint64_t *ret_trusted)
{
        struct fgd_moneylog *log;
        struct fg_error err = {0};
        double before = now_ms();
        must(fgd_moneylog_open(folder, START, &log, &err), "open", &err);
        double took = now_ms() - before;
        *ret_trusted = fgd_moneylog_trusted(log);
        if (*fgd_moneylog_trouble(log))
                must(-1, fgd_moneylog_trouble(log), &err);
        fgd_moneylog_close(log);
        return took;
}

int main(int argc, char **argv)
{
        if (argc != 4) {
                fprintf(stderr, "usage: %s FOLDER VGPUS MINUTES\n", argv[0]);
                return 2;
        }
        size_t count = strtoul(argv[2], NULL, 10), minutes = strtoul(argv[3], NULL, 10);
        struct fg_meter_line *line = calloc(count, sizeof *line), **view = calloc(count, sizeof *view);
        double *settle = calloc(minutes + 1, sizeof *settle), *record = calloc(minutes + 1, sizeof *record);
        double (*part)[2] = calloc(minutes + 1, sizeof *part);
        struct fgd_moneylog *log;
        struct fg_error err = {0};
        char path[4096];
        uint64_t trusted;
        must(fgd_moneylog_open(argv[1], START, &log, &err), "open", &err);
        for (size_t i = 0; i < count; i++)
                view[i] = &line[i];
        for (size_t i = 0; i < minutes; i++) {
                struct fg_meter_window window = {.wall_us = FG_METER_WINDOW_US, .beta_ppm = 500000};
                fill(line, count, (int64_t)i);
                double before = now_ms();
                must(fg_meter_settle(&window, view, count, &err), "settle", &err);
                settle[i] = now_ms() - before;
                before = now_ms();
                put(log, &window, view, count, START + (int64_t)i * 60, part[i]);
                record[i] = now_ms() - before;
        }
        double before = now_ms();
        must(fgd_moneylog_sign(log, START, &err), "sign", &err);
        double sign = now_ms() - before;
        before = now_ms();
        must(fgd_moneylog_keep(log, START, &err), "keep", &err);
        double keep = now_ms() - before;
        uint64_t records = fgd_moneylog_size(log);
        unsigned sums = fg_bill_books_sums(fgd_moneylog_books(log))->count;
        fgd_moneylog_close(log);
        double kept = open_ms(argv[1], &trusted);
        snprintf(path, sizeof path, "%s/books", argv[1]);
        unlink(path);
        uint64_t none;
        double whole = open_ms(argv[1], &none);
        printf("{\"records\": %llu, \"sums\": %u, \"trusted\": %llu, \"sign\": %.3f, \"keep\": %.3f, \"open_kept\": %.3f, \"open_whole\": %.3f, "
               "\"settle\": [", (unsigned long long)records, sums, (unsigned long long)trusted, sign, keep, kept, whole);
        for (size_t i = 0; i < minutes; i++)
                printf("%s%.3f", i ? ", " : "", settle[i]);
        printf("], \"record\": [");
        for (size_t i = 0; i < minutes; i++)
                printf("%s%.3f", i ? ", " : "", record[i]);
        for (int which = 0; which < 2; which++) {
                printf("], \"%s\": [", which ? "end" : "piece");
                for (size_t i = 0; i < minutes; i++)
                        printf("%s%.3f", i ? ", " : "", part[i][which]);
        }
        puts("]}");
        return 0;
}
