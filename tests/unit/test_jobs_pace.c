/* SPDX-License-Identifier: Apache-2.0
 * How many jobs start, and whose: by a clock that is made up here. And the thread that has their folders: everything once, in order. */
#include "unit.h"

#include "base/clock.h"
#include "daemon/jobs_pace.h"
#include "daemon/table.h"
#include "daemon/worker.h"

#include <unistd.h>

#define START    (100 * FG_NSEC_PER_SEC)
#define COST     1200000u /* ns of the loop's time: a job's start and end */
#define PROJECTS 8

/* Jobs that start in `seconds`, each of which ends at once, when there are always more. */
static unsigned started(struct fgd_pace *pace, unsigned projects, uint64_t seconds, bool is_alone)
{
        unsigned n = 0;
        for (uint64_t now = START; now < START + seconds * FG_NSEC_PER_SEC; now += COST)
                for (unsigned i = 0; i < projects; i++)
                        if (fgd_pace_admits(&pace[i], now, is_alone)) {
                                n++;
                                fgd_pace_launch(&pace[i], now);
                                pace[i].launches--;
                                fgd_pace_charge(&pace[i], now, COST, is_alone);
                        }
        return n;
}

static void one_part_of_the_time(void **state)
{
        struct fgd_pace pace[PROJECTS] = {0};
        unsigned expected = 60 * FG_NSEC_PER_SEC / COST / FGD_PACE_PARTS, at_once = FGD_PACE_SAVED / COST + 1;
        assert_in_range(started(pace, 1, 60, false), expected - 1, expected + at_once);
        memset(pace, 0, sizeof pace);
        assert_in_range(started(pace, PROJECTS, 60, false), PROJECTS * (expected - 1), PROJECTS * (expected + at_once));
}

static void a_few_at_once(void **state)
{
        struct fgd_pace pace = {0};
        for (unsigned again = 0; again < 3; again++) {
                uint64_t now = START + again * 3600 * FG_NSEC_PER_SEC;
                unsigned n = 0;
                for (; fgd_pace_admits(&pace, now, false); n++) {
                        fgd_pace_launch(&pace, now);
                        pace.launches--;
                        fgd_pace_charge(&pace, now, COST, false);
                }
                assert_in_range(n, 2, FGD_PACE_SAVED / COST + 1);
        }
}

static void while_nobody_else_asks_at_once(void **state)
{
        struct fgd_pace pace = {0};
        assert_int_equal(started(&pace, 1, 6, true), 6 * FG_NSEC_PER_SEC / COST);
        assert_true(fgd_pace_admits(&pace, START, false)); /* and nothing is owed for it */
}

/* What another's jobs cost is not hers to wait for. */
static void one_job_waits_for_nobody(void **state)
{
        struct fgd_pace hostile = {0}, good = {0};
        for (unsigned i = 0; i < 10000; i++)
                fgd_pace_charge(&hostile, START, COST, false);
        assert_false(fgd_pace_admits(&hostile, START + FGD_PACE_DEBT - 1, false));
        assert_true(fgd_pace_admits(&hostile, START + FGD_PACE_DEBT, false));
        assert_true(fgd_pace_admits(&good, START, false));
}

static void a_debt_ends(void **state)
{
        const uint64_t cost[] = {FGD_PACE_DEBT / FGD_PACE_PARTS + FGD_PACE_SAVED, FGD_PACE_DEBT, UINT64_MAX};
        for (unsigned i = 0; i < 3; i++) {
                struct fgd_pace pace = {0};
                fgd_pace_charge(&pace, START, cost[i], false);
                fgd_pace_charge(&pace, START, cost[i], false);
                assert_false(fgd_pace_admits(&pace, START, false));
                assert_true(fgd_pace_admits(&pace, START + FGD_PACE_DEBT, false));
        }
}

static void who_else_asks(void **state)
{
        struct fgd_asked asked = {0};
        const int64_t order[] = {0, 3, 3, 3, 7, 3, 7, 7, 0};
        uint64_t last[8] = {0}, now = START;
        assert_false(fgd_asked_by_others(&asked, FGD_NOBODY, now));
        for (unsigned i = 0; i < sizeof order / sizeof *order; i++) {
                now += FG_NSEC_PER_SEC / 3;
                fgd_asked_note(&asked, order[i], now);
                last[order[i]] = now;
                for (int64_t who = FGD_NOBODY; who < 8; who++) {
                        bool expected = false;
                        for (int64_t other = 0; other < 8; other++)
                                expected = expected || (other != who && last[other] && now - last[other] <= FG_NSEC_PER_SEC);
                        assert_int_equal(fgd_asked_by_others(&asked, who, now), expected);
                }
        }
        assert_false(fgd_asked_by_others(&asked, FGD_NOBODY, now + FG_NSEC_PER_SEC + 1));
}

static void few_on_their_way(void **state)
{
        struct fgd_pace pace = {.launches = FGD_PACE_LAUNCHES - 1};
        assert_true(fgd_pace_admits(&pace, START, true));
        pace.launches++;
        assert_false(fgd_pace_admits(&pace, START, true));
}

/* --- the worker --- */

#define WORKS 1000

struct step {
        struct fgd_work work;
        unsigned number;
};

static unsigned run, done, ended;

static struct fgd_worker *make_worker(sd_event **ret_event)
{
        struct fgd_worker *worker;
        assert_int_equal(sd_event_new(ret_event), 0);
        assert_int_equal(fgd_worker_new(*ret_event, &worker), 0);
        return worker;
}

static void do_step(struct fgd_work *work)
{
        assert_int_equal(FGD_OF_NODE(work, struct step, work)->number, run++);
}

static void on_step(struct fgd_work *work, bool is_ending)
{
        assert_int_equal(FGD_OF_NODE(work, struct step, work)->number, done++);
        ended += is_ending;
}

static void push_all(struct fgd_worker *worker, struct step step[WORKS])
{
        run = done = ended = 0;
        for (unsigned i = 0; i < WORKS; i++) {
                step[i] = (struct step){.work = {.run = do_step, .done = on_step}, .number = i};
                fgd_worker_push(worker, &step[i].work);
        }
}

/* One in a turn of the loop, so that others have theirs in between. */
static void in_order_one_a_turn(void **state)
{
        static struct step step[WORKS];
        sd_event *event;
        struct fgd_worker *worker = make_worker(&event);
        push_all(worker, step);
        for (unsigned turn = 0; done < WORKS; turn++) {
                assert_int_equal(done, turn);
                assert_true(sd_event_run(event, UINT64_MAX) > 0);
        }
        assert_int_equal(ended, 0);
        fgd_worker_free(worker);
        sd_event_unref(event);
}

static void what_was_pushed_is_done(void **state)
{
        static struct step step[WORKS];
        sd_event *event;
        struct fgd_worker *worker = make_worker(&event);
        push_all(worker, step);
        fgd_worker_free(worker);
        assert_int_equal(run, WORKS);
        assert_int_equal(done, WORKS);
        assert_int_equal(ended, WORKS);
        sd_event_unref(event);
}

static unsigned began[2];

static void begin_late(struct fgd_work *work)
{
        usleep(100000); /* all the others are pushed by then */
}

static void begin_one(struct fgd_work *work)
{
        if (!work->is_patient)
                assert_int_equal(began[true], 0);
        began[work->is_patient]++;
}

static void on_one(struct fgd_work *work, bool is_ending)
{
        done++;
}

/* What is patient is begun when nothing else is left, and not at all at the end; a worker that is paused begins nothing. */
static void the_patient_come_last(void **state)
{
        enum { LEFT, ENDED, PAUSED };
        for (unsigned way = LEFT; way <= PAUSED; way++) {
                struct fgd_work first = {.run = begin_late, .done = on_one}, work[100] = {0};
                sd_event *event;
                struct fgd_worker *worker = make_worker(&event);
                began[0] = began[1] = done = 0;
                fgd_worker_push(worker, &first);
                for (unsigned i = 0; i < 100; i++) {
                        work[i] = (struct fgd_work){.run = begin_one, .done = on_one, .is_patient = i % 2 == 0};
                        fgd_worker_push(worker, &work[i]);
                }
                if (way == PAUSED)
                        fgd_worker_pause(worker);
                while (way == LEFT && done < 101)
                        assert_true(sd_event_run(event, UINT64_MAX) > 0);
                fgd_worker_free(worker);
                sd_event_unref(event);
                assert_int_equal(done, 101);
                assert_int_equal(began[0], way == PAUSED ? 0 : 50);
                assert_int_equal(began[1], way == LEFT ? 50 : 0);
        }
}

/* Ends that come without end, each dearer than the time between two, do not keep its starts waiting for longer than one debt. */
static void ends_without_end(void **state)
{
        struct fgd_pace pace = {0};
        uint64_t now = 100 * FG_NSEC_PER_SEC, begin = now, last = now;
        unsigned starts = 0;
        for (; now < begin + 20 * FG_NSEC_PER_SEC; now += FG_NSEC_PER_SEC / 20) {
                fgd_pace_charge(&pace, now, 1000000, false);
                if (!fgd_pace_admits(&pace, now, false))
                        continue;
                assert_true(now - last <= FGD_PACE_DEBT + FG_NSEC_PER_SEC / 20);
                fgd_pace_launch(&pace, now);
                pace.launches--;
                last = now;
                starts++;
        }
        assert_in_range(starts, 15, 30);
        assert_true(fgd_pace_next(&pace) <= pace.started + FGD_PACE_DEBT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_part_of_the_time),  cmocka_unit_test(while_nobody_else_asks_at_once), cmocka_unit_test(one_job_waits_for_nobody),
                cmocka_unit_test(a_debt_ends),           cmocka_unit_test(few_on_their_way),          cmocka_unit_test(in_order_one_a_turn),
                cmocka_unit_test(what_was_pushed_is_done), cmocka_unit_test(who_else_asks),           cmocka_unit_test(a_few_at_once),
                cmocka_unit_test(ends_without_end),      cmocka_unit_test(the_patient_come_last),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
