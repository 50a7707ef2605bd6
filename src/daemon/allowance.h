/* SPDX-License-Identifier: Apache-2.0
 * So many tasks a second, whoever wants them done: those who wait take turns, caller by caller. For what costs others too much if it is done as
 * fast as it can be asked for, docs/design/fairness.md. */
#ifndef FGD_ALLOWANCE_H
#define FGD_ALLOWANCE_H

#include "daemon/fair.h"

/* Bodies that will be refused are read to their end, so that the refusal arrives, and thrown away. */
#define FGD_DISCARD_NS    1000000u /* from one read, of 8 KiB, to the next: a few hundredths of the thread's time */
#define FGD_DISCARD_SAVED 64u      /* so many at once after a pause: who sends half a megabyte too much is told so without delay */

/* What people who are no admins change beyond their own (fair.h), while others ask, too. */
#define FGD_CHANGE_NS    5000000u /* each takes some 60 us and asks the disk */
#define FGD_CHANGE_SAVED 8u

struct fgd_allowance;

/* `period`: ns from one to the next; `saved`: so many at once after a pause, 1 or more. */
struct fgd_allowance *fgd_allowance_new(uint64_t period, unsigned saved);
void fgd_allowance_free(struct fgd_allowance *allowance); /* NULL is fine; tasks are their owners' */
/* Whether one more is done now; otherwise it is to be pushed. */
bool fgd_allowance_admits(struct fgd_allowance *allowance, uint64_t now);
/* fgd_fair_remove() takes it out. false: out of memory. */
bool fgd_allowance_push(struct fgd_allowance *allowance, uint64_t key, struct fgd_task *task);
/* Whose task is done now; NULL: nobody's yet. */
struct fgd_task *fgd_allowance_pop(struct fgd_allowance *allowance, uint64_t now);

/* --- in the event loop --- */

int fgd_allowance_start(struct fgd_manager *manager, uint64_t period, unsigned saved, struct fgd_allowance **ret);
/* Its turn will come. false: out of memory. */
bool fgd_allowance_later(struct fgd_allowance *allowance, uint64_t key, struct fgd_task *task);

#endif
