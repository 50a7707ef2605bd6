/* SPDX-License-Identifier: Apache-2.0
 * What the tests of the simulator's time side share: a simulated GPU of their own, and kernels that write down their
 * order. */
#ifndef EXEC_TEST_H
#define EXEC_TEST_H

#include "abi/cuda.h"
#include "fastgpu/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OK(call)         assert_int_equal((call), CUDA_SUCCESS)
#define IS(call, result) assert_int_equal((call), (result))

static char state_folder[64];
static CUcontext context;
static CUmodule module;

static atomic_int notes;
static int noted[4096];

/* The kernel `note` and the host functions below put their number behind the others. */
static void note(int number)
{
        int at = atomic_fetch_add(&notes, 1);

        if (at < (int)(sizeof(noted) / sizeof(noted[0])))
                noted[at] = number;
}

static void note_kernel(void **params, const unsigned grid[3], const unsigned block[3])
{
        note(*(int *)params[0]);
}

static inline void note_host(void *number)
{
        note((int)(intptr_t)number);
}

static inline CUfunction function(const char *name)
{
        CUfunction f;

        OK(cuModuleGetFunction(&f, module, name));
        return f;
}

static inline CUresult launch(CUfunction f, CUstream stream, void **params)
{
        return cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL);
}

static inline void launch_note(CUstream stream, int number)
{
        OK(launch(function("note"), stream, (void *[]){&number}));
}

/* Kernels: `busyN` for N ms, `long` for a second, `nothing`, `sleep` for as many ns as its parameter says. */
static const char kernels[] = "fastgpu-sim\n"
                              "kernel note args=4\n"
                              "kernel busy1 time=1ms\n"
                              "kernel busy5 time=5ms\n"
                              "kernel busy20 time=20ms\n"
                              "kernel long time=1s\n"
                              "kernel nothing time=0\n"
                              "kernel sleep param=0 unit=ns args=8\n"
                              "global table 4096\n";

static inline void choose_gpus(const char *spec)
{
        strcpy(state_folder, "/tmp/fastgpu-test-XXXXXX");
        assert_non_null(mkdtemp(state_folder));
        setenv("FASTGPU_SIM_STATE", state_folder, 1);
        setenv("FASTGPU_SIM", spec, 1);
}

static inline void remove_state(void)
{
        char command[128];

        snprintf(command, sizeof(command), "rm -rf '%s'", state_folder);
        if (system(command) != 0)
                fprintf(stderr, "%s stays\n", state_folder);
}

static inline void open_gpu(int ordinal)
{
        CUdevice device;
        CUdevice_attribute attribute = CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        int sms;

        OK(cuInit(0));
        OK(cuDeviceGet(&device, ordinal));
        OK(cuDeviceGetAttribute(&sms, attribute, device));
        OK(cuCtxCreate_v2(&context, 0, device));
        assert_int_equal(fgsim_kernel_register("note", note_kernel, 0), 0);
        OK(cuModuleLoadData(&module, kernels));
}

/* One GPU whose copies take no time unless the spec says so. */
static inline int set_up(void **state)
{
        choose_gpus("1x\"Test GPU\":1G");
        open_gpu(0);
        return 0;
}

static inline int tear_down(void **state)
{
        cuCtxDestroy_v2(context);
        remove_state();
        return 0;
}

static inline int forget_notes(void **state)
{
        cuCtxSynchronize();
        atomic_store(&notes, 0);
        return 0;
}

static inline void expect_notes(int count, const int *expected)
{
        assert_int_equal(atomic_load(&notes), count);
        for (int i = 0; i < count; i++)
                assert_int_equal(noted[i], expected[i]);
}

#define NOTES(...) expect_notes((int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]){__VA_ARGS__})

#endif
