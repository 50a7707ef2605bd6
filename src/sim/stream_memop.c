/* SPDX-License-Identifier: Apache-2.0
 * Waiting for words in memory and writing them, in stream order. Anybody may write such a word, so it is looked at
 * again and again. */
#include "sim/exec_task.h"

#include <stdlib.h>

struct memop_op {
        struct fgsim_op op;
        CUstreamBatchMemOpParams param;
};

static bool compares(uint64_t found, uint64_t value, unsigned flags, unsigned bits)
{
        switch (flags & 3) {
        case CU_STREAM_WAIT_VALUE_GEQ: /* cyclic */
                return bits == 32 ? (int32_t)((uint32_t)found - (uint32_t)value) >= 0 : (int64_t)(found - value) >= 0;
        case CU_STREAM_WAIT_VALUE_EQ:
                return found == value;
        case CU_STREAM_WAIT_VALUE_AND:
                return found & value;
        default:
                return ~(found | value) & (bits == 32 ? UINT32_MAX : UINT64_MAX);
        }
}

static bool memop_may(struct fgsim_op *op, uint64_t *at)
{
        const CUstreamBatchMemOpParams *param = &((struct memop_op *)op)->param;
        uint64_t now;
        bool may;

        if (param->operation == CU_STREAM_MEM_OP_WAIT_VALUE_32)
                may = compares(fg_load_acquire((uint32_t *)param->waitValue.address), param->waitValue.value,
                               param->waitValue.flags, 32);
        else
                may = compares(fg_load_acquire((uint64_t *)param->waitValue.address), param->waitValue.value64,
                               param->waitValue.flags, 64);
        now = may ? fg_now() : 0;
        *at = *at > now ? *at : now;
        return may;
}

static void memop_end(struct fgsim_op *op, uint64_t at)
{
        const CUstreamBatchMemOpParams *param = &((struct memop_op *)op)->param;

        if (param->operation == CU_STREAM_MEM_OP_WRITE_VALUE_32)
                fg_store_release((uint32_t *)param->writeValue.address, param->writeValue.value);
        else if (param->operation == CU_STREAM_MEM_OP_WRITE_VALUE_64)
                fg_store_release((uint64_t *)param->writeValue.address, param->writeValue.value64);
}

struct fgsim_op *fgsim_memop_op(const CUstreamBatchMemOpParams *param)
{
        static const struct fgsim_op_class wait = {.may = memop_may, .polls = true};
        static const struct fgsim_op_class write = {.end = memop_end};
        struct memop_op *op = calloc(1, sizeof(*op));
        bool waits = param->operation == CU_STREAM_MEM_OP_WAIT_VALUE_32 ||
                     param->operation == CU_STREAM_MEM_OP_WAIT_VALUE_64;

        if (!op)
                return NULL;
        op->op.class = waits ? &wait : &write;
        op->op.lane = FGSIM_LANE_NONE;
        op->param = *param;
        return &op->op;
}

static CUresult memop_check(const CUstreamBatchMemOpParams *param)
{
        CUdeviceptr address = param->waitValue.address;
        unsigned bytes = param->operation >= CU_STREAM_MEM_OP_WAIT_VALUE_64 ? 8 : 4;

        switch (param->operation) {
        case CU_STREAM_MEM_OP_WAIT_VALUE_32:
        case CU_STREAM_MEM_OP_WRITE_VALUE_32:
        case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        case CU_STREAM_MEM_OP_WRITE_VALUE_64:
                return address % bytes == 0 && fgsim_range_find(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        case CU_STREAM_MEM_OP_BARRIER:
        case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
                return CUDA_SUCCESS;
        default:
                return CUDA_ERROR_INVALID_VALUE;
        }
}

static CUresult batch(CUstream handle, unsigned count, CUstreamBatchMemOpParams *param)
{
        struct fgsim_task task = {.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, .memop = {count, param}};
        CUresult r = count <= 256 && (param || count == 0) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

        for (unsigned i = 0; i < count && r == CUDA_SUCCESS; i++)
                r = memop_check(&param[i]);
        return r == CUDA_SUCCESS ? fgsim_submit(handle, &task) : r;
}

static CUresult one(CUstream handle, CUstreamBatchMemOpType what, CUdeviceptr address, uint64_t value, unsigned flags)
{
        CUstreamBatchMemOpParams param = {
                .waitValue = {.operation = what, .address = address, .value64 = value, .flags = flags}};

        return batch(handle, 1, &param);
}

CUresult cuStreamWaitValue32(CUstream handle, CUdeviceptr address, cuuint32_t value, unsigned int flags)
{
        FGSIM_ENTER(cuStreamWaitValue32);
        return one(handle, CU_STREAM_MEM_OP_WAIT_VALUE_32, address, value, flags);
}

CUresult cuStreamWaitValue64(CUstream handle, CUdeviceptr address, cuuint64_t value, unsigned int flags)
{
        FGSIM_ENTER(cuStreamWaitValue64);
        return one(handle, CU_STREAM_MEM_OP_WAIT_VALUE_64, address, value, flags);
}

CUresult cuStreamWriteValue32(CUstream handle, CUdeviceptr address, cuuint32_t value, unsigned int flags)
{
        FGSIM_ENTER(cuStreamWriteValue32);
        return one(handle, CU_STREAM_MEM_OP_WRITE_VALUE_32, address, value, flags);
}

CUresult cuStreamWriteValue64(CUstream handle, CUdeviceptr address, cuuint64_t value, unsigned int flags)
{
        FGSIM_ENTER(cuStreamWriteValue64);
        return one(handle, CU_STREAM_MEM_OP_WRITE_VALUE_64, address, value, flags);
}

CUresult cuStreamBatchMemOp(CUstream handle, unsigned int count, CUstreamBatchMemOpParams *param, unsigned int flags)
{
        FGSIM_ENTER(cuStreamBatchMemOp);
        return batch(handle, count, param);
}

CUresult cuStreamWaitValue32_v2(CUstream handle, CUdeviceptr address, cuuint32_t value, unsigned int flags)
{
        FGSIM_ENTER(cuStreamWaitValue32_v2);
        return one(handle, CU_STREAM_MEM_OP_WAIT_VALUE_32, address, value, flags);
}

CUresult cuStreamWaitValue64_v2(CUstream handle, CUdeviceptr address, cuuint64_t value, unsigned int flags)
{
        FGSIM_ENTER(cuStreamWaitValue64_v2);
        return one(handle, CU_STREAM_MEM_OP_WAIT_VALUE_64, address, value, flags);
}

CUresult cuStreamWriteValue32_v2(CUstream handle, CUdeviceptr address, cuuint32_t value, unsigned int flags)
{
        FGSIM_ENTER(cuStreamWriteValue32_v2);
        return one(handle, CU_STREAM_MEM_OP_WRITE_VALUE_32, address, value, flags);
}

CUresult cuStreamWriteValue64_v2(CUstream handle, CUdeviceptr address, cuuint64_t value, unsigned int flags)
{
        FGSIM_ENTER(cuStreamWriteValue64_v2);
        return one(handle, CU_STREAM_MEM_OP_WRITE_VALUE_64, address, value, flags);
}

CUresult cuStreamBatchMemOp_v2(CUstream handle, unsigned int count, CUstreamBatchMemOpParams *param, unsigned int flags)
{
        FGSIM_ENTER(cuStreamBatchMemOp_v2);
        return batch(handle, count, param);
}
