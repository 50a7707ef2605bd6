/* SPDX-License-Identifier: Apache-2.0
 * What makes the device work, and what waits for it. The first copy functions of CUDA (32-bit addresses, before 3.2) are left
 * out: they cannot name memory of today's devices. Batches of copies are with the devices (forward.c). */
#ifndef FGC_HOOKS_TIME_H
#define FGC_HOOKS_TIME_H

/* launch.c, launch_multi.c, graph_launch.c. Host functions are no device time: cuLaunchHostFunc is not hooked. */
#define FGC_HOOKS_LAUNCH(X) \
        X(cuLaunchKernel) X(cuLaunchKernel_ptsz) X(cuLaunchKernelEx) X(cuLaunchKernelEx_ptsz) \
        X(cuLaunchCooperativeKernel) X(cuLaunchCooperativeKernel_ptsz) X(cuLaunchCooperativeKernelMultiDevice) X(cuLaunch) \
        X(cuLaunchGrid) X(cuLaunchGridAsync) X(cuGraphLaunch) X(cuGraphLaunch_ptsz)

/* copy.c, copy_shape.c, copy_set.c */
#define FGC_HOOKS_COPY(X) \
        X(cuMemcpy) X(cuMemcpy_ptds) X(cuMemcpyAsync) X(cuMemcpyAsync_ptsz) X(cuMemcpyHtoD_v2) X(cuMemcpyHtoD_v2_ptds) \
        X(cuMemcpyHtoDAsync_v2) X(cuMemcpyHtoDAsync_v2_ptsz) X(cuMemcpyDtoH_v2) X(cuMemcpyDtoH_v2_ptds) \
        X(cuMemcpyDtoHAsync_v2) X(cuMemcpyDtoHAsync_v2_ptsz) X(cuMemcpyDtoD_v2) X(cuMemcpyDtoD_v2_ptds) \
        X(cuMemcpyDtoDAsync_v2) X(cuMemcpyDtoDAsync_v2_ptsz) X(cuMemcpyDtoA_v2) X(cuMemcpyDtoA_v2_ptds) X(cuMemcpyAtoD_v2) \
        X(cuMemcpyAtoD_v2_ptds) X(cuMemcpyHtoA_v2) X(cuMemcpyHtoA_v2_ptds) X(cuMemcpyHtoAAsync_v2) \
        X(cuMemcpyHtoAAsync_v2_ptsz) X(cuMemcpyAtoH_v2) X(cuMemcpyAtoH_v2_ptds) X(cuMemcpyAtoHAsync_v2) \
        X(cuMemcpyAtoHAsync_v2_ptsz) X(cuMemcpyAtoA_v2) X(cuMemcpyAtoA_v2_ptds) X(cuMemcpyPeer) X(cuMemcpyPeer_ptds) \
        X(cuMemcpyPeerAsync) X(cuMemcpyPeerAsync_ptsz) \
        X(cuMemcpy2D_v2) X(cuMemcpy2D_v2_ptds) X(cuMemcpy2DUnaligned_v2) X(cuMemcpy2DUnaligned_v2_ptds) \
        X(cuMemcpy2DAsync_v2) X(cuMemcpy2DAsync_v2_ptsz) X(cuMemcpy3D_v2) X(cuMemcpy3D_v2_ptds) X(cuMemcpy3DAsync_v2) \
        X(cuMemcpy3DAsync_v2_ptsz) X(cuMemcpy3DPeer) X(cuMemcpy3DPeer_ptds) X(cuMemcpy3DPeerAsync) \
        X(cuMemcpy3DPeerAsync_ptsz) \
        X(cuMemsetD8_v2) X(cuMemsetD8_v2_ptds) X(cuMemsetD8Async) X(cuMemsetD8Async_ptsz) X(cuMemsetD16_v2) \
        X(cuMemsetD16_v2_ptds) X(cuMemsetD16Async) X(cuMemsetD16Async_ptsz) X(cuMemsetD32_v2) X(cuMemsetD32_v2_ptds) \
        X(cuMemsetD32Async) X(cuMemsetD32Async_ptsz) X(cuMemsetD2D8_v2) X(cuMemsetD2D8_v2_ptds) X(cuMemsetD2D8Async) \
        X(cuMemsetD2D8Async_ptsz) X(cuMemsetD2D16_v2) X(cuMemsetD2D16_v2_ptds) X(cuMemsetD2D16Async) \
        X(cuMemsetD2D16Async_ptsz) X(cuMemsetD2D32_v2) X(cuMemsetD2D32_v2_ptds) X(cuMemsetD2D32Async) \
        X(cuMemsetD2D32Async_ptsz)

/* capture.c, sync.c */
#define FGC_HOOKS_STREAM(X) \
        X(cuStreamBeginCapture) X(cuStreamBeginCapture_ptsz) X(cuStreamBeginCapture_v2) X(cuStreamBeginCapture_v2_ptsz) \
        X(cuStreamBeginCaptureToGraph) X(cuStreamBeginCaptureToGraph_ptsz) X(cuStreamBeginCaptureToCig) \
        X(cuStreamBeginCaptureToCig_ptsz) X(cuStreamBeginRecaptureToGraph) X(cuStreamBeginRecaptureToGraph_ptsz) \
        X(cuStreamEndCapture) X(cuStreamEndCapture_ptsz) X(cuStreamEndCaptureToCig) X(cuStreamEndCaptureToCig_ptsz) \
        X(cuStreamCreate) X(cuStreamCreateWithPriority) X(cuGreenCtxStreamCreate) X(cuStreamDestroy) X(cuStreamDestroy_v2) \
        X(cuStreamSynchronize) X(cuStreamSynchronize_ptsz) X(cuCtxSynchronize) X(cuCtxSynchronize_v2) X(cuEventSynchronize)

#define FGC_HOOKS_TIME(X) FGC_HOOKS_LAUNCH(X) FGC_HOOKS_COPY(X) FGC_HOOKS_STREAM(X)

#endif
