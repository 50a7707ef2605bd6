/* SPDX-License-Identifier: Apache-2.0
 * What CUDA calls cost the calling thread, in ns of its processor time, through whatever libcuda.so.1 the loader finds:
 *
 *     cuda_calls launch|alloc|async|meminfo [--live N] [--calls N] [--processes P] [--burst N]
 *
 * After each burst it waits for the GPU, untimed: a queue that is full would be measured instead. Prints {"ns": median of the chunks, "min": …} over all processes. Entry points come from cuGetProcAddress_v2, as the CUDA
 * runtime has them. */
#include "abi/cuda.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNKS        64
#define PROCESSES_MAX 64
#define BYTES         4096

#define CALLS(X)                                                       \
        X(cuInit, cuInit, 2000) X(cuDeviceGet, cuDeviceGet, 2000)      \
        X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, 7000)    \
        X(cuCtxSetCurrent, cuCtxSetCurrent, 4000)                      \
        X(cuModuleLoadData, cuModuleLoadData, 2000)                    \
        X(cuModuleGetFunction, cuModuleGetFunction, 2000)              \
        X(cuLaunchKernel, cuLaunchKernel, 4000)                        \
        X(cuMemAlloc, cuMemAlloc_v2, 3020) X(cuMemFree, cuMemFree_v2, 3020) \
        X(cuMemAllocAsync, cuMemAllocAsync, 11020) X(cuMemFreeAsync, cuMemFreeAsync, 11020) \
        X(cuMemGetInfo, cuMemGetInfo_v2, 3020) X(cuCtxSynchronize, cuCtxSynchronize, 2000)

static struct {
#define X(name, form, version) __typeof__(form) *name;
        CALLS(X)
#undef X
} cu;

static CUfunction nothing;

__attribute__((noreturn)) static void fail(const char *what, CUresult r)
{
        fprintf(stderr, "cuda_calls: %s: error %d\n", what, (int)r);
        exit(1);
}

static void check(const char *what, CUresult r)
{
        if (r != CUDA_SUCCESS)
                fail(what, r);
}

static void load(void)
{
        void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
        __typeof__(cuGetProcAddress_v2) *find = library ? (__typeof__(find))dlsym(library, "cuGetProcAddress_v2") : NULL;
        if (!find) {
                fprintf(stderr, "cuda_calls: %s\n", dlerror());
                exit(1);
        }
#define X(name, form, version)                                              \
        if (find(#name, (void **)&cu.name, version, 0, NULL) != CUDA_SUCCESS || !cu.name) \
                fail("no " #name, 0);
        CALLS(X)
#undef X
}

static void start(void)
{
        /* Text that a driver compiles for its GPU, and from which the simulator takes the name. */
        static const char image[] = ".version 6.0\n.target sm_52\n.address_size 64\n.visible .entry nothing()\n{\n\tret;\n}\n";
        CUdevice device;
        CUcontext context;
        CUmodule module;
        load();
        check("cuInit", cu.cuInit(0));
        check("cuDeviceGet", cu.cuDeviceGet(&device, 0));
        check("cuDevicePrimaryCtxRetain", cu.cuDevicePrimaryCtxRetain(&context, device));
        check("cuCtxSetCurrent", cu.cuCtxSetCurrent(context));
        check("cuModuleLoadData", cu.cuModuleLoadData(&module, image));
        check("cuModuleGetFunction", cu.cuModuleGetFunction(&nothing, module, "nothing"));
}

static void do_launch(void)
{
        check("cuLaunchKernel", cu.cuLaunchKernel(nothing, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
}

static void do_alloc(void)
{
        CUdeviceptr p;
        check("cuMemAlloc", cu.cuMemAlloc(&p, BYTES));
        check("cuMemFree", cu.cuMemFree(p));
}

static void do_async(void)
{
        CUdeviceptr p;
        check("cuMemAllocAsync", cu.cuMemAllocAsync(&p, BYTES, NULL));
        check("cuMemFreeAsync", cu.cuMemFreeAsync(p, NULL));
}

static void do_meminfo(void)
{
        size_t free, total;
        check("cuMemGetInfo", cu.cuMemGetInfo(&free, &total));
}

static const struct {
        const char *name;
        void (*call)(void);
} call_table[] = {{"launch", do_launch}, {"alloc", do_alloc}, {"async", do_async}, {"meminfo", do_meminfo}};

static double thread_ns(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return 1e9 * (double)ts.tv_sec + (double)ts.tv_nsec;
}

/* ns a call, over `calls` of them. */
static double timed(void (*call)(void), long calls, long burst)
{
        double ns = 0;
        for (long left = calls; left > 0; left -= burst) {
                double begin = thread_ns();
                for (long i = 0; i < left && i < burst; i++)
                        call();
                ns += thread_ns() - begin;
                check("cuCtxSynchronize", cu.cuCtxSynchronize());
        }
        return ns / (double)calls;
}

/* ns a call in each chunk. */
static void measure(void (*call)(void), long live, long calls, long burst, double *ret)
{
        start();
        for (long i = 0; i < live; i++) {
                CUdeviceptr kept;
                check("cuMemAlloc", cu.cuMemAlloc(&kept, BYTES));
        }
        timed(call, calls / CHUNKS, burst);
        for (int chunk = 0; chunk < CHUNKS; chunk++)
                ret[chunk] = timed(call, calls / CHUNKS, burst);
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
        long live = 0, calls = 400000, processes = 1, burst = LONG_MAX;
        void (*call)(void) = NULL;
        for (unsigned i = 0; argc > 1 && i < sizeof call_table / sizeof call_table[0]; i++)
                if (strcmp(argv[1], call_table[i].name) == 0)
                        call = call_table[i].call;
        for (int i = 2; i + 1 < argc; i += 2) {
                long *to = strcmp(argv[i], "--live") == 0 ? &live : strcmp(argv[i], "--calls") == 0 ? &calls
                         : strcmp(argv[i], "--processes") == 0 ? &processes
                         : strcmp(argv[i], "--burst") == 0 ? &burst : NULL;
                if (!to)
                        call = NULL;
                else
                        *to = atol(argv[i + 1]);
        }
        if (!call || live < 0 || calls < CHUNKS || processes < 1 || processes > PROCESSES_MAX || burst < 1) {
                fprintf(stderr, "usage: cuda_calls launch|alloc|async|meminfo [--live N] [--calls N] [--processes 1…%d] [--burst N]\n",
                        PROCESSES_MAX);
                return 2;
        }
        double *ns = mmap(NULL, PROCESSES_MAX * CHUNKS * sizeof *ns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int failed = ns == MAP_FAILED;
        for (long p = 0; p < processes && !failed; p++)
                if (fork() == 0) {
                        measure(call, live, calls, burst, ns + p * CHUNKS);
                        _exit(0);
                }
        for (int status; wait(&status) > 0;)
                failed |= status != 0;
        if (failed)
                return 1;
        qsort(ns, (size_t)(processes * CHUNKS), sizeof *ns, compare);
        printf("{\"ns\": %.2f, \"min\": %.2f}\n", ns[processes * CHUNKS / 2], ns[0]);
        return 0;
}
