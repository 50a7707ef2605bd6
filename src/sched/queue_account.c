/* SPDX-License-Identifier: Apache-2.0
 * Projects and users: what they hold, what they may hold, what they have used. */
#include "sched/queue_decay.h"
#include "sched/queue_internal.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
        uint64_t sum;

        return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t multiply_saturated(uint64_t a, uint64_t b)
{
        uint64_t product;

        return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

int fg_queue_account_add(struct fg_queue *q, struct fg_queue_account **ret)
{
        struct fg_queue_account *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        a->queue = q;
        a->weight = 1;
        a->link = &q->accounts;
        a->next = q->accounts;
        if (a->next)
                a->next->link = &a->next;
        q->accounts = a;
        *ret = a;
        return 0;
}

int fg_queue_account_remove(struct fg_queue *q, struct fg_queue_account *a)
{
        if (a->jobs)
                return -EBUSY;
        *a->link = a->next;
        if (a->next)
                a->next->link = a->link;
        for (size_t c = 0; c < FG_QUEUE_CLASSES; c++) {
                q->class[c].made -= a->lane[c] != NULL;
                free(a->lane[c]);
        }
        free(a);
        return 0;
}

int fg_queue_account_set(struct fg_queue_account *a, uint32_t weight, const struct fg_queue_amounts *limit,
                         const struct fg_queue_amounts *outside)
{
        static const struct fg_queue_amounts none;

        if (weight == 0)
                return -EINVAL;
        a->weight = weight;
        a->limit = limit ? *limit : none;
        a->outside = outside ? *outside : none;
        return 0;
}

/* A clock that was set back makes nothing grow; from then on its new time counts. */
uint64_t fg_queue_account_decayed(const struct fg_queue_account *project, uint64_t now)
{
        uint64_t elapsed = now > project->use_at ? now - project->use_at : 0;

        return fg_queue_decay(project->use, elapsed, project->queue->config.half_life);
}

uint64_t fg_queue_account_due(const struct fg_queue_account *project, uint64_t decayed)
{
        uint64_t advance = multiply_saturated(project->queue->config.advance, project->held.share) / 1000;

        return add_saturated(decayed, multiply_saturated(advance, FG_QUEUE_USE_SCALE));
}

void fg_queue_charge(struct fg_queue *q, struct fg_queue_account *project, uint64_t now, uint64_t gpu_us)
{
        project->use =
                add_saturated(fg_queue_account_decayed(project, now), multiply_saturated(gpu_us, FG_QUEUE_USE_SCALE));
        project->use_at = now;
}

void fg_queue_use_save(const struct fg_queue_account *project, uint64_t *ret_use, uint64_t *ret_at)
{
        *ret_use = project->use;
        *ret_at = project->use_at;
}

void fg_queue_use_restore(struct fg_queue_account *project, uint64_t use, uint64_t at)
{
        project->use = use;
        project->use_at = at;
}

void fg_queue_standing(const struct fg_queue *q, const struct fg_queue_account *project, uint64_t now,
                       struct fg_queue_standing *ret)
{
        uint64_t mine = fg_queue_account_decayed(project, now);
        unsigned __int128 due = fg_queue_account_due(project, mine);

        *ret = (struct fg_queue_standing){.used = mine / FG_QUEUE_USE_SCALE, .held = project->held, .rank = 1};
        for (const struct fg_queue_account *a = q->accounts; a; a = a->next) {
                unsigned __int128 other = fg_queue_account_due(a, fg_queue_account_decayed(a, now));

                if (a != project && (a->jobs == 0 || !a->is_project))
                        continue;
                ret->projects++;
                ret->rank += other * project->weight < due * a->weight;
        }
}

static void count(uint64_t *sum, uint64_t amount, int sign)
{
        *sum = sign > 0 ? *sum + amount : *sum - amount;
}

void fg_queue_account_count_share(struct fg_queue_account *a, const struct fg_queue_want *want, int sign)
{
        if (a)
                count(&a->held.share, (uint64_t)want->share * want->count, sign);
}

void fg_queue_account_count(struct fg_queue_account *a, const struct fg_queue_want *want, int sign)
{
        if (!a)
                return;
        count(&a->held.jobs, 1, sign);
        count(&a->held.vgpus, want->count, sign);
        count(&a->held.memory, want->memory * want->count, sign);
}
