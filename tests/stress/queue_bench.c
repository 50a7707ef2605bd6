/* SPDX-License-Identifier: Apache-2.0
 * What a pass costs with 100 000 queued jobs in 200 projects on 64 devices with 10 000 running vGPUs, and what a queued
 * job costs in memory. CPU time; prints one JSON line for each case.
 *
 * usage: queue_bench [JOBS] */
#include "base/clock.h"
#include "sched/queue.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define PROJECTS 200u
#define DEVICES  64u
#define RUNNING  10000u
#define PASSES   21
#define SECOND   UINT64_C(1000000)

struct bench {
        struct fg_queue *q;
        struct fg_queue_account *project[PROJECTS];
        struct fg_queue_device device[DEVICES];
        struct fg_queue_job **job;
        size_t jobs;
        uint64_t seed, order, now;
        bool limits; /* running jobs have them */
};

/* Each project's jobs are of `kinds` kinds in each class; 0: each of a kind of its own. */
struct scenario {
        const char *name;
        unsigned kinds;
        bool preempt, limits, pinned, foreign; /* foreign: what is taken is taken by vGPUs of no job */
};

static uint64_t cpu_us(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t draw(struct bench *b, uint64_t below)
{
        uint64_t z = (b->seed += 0x9e3779b97f4a7c15u);

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return (z ^ (z >> 31)) % below;
}

static void must(int r)
{
        if (r < 0)
                abort();
}

static struct fg_queue_wish wish_of(struct bench *b)
{
        return (struct fg_queue_wish){.order = ++b->order,
                                      .project = b->project[draw(b, PROJECTS)],
                                      .count = 1,
                                      .device = FG_QUEUE_ANY,
                                      .kind = FG_QUEUE_ANY,
                                      .submitted = b->now};
}

/* The node: full but for a little on each device. */
static void fill(struct bench *b, bool foreign)
{
        for (uint32_t i = 0; i < RUNNING; i++) {
                struct fg_queue_wish wish = wish_of(b);
                struct fg_queue_place place = {i % DEVICES, 1};
                struct fg_queue_job *job;

                wish.memory = 480 << 20;
                wish.share = 6;
                wish.time_limit = b->limits ? (100 + draw(b, 100000)) * SECOND : 0;
                if (!foreign) {
                        must(fg_queue_add(b->q, &wish, b->now, &job));
                        must(fg_queue_started(b->q, job, b->now + i, &place, 1));
                }
                b->device[place.device].memory_free -= wish.memory;
                b->device[place.device].share_free -= wish.share;
        }
}

static void submit(struct bench *b, const struct scenario *s)
{
        static const uint32_t count[] = {1, 1, 1, 2, 8}, share[] = {125, 250, 500, 1000};

        for (size_t i = 0; i < b->jobs; i++) {
                struct fg_queue_wish wish = wish_of(b);
                uint64_t project = draw(b, PROJECTS), kept = 0;

                wish.project = b->project[project];

                if (s->kinds) { /* what follows is drawn by project and kind */
                        uint64_t kind = draw(b, s->kinds);

                        kept = b->seed;
                        b->seed = project * 1000 + kind;
                }
                wish.count = count[draw(b, 5)];
                wish.share = share[draw(b, 4)];
                wish.memory = (UINT64_C(1) << 30) * (1 + draw(b, 4) * 10);
                wish.time_limit = 3600 * SECOND * draw(b, 4);
                if (!s->kinds) {
                        wish.memory += draw(b, 1 << 30);
                        wish.share = 100 + (uint32_t)draw(b, 900);
                        wish.time_limit = draw(b, 100000) * SECOND;
                }
                if (s->pinned)
                        wish.device = (uint32_t)draw(b, DEVICES);
                b->seed = s->kinds ? kept : b->seed;
                wish.priority = 1 + (uint32_t)draw(b, 3);
                wish.submitted = b->now += 1000;
                must(fg_queue_add(b->q, &wish, b->now, &b->job[i]));
        }
}

static int by_value(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static void measure_passes(struct bench *b, size_t *ret_decisions, uint64_t ret_us[PASSES])
{
        struct fg_queue_scene scene = {b->now + 600 * SECOND, b->device, DEVICES};
        struct fg_queue_plan plan;

        for (int i = 0; i < PASSES; i++) {
                uint64_t t = cpu_us();

                must(fg_queue_pass(b->q, &scene, &plan));
                ret_us[i] = cpu_us() - t;
        }
        *ret_decisions = plan.count;
        qsort(ret_us, PASSES, sizeof(*ret_us), by_value);
}

static uint64_t measure_why(struct bench *b)
{
        struct fg_queue_scene scene = {b->now + 600 * SECOND, b->device, DEVICES};
        struct fg_queue_why why;
        uint64_t us[PASSES];

        for (int i = 0; i < PASSES; i++) {
                uint64_t t = cpu_us();

                must(fg_queue_why(b->q, &scene, b->job[draw(b, b->jobs)], &why));
                us[i] = cpu_us() - t;
        }
        qsort(us, PASSES, sizeof(*us), by_value);
        return us[PASSES / 2];
}

static void run(const struct scenario *s, size_t jobs)
{
        struct fg_queue_config config = FG_QUEUE_DEFAULTS;
        struct bench b = {
                .jobs = jobs, .seed = 1, .limits = s->limits, .job = calloc(jobs, sizeof(struct fg_queue_job *))};
        uint64_t idle[PASSES], busy[PASSES], before, t, add, why;
        size_t none, some, bytes;

        if (!b.job)
                abort();
        config.preempt = s->preempt;
        must(fg_queue_new(&config, &b.q));
        for (size_t i = 0; i < PROJECTS; i++) {
                must(fg_queue_account_add(b.q, &b.project[i]));
                fg_queue_charge(b.q, b.project[i], 0, draw(&b, 1000000) * SECOND);
        }
        for (size_t d = 0; d < DEVICES; d++)
                b.device[d] = (struct fg_queue_device){UINT64_C(80) << 30, UINT64_C(80) << 30, 1000, 1000, 0, true};
        fill(&b, s->foreign);
        before = mallinfo2().uordblks + mallinfo2().hblkhd;
        t = cpu_us();
        submit(&b, s);
        add = cpu_us() - t;
        bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
        measure_passes(&b, &none, idle);
        why = measure_why(&b);
        for (size_t d = 0; d < DEVICES; d++) /* as if half of what runs were none of the queue's business */
                b.device[d].memory_free = UINT64_C(40) << 30, b.device[d].share_free = 500;
        measure_passes(&b, &some, busy);
        printf("{\"case\": \"%s\", \"queued\": %zu, \"pass_ms\": %.2f, \"pass_max_ms\": %.2f, \"decisions\": %zu, "
               "\"starting_pass_ms\": %.2f, \"started\": %zu, \"why_ms\": %.2f, \"add_us\": %.2f, \"bytes_per_job\": "
               "%.0f}\n",
               s->name, jobs, (double)idle[PASSES / 2] / 1000, (double)idle[PASSES - 1] / 1000, none,
               (double)busy[PASSES / 2] / 1000, some, (double)why / 1000, (double)add / (double)jobs,
               (double)bytes / (double)jobs);
        fflush(stdout);
        fg_queue_free(b.q);
        free(b.job);
}

int main(int argc, char **argv)
{
        static const struct scenario all[] = {
                {"10 kinds", .kinds = 10, .limits = true},
                {"10 kinds, no limits", .kinds = 10},
                {"10 kinds, preempting", .kinds = 10, .preempt = true, .limits = true},
                {"10 kinds, pinned, preempting", .kinds = 10, .preempt = true, .limits = true, .pinned = true},
                {"all different", .limits = true},
                {"all different, beside vGPUs of no job", .foreign = true},
                {"all different, preempting", .preempt = true, .limits = true},
                {"all different, pinned, preempting", .preempt = true, .limits = true, .pinned = true},
        };
        size_t jobs = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && jobs > 0; i++)
                run(&all[i], jobs);
        return jobs ? 0 : 1;
}
