/* SPDX-License-Identifier: Apache-2.0
 * Everything that takes or gives out a device number, except what other lists have for a better reason. */
#ifndef FGC_HOOKS_DEVICE_H
#define FGC_HOOKS_DEVICE_H

#define FGC_HOOKS_DEVICE(X) \
        /* What a device is (device_query.c, forward.c) */ \
        X(cuDeviceGetCount) X(cuDeviceGet) X(cuDeviceGetUuid) X(cuDeviceGetUuid_v2) X(cuDeviceTotalMem) \
        X(cuDeviceTotalMem_v2) X(cuMemGetInfo) X(cuMemGetInfo_v2) X(cuDeviceGetByPCIBusId) X(cuDeviceGetName) \
        X(cuDeviceGetAttribute) X(cuDeviceGetLuid) X(cuDeviceGetPCIBusId) X(cuDeviceGetProperties) \
        X(cuDeviceComputeCapability) X(cuDeviceGetTexture1DLinearMaxWidth) X(cuDeviceGetExecAffinitySupport) \
        X(cuDeviceGetNvSciSyncAttributes) X(cuDeviceGetHostAtomicCapabilities) X(cuDeviceGetFabricClusterUuid) \
        X(cuDeviceGetCliqueCount) X(cuDeviceGetCliqueInfo) X(cuDeviceRegisterAsyncNotification) \
        X(cuDeviceUnregisterAsyncNotification) X(cuDeviceGraphMemTrim) X(cuDeviceGetGraphMemAttribute) \
        X(cuDeviceSetGraphMemAttribute) \
        /* What has a part on each device (forward.c) */ \
        X(cuKernelGetAttribute) X(cuKernelSetAttribute) X(cuKernelSetCacheConfig) \
        X(cuArrayGetMemoryRequirements) X(cuMipmappedArrayGetMemoryRequirements) X(cuMulticastAddDevice) \
        X(cuMulticastBindMem_v2) X(cuMulticastBindAddr_v2) X(cuMulticastUnbind) X(cuLogicalEndpointAddDevice) \
        X(cuLogicalEndpointBindAddr) X(cuLogicalEndpointBindMem) X(cuLogicalEndpointUnbind) \
        X(cuLogicalEndpointCreate) X(cuLogicalEndpointGetLimits) \
        /* Contexts (context_hooks.c, primary.c, green.c) */ \
        X(cuCtxCreate) X(cuCtxCreate_v2) X(cuCtxCreate_v3) X(cuCtxCreate_v4) X(cuCtxDestroy) X(cuCtxDestroy_v2) \
        X(cuCtxAttach) X(cuCtxDetach) X(cuCtxSetCurrent) X(cuCtxPushCurrent) X(cuCtxPushCurrent_v2) \
        X(cuCtxPopCurrent) X(cuCtxPopCurrent_v2) X(cuCtxGetDevice) X(cuCtxGetDevice_v2) X(cuStreamGetDevice) \
        X(cuStreamGetDevice_ptsz) X(cuDevicePrimaryCtxRetain) X(cuDevicePrimaryCtxRelease) \
        X(cuDevicePrimaryCtxRelease_v2) X(cuDevicePrimaryCtxReset) X(cuDevicePrimaryCtxReset_v2) \
        X(cuDevicePrimaryCtxSetFlags) X(cuDevicePrimaryCtxSetFlags_v2) X(cuDevicePrimaryCtxGetState) \
        X(cuGreenCtxCreate) X(cuCtxFromGreenCtx) X(cuGreenCtxDestroy) X(cuDeviceGetDevResource) \
        /* Between devices (peer.c) */ \
        X(cuDeviceCanAccessPeer) X(cuDeviceGetP2PAttribute) X(cuDeviceGetP2PAtomicCapabilities) \
        /* Pools by device (pool_device.c) */ \
        X(cuDeviceGetDefaultMemPool) X(cuDeviceGetMemPool) X(cuDeviceSetMemPool) X(cuMemGetDefaultMemPool) \
        X(cuMemGetMemPool) X(cuMemSetMemPool) \
        /* Memory and where it is (location.c, pointer.c) */ \
        X(cuMemAdvise) X(cuMemAdvise_v2) X(cuMemPrefetchAsync) X(cuMemPrefetchAsync_ptsz) \
        X(cuMemPrefetchAsync_v2) X(cuMemPrefetchAsync_v2_ptsz) X(cuMemPrefetchBatchAsync) \
        X(cuMemPrefetchBatchAsync_ptsz) X(cuMemDiscardAndPrefetchBatchAsync) \
        X(cuMemDiscardAndPrefetchBatchAsync_ptsz) X(cuMemSetAccess) X(cuMemGetAccess) X(cuMemPoolSetAccess) \
        X(cuMemPoolGetAccess) X(cuMemGetAllocationGranularity) X(cuMemGetAllocationPropertiesFromHandle) \
        X(cuMemGetLocationInfo) X(cuPointerGetAttribute) \
        X(cuPointerGetAttributes) X(cuMemRangeGetAttribute) X(cuMemRangeGetAttributes) \
        /* Copies with hints (copy_hints.c) */ \
        X(cuMemcpyBatchAsync) X(cuMemcpyBatchAsync_ptsz) X(cuMemcpyBatchAsync_v2) X(cuMemcpyBatchAsync_v2_ptsz) \
        X(cuMemcpy3DBatchAsync) X(cuMemcpy3DBatchAsync_ptsz) X(cuMemcpy3DBatchAsync_v2) \
        X(cuMemcpy3DBatchAsync_v2_ptsz) X(cuMemcpyWithAttributesAsync) X(cuMemcpyWithAttributesAsync_ptsz) \
        X(cuMemcpy3DWithAttributesAsync) X(cuMemcpy3DWithAttributesAsync_ptsz) X(cuFabricCpyBatchAsync) \
        X(cuFabricCpyBatchAsync_ptsz) \
        /* Graph nodes and pools (node_device.c) */ \
        X(cuGraphNodeGetParams) X(cuGraphNodeSetParams) X(cuGraphNodeSetParams_v2) X(cuGraphExecNodeSetParams) \
        X(cuGraphMemAllocNodeGetParams) X(cuMemPoolGetAttribute) \
        /* What the runtime library is told of (export_table.c) */ \
        X(cuGetExportTable) \
        /* OpenGL and VDPAU (interop.c) */ \
        X(cuGLCtxCreate) X(cuGLCtxCreate_v2) X(cuGLGetDevices) X(cuGLGetDevices_v2) X(cuVDPAUCtxCreate) \
        X(cuVDPAUCtxCreate_v2) X(cuVDPAUGetDevice)

#endif
