/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_world.h"

#include <errno.h>

struct world *world_new(const struct fg_queue_config *config, size_t devices, size_t projects)
{
        struct world *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        w->config = *config;
        assert_int_equal(fg_queue_new(config, &w->q), 0);
        w->now = 1000;
        w->devices = devices;
        for (size_t d = 0; d < devices; d++)
                w->device[d] = (struct fg_queue_device){1000, 1000, 1000, 1000, 0, true};
        w->projects = projects;
        for (size_t i = 0; i < projects; i++) {
                w->weight[i] = 1;
                assert_int_equal(fg_queue_account_add(w->q, &w->project[i]), 0);
        }
        return w;
}

void world_free(struct world *w)
{
        fg_queue_free(w->q);
        free(w);
}

struct fg_queue_scene world_scene(const struct world *w)
{
        return (struct fg_queue_scene){w->now, w->device, w->devices};
}

struct fg_queue_wish world_wish(const struct world *w, size_t project, uint32_t count, uint64_t memory, uint32_t share)
{
        return (struct fg_queue_wish){.project = w->project[project],
                                      .count = count,
                                      .share = share,
                                      .memory = memory,
                                      .device = FG_QUEUE_ANY,
                                      .kind = FG_QUEUE_ANY,
                                      .submitted = w->now};
}

static size_t index_of(struct fg_queue_account *const *list, size_t count, const struct fg_queue_account *a)
{
        for (size_t i = 0; i < count; i++)
                if (list[i] == a)
                        return i;
        fail();
        return 0;
}

struct world_job *world_add(struct world *w, const struct fg_queue_wish *wish, uint64_t length)
{
        struct world_job *j = w->job;

        while (w->jobs == WORLD_JOBS && j->state != WORLD_GONE) { /* in the place of one that has gone */
                j++;
                assert_true(j < w->job + WORLD_JOBS);
        }
        if (w->jobs < WORLD_JOBS)
                j = &w->job[w->jobs++];
        *j = (struct world_job){.wish = *wish, .length = length, .first_start = FG_QUEUE_UNKNOWN, .user = -1};
        j->project = index_of(w->project, w->projects, wish->project);
        if (wish->user)
                j->user = (int)index_of(w->user, w->users, wish->user);
        j->wish.owner = j;
        if (!j->wish.order)
                j->wish.order = ++w->orders;
        j->since = wish->submitted > wish->not_before ? wish->submitted : wish->not_before;
        assert_int_equal(fg_queue_add(w->q, &j->wish, w->now, &j->handle), 0);
        return j;
}

struct world_job *world_of(const struct fg_queue_decision *d)
{
        return d->owner;
}

void world_pass(struct world *w)
{
        struct fg_queue_scene scene = world_scene(w);

        assert_int_equal(fg_queue_pass(w->q, &scene, &w->plan), 0);
        assert_true(w->plan.count <= w->config.decisions);
}

/* Takes (sign 1) or gives back (-1) on the job's devices; whatever is promised must be there. */
static void hold(struct world *w, const struct world_job *j, bool memory, bool share, int sign)
{
        for (size_t d = 0; d < w->devices; d++) {
                uint64_t m = memory ? j->wish.memory * j->on[d] : 0;
                uint32_t s = share ? j->wish.share * j->on[d] : 0;

                if (sign > 0) {
                        assert_true(m <= w->device[d].memory_free && s <= w->device[d].share_free);
                        assert_true(!(m || s) || world_may(w, j, d));
                }
                w->device[d].memory_free -= (uint64_t)sign * m;
                w->device[d].share_free -= (uint32_t)sign * s;
                assert_true(w->device[d].memory_free <= w->device[d].memory);
                assert_true(w->device[d].share_free <= w->device[d].share);
        }
}

static void begin(struct world *w, struct world_job *j, const struct fg_queue_decision *d)
{
        uint32_t sum = 0;

        assert_int_equal(j->state, WORLD_QUEUED);
        assert_true(world_in_quota(w, j));
        assert_int_equal(d->memory, j->wish.memory);
        assert_int_equal(d->share, j->wish.share);
        memset(j->on, 0, sizeof(j->on));
        for (size_t i = 0; i < d->places; i++) {
                assert_true(d->place[i].device < w->devices);
                j->on[d->place[i].device] += d->place[i].count;
                sum += d->place[i].count;
        }
        assert_int_equal(sum, j->wish.count); /* all or none */
        hold(w, j, true, true, 1);
        j->state = WORLD_RUNNING;
        j->begun = w->now;
        j->ran = 0;
        if (j->first_start == FG_QUEUE_UNKNOWN)
                j->first_start = w->now;
        assert_int_equal(fg_queue_started(w->q, j->handle, w->now, d->place, d->places), 0);
        assert_int_equal(fg_queue_started(w->q, j->handle, w->now, d->place, d->places), -EINVAL);
}

void world_leave(struct world *w, struct world_job *j)
{
        if (j->state == WORLD_RUNNING)
                j->ran += w->now - j->begun;
        if (j->leaving == FG_QUEUE_SUSPEND) {
                hold(w, j, false, true, -1);
                j->state = WORLD_SUSPENDED;
                assert_int_equal(fg_queue_suspended(w->q, j->handle, w->now), 0);
        } else {
                assert_int_equal(j->leaving, FG_QUEUE_REQUEUE);
                hold(w, j, true, j->state == WORLD_RUNNING, -1);
                j->state = WORLD_QUEUED;
                j->ran = 0;
                memset(j->on, 0, sizeof(j->on));
                assert_int_equal(fg_queue_requeued(w->q, j->handle, w->now), 0);
        }
        j->leaving = FG_QUEUE_STAY;
}

/* The rules of giving way. */
static void ask_to_leave(struct world *w, struct world_job *j, const struct fg_queue_decision *d)
{
        const struct world_job *whom;

        assert_int_equal(j->leaving, FG_QUEUE_STAY);
        assert_true(d->beneficiary != NULL);
        whom = fg_queue_owner(d->beneficiary);
        assert_true(whom->wish.priority > j->wish.priority);
        assert_true(world_waits(w, whom));
        if (j->state == WORLD_RUNNING)
                assert_true(w->now - j->begun >= w->config.min_run);
        if (d->what == FG_QUEUE_DO_REQUEUE)
                assert_true(j->wish.may_requeue && j->state != WORLD_QUEUED);
        else
                assert_int_equal(j->state, WORLD_RUNNING);
        j->leaving = d->what == FG_QUEUE_DO_REQUEUE ? FG_QUEUE_REQUEUE : FG_QUEUE_SUSPEND;
        assert_int_equal(fg_queue_leaving(w->q, j->handle, j->leaving), 0);
}

void world_carry_out(struct world *w, bool leave)
{
        for (size_t i = 0; i < w->plan.count; i++) {
                const struct fg_queue_decision *d = &w->plan.decision[i];
                struct world_job *j = world_of(d);

                assert_ptr_equal(j->handle, d->job);
                switch (d->what) {
                case FG_QUEUE_DO_START:
                        begin(w, j, d);
                        break;
                case FG_QUEUE_DO_RESUME:
                        assert_int_equal(j->state, WORLD_SUSPENDED);
                        assert_true(j->wish.hold == 0);
                        hold(w, j, false, true, 1);
                        j->state = WORLD_RUNNING;
                        j->begun = w->now;
                        assert_int_equal(fg_queue_resumed(w->q, j->handle, w->now), 0);
                        break;
                case FG_QUEUE_DO_SUSPEND:
                case FG_QUEUE_DO_REQUEUE:
                        ask_to_leave(w, j, d);
                        if (leave)
                                world_leave(w, j);
                        break;
                }
        }
        w->plan.count = 0; /* done: not to be carried out twice */
}

void world_end(struct world *w, struct world_job *j)
{
        if (j->state == WORLD_RUNNING || j->state == WORLD_SUSPENDED)
                hold(w, j, true, j->state == WORLD_RUNNING, -1);
        j->state = WORLD_GONE;
        j->leaving = FG_QUEUE_STAY;
        fg_queue_remove(w->q, j->handle);
        j->handle = NULL;
}

void world_settle(struct world *w)
{
        for (int i = 0; i < 1000; i++) {
                world_pass(w);
                if (w->plan.count == 0)
                        return;
                world_carry_out(w, true);
        }
        fail(); /* going round in circles */
}

uint64_t world_next_end(const struct world *w)
{
        uint64_t next = FG_QUEUE_UNKNOWN;

        for (size_t i = 0; i < w->jobs; i++) {
                const struct world_job *j = &w->job[i];

                if (j->state == WORLD_RUNNING && j->begun + (j->length - j->ran) < next)
                        next = j->begun + (j->length - j->ran);
        }
        return next;
}

void world_advance(struct world *w, uint64_t now)
{
        uint64_t elapsed = now - w->now;

        assert_true(now >= w->now);
        w->now = now;
        for (size_t i = 0; i < w->jobs; i++) {
                struct world_job *j = &w->job[i];
                uint64_t used = elapsed * j->wish.share * j->wish.count / 1000;

                if (j->state != WORLD_RUNNING)
                        continue;
                fg_queue_charge(w->q, w->project[j->project], now, used);
                w->used[j->project] += used;
                if (now - j->begun >= j->length - j->ran)
                        world_end(w, j);
        }
}

bool world_may(const struct world *w, const struct world_job *j, size_t d)
{
        return w->device[d].usable && (j->wish.device == FG_QUEUE_ANY || j->wish.device == d) &&
               (j->wish.device != FG_QUEUE_ANY || j->wish.kind == FG_QUEUE_ANY || j->wish.kind == w->device[d].kind);
}

uint32_t world_cap(const struct world_job *j, uint64_t memory, uint64_t share)
{
        uint32_t n = 0;

        while (n < j->wish.count && memory >= j->wish.memory && share >= j->wish.share) {
                memory -= j->wish.memory;
                share -= j->wish.share;
                n++;
        }
        return n;
}

bool world_fits(const struct world *w, const struct world_job *j)
{
        uint32_t n = 0;

        for (size_t d = 0; d < w->devices; d++) {
                if (j->state == WORLD_SUSPENDED) {
                        if (j->on[d] && (!w->device[d].usable || w->device[d].share_free < j->on[d] * j->wish.share))
                                return false;
                        n += j->on[d];
                } else if (world_may(w, j, d)) {
                        n += world_cap(j, w->device[d].memory_free, w->device[d].share_free);
                }
        }
        return n >= j->wish.count;
}

static bool in_limit(const struct fg_queue_amounts *limit, const struct fg_queue_amounts *held)
{
        return (!limit->jobs || held->jobs <= limit->jobs) && (!limit->vgpus || held->vgpus <= limit->vgpus) &&
               (!limit->memory || held->memory <= limit->memory) && (!limit->share || held->share <= limit->share);
}

/* What its project (or user) would hold with the job running. */
static struct fg_queue_amounts with_it(const struct world *w, const struct world_job *it, bool of_user)
{
        struct fg_queue_amounts a = {0};

        for (size_t i = 0; i < w->jobs; i++) {
                const struct world_job *j = &w->job[i];
                bool its = of_user ? j->user == it->user : j->project == it->project;

                if (!its || (j != it && j->state != WORLD_RUNNING && j->state != WORLD_SUSPENDED))
                        continue;
                a.jobs++;
                a.vgpus += j->wish.count;
                a.memory += j->wish.count * j->wish.memory;
                a.share += j == it || j->state == WORLD_RUNNING ? (uint64_t)j->wish.count * j->wish.share : 0;
        }
        return a;
}

/* A suspended job adds its share alone; its limits on the rest may have been lowered below what it holds. */
bool world_in_quota(const struct world *w, const struct world_job *j)
{
        struct fg_queue_amounts p = with_it(w, j, false), u = with_it(w, j, true);

        if (j->state == WORLD_SUSPENDED)
                p.jobs = p.vgpus = p.memory = u.jobs = u.vgpus = u.memory = 0;
        return in_limit(&w->project_limit[j->project], &p) && (j->user < 0 || in_limit(&w->user_limit[j->user], &u));
}

bool world_waits(const struct world *w, const struct world_job *j)
{
        if (j->wish.hold || j->leaving != FG_QUEUE_STAY)
                return false;
        return j->state == WORLD_SUSPENDED || (j->state == WORLD_QUEUED && j->wish.not_before <= w->now);
}

/* The world's books, added up from its jobs. */
void world_check(const struct world *w)
{
        for (size_t d = 0; d < w->devices; d++) {
                uint64_t memory = w->device[d].memory_free, share = w->device[d].share_free;

                for (size_t i = 0; i < w->jobs; i++) {
                        const struct world_job *j = &w->job[i];

                        if (j->state == WORLD_RUNNING)
                                share += (uint64_t)j->on[d] * j->wish.share;
                        if (j->state == WORLD_RUNNING || j->state == WORLD_SUSPENDED)
                                memory += j->on[d] * j->wish.memory;
                }
                assert_int_equal(memory, w->device[d].memory);
                assert_int_equal(share, w->device[d].share);
        }
        for (size_t p = 0; p < w->projects; p++) {
                struct fg_queue_standing s;
                uint64_t jobs = 0, share = 0;

                for (size_t i = 0; i < w->jobs; i++) {
                        const struct world_job *j = &w->job[i];

                        if (j->project != p)
                                continue;
                        jobs += j->state == WORLD_RUNNING || j->state == WORLD_SUSPENDED;
                        share += j->state == WORLD_RUNNING ? (uint64_t)j->wish.count * j->wish.share : 0;
                }
                fg_queue_standing(w->q, w->project[p], w->now, &s);
                assert_int_equal(s.held.jobs, jobs);
                assert_int_equal(s.held.share, share);
        }
}

struct fg_queue_why world_why(struct world *w, const struct world_job *j)
{
        struct fg_queue_scene scene = world_scene(w);
        struct fg_queue_why why;

        assert_int_equal(fg_queue_why(w->q, &scene, j->handle, &why), 0);
        return why;
}
