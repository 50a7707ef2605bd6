/* SPDX-License-Identifier: Apache-2.0
 * What is written down beside a change and in its own transaction: who asked for it (audit), what happened (events), and the
 * answer, for whoever asks again with the same key. What changes nothing (a refusal) is written within a second. */
#ifndef FGD_JOURNAL_H
#define FGD_JOURNAL_H

#include "daemon/events.h"
#include "daemon/tenants.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#define FGD_AUDIT_PENDING_MAX 4096u /* refusals that wait to be written */
#define FGD_AUDIT_FLOODS      256u  /* callers with a row of their own in one minute, for what is only counted */

struct fgd_audit {
        TAILQ_ENTRY(fgd_audit) order;
        int64_t seq;  /* 0: not written yet */
        int64_t time; /* unix, ms */
        int64_t project;
        unsigned status, count;
        char actor[80], via[40], from[64], action[48], target[160], project_name[64], problem[24];
        bool is_flood;          /* refused before it was looked at: counted, one row a minute; journal_flood.c */
        bool is_dirty, is_put;  /* such a row: counted since it was written; written by the transaction that is being committed */
        uint64_t began;         /* its minute, fg_now() */
};
TAILQ_HEAD(fgd_audit_list, fgd_audit);

/* The answer to a request with a key. */
struct fgd_reply {
        char principal[40], key[129], target[96];
        uint8_t hash[32];
        unsigned status;
        const char *body; /* NULL: too long to keep; it is written again from the target */
        size_t size;
};

struct fgd_journal {
        struct fgd_manager *manager;
        struct fgd_audit *current; /* of the request at hand */
        struct fgd_reply *reply;
        void (*ready)(void *user, const void *object);
        void *ready_user;
        bool is_written; /* by the transaction that is being committed: the request's row and reply */
        struct fgd_audit_list pending, amended; /* refusals; rows whose request ended otherwise than was written */
        uint32_t pending_count;
        struct fgd_audit_list floods; /* of the last minute */
        uint32_t flood_count;
        bool is_flood_dirty;
        bool failed; /* said once */
        struct fgd_event_list staged, noted; /* of the change at hand; of no change */
        uint32_t noted_count;
        bool events_written;
        sd_event_source *timer, *flood_timer;
};

int fgd_journal_new(struct fgd_manager *manager, struct fg_error *err);
/* Writes what waits. */
void fgd_journal_free(struct fgd_manager *manager);

/* A request begins that changes something: its row, taken by fgd_journal_end(). NULL: out of memory. */
struct fgd_audit *fgd_journal_begin(struct fgd_manager *manager);
/* How it ended. */
void fgd_journal_end(struct fgd_manager *manager, struct fgd_audit *row, unsigned status, const char *problem);
/* What it is about, for the row at hand, if there is one. */
void fgd_journal_project(struct fgd_manager *manager, const struct fgd_project *project);
__attribute__((format(printf, 2, 3))) void fgd_journal_target(struct fgd_manager *manager, const char *format, ...);
/* The object of the change is complete and about to be written: its answer can be composed, so that it is kept with it. */
void fgd_journal_ready(struct fgd_manager *manager, const void *object);
/* Nobody could tell what it was to be: no HTTP, or not all of it. `local`: the uid that called; -1: over the network. */
void fgd_journal_malformed(struct fgd_manager *manager, uid_t local, const char *from, unsigned status);
/* Writes what waits now. */
int fgd_journal_flush(struct fgd_manager *manager);
void fgd_journal_soon(struct fgd_journal *journal);

/* --- journal_flood.c --- */

/* Counts it with the caller's of this minute, or begins a row; takes it. */
void fgd_flood_add(struct fgd_journal *journal, struct fgd_audit *row);
/* Within a transaction, and after it. */
int fgd_flood_write(struct fgd_journal *journal, struct fg_error *err);
void fgd_flood_settle(struct fgd_journal *journal, bool is_committed);

#endif
