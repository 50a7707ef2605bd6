/* SPDX-License-Identifier: Apache-2.0
 * The replay. Orders that do not preempt act at every submission and end. The others act each minute: oracles as the
 * published simulators do (by the number of GPUs, placed afterwards), learned ones only where the room they make is
 * enough. */
#include "simulate/philly_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUND 60
#define US    1000000u

enum state { WAITS, RUNS, ENDED };

struct job {
        const struct fg_philly_job *is;
        double key;
        int64_t rest, ran, since, end; /* rest: with what suspending cost; since: when it last began */
        enum state state;
        struct fg_philly_place place;
};

struct replay {
        struct fg_philly_pool pool;
        const struct fg_order_policy *policy;
        struct fg_order *order;
        struct job *job, **active;
        size_t jobs, next, actives, ended;
        int64_t now;
        uint64_t preemptions;
};

static struct fg_order_kind kind_of(const struct job *job)
{
        return (struct fg_order_kind){.project = job->is->project, .share = job->is->gpus * 1000};
}

static int64_t age_of(const struct replay *r, const struct job *job)
{
        return job->ran + (job->state == RUNS ? r->now - job->since : 0);
}

static double key_of(const struct replay *r, const struct job *job)
{
        int64_t age = age_of(r, job);
        int64_t rest = job->state == RUNS ? job->end - r->now : job->rest;
        struct fg_order_job view = {.kind = kind_of(job), .submitted = (uint64_t)job->is->submitted * US,
                .waited = (uint64_t)(r->now - job->is->submitted - age) * US, .age = (uint64_t)age * US,
                .length = r->policy->preempts ? (uint64_t)(age + rest) * US : (uint64_t)job->is->length * US};
        return r->policy->key(r->order, &view);
}

static void begin(struct replay *r, struct job *job)
{
        job->state = RUNS;
        job->since = r->now;
        job->end = r->now + job->rest;
}

static void suspended(struct replay *r, struct job *job)
{
        job->state = WAITS;
        job->ran += r->now - job->since;
        job->rest = job->end - r->now + (job->is->gpus == 1 ? 7 : job->is->gpus <= FG_PHILLY_NODE ? 30 : 60);
        r->preemptions++;
}

static int arrive_and_leave(struct replay *r)
{
        size_t kept = 0;
        for (size_t i = 0; i < r->actives; i++) {
                struct job *job = r->active[i];
                if (job->state != RUNS || job->end > r->now) {
                        r->active[kept++] = job;
                        continue;
                }
                struct fg_order_kind kind = kind_of(job);
                fg_philly_give_back(&r->pool, &job->place);
                job->state = ENDED;
                r->ended++;
                int e = fg_order_finish(r->order, &kind, (uint64_t)job->is->length * US);
                if (e < 0)
                        return e;
        }
        r->actives = kept;
        for (; r->next < r->jobs && r->job[r->next].is->submitted <= r->now; r->next++) {
                struct job *job = &r->job[r->next];
                job->key = key_of(r, job);
                r->active[r->actives++] = job;
        }
        return 0;
}

static void make_keys(struct replay *r)
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
static void sort(struct replay *r)
{
        for (size_t i = 1; i < r->actives; i++) {
                struct job *job = r->active[i];
                size_t at = i;
                for (; at > 0 && (r->active[at - 1]->key > job->key ||
                                  (r->active[at - 1]->key == job->key && r->active[at - 1] > job));
                     at--)
                        r->active[at] = r->active[at - 1];
                r->active[at] = job;
        }
}

static void start_what_fits(struct replay *r)
{
        for (size_t i = 0; i < r->actives && r->pool.free; i++) {
                if (r->active[i]->state != WAITS)
                        continue;
                if (fg_philly_place(&r->pool, r->active[i]->is->gpus, &r->active[i]->place))
                        begin(r, r->active[i]);
                else if (r->policy->blocks)
                        return;
        }
}

/* As many of the first as there are GPUs for; the others go, and those that are new are placed if they can be. */
static void round_by_count(struct replay *r)
{
        uint32_t left = r->pool.nodes * FG_PHILLY_NODE;
        size_t last = 0;
        for (size_t i = 0; i < r->actives; i++) {
                struct job *job = r->active[i];
                if (job->is->gpus <= left) {
                        left -= job->is->gpus;
                        last = i + 1;
                        job->key = 0; /* chosen; keys are made anew in the next round */
                } else if (job->state == RUNS) {
                        fg_philly_give_back(&r->pool, &job->place);
                        suspended(r, job);
                        job->key = 1;
                } else
                        job->key = 1;
        }
        for (size_t i = 0; i < last; i++) {
                struct job *job = r->active[i];
                if (job->key == 0 && job->state == WAITS && fg_philly_place(&r->pool, job->is->gpus, &job->place))
                        begin(r, job);
        }
}

/* Room by suspending what has a key larger by the policy's margin, the largest first; whoever turns out not to be needed
 * stays. */
static bool make_room(struct replay *r, struct job *job, struct job **victim)
{
        size_t victims = 0;
        bool fits = false;
        double least = job->key > 0 ? job->key * r->policy->margin : job->key;
        for (size_t i = r->actives; i-- > 0 && r->active[i]->key > least && !fits;) {
                struct job *other = r->active[i];
                if (other->state != RUNS || other->since == r->now)
                        continue;
                fg_philly_give_back(&r->pool, &other->place);
                victim[victims++] = other;
                fits = fg_philly_place(&r->pool, job->is->gpus, &job->place);
        }
        while (victims-- > 0)
                if (!fg_philly_take_back(&r->pool, &victim[victims]->place))
                        suspended(r, victim[victims]);
        return fits;
}

static void round_by_place(struct replay *r, struct job **victim)
{
        for (size_t i = 0; i < r->actives; i++) {
                struct job *job = r->active[i];
                if (job->state != WAITS)
                        continue;
                if (fg_philly_place(&r->pool, job->is->gpus, &job->place) || make_room(r, job, victim))
                        begin(r, job);
                else if (job->is->gpus == 1)
                        return; /* nobody behind it will find room either */
        }
}

/* When something happens next. */
static int64_t next_time(const struct replay *r)
{
        int64_t at = r->next < r->jobs ? r->job[r->next].is->submitted : INT64_MAX;
        if (r->policy->preempts)
                return r->now + ROUND;
        for (size_t i = 0; i < r->actives; i++)
                if (r->active[i]->state == RUNS && r->active[i]->end < at)
                        at = r->active[i]->end;
        return at;
}

static int replay(struct replay *r, struct job **victim)
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
                r->now = next_time(r);
        }
}

static int by_value(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return x < y ? -1 : x > y;
}

static int result_of(const struct replay *r, struct fg_philly_result *ret)
{
        int64_t *jct = malloc(r->jobs * sizeof(*jct));
        size_t shorts = 0, longs = 0;
        *ret = (struct fg_philly_result){.preemptions = r->preemptions};
        if (!jct)
                return -ENOMEM;
        for (size_t i = 0; i < r->jobs; i++) {
                int64_t length = r->job[i].is->length;
                jct[i] = r->job[i].end - r->job[i].is->submitted;
                ret->mean += (double)jct[i];
                ret->queue += (double)(jct[i] - length);
                if (length < 3600 && ++shorts)
                        ret->short_queue += (double)(jct[i] - length);
                if (length >= FG_PHILLY_DAY && ++longs)
                        ret->long_slowdown += (double)jct[i] / (double)length;
        }
        qsort(jct, r->jobs, sizeof(*jct), by_value);
        ret->mean /= (double)r->jobs;
        ret->queue /= (double)r->jobs;
        ret->short_queue /= shorts ? (double)shorts : 1;
        ret->long_slowdown /= longs ? (double)longs : 1;
        ret->p99 = jct[r->jobs * 99 / 100];
        free(jct);
        return 0;
}

int fg_philly_run(const struct fg_philly_trace *trace, uint32_t gpus, const struct fg_order_policy *policy,
                  struct fg_philly_result *ret, struct fg_error *err)
{
        struct replay r = {.pool = {.nodes = gpus / FG_PHILLY_NODE, .free = gpus}, .policy = policy, .jobs = trace->jobs};
        if (gpus == 0 || gpus % FG_PHILLY_NODE || r.pool.nodes > FG_PHILLY_NODES || trace->jobs == 0)
                return fg_error_set(err, -EINVAL, "%u GPUs for %zu jobs: allowed are 1..%u whole nodes of %u, and a job",
                                    gpus, trace->jobs, FG_PHILLY_NODES, FG_PHILLY_NODE);
        for (size_t i = 0; i < trace->jobs; i++)
                if (trace->job[i].gpus > gpus)
                        return fg_error_set(err, -EINVAL, "job %zu wants %u GPUs of %u", i, trace->job[i].gpus, gpus);
        memset(r.pool.left, FG_PHILLY_NODE, r.pool.nodes);
        r.job = calloc(r.jobs, sizeof(*r.job));
        r.active = calloc(r.jobs * 2, sizeof(*r.active));
        int e = r.job && r.active ? fg_order_new(4096, &r.order) : -ENOMEM;
        for (size_t i = 0; e == 0 && i < r.jobs; i++) {
                r.job[i].is = &trace->job[i];
                r.job[i].rest = trace->job[i].length;
        }
        if (e == 0)
                e = replay(&r, r.active + r.jobs);
        if (e == 0)
                e = result_of(&r, ret);
        free(r.job);
        free(r.active);
        fg_order_free(r.order);
        return e < 0 ? fg_error_set(err, e, "cannot replay: %m") : 0;
}
