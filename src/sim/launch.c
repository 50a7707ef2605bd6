/* SPDX-License-Identifier: Apache-2.0
 * Launches. A kernel that takes no time and computes nothing, with nothing else under way, is over before it is
 * enqueued. */
#include "sim/launch.h"

#include "sim/capture.h"

#include <string.h>

static CUresult check_shape(const struct fgsim_launch *launch)
{
        const unsigned *g = launch->grid, *b = launch->block;

        if (!g[0] || !g[1] || !g[2] || !b[0] || !b[1] || !b[2] || g[0] > INT32_MAX || g[1] > 65535 || g[2] > 65535)
                return CUDA_ERROR_INVALID_VALUE;
        return b[0] <= 1024 && b[1] <= 1024 && b[2] <= 64 && (uint64_t)b[0] * b[1] * b[2] <= 1024
                       ? CUDA_SUCCESS
                       : CUDA_ERROR_INVALID_VALUE;
}

/* The launch's host time; a fault or a slow machine may make it longer, never shorter. */
static void take_host_time(uint64_t ns)
{
        uint64_t end = fg_now() + ns;

        while (fg_now() < end)
                fg_cpu_pause();
}

static bool is_instant(const struct fgsim_function *function)
{
        return !function->host && function->ns == 0 && function->param < 0;
}

CUresult fgsim_launch_fill(struct fgsim_launch *launch, void **params, void **extra)
{
        const struct fgsim_function *function = launch->function;
        CUresult r = check_shape(launch);
        uint64_t value;

        if (r != CUDA_SUCCESS)
                return r;
        launch->args = fgsim_args_new(function, params, extra, &r);
        if (r != CUDA_SUCCESS)
                return r;
        launch->ns = function->ns;
        if (function->param < 0)
                return CUDA_SUCCESS;
        if (launch->args && (unsigned)function->param < launch->args->count)
                memcpy(&value, launch->args->pointer[function->param], sizeof(value));
        else if (params)
                memcpy(&value, params[function->param], sizeof(value));
        else
                return fgsim_args_drop(launch->args), CUDA_ERROR_INVALID_VALUE;
        launch->ns = value > UINT64_MAX / 4 / function->unit ? UINT64_MAX / 4 : value * function->unit;
        return CUDA_SUCCESS;
}

static CUresult enqueue(struct fgsim_launch *launch, CUstream handle, void **params, void **extra)
{
        struct fgsim_task task = {.type = CU_GRAPH_NODE_TYPE_KERNEL};
        struct fgsim_stream *stream;
        CUresult r;

        stream = fgsim_stream_get(handle, &r);
        if (!stream)
                return r;
        if (stream->home->ctx != launch->function->module->ctx)
                return CUDA_ERROR_INVALID_HANDLE;
        r = fgsim_launch_fill(launch, params, extra);
        if (r != CUDA_SUCCESS)
                return r;
        task.launch = *launch;
        r = fgsim_submit_in(stream, &task);
        fgsim_args_drop(launch->args);
        return r;
}

static bool is_stream(CUstream handle)
{
        return (uintptr_t)handle <= (uintptr_t)CU_STREAM_PER_THREAD || fgsim_object_get(handle, FGSIM_STREAM);
}

CUresult fgsim_launch(struct fgsim_launch *launch, CUfunction handle, CUstream stream, void **params, void **extra)
{
        const struct fgsim_context *ctx = fgsim_context_current();
        uint64_t host_ns;

        launch->function = fgsim_function_get(handle);
        if (!ctx)
                return CUDA_ERROR_INVALID_CONTEXT;
        if (!launch->function || launch->function->module->ctx != ctx)
                return CUDA_ERROR_INVALID_HANDLE;
        host_ns = fgsim_spec.gpu[ctx->gpu].launch_ns;
        if (host_ns)
                take_host_time(host_ns);
        if (is_instant(launch->function) && fg_load_acquire(&fgsim_pending) == 0 &&
            fg_load_relaxed(&fgsim_captures) == 0 && is_stream(stream))
                return check_shape(launch);
        return enqueue(launch, stream, params, extra);
}

CUresult cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
                        unsigned int by, unsigned int bz, unsigned int shared, CUstream stream, void **params,
                        void **extra)
{
        struct fgsim_launch launch = {.grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared = shared};

        FGSIM_ENTER(cuLaunchKernel);
        return fgsim_launch(&launch, function, stream, params, extra);
}

/* The blocks of a cooperative kernel wait for each other, so all must fit. */
static CUresult launch_cooperative(struct fgsim_launch *launch, CUfunction handle, CUstream stream, void **params)
{
        const struct fgsim_function *function = fgsim_function_get(handle);
        uint64_t blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];

        if (function && check_shape(launch) == CUDA_SUCCESS && blocks > fgsim_blocks_at_once(function, launch))
                return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
        return fgsim_launch(launch, handle, stream, params, NULL);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz,
                                   unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
                                   CUstream stream, void **params)
{
        struct fgsim_launch launch = {.grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared = shared};

        FGSIM_ENTER(cuLaunchCooperativeKernel);
        return launch_cooperative(&launch, function, stream, params);
}

/* Events that an attribute asks for are recorded behind the kernel. */
static CUresult record_after(const CUlaunchConfig *config)
{
        CUresult r = CUDA_SUCCESS;

        for (unsigned i = 0; i < config->numAttrs && r == CUDA_SUCCESS; i++) {
                struct fgsim_task task = {.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD};
                if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT)
                        task.event = config->attrs[i].value.programmaticEvent.event;
                else if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT)
                        task.event = config->attrs[i].value.launchCompletionEvent.event;
                else
                        continue;
                r = fgsim_object_get(task.event, FGSIM_EVENT) ? fgsim_submit(config->hStream, &task)
                                                              : CUDA_ERROR_INVALID_HANDLE;
        }
        return r;
}

static CUresult launch_ex(const CUlaunchConfig *config, CUfunction function, CUstream stream, void **params,
                          void **extra)
{
        struct fgsim_launch launch;
        bool cooperative = false;
        CUresult r;

        if (!config || (config->numAttrs && !config->attrs))
                return CUDA_ERROR_INVALID_VALUE;
        launch = (struct fgsim_launch){
                .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
                .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
                .shared = config->sharedMemBytes,
        };
        for (unsigned i = 0; i < config->numAttrs; i++)
                if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
                        cooperative = config->attrs[i].value.cooperative;
        r = cooperative ? launch_cooperative(&launch, function, stream, params)
                        : fgsim_launch(&launch, function, stream, params, extra);
        return r == CUDA_SUCCESS && config->numAttrs ? record_after(config) : r;
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **params, void **extra)
{
        FGSIM_ENTER(cuLaunchKernelEx);
        return launch_ex(config, function, config ? config->hStream : NULL, params, extra);
}

CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction function, void **params, void **extra)
{
        CUlaunchConfig own;

        FGSIM_ENTER(cuLaunchKernelEx_ptsz);
        if (!config)
                return CUDA_ERROR_INVALID_VALUE;
        own = *config;
        if (!own.hStream)
                own.hStream = CU_STREAM_PER_THREAD;
        return launch_ex(&own, function, own.hStream, params, extra);
}

CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *list, unsigned int count, unsigned int flags)
{
        CUresult r = CUDA_SUCCESS;

        FGSIM_ENTER(cuLaunchCooperativeKernelMultiDevice);
        if (!list || count == 0 || count > fgsim_spec.gpus)
                return CUDA_ERROR_INVALID_VALUE;
        for (unsigned i = 0; i < count && r == CUDA_SUCCESS; i++) {
                const CUDA_LAUNCH_PARAMS *p = &list[i];
                struct fgsim_launch launch = {
                        .function = fgsim_function_get(p->function),
                        .grid = {p->gridDimX, p->gridDimY, p->gridDimZ},
                        .block = {p->blockDimX, p->blockDimY, p->blockDimZ},
                        .shared = p->sharedMemBytes,
                };
                const struct fgsim_stream *stream = fgsim_object_get(p->hStream, FGSIM_STREAM);
                if (!launch.function || !stream || stream->home->ctx != launch.function->module->ctx)
                        return CUDA_ERROR_INVALID_HANDLE;
                r = enqueue(&launch, p->hStream, p->kernelParams, NULL);
        }
        return r;
}
