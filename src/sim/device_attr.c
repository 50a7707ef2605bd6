/* SPDX-License-Identifier: Apache-2.0
 * Device attributes: one row for each that is not 0. */
#include "sim/internal.h"

#define A(name) CU_DEVICE_ATTRIBUTE_##name

static const struct {
        CUdevice_attribute attribute;
        int value;
} fixed[] = {
        {A(MAX_THREADS_PER_BLOCK), 1024},
        {A(MAX_BLOCK_DIM_X), 1024},
        {A(MAX_BLOCK_DIM_Y), 1024},
        {A(MAX_BLOCK_DIM_Z), 64},
        {A(MAX_GRID_DIM_X), 2147483647},
        {A(MAX_GRID_DIM_Y), 65535},
        {A(MAX_GRID_DIM_Z), 65535},
        {A(MAX_SHARED_MEMORY_PER_BLOCK), 49152},
        {A(TOTAL_CONSTANT_MEMORY), 65536},
        {A(WARP_SIZE), 32},
        {A(MAX_PITCH), 2147483647},
        {A(MAX_REGISTERS_PER_BLOCK), 65536},
        {A(TEXTURE_ALIGNMENT), 512},
        {A(TEXTURE_PITCH_ALIGNMENT), 32},
        {A(SURFACE_ALIGNMENT), 512},
        {A(GPU_OVERLAP), 1},
        {A(CAN_MAP_HOST_MEMORY), 1},
        {A(CONCURRENT_KERNELS), 1},
        {A(ECC_ENABLED), 1},
        {A(ASYNC_ENGINE_COUNT), 3},
        {A(UNIFIED_ADDRESSING), 1},
        {A(CAN_TEX2D_GATHER), 1},
        {A(MAXIMUM_TEXTURE1D_WIDTH), 131072},
        {A(MAXIMUM_TEXTURE2D_WIDTH), 131072},
        {A(MAXIMUM_TEXTURE2D_HEIGHT), 65536},
        {A(MAXIMUM_TEXTURE3D_WIDTH), 16384},
        {A(MAXIMUM_TEXTURE3D_HEIGHT), 16384},
        {A(MAXIMUM_TEXTURE3D_DEPTH), 16384},
        {A(MAXIMUM_TEXTURE2D_LAYERED_WIDTH), 32768},
        {A(MAXIMUM_TEXTURE2D_LAYERED_HEIGHT), 32768},
        {A(MAXIMUM_TEXTURE2D_LAYERED_LAYERS), 2048},
        {A(MAXIMUM_TEXTURE1D_LAYERED_WIDTH), 32768},
        {A(MAXIMUM_TEXTURE1D_LAYERED_LAYERS), 2048},
        {A(MAXIMUM_TEXTURE2D_GATHER_WIDTH), 32768},
        {A(MAXIMUM_TEXTURE2D_GATHER_HEIGHT), 32768},
        {A(MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE), 8192},
        {A(MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE), 8192},
        {A(MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE), 32768},
        {A(MAXIMUM_TEXTURECUBEMAP_WIDTH), 32768},
        {A(MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH), 32768},
        {A(MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS), 2046},
        {A(MAXIMUM_SURFACE1D_WIDTH), 32768},
        {A(MAXIMUM_SURFACE2D_WIDTH), 131072},
        {A(MAXIMUM_SURFACE2D_HEIGHT), 65536},
        {A(MAXIMUM_SURFACE3D_WIDTH), 16384},
        {A(MAXIMUM_SURFACE3D_HEIGHT), 16384},
        {A(MAXIMUM_SURFACE3D_DEPTH), 16384},
        {A(MAXIMUM_TEXTURE1D_LINEAR_WIDTH), 268435456},
        {A(MAXIMUM_TEXTURE2D_LINEAR_WIDTH), 131072},
        {A(MAXIMUM_TEXTURE2D_LINEAR_HEIGHT), 65000},
        {A(MAXIMUM_TEXTURE2D_LINEAR_PITCH), 2097120},
        {A(MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH), 32768},
        {A(MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT), 32768},
        {A(MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH), 32768},
        {A(STREAM_PRIORITIES_SUPPORTED), 1},
        {A(GLOBAL_L1_CACHE_SUPPORTED), 1},
        {A(LOCAL_L1_CACHE_SUPPORTED), 1},
        {A(MAX_REGISTERS_PER_MULTIPROCESSOR), 65536},
        {A(MANAGED_MEMORY), 1},
        {A(SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO), 2},
        {A(CONCURRENT_MANAGED_ACCESS), 1},
        {A(COMPUTE_PREEMPTION_SUPPORTED), 1},
        {A(CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM), 1},
        {A(CAN_USE_64_BIT_STREAM_MEM_OPS), 1},
        {A(CAN_USE_64_BIT_STREAM_MEM_OPS_V1), 1},
        {A(CAN_USE_STREAM_MEM_OPS_V1), 1},
        {A(CAN_USE_STREAM_WAIT_VALUE_NOR), 1},
        {A(CAN_USE_STREAM_WAIT_VALUE_NOR_V1), 1},
        {A(COOPERATIVE_LAUNCH), 1},
        {A(HOST_REGISTER_SUPPORTED), 1},
        {A(READ_ONLY_HOST_REGISTER_SUPPORTED), 1},
        {A(VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED), 1},
        {A(HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED), 1},
        {A(MAX_BLOCKS_PER_MULTIPROCESSOR), 32},
        {A(RESERVED_SHARED_MEMORY_PER_BLOCK), 1024},
        {A(MEMORY_POOLS_SUPPORTED), 1},
        {A(MEMPOOL_SUPPORTED_HANDLE_TYPES), CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR},
        {A(IPC_EVENT_SUPPORTED), 1},
        {A(MEM_SYNC_DOMAIN_COUNT), 1},
        {A(UNIFIED_FUNCTION_POINTERS), 1},
        {A(NUMA_ID), -1},
        {A(HOST_NUMA_ID), 0},
        {A(SPARSE_CUDA_ARRAY_SUPPORTED), 0},
        {A(TIMELINE_SEMAPHORE_INTEROP_SUPPORTED), 0},
};

/* Those that the spec decides. */
static bool from_spec(const struct fgsim_gpu_spec *spec, uint32_t gpu, CUdevice_attribute attribute, int *ret)
{
        switch ((int)attribute) {
        case A(CLOCK_RATE):
                return *ret = (int)spec->clock_mhz * 1000, true;
        case A(MEMORY_CLOCK_RATE):
                return *ret = (int)spec->memory_clock_mhz * 1000, true;
        case A(MULTIPROCESSOR_COUNT):
                return *ret = (int)spec->sms, true;
        case A(PCI_BUS_ID):
                return *ret = (int)gpu + 1, true;
        case A(GLOBAL_MEMORY_BUS_WIDTH):
                return *ret = (int)spec->bus_width, true;
        case A(L2_CACHE_SIZE):
                return *ret = (int)spec->l2_bytes, true;
        case A(MAX_THREADS_PER_MULTIPROCESSOR):
                return *ret = (int)spec->threads_per_sm, true;
        case A(COMPUTE_CAPABILITY_MAJOR):
                return *ret = (int)spec->major, true;
        case A(COMPUTE_CAPABILITY_MINOR):
                return *ret = (int)spec->minor, true;
        case A(MAX_SHARED_MEMORY_PER_MULTIPROCESSOR):
                return *ret = (int)spec->shared_per_sm, true;
        case A(MAX_SHARED_MEMORY_PER_BLOCK_OPTIN):
                return *ret = (int)spec->shared_per_sm - 1024, true;
        case A(CLUSTER_LAUNCH):
        case A(TENSOR_MAP_ACCESS_SUPPORTED):
                return *ret = spec->major >= 9, true;
        default:
                return false;
        }
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceGetAttribute);
        uint32_t gpu;
        if (!value || (int)attribute <= 0 || (int)attribute > 1024)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        if (from_spec(&fgsim_spec.gpu[gpu], gpu, attribute, value))
                return CUDA_SUCCESS;
        *value = 0;
        for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
                if (fixed[i].attribute == attribute)
                        *value = fixed[i].value;
        return CUDA_SUCCESS;
}

CUresult cuDeviceGetProperties(CUdevprop *prop, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceGetProperties);
        uint32_t gpu;
        if (!prop)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        *prop = (CUdevprop){.maxThreadsPerBlock = 1024,
                            .maxThreadsDim = {1024, 1024, 64},
                            .maxGridSize = {2147483647, 65535, 65535},
                            .sharedMemPerBlock = 49152,
                            .totalConstantMemory = 65536,
                            .SIMDWidth = 32,
                            .memPitch = 2147483647,
                            .regsPerBlock = 65536,
                            .clockRate = (int)fgsim_spec.gpu[gpu].clock_mhz * 1000,
                            .textureAlign = 512};
        return CUDA_SUCCESS;
}
