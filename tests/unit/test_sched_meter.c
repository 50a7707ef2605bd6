/* SPDX-License-Identifier: Apache-2.0
 * The rule by examples whose numbers are known, and its equations over random windows. test_meter_oracle.py has the
 * rule a second time and compares. */
#include "unit.h"
#include "sched/apportion.h"
#include "sched/meter.h"

#include <errno.h>

#define SEC      1000000ll /* us */
#define GPU_SEC  FG_PPMUS_PER_SEC
#define WINDOW   FG_METER_WINDOW_US
#define CAP      true
#define SHARE    false
#define TWO_EACH 2000000000ll /* 2.00 per GPU-hour */
#define MOST     12

/* A vGPU that was there for the whole window and never changed. */
static struct fg_meter_line steady(uint32_t memory, uint32_t share, bool cap, enum fg_meter_state state, int64_t busy)
{
        return (struct fg_meter_line){.segment = {{0, memory, share, cap, state}},
                                      .segments = 1,
                                      .end = WINDOW,
                                      .busy_us = cap ? 0 : busy,
                                      .busy_cap_us = cap ? busy : 0};
}

static void check_equations(const struct fg_meter_window *w, const struct fg_meter_line *line, size_t count)
{
        int64_t wall = w->wall_us * FG_PPM, billed = 0, reserved = 0, rebate = 0, conserved = 0;
        for (size_t i = 0; i < count; i++) {
                const struct fg_meter_line *l = &line[i];
                assert_true(l->surcharge >= 0 && l->surcharge <= l->burst);
                assert_true(l->credit >= 0 && l->credit <= l->unused);
                assert_true(l->rebate >= 0 && l->unused <= l->reserved - l->rebate);
                assert_true(l->conserved_cap_us >= 0 && l->conserved_cap_us <= l->conserved_us);
                assert_true(fg_meter_bill(l) >= 0);
                billed += fg_meter_bill(l);
                reserved += l->reserved;
                rebate += l->rebate;
                conserved += l->conserved_us;
        }
        assert_int_equal(billed + w->idle, wall);
        assert_int_equal(rebate, reserved > wall ? reserved - wall : 0);
        assert_true(w->idle >= 0 && conserved <= w->wall_us);
}

static void settle(struct fg_meter_window *w, struct fg_meter_line *line, size_t count)
{
        struct fg_meter_line *view[MOST];
        assert_true(count <= MOST);
        for (size_t i = 0; i < count; i++)
                view[i] = &line[i];
        assert_int_equal(fg_meter_settle(w, view, count, NULL), 0);
        check_equations(w, line, count);
}

static struct fg_meter_window minute(uint32_t beta)
{
        return (struct fg_meter_window){.wall_us = WINDOW, .beta_ppm = beta, .idle = -1};
}

/* One vGPU alone, at 2.00 per GPU-hour and beta 0.5. */
static void known_bills(void **state)
{
        static const struct {
                uint32_t memory, share;
                bool cap;
                enum fg_meter_state state;
                int64_t busy, reserved, burst, bill; /* s, GPU-s, GPU-s, GPU-s */
                int64_t micro;                       /* of the currency */
        } row[] = {
                {250000, 500000, CAP, FG_METER_RUN, 0, 30, 0, 30, 16667},
                {250000, 500000, CAP, FG_METER_RUN, 60, 30, 0, 30, 16667}, /* above the cap: our defect, not billed */
                {250000, 500000, SHARE, FG_METER_RUN, 0, 30, 0, 30, 16667},
                {250000, 500000, SHARE, FG_METER_RUN, 60, 30, 30, 45, 25000},
                {500000, 250000, SHARE, FG_METER_RUN, 24, 30, 0, 30, 16667}, /* paid for by the memory already */
                {250000, 500000, SHARE, FG_METER_HOLD, 0, 15, 0, 15, 8333},
                {250000, 500000, CAP, FG_METER_HOLD, 0, 15, 0, 15, 8333},
                {250000, 500000, SHARE, FG_METER_WAIT, 0, 0, 0, 0, 0},
                {250000, 500000, SHARE, FG_METER_PARK, 0, 0, 0, 0, 0},
                {250000, 500000, SHARE, FG_METER_DOWN, 0, 0, 0, 0, 0},
                {100000, 0, SHARE, FG_METER_RUN, 12, 6, 6, 9, 5000},
                {1000000, 1000000, SHARE, FG_METER_RUN, 60, 60, 0, 60, 33333},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_meter_window w = minute(500000);
                struct fg_meter_line l =
                        steady(row[i].memory, row[i].share, row[i].cap, row[i].state, row[i].busy * SEC);
                fg_int128 cost = 0;
                settle(&w, &l, 1);
                assert_int_equal(l.conserved_us, row[i].busy * SEC);
                assert_int_equal(l.reserved, row[i].reserved * GPU_SEC);
                assert_int_equal(l.burst, row[i].burst * GPU_SEC);
                assert_int_equal(fg_meter_bill(&l), row[i].bill * GPU_SEC);
                assert_int_equal(w.idle, (60 - row[i].bill) * GPU_SEC);
                assert_int_equal(fg_cost_of(fg_meter_bill(&l), TWO_EACH, &cost), 0);
                assert_int_equal(fg_money_round(cost, 6), row[i].micro * 1000);
        }
}

static void four_quarters_are_a_gpu(void **state)
{
        struct fg_meter_window w = minute(500000);
        struct fg_meter_line l[4];
        for (int i = 0; i < 4; i++)
                l[i] = steady(250000, 250000, SHARE, FG_METER_RUN, 0);
        settle(&w, l, 4);
        for (int i = 0; i < 4; i++)
                assert_int_equal(fg_meter_bill(&l[i]), 15 * GPU_SEC);
        assert_int_equal(w.idle, 0);
}

static void a_burst_is_counted_over_share_segments_only(void **state)
{
        struct fg_meter_window w = minute(FG_PPM);
        struct fg_meter_line l = {.segment = {{0, 0, 500000, SHARE, FG_METER_RUN},
                                              {20 * SEC, 0, 500000, CAP, FG_METER_RUN},
                                              {40 * SEC, 400000, 500000, SHARE, FG_METER_HOLD},
                                              {50 * SEC, 400000, 500000, SHARE, FG_METER_WAIT}},
                                  .segments = 4,
                                  .end = 55 * SEC,
                                  .busy_us = 16 * SEC,
                                  .busy_cap_us = 12 * SEC};
        settle(&w, &l, 1);
        assert_int_equal(l.reserved, 24 * GPU_SEC); /* 10 + 10 + 4 + 0 */
        assert_int_equal(l.burst, 2 * GPU_SEC);     /* 16 - 14; the 2 s above the cap are nobody's */
        assert_int_equal(l.unused, 0);
        l.busy_us = 0, l.busy_cap_us = 0;
        settle(&w, &l, 1);
        assert_int_equal(l.unused, 24 * GPU_SEC);
}

static void overlap_is_scaled_to_the_wall_time(void **state)
{
        struct fg_meter_window w = {.wall_us = 10, .beta_ppm = FG_PPM};
        struct fg_meter_line l[3];
        for (int i = 0; i < 3; i++)
                l[i] = steady(0, 0, SHARE, FG_METER_RUN, 10);
        settle(&w, l, 3); /* 3 1/3 each, the earliest gets what is left over */
        assert_int_equal(l[0].conserved_us, 4);
        assert_int_equal(l[1].conserved_us, 3);
        assert_int_equal(l[2].conserved_us, 3);
        l[0].busy_us = 1, l[1].busy_us = 5, l[2].busy_us = 5; /* 10/11, 50/11, 50/11: the largest remainders */
        settle(&w, l, 3);
        assert_int_equal(l[0].conserved_us, 1);
        assert_int_equal(l[1].conserved_us, 5);
        assert_int_equal(l[2].conserved_us, 4);
        l[0].busy_us = 10, l[0].busy_cap_us = 10, l[1].busy_us = 0,
        l[2].busy_us = 1; /* 4.76, 4.76, 0.48: share before cap */
        settle(&w, l, 3);
        assert_int_equal(l[0].conserved_us, 10);
        assert_int_equal(l[0].conserved_cap_us, 5);
        assert_int_equal(l[2].conserved_us, 0);
        for (int i = 0; i < 3; i++)
                l[i].busy_us = l[i].busy_cap_us = INT64_MAX;
        settle(&w, l, 3);
        /* What fits is left alone. */
        l[0].busy_us = 3, l[1].busy_us = 3, l[2].busy_us = 4;
        for (int i = 0; i < 3; i++)
                l[i].busy_cap_us = 0;
        settle(&w, l, 3);
        assert_true(l[0].conserved_us == 3 && l[1].conserved_us == 3 && l[2].conserved_us == 4);
}

/* The one that bursts uses the owner's idle reserve and nobody's in proportion, and pays both back in proportion. */
static void idle_reserve_is_credited(void **state)
{
        struct fg_meter_window w = minute(500000);
        struct fg_meter_line l[2] = {steady(500000, 0, CAP, FG_METER_RUN, 10 * SEC),
                                     steady(250000, 0, SHARE, FG_METER_RUN, 35 * SEC)};
        settle(&w, l, 2); /* R 30 and 15, F 15, U 20, B 20 */
        assert_int_equal(l[0].unused, 20 * GPU_SEC);
        assert_int_equal(l[1].burst, 20 * GPU_SEC);
        assert_int_equal(l[1].surcharge, 10 * GPU_SEC);
        assert_int_equal(l[0].credit, 10 * GPU_SEC * 20 / 35);
        assert_int_equal(l[1].credit, 0);
        assert_int_equal(w.idle, 5 * GPU_SEC + l[0].credit);
        l[1] = steady(500000, 0, SHARE, FG_METER_RUN, 40 * SEC);
        settle(&w, l, 2); /* nothing is nobody's: all of it */
        assert_int_equal(l[0].credit, l[1].surcharge);
        assert_int_equal(l[0].credit, 5 * GPU_SEC);
        assert_int_equal(w.idle, 0);
}

/* A credit that does not divide: what is left over is given away too, or idle would be less than nothing. */
static void no_unit_is_lost(void **state)
{
        struct fg_meter_window w = {.wall_us = 3, .beta_ppm = FG_PPM};
        struct fg_meter_line l[4] = {steady(333333, 0, SHARE, FG_METER_RUN, 0),
                                     steady(333333, 0, SHARE, FG_METER_RUN, 0),
                                     steady(333333, 0, SHARE, FG_METER_RUN, 0), steady(1, 0, SHARE, FG_METER_RUN, 1)};
        for (int i = 0; i < 4; i++)
                l[i].end = 3;
        settle(&w, l, 4);
        assert_int_equal(l[3].surcharge, 999997);
        assert_int_equal(l[0].credit, 333333);
        assert_int_equal(l[1].credit, 333332);
        assert_int_equal(l[2].credit, 333332);
        assert_int_equal(w.idle, 0);
}

static void what_two_cannot_have_at_once_is_not_billed(void **state)
{
        struct fg_meter_window w = minute(500000);
        struct fg_meter_line l[2] = {steady(700000, 100000, SHARE, FG_METER_RUN, 0),
                                     steady(200000, 800000, CAP, FG_METER_RUN, 0)};
        settle(&w, l, 2);
        assert_int_equal(l[0].reserved + l[1].reserved, 90 * GPU_SEC);
        assert_int_equal(l[0].rebate, 14 * GPU_SEC);
        assert_int_equal(l[1].rebate, 16 * GPU_SEC);
        assert_int_equal(w.idle, 0);
        /* Half a window later there is room enough over the whole of it. */
        l[1].begin = l[1].segment[0].from = 30 * SEC;
        l[0].end = 30 * SEC;
        settle(&w, l, 2);
        assert_int_equal(l[0].rebate + l[1].rebate, 0);
        assert_int_equal(w.idle, 15 * GPU_SEC);
}

/* Rebate and credit together: all that the idle three reserved is used by one that reserved nothing. Credits in
 * proportion to what lay idle before the rebate would give the unit that is left over to the first twice, and it would
 * have -1 to pay. */
static void a_bill_is_never_negative(void **state)
{
        struct fg_meter_window w = {.wall_us = 1, .beta_ppm = FG_PPM};
        struct fg_meter_line l[4];
        for (int i = 0; i < 4; i++)
                l[i] = steady(i < 3 ? 500000 : 0, 0, SHARE, FG_METER_RUN, i / 3), l[i].end = 1;
        settle(&w, l, 4);
        assert_int_equal(l[0].rebate, 166667);
        assert_int_equal(l[0].credit, 333333);
        assert_int_equal(l[2].credit, 333334);
        for (int i = 0; i < 3; i++)
                assert_int_equal(fg_meter_bill(&l[i]), 0);
        assert_int_equal(fg_meter_bill(&l[3]), FG_PPM);
}

static void parts_of_a_division(void **state)
{
        struct fg_part part[4] = {{.weight = 1, .index = 0},
                                  {.weight = 0, .index = 1},
                                  {.weight = 2, .index = 2},
                                  {.weight = 4, .index = 3}};
        int64_t share[4];
        assert_int_equal(fg_apportion(10, 7, part, 4), 10); /* 1 3/7, 0, 2 6/7, 5 5/7 */
        for (size_t i = 0; i < 4; i++)
                share[part[i].index] = part[i].share;
        assert_true(share[0] == 1 && share[1] == 0 && share[2] == 3 && share[3] == 6);
        assert_int_equal(fg_apportion(10, 20, part, 4), 3); /* 3.5 of it belong to these */
        assert_int_equal(fg_apportion(10, 0, part, 0), 0);
        part[0] = part[1] = (struct fg_part){.weight = 0};
        assert_int_equal(fg_apportion(10, 0, part, 2), 0);
        assert_true(part[0].share == 0 && part[1].share == 0);
        /* The largest numbers. */
        for (size_t i = 0; i < 4; i++)
                part[i] = (struct fg_part){.weight = INT64_MAX, .index = i};
        assert_int_equal(fg_apportion(INT64_MAX, (fg_uint128)INT64_MAX * 4, part, 4), INT64_MAX);
}

static void change(struct fg_meter_line *line, int64_t at, uint32_t memory, bool cap, enum fg_meter_state state)
{
        fg_meter_change(line, at, &(struct fg_meter_segment){-1, memory, 0, cap, state});
}

static void assert_segment(const struct fg_meter_line *line, uint32_t i, int64_t from, uint32_t memory, bool cap)
{
        assert_true(i < line->segments);
        assert_int_equal(line->segment[i].from, from);
        assert_int_equal(line->segment[i].memory_ppm, memory);
        assert_int_equal(line->segment[i].cap, cap);
}

static void changes_begin_segments(void **state)
{
        struct fg_meter_line l = {0};
        change(&l, 5, 100, SHARE, FG_METER_RUN);
        assert_int_equal(l.begin, 5);
        change(&l, 9, 100, SHARE, FG_METER_RUN); /* no change */
        assert_int_equal(l.segments, 1);
        change(&l, 10, 200, SHARE, FG_METER_RUN);
        change(&l, 10, 300, SHARE, FG_METER_RUN); /* 200 lasted no time */
        assert_int_equal(l.segments, 2);
        assert_segment(&l, 0, 5, 100, SHARE);
        assert_segment(&l, 1, 10, 300, SHARE);
        change(&l, 10, 100, SHARE, FG_METER_RUN); /* and back */
        assert_int_equal(l.segments, 1);
        change(&l, 20, 100, SHARE, FG_METER_HOLD); /* each of the four counts */
        change(&l, 21, 100, CAP, FG_METER_HOLD);
        fg_meter_change(&l, 22, &(struct fg_meter_segment){0, 100, 7, CAP, FG_METER_HOLD});
        assert_int_equal(l.segments, 4);
        change(&l, 21, 400, CAP, FG_METER_RUN); /* before the last began: at once */
        assert_int_equal(l.segments, 4);
        assert_segment(&l, 3, 22, 400, CAP);
        /* The first one can be replaced as well. */
        l = (struct fg_meter_line){0};
        change(&l, 7, 100, SHARE, FG_METER_RUN);
        change(&l, 7, 200, CAP, FG_METER_RUN);
        assert_int_equal(l.segments, 1);
        assert_segment(&l, 0, 7, 200, CAP);
        assert_int_equal(l.begin, 7);
}

/* 64 segments of 100 us that go up by 10 ppm each but for one step of 3 ppm, and another of 3 ppm later. */
static struct fg_meter_line full_line(void)
{
        struct fg_meter_line l = {0};
        for (uint32_t i = 0; i < FG_METER_SEGMENTS; i++)
                change(&l, i * 100, 1000 + i * 10 - (i > 20) * 7 - (i > 40) * 7, SHARE, FG_METER_RUN);
        assert_int_equal(l.segments, FG_METER_SEGMENTS);
        return l;
}

static void too_many_changes_are_merged_where_it_costs_least(void **state)
{
        struct fg_meter_line l = full_line();
        change(&l, 6400, 5, SHARE, FG_METER_RUN);
        assert_int_equal(l.segments, FG_METER_SEGMENTS);
        assert_segment(&l, 19, 1900, 1190, SHARE);
        assert_segment(&l, 20, 2000, 1203, SHARE); /* of 1200 and 1203, and the earlier of two such */
        assert_segment(&l, 21, 2200, 1213, SHARE);
        assert_segment(&l, 63, 6400, 5, SHARE);
        /* The last of them ends where the new one begins: 1 us of it costs 10 more. */
        l = full_line();
        l.segment[63].memory_ppm = 1596;
        change(&l, 6301, 7, SHARE, FG_METER_RUN);
        assert_segment(&l, 20, 2000, 1200, SHARE);
        assert_segment(&l, 61, 6100, 1596, SHARE);
        assert_segment(&l, 62, 6200, 1606, SHARE);
        assert_segment(&l, 63, 6301, 7, SHARE);
        /* A cap next to a share becomes a share, whichever r is larger; equal ones cost nothing. */
        for (int first = 0; first < 2; first++) {
                l = full_line();
                l.segment[5].cap = !first;
                l.segment[6].cap = first;
                l.segment[6].memory_ppm = l.segment[5].memory_ppm;
                change(&l, 6400, 5, SHARE, FG_METER_RUN);
                assert_segment(&l, 5, 500, 1050, SHARE);
                assert_segment(&l, 6, 700, 1070, SHARE);
        }
        l = full_line();
        l.segment[5].cap = l.segment[6].cap = CAP;
        l.segment[6].memory_ppm = l.segment[5].memory_ppm;
        change(&l, 6400, 5, SHARE, FG_METER_RUN);
        assert_segment(&l, 5, 500, 1050, CAP);
}

static void merging_never_reserves_less(void **state)
{
        uint64_t seed = 3;
        for (int round = 0; round < 2000; round++) {
                struct fg_meter_line l = {.end = WINDOW};
                int64_t at = 0, exact = 0;
                uint32_t rate = 0;
                size_t changes = 60 + unit_random(&seed) % 100;
                for (size_t i = 0; i < changes; i++) {
                        int64_t step = (int64_t)(unit_random(&seed) % 300000);
                        exact += rate * step;
                        at += step;
                        rate = (uint32_t)(unit_random(&seed) % (FG_PPM + 1));
                        change(&l, at, rate, unit_random(&seed) % 2, FG_METER_RUN);
                }
                exact += rate * (WINDOW - at);
                struct fg_meter_window w = minute(0);
                settle(&w, &l, 1);
                assert_true(l.reserved >= exact);
        }
}

static void refuse(struct fg_meter_window w, struct fg_meter_line *line, const char *words)
{
        struct fg_meter_line before = *line, first = steady(250000, 250000, SHARE, FG_METER_RUN, SEC), fresh = first;
        struct fg_meter_line *view[] = {&first, line};
        struct fg_error err = {0};
        assert_int_equal(fg_meter_settle(&w, view, 2, &err), -EINVAL);
        if (!strstr(err.text, words))
                fail_msg("\"%s\" lacks \"%s\"", err.text, words);
        assert_memory_equal(line, &before, sizeof(before));
        assert_memory_equal(&first, &fresh, sizeof(fresh));
        assert_int_equal(w.idle, -1);
}

static void lines_that_make_no_sense(void **state)
{
        struct fg_meter_line good = steady(250000, 500000, SHARE, FG_METER_RUN, SEC), bad;
        good.segments = 2, good.segment[1] = good.segment[0], good.segment[1].from = SEC;
#define REFUSE(change, words)                                                                                          \
        do {                                                                                                           \
                bad = good;                                                                                            \
                change;                                                                                                \
                refuse(minute(500000), &bad, words);                                                                   \
        } while (0)
        REFUSE(bad.begin = -1, "line 1: from -1 to");
        REFUSE(bad.end = FG_METER_WALL_MAX + 1, "not within a window");
        REFUSE((bad.begin = 2 * SEC, bad.end = SEC), "not within a window");
        REFUSE(bad.segments = 0, "line 1 has 0 segments");
        REFUSE(bad.segments = FG_METER_SEGMENTS + 1, "65 segments");
        REFUSE(bad.busy_us = -1, "negative");
        REFUSE(bad.busy_cap_us = INT64_MIN, "negative");
        REFUSE(bad.segment[0].from = 1, "segment 0 begins at 1 us");
        REFUSE(bad.segment[1].from = -1, "segment 1 begins");
        REFUSE(bad.segment[1].from = WINDOW + 1, "segment 1 begins");
        REFUSE(bad.segment[1].memory_ppm = FG_PPM + 1, "1000001 ppm of memory");
        REFUSE(bad.segment[0].share_ppm = UINT32_MAX, "4294967295 of compute");
        REFUSE(bad.segment[1].state = FG_METER_STATES, "no state (5)");
#undef REFUSE
}

static void windows_that_make_no_sense(void **state)
{
        struct fg_meter_line line = steady(250000, 500000, SHARE, FG_METER_RUN, SEC);
        struct fg_meter_window w = minute(FG_PPM + 1);
        refuse(w, &line, "beta is 1000001 ppm");
        static const int64_t wall[] = {0, -1, FG_METER_WALL_MAX + 1, INT64_MIN};
        for (size_t i = 0; i < COUNT_OF(wall); i++) {
                w = minute(0);
                w.wall_us = wall[i];
                refuse(w, &line, "a window of");
        }
        w = minute(0);
        assert_int_equal(fg_meter_settle(&w, NULL, FG_METER_LINES + 1, NULL), -EINVAL);
        assert_int_equal(fg_meter_settle(&w, NULL, 0, NULL), 0);
        assert_int_equal(w.idle, 60 * GPU_SEC);
}

/* What comes in small numbers meets every remainder there is. */
static void random_line(struct fg_meter_line *l, uint64_t *seed)
{
        bool small = unit_random(seed) % 2;
        uint32_t most = small ? 4 : FG_PPM + 1;
        int64_t at = 0;
        *l = (struct fg_meter_line){.end = small ? 12 : WINDOW};
        l->segments = 1 + (uint32_t)(unit_random(seed) % 5);
        l->begin = (int64_t)(unit_random(seed) % (uint64_t)l->end);
        at = l->begin;
        for (uint32_t i = 0; i < l->segments; i++) {
                l->segment[i] = (struct fg_meter_segment){at, (uint32_t)(unit_random(seed) % most),
                                                          (uint32_t)(unit_random(seed) % most), unit_random(seed) % 2,
                                                          unit_random(seed) % FG_METER_STATES};
                at += (int64_t)(unit_random(seed) % (uint64_t)(l->end - at + 1));
        }
        l->busy_us = (int64_t)(unit_random(seed) % (uint64_t)(l->end + 1));
        l->busy_cap_us = unit_random(seed) % 3 ? 0 : (int64_t)(unit_random(seed) % (uint64_t)(l->end + 1));
}

static void the_equations_always_hold(void **state)
{
        uint64_t seed = 13;
        size_t scaled = 0, rebated = 0, credited = 0, full = 0;
        for (int round = 0; round < 50000; round++) {
                struct fg_meter_line l[MOST];
                size_t count = 1 + unit_random(&seed) % MOST;
                struct fg_meter_window w = {
                        .wall_us = 1 + (int64_t)(unit_random(&seed) % (unit_random(&seed) % 2 ? 20 : WINDOW)),
                        .beta_ppm = (uint32_t)(unit_random(&seed) % 3 ? unit_random(&seed) % (FG_PPM + 1) : FG_PPM)};
                for (size_t i = 0; i < count; i++)
                        random_line(&l[i], &seed);
                settle(&w, l, count);
                int64_t charged = 0, rebate = 0, credit = 0;
                for (size_t i = 0; i < count; i++) {
                        charged += l[i].busy_us + l[i].busy_cap_us;
                        rebate += l[i].rebate;
                        credit += l[i].credit;
                }
                scaled += charged > w.wall_us;
                rebated += rebate > 0;
                credited += credit > 0;
                full += rebate > 0 && credit > 0;
        }
        assert_true(scaled > 5000 && rebated > 5000 && credited > 5000 && full > 500); /* each was really tried */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_bills),
                cmocka_unit_test(four_quarters_are_a_gpu),
                cmocka_unit_test(a_burst_is_counted_over_share_segments_only),
                cmocka_unit_test(overlap_is_scaled_to_the_wall_time),
                cmocka_unit_test(idle_reserve_is_credited),
                cmocka_unit_test(no_unit_is_lost),
                cmocka_unit_test(what_two_cannot_have_at_once_is_not_billed),
                cmocka_unit_test(a_bill_is_never_negative),
                cmocka_unit_test(parts_of_a_division),
                cmocka_unit_test(changes_begin_segments),
                cmocka_unit_test(too_many_changes_are_merged_where_it_costs_least),
                cmocka_unit_test(merging_never_reserves_less),
                cmocka_unit_test(lines_that_make_no_sense),
                cmocka_unit_test(windows_that_make_no_sense),
                cmocka_unit_test(the_equations_always_hold),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
