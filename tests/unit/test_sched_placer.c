/* SPDX-License-Identifier: Apache-2.0
 * The cluster's policies on the devices of one node: what is kept whole, what is learned, that what is said is what is done. */
#include "unit.h"
#include "base/cleanup.h"
#include "sched/placement.h"
#include "sched/placer.h"

#include <errno.h>

#define DEVICES 8u
#define WHOLE   (80ull << 30)
#define STAYS   4096u

static struct fg_placer *new_placer(const char *policy)
{
        struct fg_placer *p = NULL;
        assert_int_equal(fg_placer_new(&p, fg_cluster_policy_find(policy)), 0);
        return p;
}

static void fill(struct fg_sched_device *device)
{
        for (size_t d = 0; d < DEVICES; d++)
                device[d] = (struct fg_sched_device){WHOLE, 1000, true, WHOLE};
}

/* -1: it fits nowhere. */
static int place_one(const struct fg_placer *p, struct fg_sched_device *device, uint64_t memory, uint32_t share)
{
        const struct fg_sched_want want = {memory, share};
        struct fg_sched_misfit misfit;
        uint32_t at, got_share;
        uint64_t got_memory;
        if (fg_sched_place_by(p, device, DEVICES, &want, 1, &at, &got_memory, &got_share, &misfit) < 0)
                return -1;
        device[at].memory_free -= got_memory;
        device[at].share_free -= got_share;
        return (int)at;
}

static void parts_leave_devices_whole(void **state)
{
        FG_CLEANUP(fg_placer_freep) struct fg_placer *p = new_placer("fastgpu");
        struct fg_sched_device device[DEVICES];
        fill(device);
        for (int i = 0; i < 4; i++) /* one device, not four */
                assert_int_equal(place_one(p, device, WHOLE / 4, 250), 0);
        for (int i = 1; i < 8; i++)
                assert_int_equal(place_one(p, device, WHOLE, 1000), i);
        assert_int_equal(place_one(p, device, 1, 1), -1);
}

static void spread_takes_the_freest(void **state)
{
        FG_CLEANUP(fg_placer_freep) struct fg_placer *p = new_placer("spread");
        struct fg_sched_device device[DEVICES];
        fill(device);
        for (int i = 0; i < 16; i++)
                assert_int_equal(place_one(p, device, WHOLE / 4, 250), i % 8);
}

/* A part goes where it fills the gap, in both of what a device has. */
static void gaps_are_filled(void **state)
{
        FG_CLEANUP(fg_placer_freep) struct fg_placer *p = new_placer("fastgpu");
        struct fg_sched_device device[DEVICES];
        fill(device);
        device[2].memory_free = device[2].memory / 2;
        device[2].share_free = 500;
        device[5].memory_free = device[5].memory / 4;
        device[5].share_free = 250;
        assert_int_equal(place_one(p, device, WHOLE / 4, 250), 5);
        assert_int_equal(place_one(p, device, WHOLE / 2, 500), 2);
        /* More time wanted than memory is left, and the other way round: each side is judged by itself. */
        fill(device);
        device[3].memory_free = WHOLE / 10;
        device[4].share_free = 100;
        assert_int_equal(place_one(p, device, WHOLE / 20, 900), 3);
        assert_int_equal(place_one(p, device, WHOLE / 2, 50), 4);
}

static void who_says_nothing_gets_most(void **state)
{
        FG_CLEANUP(fg_placer_freep) struct fg_placer *p = new_placer("fastgpu");
        struct fg_sched_device device[DEVICES];
        fill(device);
        assert_int_equal(place_one(p, device, WHOLE / 8, 125), 0);
        assert_int_equal(place_one(p, device, 0, 0), 1);
        assert_int_equal(place_one(p, device, WHOLE / 8, 0), 2);
        assert_int_equal(place_one(p, device, WHOLE / 8, 125), 0);
}

static void a_processor_comes_last(void **state)
{
        FG_CLEANUP(fg_placer_freep) struct fg_placer *p = new_placer("fgd");
        struct fg_sched_device device[DEVICES];
        fill(device);
        for (int i = 0; i < 7; i++)
                device[i].last = true;
        assert_int_equal(place_one(p, device, WHOLE / 2, 500), 7);
        assert_int_equal(place_one(p, device, WHOLE / 2, 600), 0);
        assert_int_equal(place_one(p, device, 0, 0), 7);
        assert_int_equal(place_one(p, device, 0, 0), 1);
}

/* Nobody who could have a GPU that is only crowded gets a processor unasked. */
static void a_crowded_one_is_waited_for(void **state)
{
        FG_CLEANUP(fg_placer_freep) struct fg_placer *p = new_placer("fgd");
        struct fg_sched_device device[DEVICES];
        const struct fg_sched_want want = {WHOLE / 2, 500};
        struct fg_sched_verdict verdict[DEVICES];
        struct fg_sched_misfit misfit;
        uint32_t at = 99;
        fill(device);
        for (size_t i = 0; i < DEVICES; i++)
                device[i].usable = i < 2, device[i].last = i == 1;
        device[0].crowded = true;
        assert_int_equal(fg_sched_explain(p, device, DEVICES, &want, 1, &at, verdict, &misfit), -ENOSPC);
        assert_int_equal(verdict[0].fate, FG_SCHED_CROWDED);
        assert_int_equal(verdict[1].fate, FG_SCHED_LAST);
        device[0].share_free = 499; /* a full one is not waited for */
        assert_int_equal(fg_sched_explain(p, device, DEVICES, &want, 1, &at, verdict, &misfit), 0);
        assert_int_equal(at, 1);
}

/* Less is lost: of equals only, a whole device is not broken for it; what is crowded is not asked. */
static void least_loss_of_equals(void **state)
{
        FG_CLEANUP(fg_placer_freep) struct fg_placer *p = new_placer("fgd");
        struct fg_sched_device device[DEVICES];
        const struct fg_sched_want quarter = {WHOLE / 4, 250}, open = {0, 0};
        struct fg_sched_verdict verdict[DEVICES];
        struct fg_sched_misfit misfit;
        uint32_t at = 99;
        fill(device);
        for (size_t i = 0; i < 4; i++) { /* the others are whole */
                device[i].memory_free = WHOLE / 2;
                device[i].share_free = 500;
                device[i].loss = 400 - 100 * (uint32_t)i;
        }
        device[3].crowded = true;
        assert_int_equal(fg_sched_explain(p, device, DEVICES, &quarter, 1, &at, verdict, &misfit), 0);
        assert_int_equal(at, 2);
        assert_int_equal(verdict[0].fate, FG_SCHED_SLOWER);
        assert_int_equal(verdict[1].fate, FG_SCHED_SLOWER);
        assert_int_equal(verdict[3].fate, FG_SCHED_CROWDED);
        assert_int_equal(verdict[4].fate, FG_SCHED_LESS);
        device[1].loss = 200;
        assert_int_equal(fg_sched_explain(p, device, DEVICES, &quarter, 1, &at, verdict, &misfit), 0);
        assert_int_equal(at, 1);
        assert_int_equal(verdict[2].fate, FG_SCHED_TIE);
        for (size_t i = 4; i < DEVICES; i++)
                device[i].usable = false;
        device[2].memory_free += 4096; /* in milli it is as free */
        device[2].loss = 201;
        assert_int_equal(fg_sched_explain(p, device, DEVICES, &open, 1, &at, verdict, &misfit), 0);
        assert_int_equal(at, 1);
}

static void a_set_is_spread(void **state)
{
        FG_CLEANUP(fg_placer_freep) struct fg_placer *p = new_placer("fastgpu");
        struct fg_sched_device device[DEVICES];
        const struct fg_sched_want want[] = {{WHOLE / 4, 250}, {WHOLE / 4, 250}};
        struct fg_sched_misfit misfit;
        uint32_t at[2], share[2];
        uint64_t memory[2];
        fill(device);
        device[6].share_free = 500;
        assert_int_equal(fg_sched_place_by(p, device, DEVICES, want, 2, at, memory, share, &misfit), 0);
        assert_int_equal(at[0], 6);
        assert_int_equal(at[1], 0);
}

/* Where thirds are wanted, a quarter taken from two thirds spoils a place for one, and taken from a half it does not. */
static void sizes_are_learned(void **state)
{
        FG_CLEANUP(fg_placer_freep) struct fg_placer *p = new_placer("fastgpu");
        const struct fg_placer_part two_thirds = {667, 667}, half = {500, 500}, quarter = {250, 250};
        int32_t before = fg_placer_score(p, half, quarter) - fg_placer_score(p, two_thirds, quarter);
        for (int i = 0; i < 3000; i++)
                fg_placer_saw(p, (struct fg_placer_part){333, 333});
        int32_t after = fg_placer_score(p, half, quarter) - fg_placer_score(p, two_thirds, quarter);
        assert_true(after > before);
        assert_true(after > 0);
        fg_placer_saw(p, (struct fg_placer_part){0, 2000}); /* says nothing */
        assert_int_equal(fg_placer_score(p, half, quarter) - fg_placer_score(p, two_thirds, quarter), after);
        assert_ptr_equal(fg_placer_policy(p), fg_cluster_policy_find("fastgpu"));
        struct fg_placer *none = NULL;
        assert_int_equal(fg_placer_new(&none, fg_cluster_policy_find("random")), -EINVAL);
}

static void scene(struct fg_sched_device *device, struct fg_sched_want *want, uint64_t *seed)
{
        for (size_t d = 0; d < DEVICES; d++)
                device[d] = (struct fg_sched_device){unit_random(seed) % (WHOLE + 1), (uint32_t)(unit_random(seed) % 1001),
                                                     unit_random(seed) % 8 != 0, WHOLE, unit_random(seed) % 6 == 0, .loss = (uint32_t)(unit_random(seed) % 3)};
        for (size_t i = 0; i < DEVICES; i++)
                want[i] = (struct fg_sched_want){unit_random(seed) % 4 ? unit_random(seed) % (WHOLE / 2) : 0,
                                                 unit_random(seed) % 4 ? (uint32_t)(unit_random(seed) % 600) : 0};
}

static void check_verdicts(const struct fg_sched_device *device, const struct fg_sched_verdict *v, const struct fg_sched_want *want, uint32_t chosen)
{
        assert_int_equal(v[chosen].fate, FG_SCHED_CHOSEN);
        for (size_t d = 0; d < DEVICES; d++) {
                assert_int_equal(v[d].fate == FG_SCHED_CHOSEN, d == chosen);
                assert_true(v[d].fate != FG_SCHED_LESS || v[d].score < v[chosen].score);
                assert_true(v[d].fate != FG_SCHED_SLOWER || (v[d].score == v[chosen].score && device[d].loss > device[chosen].loss));
                assert_true(v[d].fate != FG_SCHED_TIE || (v[d].score == v[chosen].score && device[d].loss == device[chosen].loss));
                assert_true(v[d].fate != FG_SCHED_NO_MEMORY || v[d].memory < (want->memory ? want->memory : 4096));
                assert_true(v[d].fate != FG_SCHED_NO_SHARE || v[d].share < (want->share ? want->share : 1));
        }
}

static void check_bounds(const struct fg_sched_device *device, size_t count, const uint32_t *at, const uint64_t *memory,
                         const uint32_t *share)
{
        uint64_t m[DEVICES] = {0}, s[DEVICES] = {0};
        for (size_t i = 0; i < count; i++) {
                assert_true(device[at[i]].usable);
                m[at[i]] += memory[i];
                s[at[i]] += share[i];
        }
        for (size_t d = 0; d < DEVICES; d++)
                assert_true(m[d] <= device[d].memory_free && s[d] <= device[d].share_free);
}

/* With every policy: nothing is over-committed, the explanation is of the decision, and with one device left out that did not win the
 * decision is the same. */
static void explain_agrees(void **state)
{
        uint64_t seed = 5;
        for (const struct fg_cluster_policy *row = fg_cluster_policy_table; row->name; row++) {
                FG_CLEANUP(fg_placer_freep) struct fg_placer *p = NULL;
                size_t placed = 0, refused = 0;
                if (fg_placer_new(&p, row) < 0)
                        continue;
                for (int round = 0; round < 3000; round++) {
                        struct fg_sched_device device[DEVICES];
                        struct fg_sched_want want[DEVICES];
                        struct fg_sched_verdict v[DEVICES * DEVICES];
                        struct fg_sched_misfit a, b;
                        uint32_t at[DEVICES], again[DEVICES], share[DEVICES];
                        uint64_t memory[DEVICES];
                        size_t count = 1 + unit_random(&seed) % DEVICES;
                        scene(device, want, &seed);
                        int r = fg_sched_place_by(p, device, DEVICES, want, count, at, memory, share, &a);
                        assert_int_equal(fg_sched_explain(p, device, DEVICES, want, count, again, v, &b), r);
                        if (r < 0) {
                                assert_true(a.failed == b.failed && a.memory == b.memory && a.share == b.share);
                                for (size_t d = 0; d < DEVICES; d++)
                                        assert_true(v[a.failed * DEVICES + d].fate >= FG_SCHED_UNUSABLE &&
                                                    v[a.failed * DEVICES + d].fate <= FG_SCHED_NO_SHARE);
                                refused++;
                                continue;
                        }
                        placed++;
                        check_bounds(device, count, at, memory, share);
                        for (size_t i = 0; i < count; i++) {
                                assert_int_equal(at[i], again[i]);
                                check_verdicts(device, &v[i * DEVICES], &want[i], at[i]);
                        }
                }
                assert_true(placed > 300 && refused > 300);
        }
}

struct refused {
        unsigned whole;
        uint64_t milli, wanted;
};

/* Requests come and go on 8 devices: parts of 1/8 to 1/2 and whole ones, `guests` at a time. */
static struct refused live(const char *policy, size_t guests)
{
        static const uint32_t size[] = {125, 250, 250, 330, 500, 1000, 1000};
        FG_CLEANUP(fg_placer_freep) struct fg_placer *p = new_placer(policy);
        struct fg_sched_device device[DEVICES];
        struct {
                int at;
                uint32_t share;
        } here[32] = {0};
        struct refused ret = {0};
        uint64_t seed = 3;
        fill(device);
        for (size_t i = 0; i < 12000; i++) {
                size_t slot = unit_random(&seed) % guests;
                uint32_t share = size[unit_random(&seed) % 7];
                if (here[slot].share && here[slot].at >= 0) {
                        device[here[slot].at].share_free += here[slot].share;
                        device[here[slot].at].memory_free += here[slot].share * (WHOLE / 1000);
                }
                here[slot].share = share;
                here[slot].at = place_one(p, device, share * (WHOLE / 1000), share);
                ret.whole += here[slot].at < 0 && share == 1000;
                ret.milli += here[slot].at < 0 ? share : 0;
                ret.wanted += share;
                fg_placer_saw(p, (struct fg_placer_part){(uint16_t)share, (uint16_t)share});
        }
        return ret;
}

static void whole_devices_are_there_when_wanted(void **state)
{
        static const char *const policy[] = {"fastgpu", "fgd", "packing", "first-fit", "spread"};
        for (size_t guests = 10; guests <= 14; guests += 4) {
                struct refused r[5];
                for (size_t i = 0; i < 5; i++) {
                        r[i] = live(policy[i], guests);
                        print_message("%zu guests, %s: %u whole devices refused, %.2f %% of what was wanted\n", guests, policy[i], r[i].whole,
                                      100. * (double)r[i].milli / (double)r[i].wanted);
                }
                assert_true(r[1].milli * 2 < r[4].milli);
                assert_true(r[1].milli <= r[0].milli); /* why the daemon's default is fgd */
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parts_leave_devices_whole),
                cmocka_unit_test(spread_takes_the_freest),
                cmocka_unit_test(gaps_are_filled),
                cmocka_unit_test(who_says_nothing_gets_most),
                cmocka_unit_test(a_processor_comes_last),
                cmocka_unit_test(a_crowded_one_is_waited_for),
                cmocka_unit_test(least_loss_of_equals),
                cmocka_unit_test(a_set_is_spread),
                cmocka_unit_test(sizes_are_learned),
                cmocka_unit_test(explain_agrees),
                cmocka_unit_test(whole_devices_are_there_when_wanted),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
