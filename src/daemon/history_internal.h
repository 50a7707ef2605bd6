/* SPDX-License-Identifier: Apache-2.0
 * What the history's files share: history.c (who there is, and when what is written), history_feed.c (from the metering),
 * history_file.c (the file), history_get.c (for who asks). */
#ifndef FGD_HISTORY_INTERNAL_H
#define FGD_HISTORY_INTERNAL_H

#include "daemon/history.h"
#include "daemon/table.h"

#include <sqlite3.h>
#include <sys/queue.h>

enum fgd_history_level { FGD_HISTORY_MINUTES, FGD_HISTORY_HOURS, FGD_HISTORY_LEVELS };

/* A block is written every FGD_HISTORY_WRITE_EVERY steps of minutes, and is complete after its span. When, is different for each
 * subject, so that never all are written at once. */
#define FGD_HISTORY_MINUTES_SPAN 3600
#define FGD_HISTORY_HOURS_SPAN   86400
#define FGD_HISTORY_WRITE_EVERY  10

/* One device, project or vGPU that there is now. */
struct fgd_history_subject {
        struct fgd_node node;
        TAILQ_ENTRY(fgd_history_subject) order;
        enum fgd_history_kind kind;
        char key[64]; /* uuid, or the project's name */
        char *name, *project, *user, *device;
        char currency[8];
        int64_t id;              /* in the file; 0: not there yet */
        int64_t first, fed;      /* unix s: its first and last minute; fed 0: none yet */
        uint32_t phase;          /* minutes by which it is written later than others */
        bool is_gone, is_changed; /* it gets no more minutes; more than idling came since it was written */
        struct fgd_history_block block[FGD_HISTORY_LEVELS];
        struct fgd_history_row hour; /* so far, of the hour that began at hour_at; 0: nothing */
        int64_t hour_at;
        struct fgd_history_row *sum; /* of the minute at sum_at, from its vGPUs; not of vGPUs; us and billionths */
        int64_t sum_at;
        uint16_t carry[FGD_H_COLUMNS]; /* what rounding left for the next minute */
        uint64_t wait_ns, refusals;    /* as counted by the end of its last minute */
};
TAILQ_HEAD(fgd_history_subjects, fgd_history_subject);

/* A block that is complete, and not in the file yet. */
struct fgd_history_done {
        STAILQ_ENTRY(fgd_history_done) order;
        struct fgd_history_subject *subject;
        enum fgd_history_level level;
        int64_t start, until;
        char currency[8];
        char *data;
        size_t size;
};

enum fgd_history_statement {
        FGD_HQ_BEGIN,
        FGD_HQ_COMMIT,
        FGD_HQ_ROLLBACK,
        FGD_HQ_ADD_SUBJECT,
        FGD_HQ_FIND_SUBJECT,
        FGD_HQ_TOUCH_SUBJECT,
        FGD_HQ_ADD_MINUTES,
        FGD_HQ_ADD_HOURS,
        FGD_HQ_PUT_OPEN,
        FGD_HQ_DROP_OPEN,
        FGD_HQ_READ_MINUTES,
        FGD_HQ_READ_HOURS,
        FGD_HQ_LIST,
        FGD_HQ_LIST_OF,
        FGD_HQ_TRIM_MINUTES,
        FGD_HQ_TRIM_HOURS,
        FGD_HQ_TRIM_SUBJECTS,
        FGD_HQ_OLDEST_HOUR,
        FGD_HQ_PAGES,
        FGD_HQ_FREE_PAGES,
        FGD_HQ_COUNT,
};

struct fgd_history {
        struct fgd_manager *manager;
        struct fgd_table table;
        struct fgd_history_subjects subjects;
        STAILQ_HEAD(, fgd_history_done) done;
        int64_t turned; /* unix s: the last minute that is complete */
        /* The price of a GPU-hour in the window at hand, of mode share and cap. */
        const struct fgd_device *priced;
        int64_t priced_at, price[2];
        char currency[2][8];

        sqlite3 *db; /* NULL: not usable now */
        sqlite3_stmt *statement[FGD_HQ_COUNT];
        char path[4096];
        char why[FG_ERROR_MAX]; /* "": all is well */
        int64_t retry_at;       /* of opening it, unix s */
        uint64_t pages_max;
};

/* --- history.c --- */

struct fgd_history_subject *fgd_history_find(const struct fgd_history *history, enum fgd_history_kind kind, const char *key);
/* Makes it if there is none. NULL: out of memory. */
struct fgd_history_subject *fgd_history_of(struct fgd_history *history, enum fgd_history_kind kind, const char *key);
/* A minute of it, us and billionths. */
void fgd_history_commit(struct fgd_history *history, struct fgd_history_subject *subject, int64_t start, const struct fgd_history_row *row);

/* All that is open is complete: what comes is in blocks of its own. */
void fgd_history_retire(struct fgd_history *history, struct fgd_history_subject *subject);

/* Blocks that are complete, to the file; and forgets them. */
int fgd_history_write_done(struct fgd_history *history, struct fg_error *err);
void fgd_history_drop_done(struct fgd_history *history);

/* --- history_file.c --- */

/* 0, or `why` says what is wrong. */
int fgd_history_open(struct fgd_history *history);
void fgd_history_close(struct fgd_history *history);
int fgd_history_begin(struct fgd_history *history, struct fg_error *err);
/* Commits if `r` is 0. */
int fgd_history_end(struct fgd_history *history, int r, struct fg_error *err);
/* Sets subject->id. */
int fgd_history_put_subject(struct fgd_history *history, struct fgd_history_subject *subject, struct fg_error *err);
int fgd_history_put_done(struct fgd_history *history, const struct fgd_history_done *done, struct fg_error *err);
/* The block so far. */
int fgd_history_put_open(struct fgd_history *history, const struct fgd_history_subject *subject, enum fgd_history_level level,
                         const struct fgd_history_block *block, struct fg_error *err);
/* Lets go of what is too old or too much; a part of it at a time. */
int fgd_history_trim(struct fgd_history *history, struct fg_error *err);
int fgd_history_error(const struct fgd_history *history, int code, struct fg_error *err);

#endif
