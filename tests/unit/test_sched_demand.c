/* SPDX-License-Identifier: Apache-2.0
 * What waiting jobs could use: counted by hand on a small node. */
#include "queue_world.h"

#define SECOND UINT64_C(1000000)

static struct world *world;
static uint32_t demand[WORLD_DEVICES];

static int set_up(void **state)
{
        world = world_new(&FG_QUEUE_DEFAULTS, 2, 2);
        return 0;
}

static int tear_down(void **state)
{
        world_free(world);
        return 0;
}

static struct world_job *add(size_t project, uint32_t count, uint64_t memory, uint32_t share)
{
        struct fg_queue_wish wish = world_wish(world, project, count, memory, share);
        return world_add(world, &wish, 100 * SECOND);
}

static void expect(uint32_t first, uint32_t second)
{
        const struct fg_queue_scene scene = world_scene(world);
        fg_queue_demand(world->q, &scene, demand);
        assert_int_equal(demand[0], first);
        assert_int_equal(demand[1], second);
}

static uint64_t of(size_t project)
{
        const struct fg_queue_scene scene = world_scene(world);
        uint32_t scratch[WORLD_DEVICES];
        fg_queue_demand(world->q, &scene, demand);
        return fg_queue_demand_of(world->q, &scene, world->project[project], scratch);
}

static void nothing_waits(void **state)
{
        expect(0, 0);
        assert_int_equal(of(0), 0);
}

/* Each job counts once, wherever it could go, and no device for more than it has. */
static void shares_are_poured(void **state)
{
        add(0, 1, 10, 300);
        expect(150, 150);
        add(0, 1, 10, 300);
        add(1, 1, 10, 301);
        expect(451, 450);
        add(1, 2, 10, 900);
        expect(1000, 1000);
        assert_int_equal(of(0), 600);
        assert_int_equal(of(1), 2000);
}

static void those_without_a_choice_go_first(void **state)
{
        struct fg_queue_wish wish = world_wish(world, 0, 1, 10, 300);
        add(0, 2, 10, 750);
        wish.device = 1;
        world_add(world, &wish, SECOND);
        expect(800, 1000);
        world->device[0].usable = false;
        expect(0, 1000);
        world->device[0].usable = true;
        world->device[0].memory = 9; /* no job fits */
        expect(0, 1000);
}

static void who_is_held_wants_nothing(void **state)
{
        struct fg_queue_wish wish = world_wish(world, 0, 1, 10, 200);
        struct world_job *held = add(0, 1, 10, 400);
        wish.not_before = world->now + 10 * SECOND;
        world_add(world, &wish, SECOND);
        fg_queue_hold(world->q, held->handle, 1, world->now);
        expect(0, 0);
        world->now += 10 * SECOND;
        expect(100, 100);
        fg_queue_hold(world->q, held->handle, 0, world->now);
        expect(300, 300);
}

/* What a quota forbids could not be served by any device. */
static void quotas_bound_it(void **state)
{
        const struct fg_queue_amounts two = {.vgpus = 2}, share = {.share = 250};
        for (int i = 0; i < 5; i++)
                add(0, 1, 10, 100);
        expect(250, 250);
        fg_queue_account_set(world->project[0], 1, &two, NULL);
        expect(100, 100);
        add(0, 2, 10, 100); /* another group: the quota is one */
        expect(100, 100);
        fg_queue_account_set(world->project[0], 1, &share, NULL);
        expect(100, 100);
        fg_queue_account_set(world->project[0], 1, NULL, NULL);
        expect(350, 350);
}

/* Where the memory is held, the share that is left over is nobody's to use. */
static void memory_that_is_held_counts(void **state)
{
        add(0, 1, 900, 100);
        world_settle(world);
        add(1, 4, 500, 500);
        expect(world->device[0].memory_free, world->device[1].memory_free);
        assert_int_equal(demand[0] + demand[1], 1100);
}

static void what_runs_wants_nothing_more(void **state)
{
        add(0, 1, 10, 600);
        add(0, 1, 10, 600);
        world_settle(world);
        expect(0, 0);
        struct world_job *waits = add(1, 1, 10, 700);
        expect(350, 350);
        assert_int_equal(of(0), 0);
        assert_int_equal(of(1), 700); /* as if it had the devices for itself */
        for (int i = 0; i < 3; i++)
                add(0, 1, 10, 900);
        expect(400, 400);
        assert_int_equal(of(0), 2000 - 1200);
        fg_queue_remove(world->q, waits->handle);
        waits->state = WORLD_GONE;
        assert_int_equal(of(1), 0);
}

static void a_suspended_job_wants_its_share_where_it_is(void **state)
{
        struct fg_queue_wish wish = world_wish(world, 0, 1, 10, 600);
        wish.device = 1;
        struct world_job *job = world_add(world, &wish, SECOND);
        world_settle(world);
        job->leaving = FG_QUEUE_SUSPEND;
        world_leave(world, job);
        expect(0, 600);
        assert_int_equal(of(0), 600);
        fg_queue_hold(world->q, job->handle, 1, world->now);
        expect(0, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(nothing_waits, set_up, tear_down),
                cmocka_unit_test_setup_teardown(shares_are_poured, set_up, tear_down),
                cmocka_unit_test_setup_teardown(those_without_a_choice_go_first, set_up, tear_down),
                cmocka_unit_test_setup_teardown(who_is_held_wants_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(quotas_bound_it, set_up, tear_down),
                cmocka_unit_test_setup_teardown(memory_that_is_held_counts, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_runs_wants_nothing_more, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_suspended_job_wants_its_share_where_it_is, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
