/* SPDX-License-Identifier: Apache-2.0
 * Everything that takes or gives back device memory, except contexts (hooks_device.h). Host memory (cuMemAllocHost,
 * cuMemHostAlloc, cuMemHostRegister) and memory that another process pays for (cuIpcOpenMemHandle,
 * cuMemPoolImportPointer) are not charged, so not hooked. */
#ifndef FGC_HOOKS_MEMORY_H
#define FGC_HOOKS_MEMORY_H

#define FGC_HOOKS_MEMORY(X) \
        /* memory.c */ \
        X(cuMemAlloc) X(cuMemAlloc_v2) X(cuMemAllocPitch) X(cuMemAllocPitch_v2) X(cuMemAllocManaged) X(cuMemFree) \
        X(cuMemFree_v2) \
        /* memory_async.c, pool_hooks.c */ \
        X(cuMemAllocAsync) X(cuMemAllocAsync_ptsz) X(cuMemAllocFromPoolAsync) X(cuMemAllocFromPoolAsync_ptsz) \
        X(cuMemFreeAsync) X(cuMemFreeAsync_ptsz) X(cuMemPoolCreate) X(cuMemPoolDestroy) X(cuMemPoolTrimTo) \
        X(cuMemPoolImportFromShareableHandle) \
        /* vmm.c, vmm_map.c */ \
        X(cuMemCreate) X(cuMemRelease) X(cuMemMap) X(cuMemUnmap) X(cuMemRetainAllocationHandle) \
        X(cuMemExportToShareableHandle) X(cuMemImportFromShareableHandle) X(cuMemMapArrayAsync) \
        X(cuMemMapArrayAsync_ptsz) \
        /* array.c, external.c */ \
        X(cuArrayCreate) X(cuArrayCreate_v2) X(cuArray3DCreate) X(cuArray3DCreate_v2) X(cuArrayDestroy) \
        X(cuMipmappedArrayCreate) X(cuMipmappedArrayDestroy) X(cuImportExternalMemory) X(cuDestroyExternalMemory) \
        /* graph_memory_hooks.c */ \
        X(cuGraphAddMemAllocNode) X(cuGraphAddNode) X(cuGraphAddNode_v2) X(cuGraphAddNode_v3) \
        X(cuGraphInstantiate) X(cuGraphInstantiate_v2) X(cuGraphInstantiateWithFlags) X(cuGraphInstantiateWithParams) X(cuGraphInstantiateWithParams_ptsz) \
        X(cuGraphUpload) X(cuGraphUpload_ptsz) X(cuGraphExecUpdate) X(cuGraphExecUpdate_v2) X(cuGraphExecDestroy) \
        /* module_memory.c */ \
        X(cuModuleLoad) X(cuModuleLoadData) X(cuModuleLoadDataEx) X(cuModuleLoadFatBinary) X(cuModuleUnload) \
        X(cuLibraryLoadData) X(cuLibraryLoadFromFile) X(cuLibraryUnload)

#endif
