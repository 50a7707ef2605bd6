/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/fair.h"

#include "base/clock.h"

#include <stdlib.h>

#define TOGETHER FG_NSEC_PER_SEC /* so long after another one has asked nobody is alone */

/* Active: he has tasks. */
struct fgd_caller {
        struct fgd_node node;
        struct fgd_fair *fair;
        uint64_t key, seen, turn;
        uint64_t next; /* when one more change of his is his own; what lies behind us is saved */
        int64_t left; /* ns that he may be served before it is the next one's turn; below 0: he owes them */
        struct fgd_task_list tasks;
        TAILQ_ENTRY(fgd_caller) active, age;
};
TAILQ_HEAD(callers, fgd_caller);

struct fgd_fair {
        struct fgd_table by_key;
        struct callers active, age; /* whose turn it is first; longest silent first */
        uint64_t turn, spent, last, mixed_at; /* spent: in this turn, at once; last: who asked; mixed_at: 0: nobody else ever did */
};

struct fgd_fair *fgd_fair_new(void)
{
        struct fgd_fair *fair = calloc(1, sizeof *fair);
        if (!fair)
                return NULL;
        TAILQ_INIT(&fair->active);
        TAILQ_INIT(&fair->age);
        fair->turn = 1;
        return fair;
}

static void forget(struct fgd_fair *fair, struct fgd_caller *caller)
{
        fgd_table_remove(&fair->by_key, &caller->node);
        TAILQ_REMOVE(&fair->age, caller, age);
        free(caller);
}

void fgd_fair_free(struct fgd_fair *fair)
{
        if (!fair)
                return;
        while (!TAILQ_EMPTY(&fair->age))
                forget(fair, TAILQ_FIRST(&fair->age));
        fgd_table_clear(&fair->by_key);
        free(fair);
}

static struct fgd_caller *find(const struct fgd_fair *fair, uint64_t key, uint64_t hash)
{
        for (struct fgd_node *at = fgd_table_first(&fair->by_key, hash); at; at = fgd_table_next(at)) {
                struct fgd_caller *caller = FGD_OF_NODE(at, struct fgd_caller, node);
                if (caller->key == key)
                        return caller;
        }
        return NULL;
}

static struct fgd_caller *make(struct fgd_fair *fair, uint64_t key, uint64_t hash, uint64_t now)
{
        struct fgd_caller *caller;
        if (fgd_table_reserve(&fair->by_key) < 0)
                return NULL;
        if (fair->by_key.count >= FGD_FAIR_CALLERS)
                TAILQ_FOREACH(caller, &fair->age, age)
                        if (TAILQ_EMPTY(&caller->tasks)) {
                                forget(fair, caller);
                                break;
                        }
        caller = calloc(1, sizeof *caller);
        if (!caller)
                return NULL;
        caller->fair = fair;
        caller->key = key;
        caller->seen = now;
        caller->left = FGD_FAIR_CREDIT;
        TAILQ_INIT(&caller->tasks);
        fgd_table_add(&fair->by_key, &caller->node, hash);
        TAILQ_INSERT_TAIL(&fair->age, caller, age);
        return caller;
}

struct fgd_caller *fgd_fair_caller(struct fgd_fair *fair, uint64_t key, uint64_t now)
{
        uint64_t hash = fgd_hash_number(key);
        struct fgd_caller *caller = find(fair, key, hash);
        if (!caller)
                return make(fair, key, hash, now);
        /* While tasks wait, the rounds are what he is given. */
        uint64_t saved = TAILQ_EMPTY(&caller->tasks) ? (now - caller->seen) / FGD_FAIR_PART : 0;
        if (saved >= (uint64_t)(FGD_FAIR_CREDIT - caller->left))
                caller->left = FGD_FAIR_CREDIT;
        else
                caller->left += (int64_t)saved;
        caller->seen = now;
        TAILQ_REMOVE(&fair->age, caller, age);
        TAILQ_INSERT_TAIL(&fair->age, caller, age);
        return caller;
}

void fgd_fair_turn(struct fgd_fair *fair)
{
        fair->turn++;
        fair->spent = 0;
}

bool fgd_fair_is_alone(const struct fgd_fair *fair, uint64_t now)
{
        return !fair->mixed_at || now - fair->mixed_at > TOGETHER;
}

bool fgd_fair_admits(struct fgd_fair *fair, struct fgd_caller *caller, uint64_t now)
{
        if (fair->last && fair->last != caller->key)
                fair->mixed_at = now;
        fair->last = caller->key;
        bool must_wait = !fgd_fair_is_alone(fair, now) && (caller->turn == fair->turn || caller->left < 0);
        if (must_wait || !TAILQ_EMPTY(&caller->tasks) || fair->spent >= FGD_FAIR_TURN)
                return false;
        caller->turn = fair->turn;
        return true;
}

bool fgd_fair_has_own(struct fgd_caller *caller, uint64_t now)
{
        const uint64_t saved = (FGD_FAIR_OWN_SAVED - 1) * FGD_FAIR_OWN;
        if (caller->next > now)
                return false;
        if (caller->next + saved < now)
                caller->next = now - saved;
        caller->next += FGD_FAIR_OWN;
        return true;
}

void fgd_fair_charge(struct fgd_fair *fair, struct fgd_caller *caller, uint64_t ns)
{
        fair->spent += ns;
        caller->left = ns > FGD_FAIR_DEBT || caller->left - (int64_t)ns < -FGD_FAIR_DEBT ? -FGD_FAIR_DEBT : caller->left - (int64_t)ns;
}

/* Who has saved something is served next, before those who always have something to do. */
static void activate(struct fgd_fair *fair, struct fgd_caller *caller)
{
        if (caller->left > FGD_FAIR_QUANTUM)
                caller->left = FGD_FAIR_QUANTUM; /* it goes before, not on and on */
        if (caller->left >= 0)
                TAILQ_INSERT_HEAD(&fair->active, caller, active);
        else
                TAILQ_INSERT_TAIL(&fair->active, caller, active);
}

void fgd_fair_push(struct fgd_fair *fair, struct fgd_caller *caller, struct fgd_task *task)
{
        if (TAILQ_EMPTY(&caller->tasks))
                activate(fair, caller);
        task->caller = caller;
        TAILQ_INSERT_TAIL(&caller->tasks, task, order);
}

void fgd_fair_push_rest(struct fgd_fair *fair, struct fgd_caller *caller, struct fgd_task *task)
{
        if (TAILQ_EMPTY(&caller->tasks))
                activate(fair, caller);
        task->caller = caller;
        TAILQ_INSERT_HEAD(&caller->tasks, task, order);
}

void fgd_fair_remove(struct fgd_task *task)
{
        struct fgd_caller *caller = task->caller;
        if (!caller)
                return;
        task->caller = NULL;
        TAILQ_REMOVE(&caller->tasks, task, order);
        if (TAILQ_EMPTY(&caller->tasks))
                TAILQ_REMOVE(&caller->fair->active, caller, active);
}

struct fgd_task *fgd_fair_pop(struct fgd_fair *fair, struct fgd_caller **ret_caller)
{
        struct fgd_caller *caller;
        while ((caller = TAILQ_FIRST(&fair->active)) && caller->left < 0) {
                caller->left += FGD_FAIR_QUANTUM;
                TAILQ_REMOVE(&fair->active, caller, active);
                TAILQ_INSERT_TAIL(&fair->active, caller, active);
        }
        if (!caller)
                return NULL;
        struct fgd_task *task = TAILQ_FIRST(&caller->tasks);
        fgd_fair_remove(task);
        TAILQ_REMOVE(&fair->age, caller, age); /* he is not forgotten while it is done */
        TAILQ_INSERT_TAIL(&fair->age, caller, age);
        *ret_caller = caller;
        return task;
}

bool fgd_fair_is_empty(const struct fgd_fair *fair)
{
        return TAILQ_EMPTY(&fair->active);
}
