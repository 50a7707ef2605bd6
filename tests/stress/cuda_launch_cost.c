/* SPDX-License-Identifier: Apache-2.0
 * What a launch costs the thread that makes it: ns per cuLaunchKernel of the libcuda.so.1 that the loader finds, the least and
 * the median of some rounds. Run it on the driver alone and under the drop-in; the difference is what the drop-in adds.
 *
 *   cuda_launch_cost [ROUNDS [LAUNCHES]] */
#include "abi/cuda.h"
#include "base/clock.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define USED(X) \
        X(cuInit) X(cuDeviceGet) X(cuDevicePrimaryCtxRetain) X(cuCtxSetCurrent) X(cuModuleLoadData) X(cuModuleGetFunction) \
        X(cuStreamCreate) X(cuLaunchKernel) X(cuStreamSynchronize)

static struct {
#define FIELD(name) __typeof__(&name) name;
        USED(FIELD)
} cu;

#define MUST(call) must(call, #call)
static void must(CUresult r, const char *what)
{
        if (r == CUDA_SUCCESS)
                return;
        fprintf(stderr, "%s: %d\n", what, (int)r);
        exit(1);
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
        unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 51, launches = argc > 2 ? (unsigned)atoi(argv[2]) : 20000;
        double *ns = calloc(rounds, sizeof(*ns));
        void *library = dlopen("libcuda.so.1", RTLD_NOW);
        CUfunction function;
        CUcontext context;
        CUstream stream;
        CUmodule module;
        CUdevice device;

        if (!library || !ns || !rounds) {
                fprintf(stderr, "%s\n", library ? "usage: cuda_launch_cost [ROUNDS [LAUNCHES]]" : dlerror());
                return 2;
        }
#define LOAD(name) cu.name = (__typeof__(&name))dlsym(library, #name);
        USED(LOAD)
        MUST(cu.cuInit(0));
        MUST(cu.cuDeviceGet(&device, 0));
        MUST(cu.cuDevicePrimaryCtxRetain(&context, device));
        MUST(cu.cuCtxSetCurrent(context));
        MUST(cu.cuModuleLoadData(&module, "fastgpu-sim\nkernel nothing time=0ns\n"));
        MUST(cu.cuModuleGetFunction(&function, module, "nothing"));
        MUST(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        for (unsigned r = 0; r < rounds; r++) {
                uint64_t begin = fg_now();

                for (unsigned i = 0; i < launches; i++)
                        if (cu.cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, NULL, NULL) != CUDA_SUCCESS)
                                return 1;
                ns[r] = (double)(fg_now() - begin) / launches;
                MUST(cu.cuStreamSynchronize(stream));
        }
        qsort(ns, rounds, sizeof(*ns), compare);
        printf("{\"launch_ns\": {\"least\": %.2f, \"median\": %.2f}}\n", ns[0], ns[rounds / 2]);
        return 0;
}
