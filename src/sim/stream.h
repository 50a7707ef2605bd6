/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGSIM_STREAM_H
#define FGSIM_STREAM_H

#include "sim/exec.h"

#define FGSIM_PRIORITY_HIGHEST (-5) /* of streams; the lowest is 0 */

CUresult fgsim_stream_create(CUstream *ret, unsigned flags, int priority);
CUresult fgsim_stream_destroy(CUstream handle);
CUresult fgsim_stream_wait(CUstream handle);
CUresult fgsim_stream_query(CUstream handle);

/* What the _ptsz form of a function makes of its stream. */
static inline CUstream fgsim_own_stream(CUstream handle)
{
        return handle ? handle : CU_STREAM_PER_THREAD;
}

#endif
