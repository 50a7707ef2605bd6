/* SPDX-License-Identifier: Apache-2.0
 * Occupancy: what threads, registers and shared memory of a multiprocessor allow. */
#include "sim/launch.h"

#define BLOCKS_PER_SM 32

static const struct fgsim_gpu_spec *gpu_of(const struct fgsim_function *function)
{
        return &fgsim_spec.gpu[function->module->ctx->gpu];
}

static int blocks_per_sm(const struct fgsim_function *function, int block, size_t shared)
{
        const struct fgsim_gpu_spec *gpu = gpu_of(function);
        size_t threads = ((size_t)block + 31) / 32 * 32, blocks;

        if (threads > 1024 || shared > gpu->shared_per_sm)
                return 0;
        blocks = gpu->threads_per_sm / threads;
        if (shared && gpu->shared_per_sm / shared < blocks)
                blocks = gpu->shared_per_sm / shared;
        return blocks < BLOCKS_PER_SM ? (int)blocks : BLOCKS_PER_SM;
}

uint64_t fgsim_blocks_at_once(const struct fgsim_function *function, const struct fgsim_launch *launch)
{
        unsigned block = launch->block[0] * launch->block[1] * launch->block[2];

        return (uint64_t)blocks_per_sm(function, (int)block, launch->shared) * gpu_of(function)->sms;
}

static CUresult active(int *ret, CUfunction handle, int block, size_t shared)
{
        const struct fgsim_function *function = fgsim_function_get(handle);

        if (!function)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || block <= 0)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = blocks_per_sm(function, block, shared);
        return CUDA_SUCCESS;
}

/* The block that keeps most threads of a multiprocessor busy; the larger one of equals. */
static CUresult potential(int *ret_grid, int *ret_block, CUfunction handle, CUoccupancyB2DSize shared_of, size_t shared,
                          int limit)
{
        const struct fgsim_function *function = fgsim_function_get(handle);
        int best = 0, best_blocks = 0;

        if (!function)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret_grid || !ret_block)
                return CUDA_ERROR_INVALID_VALUE;
        if (limit <= 0 || limit > 1024)
                limit = 1024;
        for (int block = limit >= 32 ? limit / 32 * 32 : limit; block > 0; block -= 32) {
                int blocks = blocks_per_sm(function, block, shared_of ? shared_of(block) : shared);
                if (blocks * block > best * best_blocks) {
                        best = block;
                        best_blocks = blocks;
                }
        }
        *ret_block = best;
        *ret_grid = best_blocks * (int)gpu_of(function)->sms;
        return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *ret, CUfunction handle, int block, size_t shared)
{
        FGSIM_ENTER(cuOccupancyMaxActiveBlocksPerMultiprocessor);
        return active(ret, handle, block, shared);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *ret, CUfunction handle, int block, size_t shared,
                                                              unsigned int flags)
{
        FGSIM_ENTER(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags);
        return active(ret, handle, block, shared);
}

CUresult cuOccupancyMaxPotentialBlockSize(int *ret_grid, int *ret_block, CUfunction handle,
                                          CUoccupancyB2DSize shared_of, size_t shared, int limit)
{
        FGSIM_ENTER(cuOccupancyMaxPotentialBlockSize);
        return potential(ret_grid, ret_block, handle, shared_of, shared, limit);
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *ret_grid, int *ret_block, CUfunction handle,
                                                   CUoccupancyB2DSize shared_of, size_t shared, int limit,
                                                   unsigned int flags)
{
        FGSIM_ENTER(cuOccupancyMaxPotentialBlockSizeWithFlags);
        return potential(ret_grid, ret_block, handle, shared_of, shared, limit);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *ret, CUfunction handle, int blocks, int block)
{
        const struct fgsim_function *function = fgsim_function_get(handle);

        FGSIM_ENTER(cuOccupancyAvailableDynamicSMemPerBlock);
        if (!function)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || blocks <= 0 || block <= 0)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = gpu_of(function)->shared_per_sm / (unsigned)blocks / 128 * 128;
        return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialClusterSize(int *ret, CUfunction handle, const CUlaunchConfig *config)
{
        const struct fgsim_function *function = fgsim_function_get(handle);

        FGSIM_ENTER(cuOccupancyMaxPotentialClusterSize);
        if (!function)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || !config)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = gpu_of(function)->major >= 9 ? 8 : 1;
        return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveClusters(int *ret, CUfunction handle, const CUlaunchConfig *config)
{
        const struct fgsim_function *function = fgsim_function_get(handle);
        unsigned cluster = 1;
        uint64_t block;

        FGSIM_ENTER(cuOccupancyMaxActiveClusters);
        if (!function)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || !config)
                return CUDA_ERROR_INVALID_VALUE;
        for (unsigned i = 0; i < config->numAttrs; i++)
                if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
                        cluster = config->attrs[i].value.clusterDim.x * config->attrs[i].value.clusterDim.y *
                                  config->attrs[i].value.clusterDim.z;
        block = (uint64_t)config->blockDimX * config->blockDimY * config->blockDimZ;
        if (cluster == 0 || block == 0 || block > 1024)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = blocks_per_sm(function, (int)block, config->sharedMemBytes) * (int)gpu_of(function)->sms / (int)cluster;
        return CUDA_SUCCESS;
}
