/* SPDX-License-Identifier: Apache-2.0
 * Each allocation of the queue fails once: the call says so, and nothing has changed. (Linked with --wrap.) */
#include "queue_world.h"

#include <errno.h>

#define SECOND UINT64_C(1000000)

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

static unsigned fail_at; /* the how manieth from now; 0: none */

static bool fails(void)
{
        return fail_at && --fail_at == 0;
}

void *__wrap_malloc(size_t size)
{
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
        return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
        return fails() ? NULL : __real_realloc(p, size);
}

static struct world_job *add(struct world *w, uint32_t priority, uint32_t count, uint64_t memory, uint32_t share)
{
        struct fg_queue_wish wish = world_wish(w, 0, count, memory, share);

        wish.priority = priority;
        wish.may_requeue = priority == 0;
        wish.time_limit = priority == 1 ? 50 * SECOND : 0;
        return world_add(w, &wish, 50 * SECOND);
}

/* A pass over this starts, resumes, suspends, requeues and keeps devices for one that has to wait. */
static struct world *eventful(struct world_job **ret_waits)
{
        struct fg_queue_config c = FG_QUEUE_DEFAULTS;
        struct world *w;
        struct world_job *suspended;

        c.min_run = 0;
        w = world_new(&c, 4, 1);
        for (uint32_t d = 0; d < 4; d++)
                w->device[d].kind = d;
        for (uint32_t d = 0; d < 4; d++) {
                struct fg_queue_wish wish = world_wish(w, 0, 1, 400, 600);

                wish.kind = d;
                wish.may_requeue = d == 1;
                wish.time_limit = d == 2 ? 50 * SECOND : 0;
                suspended = world_add(w, &wish, 50 * SECOND);
        }
        world_settle(w);
        w->now += 20 * SECOND;
        suspended->leaving = FG_QUEUE_SUSPEND;
        world_leave(w, suspended);
        for (uint32_t d = 0; d < 3; d++) {
                struct fg_queue_wish wish = world_wish(w, 0, 1, d == 1 ? 700 : 500, 500);

                wish.kind = d;
                wish.priority = d < 2;
                *ret_waits = world_add(w, &wish, SECOND);
        }
        add(w, 0, 1, 100, 100);
        return w;
}

static void passes_fail_whole(void **state)
{
        struct world_job *waits;
        struct world *w = eventful(&waits);
        struct fg_queue_scene scene = world_scene(w);
        struct fg_queue_decision before[16];
        struct fg_queue_plan plan;
        size_t count;
        unsigned failed = 0;

        world_pass(w);
        count = w->plan.count;
        assert_int_equal(count, 4);
        for (size_t i = 0; i < count; i++)
                before[i] = w->plan.decision[i];
        for (unsigned n = 1;; n++, failed++) {
                int r;

                fail_at = n;
                r = fg_queue_pass(w->q, &scene, &plan);
                fail_at = 0;
                if (r == 0)
                        break;
                assert_int_equal(r, -ENOMEM);
                world_check(w);
                world_pass(w);
                assert_int_equal(w->plan.count, count);
                for (size_t i = 0; i < count; i++) {
                        assert_ptr_equal(w->plan.decision[i].job, before[i].job);
                        assert_int_equal(w->plan.decision[i].what, before[i].what);
                }
        }
        assert_true(failed > 20);
        world_free(w);
}

static void whys_fail_whole(void **state)
{
        struct world_job *waits;
        struct world *w = eventful(&waits);
        struct fg_queue_scene scene = world_scene(w);
        struct fg_queue_why why = {.wanted = 77};

        for (unsigned n = 1;; n++) {
                int r;

                fail_at = n;
                r = fg_queue_why(w->q, &scene, waits->handle, &why);
                fail_at = 0;
                if (r == 0)
                        break;
                assert_int_equal(r, -ENOMEM);
                assert_int_equal(why.wanted, 77);
        }
        assert_int_equal(why.reason, FG_QUEUE_NO_SHARE);
        assert_true(why.next && why.start != FG_QUEUE_UNKNOWN);
        world_free(w);
}

static void jobs_are_added_or_not(void **state)
{
        struct fg_queue_config c = FG_QUEUE_DEFAULTS;
        struct world *w = world_new(&c, 1, 1);
        struct fg_queue_place place = {0, 1};
        unsigned failed = 0;

        for (uint32_t i = 0; i < 200; i++) {
                struct fg_queue_wish wish = world_wish(w, 0, 1, i + 1, 1);
                struct fg_queue_job *job;
                unsigned n = 1;

                wish.order = i + 1;
                wish.priority = i % FG_QUEUE_CLASSES;
                for (fail_at = n; fg_queue_add(w->q, &wish, w->now, &job) == -ENOMEM; fail_at = ++n)
                        failed++;
                for (fail_at = 1; fg_queue_started(w->q, job, w->now, &place, 1) == -ENOMEM; fail_at = 0)
                        failed++;
        }
        fail_at = 0;
        assert_true(failed >= 600);
        world_free(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(passes_fail_whole),
                cmocka_unit_test(whys_fail_whole),
                cmocka_unit_test(jobs_are_added_or_not),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
