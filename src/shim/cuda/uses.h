/* SPDX-License-Identifier: Apache-2.0
 * Functions of the real driver that hooks call although they are not hooked: fgc_real.NAME. A name stands here once, and in
 * no hooks_*.h list. */
#ifndef FGC_USES_H
#define FGC_USES_H

#define FGC_USES(X) \
        X(cuDriverGetVersion) \
        X(cuGetErrorName) \
        X(cuGetErrorString) \
        X(cuCtxGetCurrent) \
        X(cuStreamGetCtx) \
        X(cuStreamIsCapturing) X(cuThreadExchangeStreamCaptureMode) \
        X(cuStreamQuery) X(cuStreamWaitEvent) X(cuEventCreate) X(cuEventRecord) X(cuEventQuery) X(cuLaunchHostFunc) \
        X(cuGraphNodeGetType) X(cuGraphChildGraphNodeGetGraph) X(cuGraphGetNodes)

#endif
