/* SPDX-License-Identifier: Apache-2.0
 * Processes that share a GPU: slices, long kernels, and one that is killed while it has the GPU. */
#include "exec_test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define EACH 40

static struct shared {
        atomic_int ready, go, order_length, finished[2];
        int order[2 * EACH];
} * shared;

static int self;

static void mark(void **params, const unsigned grid[3], const unsigned block[3])
{
        shared->order[atomic_fetch_add(&shared->order_length, 1)] = self;
}

static void meet(void)
{
        atomic_fetch_add(&shared->ready, 1);
        while (!atomic_load(&shared->go))
                usleep(200);
}

/* Forked before this process has touched CUDA; the child never returns. */
static pid_t child(int number, void (*run)(void))
{
        pid_t pid = fork();

        if (pid)
                return pid;
        self = number;
        open_gpu(0);
        run();
        _exit(0);
}

static void expect_end(pid_t pid)
{
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void start_when_ready(int count)
{
        while (atomic_load(&shared->ready) < count)
                usleep(200);
        atomic_store(&shared->go, 1);
}

static void many_short(void)
{
        CUfunction f;

        fgsim_kernel_register("mark", mark, 1000000);
        OK(cuModuleGetFunction(&f, module, "mark"));
        meet();
        for (int i = 0; i < EACH; i++)
                OK(launch(f, NULL, NULL));
        OK(cuCtxSynchronize());
}

static void one_long(void)
{
        meet();
        OK(launch(function("long"), NULL, NULL));
        OK(cuCtxSynchronize());
        atomic_store(&shared->finished[self], 1);
}

static void hundred_long(void)
{
        for (int i = 0; i < 100; i++)
                OK(launch(function("long"), NULL, NULL));
        usleep(20000);
        meet();
        OK(cuCtxSynchronize());
}

static int fresh(void **state)
{
        memset(shared, 0, sizeof(*shared));
        return 0;
}

static void test_both_are_served(void **state)
{
        pid_t a = child(0, many_short), b = child(1, many_short);
        int switches = 0;

        start_when_ready(2);
        expect_end(a);
        expect_end(b);
        assert_int_equal(atomic_load(&shared->order_length), 2 * EACH);
        for (int i = 1; i < 2 * EACH; i++)
                switches += shared->order[i] != shared->order[i - 1];
        assert_true(switches >= 10); /* 2 ms slices, 1 ms kernels: 40 where both always have work */
}

static void test_short_work_passes_a_long_kernel(void **state)
{
        pid_t a = child(0, one_long), b;

        start_when_ready(1);
        usleep(20000);
        b = child(1, many_short);
        expect_end(b);
        assert_int_equal(atomic_load(&shared->finished[0]), 0); /* 40 ms of ours, a second of theirs */
        expect_end(a);
        assert_int_equal(atomic_load(&shared->finished[0]), 1);
}

/* What the dead had queued (100 s) is gone; the test's own time limit would show it otherwise. */
static void test_kill_in_the_middle_of_a_turn(void **state)
{
        for (int round = 0; round < 5; round++) {
                pid_t a, b;
                int status;

                fresh(NULL);
                a = child(0, hundred_long);
                start_when_ready(1);
                kill(a, SIGKILL);
                b = child(1, many_short);
                expect_end(b);
                assert_int_equal(waitpid(a, &status, 0), a);
                assert_true(WIFSIGNALED(status));
                assert_int_equal(atomic_load(&shared->order_length), EACH);
        }
}

static void test_kill_while_another_waits(void **state)
{
        pid_t a = child(0, hundred_long), b;
        int status;

        start_when_ready(1);
        b = child(1, many_short);
        while (atomic_load(&shared->order_length) < 3)
                usleep(200);
        kill(a, SIGKILL);
        expect_end(b);
        assert_int_equal(waitpid(a, &status, 0), a);
        assert_int_equal(atomic_load(&shared->order_length), EACH);
}

static void test_stopped_process_loses_its_turn(void **state)
{
        pid_t a = child(0, hundred_long), b;
        int status;

        start_when_ready(1);
        kill(a, SIGSTOP);
        b = child(1, many_short);
        expect_end(b);
        assert_int_equal(atomic_load(&shared->order_length), EACH);
        kill(a, SIGKILL);
        assert_int_equal(waitpid(a, &status, 0), a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_both_are_served, fresh),
                cmocka_unit_test_setup(test_short_work_passes_a_long_kernel, fresh),
                cmocka_unit_test_setup(test_kill_in_the_middle_of_a_turn, fresh),
                cmocka_unit_test_setup(test_kill_while_another_waits, fresh),
                cmocka_unit_test_setup(test_stopped_process_loses_its_turn, fresh),
        };
        int failed;

        choose_gpus("1x\"Test GPU\":1G");
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED)
                return 1;
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        remove_state();
        return failed;
}
