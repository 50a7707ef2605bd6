/* SPDX-License-Identifier: Apache-2.0
 * cuInit: the daemon's word about this process's vGPUs first, then the driver's about the devices below. */
#include "base/atomic.h"
#include "shim/cuda/core.h"
#include "shim/cuda/device.h"
#include "shim/cuda/session.h"

#include <pthread.h>

/* One first cuInit at a time, also while the driver works on it: it serialises them itself, and what it calls of
 * ours meanwhile passes by. */
static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t init_done;

static CUresult init_first(unsigned flags)
{
        struct fg_session *session = fgc_session();
        CUresult r;

        fgc_visible_begin(session);
        r = FGC_REAL(cuInit, flags);
        fgc_visible_end();
        if (r == CUDA_ERROR_NO_DEVICE)
                fgc_devices_gone(session); /* a word to the person: which GPU it was */
        if (r != CUDA_SUCCESS)
                return r;
        fgc_session_used();
        r = FGC_INSIDE(fgc_devices_init(session));
        if (r != CUDA_SUCCESS)
                fgc_close();
        else
                fg_store_release(&init_done, 1);
        return r;
}

static CUresult init_refuse(void)
{
        if (fgc_session_attach() < 0)
                fgc_session_complain(NULL);
        else if (!fgc_real.cuInit)
                fgc_session_complain("no CUDA driver here (libcuda.so.1)");
        return CUDA_ERROR_NO_DEVICE;
}

/* A thread that is cancelled in the middle would leave the lock behind. */
static CUresult init_alone(unsigned flags)
{
        int cancel;
        CUresult r;

        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
        pthread_mutex_lock(&init_lock);
        if (fg_load_acquire(&init_done))
                r = FGC_REAL(cuInit, flags);
        else
                r = fgc_session_attach() < 0 ? init_refuse() : init_first(flags);
        pthread_mutex_unlock(&init_lock);
        pthread_setcancelstate(cancel, NULL);
        return r;
}

CUresult fgc_cuInit(unsigned flags)
{
        CUresult r;

        FGC_PASS(cuInit, flags);
        fgc_session_notice_fork();
        /* The driver does not serve a child of a process that it served; if this one did, there would be no account
         * for it. */
        if (fgc_session_forked()) {
                r = FGC_REAL(cuInit, flags);
                return r == CUDA_SUCCESS ? CUDA_ERROR_NOT_INITIALIZED : r;
        }
        if (fgc_start() != FGC_OPEN)
                return init_refuse();
        if (fg_load_acquire(&init_done))
                return FGC_REAL(cuInit, flags);
        return init_alone(flags);
}

/* Another thread may have been in there. */
void fgc_init_forked(void)
{
        init_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}
