/* SPDX-License-Identifier: Apache-2.0
 * The queue's rules, each on a small node where the answer is plain. */
#include "queue_world.h"

#include "sched/queue_decay.h"
#include "sched/queue_tree.h"

#include <errno.h>

#define SECOND UINT64_C(1000000)

static struct fg_queue_config config(void)
{
        struct fg_queue_config c = FG_QUEUE_DEFAULTS;

        c.min_run = 10 * SECOND;
        c.ageing = 100 * SECOND;
        return c;
}

static struct world *small(size_t devices, size_t projects)
{
        struct fg_queue_config c = config();

        return world_new(&c, devices, projects);
}

static struct world_job *add(struct world *w, size_t project, uint32_t count, uint64_t memory, uint32_t share)
{
        struct fg_queue_wish wish = world_wish(w, project, count, memory, share);

        return world_add(w, &wish, 100 * SECOND);
}

/* With a time limit, in a class. */
static struct world_job *add_limited(struct world *w, uint32_t memory, uint32_t share, uint64_t limit,
                                     uint32_t priority)
{
        struct fg_queue_wish wish = world_wish(w, 0, 1, memory, share);

        wish.time_limit = limit;
        wish.priority = priority;
        return world_add(w, &wish, limit ? limit : 100 * SECOND);
}

static bool is_decided(const struct world *w, const struct world_job *j, enum fg_queue_what what)
{
        for (size_t i = 0; i < w->plan.count; i++)
                if (world_of(&w->plan.decision[i]) == j && w->plan.decision[i].what == what)
                        return true;
        return false;
}

static void decay_halves(void **state)
{
        assert_int_equal(fg_queue_decay(1000, 0, 10), 1000);
        assert_int_equal(fg_queue_decay(1000, 10, 10), 500);
        assert_int_equal(fg_queue_decay(1000, 30, 10), 125);
        assert_int_equal(fg_queue_decay(1000, 640, 10), 0);
        assert_int_equal(fg_queue_decay(1000, UINT64_MAX, 10), 0);
        assert_int_equal(fg_queue_decay(1000, 12345, 0), 1000);
        assert_int_equal(fg_queue_decay(UINT64_MAX, 0, 1), UINT64_MAX);
        /* 10^18 / sqrt 2 and 10^18 * 2^-0.1, to nine digits. */
        assert_in_range(fg_queue_decay(1000000000000000000u, 5, 10), 707106781000000000u, 707106781300000000u);
        assert_in_range(fg_queue_decay(1000000000000000000u, 1, 10), 933032991300000000u, 933032991700000000u);
}

/* In many steps as in one, and never growing. */
static void decay_composes(void **state)
{
        uint64_t seed = 3;

        for (int i = 0; i < 1000; i++) {
                uint64_t half_life = 1 + unit_random(&seed) % 1000000000, amount = unit_random(&seed) >> 8;
                uint64_t a = unit_random(&seed) % half_life, b = unit_random(&seed) % (3 * half_life);
                uint64_t once = fg_queue_decay(amount, a + b, half_life);
                uint64_t twice = fg_queue_decay(fg_queue_decay(amount, a, half_life), b, half_life);
                uint64_t off = once > twice ? once - twice : twice - once;

                assert_true(off <= 4 + amount / 1000000000);
                assert_true(fg_queue_decay(amount, a + 1, half_life) <= fg_queue_decay(amount, a, half_life));
        }
}

static void tree_keeps_order(void **state)
{
        static struct fg_queue_node node[500];
        struct fg_queue_tree tree = {NULL};
        bool in[500] = {false};
        uint64_t seed = 5;

        for (int step = 0; step < 20000; step++) {
                size_t i = unit_random(&seed) % 500, count = 0;

                if (in[i]) {
                        fg_queue_tree_remove(&tree, &node[i]);
                } else {
                        node[i].key = unit_random(&seed) % 50;
                        node[i].order = i;
                        fg_queue_tree_insert(&tree, &node[i]);
                }
                in[i] = !in[i];
                if (step % 100)
                        continue;
                for (struct fg_queue_node *n = fg_queue_tree_first(&tree), *next; n; n = next, count++) {
                        next = fg_queue_tree_next(n);
                        assert_true(!next || fg_queue_node_before(n, next));
                        assert_true(!next || fg_queue_tree_previous(next) == n);
                }
                for (i = 0; i < 500; i++)
                        count -= in[i];
                assert_int_equal(count, 0);
        }
}

static void wishes_are_checked(void **state)
{
        struct world *w = small(1, 1);
        struct fg_queue_wish good = world_wish(w, 0, 1, 1, 1), bad[8];
        struct fg_queue_job *job;

        for (size_t i = 0; i < COUNT_OF(bad); i++)
                bad[i] = good;
        bad[0].project = NULL;
        bad[1].count = 0;
        bad[2].count = FG_QUEUE_GANG_MAX + 1;
        bad[3].share = 0;
        bad[4].share = 1001;
        bad[5].memory = 0;
        bad[6].priority = FG_QUEUE_CLASSES;
        bad[7].kind = UINT32_MAX - 1;
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_int_equal(fg_queue_add(w->q, &bad[i], 0, &job), -EINVAL);
        assert_int_equal(fg_queue_account_remove(w->q, w->project[0]), 0);
        w->projects = 0;
        world_free(w);
}

/* Held, waiting, running, suspended: each in the state in which the queue goes, and what does not fit the state is
 * refused. */
static void states_are_checked(void **state)
{
        struct world *w = small(1, 1);
        struct world_job *j = add(w, 0, 2, 100, 100);
        struct fg_queue_place short_place = {0, 1}, place = {0, 2}, twice[] = {{0, 1}, {0, 1}};

        assert_int_equal(fg_queue_started(w->q, j->handle, 1, &short_place, 1), -EINVAL);
        assert_int_equal(fg_queue_started(w->q, j->handle, 1, twice, 2), -EINVAL);
        assert_int_equal(fg_queue_suspended(w->q, j->handle, 1), -EINVAL);
        assert_int_equal(fg_queue_resumed(w->q, j->handle, 1), -EINVAL);
        assert_int_equal(fg_queue_requeued(w->q, j->handle, 1), -EINVAL);
        assert_int_equal(fg_queue_leaving(w->q, j->handle, FG_QUEUE_SUSPEND), -EINVAL);
        assert_int_equal(fg_queue_started(w->q, j->handle, 1, &place, 1), 0);
        assert_int_equal(fg_queue_account_remove(w->q, w->project[0]), -EBUSY);
        assert_int_equal(fg_queue_resumed(w->q, j->handle, 1), -EINVAL);
        assert_int_equal(fg_queue_suspended(w->q, j->handle, 2), 0);
        assert_int_equal(fg_queue_suspended(w->q, j->handle, 2), -EINVAL);
        assert_int_equal(fg_queue_leaving(w->q, j->handle, FG_QUEUE_SUSPEND), -EINVAL);
        assert_int_equal(fg_queue_leaving(w->q, j->handle, FG_QUEUE_REQUEUE), 0);
        assert_int_equal(fg_queue_requeued(w->q, j->handle, 3), 0);
        fg_queue_hold(w->q, j->handle, 7, 4);
        add(w, 0, 1, 1, 1)->wish.hold = 0;
        world_free(w); /* with jobs in it */
}

static void class_then_fifo(void **state)
{
        struct world *w = small(1, 1);
        struct world_job *first = add_limited(w, 600, 100, 0, 1), *second = add_limited(w, 600, 100, 0, 1),
                         *high = add_limited(w, 600, 100, 0, 2);

        world_pass(w);
        assert_int_equal(w->plan.count, 1);
        assert_true(is_decided(w, high, FG_QUEUE_DO_START));
        assert_int_equal(world_why(w, first).reason, FG_QUEUE_BEHIND_CLASS);
        assert_ptr_equal(world_why(w, first).other, high);
        world_carry_out(w, true);
        world_end(w, high);
        world_pass(w);
        assert_true(is_decided(w, first, FG_QUEUE_DO_START));
        assert_int_equal(world_why(w, first).reason, FG_QUEUE_GOES);
        assert_int_equal(world_why(w, second).reason, FG_QUEUE_BEHIND_OWN);
        world_free(w);
}

static void least_used_project_goes_first(void **state)
{
        struct world *w = small(1, 3);
        struct world_job *a = add(w, 0, 1, 600, 100), *b = add(w, 1, 1, 600, 100), *c = add(w, 2, 1, 600, 100);
        struct fg_queue_standing s;

        fg_queue_charge(w->q, w->project[0], w->now, 300 * SECOND);
        fg_queue_charge(w->q, w->project[1], w->now, 500 * SECOND);
        world_pass(w);
        assert_true(is_decided(w, c, FG_QUEUE_DO_START)); /* without history */
        assert_int_equal(world_why(w, a).reason, FG_QUEUE_BEHIND_SHARE);
        world_end(w, c);
        world_pass(w);
        assert_true(is_decided(w, a, FG_QUEUE_DO_START));
        assert_int_equal(fg_queue_account_set(w->project[1], 2, NULL, NULL), 0); /* is due twice as much */
        fg_queue_standing(w->q, w->project[1], w->now, &s);
        assert_int_equal(s.rank, 1);
        assert_int_equal(s.projects, 2);
        assert_int_equal(s.used, 500 * SECOND);
        world_pass(w);
        assert_true(is_decided(w, b, FG_QUEUE_DO_START));
        assert_int_equal(fg_queue_account_set(w->project[1], 0, NULL, NULL), -EINVAL);
        world_free(w);
}

/* What has been started and not been charged yet counts: equal projects take turns within one pass. */
static void equal_projects_take_turns(void **state)
{
        struct world *w = small(1, 2);
        unsigned of[2] = {0};

        for (int i = 0; i < 20; i++)
                add(w, i >= 10, 1, 100, 100);
        world_pass(w);
        for (size_t i = 0; i < w->plan.count; i++)
                of[world_of(&w->plan.decision[i])->project]++;
        assert_int_equal(of[0], 5);
        assert_int_equal(of[1], 5);
        world_free(w);
}

static void use_is_kept_over_a_restart(void **state)
{
        struct world *w = small(1, 2);
        uint64_t use, at;
        struct fg_queue_standing before, after;

        fg_queue_charge(w->q, w->project[0], 5 * SECOND, 77 * SECOND);
        fg_queue_use_save(w->project[0], &use, &at);
        fg_queue_use_restore(w->project[1], use, at);
        fg_queue_standing(w->q, w->project[0], 1000000 * SECOND, &before);
        fg_queue_standing(w->q, w->project[1], 1000000 * SECOND, &after);
        assert_int_equal(before.used, after.used);
        assert_true(before.used < 77 * SECOND && before.used > 0);
        world_free(w);
}

static void fifo_knows_no_projects(void **state)
{
        struct fg_queue_config c = config();
        struct world *w;
        struct world_job *a, *b;

        assert_null(fg_queue_policy_find("best"));
        c.policy = fg_queue_policy_find("fifo");
        w = world_new(&c, 1, 2);
        fg_queue_charge(w->q, w->project[0], w->now, 300 * SECOND);
        a = add(w, 0, 1, 600, 100);
        b = add(w, 1, 1, 600, 100);
        world_pass(w);
        assert_true(is_decided(w, a, FG_QUEUE_DO_START));
        assert_false(is_decided(w, b, FG_QUEUE_DO_START));
        world_free(w);
}

static uint64_t by_context(const struct fg_queue_wish *wish, void *context)
{
        const uint64_t *key = context;

        return key[wish->order];
}

/* A policy whose keys change: the order within the project follows when it is told. */
static void another_policy(void **state)
{
        const struct fg_queue_policy shortest = {"test", true, by_context};
        uint64_t key[3] = {0, 5, 3};
        struct fg_queue_config c = config();
        struct world *w;
        struct world_job *a, *b;

        c.policy = &shortest;
        c.context = key;
        w = world_new(&c, 1, 1);
        a = add(w, 0, 1, 600, 100);
        b = add(w, 0, 1, 600, 100);
        world_pass(w);
        assert_true(is_decided(w, b, FG_QUEUE_DO_START));
        key[1] = 1;
        fg_queue_rekey(w->q, a->handle);
        world_pass(w);
        assert_true(is_decided(w, a, FG_QUEUE_DO_START));
        world_free(w);
}

static void holds_and_times(void **state)
{
        struct world *w = small(1, 1);
        struct fg_queue_wish wish = world_wish(w, 0, 1, 100, 100);
        struct world_job *held, *later;

        wish.hold = 42;
        held = world_add(w, &wish, SECOND);
        wish.hold = 0;
        wish.not_before = w->now + 50 * SECOND;
        later = world_add(w, &wish, SECOND);
        world_pass(w);
        assert_int_equal(w->plan.count, 0);
        assert_int_equal(w->plan.wake, wish.not_before);
        assert_int_equal(world_why(w, held).reason, FG_QUEUE_HELD);
        assert_int_equal(world_why(w, held).wanted, 42);
        assert_int_equal(world_why(w, later).reason, FG_QUEUE_NOT_BEFORE);
        assert_int_equal(world_why(w, later).wanted, wish.not_before);
        w->now = wish.not_before;
        held->wish.hold = 0;
        fg_queue_hold(w->q, held->handle, 0, w->now);
        world_pass(w);
        assert_int_equal(w->plan.count, 2);
        assert_int_equal(w->plan.wake, FG_QUEUE_UNKNOWN);
        world_free(w);
}

static void quotas(void **state)
{
        static const struct fg_queue_amounts limit[] = {{.jobs = 2}, {.vgpus = 5}, {.memory = 450}, {.share = 499}};
        static const enum fg_queue_reason reason[] = {FG_QUEUE_QUOTA_JOBS, FG_QUEUE_QUOTA_VGPUS, FG_QUEUE_QUOTA_MEMORY,
                                                      FG_QUEUE_QUOTA_SHARE};
        static const uint64_t wanted[] = {1, 2, 200, 200}, available[] = {0, 1, 50, 99};

        for (size_t k = 0; k < 8; k++) {
                struct world *w = small(2, 2);
                struct fg_queue_wish wish = world_wish(w, 0, 2, 100, 100);
                struct fg_queue_amounts other = {0};
                struct fg_queue_why why;

                assert_int_equal(fg_queue_account_add(w->q, &w->user[0]), 0);
                w->users = 1;
                wish.user = w->user[0];
                for (int i = 0; i < 4; i++)
                        world_add(w, &wish, SECOND);
                *(k < 4 ? &w->project_limit[0] : &w->user_limit[0]) = limit[k % 4];
                assert_int_equal(fg_queue_account_set(k < 4 ? w->project[0] : w->user[0], 1, &limit[k % 4], NULL), 0);
                world_settle(w);
                assert_int_equal(w->job[1].state, WORLD_RUNNING);
                assert_int_equal(w->job[2].state, WORLD_QUEUED);
                why = world_why(w, &w->job[2]);
                assert_int_equal(why.reason, reason[k % 4]);
                assert_int_equal(why.of_user, k >= 4);
                assert_int_equal(why.wanted, wanted[k % 4]);
                assert_int_equal(why.available, available[k % 4]);
                /* What it holds besides counts as well. */
                other.jobs = other.vgpus = other.memory = other.share = 2;
                fg_queue_account_set(k < 4 ? w->project[0] : w->user[0], 1, &limit[k % 4], &other);
                why = world_why(w, &w->job[2]);
                assert_int_equal(why.available, available[k % 4] > 2 ? available[k % 4] - 2 : 0);
                world_free(w);
        }
}

static void reasons_of_devices(void **state)
{
        struct world *w = small(2, 1);
        struct fg_queue_wish wish = world_wish(w, 0, 1, 100, 100);
        struct world_job *kind, *large, *gang, *memory, *share;
        struct fg_queue_why why;

        wish.kind = 7;
        kind = world_add(w, &wish, SECOND);
        large = add(w, 0, 1, 1001, 1);
        gang = add(w, 0, 5, 500, 10);
        assert_int_equal(world_why(w, kind).reason, FG_QUEUE_NO_DEVICE);
        why = world_why(w, large);
        assert_int_equal(why.reason, FG_QUEUE_TOO_LARGE);
        assert_int_equal(why.wanted, 1001);
        assert_int_equal(why.available, 1000);
        why = world_why(w, gang);
        assert_int_equal(why.reason, FG_QUEUE_TOO_LARGE);
        assert_int_equal(why.fits, 4);

        add(w, 0, 1, 900, 100);
        add(w, 0, 1, 100, 900);
        world_settle(w);
        memory = add(w, 0, 1, 950, 50);
        share = add(w, 0, 2, 50, 200);
        why = world_why(w, memory);
        assert_int_equal(why.reason, FG_QUEUE_NO_MEMORY);
        assert_int_equal(why.device, 1);
        assert_int_equal(why.available, 900);
        assert_int_equal(why.missing_memory, 50);
        assert_int_equal(why.missing_share, 0);
        assert_int_equal(why.start, FG_QUEUE_UNKNOWN); /* nobody who runs has a limit */
        why = world_why(w, add(w, 0, 1, 150, 900));
        assert_int_equal(why.reason, FG_QUEUE_NO_MEMORY); /* of device 0 a third is missing, of device 1 most */
        assert_int_equal(why.device, 0);
        w->device[0].usable = false;
        why = world_why(w, share);
        assert_int_equal(why.reason, FG_QUEUE_NO_SHARE);
        assert_int_equal(why.device, 1);
        assert_int_equal(why.available, 100);
        assert_int_equal(why.missing_share, 100);
        assert_int_equal(world_why(w, &w->job[3]).reason, FG_QUEUE_RUNS);
        world_free(w);
}

/* EASY: the large one is promised the end of the running one; what ends before that, or leaves it its room, goes ahead.
 */
static void backfill_leaves_the_reservation_alone(void **state)
{
        struct world *w = small(1, 1);
        struct world_job *running = add_limited(w, 600, 100, 100 * SECOND, 0), *large, *small_one, *long_one, *brief;
        struct fg_queue_why why;

        world_settle(w);
        large = add_limited(w, 800, 100, 0, 0);
        long_one = add_limited(w, 300, 100, 101 * SECOND, 0);
        brief = add_limited(w, 300, 100, 100 * SECOND, 0);
        small_one = add_limited(w, 100, 100, 0, 0);
        world_pass(w);
        assert_int_equal(w->plan.count, 2);
        assert_true(is_decided(w, brief, FG_QUEUE_DO_START));
        assert_true(is_decided(w, small_one, FG_QUEUE_DO_START));
        why = world_why(w, large);
        assert_true(why.next);
        assert_int_equal(why.start, running->begun + 100 * SECOND);
        assert_int_equal(why.reason, FG_QUEUE_NO_MEMORY);
        why = world_why(w, long_one);
        assert_int_equal(why.reason, FG_QUEUE_RESERVED);
        assert_ptr_equal(why.other, large);
        world_free(w);
}

/* Pinned jobs and jobs for anywhere are different pools: each has its own reservation, and a device has one. */
static void one_reservation_for_each_pool(void **state)
{
        struct world *w = small(2, 1);
        struct fg_queue_wish wish;
        struct world_job *anywhere, *pinned, *second;

        add_limited(w, 600, 100, 100 * SECOND, 0);
        add_limited(w, 600, 100, 200 * SECOND, 0);
        world_settle(w);
        anywhere = add_limited(w, 800, 100, 0, 0);
        second = add_limited(w, 900, 100, 0, 0);
        wish = world_wish(w, 0, 1, 700, 100);
        wish.device = 1;
        pinned = world_add(w, &wish, SECOND);
        assert_int_equal(world_why(w, anywhere).start, w->now + 100 * SECOND);
        assert_int_equal(world_why(w, pinned).start, w->now + 200 * SECOND);
        assert_false(world_why(w, second).next);
        world_free(w);
}

static void age_guards_what_cannot_be_predicted(void **state)
{
        struct world *w = small(1, 1);
        struct world_job *large, *small_one;

        add(w, 0, 1, 600, 100);
        world_settle(w);
        large = add(w, 0, 1, 800, 100);
        small_one = add(w, 0, 1, 300, 100);
        world_pass(w);
        assert_true(is_decided(w, small_one, FG_QUEUE_DO_START));
        assert_false(world_why(w, large).next);
        w->now += 100 * SECOND;
        assert_true(world_why(w, large).next);
        assert_int_equal(world_why(w, large).start, FG_QUEUE_UNKNOWN);
        assert_int_equal(world_why(w, small_one).reason, FG_QUEUE_RESERVED);
        world_pass(w);
        assert_int_equal(w->plan.count, 0);
        world_free(w);
}

/* What vGPUs of no job hold never ends: nobody is kept waiting for a job that waits for that. */
static void no_guard_for_what_cannot_come(void **state)
{
        struct world *w = small(1, 1);
        struct world_job *large, *small_one;

        w->device[0].memory_free = 700;
        large = add(w, 0, 1, 800, 100);
        w->now += 200 * SECOND;
        small_one = add(w, 0, 1, 300, 100);
        assert_int_equal(world_why(w, large).reason, FG_QUEUE_NO_MEMORY);
        assert_false(world_why(w, large).next);
        assert_int_equal(world_why(w, small_one).reason, FG_QUEUE_GOES);
        world_free(w);
}

/* What nobody's end would make room for may have room once one goes on that was suspended: its memory will come back. */
static void what_could_not_come_may_later_in_the_pass(void **state)
{
        struct fg_queue_config c = config();
        struct world_job *suspended, *above, *large, *small_one;
        struct world *w;

        c.preempt = false;
        w = world_new(&c, 1, 1);
        suspended = add_limited(w, 600, 100, 100 * SECOND, 1);
        world_settle(w);
        assert_int_equal(fg_queue_leaving(w->q, suspended->handle, FG_QUEUE_SUSPEND), 0);
        suspended->leaving = FG_QUEUE_SUSPEND;
        world_leave(w, suspended);
        above = add_limited(w, 800, 100, 0, 2);
        large = add_limited(w, 800, 100, 0, 1);
        small_one = add_limited(w, 300, 100, 0, 0);
        world_pass(w);
        assert_int_equal(w->plan.count, 1);
        assert_true(is_decided(w, suspended, FG_QUEUE_DO_RESUME));
        assert_false(world_why(w, above).next);
        assert_true(world_why(w, large).next);
        assert_int_equal(world_why(w, small_one).reason, FG_QUEUE_RESERVED);
        world_free(w);
}

/* Running: 3 x 300 permille of class 0 (the last is the youngest) and 100 free. */
static struct world *busy(struct world_job *ret[3])
{
        struct world *w = small(1, 1);

        for (int i = 0; i < 3; i++) {
                ret[i] = add_limited(w, 200, 300, 0, 0);
                world_settle(w);
                w->now += SECOND;
        }
        return w;
}

static void suspends_the_youngest(void **state)
{
        struct world_job *low[3], *high, *same;
        struct world *w = busy(low);

        high = add_limited(w, 200, 400, 0, 1);
        same = add_limited(w, 200, 400, 0, 0);
        world_pass(w);
        assert_int_equal(w->plan.count, 0); /* they have not run for long enough */
        assert_int_equal(w->plan.wake, low[0]->begun + 10 * SECOND);
        w->now += 20 * SECOND;
        world_pass(w);
        assert_int_equal(w->plan.count, 1);
        assert_true(is_decided(w, low[2], FG_QUEUE_DO_SUSPEND));
        assert_int_equal(world_why(w, high).reason, FG_QUEUE_PREEMPTING);
        assert_int_equal(world_why(w, same).reason, FG_QUEUE_NO_SHARE);
        world_carry_out(w, false);
        world_pass(w);
        assert_int_equal(w->plan.count, 0); /* it is leaving, no need to ask another */
        assert_int_equal(world_why(w, high).reason, FG_QUEUE_PREEMPTING);
        world_leave(w, low[2]);
        assert_int_equal(world_why(w, low[2]).reason, FG_QUEUE_BEHIND_CLASS);
        world_pass(w);
        assert_int_equal(w->plan.count, 1);
        assert_true(is_decided(w, high, FG_QUEUE_DO_START));
        world_carry_out(w, true);
        /* Room is back: the suspended one goes on before the queued one of its class. */
        world_end(w, high);
        world_pass(w);
        assert_true(is_decided(w, low[2], FG_QUEUE_DO_RESUME));
        world_free(w);
}

static void stops_only_for_memory_and_only_who_allows(void **state)
{
        struct world *w = small(1, 1);
        struct fg_queue_wish wish = world_wish(w, 0, 1, 400, 300);
        struct world_job *no, *yes, *high;

        wish.may_requeue = true;
        yes = world_add(w, &wish, SECOND);
        wish.may_requeue = false;
        no = world_add(w, &wish, SECOND);
        world_settle(w);
        w->now += 20 * SECOND;
        high = add_limited(w, 500, 500, 0, 3);
        world_pass(w);
        assert_int_equal(w->plan.count, 1);
        assert_true(is_decided(w, yes, FG_QUEUE_DO_REQUEUE));
        world_settle(w);
        assert_int_equal(high->state, WORLD_RUNNING);
        assert_int_equal(no->state, WORLD_RUNNING);
        assert_int_equal(yes->state, WORLD_QUEUED);
        high = add_limited(w, 900, 100, 0, 4); /* nobody can help */
        world_pass(w);
        assert_int_equal(w->plan.count, 0);
        assert_int_equal(world_why(w, high).reason, FG_QUEUE_NO_MEMORY);
        world_free(w);
}

/* Whose room suffices is chosen by age, not by size; on the device where that takes the youngest. */
static void youngest_of_those_that_suffice(void **state)
{
        struct world *w = small(2, 1);
        struct world_job *low[4], *high;

        for (int i = 0; i < 4; i++) {
                struct fg_queue_wish wish = world_wish(w, 0, 1, 100, i < 2 ? 600 : 400);

                wish.device = (uint32_t)(i == 0 || i == 3);
                low[i] = world_add(w, &wish, SECOND);
                world_settle(w);
                w->now += SECOND;
        }
        w->now += 20 * SECOND;
        high = add_limited(w, 100, 300, 0, 1);
        world_pass(w);
        assert_int_equal(w->plan.count, 1);
        assert_true(is_decided(w, low[3], FG_QUEUE_DO_SUSPEND));
        world_settle(w);
        assert_int_equal(high->state, WORLD_RUNNING);
        /* Large ones, each alone on its device: the younger of them. */
        world_end(w, low[2]);
        world_end(w, low[3]);
        world_end(w, high);
        high = add_limited(w, 100, 500, 0, 2);
        world_pass(w);
        assert_int_equal(w->plan.count, 1);
        assert_true(is_decided(w, low[1], FG_QUEUE_DO_SUSPEND));
        world_free(w);
}

/* One has to stop for its memory; of the other the share is enough. And where one goes whose room makes another's going
 * unnecessary, that other stays. */
static void no_more_harm_than_needed(void **state)
{
        struct world *w = small(1, 1);
        struct fg_queue_wish wish = world_wish(w, 0, 1, 700, 300);
        struct world_job *memory, *share;

        wish.may_requeue = true;
        memory = world_add(w, &wish, SECOND);
        wish.memory = 300;
        wish.share = 700;
        share = world_add(w, &wish, SECOND);
        world_settle(w);
        w->now += 20 * SECOND;
        add_limited(w, 700, 900, 0, 1);
        world_pass(w);
        assert_int_equal(w->plan.count, 2);
        assert_true(is_decided(w, memory, FG_QUEUE_DO_REQUEUE));
        assert_true(is_decided(w, share, FG_QUEUE_DO_SUSPEND));
        world_free(w);
}

/* An offer to resume that is not taken up leaves no trace: the one that began last is the first to be stopped. */
static void offers_leave_no_trace(void **state)
{
        struct world *w = small(1, 1);
        struct fg_queue_wish wish = world_wish(w, 0, 1, 400, 100);
        struct world_job *old, *young;

        wish.may_requeue = true;
        old = world_add(w, &wish, 100 * SECOND);
        world_settle(w);
        w->now += SECOND;
        wish.submitted = w->now;
        young = world_add(w, &wish, 100 * SECOND);
        world_settle(w);
        old->leaving = young->leaving = FG_QUEUE_SUSPEND;
        world_leave(w, old);
        world_leave(w, young);
        young->wish.hold = 1;
        fg_queue_hold(w->q, young->handle, 1, w->now);
        w->now += 20 * SECOND;
        world_pass(w);
        assert_true(is_decided(w, old, FG_QUEUE_DO_RESUME));
        add_limited(w, 500, 100, 0, 1);
        world_pass(w);
        assert_true(is_decided(w, young, FG_QUEUE_DO_REQUEUE));
        world_free(w);
}

/* Two vGPUs need room on two devices: one gang that sits on both is fewer than two others. */
static void fewest_go(void **state)
{
        struct world *w = small(2, 1);
        struct fg_queue_wish wish = world_wish(w, 0, 2, 100, 500);
        struct world_job *gang = world_add(w, &wish, SECOND), *high;

        world_settle(w);
        w->now += SECOND;
        add_limited(w, 100, 500, 0, 0);
        add_limited(w, 100, 500, 0, 0);
        world_settle(w);
        w->now += 20 * SECOND;
        wish = world_wish(w, 0, 2, 100, 500);
        wish.priority = 1;
        high = world_add(w, &wish, SECOND);
        world_pass(w);
        assert_int_equal(w->plan.count, 1);
        assert_true(is_decided(w, gang, FG_QUEUE_DO_SUSPEND));
        world_settle(w);
        assert_int_equal(high->state, WORLD_RUNNING);
        world_free(w);
}

static void time_limits_count_running_time(void **state)
{
        struct world *w = small(1, 1);
        struct world_job *j = add_limited(w, 600, 1000, 100 * SECOND, 0), *next;

        world_settle(w);
        w->now += 40 * SECOND;
        j->leaving = FG_QUEUE_SUSPEND;
        world_leave(w, j);
        w->now += 1000 * SECOND;
        world_settle(w);
        assert_int_equal(j->state, WORLD_RUNNING);
        next = add_limited(w, 600, 100, 0, 0);
        assert_int_equal(world_why(w, next).start, w->now + 60 * SECOND);
        world_free(w);
}

static void crowd_first(void *user, const void *owner, bool *ret, uint32_t *ret_loss)
{
        ret[0] = owner == user;
}

/* Nobody leaves for a job that would be refused where he was; another of its size is helped. */
static void nobody_leaves_for_a_crowd(void **state)
{
        struct world_job *low[3], *high, *other;
        struct world *w = busy(low);
        struct fg_queue_scene scene;
        struct fg_queue_plan plan;

        high = add_limited(w, 200, 400, 0, 1);
        w->now += 20 * SECOND;
        scene = world_scene(w);
        scene.crowded = crowd_first;
        scene.user = high;
        assert_int_equal(fg_queue_pass(w->q, &scene, &plan), 0);
        assert_int_equal(plan.count, 0);
        other = add_limited(w, 210, 400, 0, 1); /* what holds for the first says nothing of this one */
        assert_int_equal(fg_queue_pass(w->q, &scene, &plan), 0);
        assert_int_equal(plan.count, 1);
        assert_ptr_equal(plan.decision[0].beneficiary, other->handle);
        assert_int_equal(plan.decision[0].what, FG_QUEUE_DO_SUSPEND);
        world_free(w);
}

/* A crowded device is proposed where it is the only GPU with room, not the processor beside it. */
static void a_crowd_is_no_processor(void **state)
{
        struct world *w = small(2, 1);
        struct world_job *j = add_limited(w, 200, 400, 0, 1);
        struct fg_queue_scene scene;
        struct fg_queue_plan plan;

        w->device[1].last = true;
        scene = world_scene(w);
        scene.crowded = crowd_first;
        scene.user = j;
        assert_int_equal(fg_queue_pass(w->q, &scene, &plan), 0);
        assert_int_equal(plan.count, 1);
        assert_int_equal(plan.decision[0].place[0].device, 0);
        w->device[1].last = false;
        assert_int_equal(fg_queue_pass(w->q, &scene, &plan), 0);
        assert_int_equal(plan.decision[0].place[0].device, 1);
        world_free(w);
}

static void lose_on_first(void *user, const void *owner, bool *ret, uint32_t *ret_loss)
{
        ret_loss[0] = owner == user ? 250 : 0;
}

/* Of devices that are as good, a job goes where less is lost; the next one's guess is its own. */
static void a_job_goes_where_less_is_lost(void **state)
{
        struct world *w = small(2, 1);
        struct world_job *j = add_limited(w, 200, 400, 0, 1);
        struct fg_queue_scene scene = world_scene(w);
        struct fg_queue_plan plan;

        scene.crowded = lose_on_first;
        scene.user = j;
        assert_int_equal(fg_queue_pass(w->q, &scene, &plan), 0);
        assert_int_equal(plan.count, 1);
        assert_int_equal(plan.decision[0].place[0].device, 1);
        scene.user = NULL;
        assert_int_equal(fg_queue_pass(w->q, &scene, &plan), 0);
        assert_int_equal(plan.decision[0].place[0].device, 0);
        world_free(w);
}

static void plans_are_bounded(void **state)
{
        struct fg_queue_config c = config();
        struct world *w;

        c.decisions = 3;
        w = world_new(&c, 1, 1);
        for (int i = 0; i < 5; i++)
                add(w, 0, 1, 10, 10);
        world_pass(w);
        assert_int_equal(w->plan.count, 3);
        assert_true(w->plan.more);
        assert_int_equal(world_why(w, &w->job[4]).reason, FG_QUEUE_PASS_FULL);
        world_carry_out(w, true);
        world_pass(w);
        assert_int_equal(w->plan.count, 2);
        assert_false(w->plan.more);
        c.decisions = 0;
        assert_int_equal(fg_queue_new(&c, &w->q), -EINVAL);
        world_free(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(decay_halves),
                cmocka_unit_test(decay_composes),
                cmocka_unit_test(tree_keeps_order),
                cmocka_unit_test(wishes_are_checked),
                cmocka_unit_test(states_are_checked),
                cmocka_unit_test(class_then_fifo),
                cmocka_unit_test(least_used_project_goes_first),
                cmocka_unit_test(equal_projects_take_turns),
                cmocka_unit_test(use_is_kept_over_a_restart),
                cmocka_unit_test(fifo_knows_no_projects),
                cmocka_unit_test(another_policy),
                cmocka_unit_test(holds_and_times),
                cmocka_unit_test(quotas),
                cmocka_unit_test(reasons_of_devices),
                cmocka_unit_test(backfill_leaves_the_reservation_alone),
                cmocka_unit_test(one_reservation_for_each_pool),
                cmocka_unit_test(age_guards_what_cannot_be_predicted),
                cmocka_unit_test(no_guard_for_what_cannot_come),
                cmocka_unit_test(what_could_not_come_may_later_in_the_pass),
                cmocka_unit_test(suspends_the_youngest),
                cmocka_unit_test(stops_only_for_memory_and_only_who_allows),
                cmocka_unit_test(youngest_of_those_that_suffice),
                cmocka_unit_test(no_more_harm_than_needed),
                cmocka_unit_test(offers_leave_no_trace),
                cmocka_unit_test(fewest_go),
                cmocka_unit_test(time_limits_count_running_time),
                cmocka_unit_test(nobody_leaves_for_a_crowd),
                cmocka_unit_test(a_crowd_is_no_processor),
                cmocka_unit_test(a_job_goes_where_less_is_lost),
                cmocka_unit_test(plans_are_bounded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
