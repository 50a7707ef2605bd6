/* SPDX-License-Identifier: Apache-2.0
 * A body that will be refused is read to its end, so that the refusal arrives, and thrown away. Read as fast as it can be sent, that is work for
 * nothing by the gigabyte. So all connections together have an allowance of reads, and those who wait for it take turns, caller by caller. */
#ifndef FGD_DISCARD_H
#define FGD_DISCARD_H

#include "daemon/fair.h"

#define FGD_DISCARD_NS    1000000u /* from one read, of 8 KiB, to the next: a few hundredths of the thread's time */
#define FGD_DISCARD_SAVED 64u      /* so many at once after a pause: who sends half a megabyte too much is told so without delay */

struct fgd_discard;

struct fgd_discard *fgd_discard_new(void);
void fgd_discard_free(struct fgd_discard *discard); /* NULL is fine; tasks are their owners' */
/* Whether one more read is made now; otherwise it is to be pushed. */
bool fgd_discard_admits(struct fgd_discard *discard, uint64_t now);
/* fgd_fair_remove() takes it out. false: out of memory. */
bool fgd_discard_push(struct fgd_discard *discard, uint64_t key, struct fgd_task *task);
/* Whose read is made now; NULL: nobody's yet. */
struct fgd_task *fgd_discard_pop(struct fgd_discard *discard, uint64_t now);

/* --- in the event loop --- */

int fgd_discard_start(struct fgd_manager *manager);
void fgd_discard_stop(struct fgd_manager *manager);
/* Its turn will come. false: out of memory. */
bool fgd_discard_later(struct fgd_manager *manager, uint64_t key, struct fgd_task *task);

#endif
