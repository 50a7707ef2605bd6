/* SPDX-License-Identifier: Apache-2.0
 *
 * A node on paper for the queue's tests: it has devices, carries out what passes propose, and keeps books of its own,
 * in which it checks that nothing is promised twice. */
#ifndef FG_TESTS_QUEUE_WORLD_H
#define FG_TESTS_QUEUE_WORLD_H

#include "unit.h"

#include "sched/queue.h"

#define WORLD_DEVICES  8
#define WORLD_JOBS     4096
#define WORLD_ACCOUNTS 16

enum world_state { WORLD_QUEUED, WORLD_RUNNING, WORLD_SUSPENDED, WORLD_GONE };

struct world_job {
        struct fg_queue_wish wish;
        struct fg_queue_job *handle;
        enum world_state state;
        enum fg_queue_leave leaving;
        uint32_t on[WORLD_DEVICES]; /* vGPUs */
        uint64_t length;            /* us that it runs for */
        uint64_t begun, ran, since;
        uint64_t first_start; /* FG_QUEUE_UNKNOWN: not yet */
        size_t project;       /* index in world.project */
        int user;             /* -1: none */
};

struct world {
        struct fg_queue *q;
        struct fg_queue_config config;
        struct fg_queue_device device[WORLD_DEVICES];
        size_t devices;
        uint64_t now;
        struct world_job job[WORLD_JOBS];
        size_t jobs;
        uint64_t orders;
        struct fg_queue_account *project[WORLD_ACCOUNTS], *user[WORLD_ACCOUNTS];
        uint32_t weight[WORLD_ACCOUNTS];
        struct fg_queue_amounts project_limit[WORLD_ACCOUNTS], user_limit[WORLD_ACCOUNTS];
        size_t projects, users;
        struct fg_queue_plan plan;     /* of the last pass */
        uint64_t used[WORLD_ACCOUNTS]; /* us of whole devices, by project, not forgotten */
};

/* Devices of 1000 bytes and 1000 permille, of kind 0. */
struct world *world_new(const struct fg_queue_config *config, size_t devices, size_t projects);
void world_free(struct world *w);
struct fg_queue_scene world_scene(const struct world *w);

/* A wish of `count` vGPUs for anywhere; change what is to be different. */
struct fg_queue_wish world_wish(const struct world *w, size_t project, uint32_t count, uint64_t memory, uint32_t share);
/* owner and order are the world's. */
struct world_job *world_add(struct world *w, const struct fg_queue_wish *wish, uint64_t length);
struct world_job *world_of(const struct fg_queue_decision *d);

void world_pass(struct world *w);
/* Carries the plan out. Who is to leave begins to, and has left at once if `leave`. */
void world_carry_out(struct world *w, bool leave);
void world_leave(struct world *w, struct world_job *j); /* one that is leaving has left */
void world_end(struct world *w, struct world_job *j);
/* Pass and carry out until a pass says nothing new. */
void world_settle(struct world *w);
/* When the next running job is through; FG_QUEUE_UNKNOWN: none runs. */
uint64_t world_next_end(const struct world *w);
/* On to that time: charges, and ends who is through. */
void world_advance(struct world *w, uint64_t now);

/* By the world's own books. */
bool world_may(const struct world *w, const struct world_job *j, size_t d); /* is it a device for the job? */
uint32_t world_cap(const struct world_job *j, uint64_t memory, uint64_t share);
bool world_fits(const struct world *w, const struct world_job *j);
bool world_in_quota(const struct world *w, const struct world_job *j);
bool world_waits(const struct world *w, const struct world_job *j); /* it could begin but for room and quota */
void world_check(const struct world *w);
struct fg_queue_why world_why(struct world *w, const struct world_job *j);

#endif
