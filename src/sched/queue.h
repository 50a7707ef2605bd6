/* SPDX-License-Identifier: Apache-2.0
 *
 * The job queue's policy: who starts next and where, who makes room, and why a job waits. Pure: no clock, no I/O; the
 * same calls give the same answers. docs/design/queue.md has the rules.
 *
 * The daemon owns jobs and devices and tells what happened (added, held, started, suspended, charged). fg_queue_pass()
 * proposes; nothing it proposes has happened before the daemon says so. Handles are the queue's: a job's until
 * fg_queue_remove(), an account's until fg_queue_account_remove(), all until fg_queue_free(). One thread at a time.
 * Units: us of any one clock that the daemon keeps to, bytes, permille of a device. Errors: 0 or -errno, and then
 * nothing changed. */
#ifndef FG_SCHED_QUEUE_H
#define FG_SCHED_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FG_QUEUE_CLASSES  16u   /* priority classes 0..15, higher first */
#define FG_QUEUE_GANG_MAX 1024u /* vGPUs of a job */
#define FG_QUEUE_ANY      UINT32_MAX
#define FG_QUEUE_UNKNOWN  UINT64_MAX

struct fg_placer;
struct fg_queue;
struct fg_queue_job;
struct fg_queue_account; /* a project, or a user */

/* What a job asks for. */
struct fg_queue_wish {
        void *owner;                             /* the daemon's; handed back, never looked at */
        uint64_t order;                          /* unique, rising with submission: decides ties */
        struct fg_queue_account *project, *user; /* user: NULL for none */
        uint32_t priority;                       /* class */
        uint32_t count, share;                   /* vGPUs, all or none; 1..1000 permille of a device each */
        uint64_t memory;                         /* bytes each, not 0 */
        uint32_t device, kind;                   /* insists on this device, else on this kind; or FG_QUEUE_ANY */
        uint64_t time_limit;                     /* us of running; 0: none, its end is then unknown */
        uint64_t submitted, not_before;          /* us */
        uint32_t hold;                           /* the daemon's reason; 0: none */
        bool may_requeue;                        /* may be stopped and started over to make room */
};

/* The order within a project: a row of fg_queue_policies. */
struct fg_queue_policy {
        const char *name;
        bool by_share; /* projects by weighted decayed use; else all jobs of a class by key alone */
        uint64_t (*key)(const struct fg_queue_wish *wish, void *context); /* least first; < 2^63 */
};
/* Context of "learned": the number that the daemon keeps with an owner, fg_order_key() of late. NULL: submission. */
struct fg_queue_keys {
        uint64_t (*of)(const void *owner);
};
extern const struct fg_queue_policy fg_queue_policies[]; /* ends with a row without a name */

struct fg_queue_config {
        const struct fg_queue_policy *policy; /* NULL: "fair" */
        void *context;                        /* the policy's */
        uint64_t half_life;                   /* us in which use loses half its weight; 0: never */
        uint64_t advance;                     /* us of use that a running job counts for before it is charged */
        uint64_t ageing;  /* us of waiting after which a job whose start is unknown is not overtaken any more */
        uint64_t min_run; /* us that a job runs before it may be made to give way */
        bool preempt;
        uint32_t decisions; /* at most, of one pass */
};
#define FG_QUEUE_DEFAULTS                                                                                              \
        ((struct fg_queue_config){.half_life = 7 * 86400000000u,                                                       \
                                  .advance = 60000000u,                                                                \
                                  .ageing = 3600000000u,                                                               \
                                  .min_run = 300000000u,                                                               \
                                  .preempt = true,                                                                     \
                                  .decisions = 256})

int fg_queue_new(const struct fg_queue_config *config, struct fg_queue **ret); /* -EINVAL, -ENOMEM */
void fg_queue_free(struct fg_queue *q);                                        /* NULL is fine */
/* The row of that name, or NULL. */
const struct fg_queue_policy *fg_queue_policy_find(const char *name);

/* Accounts. A limit of 0 is none. A suspended job still counts, but for its share. */
struct fg_queue_amounts {
        uint64_t jobs, vgpus, memory, share;
};
struct fg_queue_standing {
        uint64_t used;                /* decayed GPU time, us */
        struct fg_queue_amounts held; /* by running and suspended jobs */
        uint32_t rank, projects;      /* 1: goes first; among projects with a job in the queue or running */
};
int fg_queue_account_add(struct fg_queue *q, struct fg_queue_account **ret);
int fg_queue_account_remove(struct fg_queue *q, struct fg_queue_account *a); /* -EBUSY: has jobs */
/* weight 1..: a project's due. outside: what it holds that is no job of the queue. */
int fg_queue_account_set(struct fg_queue_account *a, uint32_t weight, const struct fg_queue_amounts *limit,
                         const struct fg_queue_amounts *outside);
/* The project used that much of devices: us x share / 1000. Best effort that is to cost no standing is not charged.
 * O(1). */
void fg_queue_charge(struct fg_queue *q, struct fg_queue_account *project, uint64_t now, uint64_t gpu_us);
/* The account of use as of *ret_at, in us/1024; for the daemon to store, and to put back as it was. */
void fg_queue_use_save(const struct fg_queue_account *project, uint64_t *ret_use, uint64_t *ret_at);
void fg_queue_use_restore(struct fg_queue_account *project, uint64_t use, uint64_t at);
void fg_queue_standing(const struct fg_queue *q, const struct fg_queue_account *project, uint64_t now,
                       struct fg_queue_standing *ret);

/* Jobs: queued <-> running <-> suspended. What does not fit the job's state is -EINVAL. After a restart: add, started
 * (with the time it started), suspended. */
enum fg_queue_leave { FG_QUEUE_STAY, FG_QUEUE_SUSPEND, FG_QUEUE_REQUEUE };
struct fg_queue_place {
        uint32_t device, count;
};
int fg_queue_add(struct fg_queue *q, const struct fg_queue_wish *wish, uint64_t now, struct fg_queue_job **ret);
void fg_queue_remove(struct fg_queue *q, struct fg_queue_job *job); /* ended or cancelled, in any state */
void *fg_queue_owner(const struct fg_queue_job *job);
void fg_queue_hold(struct fg_queue *q, struct fg_queue_job *job, uint32_t reason, uint64_t now); /* 0 releases */
/* Places: ascending devices, their counts add up to the job's. */
int fg_queue_started(struct fg_queue *q, struct fg_queue_job *job, uint64_t now, const struct fg_queue_place *place,
                     size_t places);
/* The daemon has begun to suspend or stop it; its room counts as coming until it is suspended, requeued or STAYs. */
int fg_queue_leaving(struct fg_queue *q, struct fg_queue_job *job, enum fg_queue_leave how);
int fg_queue_suspended(struct fg_queue *q, struct fg_queue_job *job, uint64_t now); /* memory stays, share is free */
int fg_queue_resumed(struct fg_queue *q, struct fg_queue_job *job, uint64_t now);
int fg_queue_requeued(struct fg_queue *q, struct fg_queue_job *job, uint64_t now); /* stopped; back in its old place */
/* The policy's key of this job has changed; until then it must stay what it was. */
void fg_queue_rekey(struct fg_queue *q, struct fg_queue_job *job);

/* The devices as they are, whoever holds what. */
struct fg_queue_device {
        uint64_t memory, memory_free; /* the most a vGPU could have; what is not promised */
        uint32_t share, share_free;
        uint32_t kind; /* < 2^31 */
        bool usable, last; /* last: only where no other has room */
};
struct fg_queue_scene {
        uint64_t now;
        const struct fg_queue_device *device;
        size_t devices;
        /* Devices where the owner's job would be slowed too much, which it gets only where no other has room, and for which nobody is sent
         * away; and the loss on each (placement.h), 0 before the call; NULL: none. The daemon, which knows what happens meanwhile, has the
         * last word. */
        void (*crowded)(void *user, const void *owner, bool *ret, uint32_t *ret_loss);
        void *user;
        const struct fg_placer *placer; /* where a job goes that may go to several; NULL: where most memory is free */
};

enum fg_queue_what { FG_QUEUE_DO_START, FG_QUEUE_DO_RESUME, FG_QUEUE_DO_SUSPEND, FG_QUEUE_DO_REQUEUE };
struct fg_queue_decision {
        enum fg_queue_what what;
        struct fg_queue_job *job, *beneficiary; /* beneficiary: for whom it is suspended or requeued, else NULL */
        void *owner;                            /* of the job */
        const struct fg_queue_place *place;     /* where it starts or is */
        size_t places;
        uint64_t memory; /* of each vGPU */
        uint32_t share;
};
struct fg_queue_plan {
        const struct fg_queue_decision *decision; /* in the order in which to carry them out */
        size_t count;
        bool more;     /* the bound was reached: call again when these are carried out */
        uint64_t wake; /* us: look again then, happen what may: a job's time, a minimum run; FG_QUEUE_UNKNOWN: no such
                          time */
};
/* What to do now; when something has changed, and once a minute, as decay moves projects. What *ret points to is the
 * queue's, and valid until the next pass. -ENOMEM. After starts have been carried out another pass may find more: they
 * move their projects back, and what is kept for whom with them. */
int fg_queue_pass(struct fg_queue *q, const struct fg_queue_scene *scene, struct fg_queue_plan *ret);

/* What jobs that wait could use of the devices beyond what is held, permille of each (*ret has scene->devices of them): queued ones that
 * are due and suspended ones, held by nobody, as far as their quotas admit them. O(groups * devices). */
void fg_queue_demand(struct fg_queue *q, const struct fg_queue_scene *scene, uint32_t *ret);
/* The same of one project alone, as if the devices had nobody else: permille of all devices together. After fg_queue_demand() of the
 * same scene; `scratch` as `ret` above. */
uint64_t fg_queue_demand_of(struct fg_queue *q, const struct fg_queue_scene *scene, const struct fg_queue_account *project, uint32_t *scratch);

enum fg_queue_reason {
        FG_QUEUE_GOES,       /* the next pass starts or resumes it */
        FG_QUEUE_RUNS,       /* it waits for nothing */
        FG_QUEUE_LEAVES,     /* suspended, and now to be stopped, for `other` or because the daemon said so */
        FG_QUEUE_HELD,       /* wanted: the hold's reason */
        FG_QUEUE_NOT_BEFORE, /* wanted: us */
        FG_QUEUE_QUOTA_JOBS, /* quotas: wanted by it, available of the limit */
        FG_QUEUE_QUOTA_VGPUS,
        FG_QUEUE_QUOTA_MEMORY,
        FG_QUEUE_QUOTA_SHARE,
        FG_QUEUE_NO_DEVICE, /* none of that kind, or not usable */
        FG_QUEUE_TOO_LARGE, /* does not fit onto the empty devices */
        FG_QUEUE_NO_MEMORY, /* wanted and available on the best device, for one vGPU */
        FG_QUEUE_NO_SHARE,
        FG_QUEUE_BEHIND_CLASS, /* the room goes to: a higher class */
        FG_QUEUE_BEHIND_SHARE, /* ... a project with a better claim */
        FG_QUEUE_BEHIND_OWN,   /* ... jobs of its own project that come first */
        FG_QUEUE_RESERVED,     /* there is room, kept for `other` */
        FG_QUEUE_PREEMPTING,   /* others are being made to leave for it */
        FG_QUEUE_PASS_FULL,    /* not looked at: more decisions than fit into one pass */
};
struct fg_queue_why {
        enum fg_queue_reason reason;
        bool of_user; /* a quota: the user's, not the project's */
        uint64_t wanted, available;
        uint32_t device;         /* best device, or FG_QUEUE_ANY */
        uint32_t fits;           /* of its vGPUs, how many have room now */
        uint64_t missing_memory; /* what must become free on `device` for one vGPU more */
        uint32_t missing_share;
        bool next;      /* it is the next one for its devices: nobody may take what it needs */
        uint64_t start; /* us, predicted, when running jobs use up their limits; FG_QUEUE_UNKNOWN */
        void *other;    /* owner of the job that has or gets the room; or NULL */
};
/* The one dominant reason, as the pass would see it now. -ENOMEM. */
int fg_queue_why(struct fg_queue *q, const struct fg_queue_scene *scene, struct fg_queue_job *job,
                 struct fg_queue_why *ret);

#endif
