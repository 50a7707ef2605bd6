/* SPDX-License-Identifier: Apache-2.0
 * cuIpc…MemHandle: memory of another process. The bytes count in the process that allocated them. */
#include "sim/card.h"

#include <string.h>
#include <unistd.h>

CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address)
{
        FGSIM_ENTER_CONTEXT(cuIpcGetMemHandle, ctx);
        struct fgsim_range *range = fgsim_arena_find(address);
        struct fgsim_card card;
        if (!handle || !range || range->kind != FGSIM_MEM_DEVICE || !fgsim_card_of_range(range, &card))
                return CUDA_ERROR_INVALID_VALUE;
        memset(handle, 0, sizeof *handle);
        memcpy(handle, &card, sizeof card);
        return CUDA_SUCCESS;
}

static CUresult open_handle(CUdeviceptr *ret, const CUipcMemHandle *handle, unsigned flags, struct fgsim_context *ctx)
{
        struct fgsim_card card;
        if (!ret || flags & ~(unsigned)CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)
                return CUDA_ERROR_INVALID_VALUE;
        memcpy(&card, handle, sizeof card);
        /* As on the real one: not in the process that made it. */
        if (card.pid == (uint32_t)getpid())
                return CUDA_ERROR_INVALID_CONTEXT;
        FGSIM_PERMITTED();
        return fgsim_card_open(&card, ctx, ret);
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *ret, CUipcMemHandle handle, unsigned int flags)
{
        FGSIM_ENTER_CONTEXT(cuIpcOpenMemHandle_v2, ctx);
        return open_handle(ret, &handle, flags, ctx);
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *ret, CUipcMemHandle handle, unsigned int flags)
{
        FGSIM_ENTER_CONTEXT(cuIpcOpenMemHandle, ctx);
        return open_handle(ret, &handle, flags, ctx);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address)
{
        FGSIM_ENTER_CONTEXT(cuIpcCloseMemHandle, ctx);
        FGSIM_PERMITTED();
        fgsim_exec_drain(ctx);
        return fgsim_ipc_close(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
