/* SPDX-License-Identifier: Apache-2.0
 * A program killed after each of its instructions on the way through cuMemAlloc and cuMemFree. Runs as a tenant itself, beside
 * its victims, in the same vGPU: after each kill the books must come back to what the living hold, and its own allocations must
 * go on.
 *
 *     cuda_step [--stride N] [--most N]       (under fake-daemon, which checks the books once more at the end)
 *
 * Prints {"kills": …, "instructions": …, "longest_us": …}: the longest of its own allocations and releases, each made while the
 * victim stands still where it is to be killed, or right after. Exit 77: this process may not trace others. */
#include "abi/cuda.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELD  (32u << 20)
#define BYTES (16u << 20)
#define BACK  (2 * FG_NSEC_PER_SEC) /* generous: the machine may be busy */

static void check(const char *what, CUresult r)
{
        if (r == CUDA_SUCCESS)
                return;
        fprintf(stderr, "cuda_step: %s: error %d\n", what, (int)r);
        exit(1);
}

static void open_device(void)
{
        CUcontext context;
        check("cuInit", cuInit(0));
        check("cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain(&context, 0));
        check("cuCtxSetCurrent", cuCtxSetCurrent(context));
}

static size_t used(void)
{
        size_t free = 0, total = 0;
        check("cuMemGetInfo", cuMemGetInfo_v2(&free, &total));
        return total - free;
}

/* Holds something, says that it is ready by stopping, then goes the way that is stepped through. */
static int be_victim(void)
{
        CUdeviceptr held, p;
        open_device();
        check("cuMemAlloc", cuMemAlloc_v2(&held, HELD));
        check("cuMemAlloc", cuMemAlloc_v2(&p, BYTES)); /* once before, so that nothing is resolved for the first time */
        check("cuMemFree", cuMemFree_v2(p));
        raise(SIGSTOP);
        check("cuMemAlloc", cuMemAlloc_v2(&p, BYTES));
        check("cuMemFree", cuMemFree_v2(p));
        raise(SIGSTOP);
        return 0;
}

static pid_t start_victim(char *program)
{
        pid_t pid = fork();
        int status;
        if (pid == 0) {
                execl(program, program, "--victim", (char *)NULL);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)) {
                fprintf(stderr, "cuda_step: the victim did not start\n");
                exit(1);
        }
        return pid;
}

/* Lets it do `count` instructions. Fewer were left: it stopped itself, and their number is returned. */
static long step(pid_t pid, long count)
{
        int status;
        if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
                exit(errno == EPERM ? 77 : 1);
        kill(pid, SIGCONT);
        ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        if (waitpid(pid, &status, __WALL) != pid)
                exit(1);
        for (long i = 0; i < count; i++) {
                if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) < 0 || waitpid(pid, &status, __WALL) != pid)
                        exit(1);
                if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP)
                        return i; /* the second stop: the way is over */
        }
        return count;
}

static void expect_back(size_t before, long at)
{
        uint64_t deadline = fg_now() + BACK;
        while (used() != before && fg_now() < deadline)
                usleep(200);
        if (used() == before)
                return;
        fprintf(stderr, "cuda_step: killed after %ld instructions: %zu bytes are in use, %zu were before\n", at, used(), before);
        exit(1);
}

static uint64_t longest;

static void expect_service(void)
{
        uint64_t begun = fg_now(), took;
        CUdeviceptr p;
        check("cuMemAlloc of the survivor", cuMemAlloc_v2(&p, BYTES));
        check("cuMemFree of the survivor", cuMemFree_v2(p));
        took = fg_now() - begun;
        longest = took > longest ? took : longest;
}

int main(int argc, char **argv)
{
        long stride = 1, most = 100000, kills = 0, at = 0;
        if (argc == 2 && strcmp(argv[1], "--victim") == 0)
                return be_victim();
        for (int i = 1; i + 1 < argc; i += 2)
                *(strcmp(argv[i], "--stride") == 0 ? &stride : &most) = atol(argv[i + 1]);
        open_device();
        size_t before = used();
        for (; at < most; at += stride) {
                pid_t pid = start_victim(argv[0]);
                long done = step(pid, at);
                expect_service();
                kill(pid, SIGKILL);
                waitpid(pid, NULL, __WALL);
                kills++;
                expect_back(before, at);
                expect_service();
                if (done < at)
                        break;
        }
        printf("{\"kills\": %ld, \"instructions\": %ld, \"longest_us\": %.1f}\n", kills, at, (double)longest / 1000);
        return at < stride * 20; /* a way so short is not the one that was meant */
}
