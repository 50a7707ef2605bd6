/* SPDX-License-Identifier: Apache-2.0
 * What finished jobs teach, and what it says of the next one: each class is smoothed with the wider one around it, so
 * that few runs say little and many say all. */
#include "sched/order_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DECAY      0.98 /* of a class, for each of its finishes */
#define SECOND     1e6
#define RATIO      1.3
#define FORGOTTEN  1e-6f /* weights below count for nothing, and are small numbers that cost time */

/* What the wider class counts for, in runs. Tuned on parts of the trace that are not reported. */
static const double prior[FG_ORDER_LEVELS] = {0.5, 5, 3, 3};

double fg_order_edge(unsigned bucket)
{
        static double edge[FG_ORDER_BUCKETS + 1];
        static bool made;
        if (!__atomic_load_n(&made, __ATOMIC_ACQUIRE)) {
                double at = SECOND;
                for (unsigned i = 1; i <= FG_ORDER_BUCKETS; i++, at *= RATIO)
                        edge[i] = at;
                __atomic_store_n(&made, true, __ATOMIC_RELEASE);
        }
        return edge[bucket];
}

unsigned fg_order_bucket(uint64_t ran)
{
        unsigned low = 0, high = FG_ORDER_BUCKETS - 1;
        while (low < high) {
                unsigned middle = (low + high + 1) / 2;
                if (fg_order_edge(middle) <= (double)ran)
                        low = middle;
                else
                        high = middle - 1;
        }
        return low;
}

int fg_order_finish(struct fg_order *o, const struct fg_order_kind *kind, uint64_t ran)
{
        unsigned bucket = fg_order_bucket(ran);
        double most = fg_order_edge(FG_ORDER_BUCKETS);
        if (kind->share == 0)
                return -EINVAL;
        o->clock++; /* what is made here is the youngest, and not what makes room for the next level */
        for (unsigned level = 0; level < FG_ORDER_LEVELS; level++)
                if (!fg_order_class_take(o, kind, level))
                        return -ENOMEM;
        for (unsigned level = 0; level < FG_ORDER_LEVELS; level++) {
                struct fg_order_class *class = fg_order_class_find(o, kind, level);
                for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++) {
                        class->weight[i] *= (float)DECAY;
                        if (class->weight[i] < FORGOTTEN)
                                class->weight[i] = 0;
                }
                class->weight[bucket]++;
                class->work = class->work * DECAY + ((double)ran < most ? (double)ran : most);
                class->runs++;
        }
        return 0;
}

void fg_order_forget_running(struct fg_order *o)
{
        for (size_t i = 0; i < o->count; i++) {
                if (o->class[i].runs_now)
                        memset(o->class[i].running, 0, sizeof(o->class[i].running));
                o->class[i].runs_now = false;
        }
}

void fg_order_running(struct fg_order *o, const struct fg_order_kind *kind, uint64_t age)
{
        unsigned bucket = fg_order_bucket(age);
        for (unsigned level = 0; level < FG_ORDER_LEVELS; level++) {
                struct fg_order_class *class = fg_order_class_find(o, kind, level);
                if (!class)
                        continue;
                class->running[bucket]++;
                class->runs_now = true;
        }
}

/* Kaplan and Meier's estimate (JASA 1958) with the wider class as prior: of those that got as far as a bucket, what part
 * ended in it. Who runs in it now got as far, and is not heard of any more. */
static void weigh(const struct fg_order_class *class, double prior_runs, double total, double weight[FG_ORDER_BUCKETS])
{
        double at_risk = total + prior_runs, alive = 1;
        for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++)
                at_risk += (double)class->running[i];
        for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++) {
                double ended = (double)class->weight[i] + prior_runs * weight[i];
                double part = at_risk > ended ? ended / at_risk : 1;
                at_risk -= ended + (double)class->running[i];
                weight[i] = alive * part;
                alive *= 1 - part;
        }
        weight[FG_ORDER_BUCKETS - 1] += alive;
}

void fg_order_predict(const struct fg_order *o, const struct fg_order_kind *kind, struct fg_order_prediction *ret)
{
        *ret = (struct fg_order_prediction){.mean = 3600 * SECOND};
        for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++)
                ret->weight[i] = 1.0 / FG_ORDER_BUCKETS;
        for (unsigned level = 0; level < FG_ORDER_LEVELS; level++) {
                const struct fg_order_class *class = fg_order_class_find(o, kind, level);
                /* A job that says nothing of itself is no kind of its own. */
                if (!class || class->runs == 0 || (level == 3 && kind->name == 0 && kind->user == 0))
                        continue;
                double total = 0;
                for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++)
                        total += (double)class->weight[i];
                if (class->runs_now)
                        weigh(class, prior[level], total, ret->weight);
                for (unsigned i = 0; !class->runs_now && i < FG_ORDER_BUCKETS; i++)
                        ret->weight[i] = ((double)class->weight[i] + prior[level] * ret->weight[i]) /
                                         (total + prior[level]);
                ret->mean = (class->work + prior[level] * ret->mean) / (total + prior[level]);
                ret->runs = class->runs;
                ret->level = level;
        }
}

static const char *time_text(double us, char *buf, size_t size)
{
        static const struct {
                double us;
                const char *name;
        } unit[] = {{86400 * SECOND, "d"}, {3600 * SECOND, "h"}, {60 * SECOND, "min"}, {SECOND, "s"}};
        size_t i = 0;
        while (i < 3 && us < 2 * unit[i].us)
                i++;
        snprintf(buf, size, "%.0f %s", us / unit[i].us, unit[i].name);
        return buf;
}

const char *fg_order_explain(const struct fg_order *o, const struct fg_order_kind *kind, const char *name, char *buf,
                             size_t size)
{
        static const char *const of[FG_ORDER_LEVELS] = {"of all projects", "of this project",
                                                        "of this size by this project", "by this user in this project"};
        struct fg_order_prediction p;
        char time[32];
        fg_order_predict(o, kind, &p);
        if (p.runs == 0)
                snprintf(buf, size, "no prediction yet: no job has finished");
        else if (p.level == 3 && name && *name)
                snprintf(buf, size, "predicted %s from %llu earlier run%s of `%.64s` by this project",
                         time_text(p.mean, time, sizeof(time)), (unsigned long long)p.runs, p.runs == 1 ? "" : "s",
                         name);
        else
                snprintf(buf, size, "predicted %s from %llu earlier run%s %s", time_text(p.mean, time, sizeof(time)),
                         (unsigned long long)p.runs, p.runs == 1 ? "" : "s", of[p.level]);
        return buf;
}
