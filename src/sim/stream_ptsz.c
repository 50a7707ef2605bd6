/* SPDX-License-Identifier: Apache-2.0
 * The _ptsz forms of what takes a stream: the same, but 0 means the calling thread's own. Copies and memsets have
 * theirs beside them. */
#include "sim/stream.h"

#define OWN(stream) fgsim_own_stream(stream)

/* Faults know both names. */
#define PTSZ(name, params, args)                                                                                       \
        CUresult name##_ptsz params                                                                                    \
        {                                                                                                              \
                FGSIM_ENTER(name##_ptsz);                                                                              \
                return name args;                                                                                      \
        }

PTSZ(cuStreamSynchronize, (CUstream s), (OWN(s)))
PTSZ(cuStreamQuery, (CUstream s), (OWN(s)))
PTSZ(cuStreamGetPriority, (CUstream s, int *ret), (OWN(s), ret))
PTSZ(cuStreamGetFlags, (CUstream s, unsigned int *ret), (OWN(s), ret))
PTSZ(cuStreamGetId, (CUstream s, unsigned long long *ret), (OWN(s), ret))
PTSZ(cuStreamGetDevice, (CUstream s, CUdevice *ret), (OWN(s), ret))
PTSZ(cuStreamGetCtx, (CUstream s, CUcontext *ret), (OWN(s), ret))
PTSZ(cuStreamGetCtx_v2, (CUstream s, CUcontext *ret, CUgreenCtx *green), (OWN(s), ret, green))
PTSZ(cuStreamCopyAttributes, (CUstream to, CUstream from), (OWN(to), OWN(from)))
PTSZ(cuStreamGetAttribute, (CUstream s, CUstreamAttrID id, CUstreamAttrValue *ret), (OWN(s), id, ret))
PTSZ(cuStreamSetAttribute, (CUstream s, CUstreamAttrID id, const CUstreamAttrValue *value), (OWN(s), id, value))
PTSZ(cuStreamAttachMemAsync, (CUstream s, CUdeviceptr p, size_t n, unsigned int flags), (OWN(s), p, n, flags))
PTSZ(cuStreamAddCallback, (CUstream s, CUstreamCallback fn, void *user, unsigned int flags), (OWN(s), fn, user, flags))
PTSZ(cuLaunchHostFunc, (CUstream s, CUhostFn fn, void *user), (OWN(s), fn, user))
PTSZ(cuLaunchHostFunc_v2, (CUstream s, CUhostFn fn, void *user, unsigned int mode), (OWN(s), fn, user, mode))
PTSZ(cuStreamWaitValue32, (CUstream s, CUdeviceptr p, cuuint32_t value, unsigned int flags), (OWN(s), p, value, flags))
PTSZ(cuStreamWaitValue64, (CUstream s, CUdeviceptr p, cuuint64_t value, unsigned int flags), (OWN(s), p, value, flags))
PTSZ(cuStreamWriteValue32, (CUstream s, CUdeviceptr p, cuuint32_t value, unsigned int flags), (OWN(s), p, value, flags))
PTSZ(cuStreamWriteValue64, (CUstream s, CUdeviceptr p, cuuint64_t value, unsigned int flags), (OWN(s), p, value, flags))
PTSZ(cuStreamWaitValue32_v2, (CUstream s, CUdeviceptr p, cuuint32_t value, unsigned int flags),
     (OWN(s), p, value, flags))
PTSZ(cuStreamWaitValue64_v2, (CUstream s, CUdeviceptr p, cuuint64_t value, unsigned int flags),
     (OWN(s), p, value, flags))
PTSZ(cuStreamWriteValue32_v2, (CUstream s, CUdeviceptr p, cuuint32_t value, unsigned int flags),
     (OWN(s), p, value, flags))
PTSZ(cuStreamWriteValue64_v2, (CUstream s, CUdeviceptr p, cuuint64_t value, unsigned int flags),
     (OWN(s), p, value, flags))
PTSZ(cuStreamBatchMemOp, (CUstream s, unsigned int n, CUstreamBatchMemOpParams *p, unsigned int flags),
     (OWN(s), n, p, flags))
PTSZ(cuStreamBatchMemOp_v2, (CUstream s, unsigned int n, CUstreamBatchMemOpParams *p, unsigned int flags),
     (OWN(s), n, p, flags))

PTSZ(cuEventRecord, (CUevent event, CUstream s), (event, OWN(s)))
PTSZ(cuEventRecordWithFlags, (CUevent event, CUstream s, unsigned int flags), (event, OWN(s), flags))
PTSZ(cuStreamWaitEvent, (CUstream s, CUevent event, unsigned int flags), (OWN(s), event, flags))

PTSZ(cuStreamBeginCapture, (CUstream s), (OWN(s)))
PTSZ(cuStreamBeginCapture_v2, (CUstream s, CUstreamCaptureMode mode), (OWN(s), mode))
PTSZ(cuStreamBeginCaptureToGraph,
     (CUstream s, CUgraph graph, const CUgraphNode *nodes, const CUgraphEdgeData *edges, size_t n,
      CUstreamCaptureMode mode),
     (OWN(s), graph, nodes, edges, n, mode))
PTSZ(cuStreamEndCapture, (CUstream s, CUgraph *ret), (OWN(s), ret))
PTSZ(cuStreamIsCapturing, (CUstream s, CUstreamCaptureStatus *ret), (OWN(s), ret))
PTSZ(cuStreamGetCaptureInfo, (CUstream s, CUstreamCaptureStatus *ret, cuuint64_t *id), (OWN(s), ret, id))
PTSZ(cuStreamGetCaptureInfo_v2,
     (CUstream s, CUstreamCaptureStatus *ret, cuuint64_t *id, CUgraph *graph, const CUgraphNode **nodes, size_t *n),
     (OWN(s), ret, id, graph, nodes, n))
PTSZ(cuStreamGetCaptureInfo_v3,
     (CUstream s, CUstreamCaptureStatus *ret, cuuint64_t *id, CUgraph *graph, const CUgraphNode **nodes,
      const CUgraphEdgeData **edges, size_t *n),
     (OWN(s), ret, id, graph, nodes, edges, n))
PTSZ(cuStreamUpdateCaptureDependencies, (CUstream s, CUgraphNode *nodes, size_t n, unsigned int flags),
     (OWN(s), nodes, n, flags))
PTSZ(cuStreamUpdateCaptureDependencies_v2,
     (CUstream s, CUgraphNode *nodes, const CUgraphEdgeData *edges, size_t n, unsigned int flags),
     (OWN(s), nodes, edges, n, flags))

PTSZ(cuLaunchKernel,
     (CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by,
      unsigned int bz, unsigned int shared, CUstream s, void **params, void **extra),
     (f, gx, gy, gz, bx, by, bz, shared, OWN(s), params, extra))
PTSZ(cuLaunchCooperativeKernel,
     (CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by,
      unsigned int bz, unsigned int shared, CUstream s, void **params),
     (f, gx, gy, gz, bx, by, bz, shared, OWN(s), params))
PTSZ(cuGraphLaunch, (CUgraphExec exec, CUstream s), (exec, OWN(s)))
PTSZ(cuGraphUpload, (CUgraphExec exec, CUstream s), (exec, OWN(s)))
