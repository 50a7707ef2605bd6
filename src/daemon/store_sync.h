/* SPDX-License-Identifier: Apache-2.0
 * Commits that wait for the disk in a thread of their own. A request's change is written into SQLite's log, which a kill does not take away,
 * and done; its answer is kept back until the log is on the disk, and meanwhile others are served. All that was written until a sync began is
 * on the disk when it ends. docs/design/daemon.md, "Who waits for the disk". */
#ifndef FGD_STORE_SYNC_H
#define FGD_STORE_SYNC_H

#include "daemon/store.h"

#include <sys/queue.h>
#include <systemd/sd-event.h>

struct fgd_store_watcher {
        void (*settled)(void *user); /* something more is on the disk */
        /* The disk did not take it: the log was cut back to what is on the disk, who waited was told, and memory knows more than it should.
         * Every transaction is refused from now on. */
        void (*failed)(void *user, const struct fg_error *why);
        void *user;
};

/* Without it every commit waits where it is made. The watcher is told from the loop. */
int fgd_store_sync_start(struct fgd_store *store, sd_event *event, const struct fgd_store_watcher *watcher, struct fg_error *err);
/* Waits for the disk, tells who waits, and ends the thread. Harmless if none was started. */
void fgd_store_sync_stop(struct fgd_store *store);

/* Whether transactions from here on may return before they are on the disk. Nothing outside the store that outlives the machine may be done
 * on account of one before fgd_store_settle(). Returns how it was. */
bool fgd_store_defer(struct fgd_store *store, bool is_deferred);
/* All that was written is on the disk. */
bool fgd_store_is_settled(const struct fgd_store *store);
bool fgd_store_has_failed(const struct fgd_store *store);
/* And what was refused may be there all the same. */
bool fgd_store_is_uncertain(const struct fgd_store *store);
bool fgd_store_is_deferred(const struct fgd_store *store);
/* Makes it so, waiting here. Who waits is told by the loop. */
int fgd_store_settle(struct fgd_store *store, struct fg_error *err);

/* Lies inside what waits. */
struct fgd_store_wait {
        TAILQ_ENTRY(fgd_store_wait) order;
        uint64_t commit;
        void (*done)(struct fgd_store_wait *wait, bool is_kept);
};
/* done() follows from the loop when all that is written now is on the disk, or will not be. Where commits are not deferred, it is so already. */
void fgd_store_wait(struct fgd_store *store, struct fgd_store_wait *wait);
/* It waits no more, and is not told. */
void fgd_store_leave(struct fgd_store *store, struct fgd_store_wait *wait);

#endif
