/* SPDX-License-Identifier: Apache-2.0
 * The arbiter's eyes and mind without its thread: pages written by hand, time that the test sets. */
#include "unit.h"

#include "daemon/arbiter_internal.h"

#include "base/clock.h"
#include "ledger/ledger.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS  1000000ull
#define SEC 1000000000ull

struct tenant {
        struct fg_limits_page *limits;
        struct fg_usage_page *usage;
        struct fgd_arbiter_account account;
        struct fgd_arbiter_client client;
        struct fg_slot *slot;
};

struct scene {
        struct fgd_arbiter arbiter;
        struct tenant t[3];
        const struct fg_share *shares[3];
        struct fgd_arbiter_client *candidates[3];
        uint64_t now;
};

static struct scene *scene_new(unsigned tenants)
{
        struct scene *s = calloc(1, sizeof(*s));

        s->now = 1000 * SEC;
        s->arbiter = (struct fgd_arbiter){.config = {.quantum = 6 * MS, .free_after = SEC}, .shares = s->shares,
                                          .candidates = s->candidates, .capacity = 3, .observed_at = s->now};
        for (unsigned i = 0; i < tenants; i++) {
                struct tenant *t = &s->t[i];

                t->limits = aligned_alloc(64, sizeof(*t->limits));
                t->usage = aligned_alloc(64, sizeof(*t->usage));
                memset(t->limits, 0, sizeof(*t->limits));
                fg_page_init_usage(t->usage);
                t->slot = &t->usage->slot[0];
                t->limits->share_permille = 500;
                t->limits->priority = FG_PRIORITY_NORMAL;
                t->limits->owner[0] = (struct fg_slot_owner){.pid = (uint32_t)getpid(), .generation = 1};
                t->client = (struct fgd_arbiter_client){.limits = t->limits, .usage = t->usage, .poke = -1, .stale = true,
                                                        .share.weight = 1, .account = &t->account,
                                                        .next = s->arbiter.clients};
                s->arbiter.clients = &t->client;
                s->arbiter.count++;
        }
        return s;
}

static void scene_free(struct scene *s)
{
        for (unsigned i = 0; i < 3; i++) {
                free(s->t[i].limits);
                free(s->t[i].usage);
        }
        free(s);
}

/* Lets `ns` pass, then one look. Returns when the arbiter wants to look again. */
static uint64_t look_after(struct scene *s, uint64_t ns)
{
        s->now += ns;
        fgd_arbiter_observe(&s->arbiter, s->now);
        return fgd_arbiter_decide(&s->arbiter, s->now);
}

static enum fg_grant mode(const struct tenant *t)
{
        return t->limits->grant & FG_GRANT_MASK;
}

/* A tenant that saturates: whatever it is granted it uses. One step of 1 ms. */
static void run_saturated(struct scene *s, unsigned i)
{
        struct tenant *t = &s->t[i];

        if (mode(t) == FG_GRANT_DENIED) {
                t->slot->inflight = 0;
                t->slot->waiting = 1;
                return;
        }
        t->slot->waiting = 0;
        t->slot->inflight = 1;
        t->slot->busy += MS;
        t->slot->launches++;
        t->slot->looks++;
        t->slot->idle_since = s->now;
        if (mode(t) == FG_GRANT_TIMED && s->now + MS >= t->limits->until) {
                t->slot->inflight = 0;
                t->slot->waiting = 1;
        }
}

static void run(struct scene *s, unsigned from, unsigned to, uint64_t ms)
{
        for (uint64_t k = 0; k < ms; k++) {
                look_after(s, MS);
                for (unsigned i = from; i < to; i++)
                        run_saturated(s, i);
        }
}

static void test_alone_is_free_and_company_is_not(void **state)
{
        struct scene *s = scene_new(2);

        s->t[0].slot->waiting = 1;
        assert_true(look_after(s, MS) != 0);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_FREE);
        s->t[0].slot->waiting = 0;
        s->t[1].slot->waiting = 1;
        look_after(s, MS);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_DENIED);
        assert_int_equal(mode(&s->t[1]), FG_GRANT_TIMED);
        scene_free(s);
}

static void test_shares_of_two_that_never_stop(void **state)
{
        struct scene *s = scene_new(2);

        s->t[0].limits->share_permille = 700;
        s->t[1].limits->share_permille = 300;
        run(s, 0, 2, 20000);
        assert_in_range(s->t[0].limits->charged * 1000 / (s->t[0].limits->charged + s->t[1].limits->charged), 695, 705);
        scene_free(s);
}

static pid_t idle_process(void)
{
        pid_t pid = fork();
        struct sched_param none = {0};

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                pause();
                _exit(0);
        }
        assert_int_equal(sched_setscheduler(pid, SCHED_IDLE, &none), 0);
        return pid;
}

/* On a processor a high class needs not ask beside programs that the kernel takes the processor from; it does beside others, and
 * when it is capped. */
static void test_high_class_stands_beside_idle_programs(void **state)
{
        struct scene *s = scene_new(2);
        pid_t pid = idle_process();

        s->arbiter.config.preemptive = true;
        s->t[0].limits->priority = FG_PRIORITY_HIGH;
        s->t[1].limits->priority = FG_PRIORITY_LOW;
        s->t[1].slot->waiting = 1;
        look_after(s, MS);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_DENIED);
        s->t[1].limits->owner[0].pid = (uint32_t)pid;
        s->t[1].client.stale = true;
        look_after(s, MS);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_TIMED);
        assert_true(s->t[0].limits->until == FG_UNTIL_STANDS);
        assert_int_not_equal(mode(&s->t[1]), FG_GRANT_DENIED);
        s->t[0].limits->mode = FG_MODE_CAP;
        s->t[0].client.stale = true;
        look_after(s, MS);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_DENIED);
        s->t[0].limits->mode = FG_MODE_SHARE;
        s->t[0].limits->owner[0].pid = 0;
        s->t[0].client.stale = true;
        look_after(s, MS);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_DENIED);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        scene_free(s);
}

/* While the one that stands has work, nobody else begins any; all that time it keeps its grant. */
static void test_the_others_stop_while_the_standing_one_works(void **state)
{
        struct scene *s = scene_new(2);
        pid_t pid = idle_process();
        uint32_t grant;

        s->arbiter.config.preemptive = true;
        s->t[0].limits->priority = FG_PRIORITY_HIGH;
        s->t[1].limits->priority = FG_PRIORITY_LOW;
        s->t[1].limits->owner[0].pid = (uint32_t)pid;
        s->t[1].client.stale = true;
        run(s, 1, 2, 10);
        grant = s->t[0].limits->grant;
        assert_int_equal(grant & FG_GRANT_MASK, FG_GRANT_TIMED);
        assert_int_not_equal(mode(&s->t[1]), FG_GRANT_DENIED);
        for (int row = 0; row < 3; row++) {
                s->t[0].slot->inflight = 1;
                for (int ms = 0; ms < 10; ms++) {
                        look_after(s, MS);
                        assert_int_equal(mode(&s->t[1]), FG_GRANT_DENIED);
                        run_saturated(s, 1);
                }
                s->t[0].slot->inflight = 0;
                s->t[0].slot->idle_since = s->now;
                assert_true(look_after(s, MS / 20) <= MS / 10); /* the next of its row may be on its way */
                assert_int_equal(mode(&s->t[1]), FG_GRANT_DENIED);
                look_after(s, MS);
                assert_int_not_equal(mode(&s->t[1]), FG_GRANT_DENIED);
                run_saturated(s, 1);
        }
        assert_int_equal(s->t[0].limits->grant, grant);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        scene_free(s);
}

/* What the programs of a free tenant used since the last look is charged when they are gone. They were at work all the same: when it
 * comes back after another one, neither has to make up for the time that it was alone. */
static void test_having_been_alone_is_no_debt(void **state)
{
        struct scene *s = scene_new(2);
        uint64_t alone;

        look_after(s, MS);
        s->t[0].slot->waiting = 1;
        look_after(s, MS);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_FREE);
        s->t[0].slot->waiting = 0;
        s->t[0].slot->busy += 900 * MS;
        s->t[0].slot->launches++;
        s->t[0].slot->idle_since = s->now + 900 * MS;
        s->t[0].limits->owner[0].pid = 0;
        s->t[0].client.stale = true;
        look_after(s, 901 * MS);
        alone = s->t[0].limits->charged;
        assert_in_range(alone, 900 * MS, 902 * MS);
        s->t[0].limits->owner[0] = (struct fg_slot_owner){.pid = (uint32_t)getpid(), .generation = 2, .busy_seen = s->t[0].slot->busy};
        s->t[0].client.stale = true;
        look_after(s, 300 * MS);
        run(s, 1, 2, 50);
        run(s, 0, 2, 1000);
        assert_in_range((s->t[0].limits->charged - alone) / MS, 480, 520);
        assert_in_range(s->t[1].limits->charged / MS, 530, 570);
        scene_free(s);
}

/* Its leftovers of the free grant are in flight before it is seen to wait: it was asleep all the same. */
static void test_a_returning_free_tenant_does_not_starve_the_others(void **state)
{
        struct scene *s = scene_new(2);
        uint64_t before;

        run(s, 0, 1, 500);
        s->t[0].slot->inflight = s->t[0].slot->waiting = 0;
        run(s, 1, 2, 3000);
        s->t[0].slot->inflight = 1;
        look_after(s, MS);
        s->t[0].slot->waiting = 1;
        before = s->t[1].limits->charged;
        run(s, 0, 2, 1000);
        assert_in_range(s->t[1].limits->charged - before, 440 * MS, 560 * MS);
        scene_free(s);
}

/* It is at work all the time, but wants far less than its share: what it did not want is not saved up for later. */
static void test_what_was_not_wanted_is_not_owed(void **state)
{
        struct scene *s = scene_new(2);
        uint64_t before[2], got[2];

        s->t[0].limits->share_permille = 700;
        s->t[1].limits->share_permille = 300;
        for (unsigned k = 0; k < 30000; k++) { /* 1 ms of work in 15 ms */
                look_after(s, MS);
                run_saturated(s, 1);
                s->t[0].slot->inflight = 0;
                if (k % 15 == 0)
                        s->t[0].slot->waiting = 1;
                if (!s->t[0].slot->waiting || mode(&s->t[0]) == FG_GRANT_DENIED)
                        continue;
                s->t[0].slot->waiting = 0;
                s->t[0].slot->busy += MS;
                s->t[0].slot->launches++;
                s->t[0].slot->looks++;
                s->t[0].slot->idle_since = s->now;
        }
        for (unsigned i = 0; i < 2; i++)
                before[i] = s->t[i].limits->charged;
        run(s, 0, 2, 2000);
        for (unsigned i = 0; i < 2; i++)
                got[i] = s->t[i].limits->charged - before[i];
        assert_in_range(got[0] * 1000 / (got[0] + got[1]), 695, 760); /* at most FG_SHARE_OWED more than its 70 % */
        scene_free(s);
}

/* Launches of a second: who waited for one has it back, however long that takes. */
/* After months of never sleeping the differences do not fit any more: at the end of the scale, and not at its other end. */
static void test_differences_end_where_the_numbers_do(void **state)
{
        struct fgd_arbiter_client c[3] = {{.next = &c[1], .share.weight = 1, .last_part = 1},
                                          {.next = &c[2], .share = {.weight = 1000, .vtime = 5000000000000000000ull}, .last_part = 1},
                                          {.share = {.weight = 1000, .vtime = 5000000000000000000ull}, .last_part = 1}};
        struct fgd_arbiter a = {.clients = c};
        uint64_t weights;
        assert_true(fgd_arbiter_ahead(&a, &c[0], 1, &weights) == INT64_MAX);
        assert_int_equal(weights, 2000);
        c[0].share.weight = 1000;
        assert_true(fgd_arbiter_ahead(&a, &c[1], 1, &weights) == INT64_MIN);
        c[2].share.vtime = c[1].share.vtime + 7;
        c[0].last_part = 0;
        assert_int_equal(fgd_arbiter_ahead(&a, &c[1], 1, &weights), 7000);
        assert_int_equal(weights, 1000);
}

static void test_what_a_long_launch_took_is_owed(void **state)
{
        struct scene *s = scene_new(2);
        struct tenant *slow = &s->t[1];
        uint64_t end = 0;

        s->t[0].limits->share_permille = 700;
        slow->limits->share_permille = 300;
        for (unsigned k = 0; k < 60000; k++) {
                look_after(s, MS);
                run_saturated(s, 0);
                if (end && s->now >= end) {
                        slow->slot->busy += SEC;
                        slow->slot->inflight = 0;
                        slow->slot->idle_since = s->now;
                        end = 0;
                }
                if (!end)
                        slow->slot->waiting = mode(slow) == FG_GRANT_DENIED;
                if (end || slow->slot->waiting)
                        continue;
                slow->slot->inflight = 1;
                slow->slot->launches++;
                slow->slot->looks++;
                end = s->now + SEC;
        }
        assert_in_range(s->t[0].limits->charged * 1000 / (s->t[0].limits->charged + slow->limits->charged), 680, 720);
        scene_free(s);
}

static void test_in_flight_for_ever_saves_no_credit(void **state)
{
        struct scene *s = scene_new(2);
        uint64_t before;

        s->t[0].slot->inflight = 1; /* a lie; it never held the device */
        run(s, 1, 2, 3000);
        before = s->t[1].limits->charged;
        run(s, 0, 2, 1000);
        assert_in_range(s->t[1].limits->charged - before, 440 * MS, 560 * MS);
        scene_free(s);
}

static void test_a_stopped_waiter_is_passed_over_until_it_looks_again(void **state)
{
        struct scene *s = scene_new(2);
        uint64_t before;

        run(s, 0, 2, 200);
        s->t[0].slot->inflight = 0;
        s->t[0].slot->waiting = 1; /* stopped here */
        run(s, 1, 2, 200);
        before = s->t[1].limits->charged;
        run(s, 1, 2, 1000);
        assert_true(s->t[1].limits->charged - before > 950 * MS);
        s->t[0].slot->looks++; /* continued */
        before = s->t[1].limits->charged;
        run(s, 0, 2, 1000);
        assert_in_range(s->t[1].limits->charged - before, 440 * MS, 560 * MS);
        scene_free(s);
}

/* Claims that make the grant look given up at once: neither a spinning arbiter nor a free ride. */
static void test_a_page_of_lies_neither_spins_nor_rides_free(void **state)
{
        struct scene *s = scene_new(2);
        uint64_t before;

        run(s, 1, 2, 100);
        s->t[0].slot->waiting = 1;
        s->t[0].slot->idle_since = UINT64_MAX;
        s->t[0].slot->estimate = s->t[0].slot->gap = UINT64_MAX;
        before = s->t[1].limits->charged;
        for (unsigned k = 0; k < 1000; k++) {
                s->t[0].slot->looks++;
                assert_true(look_after(s, MS) >= LEAST_WAIT);
                run_saturated(s, 1);
        }
        /* It may hold the device as long as its share says, and pays for that. */
        assert_true(s->t[1].limits->charged - before > 420 * MS);
        assert_true(s->t[0].limits->charged > 350 * MS);
        scene_free(s);
}

static void test_a_free_tenant_that_is_capped_is_held_at_once(void **state)
{
        struct scene *s = scene_new(1);
        uint64_t before;

        s->t[0].limits->share_permille = 300;
        run(s, 0, 1, 1000);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_FREE);
        s->t[0].limits->mode = FG_MODE_CAP;
        s->t[0].client.stale = true;
        before = s->t[0].limits->charged;
        run(s, 0, 1, 10000);
        assert_in_range((s->t[0].limits->charged - before) / MS, 2900, 3100);
        scene_free(s);
}

static void test_a_higher_class_pre_empts_and_is_served_first(void **state)
{
        struct scene *s = scene_new(2);
        uint64_t before;

        s->t[1].limits->priority = FG_PRIORITY_HIGH;
        run(s, 0, 1, 100);
        before = s->t[0].limits->charged;
        run(s, 0, 2, 1000);
        assert_true(s->t[0].limits->charged - before < 20 * MS);
        scene_free(s);
}

static void test_a_closed_vgpu_is_denied(void **state)
{
        struct scene *s = scene_new(1);

        run(s, 0, 1, 10);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_FREE);
        s->t[0].limits->closed = 1;
        s->t[0].client.stale = true;
        s->t[0].slot->inflight = 0;
        look_after(s, MS);
        look_after(s, MS);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_DENIED);
        s->t[0].slot->waiting = 1;
        look_after(s, MS);
        assert_int_equal(mode(&s->t[0]), FG_GRANT_DENIED);
        scene_free(s);
}

/* `active` can be left over from work long done; when it should have been done is in the page. */
static void test_a_newcomer_waits_no_longer_than_the_work_of_a_free_owner(void **state)
{
        struct scene *s = scene_new(2);

        s->t[0].slot->waiting = 1;
        look_after(s, MS);
        s->t[0].slot->waiting = 0;
        s->t[0].slot->active = 1;
        s->t[0].slot->estimate = SEC;
        s->t[0].slot->expected_end = s->now + 100 * MS;
        s->t[1].slot->waiting = 1;
        look_after(s, MS);
        look_after(s, 50 * MS);
        assert_int_equal(mode(&s->t[1]), FG_GRANT_DENIED);
        look_after(s, 60 * MS);
        assert_int_equal(mode(&s->t[1]), FG_GRANT_TIMED);
        scene_free(s);
}

static void test_many_processes_of_one_vgpu_are_charged_the_wall_clock_once(void **state)
{
        struct scene *s = scene_new(1);
        struct tenant *t = &s->t[0];

        for (unsigned i = 0; i < 4; i++)
                t->limits->owner[i] = (struct fg_slot_owner){.pid = (uint32_t)getpid(), .generation = 1};
        t->slot->waiting = 1;
        look_after(s, MS);
        t->slot->waiting = 0;
        for (unsigned k = 0; k < 1000; k++) {
                for (unsigned i = 0; i < 4; i++) {
                        t->usage->slot[i].busy += MS;
                        t->usage->slot[i].inflight = 1;
                }
                look_after(s, MS);
        }
        assert_in_range(t->limits->charged, 990 * MS, 1001 * MS);
        scene_free(s);
}

/* What was used while no arbiter watched is charged once, by the next one. */
static void test_use_without_an_arbiter_is_charged_by_the_next(void **state)
{
        struct scene *s = scene_new(1);
        struct tenant *t = &s->t[0];
        uint64_t before;

        run(s, 0, 1, 100);
        before = t->limits->charged;
        t->slot->busy += 40 * MS;
        t->client = (struct fgd_arbiter_client){.limits = t->limits, .usage = t->usage, .poke = -1, .stale = true,
                                                .share.weight = 1, .account = &t->account, .passed = 50 * MS};
        s->arbiter.owner = NULL;
        s->arbiter.phase = PHASE_NONE;
        look_after(s, MS);
        assert_in_range(t->limits->charged - before, 40 * MS, 42 * MS);
        look_after(s, MS);
        assert_in_range(t->limits->charged - before, 40 * MS, 42 * MS);
        scene_free(s);
}

/* The account outlives the vGPU's last process: a debt is not shaken off by starting anew. */
static void test_a_debt_outlives_the_process(void **state)
{
        struct fgd_arbiter_config config = {.quantum = 6 * MS, .free_after = SEC};
        struct scene *s = scene_new(1);
        struct tenant *t = &s->t[0];
        struct fgd_arbiter_client *client;
        struct fgd_arbiter *arbiter;
        int pokes[2];

        assert_int_equal(pipe(pokes), 0);
        assert_int_equal(fcntl(pokes[0], F_SETFL, O_NONBLOCK), 0);
        t->limits->mode = FG_MODE_CAP;
        t->limits->share_permille = 100;
        t->account = (struct fgd_arbiter_account){.vtime = 77, .tokens = -300 * (int64_t)MS, .left_at = fg_now()};
        assert_int_equal(fgd_arbiter_new(&config, &arbiter, NULL), 0);
        assert_int_equal(fgd_arbiter_add(arbiter, t->limits, t->usage, pokes[0], &t->account, &client), 0);
        fgd_arbiter_remove(arbiter, client);
        assert_true(t->account.tokens < -250 * (int64_t)MS);
        assert_true(t->account.vtime >= 77);
        fgd_arbiter_free(arbiter);
        close(pokes[0]);
        close(pokes[1]);
        scene_free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_alone_is_free_and_company_is_not),
                cmocka_unit_test(test_shares_of_two_that_never_stop),
                cmocka_unit_test(test_high_class_stands_beside_idle_programs),
                cmocka_unit_test(test_the_others_stop_while_the_standing_one_works),
                cmocka_unit_test(test_a_returning_free_tenant_does_not_starve_the_others),
                cmocka_unit_test(test_having_been_alone_is_no_debt),
                cmocka_unit_test(test_what_was_not_wanted_is_not_owed),
                cmocka_unit_test(test_differences_end_where_the_numbers_do),
                cmocka_unit_test(test_what_a_long_launch_took_is_owed),
                cmocka_unit_test(test_in_flight_for_ever_saves_no_credit),
                cmocka_unit_test(test_a_stopped_waiter_is_passed_over_until_it_looks_again),
                cmocka_unit_test(test_a_page_of_lies_neither_spins_nor_rides_free),
                cmocka_unit_test(test_a_free_tenant_that_is_capped_is_held_at_once),
                cmocka_unit_test(test_a_higher_class_pre_empts_and_is_served_first),
                cmocka_unit_test(test_a_closed_vgpu_is_denied),
                cmocka_unit_test(test_a_newcomer_waits_no_longer_than_the_work_of_a_free_owner),
                cmocka_unit_test(test_many_processes_of_one_vgpu_are_charged_the_wall_clock_once),
                cmocka_unit_test(test_use_without_an_arbiter_is_charged_by_the_next),
                cmocka_unit_test(test_a_debt_outlives_the_process),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
