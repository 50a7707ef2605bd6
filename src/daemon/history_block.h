/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of history packed into a block: what happened to one device, project or vGPU in each step (a minute or an hour) of
 * a span. A row holds what differs from the row before; steps in which nothing changed are one count. Pure.
 *
 * A block is a sequence of varints, low seven bits first. The first of a token is kind | (value << 2): REPEAT value more
 * steps like the last row; SKIP value steps of which nothing is known; ROW with the set of columns that differ, each
 * followed by its difference to the row before in zigzag. Before the first row all columns are 0. */
#ifndef FGD_HISTORY_BLOCK_H
#define FGD_HISTORY_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FGD_HISTORY_MINUTE 60
#define FGD_HISTORY_HOUR   3600

/* The position is what lies on the disk: only ever added to. Those that differ most often come first. Time of the GPU is in
 * ms: rounding carries on, so that sums are right. */
enum fgd_history_column {
        FGD_H_BUSY,     /* ms of device time, attributed */
        FGD_H_WAIT,     /* ms that threads waited at the gate */
        FGD_H_MEMORY,   /* bytes, the most at once */
        FGD_H_BURST,    /* GPU-ms beyond the reserve */
        FGD_H_COST,     /* millionths of the currency */
        FGD_H_OCCUPIED, /* ms: N1 of sched/perf.h */
        FGD_H_NATIVE,   /* ms: N3 */
        FGD_H_RESERVED, /* GPU-ms */
        FGD_H_WALL,     /* ms that it was metered */
        FGD_H_SERVABLE, /* ms: N0 */
        FGD_H_LOST,     /* ms: N3 - N4 */
        FGD_H_UNKNOWN,  /* ms of BUSY on a device that was not calibrated */
        FGD_H_IDLE,     /* GPU-ms that nobody pays */
        FGD_H_REFUSALS,
        FGD_H_QUOTA,       /* bytes */
        FGD_H_SHARE,       /* permille asked for */
        FGD_H_STATE,       /* enum fg_meter_state, of vGPUs */
        FGD_H_COUNT,       /* vGPUs, of others */
        FGD_H_TEMPERATURE, /* degrees Celsius + 1, the most; 0: not known */
        FGD_H_ENERGY,      /* mJ; 0: not known */
        FGD_H_COLUMNS,
};

struct fgd_history_row {
        uint64_t value[FGD_H_COLUMNS];
};

enum fgd_history_fold { FGD_FOLD_SUM, FGD_FOLD_MOST, FGD_FOLD_LAST };
/* What becomes of a column over time. */
enum fgd_history_fold fgd_history_fold_of(enum fgd_history_column column);
/* `more` comes after `to` in time. */
void fgd_history_fold(struct fgd_history_row *to, const struct fgd_history_row *more);
/* `more` is of another vGPU at the same time: everything adds up, but states, of which the first stays. */
void fgd_history_add(struct fgd_history_row *to, const struct fgd_history_row *more);

struct fgd_history_block {
        char *data;
        size_t size, room;
        int64_t start, next; /* unix s: of the first step, and of the one that comes next; start == next: it is empty */
        uint32_t repeats;    /* steps like `last` that are not in `data` yet */
        struct fgd_history_row last;
};

/* A step; `at` may not be before block->next. Of an empty block it is the first. -ENOMEM: the row is lost, the block as before. */
int fgd_history_block_add(struct fgd_history_block *block, int64_t at, int64_t step, const struct fgd_history_row *row);
/* Writes down what is counted only. -ENOMEM. */
int fgd_history_block_close(struct fgd_history_block *block);
/* Forgets the rows, for the next block. */
void fgd_history_block_reset(struct fgd_history_block *block);
void fgd_history_block_free(struct fgd_history_block *block);

/* Reads blocks, also such as somebody has scribbled on: reading ends where they make no sense. */
struct fgd_history_reader {
        const unsigned char *at, *end;
        int64_t next, step, until;
        uint32_t repeats;
        struct fgd_history_row row;
};
/* `until`: rows from there on are left out. */
void fgd_history_read(struct fgd_history_reader *reader, const void *data, size_t size, int64_t start, int64_t step, int64_t until);
/* False: there is no more. The row is reader->row. */
bool fgd_history_next(struct fgd_history_reader *reader, int64_t *ret_at);

#endif
