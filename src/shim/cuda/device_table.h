/* SPDX-License-Identifier: Apache-2.0
 *
 * Every function of the interface that takes or gives out a device number, also inside a structure, and what becomes of it.
 * Read by tests/cuda/test_device_table.py, which compares it with the hooks and with the vendor's header. */
#ifndef FGC_DEVICE_TABLE_H
#define FGC_DEVICE_TABLE_H

#define FGC_DEVICE_TABLE(X) \
        /* OURS: answered from the vGPU's own figures */ \
        X(cuDeviceGetCount, OURS) X(cuDeviceGet, OURS) X(cuDeviceGetUuid, OURS) X(cuDeviceGetUuid_v2, OURS) \
        X(cuDeviceTotalMem, OURS) X(cuDeviceTotalMem_v2, OURS) X(cuMemGetInfo, OURS) X(cuMemGetInfo_v2, OURS) \
        /* TABLE: two functions in one undocumented table, where vGPUs share a device */ \
        X(cuGetExportTable, TABLE) \
        /* IN: the program's number becomes the driver's */ \
        X(cuArrayGetMemoryRequirements, IN) X(cuDeviceComputeCapability, IN) X(cuDeviceGetAttribute, IN) \
        X(cuDeviceGetCliqueCount, IN) X(cuDeviceGetCliqueInfo, IN) X(cuDeviceGetDevResource, IN) \
        X(cuDeviceGetExecAffinitySupport, IN) X(cuDeviceGetFabricClusterUuid, IN) \
        X(cuDeviceGetGraphMemAttribute, IN) X(cuDeviceGetHostAtomicCapabilities, IN) X(cuDeviceGetLuid, IN) \
        X(cuDeviceGetName, IN) X(cuDeviceGetNvSciSyncAttributes, IN) X(cuDeviceGetPCIBusId, IN) \
        X(cuDeviceGetProperties, IN) X(cuDeviceGetTexture1DLinearMaxWidth, IN) X(cuDeviceGraphMemTrim, IN) \
        X(cuDeviceRegisterAsyncNotification, IN) X(cuDeviceSetGraphMemAttribute, IN) \
        X(cuDeviceUnregisterAsyncNotification, IN) X(cuKernelGetAttribute, IN) X(cuKernelSetAttribute, IN) \
        X(cuKernelSetCacheConfig, IN) X(cuLogicalEndpointAddDevice, IN) X(cuLogicalEndpointBindAddr, IN) \
        X(cuLogicalEndpointBindMem, IN) X(cuLogicalEndpointUnbind, IN) X(cuMemAdvise, IN) X(cuMemPrefetchAsync, IN) \
        X(cuMemPrefetchAsync_ptsz, IN) X(cuMipmappedArrayGetMemoryRequirements, IN) X(cuMulticastAddDevice, IN) \
        X(cuMulticastBindAddr_v2, IN) X(cuMulticastBindMem_v2, IN) X(cuMulticastUnbind, IN) \
        /* STRUCT: the same inside structures: the driver gets a copy */ \
        X(cuFabricCpyBatchAsync, STRUCT) X(cuFabricCpyBatchAsync_ptsz, STRUCT) X(cuGraphExecNodeSetParams, STRUCT) \
        X(cuGraphNodeSetParams, STRUCT) X(cuGraphNodeSetParams_v2, STRUCT) X(cuLogicalEndpointCreate, STRUCT) \
        X(cuLogicalEndpointGetLimits, STRUCT) X(cuMemAdvise_v2, STRUCT) X(cuMemDiscardAndPrefetchBatchAsync, STRUCT) \
        X(cuMemDiscardAndPrefetchBatchAsync_ptsz, STRUCT) X(cuMemGetAccess, STRUCT) \
        X(cuMemGetAllocationGranularity, STRUCT) X(cuMemPoolGetAccess, STRUCT) X(cuMemPoolSetAccess, STRUCT) \
        X(cuMemPrefetchAsync_v2, STRUCT) X(cuMemPrefetchAsync_v2_ptsz, STRUCT) X(cuMemPrefetchBatchAsync, STRUCT) \
        X(cuMemPrefetchBatchAsync_ptsz, STRUCT) X(cuMemSetAccess, STRUCT) X(cuMemcpy3DBatchAsync, STRUCT) \
        X(cuMemcpy3DBatchAsync_ptsz, STRUCT) X(cuMemcpy3DBatchAsync_v2, STRUCT) \
        X(cuMemcpy3DBatchAsync_v2_ptsz, STRUCT) X(cuMemcpy3DWithAttributesAsync, STRUCT) \
        X(cuMemcpy3DWithAttributesAsync_ptsz, STRUCT) X(cuMemcpyBatchAsync, STRUCT) \
        X(cuMemcpyBatchAsync_ptsz, STRUCT) X(cuMemcpyBatchAsync_v2, STRUCT) X(cuMemcpyBatchAsync_v2_ptsz, STRUCT) \
        X(cuMemcpyWithAttributesAsync, STRUCT) X(cuMemcpyWithAttributesAsync_ptsz, STRUCT) \
        /* OUT: the driver's number in the answer becomes the program's */ \
        X(cuDeviceGetByPCIBusId, OUT) X(cuCtxGetDevice, OUT) X(cuCtxGetDevice_v2, OUT) X(cuStreamGetDevice, OUT) \
        X(cuStreamGetDevice_ptsz, OUT) X(cuPointerGetAttribute, OUT) X(cuPointerGetAttributes, OUT) \
        X(cuMemRangeGetAttribute, OUT) X(cuMemRangeGetAttributes, OUT) X(cuMemGetLocationInfo, OUT) \
        X(cuMemGetAllocationPropertiesFromHandle, OUT) X(cuGraphMemAllocNodeGetParams, OUT) \
        X(cuGraphNodeGetParams, OUT) X(cuMemPoolGetAttribute, OUT) X(cuGLGetDevices, OUT) X(cuGLGetDevices_v2, OUT) \
        X(cuVDPAUGetDevice, OUT) \
        /* CONTEXT: makes, ends or changes contexts */ \
        X(cuCtxCreate, CONTEXT) X(cuCtxCreate_v2, CONTEXT) X(cuCtxCreate_v3, CONTEXT) X(cuCtxCreate_v4, CONTEXT) \
        X(cuCtxDestroy, CONTEXT) X(cuCtxDestroy_v2, CONTEXT) X(cuCtxAttach, CONTEXT) X(cuCtxDetach, CONTEXT) \
        X(cuCtxSetCurrent, CONTEXT) X(cuCtxPushCurrent, CONTEXT) X(cuCtxPushCurrent_v2, CONTEXT) \
        X(cuCtxPopCurrent, CONTEXT) X(cuCtxPopCurrent_v2, CONTEXT) X(cuGLCtxCreate, CONTEXT) \
        X(cuGLCtxCreate_v2, CONTEXT) X(cuVDPAUCtxCreate, CONTEXT) X(cuVDPAUCtxCreate_v2, CONTEXT) \
        X(cuGreenCtxCreate, CONTEXT) X(cuCtxFromGreenCtx, CONTEXT) X(cuGreenCtxDestroy, CONTEXT) \
        /* PRIMARY: the driver's primary context, or one of ours that plays its part */ \
        X(cuDevicePrimaryCtxRetain, PRIMARY) X(cuDevicePrimaryCtxRelease, PRIMARY) \
        X(cuDevicePrimaryCtxRelease_v2, PRIMARY) X(cuDevicePrimaryCtxReset, PRIMARY) \
        X(cuDevicePrimaryCtxReset_v2, PRIMARY) X(cuDevicePrimaryCtxSetFlags, PRIMARY) \
        X(cuDevicePrimaryCtxSetFlags_v2, PRIMARY) X(cuDevicePrimaryCtxGetState, PRIMARY) \
        /* POOL: a further vGPU on a device has pools of its own */ \
        X(cuDeviceGetDefaultMemPool, POOL) X(cuDeviceGetMemPool, POOL) X(cuDeviceSetMemPool, POOL) \
        X(cuMemGetDefaultMemPool, POOL) X(cuMemGetMemPool, POOL) X(cuMemSetMemPool, POOL) \
        /* PEER: both numbers in; two vGPUs on one device are no peers */ \
        X(cuDeviceCanAccessPeer, PEER) X(cuDeviceGetP2PAttribute, PEER) X(cuDeviceGetP2PAtomicCapabilities, PEER) \
        /* BARE: what the program may not look into comes back as it was given out (CUdevResource), or what \
         * can be set is no device */ \
        X(cuCtxGetDevResource, BARE) X(cuGreenCtxGetDevResource, BARE) X(cuStreamGetDevResource, BARE) \
        X(cuStreamGetDevResource_ptsz, BARE) X(cuDevResourceGenerateDesc, BARE) X(cuDevSmResourceSplit, BARE) \
        X(cuDevSmResourceSplitByCount, BARE) X(cuMemPoolSetAttribute, BARE) X(cuPointerSetAttribute, BARE) \
        /* MEMORY: hooked for what it allocates; translated there */ \
        X(cuGraphAddMemAllocNode, MEMORY) X(cuGraphAddNode, MEMORY) X(cuGraphAddNode_v2, MEMORY) \
        X(cuGraphAddNode_v3, MEMORY) X(cuMemCreate, MEMORY) X(cuMemMapArrayAsync, MEMORY) \
        X(cuMemMapArrayAsync_ptsz, MEMORY) X(cuMemPoolCreate, MEMORY)

#endif
