/* SPDX-License-Identifier: Apache-2.0
 * What shows only over time or over many tries: shares, promises kept, nobody starved, nothing decided by accident. */
#include "queue_world.h"

#define SECOND UINT64_C(1000000)

static struct fg_queue_config config(void)
{
        struct fg_queue_config c = FG_QUEUE_DEFAULTS;

        c.preempt = false;
        return c;
}

/* On to the next end, or to `most` if that is sooner. */
static void next_event(struct world *w, uint64_t most)
{
        uint64_t end = world_next_end(w);

        world_advance(w, end < most ? end : most);
}

/* Backlogged projects of weights 1, 2 and 4, whose jobs differ in length. (Not in size: room that only small ones fit
 * into goes to them, whatever they have had.) */
static void shares_follow_the_weights(void **state)
{
        static const uint32_t weight[] = {1, 2, 4};
        struct fg_queue_config c = config();
        uint64_t seed = 11, all = 0;
        struct world *w;

        c.half_life = 20000 * SECOND;
        w = world_new(&c, 2, 3);
        for (size_t p = 0; p < 3; p++) {
                w->weight[p] = weight[p];
                assert_int_equal(fg_queue_account_set(w->project[p], weight[p], NULL, NULL), 0);
        }
        /* A history that is to be forgotten in time. */
        fg_queue_charge(w->q, w->project[2], w->now, 30000 * SECOND);
        for (unsigned i = 0; i < 3600; i++) {
                unsigned backlog[3] = {0};

                for (size_t k = 0; k < w->jobs; k++)
                        backlog[w->job[k].project] += w->job[k].state == WORLD_QUEUED;
                for (size_t p = 0; p < 3; p++)
                        if (backlog[p] < 5) {
                                struct fg_queue_wish wish = world_wish(w, p, 1, 100, 250);

                                world_add(w, &wish, (10 + unit_random(&seed) % (100 * (3 - p))) * SECOND);
                        }
                world_settle(w);
                next_event(w, FG_QUEUE_UNKNOWN);
                if (i == 1000)
                        memset(w->used, 0, sizeof(w->used));
        }
        for (size_t p = 0; p < 3; p++)
                all += w->used[p];
        for (size_t p = 0; p < 3; p++)
                assert_in_range(w->used[p] * 1000 / all, weight[p] * 1000 / 7 - 10, weight[p] * 1000 / 7 + 10);
        world_free(w);
}

/* One project, in the order of submission, all with time limits that they may not use up: what is predicted for a job
 * is never exceeded, whatever is backfilled. */
static void predictions_hold(void **state)
{
        uint64_t seed = 21;
        unsigned promises = 0, backfilled = 0;

        for (int run = 0; run < 60; run++) {
                static uint64_t promised[WORLD_JOBS];
                struct fg_queue_config c = config();
                struct world *w = world_new(&c, 1 + run % 4, 1);

                memset(promised, 0xff, sizeof(promised));
                for (int step = 0; step < 60; step++) {
                        for (uint64_t n = unit_random(&seed) % 4; n > 0; n--) {
                                struct fg_queue_wish wish = world_wish(
                                        w, 0, unit_random(&seed) % 3 ? 1 : 1 + (uint32_t)(unit_random(&seed) % 4),
                                        100 * (1 + unit_random(&seed) % 10),
                                        100 * (1 + (uint32_t)(unit_random(&seed) % 10)));

                                if (wish.count > w->devices)
                                        wish.count = 1;
                                wish.time_limit = (1 + unit_random(&seed) % 100) * SECOND;
                                world_add(w, &wish, 1 + unit_random(&seed) % wish.time_limit);
                        }
                        world_settle(w);
                        for (size_t i = 0; i < w->jobs; i++) {
                                struct fg_queue_why why;

                                if (w->job[i].state != WORLD_QUEUED)
                                        continue;
                                why = world_why(w, &w->job[i]);
                                if (why.start < promised[i])
                                        promised[i] = why.start;
                                promises += why.start != FG_QUEUE_UNKNOWN;
                                assert_true(promised[i] == FG_QUEUE_UNKNOWN || w->now <= promised[i]);
                        }
                        for (size_t i = 1; i < w->jobs; i++)
                                backfilled += w->job[i].first_start == w->now && w->job[i - 1].state == WORLD_QUEUED;
                        next_event(w, w->now + unit_random(&seed) % (20 * SECOND));
                }
                for (size_t i = 0; i < w->jobs; i++)
                        assert_true(w->job[i].first_start == FG_QUEUE_UNKNOWN || promised[i] == FG_QUEUE_UNKNOWN ||
                                    w->job[i].first_start <= promised[i]);
                world_free(w);
        }
        assert_true(promises > 500 && backfilled > 100);
}

/* When a job that wants the whole device starts beside a stream of small ones that keeps it three quarters full; with a
 * limit of their own, or without. */
static uint64_t start_beside_a_stream(uint64_t ageing, uint64_t limit, size_t project)
{
        struct fg_queue_config c = config();
        struct world *w;
        struct world_job *large = NULL;
        uint64_t start;

        c.ageing = ageing;
        w = world_new(&c, 1, 2);
        for (int i = 0; i < 400 && (!large || large->first_start == FG_QUEUE_UNKNOWN); i++) {
                struct fg_queue_wish wish = world_wish(w, 0, 1, 250, 250);

                wish.time_limit = limit;
                world_add(w, &wish, 30 * SECOND);
                if (i == 10) {
                        wish = world_wish(w, project, 1, 1000, 1000);
                        large = world_add(w, &wish, 30 * SECOND);
                }
                world_settle(w);
                next_event(w, w->now + 10 * SECOND);
                world_advance(w, w->now + (10 * SECOND - w->now % (10 * SECOND)));
                world_settle(w);
        }
        start = large->first_start == FG_QUEUE_UNKNOWN ? FG_QUEUE_UNKNOWN : large->first_start - large->wish.submitted;
        world_free(w);
        return start;
}

static void nobody_starves(void **state)
{
        for (size_t project = 0; project < 2; project++) {
                /* Known: as soon as those that ran are through. */
                assert_true(start_beside_a_stream(FG_QUEUE_UNKNOWN, 30 * SECOND, project) <= 40 * SECOND);
                /* Unknown: that much after it has come of age. */
                assert_true(start_beside_a_stream(500 * SECOND, 0, project) <= 540 * SECOND);
                assert_true(start_beside_a_stream(500 * SECOND, 0, project) >= 500 * SECOND);
                /* Without a guard it starves: so the stream does what it is there for. */
                assert_true(start_beside_a_stream(FG_QUEUE_UNKNOWN, 0, project) == FG_QUEUE_UNKNOWN);
        }
}

/* `count` wishes, most of them alike, with the orders given. */
static struct world *filled(uint64_t seed, const size_t *turn, size_t count, bool own_order)
{
        struct fg_queue_config c = config();
        struct world *w = world_new(&c, 3, 3);

        for (size_t i = 0; i < count; i++) {
                uint64_t s = seed + turn[i];
                struct fg_queue_wish wish = world_wish(w, unit_random(&s) % 3, 1 + (uint32_t)(unit_random(&s) % 2),
                                                       100 * (1 + unit_random(&s) % 4), 200);

                wish.priority = (uint32_t)(unit_random(&s) % 2);
                wish.order = own_order ? turn[i] + 1 : i + 1;
                world_add(w, &wish, SECOND);
        }
        world_pass(w);
        return w;
}

/* The same jobs in another order of calls: the same plan. As jobs that came in another order: the same plan but for
 * which of several equal ones it names. */
static void equal_jobs_change_only_ties(void **state)
{
        uint64_t seed = 31;

        for (int run = 0; run < 200; run++) {
                size_t straight[40], mixed[40];
                struct world *a, *b;

                for (size_t i = 0; i < 40; i++)
                        straight[i] = mixed[i] = i;
                for (size_t i = 39; i > 0; i--) {
                        size_t k = unit_random(&seed) % (i + 1), t = mixed[i];

                        mixed[i] = mixed[k];
                        mixed[k] = t;
                }
                a = filled(seed, straight, 40, true);
                b = filled(seed, mixed, 40, true);
                assert_true(a->plan.count > 0);
                assert_int_equal(a->plan.count, b->plan.count);
                for (size_t i = 0; i < a->plan.count; i++) {
                        assert_int_equal(world_of(&a->plan.decision[i])->wish.order,
                                         world_of(&b->plan.decision[i])->wish.order);
                        assert_int_equal(a->plan.decision[i].place[0].device, b->plan.decision[i].place[0].device);
                }
                world_free(b);
                /* All alike: which of them goes is their order, what is done is the same. */
                for (size_t i = 0; i < 40; i++)
                        straight[i] = mixed[i] = 0;
                b = filled(seed, straight, 40, false);
                world_free(a);
                a = filled(seed, mixed, 40, false);
                for (size_t i = 0; i < a->plan.count; i++)
                        assert_int_equal(world_of(&a->plan.decision[i])->wish.order, i + 1);
                world_free(a);
                world_free(b);
        }
}

/* The fewest of the `count` shares that add up to `lack`, by trying all sets; 99: not even all. */
static unsigned fewest(const uint32_t *share, unsigned count, uint32_t lack)
{
        unsigned best = 99;

        for (unsigned set = 0; set < 1u << count; set++) {
                uint32_t sum = 0;

                for (unsigned i = 0; i < count; i++)
                        sum += set >> i & 1 ? share[i] : 0;
                if (sum >= lack && (unsigned)__builtin_popcount(set) < best)
                        best = (unsigned)__builtin_popcount(set);
        }
        return best;
}

/* For one vGPU the fewest jobs are suspended, on the device where they are fewest; and then it starts. */
static void fewest_are_suspended(void **state)
{
        uint64_t seed = 41;
        unsigned several = 0;

        for (int run = 0; run < 500; run++) {
                struct fg_queue_config c = FG_QUEUE_DEFAULTS;
                uint32_t share[2][8], wanted = 100 + (uint32_t)(unit_random(&seed) % 900);
                unsigned n[2] = {0}, best = 99;
                struct fg_queue_wish wish;
                struct world_job *high;
                struct world *w;

                c.min_run = 0;
                w = world_new(&c, 2, 1);
                for (uint32_t d = 0; d < 2; d++)
                        while (n[d] < 8 && w->device[d].share_free >= 50) {
                                uint32_t s = 50 + (uint32_t)(unit_random(&seed) % 250);

                                if (s > w->device[d].share_free)
                                        s = w->device[d].share_free;
                                wish = world_wish(w, 0, 1, 10, s);
                                wish.device = d;
                                world_add(w, &wish, SECOND);
                                share[d][n[d]++] = s;
                                world_settle(w);
                        }
                for (unsigned d = 0; d < 2; d++) {
                        unsigned here = wanted <= w->device[d].share_free
                                                ? 0
                                                : fewest(share[d], n[d], wanted - w->device[d].share_free);

                        best = here < best ? here : best;
                }
                wish = world_wish(w, 0, 1, 10, wanted);
                wish.priority = 1;
                high = world_add(w, &wish, SECOND);
                world_pass(w);
                assert_int_equal(w->plan.count, best ? best : 1);
                several += best > 1;
                world_settle(w);
                assert_int_equal(high->state, WORLD_RUNNING);
                world_free(w);
        }
        assert_true(several > 50);
}

/* A class above keeps coming and going: those below are suspended and go on, and all end. */
static void all_ends_under_preemption(void **state)
{
        struct fg_queue_config c = FG_QUEUE_DEFAULTS;
        uint64_t seed = 51;
        unsigned suspended = 0;
        struct world *w;

        c.min_run = 5 * SECOND;
        w = world_new(&c, 3, 2);
        for (int step = 0; step < 400; step++) {
                struct fg_queue_wish wish = world_wish(w, step % 2, 1 + (uint32_t)(unit_random(&seed) % 3), 100,
                                                       100 * (1 + (uint32_t)(unit_random(&seed) % 6)));

                wish.priority = (uint32_t)(unit_random(&seed) % 3);
                wish.may_requeue = unit_random(&seed) % 2;
                world_add(w, &wish, (1 + unit_random(&seed) % 40) * SECOND);
                world_settle(w);
                for (size_t i = 0; i < w->jobs; i++)
                        suspended += w->job[i].state == WORLD_SUSPENDED;
                world_check(w);
                next_event(w, w->now + 4 * SECOND);
        }
        while (world_next_end(w) != FG_QUEUE_UNKNOWN) {
                next_event(w, FG_QUEUE_UNKNOWN);
                world_settle(w);
        }
        for (size_t i = 0; i < w->jobs; i++)
                assert_int_equal(w->job[i].state, WORLD_GONE);
        assert_true(suspended > 100);
        world_free(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(shares_follow_the_weights),
                cmocka_unit_test(predictions_hold),
                cmocka_unit_test(nobody_starves),
                cmocka_unit_test(equal_jobs_change_only_ties),
                cmocka_unit_test(fewest_are_suspended),
                cmocka_unit_test(all_ends_under_preemption),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
