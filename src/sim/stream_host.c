/* SPDX-License-Identifier: Apache-2.0
 * Functions of the program in a stream. */
#include "sim/capture.h"
#include "sim/exec_task.h"

#include <stdlib.h>

struct callback {
        CUstreamCallback fn;
        CUstream stream;
        void *user;
};

static void callback_run(void *arg)
{
        struct callback callback = *(struct callback *)arg;

        free(arg);
        callback.fn(callback.stream, CUDA_SUCCESS, callback.user);
}

static CUresult launch_host(CUstream handle, CUhostFn fn, void *user)
{
        struct fgsim_task task = {.type = CU_GRAPH_NODE_TYPE_HOST, .host = {fn, user}};

        return fn ? fgsim_submit(handle, &task) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn fn, void *user)
{
        FGSIM_ENTER(cuLaunchHostFunc);
        return launch_host(handle, fn, user);
}

CUresult cuLaunchHostFunc_v2(CUstream handle, CUhostFn fn, void *user, unsigned int sync_mode)
{
        FGSIM_ENTER(cuLaunchHostFunc_v2);
        return launch_host(handle, fn, user);
}

/* Unlike a host function it cannot be captured. */
static CUresult may_call_back(CUstream handle)
{
        CUresult r;
        struct fgsim_stream *stream = fgsim_stream_get(handle, &r);

        if (!stream)
                return r;
        fgsim_lock();
        r = fgsim_capture_forbids(stream);
        fgsim_unlock();
        return r;
}

CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback fn, void *user, unsigned int flags)
{
        struct callback *callback;
        CUresult r;

        FGSIM_ENTER(cuStreamAddCallback);
        if (!fn || flags)
                return CUDA_ERROR_INVALID_VALUE;
        r = may_call_back(handle);
        if (r != CUDA_SUCCESS)
                return r;
        callback = malloc(sizeof(*callback));
        if (!callback)
                return CUDA_ERROR_OUT_OF_MEMORY;
        *callback = (struct callback){fn, handle, user};
        r = launch_host(handle, callback_run, callback);
        if (r != CUDA_SUCCESS)
                free(callback);
        return r;
}
