/* SPDX-License-Identifier: Apache-2.0
 * For tests of the simulator's memory side: each has shared state of its own, in a folder that goes when the test ends.
 */
#ifndef SIM_TEST_H
#define SIM_TEST_H

#include "abi/cuda.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KI (1ull << 10)
#define MI (1ull << 20)
#define GI (1ull << 30)

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)

#define IS(call, wanted)                                                                                               \
        do {                                                                                                           \
                int is_ = (int)(call);                                                                                 \
                if (is_ != (int)(wanted)) {                                                                            \
                        fprintf(stderr, "%s:%d: %s is %d, not %s\n", __FILE__, __LINE__, #call, is_, #wanted);         \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)

#define OK(call) IS(call, CUDA_SUCCESS)

static char sim_state[64];
static pid_t sim_owner;

static inline void sim_clean(void)
{
        char command[128];
        if (getpid() != sim_owner)
                return;
        snprintf(command, sizeof command, "rm -rf '%s'", sim_state);
        if (system(command) != 0)
                fprintf(stderr, "%s stays\n", sim_state);
}

/* The spec, a fresh state, and an end to it all after a minute. */
static inline void sim_start(const char *spec)
{
        strcpy(sim_state, "/tmp/sim-test-XXXXXX");
        CHECK(mkdtemp(sim_state));
        sim_owner = getpid();
        atexit(sim_clean);
        setenv("FASTGPU_SIM_STATE", sim_state, 1);
        setenv("FASTGPU_SIM", spec, 1);
        unsetenv("CUDA_VISIBLE_DEVICES");
        alarm(60);
}

static inline CUcontext sim_context(int device)
{
        CUcontext ctx;
        OK(cuInit(0));
        OK(cuCtxCreate_v2(&ctx, 0, device));
        return ctx;
}

static inline size_t sim_free(void)
{
        size_t left, total;
        OK(cuMemGetInfo_v2(&left, &total));
        CHECK(left <= total);
        return left;
}

/* Runs fn in a child; its exit status. Its exit handlers do not run. */
static inline int sim_child(int (*fn)(void *), void *arg)
{
        fflush(NULL);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                _exit(fn(arg));
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
