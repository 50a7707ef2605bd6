/* SPDX-License-Identifier: Apache-2.0
 * The replay. Orders that do not preempt act at every submission and end. The others act each minute: oracles as the
 * published simulators do (by the number of GPUs, placed afterwards), learned ones only where the room they make is
 * enough. */
#include "simulate/jobs_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

#define ROUND 60
#define US    1000000u

enum { WAITS, RUNS, ENDED };

static struct fg_order_kind kind_of(const struct fg_jobs_entry *job)
{
        return (struct fg_order_kind){.project = job->is->project, .user = job->is->user, .name = job->is->name,
                                      .share = job->is->gpus * job->is->milli};
}

static int64_t age_of(const struct fg_jobs_replay *r, const struct fg_jobs_entry *job)
{
        return job->ran + (job->state == RUNS ? r->now - job->since : 0);
}

static double key_of(const struct fg_jobs_replay *r, const struct fg_jobs_entry *job)
{
        int64_t age = age_of(r, job);
        int64_t rest = job->state == RUNS ? job->end - r->now : job->rest;
        struct fg_order_job view = {.kind = kind_of(job), .submitted = (uint64_t)job->is->submitted * US,
                .waited = (uint64_t)(r->now - job->is->submitted - age) * US, .age = (uint64_t)age * US,
                .length = r->policy->preempts ? (uint64_t)(age + rest) * US : (uint64_t)job->is->length * US};
        return r->policy->key(r->order, &view);
}

static int64_t wants(const struct fg_jobs_entry *job)
{
        return (int64_t)job->is->gpus * job->is->milli;
}

static void count(struct fg_jobs_replay *r, const struct fg_jobs_entry *job, int sign)
{
        r->held += sign * wants(job);
        if (job->is->busy < 0)
                return;
        r->known += sign * wants(job);
        r->busy += sign * wants(job) * job->is->busy;
}

static void begin(struct fg_jobs_replay *r, struct fg_jobs_entry *job)
{
        job->state = RUNS;
        job->since = r->now;
        job->end = r->now + job->rest;
        count(r, job, 1);
        r->waiting -= wants(job);
}

static void suspended(struct fg_jobs_replay *r, struct fg_jobs_entry *job)
{
        int64_t cost = job->is->gpus == 1 ? 7 : job->is->gpus <= r->pool.most ? 30 : 60;
        job->state = WAITS;
        job->ran += r->now - job->since;
        job->rest = job->end - r->now + cost;
        r->preemptions++;
        count(r, job, -1);
        r->waiting += wants(job);
        fg_jobs_lose(r, cost * wants(job));
}

static int arrive_and_leave(struct fg_jobs_replay *r)
{
        size_t kept = 0;
        for (size_t i = 0; i < r->actives; i++) {
                struct fg_jobs_entry *job = r->active[i];
                if (job->state != RUNS || job->end > r->now) {
                        r->active[kept++] = job;
                        continue;
                }
                struct fg_order_kind kind = kind_of(job);
                fg_jobs_give_back(&r->pool, job->is, &job->place);
                job->state = ENDED;
                r->ended++;
                count(r, job, -1);
                int e = fg_order_finish(r->order, &kind, (uint64_t)job->is->length * US);
                if (e < 0)
                        return e;
        }
        r->actives = kept;
        for (; r->next < r->jobs && r->job[r->next].is->submitted <= r->now; r->next++) {
                struct fg_jobs_entry *job = &r->job[r->next];
                job->key = key_of(r, job);
                r->active[r->actives++] = job;
                r->waiting += wants(job);
        }
        return 0;
}

static void make_keys(struct fg_jobs_replay *r)
{
        fg_order_forget_running(r->order);
        for (size_t i = 0; r->policy->margin > 0 && i < r->actives; i++) {
                struct fg_order_kind kind = kind_of(r->active[i]);
                int64_t age = age_of(r, r->active[i]);
                if (age > 0)
                        fg_order_running(r->order, &kind, (uint64_t)age * US);
        }
        for (size_t i = 0; i < r->actives; i++)
                if (r->policy->preempts || r->active[i]->state == WAITS)
                        r->active[i]->key = key_of(r, r->active[i]);
}

/* Nearly in order already, so insertion costs next to nothing; ties by submission. */
static void sort(struct fg_jobs_replay *r)
{
        for (size_t i = 1; i < r->actives; i++) {
                struct fg_jobs_entry *job = r->active[i];
                size_t at = i;
                for (; at > 0 && (r->active[at - 1]->key > job->key ||
                                  (r->active[at - 1]->key == job->key && r->active[at - 1] > job));
                     at--)
                        r->active[at] = r->active[at - 1];
                r->active[at] = job;
        }
}

static void start_what_fits(struct fg_jobs_replay *r)
{
        for (size_t i = 0; i < r->actives && (r->pool.free || r->pool.spare); i++) {
                if (r->active[i]->state != WAITS)
                        continue;
                if (fg_jobs_place(&r->pool, r->active[i]->is, &r->active[i]->place))
                        begin(r, r->active[i]);
                else if (r->policy->blocks)
                        return;
        }
}

/* As many of the first as there are GPUs for; the others go, and those that are new are placed if they can be. */
static void round_by_count(struct fg_jobs_replay *r)
{
        int64_t left = (int64_t)r->pool.total * FG_JOBS_WHOLE;
        size_t last = 0;
        for (size_t i = 0; i < r->actives; i++) {
                struct fg_jobs_entry *job = r->active[i];
                if (wants(job) <= left) {
                        left -= wants(job);
                        last = i + 1;
                        job->key = 0; /* chosen; keys are made anew in the next round */
                } else if (job->state == RUNS) {
                        fg_jobs_give_back(&r->pool, job->is, &job->place);
                        suspended(r, job);
                        job->key = 1;
                } else
                        job->key = 1;
        }
        for (size_t i = 0; i < last; i++) {
                struct fg_jobs_entry *job = r->active[i];
                if (job->key == 0 && job->state == WAITS && fg_jobs_place(&r->pool, job->is, &job->place))
                        begin(r, job);
        }
}

/* Room by suspending what has a key larger by the policy's margin, the largest first; whoever turns out not to be needed
 * stays. */
static bool make_room(struct fg_jobs_replay *r, struct fg_jobs_entry *job, struct fg_jobs_entry **victim)
{
        size_t victims = 0;
        bool fits = false;
        double least = job->key > 0 ? job->key * r->policy->margin : job->key;
        for (size_t i = r->actives; i-- > 0 && r->active[i]->key > least && !fits;) {
                struct fg_jobs_entry *other = r->active[i];
                if (other->state != RUNS || other->since == r->now)
                        continue;
                fg_jobs_give_back(&r->pool, other->is, &other->place);
                victim[victims++] = other;
                fits = fg_jobs_place(&r->pool, job->is, &job->place);
        }
        while (victims-- > 0)
                if (!fg_jobs_take_back(&r->pool, victim[victims]->is, &victim[victims]->place))
                        suspended(r, victim[victims]);
        return fits;
}

static void round_by_place(struct fg_jobs_replay *r, struct fg_jobs_entry **victim)
{
        for (size_t i = 0; i < r->actives; i++) {
                struct fg_jobs_entry *job = r->active[i];
                if (job->state != WAITS)
                        continue;
                if (fg_jobs_place(&r->pool, job->is, &job->place) || make_room(r, job, victim))
                        begin(r, job);
                else if (wants(job) <= r->least)
                        return; /* nobody behind it will find room either */
        }
}

/* When something happens next. Rounds in which nobody waits change nothing. */
static int64_t next_time(const struct fg_jobs_replay *r)
{
        int64_t at = r->next < r->jobs ? r->job[r->next].is->submitted : INT64_MAX;
        if (r->policy->preempts && r->waiting)
                return r->now + ROUND;
        for (size_t i = 0; i < r->actives; i++)
                if (r->active[i]->state == RUNS && r->active[i]->end < at)
                        at = r->active[i]->end;
        return r->policy->preempts ? (at + ROUND - 1) / ROUND * ROUND : at;
}

static int replay(struct fg_jobs_replay *r, struct fg_jobs_entry **victim)
{
        int64_t keyed = -ROUND;
        r->now = r->policy->preempts ? 0 : r->job[0].is->submitted;
        for (;;) {
                int e = arrive_and_leave(r);
                if (e < 0 || r->ended == r->jobs)
                        return e;
                if (r->policy->preempts || r->now - keyed >= ROUND) {
                        make_keys(r);
                        keyed = r->now;
                }
                sort(r);
                if (!r->policy->preempts)
                        start_what_fits(r);
                else if (r->policy->margin == 0)
                        round_by_count(r);
                else
                        round_by_place(r, victim);
                fg_jobs_pass(r, next_time(r));
        }
}

/* Every job has its place's parts in one array, and must find room when nobody else is there. */
static int set_jobs(struct fg_jobs_replay *r, const struct fg_jobs_trace *trace, struct fg_jobs_part **ret, struct fg_error *err)
{
        size_t parts = 0;
        for (size_t i = 0; i < trace->jobs; i++)
                parts += fg_jobs_parts_max(&r->pool, &trace->job[i]);
        struct fg_jobs_part *part = malloc(parts * sizeof(*part));
        if (!part)
                return fg_error_set(err, -ENOMEM, "cannot replay: out of memory");
        *ret = part;
        r->least = INT64_MAX;
        for (size_t i = 0; i < trace->jobs; i++) {
                struct fg_jobs_entry *job = &r->job[i];
                *job = (struct fg_jobs_entry){.is = &trace->job[i], .rest = trace->job[i].length, .place.part = part};
                part += fg_jobs_parts_max(&r->pool, job->is);
                r->least = wants(job) < r->least ? wants(job) : r->least;
                if (!fg_jobs_place(&r->pool, job->is, &job->place))
                        return fg_error_set(err, -EINVAL, "job %zu wants %u GPUs; allowed is what fits into %u GPUs on %zu nodes of up to %u",
                                            i + 1, job->is->gpus, r->pool.total, r->pool.nodes, r->pool.most);
                fg_jobs_give_back(&r->pool, job->is, &job->place);
        }
        return 0;
}

int fg_jobs_run(const struct fg_jobs_trace *trace, const struct fg_jobs_pool_size *pool, const struct fg_order_policy *policy,
                struct fg_jobs_result *ret, struct fg_error *err)
{
        struct fg_jobs_replay r = {.policy = policy, .jobs = trace->jobs, .stretch_s = ROUND};
        fg_autofree struct fg_jobs_part *part = NULL;
        if (trace->jobs == 0)
                return fg_error_set(err, -EINVAL, "there are no jobs to replay");
        int e = fg_jobs_pool_new(&r.pool, pool);
        if (e == -EINVAL)
                return fg_error_set(err, e, "a pool without GPUs, or of more than %u nodes", FG_JOBS_NODES_MAX);
        r.job = calloc(r.jobs, sizeof(*r.job));
        r.active = calloc(r.jobs * 2, sizeof(*r.active));
        if (e == 0)
                e = r.job && r.active ? fg_order_new(4096, &r.order) : -ENOMEM;
        if (e < 0)
                fg_error_set(err, e, "cannot replay: %m");
        if (e == 0)
                e = set_jobs(&r, trace, &part, err);
        if (e == 0 && ((e = replay(&r, r.active + r.jobs)) < 0 || (e = fg_jobs_judge(&r, ret)) < 0))
                fg_error_set(err, e, "cannot replay: %m");
        free(r.job);
        free(r.active);
        fg_order_free(r.order);
        fg_jobs_pool_free(&r.pool);
        return e;
}
