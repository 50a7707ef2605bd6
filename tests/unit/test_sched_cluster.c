/* SPDX-License-Identifier: Apache-2.0
 * Random lives of small clusters: nothing is over-committed, release is exact, kept scores are those of a fresh look. */
#include "unit.h"
#include "base/cleanup.h"
#include "sched/cluster_choose.h"

#include <errno.h>
#include <string.h>

#define NODES 150u
#define PODS  400u

static uint64_t seed;

static unsigned draw(unsigned n)
{
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return (unsigned)(seed >> 33) % n;
}

static struct fg_cluster_pod draw_pod(void)
{
        static const uint16_t milli[] = {110, 230, 470, 810, 1000, 1000};
        struct fg_cluster_pod p = {.cpu = 1000 * (int)draw(9), .memory = 1024 * (int)draw(9), .gpus = (uint16_t)draw(3)};
        p.milli = p.gpus == 0 ? 0 : p.gpus > 1 ? 1000 : milli[draw(6)];
        p.models = draw(5) == 0 ? 1u << draw(2) : 0;
        p.site = (uint16_t)draw(3);
        return p;
}

static struct fg_cluster *new_cluster(void)
{
        struct fg_cluster_shape shape[NODES];
        struct fg_cluster *c = NULL;
        for (size_t i = 0; i < NODES; i++)
                shape[i] = (struct fg_cluster_shape){8000 * (1 + (int)draw(4)), 16384, (uint8_t)draw(5), (uint8_t)draw(2), (uint16_t)draw(3), 50 * draw(3)};
        assert_int_equal(fg_cluster_new(&c, shape, NODES), 0);
        return c;
}

static void assert_within_bounds(const struct fg_cluster *c)
{
        for (size_t i = 0; i < NODES; i++) {
                const struct fg_cluster_node *n = fg_cluster_node(c, i);
                int sum = 0;
                for (size_t g = 0; g < n->has.gpus; g++) {
                        assert_true(n->gpu[g] <= FG_CLUSTER_GPU);
                        sum += n->gpu[g];
                }
                assert_int_equal(sum, n->milli);
                assert_true(n->cpu >= 0 && n->cpu <= n->has.cpu && n->memory >= 0 && n->memory <= n->has.memory);
        }
}

/* A chooser that kept its scores decides as one that never saw the cluster before. */
static void assert_as_fresh(const struct fg_cluster *c, const struct fg_mix *m, const struct fg_cluster_policy *p, struct fg_chooser *kept,
                            const struct fg_cluster_pod *pod)
{
        FG_CLEANUP(fg_chooser_freep) struct fg_chooser *fresh = NULL;
        struct fg_cluster_place a = {0}, b = {0};
        struct fg_cluster_why why;
        assert_int_equal(fg_chooser_new(&fresh, c, m, p, 1), 0);
        int r = fg_chooser_choose(kept, pod, &a);
        assert_int_equal(fg_chooser_explain(fresh, pod, &why), 0);
        assert_int_equal(r == 0, why.lack[FG_CLUSTER_FITS] > 0);
        if (p->random)
                return;
        assert_int_equal(fg_chooser_choose(fresh, pod, &b), r);
        assert_int_equal(a.node, b.node);
        assert_int_equal(a.gpus, b.gpus);
        if (r == 0)
                assert_int_equal(why.less + why.equal + 1, why.lack[FG_CLUSTER_FITS]);
}

static void live(const struct fg_cluster_policy *policy)
{
        FG_CLEANUP(fg_cluster_freep) struct fg_cluster *c = new_cluster();
        FG_CLEANUP(fg_mix_freep) struct fg_mix *m = NULL;
        FG_CLEANUP(fg_chooser_freep) struct fg_chooser *ch = NULL;
        struct fg_cluster_node before[NODES];
        struct fg_cluster_pod pod[PODS];
        struct fg_cluster_place place[PODS];
        bool placed[PODS];
        unsigned refused = 0;
        memcpy(before, fg_cluster_node(c, 0), sizeof before);
        for (size_t i = 0; i < PODS; i++)
                pod[i] = draw_pod();
        assert_int_equal(fg_mix_new(&m, c, pod, PODS, 950), 0);
        assert_int_equal(fg_chooser_new(&ch, c, m, policy, 1), 0);
        for (size_t i = 0; i < PODS; i++) {
                assert_as_fresh(c, m, policy, ch, &pod[i]);
                placed[i] = fg_chooser_choose(ch, &pod[i], &place[i]) == 0;
                refused += !placed[i];
                if (placed[i])
                        assert_int_equal(fg_cluster_take(c, &pod[i], place[i]), 0);
                assert_within_bounds(c);
        }
        assert_true(refused > 0);
        for (size_t i = 0; i < PODS; i++)
                if (placed[i])
                        assert_int_equal(fg_cluster_release(c, &pod[i], place[i]), 0);
        assert_memory_equal(before, fg_cluster_node(c, 0), sizeof before);
}

static void every_policy_keeps_its_word(void **state)
{
        for (const struct fg_cluster_policy *p = fg_cluster_policy_table; p->name; p++) {
                seed = 7;
                live(p);
        }
}

/* The same cluster with its nodes in another order: at each step the same score wins, as many lose, and for the same reasons. */
static void order_decides_ties_alone(void **state)
{
        struct fg_cluster_shape shape[NODES], turned[NODES];
        struct fg_cluster_pod pod[PODS];
        seed = 11;
        for (size_t i = 0; i < NODES; i++)
                shape[i] = (struct fg_cluster_shape){8000 * (1 + (int)draw(4)), 16384, (uint8_t)draw(9), (uint8_t)draw(2), (uint16_t)draw(3), 50 * draw(3)};
        for (size_t i = 0; i < NODES; i++)
                turned[NODES - 1 - i] = shape[i];
        for (size_t i = 0; i < PODS; i++)
                pod[i] = draw_pod();
        for (const struct fg_cluster_policy *p = fg_cluster_policy_table; p->name; p++) {
                FG_CLEANUP(fg_cluster_freep) struct fg_cluster *a = NULL, *b = NULL;
                FG_CLEANUP(fg_mix_freep) struct fg_mix *m = NULL, *mb = NULL;
                FG_CLEANUP(fg_chooser_freep) struct fg_chooser *ca = NULL, *cb = NULL;
                assert_int_equal(fg_cluster_new(&a, shape, NODES), 0);
                assert_int_equal(fg_cluster_new(&b, turned, NODES), 0);
                assert_int_equal(fg_mix_new(&m, a, pod, PODS, 950), 0);
                assert_int_equal(fg_mix_new(&mb, b, pod, PODS, 950), 0);
                assert_int_equal(fg_chooser_new(&ca, a, m, p, 1), 0);
                assert_int_equal(fg_chooser_new(&cb, b, mb, p, 1), 0);
                for (size_t i = 0; i < PODS && !p->random; i++) {
                        struct fg_cluster_why x, y;
                        struct fg_cluster_place place;
                        assert_int_equal(fg_chooser_explain(ca, &pod[i], &x), 0);
                        assert_int_equal(fg_chooser_explain(cb, &pod[i], &y), 0);
                        assert_memory_equal(&x, &y, sizeof x);
                        if (fg_chooser_choose(ca, &pod[i], &place) < 0)
                                continue;
                        assert_int_equal(fg_cluster_take(a, &pod[i], place), 0);
                        place.node = NODES - 1 - place.node;
                        assert_int_equal(fg_cluster_take(b, &pod[i], place), 0);
                }
        }
}

static void what_does_not_fit_is_refused(void **state)
{
        struct fg_cluster_shape one = {8000, 1024, 2, 0};
        FG_CLEANUP(fg_cluster_freep) struct fg_cluster *c = NULL;
        struct fg_cluster_pod part = {1000, 1, 600, 1, 0}, odd = {1000, 1, 600, 2, 0};
        assert_int_equal(fg_cluster_new(&c, &one, 0), -EINVAL);
        assert_int_equal(fg_cluster_new(&c, &one, 1), 0);
        assert_int_equal(fg_cluster_take(c, &odd, (struct fg_cluster_place){0, 3}), -EINVAL);
        assert_int_equal(fg_cluster_take(c, &part, (struct fg_cluster_place){0, 4}), -EINVAL);
        assert_int_equal(fg_cluster_take(c, &part, (struct fg_cluster_place){1, 1}), -EINVAL);
        assert_int_equal(fg_cluster_release(c, &part, (struct fg_cluster_place){0, 1}), -EINVAL);
        assert_int_equal(fg_cluster_take(c, &part, (struct fg_cluster_place){0, 1}), 0);
        assert_int_equal(fg_cluster_take(c, &part, (struct fg_cluster_place){0, 1}), -ENOSPC);
        assert_int_equal(fg_cluster_release(c, &part, (struct fg_cluster_place){0, 2}), -EINVAL);
        assert_int_equal(fg_cluster_release(c, &part, (struct fg_cluster_place){0, 1}), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_policy_keeps_its_word),
                cmocka_unit_test(order_decides_ties_alone),
                cmocka_unit_test(what_does_not_fit_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
