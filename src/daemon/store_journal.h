/* SPDX-License-Identifier: Apache-2.0
 * Audit, events and remembered answers in the store. What puts is part of somebody's transaction; what reads is none. */
#ifndef FGD_STORE_JOURNAL_H
#define FGD_STORE_JOURNAL_H

#include "daemon/journal.h"
#include "daemon/store.h"

#define FGD_REPLIES_MAX      32768u /* remembered answers: all together */
#define FGD_REPLIES_USER     4096u  /* of one principal */
#define FGD_REPLY_BODY_MAX   16384u /* larger ones are written again from their object */
#define FGD_REPLIES_KEPT_SEC 86400

/* How many rows are kept; older ones go a few at a time. */
void fgd_store_keep(struct fgd_store *store, int64_t audit, int64_t events);

int fgd_store_put_audit(struct fgd_store *store, const struct fgd_audit *row, int64_t *ret_seq, struct fg_error *err);
int fgd_store_amend_audit(struct fgd_store *store, const struct fgd_audit *row, struct fg_error *err);
int fgd_store_put_event(struct fgd_store *store, const struct fgd_event *event, struct fg_error *err);
int fgd_store_put_reply(struct fgd_store *store, const struct fgd_reply *reply, struct fg_error *err);

/* The answer remembered for a key at `now` (unix time): 1 with *ret, whose body is the caller's to free; 0: none. */
struct fgd_kept_reply {
        uint8_t hash[32];
        unsigned status;
        char target[96];
        char *body; /* NULL: not kept */
};
int fgd_store_get_reply(struct fgd_store *store, const char *principal, const char *key, int64_t now, struct fgd_kept_reply *ret,
                        struct fg_error *err);

/* Newest first from before `before`, of one project unless that is 0, until row() returns other than 0. */
struct fgd_audit_row {
        int64_t seq, time, project;
        unsigned status, count;
        const char *actor, *via, *origin, *action, *target, *project_name, *problem;
};
int fgd_store_read_audit(struct fgd_store *store, int64_t before, int64_t project, int (*row)(void *user, const struct fgd_audit_row *row),
                         void *user, struct fg_error *err);

/* Oldest first from after `after`. */
struct fgd_event_row {
        int64_t seq, time, project;
        const char *project_name, *actor, *kind, *target, *text;
};
int64_t fgd_store_last_event(struct fgd_store *store); /* the number of the newest that can be read; 0: there is none */
int fgd_store_read_events(struct fgd_store *store, int64_t after, int64_t project, int (*row)(void *user, const struct fgd_event_row *row),
                          void *user, struct fg_error *err);

#endif
