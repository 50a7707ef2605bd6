/* SPDX-License-Identifier: Apache-2.0
 * Repacking: bounded, never over-committed, each move to a better score, at rest when there is nothing better, and to the bit. */
#include "unit.h"
#include "base/cleanup.h"
#include "sched/repack.h"

#include <string.h>

#define NODES 40u
#define PODS  120u

struct guest {
        uint64_t moves; /* in front: the stride is not the size of what is moved */
        struct fg_repack_guest at;
};

static uint64_t seed;

static unsigned draw(unsigned n)
{
        return (unsigned)(unit_random(&seed) % n);
}

static void was_moved(void *user, size_t i)
{
        ((struct guest *)user)[i].moves++;
}

static struct fg_cluster_pod draw_pod(void)
{
        static const uint16_t milli[] = {100, 200, 300, 500, 700, 1000};
        return (struct fg_cluster_pod){.cpu = 1000, .memory = 1024, .milli = milli[draw(6)], .gpus = 1};
}

struct scene {
        struct fg_cluster *c;
        struct fg_mix *m;
        struct fg_chooser *ch;
        struct guest guest[PODS];
        size_t guests;
        struct fg_cluster_node empty[NODES];
};

/* Placed anywhere that fits, as years of coming and going leave them. */
static void begin(struct scene *s, const struct fg_cluster_policy *p)
{
        struct fg_cluster_shape shape[NODES];
        struct fg_cluster_pod pod[PODS];
        FG_CLEANUP(fg_chooser_freep) struct fg_chooser *any = NULL;
        *s = (struct scene){0};
        for (size_t i = 0; i < NODES; i++)
                shape[i] = (struct fg_cluster_shape){.cpu = 32000, .memory = 65536, .gpus = 4};
        for (size_t i = 0; i < PODS; i++)
                pod[i] = draw_pod();
        assert_int_equal(fg_cluster_new(&s->c, shape, NODES), 0);
        assert_int_equal(fg_mix_new(&s->m, s->c, pod, PODS, 950), 0);
        assert_int_equal(fg_chooser_new(&s->ch, s->c, s->m, p, 1), 0);
        assert_int_equal(fg_chooser_new(&any, s->c, s->m, fg_cluster_policy_find("random"), 5), 0);
        memcpy(s->empty, fg_cluster_node(s->c, 0), sizeof s->empty);
        for (size_t i = 0; i < PODS; i++) {
                struct guest *g = &s->guest[s->guests];
                g->at.pod = pod[i];
                if (fg_chooser_choose(any, &pod[i], &g->at.place) == 0 && fg_cluster_take(s->c, &pod[i], g->at.place) == 0)
                        s->guests++;
        }
        assert_true(s->guests > 80);
}

static void end(struct scene *s)
{
        for (size_t i = 0; i < s->guests; i++)
                assert_int_equal(fg_cluster_release(s->c, &s->guest[i].at.pod, s->guest[i].at.place), 0);
        assert_memory_equal(s->empty, fg_cluster_node(s->c, 0), sizeof s->empty);
        fg_chooser_free(s->ch);
        fg_mix_free(s->m);
        fg_cluster_free(s->c);
}

static unsigned whole_gpus(const struct fg_cluster *c)
{
        unsigned whole = 0;
        for (size_t i = 0; i < NODES; i++)
                for (size_t g = 0; g < 4; g++)
                        whole += fg_cluster_node(c, i)->gpu[g] == FG_CLUSTER_GPU;
        return whole;
}

static int repack(struct scene *s, struct fg_repack *r)
{
        return fg_repack(r, s->c, s->ch, &s->guest[0].at, sizeof s->guest[0], s->guests, was_moved, s->guest);
}

static void moves_are_bounded_and_help(void **state)
{
        for (const struct fg_cluster_policy *p = fg_cluster_policy_table; p->name; p++) {
                struct scene s;
                seed = 21;
                begin(&s, p);
                unsigned before = whole_gpus(s.c);
                struct fg_repack r = {.look = 1000, .moves = 7, .gain = p->move ? p->move : 1};
                int done = repack(&s, &r), all = done, rounds = 0;
                uint64_t counted = 0;
                assert_true(done <= 7 && (!p->random || done == 0));
                while (done > 0 && rounds++ < 200)
                        all += done = repack(&s, &r);
                if (strcmp(p->name, "fastgpu") == 0 || strcmp(p->name, "packing") == 0) {
                        assert_true(rounds < 200); /* it comes to rest */
                        assert_true(all > 10 && whole_gpus(s.c) > before + 5);
                }
                for (size_t i = 0; i < s.guests; i++)
                        counted += s.guest[i].moves;
                assert_int_equal(counted, all);
                end(&s);
        }
}

static void what_is_not_asked_for_is_not_done(void **state)
{
        struct scene s;
        seed = 22;
        begin(&s, fg_cluster_policy_find("fastgpu"));
        struct fg_repack none = {.look = 100, .moves = 0, .gain = 1}, blind = {.look = 0, .moves = 9, .gain = 1}, idle = {.look = 9, .moves = 9},
                         proud = {.look = 100, .moves = 9, .gain = INT64_MAX};
        assert_int_equal(repack(&s, &none), 0);
        assert_int_equal(repack(&s, &blind), 0);
        assert_int_equal(repack(&s, &idle), 0);
        assert_int_equal(repack(&s, &proud), 0);
        /* Each is looked at in turn. */
        struct fg_repack one = {.look = 1, .moves = 1, .gain = 1};
        for (size_t i = 0; i < s.guests; i++)
                assert_true(repack(&s, &one) <= 1);
        assert_int_equal(one.cursor, s.guests);
        end(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(moves_are_bounded_and_help),
                cmocka_unit_test(what_is_not_asked_for_is_not_done),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
