/* SPDX-License-Identifier: Apache-2.0
 * The Gittins index (Gittins 1979; for GPU jobs compare Tiresias, NSDI'19), and the orders that jobs may go in. */
#include "sched/order.h"

#include <string.h>

#define SECOND    1e6
#define GUARD     5.0             /* pinned in front once it waited for that many predicted lengths */
#define GUARD_MEAN 50.0           /* without preemption: sooner, and under overload all are pinned */
#define GUARD_MIN (3600 * SECOND) /* and for that long */

/* What is left of the bucket that the age is in: lengths within a bucket are taken as even. */
static double left_of(unsigned bucket, double age)
{
        double low = fg_order_edge(bucket), high = fg_order_edge(bucket + 1);
        return age >= high ? 0 : age <= low ? 1 : (high - age) / (high - low);
}

double fg_order_index(const struct fg_order_prediction *p, double age)
{
        unsigned first = fg_order_bucket((uint64_t)age);
        double alive = p->weight[first] * left_of(first, age), done = 0, work = 0, best = 0;
        for (unsigned i = first + 1; i < FG_ORDER_BUCKETS; i++)
                alive += p->weight[i];
        if (!(alive > 1e-12))
                return 1 / fg_order_edge(FG_ORDER_BUCKETS);
        for (unsigned i = first; i < FG_ORDER_BUCKETS; i++) {
                double mass = i == first ? p->weight[i] * left_of(i, age) : p->weight[i];
                double turn = fg_order_edge(i + 1) - (i == first ? age : fg_order_edge(i));
                if (!(turn > 0))
                        continue;
                work += (alive - done - mass / 2) * turn;
                done += mass;
                if (work > 0 && done / work > best)
                        best = done / work;
        }
        return best > 0 ? best : 1 / fg_order_edge(FG_ORDER_BUCKETS);
}

double fg_order_remaining(const struct fg_order_prediction *p, double age)
{
        unsigned first = fg_order_bucket((uint64_t)age);
        double alive = 0, sum = 0;
        for (unsigned i = first; i < FG_ORDER_BUCKETS; i++) {
                double mass = i == first ? p->weight[i] * left_of(i, age) : p->weight[i];
                double low = i == first && age > fg_order_edge(i) ? age : fg_order_edge(i);
                alive += mass;
                sum += mass * ((low + fg_order_edge(i + 1)) / 2 - age);
        }
        return alive > 1e-12 ? sum / alive : fg_order_edge(FG_ORDER_BUCKETS);
}

static double gpus(const struct fg_order_job *job)
{
        return job->kind.share / 1000.0;
}

static double by_submission(const struct fg_order *o, const struct fg_order_job *job)
{
        return (double)job->submitted;
}

static double by_length(const struct fg_order *o, const struct fg_order_job *job)
{
        return (double)job->length;
}

static double by_rest(const struct fg_order *o, const struct fg_order_job *job)
{
        return job->length > job->age ? (double)(job->length - job->age) : 0;
}

/* 2D-LAS: three queues by what was attained in GPU time; first come, first served within each. */
static double by_attained(const struct fg_order *o, const struct fg_order_job *job)
{
        double attained = (double)job->age * gpus(job);
        double queue = attained < 18000 * SECOND ? 0 : attained < 200000 * SECOND ? 1 : 2;
        return queue * 1e18 + (double)job->submitted;
}

/* What has waited for much longer than it should run goes first, in the order of submission: keys below 0. */
static bool is_pinned(const struct fg_order_job *job, double most)
{
        return (double)job->waited > GUARD_MIN && (double)job->waited > most;
}

static double pinned(const struct fg_order_job *job)
{
        return (double)job->submitted - 1e19;
}

static double by_mean(const struct fg_order *o, const struct fg_order_job *job)
{
        struct fg_order_prediction p;
        fg_order_predict(o, &job->kind, &p);
        return is_pinned(job, GUARD_MEAN * p.mean) ? pinned(job) : p.mean * gpus(job);
}

static double by_gittins(const struct fg_order *o, const struct fg_order_job *job)
{
        struct fg_order_prediction p;
        fg_order_predict(o, &job->kind, &p);
        double span = 1 / fg_order_index(&p, (double)job->age);
        return is_pinned(job, GUARD * span) ? pinned(job) : span * gpus(job);
}

const struct fg_order_policy fg_order_policies[] = {
        {"fifo", "first come, first served; the first holds up all", false, false, true, 0, by_submission},
        {"fifo-skip", "first come, first served; what does not fit is passed over", false, false, false, 0, by_submission},
        {"sjf", "oracle: the shortest first", false, true, false, 0, by_length},
        {"srtf", "oracle: the shortest rest first, preempting", true, true, false, 0, by_rest},
        {"2d-las", "the least GPU time attained first, in three queues, preempting", true, false, false, 0, by_attained},
        {"mean", "learned: the least mean GPU time of its class first", false, false, false, 0, by_mean},
        {"gittins", "learned: the best chance to finish soon first, suspending", true, false, false, 2, by_gittins},
        {NULL, NULL, false, false, false, 0, NULL},
};

const struct fg_order_policy *fg_order_policy_find(const char *name)
{
        for (const struct fg_order_policy *row = fg_order_policies; row->name; row++)
                if (strcmp(row->name, name) == 0)
                        return row;
        return NULL;
}

/* The bits of a double that is not negative sort as it does; those below 0 come mirrored, before them. */
uint64_t fg_order_key(const struct fg_order *o, const struct fg_order_policy *policy, const struct fg_order_job *job)
{
        double key = policy->key(o, job);
        uint64_t bits;
        memcpy(&bits, &key, sizeof(bits));
        bits = bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
        return bits >> 1;
}
