/* SPDX-License-Identifier: Apache-2.0
 * Kernels. The same kernel over as many threads takes about as long again. Each hook is two functions, so that the way
 * through an open gate is a jump: nothing of the program's arguments is copied. */
#include "shim/cuda/launch.h"

#define SHAPE unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by, unsigned int bz

static uint64_t volume(SHAPE)
{
        return (uint64_t)gx * gy * gz << 12 ^ (uint64_t)bx * by * bz;
}

static uint32_t key_of_config(const CUlaunchConfig *c, CUfunction function)
{
        return c ? fgc_key(function,
                           volume(c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX, c->blockDimY, c->blockDimZ))
                 : 1;
}

/* `hook`: its name, `key` and `stream`: expressions of the parameters. */
#define LAUNCH_AS(hook, name, stream, key, params, ...) \
        static __attribute__((noinline)) CUresult gated_##name params \
        { \
                struct fgc_work work; \
                CUresult r = fgc_work_enter(&work, stream, key); \
                return r ? r : fgc_work_leave(&work, FGC_REAL(name, __VA_ARGS__)); \
        } \
        CUresult hook params \
        { \
                return fgc_gate_pass(stream) ? fgc_real.name(__VA_ARGS__) : gated_##name(__VA_ARGS__); \
        }
#define LAUNCH(name, stream, key, params, ...) LAUNCH_AS(fgc_##name, name, stream, key, params, __VA_ARGS__)

#define KERNEL_PARAMS (CUfunction f, SHAPE, unsigned int shared, CUstream stream, void **params, void **extra)
#define KERNEL_ARGS   f, gx, gy, gz, bx, by, bz, shared, stream, params, extra
#define KERNEL_KEY    fgc_key(f, volume(gx, gy, gz, bx, by, bz))

LAUNCH_AS(fgc_long_cuLaunchKernel, cuLaunchKernel, fgc_stream_plain(stream), KERNEL_KEY, KERNEL_PARAMS, KERNEL_ARGS)
LAUNCH_AS(fgc_long_cuLaunchKernel_ptsz, cuLaunchKernel_ptsz, fgc_stream_ptsz(stream), KERNEL_KEY, KERNEL_PARAMS,
          KERNEL_ARGS)

#define COOPERATIVE_PARAMS (CUfunction f, SHAPE, unsigned int shared, CUstream stream, void **params)
#define COOPERATIVE_ARGS   f, gx, gy, gz, bx, by, bz, shared, stream, params

LAUNCH(cuLaunchCooperativeKernel, fgc_stream_plain(stream), KERNEL_KEY, COOPERATIVE_PARAMS, COOPERATIVE_ARGS)
LAUNCH(cuLaunchCooperativeKernel_ptsz, fgc_stream_ptsz(stream), KERNEL_KEY, COOPERATIVE_PARAMS, COOPERATIVE_ARGS)

#define EX_PARAMS (const CUlaunchConfig *config, CUfunction f, void **params, void **extra)
#define EX_ARGS   config, f, params, extra
#define EX_STREAM (config ? config->hStream : NULL)

LAUNCH(cuLaunchKernelEx, fgc_stream_plain(EX_STREAM), key_of_config(config, f), EX_PARAMS, EX_ARGS)
LAUNCH(cuLaunchKernelEx_ptsz, fgc_stream_ptsz(EX_STREAM), key_of_config(config, f), EX_PARAMS, EX_ARGS)

/* The first interface: the block's shape is the function's. */
LAUNCH(cuLaunch, CU_STREAM_LEGACY, fgc_key(f, 1), (CUfunction f), f)
LAUNCH(cuLaunchGrid, CU_STREAM_LEGACY, fgc_key(f, (uint64_t)width * height), (CUfunction f, int width, int height), f, width,
       height)
LAUNCH(cuLaunchGridAsync, fgc_stream_plain(stream), fgc_key(f, (uint64_t)width * height),
       (CUfunction f, int width, int height, CUstream stream), f, width, height, stream)

/* --- several devices at once --- */

#define MULTI_MAX 32u

/* Only the first waits, holding nothing yet: waiting for one device while others are taken could go round in a circle. What
 * the others run is measured and paid all the same. */
static CUresult multi_enter(struct fgc_work *work, const CUDA_LAUNCH_PARAMS *list, unsigned int count)
{
        for (unsigned int i = 0; i < count; i++) {
                const CUDA_LAUNCH_PARAMS *l = &list[i];
                uint32_t key = fgc_key(l->function, volume(l->gridDimX, l->gridDimY, l->gridDimZ, l->blockDimX, l->blockDimY,
                                                           l->blockDimZ));
                CUstream stream = fgc_stream_plain(l->hStream);
                CUresult r = i ? fgc_work_enter_now(&work[i], stream, key) : fgc_work_enter(&work[i], stream, key);
                if (r == CUDA_SUCCESS)
                        continue;
                while (i-- > 0)
                        fgc_work_leave(&work[i], r);
                return r;
        }
        return CUDA_SUCCESS;
}

CUresult fgc_cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *list, unsigned int count, unsigned int flags)
{
        struct fgc_work work[MULTI_MAX];
        unsigned int gated = list && count <= MULTI_MAX ? count : 0; /* no machine has so many devices */
        CUresult r = multi_enter(work, list, gated);

        if (r != CUDA_SUCCESS)
                return r;
        r = FGC_REAL(cuLaunchCooperativeKernelMultiDevice, list, count, flags);
        for (unsigned int i = 0; i < gated; i++)
                fgc_work_leave(&work[i], r);
        return r;
}
