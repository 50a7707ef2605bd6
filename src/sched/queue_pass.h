/* SPDX-License-Identifier: Apache-2.0
 *
 * A pass: decides by doing. It starts, resumes and sends away jobs in the queue's own books as it goes, so that each
 * decision sees those before it, and takes all of that back before it returns. Room only shrinks meanwhile, so what did
 * not fit once does not fit later. */
#ifndef FG_SCHED_QUEUE_PASS_H
#define FG_SCHED_QUEUE_PASS_H

#include "sched/placement.h"
#include "sched/queue_internal.h"

/* One device. With a keeper, a job that is still there at `until` may take no more than the spare room: what the keeper
 * leaves over then. */
struct fg_queue_room {
        uint64_t memory;
        uint32_t share, kind;
        bool usable, pooled; /* pooled: a job that insists on it was found not to fit */
        struct fg_queue_job *keeper;
        uint64_t until; /* 0: unknown, whoever starts may still be there */
        uint64_t spare_memory;
        uint32_t spare_share;
};

/* A job's question: is there room for this? */
struct fg_queue_fit {
        struct fg_queue_want want;
        const struct fg_queue_run *fixed; /* suspended: wants its share where it is; else NULL */
        uint64_t end;                     /* should it begin now */
        const void *owner;                /* NULL: of no one job */
};

/* What did not fit; whatever wants as much or more does not either. */
#define FG_QUEUE_MISSES 8u
struct fg_queue_misses {
        struct fg_queue_fit fit[FG_QUEUE_MISSES];
        unsigned count, next;
};

/* A running or suspended job's part on a device. */
struct fg_queue_holder {
        struct fg_queue_job *job;
        uint32_t count, next; /* next: of the same device; FG_QUEUE_ANY: none */
};

/* For why: what was found when its turn came. */
struct fg_queue_watch {
        const struct fg_queue_job *job;
        bool seen;
        bool made_room;             /* others leave for it */
        enum fg_queue_reason quota; /* GOES: none */
        bool of_user;
        struct fg_queue_room *room; /* of each device, as it was then */
        size_t before;              /* decisions taken until then */
};

struct fg_queue_pass {
        struct fg_queue *q;
        const struct fg_queue_scene *scene;
        uint64_t now;
        size_t devices;
        struct fg_queue_room *room;
        struct fg_queue_room *later;   /* of the last forecast */
        bool *open;                    /* of it: devices it may count on */
        bool *crowded;                 /* for that owner's job */
        uint32_t *loss;                /* for it too */
        const void *crowded_for;
        struct fg_queue_room *emptied; /* if all that runs ended; made when first needed */
        struct fg_queue_decision *decision;
        size_t count, most;
        bool full, stop; /* no more decisions; nothing more to look at */
        uint64_t wake;
        struct fg_queue_lane **heap;
        size_t lanes;
        struct fg_queue_node *before; /* the group before the one whose job just began; NULL: it was the first */
        uint32_t *pool; /* those whose first job was found not to fit, but for those of one device: see room */
        size_t pools;
        struct fg_queue_misses misses, unhelped; /* unhelped: by sending others away */
        struct fg_queue_misses never;            /* would not fit if all that runs ended */
        struct fg_queue_holder *holder;          /* made when first needed */
        uint32_t *first;                         /* of each device; made with it */
        size_t effort;                           /* left for what a pass may do without */
        struct fg_sched_device *view;            /* for fg_sched_place() */
        struct fg_sched_want *want;
        uint32_t *chosen, *share, *counted;
        uint64_t *memory;
        struct fg_queue_place *place;
        uint64_t *begun; /* of each decision's job, as it was */
        struct fg_queue_watch *watch;
};

/* queue_room.c */
bool fg_queue_is_where(const struct fg_queue_pass *p, size_t device, uint32_t where);
/* Of so much room, vGPUs of that want; at most its count. */
uint32_t fg_queue_cap(uint64_t memory, uint32_t share, const struct fg_queue_want *want);
/* On device d with so much room, for that job. */
uint32_t fg_queue_cap_on(const struct fg_queue_pass *p, const struct fg_queue_fit *fit, size_t d, uint64_t memory,
                         uint32_t share);
/* What is left for one that ends then. */
void fg_queue_room_left(const struct fg_queue_room *room, uint64_t end, uint64_t *ret_memory, uint32_t *ret_share);
/* vGPUs of it that have room; at most its count. `kept`: mind what is kept for others. */
uint32_t fg_queue_fits(const struct fg_queue_pass *p, const struct fg_queue_room *room, const struct fg_queue_fit *fit,
                       bool kept);
void fg_queue_fit_of(const struct fg_queue_pass *p, const struct fg_queue_job *job, struct fg_queue_fit *ret);
void fg_queue_fit_of_group(const struct fg_queue_pass *p, const struct fg_queue_group *group, struct fg_queue_fit *ret);
/* Sets p->crowded and p->loss; is any device crowded for that job? */
bool fg_queue_crowds(struct fg_queue_pass *p, const struct fg_queue_fit *fit);
/* Places a job that is not fixed on rooms that are `open` (NULL: on all), to p->place. -ENOSPC, -ENOMEM. */
int fg_queue_place_on(struct fg_queue_pass *p, const struct fg_queue_room *room, const bool *open,
                      const struct fg_queue_fit *fit, size_t *ret_places);
void fg_queue_room_take(struct fg_queue_pass *p, const struct fg_queue_place *place, size_t places,
                        const struct fg_queue_fit *fit);
bool fg_queue_misses_has(const struct fg_queue_misses *m, const struct fg_queue_fit *fit);
void fg_queue_misses_add(struct fg_queue_misses *m, const struct fg_queue_fit *fit);

/* queue_keep.c: when will there be room? */
enum fg_queue_sight { FG_QUEUE_AT_NO_TIME, FG_QUEUE_AT_A_TIME, FG_QUEUE_AT_SOME_TIME };
/* Counting on devices that nobody keeps; *ret_at is known for AT_A_TIME. Those that leave are taken to leave now.
 * `leaving`: count on nobody else, and on no crowded device: nobody is sent away for what is then refused. Leaves its rooms in p->later and p->open. */
enum fg_queue_sight fg_queue_forecast(struct fg_queue_pass *p, const struct fg_queue_fit *fit, bool leaving,
                                      uint64_t *ret_at);
/* It was resumed: what it holds will be free at some time now. */
void fg_queue_count_on(struct fg_queue_pass *p, const struct fg_queue_job *job);
/* Keeps for the job what it needs of p->later. */
int fg_queue_keep(struct fg_queue_pass *p, struct fg_queue_job *job, const struct fg_queue_fit *fit, uint64_t until);
/* Is there nothing to be done for a job that does not fit? */
bool fg_queue_is_past_help(const struct fg_queue_pass *p, uint32_t priority, const struct fg_queue_fit *fit);
/* The job's turn came and it does not fit. */
int fg_queue_missed(struct fg_queue_pass *p, struct fg_queue_job *job, const struct fg_queue_fit *fit);

/* queue_preempt.c: proposes who leaves for the job, and marks them so. 1: proposed; 0: nobody; -ENOMEM. */
int fg_queue_preempt(struct fg_queue_pass *p, struct fg_queue_job *job, const struct fg_queue_fit *fit);

/* queue_quota.c: what forbids a job of that group to start, or to go on after it was suspended; GOES: nothing. */
enum fg_queue_reason fg_queue_quota(const struct fg_queue_group *group, bool suspended, bool *ret_of_user);
/* Of so many queued jobs of the group, those that the quotas admit beside what was `asked` before; they are asked for now. */
uint64_t fg_queue_quota_ask(const struct fg_queue_group *group, uint64_t jobs);
/* Numbers of that quota. */
void fg_queue_quota_numbers(const struct fg_queue_group *group, bool suspended, enum fg_queue_reason reason,
                            bool of_user, uint64_t *ret_wanted, uint64_t *ret_available);

/* queue_walk.c: everybody's turn. */
int fg_queue_pass_run(struct fg_queue_pass *p);

/* queue_pass.c: also for queue_why.c. End takes everything back. */
int fg_queue_pass_begin(struct fg_queue_pass *p, struct fg_queue *q, const struct fg_queue_scene *scene);
void fg_queue_pass_end(struct fg_queue_pass *p);
void fg_queue_decide(struct fg_queue_pass *p, enum fg_queue_what what, struct fg_queue_job *job,
                     struct fg_queue_job *beneficiary);

#endif
