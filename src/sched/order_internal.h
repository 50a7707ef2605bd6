/* SPDX-License-Identifier: Apache-2.0
 * What is learned of one class of jobs. Weights decay with each finish of the class, the oldest count least. */
#ifndef FG_SCHED_ORDER_INTERNAL_H
#define FG_SCHED_ORDER_INTERNAL_H

#include "sched/order.h"

struct fg_order_class {
        uint64_t key[4]; /* project, user, name, share; 0 where the level does not look at it */
        uint64_t runs, touched;
        double work; /* decayed sum of lengths, us */
        float weight[FG_ORDER_BUCKETS];
        float running[FG_ORDER_BUCKETS]; /* jobs, by age */
        bool runs_now;                   /* there are any */
        uint32_t next; /* of the same hash; FG_ORDER_NONE: the last */
        uint8_t level;
};

#define FG_ORDER_NONE UINT32_MAX

struct fg_order {
        struct fg_order_class *class; /* class[0]: all jobs, stays */
        uint32_t *bucket;
        size_t count, made, most, buckets; /* buckets: a power of 2 */
        uint64_t clock;                    /* counts finishes */
};

/* NULL: nothing of it finished yet, or it was forgotten. */
struct fg_order_class *fg_order_class_find(const struct fg_order *o, const struct fg_order_kind *kind, unsigned level);
/* The same, made if need be; NULL: no memory. */
struct fg_order_class *fg_order_class_take(struct fg_order *o, const struct fg_order_kind *kind, unsigned level);

#endif
