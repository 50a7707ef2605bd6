/* SPDX-License-Identifier: Apache-2.0
 * A pass from its beginning to its end: what it works with, what it decided, and taking all of that back. */
#include "sched/queue_pass.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EFFORT 400000u /* holders and running jobs looked at for preemption: a few ms */

static void free_scratch(struct fg_queue_pass *p)
{
        void *all[] = {p->room, p->later, p->open,   p->emptied, p->decision, p->heap,   p->pool,  p->holder, p->first,
                       p->view, p->want,  p->chosen, p->share,   p->counted,  p->memory, p->place, p->begun,
                       p->crowded, p->loss};

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
                free(all[i]);
}

static int make_scratch(struct fg_queue_pass *p)
{
        size_t n = p->devices + 1, lanes = 1;

        for (size_t c = 0; c < FG_QUEUE_CLASSES; c++)
                if (p->q->class[c].made > lanes)
                        lanes = p->q->class[c].made;
        p->room = calloc(n, sizeof(*p->room));
        p->later = calloc(n, sizeof(*p->later));
        p->open = calloc(n, sizeof(*p->open));
        p->crowded = calloc(n, sizeof(*p->crowded));
        p->loss = calloc(n, sizeof(*p->loss));
        p->decision = calloc(p->most, sizeof(*p->decision));
        p->begun = calloc(p->most, sizeof(*p->begun));
        p->heap = calloc(lanes, sizeof(struct fg_queue_lane *));
        p->pool = calloc(2 * n + 1, sizeof(*p->pool));
        p->view = calloc(n, sizeof(*p->view));
        p->counted = calloc(n, sizeof(*p->counted));
        p->place = calloc(n, sizeof(*p->place));
        p->want = calloc(FG_QUEUE_GANG_MAX, sizeof(*p->want));
        p->chosen = calloc(FG_QUEUE_GANG_MAX, sizeof(*p->chosen));
        p->memory = calloc(FG_QUEUE_GANG_MAX, sizeof(*p->memory));
        p->share = calloc(FG_QUEUE_GANG_MAX, sizeof(*p->share));
        return p->room && p->later && p->open && p->crowded && p->loss && p->decision && p->begun && p->heap && p->pool && p->view &&
                               p->counted && p->place && p->want && p->chosen && p->memory && p->share
                       ? 0
                       : -ENOMEM;
}

int fg_queue_pass_begin(struct fg_queue_pass *p, struct fg_queue *q, const struct fg_queue_scene *scene)
{
        *p = (struct fg_queue_pass){.q = q,
                                    .scene = scene,
                                    .now = scene->now,
                                    .devices = scene->devices,
                                    .most = q->config.decisions,
                                    .wake = FG_QUEUE_UNKNOWN,
                                    .effort = EFFORT};
        if (make_scratch(p) < 0) {
                free_scratch(p);
                return -ENOMEM;
        }
        for (size_t d = 0; d < p->devices; d++) {
                const struct fg_queue_device *from = &scene->device[d];

                p->room[d] = (struct fg_queue_room){.memory = from->memory_free,
                                                    .share = from->share_free,
                                                    .kind = from->kind,
                                                    .usable = from->usable};
        }
        fg_queue_wake_due(q, p->now);
        if (q->waiting.root)
                p->wake = fg_queue_tree_first(&q->waiting)->key;
        for (struct fg_queue_account *a = q->accounts; a; a = a->next) {
                a->decayed = fg_queue_account_decayed(a, p->now);
                a->due = fg_queue_account_due(a, a->decayed);
        }
        return 0;
}

void fg_queue_pass_end(struct fg_queue_pass *p)
{
        while (p->count > 0) {
                struct fg_queue_decision *d = &p->decision[--p->count];

                switch (d->what) {
                case FG_QUEUE_DO_START:
                        fg_queue_requeued(p->q, d->job, UINT64_MAX);
                        break;
                case FG_QUEUE_DO_RESUME:
                        fg_queue_suspended(p->q, d->job, p->now);
                        d->job->run->begun = p->begun[p->count];
                        break;
                case FG_QUEUE_DO_SUSPEND:
                case FG_QUEUE_DO_REQUEUE:
                        fg_queue_leaving(p->q, d->job, FG_QUEUE_STAY);
                        break;
                }
        }
        free_scratch(p);
}

void fg_queue_decide(struct fg_queue_pass *p, enum fg_queue_what what, struct fg_queue_job *job,
                     struct fg_queue_job *beneficiary)
{
        const struct fg_queue_want *want = &job->group->want;

        p->decision[p->count++] = (struct fg_queue_decision){
                .what = what,
                .job = job,
                .beneficiary = beneficiary,
                .owner = job->owner,
                .place = job->run->place,
                .places = job->run->places,
                .memory = want->memory,
                .share = want->share,
        };
        p->full = p->stop = p->count == p->most;
}

/* The places that decisions point to are their jobs', and go when all is taken back. */
static int keep_plan(struct fg_queue_pass *p)
{
        struct fg_queue_place *place;
        size_t places = 0;

        for (size_t i = 0; i < p->count; i++)
                places += p->decision[i].places;
        place = malloc((places + 1) * sizeof(*place));
        if (!place)
                return -ENOMEM;
        free(p->q->place);
        p->q->place = place;
        for (size_t i = 0; i < p->count; i++) {
                struct fg_queue_decision *d = &p->decision[i];

                memcpy(place, d->place, d->places * sizeof(*place));
                d->place = place;
                place += d->places;
        }
        free(p->q->decision);
        p->q->decision = malloc(p->count ? p->count * sizeof(*p->decision) : 1);
        if (!p->q->decision)
                return -ENOMEM;
        memcpy(p->q->decision, p->decision, p->count * sizeof(*p->decision));
        return 0;
}

int fg_queue_pass(struct fg_queue *q, const struct fg_queue_scene *scene, struct fg_queue_plan *ret)
{
        struct fg_queue_pass p;
        int r = fg_queue_pass_begin(&p, q, scene);

        if (r < 0)
                return r;
        r = fg_queue_pass_run(&p);
        if (r == 0)
                r = keep_plan(&p);
        if (r == 0)
                *ret = (struct fg_queue_plan){q->decision, p.count, p.full, p.wake};
        fg_queue_pass_end(&p);
        return r;
}
