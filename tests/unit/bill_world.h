/* SPDX-License-Identifier: Apache-2.0
 * A log as a daemon would write it: prices, windows with random usage, gaps, budgets, invoices. In memory. */
#ifndef FG_TESTS_BILL_WORLD_H
#define FG_TESTS_BILL_WORLD_H

#include "base/cleanup.h"
#include "bill/check.h"

#define WORLD_RECORDS 4096
#define WORLD_START   1793491200ll /* 2026-11-01T00:00:00Z */

struct world {
        struct fg_bill_books *books;
        struct fg_tlog_key key;
        struct fg_tlog_tree tree;
        char *line[WORLD_RECORDS]; /* texts, without newlines */
        struct fg_tlog_hash leaf[WORLD_RECORDS];
        enum fg_bill_type type[WORLD_RECORDS];
        size_t count;
        uint64_t random;
};

/* The log of node n7, whose key is known. */
void world_begin(struct world *world, uint64_t seed);
void world_prices(struct world *world, const char *csv, int64_t time);
void world_window(struct world *world, const char *device, int64_t start, int vgpus);
void world_invoice(struct world *world, const char *project, const char *currency, int64_t from, int64_t until, const char *number);
void world_add(struct world *world, struct fg_bill_record *record);
void world_end(struct world *world);

/* The whole of November 2026, thinly: about 150 records. */
void world_november(struct world *world, uint64_t seed);

void world_sign(const struct world *world, char ret[FG_TLOG_NOTE_MAX]);
/* Texts as a file of lines; the caller closes it. */
FILE *world_file(const struct world *world);
FILE *world_hashes(const struct world *world);

#endif
