/* SPDX-License-Identifier: Apache-2.0
 *
 * What the queue keeps. A job is in one tree at a time:
 *
 *   queued   its group's jobs, by the policy's key; before its time in queue.waiting, by that time; held in
 *            queue.held
 *   running  queue.running, by its predicted end (queue_job.c)
 *   suspended queue.suspended[class], by the policy's key
 *
 * A group holds the queued jobs for which every question has the same answer: lane (project and class), user, wants,
 * time limit. A pass therefore looks at groups, not at jobs. A group stays while a job of any state refers to it. A
 * lane's groups with queued jobs are in its tree, by their first job. */
#ifndef FG_SCHED_QUEUE_INTERNAL_H
#define FG_SCHED_QUEUE_INTERNAL_H

#include "sched/queue.h"
#include "sched/queue_tree.h"

#define FG_QUEUE_USE_SCALE 1024u /* parts of a us in which use is kept, so that small charges do not round away */

#define fg_queue_entry(node, type) ((type *)(void *)((char *)(node)-offsetof(type, node)))

/* The devices that a job may be placed on, in one number. */
#define FG_QUEUE_WHERE_ANY    UINT32_MAX
#define FG_QUEUE_WHERE_DEVICE 0x80000000u /* | index; else a kind */

static inline bool fg_queue_is_pinned(uint32_t where)
{
        return where != FG_QUEUE_WHERE_ANY && where & FG_QUEUE_WHERE_DEVICE;
}

struct fg_queue_want {
        uint64_t memory;
        uint32_t share, count, where;
};

struct fg_queue_group {
        struct fg_queue_node node; /* in lane->groups while it has queued jobs; key and order are those of the first */
        struct fg_queue_tree jobs;
        struct fg_queue_lane *lane;
        struct fg_queue_account *user;
        struct fg_queue_group *same_hash;
        uint64_t time_limit;
        struct fg_queue_want want;
        uint32_t refs;     /* jobs, in any state */
        uint32_t queued;   /* of them in `jobs` */
        uint32_t admitted; /* of those, as fg_queue_demand() found: within the quotas */
};

/* A project's groups in one class. */
struct fg_queue_lane {
        struct fg_queue_tree groups;
        struct fg_queue_account *project;
        struct fg_queue_node *cursor; /* of the pass: the first group not looked at; NULL: none */
        uint32_t priority, index;     /* index in the class's list while there are groups */
};

struct fg_queue_class {
        struct fg_queue_lane **lane; /* those with groups */
        size_t lanes, made;          /* made: with or without groups; the list has room for them all */
        struct fg_queue_tree suspended;
        size_t running; /* jobs with a share */
};

struct fg_queue_account {
        struct fg_queue *queue;
        struct fg_queue_account *next, **link; /* of all accounts */
        struct fg_queue_amounts limit, outside, held;
        struct fg_queue_amounts asked;                /* of fg_queue_demand(): by jobs that it has counted */
        struct fg_queue_lane *lane[FG_QUEUE_CLASSES]; /* made when first needed */
        uint64_t use, use_at;                         /* as charged, in us / FG_QUEUE_USE_SCALE, and when */
        uint64_t decayed, due;                        /* of the pass: use as of now, and with what runs */
        size_t jobs;                                  /* in any state */
        uint32_t weight;
        bool is_project; /* has or had a lane */
};

/* What only a job that has started needs. */
struct fg_queue_run {
        uint64_t begun; /* when it last got its share */
        uint64_t ran;   /* before that */
        bool suspended;
        uint32_t places;
        struct fg_queue_place place[];
};

enum fg_queue_in {
        FG_QUEUE_IN_NONE, /* on the way from one to another */
        FG_QUEUE_IN_GROUP,
        FG_QUEUE_IN_HELD,
        FG_QUEUE_IN_WAITING,
        FG_QUEUE_IN_RUNNING,
        FG_QUEUE_IN_SUSPENDED,
};

struct fg_queue_job {
        struct fg_queue_node node; /* its order is the job's, always */
        struct fg_queue_group *group;
        struct fg_queue_run *run; /* NULL: queued */
        void *owner;
        uint64_t submitted, not_before;
        uint64_t since; /* waits from then on: submitted, due and released */
        uint32_t hold;
        uint8_t in, leaving;
        bool may_requeue;
};

struct fg_queue {
        struct fg_queue_config config;
        struct fg_queue_class class[FG_QUEUE_CLASSES];
        struct fg_queue_tree held, waiting, running;
        struct fg_queue_group **bucket;
        size_t buckets, groups;
        size_t pinned; /* groups with queued jobs that insist on a device or a kind */
        struct fg_queue_account *accounts;
        struct fg_queue_decision *decision; /* of the last pass */
        struct fg_queue_place *place;
};

static inline struct fg_queue_job *fg_queue_job_of(struct fg_queue_node *node)
{
        return node ? fg_queue_entry(node, struct fg_queue_job) : NULL;
}

static inline struct fg_queue_group *fg_queue_group_of(struct fg_queue_node *node)
{
        return node ? fg_queue_entry(node, struct fg_queue_group) : NULL;
}

/* Keys of queue.running: those that leave, then by end, then the endless by their beginning. */
#define FG_QUEUE_ENDLESS (UINT64_C(1) << 63)

/* When it ends if it goes on from now; FG_QUEUE_UNKNOWN without a time limit. */
uint64_t fg_queue_job_end(const struct fg_queue_job *job, uint64_t now);
/* What its devices get back, for each vGPU, when it leaves as it does, or ends. */
void fg_queue_job_frees(const struct fg_queue_job *job, uint64_t *ret_memory, uint32_t *ret_share);
/* Jobs whose time has come join their groups. */
void fg_queue_wake_due(struct fg_queue *q, uint64_t now);

/* A reference to the group of that lane, user, limit and want. -ENOMEM. */
int fg_queue_group_take(struct fg_queue *q, const struct fg_queue_wish *wish, struct fg_queue_group **ret);
void fg_queue_group_drop(struct fg_queue *q, struct fg_queue_group *group);
void fg_queue_group_insert(struct fg_queue *q, struct fg_queue_group *group, struct fg_queue_node *job);
void fg_queue_group_remove(struct fg_queue *q, struct fg_queue_group *group, struct fg_queue_node *job);

/* use + what its running jobs are taken to have used. */
uint64_t fg_queue_account_due(const struct fg_queue_account *project, uint64_t decayed);
uint64_t fg_queue_account_decayed(const struct fg_queue_account *project, uint64_t now);
/* A job begins (+1) or ends (-1): all but its share; its share. NULL is fine. */
void fg_queue_account_count(struct fg_queue_account *a, const struct fg_queue_want *want, int sign);
void fg_queue_account_count_share(struct fg_queue_account *a, const struct fg_queue_want *want, int sign);

#endif
