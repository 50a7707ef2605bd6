/* SPDX-License-Identifier: Apache-2.0
 * What the arbiter's three files share: observe.c (pages -> demand and charges), decide.c (demand -> grants), standing.c
 * (who needs no turns), arbiter.c (thread and wake-ups). */
#ifndef FGD_ARBITER_INTERNAL_H
#define FGD_ARBITER_INTERNAL_H

#include "daemon/arbiter.h"
#include "sched/share.h"

#include <pthread.h>
#include <stdbool.h>

#define IDLE_LIMIT  (100 * 1000ull)       /* an owner with nothing in flight for so long yields */
#define HOLD_MAX    (20 * 1000000ull)     /* an owner that is owed device time is waited for at most so long */
#define HOLD_PART   64                    /* of a launch of the next in line */
#define STOPPED_LOOK (20 * 1000000ull)    /* between two looks whether what is in flight belongs to a stopped process */
#define STUCK_LIMIT (2000 * 1000000ull)   /* in flight for so long after the end of its grant: waited for no more */
#define FREE_GRACE  (5 * 1000000ull)      /* an owner of a free grant with work believed on the device may still show up */
#define PATIENCE_MAX (20000 * 1000000ull) /* the limit grows with the owner's launches, up to here */
#define STANDING_LOOK (5 * 1000000ull)    /* while the one whose grant stands is at work and does not say that it is done */
#define LEAST_WAIT  (20 * 1000ull)        /* between two decisions that nobody poked for */
#define MIN_HOLD    (500 * 1000ull)       /* before a tenant that wakes up may pre-empt one of its own class */
#define SLEEP_LIMIT (20 * 1000000ull)     /* without demand for so long: a sleeper */
#define FREE_LOOK   (1000 * 1000000ull)    /* how often the use of a free owner is read */
#define BEAT_EVERY  (50 * 1000000ull)
#define FLOOD_SPAN  (10 * 1000000ull)     /* of more than FLOOD_LOOKS looks in such a time, each further one */
#define FLOOD_LOOKS 200
#define FLOOD_PAUSE (500 * 1000)          /* waits so long */
#define WINDOW_PART 4                     /* of a quantum may be in flight, as predicted */

struct slot_view {
        uint32_t index;
        uint32_t generation;
        uint64_t busy;       /* as last read */
        uint64_t stuck_at;   /* what it has in flight is waited for no more, since; 0: not */
        bool deaf;           /* was granted the device and did not move: its waiting counts again when it looks again */
        uint32_t looks;      /* as read when it was found deaf */
};

struct fgd_arbiter_client {
        struct fgd_arbiter_client *next;
        struct fg_limits_page *limits;
        struct fg_usage_page *usage;
        int poke;
        bool stale;  /* slots must be read anew */
        bool closed; /* refused whatever it asks */
        bool held;   /* suspended: gets nothing, and is not looked at until it is resumed */
        bool background; /* all its programs are SCHED_IDLE */
        bool stands;     /* has a grant beside whoever has the device: standing.c */

        struct slot_view slot[FG_SLOTS];
        uint32_t slots;

        struct fg_share share;
        /* Demand, as read in this round. */
        uint32_t waiting;
        uint64_t inflight;
        bool active;
        uint64_t idle_since, estimate, gap, launches, expected_end;
        /* History. */
        uint64_t last_want;  /* last time it wanted or used the device */
        uint64_t woke_at;    /* when it last began to want after an idle time */
        uint64_t last_part;  /* last time it wanted or held the device: what virtual time counts as being at work */
        int64_t ahead;       /* fgd_arbiter_ahead() at the end of its last grant */
        uint64_t charged_in_grant, launches_at_grant;
        uint64_t unpaid;     /* of the time it held the device, what it has to pay beyond what it reported */
        struct fgd_arbiter_account *account;
        uint64_t passed;     /* wall time with the device not yet charged */
};

enum phase { PHASE_NONE, PHASE_FREE, PHASE_TIMED, PHASE_DRAIN };

struct fgd_arbiter {
        struct fgd_arbiter_config config;
        pthread_t thread;
        pthread_mutex_t lock;
        int epoll, control;
        bool stop;

        struct fgd_arbiter_client *clients;
        size_t count;
        const struct fg_share **shares; /* scratch of `count` pointers */
        struct fgd_arbiter_client **candidates;
        size_t capacity;

        enum phase phase;
        struct fgd_arbiter_client *owner;
        uint64_t granted_at, until, drain_since;
        bool drain_of_free;
        uint64_t looks_since; /* of the thread alone */
        unsigned looks;
        uint64_t observed_at, beat_at;
        uint64_t vclock; /* observe.c */
};

void fgd_arbiter_write_grant(struct fgd_arbiter_client *client, enum fg_grant mode);
bool fgd_arbiter_is_background(const struct fg_limits_page *limits);
/* Gives and takes back the grants that stand. */
void fgd_arbiter_let_stand(struct fgd_arbiter *arbiter);

/* By how much the others at work in its class are ahead of it in virtual time: the sum of weight * difference. */
int64_t fgd_arbiter_ahead(const struct fgd_arbiter *arbiter, const struct fgd_arbiter_client *client, uint64_t now, uint64_t *ret_weights);

/* Reads every client's pages; charges what was used since the last time. */
void fgd_arbiter_observe(struct fgd_arbiter *arbiter, uint64_t now);
/* Decides and writes the grants. Returns when to look again, ns from now; UINT64_MAX: when poked. */
uint64_t fgd_arbiter_decide(struct fgd_arbiter *arbiter, uint64_t now);

#endif
