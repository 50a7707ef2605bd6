/* SPDX-License-Identifier: Apache-2.0
 * What gaps of GPUs are worth: known optima, and what must hold of any prices. What room there is for those who want several GPUs. */
#include "unit.h"
#include "base/cleanup.h"
#include "sched/cluster_gap.h"
#include "sched/cluster_gang.h"

#include <string.h>

#define PODS 500u

static struct fg_cluster_pod pod[PODS];
static size_t pods;

static void want(uint16_t milli, unsigned count)
{
        while (count--)
                pod[pods++] = (struct fg_cluster_pod){.cpu = 1000, .milli = milli, .gpus = 1};
}

static const int16_t *worth(void)
{
        static int16_t ret[FG_CLUSTER_GPU + 1];
        assert_int_equal(fg_gap_worth(pod, pods, ret), 0);
        pods = 0;
        return ret;
}

static void known_optima(void **state)
{
        const int16_t *w = worth();
        for (int g = 0; g <= FG_CLUSTER_GPU; g++)
                assert_int_equal(w[g], g); /* nobody wants a part */
        want(470, 20);
        w = worth(); /* two to a GPU */
        assert_int_equal(w[469], 0);
        assert_int_equal(w[470], 500);
        assert_int_equal(w[939], 500);
        assert_int_equal(w[940], 1000);
        want(810, 40);
        want(160, 10);
        w = worth(); /* more of 810 than of what fits beside them: that costs nothing */
        assert_int_equal(w[190], 0);
        assert_int_equal(w[810], 1000);
        want(650, 10);
        want(320, 100);
        w = worth(); /* three of 320 to a GPU, or one beside a 650, which has the rest to pay */
        assert_int_equal(w[320], 333);
        assert_int_equal(w[650], 667);
        want(1000, 10);
        w = worth(); /* whole ones are no parts */
        assert_int_equal(w[500], 500);
}

/* Gaps are worth more together than alone, and all the parts together at most the GPUs that hold them: no better packing is missed,
 * and none is promised. */
static void what_must_hold(void **state)
{
        uint64_t seed = 5;
        for (unsigned round = 0; round < 30; round++) {
                int64_t sum = 0, gpus = 0;
                int left = 0;
                bool is_many = round % 6 == 5; /* sizes: that takes half a second */
                while (pods < PODS) {
                        seed = seed * 6364136223846793005u + 1442695040888963407u;
                        want((uint16_t)(1 + (seed >> 40) % (is_many ? 999 : 30) * (is_many ? 1 : 33)), 1);
                }
                for (unsigned i = 0; i < PODS; i++) {
                        if (left < pod[i].milli) { /* next fit, a packing that surely exists */
                                left = FG_CLUSTER_GPU;
                                gpus++;
                        }
                        left -= pod[i].milli;
                }
                const int16_t *w = worth();
                for (unsigned i = 0; i < PODS; i++)
                        sum += w[pod[i].milli];
                assert_true(sum <= (gpus + 1) * FG_CLUSTER_GPU);
                assert_int_equal(w[0], 0);
                assert_int_equal(w[FG_CLUSTER_GPU], FG_CLUSTER_GPU);
                for (int a = 1; a <= FG_CLUSTER_GPU; a++) {
                        assert_true(w[a] >= w[a - 1]);
                        for (int b = 1; a + b <= FG_CLUSTER_GPU; b += 7)
                                assert_true(w[a] + w[b] <= w[a + b] + 2); /* each is rounded */
                }
        }
}

static void room_for_several(void **state)
{
        const struct fg_cluster_shape shape[] = {{96000, 1024, 8, 0}, {128000, 1024, 8, 1}, {64000, 1024, 2, 0}};
        const struct fg_cluster_pod want8[] = {{120000, 1, 1000, 8, 0}, {64000, 1, 1000, 8, 0}, {64000, 1, 1000, 8, 0}, {1000, 1, 500, 1, 0}};
        FG_CLEANUP(fg_cluster_freep) struct fg_cluster *c = NULL;
        struct fg_gang gang = {0};
        assert_int_equal(fg_cluster_new(&c, shape, 3), 0);
        assert_int_equal(fg_gang_set(&gang, c, want8, 4), 0);
        assert_int_equal(gang.shapes, 2);
        const struct fg_cluster_node *small = fg_cluster_node(c, 0), *large = fg_cluster_node(c, 1), *two = fg_cluster_node(c, 2);
        double whole = fg_gang_room(&gang, large, 8, 128000);
        assert_true(whole > fg_gang_room(&gang, small, 8, 96000)); /* the only one for the largest */
        assert_true(fg_gang_room(&gang, small, 8, 96000) > fg_gang_room(&gang, small, 7, 96000));
        assert_true(fg_gang_room(&gang, small, 8, 64000) > fg_gang_room(&gang, small, 8, 63000));
        assert_true(fg_gang_room(&gang, large, 8, 120000) == whole);
        assert_true(fg_gang_room(&gang, two, 2, 64000) == 0);
        assert_true(fg_gang_room(&gang, small, 0, 96000) == 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_optima),
                cmocka_unit_test(what_must_hold),
                cmocka_unit_test(room_for_several),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
