/* SPDX-License-Identifier: Apache-2.0
 * The gate by itself: the test plays the arbiter by writing the limits page. */
#include "unit.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/futex.h"
#include "governor/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

struct fixture {
        struct fg_limits_page *limits;
        struct fg_usage_page *usage;
        struct fg_session_vgpu vgpu;
        struct fg_gate *gate;
        int pokes;
        unsigned marks;
};

static void mark_all(struct fg_gate *gate, void *user)
{
        struct fixture *f = user;

        f->marks++;
}

static const struct fg_gate_ops ops = {.mark_all = mark_all};

static struct fixture *fixture_new(enum fg_grant mode)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int fds[2];

        f->limits = aligned_alloc(64, sizeof(*f->limits));
        f->usage = aligned_alloc(64, sizeof(*f->usage));
        memset(f->limits, 0, sizeof(*f->limits));
        fg_page_init_usage(f->usage);
        assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
        f->pokes = fds[0];
        f->vgpu.poke = fg_own_fd_take(fds[1]);
        f->limits->quota = 1000;
        f->limits->grant = 1 << 2 | mode;
        f->limits->until = fg_now() + 3600 * FG_NSEC_PER_SEC;
        f->limits->window = FG_NSEC_PER_MSEC;
        f->limits->beat = fg_now();
        fg_ledger_open(&f->vgpu.ledger, f->limits, f->usage, 2);
        f->gate = fg_gate_new(&f->vgpu, &ops, f);
        assert_non_null(f->gate);
        return f;
}

static void fixture_free(struct fixture *f)
{
        fg_gate_free(f->gate);
        close(f->pokes);
        fg_own_fd_close(&f->vgpu.poke);
        free(f->limits);
        free(f->usage);
        free(f);
}

static struct fg_slot *slot(struct fixture *f)
{
        return &f->usage->slot[2];
}

static void write_grant(struct fixture *f, uint32_t epoch, enum fg_grant mode)
{
        fg_store_seq_cst(&f->limits->grant, epoch << 2 | mode);
        fg_futex_wake_all(&f->limits->grant);
}

static void test_free_launches_are_counted_and_sampled(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_FREE);
        struct fg_gate_ticket first, t;
        unsigned probes = 0;

        assert_int_equal(fg_gate_enter(f->gate, 1, true, &first), 0);
        assert_true(first.tracked && first.probe);
        for (int i = 0; i < 1000; i++) {
                assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
                probes += t.tracked;
        }
        assert_int_equal(probes, 0); /* one at a time */
        assert_int_equal(slot(f)->launches, 1001);
        assert_int_equal(slot(f)->inflight, 0);
        usleep(2000);
        fg_gate_done(f->gate, &first);
        assert_true(slot(f)->busy >= 2000000);
        assert_int_equal(slot(f)->active, 1); /* launches came after the probe */
        fg_gate_idle(f->gate);
        assert_int_equal(slot(f)->active, 0);
        fixture_free(f);
}

/* The inline way in: not before the clock was looked at, not while somebody else wants the device; each launch counts once. */
static void test_short_launches_pass_in_line(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_FREE);
        struct fg_gate_ticket t;
        unsigned passed = 0, looked = 0;

        assert_false(fg_gate_pass(f->gate));
        for (int i = 0; i < 20000; i++) {
                if (fg_gate_pass(f->gate)) {
                        passed++;
                        continue;
                }
                looked++;
                assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
                if (t.tracked)
                        fg_gate_done(f->gate, &t);
        }
        assert_int_equal(slot(f)->launches, 20000);
        assert_true(passed > 15 * looked);
        fg_gate_idle(f->gate);
        assert_false(fg_gate_pass(f->gate)); /* the next launch opens an interval of device time */
        assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
        assert_int_equal(slot(f)->active, 1);
        write_grant(f, 2, FG_GRANT_TIMED);
        assert_false(fg_gate_pass(f->gate));
        assert_int_equal(slot(f)->launches, 20001);
        fixture_free(f);
}

/* Nobody told the gate that the work ran dry; the mean of its launches does. */
static void test_work_that_ran_dry_unseen_is_not_charged_until_noticed(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_FREE);
        struct fg_gate_ticket t;

        for (int i = 0; i < 8; i++) { /* learn: about 1 ms each */
                assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
                usleep(1000);
                if (t.tracked)
                        fg_gate_done(f->gate, &t);
        }
        uint64_t before = slot(f)->busy;
        assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
        if (t.tracked)
                fg_gate_done(f->gate, &t);
        assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0); /* not a probe: too soon */
        usleep(200000);
        fg_gate_idle(f->gate);
        assert_true(slot(f)->busy - before < 100 * FG_NSEC_PER_MSEC);
        fixture_free(f);
}

/* Nobody asks for the device under a grant that stands: the first launch of each row says that it is in use. */
static void test_a_standing_grant_pokes_once_for_each_row(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_TIMED);
        struct fg_gate_ticket first, second;
        char pokes[16];

        f->limits->until = FG_UNTIL_STANDS;
        for (int row = 0; row < 2; row++) {
                assert_int_equal(fg_gate_enter(f->gate, 7, true, &first), 0);
                assert_int_equal(fg_gate_enter(f->gate, 7, true, &second), 0);
                assert_int_equal(read(f->pokes, pokes, sizeof(pokes)), 1);
                fg_gate_done(f->gate, &first);
                fg_gate_done(f->gate, &second);
                while (read(f->pokes, pokes, sizeof(pokes)) > 0) /* perhaps one that says it is idle */
                        ;
                assert_int_equal(slot(f)->inflight, 0);
                assert_int_equal(slot(f)->waits, 0);
        }
        f->limits->until = fg_now() + 3600 * FG_NSEC_PER_SEC;
        assert_int_equal(fg_gate_enter(f->gate, 7, true, &first), 0);
        assert_int_equal(read(f->pokes, pokes, sizeof(pokes)), -1);
        fg_gate_abort(f->gate, &first);
        fixture_free(f);
}

/* The program closed every descriptor and opened a file of its own, which got the poke's number. */
static void test_a_poke_never_writes_into_the_programs_files(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_DENIED);
        char path[] = "/tmp/fastgpu-unit-poke.XXXXXX";
        int fd = mkstemp(path);

        assert_true(f->vgpu.poke.fd > 100); /* out of the way of numbers that programs expect */
        fg_session_poke(&f->vgpu.poke);
        assert_int_equal(dup2(fd, f->vgpu.poke.fd), f->vgpu.poke.fd);
        fg_session_poke(&f->vgpu.poke);
        assert_int_equal(lseek(fd, 0, SEEK_END), 0);
        close(f->vgpu.poke.fd);
        unlink(path);
        close(fd);
        fixture_free(f);
}

static void test_idle_time_of_a_free_tenant_is_not_device_time(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_FREE);
        struct fg_gate_ticket t;

        for (int i = 0; i < 20; i++) {
                uint64_t begin = fg_now(), before = slot(f)->busy;

                assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
                if (t.tracked)
                        fg_gate_done(f->gate, &t);
                fg_gate_idle(f->gate);
                assert_true(slot(f)->busy - before <= fg_now() - begin);
                usleep(1000); /* between two launches: idle */
        }
        assert_true(slot(f)->busy < 20 * FG_NSEC_PER_MSEC);
        fixture_free(f);
}

static void test_timed_launches_are_tracked_and_charged(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_TIMED);
        struct fg_gate_ticket a, b;
        uint64_t begin = fg_now();

        assert_int_equal(fg_gate_enter(f->gate, 1, true, &a), 0);
        assert_int_equal(fg_gate_enter(f->gate, 1, true, &b), 0);
        assert_true(a.tracked && b.tracked && !a.probe);
        assert_int_equal(slot(f)->inflight, 2);
        usleep(3000);
        fg_gate_done(f->gate, &a);
        usleep(1000);
        fg_gate_done(f->gate, &b);
        assert_int_equal(slot(f)->inflight, 0);
        /* The union: together no more than the wall clock, and at least what was slept. */
        assert_in_range(slot(f)->busy, 4 * FG_NSEC_PER_MSEC, fg_now() - begin);
        fixture_free(f);
}

static void test_a_refused_launch_leaves_nothing(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_TIMED);
        struct fg_gate_ticket t;

        assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
        fg_gate_abort(f->gate, &t);
        assert_int_equal(slot(f)->inflight, 0);
        assert_int_equal(slot(f)->busy, 0);
        fixture_free(f);
}

struct launcher {
        struct fixture *f;
        int result;
        uint32_t finished;
};

static void *launch(void *arg)
{
        struct launcher *l = arg;
        struct fg_gate_ticket t;

        l->result = fg_gate_enter(l->f->gate, 1, true, &t);
        fg_store_release(&l->finished, 1);
        return NULL;
}

static void wait_until_waiting(struct fixture *f)
{
        char byte;

        while (fg_load_seq_cst(&slot(f)->waiting) == 0)
                usleep(200);
        while (read(f->pokes, &byte, 1) != 1) /* it asked the arbiter */
                usleep(200);
}

static void test_a_denied_launch_waits_in_its_own_thread(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_DENIED);
        struct launcher l = {.f = f};
        pthread_t thread;

        pthread_create(&thread, NULL, launch, &l);
        wait_until_waiting(f);
        assert_int_equal(fg_load_acquire(&l.finished), 0);
        assert_int_equal(slot(f)->inflight, 0);
        write_grant(f, 2, FG_GRANT_TIMED);
        pthread_join(thread, NULL);
        assert_int_equal(l.result, 0);
        assert_int_equal(slot(f)->waiting, 0);
        assert_int_equal(slot(f)->waits, 1);
        fixture_free(f);
}

static void test_a_closed_vgpu_refuses_even_those_that_wait(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_DENIED);
        struct launcher l = {.f = f};
        pthread_t thread;

        pthread_create(&thread, NULL, launch, &l);
        wait_until_waiting(f);
        fg_store_seq_cst(&f->limits->closed, 1);
        write_grant(f, 2, FG_GRANT_DENIED);
        pthread_join(thread, NULL);
        assert_int_equal(l.result, -EACCES);
        fixture_free(f);
}

/* Neither a grant nor the arbiter's death opens the gate of a suspended vGPU; nobody is poked meanwhile. */
static void test_a_held_vgpu_waits_whatever_happens(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_DENIED);
        struct launcher l = {.f = f};
        pthread_t thread;
        char pokes[64];

        f->limits->held = 1;
        f->limits->beat = 1; /* long dead */
        pthread_create(&thread, NULL, launch, &l);
        while (fg_load_seq_cst(&slot(f)->waiting) == 0)
                usleep(200);
        for (uint32_t epoch = 2; epoch < 40; epoch++) { /* much longer than it takes to find an arbiter dead */
                write_grant(f, epoch, epoch % 3 ? FG_GRANT_DENIED : epoch % 2 ? FG_GRANT_FREE : FG_GRANT_TIMED);
                usleep(20000);
        }
        write_grant(f, 40, FG_GRANT_DENIED);
        assert_int_equal(fg_load_acquire(&l.finished), 0);
        assert_int_equal(slot(f)->inflight, 0);
        assert_int_equal(read(f->pokes, pokes, sizeof(pokes)), -1);
        fg_store_relaxed(&f->limits->beat, fg_now());
        fg_store_seq_cst(&f->limits->held, 0);
        fg_futex_wake_all(&f->limits->held);
        write_grant(f, 41, FG_GRANT_TIMED);
        pthread_join(thread, NULL);
        assert_int_equal(l.result, 0);
        fixture_free(f);
}

static void test_a_held_vgpu_that_is_closed_refuses(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_DENIED);
        struct launcher l = {.f = f};
        pthread_t thread;

        f->limits->held = 1;
        pthread_create(&thread, NULL, launch, &l);
        while (fg_load_seq_cst(&slot(f)->waiting) == 0)
                usleep(200);
        fg_store_seq_cst(&f->limits->closed, 1);
        write_grant(f, 2, FG_GRANT_DENIED);
        pthread_join(thread, NULL);
        assert_int_equal(l.result, -EACCES);
        fixture_free(f);
}

static void test_what_cannot_wait_passes_and_is_not_in_the_way(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_DENIED);
        struct fg_gate_ticket t;

        assert_int_equal(fg_gate_enter(f->gate, 1, false, &t), 0);
        assert_true(t.tracked && t.blocked);
        assert_int_equal(slot(f)->inflight, 0);
        fg_gate_done(f->gate, &t);
        assert_int_equal(slot(f)->inflight, 0);
        fixture_free(f);
}

/* PoCL compiles a kernel in the thread that then runs it: for that time somebody else may have the device, and nobody pays. */
static void test_what_the_driver_prepares_is_not_on_the_device(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_TIMED);
        struct fg_gate_ticket first, behind, known;
        uint64_t began;

        assert_int_equal(fg_gate_enter(f->gate, 1, true, &first), 0);
        assert_true(fg_gate_prepare(f->gate, &first));
        assert_int_equal(slot(f)->inflight, 0);
        assert_int_equal(fg_gate_enter(f->gate, 2, true, &behind), 0);
        assert_true(fg_gate_prepare(f->gate, &behind));
        assert_int_equal(slot(f)->inflight, 0);
        usleep(20000);
        began = fg_now();
        fg_gate_begun(f->gate, &first, began);
        assert_int_equal(slot(f)->inflight, 1);
        fg_gate_done(f->gate, &first);
        assert_int_equal(slot(f)->inflight, 0);
        assert_in_range(slot(f)->busy, 1, fg_now() - began);
        fg_gate_begun(f->gate, &behind, fg_now());
        fg_gate_done(f->gate, &behind);
        assert_in_range(slot(f)->busy, 1, fg_now() - began);
        /* Its kind is known by now, and nothing is in front of it. */
        assert_int_equal(fg_gate_enter(f->gate, 1, true, &known), 0);
        assert_false(fg_gate_prepare(f->gate, &known));
        assert_int_equal(slot(f)->inflight, 1);
        fg_gate_done(f->gate, &known);
        fixture_free(f);
}

static void test_what_is_prepared_while_the_gate_is_free_is_not_charged(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_FREE);
        struct fg_gate_ticket probe;
        uint64_t began;

        assert_int_equal(fg_gate_enter(f->gate, 1, true, &probe), 0);
        assert_true(probe.probe);
        assert_true(fg_gate_prepare(f->gate, &probe));
        usleep(20000);
        began = fg_now();
        fg_gate_begun(f->gate, &probe, began);
        fg_gate_done(f->gate, &probe);
        assert_in_range(slot(f)->busy, 1, fg_now() - began);
        fixture_free(f);
}

static struct fixture *look_at_waits(struct fixture *f)
{

        for (int i = 0; i < 2000 && !fg_load_relaxed(&slot(f)->wait_time); i++)
                usleep(5000);
        return fg_load_relaxed(&slot(f)->waiting) && fg_load_relaxed(&slot(f)->wait_time) ? f : NULL;
}

static void test_who_waits_is_seen_to_wait(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_DENIED);
        struct launcher l = {.f = f};
        pthread_t thread;

        f->limits->beat = fg_now() + 3600 * FG_NSEC_PER_SEC;
        pthread_create(&thread, NULL, launch, &l);
        assert_ptr_equal(look_at_waits(f), f);
        assert_int_equal(fg_load_acquire(&l.finished), 0);
        write_grant(f, 2, FG_GRANT_TIMED);
        pthread_join(thread, NULL);
        assert_int_equal(l.result, 0);
        fixture_free(f);
}

static void test_the_window_opens_when_something_completes(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_TIMED);
        struct launcher l = {.f = f};
        struct fg_gate_ticket a, b;
        pthread_t thread;

        f->limits->window = 1; /* two launches, no more */
        assert_int_equal(fg_gate_enter(f->gate, 1, true, &a), 0);
        assert_int_equal(fg_gate_enter(f->gate, 1, true, &b), 0);
        pthread_create(&thread, NULL, launch, &l);
        usleep(30000);
        assert_int_equal(fg_load_acquire(&l.finished), 0);
        assert_int_equal(fg_load_seq_cst(&slot(f)->inflight), 2);
        fg_gate_done(f->gate, &a);
        pthread_join(thread, NULL);
        assert_int_equal(slot(f)->inflight, 2);
        fixture_free(f);
}

/* The first two launches never complete: they wait for something only this thread can do. */
static void test_a_stalled_window_lets_the_launch_pass(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_TIMED);
        struct fg_gate_ticket t;

        f->limits->window = 1;
        for (int i = 0; i < 3; i++)
                assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
        assert_int_equal(slot(f)->inflight, 3);
        fixture_free(f);
}

static void test_leaving_the_free_grant_marks_what_is_under_way_once(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_FREE);
        struct fg_gate_ticket t;

        assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
        assert_int_equal(f->marks, 0);
        write_grant(f, 2, FG_GRANT_TIMED);
        for (int i = 0; i < 2; i++)
                assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
        assert_int_equal(f->marks, 1);
        fixture_free(f);
}

static void test_without_an_arbiter_launches_pass_in_their_part_of_the_frame(void **state)
{
        struct fixture *f = fixture_new(FG_GRANT_DENIED);
        struct fg_gate_ticket t;

        f->limits->beat = fg_now();
        f->limits->frame = 20 * FG_NSEC_PER_MSEC;
        f->limits->offset = 4 * FG_NSEC_PER_MSEC;
        f->limits->length = 6 * FG_NSEC_PER_MSEC;
        for (int i = 0; i < 8; i++) {
                uint64_t phase;

                assert_int_equal(fg_gate_enter(f->gate, 1, true, &t), 0);
                phase = t.started % f->limits->frame;
                /* Inside the part, give or take a late wake-up on a busy machine. */
                assert_in_range(phase, 4 * FG_NSEC_PER_MSEC, 18 * FG_NSEC_PER_MSEC);
                fg_gate_done(f->gate, &t);
                usleep(7000);
        }
        fixture_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_free_launches_are_counted_and_sampled),
                cmocka_unit_test(test_short_launches_pass_in_line),
                cmocka_unit_test(test_work_that_ran_dry_unseen_is_not_charged_until_noticed),
                cmocka_unit_test(test_a_standing_grant_pokes_once_for_each_row),
                cmocka_unit_test(test_a_poke_never_writes_into_the_programs_files),
                cmocka_unit_test(test_idle_time_of_a_free_tenant_is_not_device_time),
                cmocka_unit_test(test_timed_launches_are_tracked_and_charged),
                cmocka_unit_test(test_a_refused_launch_leaves_nothing),
                cmocka_unit_test(test_a_denied_launch_waits_in_its_own_thread),
                cmocka_unit_test(test_a_closed_vgpu_refuses_even_those_that_wait),
                cmocka_unit_test(test_a_held_vgpu_waits_whatever_happens),
                cmocka_unit_test(test_a_held_vgpu_that_is_closed_refuses),
                cmocka_unit_test(test_what_cannot_wait_passes_and_is_not_in_the_way),
                cmocka_unit_test(test_what_the_driver_prepares_is_not_on_the_device),
                cmocka_unit_test(test_what_is_prepared_while_the_gate_is_free_is_not_charged),
                cmocka_unit_test(test_who_waits_is_seen_to_wait),
                cmocka_unit_test(test_the_window_opens_when_something_completes),
                cmocka_unit_test(test_a_stalled_window_lets_the_launch_pass),
                cmocka_unit_test(test_leaving_the_free_grant_marks_what_is_under_way_once),
                cmocka_unit_test(test_without_an_arbiter_launches_pass_in_their_part_of_the_frame),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
