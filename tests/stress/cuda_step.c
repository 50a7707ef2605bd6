/* SPDX-License-Identifier: Apache-2.0
 * A program killed after each of its instructions on the way through cuMemAlloc and cuMemFree, or another way. Runs as a tenant
 * itself, beside its victims, in the same vGPU: after each kill the books must come back to what the living hold, and its own
 * allocations and launches must go on.
 *
 *     cuda_step [--stride N] [--most N] [--way NAME]       (under fake-daemon, which checks the books once more at the end)
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

/* --- the ways that are stepped through --- */

static void go_alloc(void)
{
        CUdeviceptr p;
        check("cuMemAlloc", cuMemAlloc_v2(&p, BYTES));
        check("cuMemFree", cuMemFree_v2(p));
}

static void go_async(void)
{
        CUdeviceptr p;
        check("cuMemAllocAsync", cuMemAllocAsync(&p, 2 * HELD, 0));
        check("cuMemFreeAsync", cuMemFreeAsync(p, 0));
        check("cuStreamSynchronize", cuStreamSynchronize(0)); /* the pool shrinks */
}

static void go_vmm(void)
{
        CUmemAllocationProp type = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};
        CUmemGenericAllocationHandle handle;
        check("cuMemCreate", cuMemCreate(&handle, BYTES, &type, 0));
        check("cuMemRelease", cuMemRelease(handle));
}

static void go_array(void)
{
        CUDA_ARRAY_DESCRIPTOR d = {.Width = 1024, .Height = 1024, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 4};
        CUarray array;
        check("cuArrayCreate", cuArrayCreate_v2(&array, &d));
        check("cuArrayDestroy", cuArrayDestroy(array));
}

static void go_launch(void)
{
        static CUfunction kernel;
        CUmodule module;
        if (!kernel) {
                check("cuModuleLoadData", cuModuleLoadData(&module, "fastgpu-sim\nkernel work time=0\n"));
                check("cuModuleGetFunction", cuModuleGetFunction(&kernel, module, "work"));
        }
        check("cuLaunchKernel", cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
        check("cuCtxSynchronize", cuCtxSynchronize());
}

static const struct way {
        const char *name;
        void (*go)(void);
} ways[] = {{"alloc", go_alloc}, {"async", go_async}, {"vmm", go_vmm}, {"array", go_array}, {"launch", go_launch}};

static const struct way *find_way(const char *name)
{
        for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
                if (strcmp(ways[i].name, name) == 0)
                        return &ways[i];
        fprintf(stderr, "cuda_step: no way \"%s\"\n", name);
        exit(2);
}

/* Holds something, says that it is ready by stopping, then goes the way that is stepped through. */
static int be_victim(const struct way *way)
{
        CUdeviceptr held;
        open_device();
        check("cuMemAlloc", cuMemAlloc_v2(&held, HELD));
        way->go(); /* once before, so that nothing is resolved for the first time */
        raise(SIGSTOP);
        way->go();
        raise(SIGSTOP);
        return 0;
}

static pid_t start_victim(char *program, const struct way *way)
{
        pid_t pid = fork();
        int status;
        if (pid == 0) {
                execl(program, program, "--victim", way->name, (char *)NULL);
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

static void expect_service(const struct way *way)
{
        uint64_t begun = fg_now(), took;
        way->go();
        took = fg_now() - begun;
        longest = took > longest ? took : longest;
}

int main(int argc, char **argv)
{
        long stride = 1, most = 100000, kills = 0, at = 0;
        const struct way *way = ways;
        if (argc == 3 && strcmp(argv[1], "--victim") == 0)
                return be_victim(find_way(argv[2]));
        for (int i = 1; i + 1 < argc; i += 2)
                if (strcmp(argv[i], "--way") == 0)
                        way = find_way(argv[i + 1]);
                else
                        *(strcmp(argv[i], "--stride") == 0 ? &stride : &most) = atol(argv[i + 1]);
        open_device();
        way->go();
        size_t before = used();
        for (; at < most; at += stride) {
                pid_t pid = start_victim(argv[0], way);
                long done = step(pid, at);
                expect_service(way);
                kill(pid, SIGKILL);
                waitpid(pid, NULL, __WALL);
                kills++;
                expect_back(before, at);
                expect_service(way);
                if (done < at)
                        break;
        }
        printf("{\"kills\": %ld, \"instructions\": %ld, \"longest_us\": %.1f}\n", kills, at, (double)longest / 1000);
        return at < stride * 20; /* a way so short is not the one that was meant */
}
