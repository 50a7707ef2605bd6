/* SPDX-License-Identifier: Apache-2.0
 * Who is served next. There is one thread: a caller who asks without end must wait, and others must not. What cannot be served at once is a
 * task in its caller's queue, and the callers take turns by the time that serving them took, not by the number of what they asked
 * (deficit round robin: Shreedhar and Varghese, 1995). docs/design/fairness.md has the reasons. */
#ifndef FGD_FAIR_H
#define FGD_FAIR_H

#include "daemon/table.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define FGD_FAIR_QUANTUM 50000     /* ns that a caller is given each time round */
#define FGD_FAIR_CREDIT  200000    /* ns that he may have saved */
#define FGD_FAIR_DEBT    20000000  /* ns that he may owe: what took longer is forgiven */
#define FGD_FAIR_PART    4u        /* he saves one part in so many of the time that passes */
#define FGD_FAIR_TURN    1000000u  /* ns of service at once in one turn of the loop, however alone somebody is */
#define FGD_FAIR_OWN       100000000ull /* ns from one change that he may make without asking what others change to the next, */
#define FGD_FAIR_OWN_SAVED 8ull         /* and how many of them he may have saved */
#define FGD_FAIR_CALLERS 4096u     /* remembered; of those without tasks the one longest silent is forgotten */

struct fgd_caller;
struct fgd_fair;
struct fgd_manager;

/* Lies inside what is to be done. */
struct fgd_task {
        void (*run)(struct fgd_task *task);
        struct fgd_caller *caller; /* NULL: it is in no queue */
        uint64_t ahead;            /* ns that what it lets go will take once it has run: its turn is that much longer */
        TAILQ_ENTRY(fgd_task) order;
};
TAILQ_HEAD(fgd_task_list, fgd_task);

struct fgd_fair *fgd_fair_new(void);
void fgd_fair_free(struct fgd_fair *fair); /* NULL is fine; tasks are their owners' */

/* The caller that `key` stands for. Valid until somebody else is asked for, or while he has tasks. NULL: out of memory. */
struct fgd_caller *fgd_fair_caller(struct fgd_fair *fair, uint64_t key, uint64_t now);
/* Another turn of the loop begins, in which each may be served at once again. */
void fgd_fair_turn(struct fgd_fair *fair);
/* Whether what he asks for is done at once; otherwise it is to be pushed. Alone he always is, up to a turn's time. Beside others: once a
 * turn, if he owes nothing and nothing of his waits. */
bool fgd_fair_admits(struct fgd_fair *fair, struct fgd_caller *caller, uint64_t now);
/* Nobody else has asked for a second. */
bool fgd_fair_is_alone(const struct fgd_fair *fair, uint64_t now);
/* He changes something: whether that is so seldom that nobody need mind; allowance.h has the others. */
bool fgd_fair_has_own(struct fgd_caller *caller, uint64_t now);
/* So long it took. */
void fgd_fair_charge(struct fgd_fair *fair, struct fgd_caller *caller, uint64_t ns);

void fgd_fair_push(struct fgd_fair *fair, struct fgd_caller *caller, struct fgd_task *task);
/* The same, before what waits already of his: the rest of what he had his turn with. */
void fgd_fair_push_rest(struct fgd_fair *fair, struct fgd_caller *caller, struct fgd_task *task);
/* The next task, and in *ret_caller whom to charge; NULL: there is none. */
struct fgd_task *fgd_fair_pop(struct fgd_fair *fair, struct fgd_caller **ret_caller);
/* Takes it out of its queue, if it is in one. */
void fgd_fair_remove(struct fgd_task *task);
bool fgd_fair_is_empty(const struct fgd_fair *fair);

/* --- fair_turn.c: the same in the event loop --- */

int fgd_fair_start(struct fgd_manager *manager);
void fgd_fair_stop(struct fgd_manager *manager);
/* Its turn will come. It may be pushed again while it runs. false: out of memory. */
bool fgd_fair_later(struct fgd_manager *manager, uint64_t key, struct fgd_task *task);
/* Its turn comes before what waits of the same caller: what is cut is done one after the other, not all of it at the same time. */
bool fgd_fair_rest(struct fgd_manager *manager, uint64_t key, struct fgd_task *task);

#endif
