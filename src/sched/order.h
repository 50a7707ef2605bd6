/* SPDX-License-Identifier: Apache-2.0
 *
 * How long will this job run, and so when should it go? Learned from the jobs that finished, from nothing. Pure: no
 * clock, no I/O; the same calls give the same answers. docs/design/order.md has the rules and what they are worth.
 *
 * Units: us of running, permille of a device. One thread at a time. Errors: 0 or -errno, and then nothing changed. */
#ifndef FG_SCHED_ORDER_H
#define FG_SCHED_ORDER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FG_ORDER_BUCKETS     64u /* 0..1 s, then each 1.3 times the one before; the last ends after 174 days */
#define FG_ORDER_LEVELS      4u  /* all jobs, project, project and GPUs, the kind itself */
#define FG_ORDER_CLASSES_MAX 65536u
#define FG_ORDER_KEY_MAX     ((UINT64_C(1) << 63) - 1)
#define FG_ORDER_EXPLAIN_MAX 160u

/* What a job has in common with others. Numbers are the daemon's; hashes of names will do. */
struct fg_order_kind {
        uint64_t project, user, name; /* name: its stem, or a hash of the command; 0: not known */
        uint32_t share;               /* of the whole job: permille of a device x vGPUs, not 0 */
};

struct fg_order;

/* At most `classes` are kept, 8..FG_ORDER_CLASSES_MAX; what was not touched for longest goes first. -EINVAL, -ENOMEM. */
int fg_order_new(size_t classes, struct fg_order **ret);
void fg_order_free(struct fg_order *o);
void fg_order_freep(struct fg_order **o);
#define fg_autoorder __attribute__((cleanup(fg_order_freep)))
size_t fg_order_classes(const struct fg_order *o);

/* It finished by itself after that much running, suspensions not counted. -EINVAL: a share of 0; -ENOMEM. */
int fg_order_finish(struct fg_order *o, const struct fg_order_kind *kind, uint64_t ran);

/* Jobs that run say that theirs are longer than their age: without them a class is taken for as short as what finished of
 * it so far. Told anew each time before keys are made: forget, then each that has run at all. Classes that nothing
 * finished of hear nothing. Neither saved nor counted. */
void fg_order_forget_running(struct fg_order *o);
void fg_order_running(struct fg_order *o, const struct fg_order_kind *kind, uint64_t age);

struct fg_order_prediction {
        double weight[FG_ORDER_BUCKETS]; /* of each length; together 1 */
        double mean;                     /* us */
        uint64_t runs;                   /* finished jobs of the most specific class that has any */
        unsigned level;                  /* which that is; 0: all jobs */
};
/* With nothing learned every bucket is as likely. */
void fg_order_predict(const struct fg_order *o, const struct fg_order_kind *kind, struct fg_order_prediction *ret);
/* Lower end of a bucket in us; of FG_ORDER_BUCKETS: the last one's upper end. */
double fg_order_edge(unsigned bucket);
unsigned fg_order_bucket(uint64_t ran);

/* Gittins: the best chance to finish per us of work over all lengths of the next turn, for a job that ran for `age`.
 * More is better; never 0. */
double fg_order_index(const struct fg_order_prediction *p, double age);
/* us that a job of that age is expected to go on. */
double fg_order_remaining(const struct fg_order_prediction *p, double age);

/* The order among jobs: rows of fg_order_policies. */
struct fg_order_job {
        struct fg_order_kind kind;
        uint64_t submitted, waited, age; /* us; waited: without its share, since submission; age: ran so far */
        uint64_t length;                 /* of oracles: its true length */
};
struct fg_order_policy {
        const char *name, *about;
        bool preempts, oracle, blocks; /* oracle: knows lengths, simulator only; blocks: the first one holds up all */
        double margin; /* of learned ones that preempt: a job is suspended for one whose key times this is still less */
        double (*key)(const struct fg_order *o, const struct fg_order_job *job); /* least first */
};
extern const struct fg_order_policy fg_order_policies[]; /* ends with a row without a name */
const struct fg_order_policy *fg_order_policy_find(const char *name); /* NULL: none */
/* The key as the daemon's queue wants it: 0..FG_ORDER_KEY_MAX, the same order but for what is closer than one part in 2^51. */
uint64_t fg_order_key(const struct fg_order *o, const struct fg_order_policy *policy, const struct fg_order_job *job);

/* "predicted 14 min from 212 earlier runs of `train.py` by this project". Returns buf. */
const char *fg_order_explain(const struct fg_order *o, const struct fg_order_kind *kind, const char *name, char *buf,
                             size_t size);

/* The whole state as text, ended by '\0'; the caller frees it. -ENOMEM. */
int fg_order_save(const struct fg_order *o, char **ret, size_t *ret_size);
/* What fg_order_save() made, into a new one of that many classes at most. -EINVAL: not that, damaged, or of another
 * version; -ENOMEM. */
int fg_order_restore(const char *text, size_t size, size_t classes, struct fg_order **ret, struct fg_error *err);

#endif
