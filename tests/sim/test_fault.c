/* SPDX-License-Identifier: Apache-2.0
 * Scripted faults: the right call, the right count, the right process; broken contexts and lost GPUs. */
#include "sim_test.h"

#include <sys/prctl.h>
#include <time.h>

#define GPUS "[gpu]\ncount = 2\nmodel = Test\nmemory = 512M\ncontext = 4M\nlaunch = 0\n"

static int counted(void *arg)
{
        CUdeviceptr p, q;
        setenv("FASTGPU_SIM", GPUS "[fault]\nat = cuMemAlloc_v2\nafter = 2\ncount = 3\nresult = 2\n", 1);
        sim_context(0);
        size_t before = sim_free();
        for (int i = 0; i < 10; i++) {
                CUresult wanted = i >= 2 && i < 5 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
                IS(cuMemAlloc_v2(&p, 512), wanted);
                OK(cuMemAllocManaged(&q, 512, CU_MEM_ATTACH_GLOBAL));
        }
        CHECK(sim_free() == before - 17 * 512);
        return 0;
}

static int by_prefix(void *arg)
{
        CUdeviceptr p;
        setenv("FASTGPU_SIM", GPUS "[fault]\nat = cuMem*\ncount = 2\nresult = 999\n", 1);
        OK(cuInit(0));
        CUcontext ctx;
        OK(cuCtxCreate_v2(&ctx, 0, 0));
        IS(cuMemGetInfo_v2(NULL, NULL), CUDA_ERROR_UNKNOWN);
        IS(cuMemAlloc_v2(&p, 1), CUDA_ERROR_UNKNOWN);
        OK(cuMemAlloc_v2(&p, 1));
        return 0;
}

static int at_init(void *arg)
{
        setenv("FASTGPU_SIM", GPUS "[fault]\nat = cuInit\ncount = 1\nresult = 802\n", 1);
        IS(cuInit(0), CUDA_ERROR_SYSTEM_NOT_READY);
        OK(cuInit(0));
        return 0;
}

static int by_process(void *arg)
{
        CUdeviceptr p;
        prctl(PR_SET_NAME, arg);
        setenv("FASTGPU_SIM", GPUS "[fault]\nat = cuMemAlloc_v2\nprocess = victim\nresult = 2\n", 1);
        sim_context(0);
        return cuMemAlloc_v2(&p, 1) == CUDA_ERROR_OUT_OF_MEMORY;
}

static int by_gpu(void *arg)
{
        CUdeviceptr p;
        CUcontext a, b;
        setenv("FASTGPU_SIM", GPUS "[fault]\nat = cuMemAlloc_v2\ngpu = 1\nresult = 2\n", 1);
        OK(cuInit(0));
        OK(cuCtxCreate_v2(&a, 0, 0));
        OK(cuMemAlloc_v2(&p, 1));
        OK(cuCtxCreate_v2(&b, 0, 1));
        IS(cuMemAlloc_v2(&p, 1), CUDA_ERROR_OUT_OF_MEMORY);
        OK(cuCtxSetCurrent(a));
        OK(cuMemAlloc_v2(&p, 1));
        return 0;
}

/* After an Xid the context says so until it is destroyed; another one works. */
static int xid(void *arg)
{
        CUdeviceptr p;
        CUcontext broken, other, fresh;
        setenv("FASTGPU_SIM", GPUS "[fault]\nat = cuMemAlloc_v2\ncount = 1\nkind = xid\nxid = 31\n", 1);
        OK(cuInit(0));
        OK(cuCtxCreate_v2(&other, 0, 1));
        OK(cuCtxCreate_v2(&broken, 0, 0));
        IS(cuMemAlloc_v2(&p, 1), CUDA_ERROR_ILLEGAL_ADDRESS);
        IS(cuMemAlloc_v2(&p, 1), CUDA_ERROR_ILLEGAL_ADDRESS);
        IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
        OK(cuCtxDestroy_v2(broken));
        OK(cuCtxSetCurrent(other));
        OK(cuMemAlloc_v2(&p, 1));
        OK(cuCtxCreate_v2(&fresh, 0, 0));
        OK(cuMemAlloc_v2(&p, 1));
        return 0;
}

static int lost(void *arg)
{
        CUdeviceptr p;
        CUcontext a, b;
        setenv("FASTGPU_SIM", GPUS "[fault]\nat = cuMemGetInfo_v2\ncount = 1\nkind = lost\ngpu = 0\n", 1);
        OK(cuInit(0));
        OK(cuCtxCreate_v2(&b, 0, 1));
        OK(cuCtxCreate_v2(&a, 0, 0));
        OK(cuMemAlloc_v2(&p, 1));
        IS(cuMemGetInfo_v2(NULL, NULL), CUDA_ERROR_UNKNOWN);
        IS(cuMemAlloc_v2(&p, 1), CUDA_ERROR_UNKNOWN);
        IS(cuCtxCreate_v2(&a, 0, 0), CUDA_ERROR_DEVICE_UNAVAILABLE);
        OK(cuCtxSetCurrent(b));
        OK(cuMemAlloc_v2(&p, 1));
        return 0;
}

/* It was lost for those who saw it; when they are gone, it is as new. */
static int found_again(void *arg)
{
        CUdeviceptr p;
        setenv("FASTGPU_SIM", GPUS, 1);
        sim_context(0);
        OK(cuMemAlloc_v2(&p, 1));
        return 0;
}

static int slow(void *arg)
{
        struct timespec a, b;
        CUdeviceptr p;
        setenv("FASTGPU_SIM",
               GPUS "[fault]\nat = cuMemAlloc_v2\nkind = slow\ndelay = 20ms\n"
                    "[fault]\nat = cuMemAlloc_v2\nafter = 1\nresult = 2\n",
               1);
        sim_context(0);
        clock_gettime(CLOCK_MONOTONIC, &a);
        OK(cuMemAlloc_v2(&p, 1));
        clock_gettime(CLOCK_MONOTONIC, &b);
        CHECK((b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec >= 20000000);
        IS(cuMemAlloc_v2(&p, 1), CUDA_ERROR_OUT_OF_MEMORY);
        return 0;
}

/* Ends only because it is killed. */
static int hang(void *arg)
{
        CUdeviceptr p;
        setenv("FASTGPU_SIM", GPUS "[fault]\nat = cuMemAlloc_v2\nkind = hang\n", 1);
        sim_context(0);
        alarm(1);
        cuMemAlloc_v2(&p, 1);
        return 0;
}

int main(void)
{
        sim_start(GPUS);
        CHECK(sim_child(counted, NULL) == 0);
        CHECK(sim_child(by_prefix, NULL) == 0);
        CHECK(sim_child(at_init, NULL) == 0);
        CHECK(sim_child(by_process, (char *)"victim") == 1);
        CHECK(sim_child(by_process, (char *)"other") == 0);
        CHECK(sim_child(by_gpu, NULL) == 0);
        CHECK(sim_child(xid, NULL) == 0);
        CHECK(sim_child(lost, NULL) == 0);
        CHECK(sim_child(found_again, NULL) == 0);
        CHECK(sim_child(slow, NULL) == 0);
        CHECK(sim_child(hang, NULL) == 128 + SIGALRM);
        return 0;
}
