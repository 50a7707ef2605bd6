/* SPDX-License-Identifier: Apache-2.0
 * Threads that end while they are inside, and signals that come while they are. */
#include "hostile.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS  25

static struct driver driver;

/* Leaves with a context current, a stream open and memory held. */
static void *short_life(void *ret_at)
{
        CUdeviceptr from_pool;
        CUstream stream;

        if (driver_use(&driver, 0) || driver.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING) != CUDA_SUCCESS ||
            driver.cuMemAllocAsync(&from_pool, 4096, stream) != CUDA_SUCCESS ||
            driver.cuMemFreeAsync(from_pool, stream) != CUDA_SUCCESS ||
            driver.cuMemAlloc_v2(ret_at, hostile_quota / 64) != CUDA_SUCCESS)
                pthread_exit((void *)"failed");
        pthread_exit(NULL);
}

int verb_threads(char **arguments)
{
        CUdeviceptr at[THREADS];
        pthread_t thread[THREADS];
        void *complaint;

        if (driver_usual(&driver) != 0)
                return 1;
        for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < THREADS; i++)
                        EXPECT(pthread_create(&thread[i], NULL, short_life, &at[i]) == 0);
                for (int i = 0; i < THREADS; i++) {
                        EXPECT(pthread_join(thread[i], &complaint) == 0);
                        EXPECT(!complaint);
                }
                if (driver_use(&driver, 0) != 0)
                        return 1;
                for (int i = 0; i < THREADS; i++)
                        SUCCEEDS(driver.cuMemFree_v2(at[i]));
        }
        return slice_holds(&driver);
}

/* A cancellation that waits for the next call that can be cancelled: if that were one of ours, it would end inside,
 * and whatever it holds would be held for ever. */
static void *cancelled(void *unused)
{
        CUdeviceptr at;

        pthread_cancel(pthread_self());
        if (driver_use(&driver, 0) == 0 && driver.cuMemAlloc_v2(&at, 4096) == CUDA_SUCCESS)
                driver.cuMemFree_v2(at);
        pthread_testcancel();
        return NULL;
}

int verb_cancel(char **arguments)
{
        pthread_t thread[THREADS];

        if (driver_usual(&driver) != 0)
                return 1;
        for (int i = 0; i < THREADS; i++)
                EXPECT(pthread_create(&thread[i], NULL, cancelled, NULL) == 0);
        for (int i = 0; i < THREADS; i++)
                EXPECT(pthread_join(thread[i], NULL) == 0);
        return slice_holds(&driver);
}

static void *for_ever(void *unused)
{
        CUdeviceptr at;

        if (driver_use(&driver, 0) != 0)
                _exit(1);
        for (;;)
                if (driver.cuMemAlloc_v2(&at, 4096) == CUDA_SUCCESS)
                        driver.cuMemFree_v2(at);
        return NULL;
}

/* The process ends, destructors and all, with threads anywhere inside. */
int verb_exit_inside(char **arguments)
{
        pthread_t thread;

        if (driver_usual(&driver) || driver_use(&driver, 0))
                return 1;
        for (int i = 0; i < THREADS; i++)
                EXPECT(pthread_create(&thread, NULL, for_ever, NULL) == 0);
        usleep(20000);
        exit(0);
}

static volatile sig_atomic_t signals;

static void on_alarm(int number)
{
        signals++;
}

/* Every call that can be interrupted is: nothing may fail of it. */
int verb_signals(char **arguments)
{
        struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
        struct itimerspec often = {{0, 100000}, {0, 100000}};
        timer_t timer;

        EXPECT(sigaction(SIGUSR1, &action, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
        EXPECT(timer_settime(timer, 0, &often, NULL) == 0);
        if (driver_usual(&driver) != 0)
                return 1;
        for (int round = 0; round < 200; round++)
                if (slice_holds(&driver) != 0)
                        return 1;
        EXPECT(timer_delete(timer) == 0 && signals > 0);
        return 0;
}

static void *in_small_stack(void *unused)
{
        CUdeviceptr at;
        size_t left, total;

        if (driver_use(&driver, 0) || driver.cuMemAlloc_v2(&at, 4096) != CUDA_SUCCESS ||
            driver.cuMemGetInfo_v2(&left, &total) != CUDA_SUCCESS || driver.cuMemFree_v2(at) != CUDA_SUCCESS)
                return (void *)"failed";
        return NULL;
}

/* The smallest stack that a thread can have, for the calls that programs make from such threads. */
int verb_small_stack(char **arguments)
{
        void *complaint = NULL;
        pthread_attr_t attributes;
        pthread_t thread;

        if (driver_usual(&driver) || driver_use(&driver, 0))
                return 1;
        EXPECT(pthread_attr_init(&attributes) == 0);
        EXPECT(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0);
        EXPECT(pthread_create(&thread, &attributes, in_small_stack, NULL) == 0);
        EXPECT(pthread_join(thread, &complaint) == 0 && !complaint);
        return slice_holds(&driver);
}
