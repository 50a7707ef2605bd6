/* SPDX-License-Identifier: Apache-2.0
 * Reading, writing, copying, filling, mapping and moving buffers and shared virtual memory. */
#include "shim/opencl/transfer.h"

uint64_t fgo_memory_size(cl_mem memory)
{
        size_t size = 0;

        fgo_driver.clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof(size), &size, NULL);
        return size;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueReadBuffer(cl_command_queue queue, cl_mem from, cl_bool blocking,
                                                        size_t offset, size_t size, void *to, cl_uint waits,
                                                        const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(size, blocking,
                     fgo_driver.clEnqueueReadBuffer(queue, from, blocking, offset, size, to, waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueWriteBuffer(cl_command_queue queue, cl_mem to, cl_bool blocking,
                                                         size_t offset, size_t size, const void *from, cl_uint waits,
                                                         const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(size, blocking,
                     fgo_driver.clEnqueueWriteBuffer(queue, to, blocking, offset, size, from, waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueReadBufferRect(cl_command_queue queue, cl_mem from, cl_bool blocking,
                                                            const size_t *buffer_origin, const size_t *host_origin,
                                                            const size_t *region, size_t buffer_row,
                                                            size_t buffer_slice, size_t host_row, size_t host_slice,
                                                            void *to, cl_uint waits, const cl_event *wait,
                                                            cl_event *event)
{
        FGO_TRANSFER(fgo_region(region), blocking,
                     fgo_driver.clEnqueueReadBufferRect(queue, from, blocking, buffer_origin, host_origin, region,
                                                        buffer_row, buffer_slice, host_row, host_slice, to, waits, wait,
                                                        work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueWriteBufferRect(cl_command_queue queue, cl_mem to, cl_bool blocking,
                                                             const size_t *buffer_origin, const size_t *host_origin,
                                                             const size_t *region, size_t buffer_row,
                                                             size_t buffer_slice, size_t host_row, size_t host_slice,
                                                             const void *from, cl_uint waits, const cl_event *wait,
                                                             cl_event *event)
{
        FGO_TRANSFER(fgo_region(region), blocking,
                     fgo_driver.clEnqueueWriteBufferRect(queue, to, blocking, buffer_origin, host_origin, region,
                                                         buffer_row, buffer_slice, host_row, host_slice, from, waits,
                                                         wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueCopyBuffer(cl_command_queue queue, cl_mem from, cl_mem to,
                                                        size_t from_offset, size_t to_offset, size_t size,
                                                        cl_uint waits, const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(
                size, CL_FALSE,
                fgo_driver.clEnqueueCopyBuffer(queue, from, to, from_offset, to_offset, size, waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueCopyBufferRect(cl_command_queue queue, cl_mem from, cl_mem to,
                                                            const size_t *from_origin, const size_t *to_origin,
                                                            const size_t *region, size_t from_row, size_t from_slice,
                                                            size_t to_row, size_t to_slice, cl_uint waits,
                                                            const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(fgo_region(region), CL_FALSE,
                     fgo_driver.clEnqueueCopyBufferRect(queue, from, to, from_origin, to_origin, region, from_row,
                                                        from_slice, to_row, to_slice, waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueFillBuffer(cl_command_queue queue, cl_mem to, const void *pattern,
                                                        size_t pattern_size, size_t offset, size_t size, cl_uint waits,
                                                        const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(size, CL_FALSE,
                     fgo_driver.clEnqueueFillBuffer(queue, to, pattern, pattern_size, offset, size, waits, wait,
                                                    work.event));
}

CL_API_ENTRY void *CL_API_CALL fgo_clEnqueueMapBuffer(cl_command_queue queue, cl_mem memory, cl_bool blocking,
                                                      cl_map_flags flags, size_t offset, size_t size, cl_uint waits,
                                                      const cl_event *wait, cl_event *event, cl_int *ret)
{
        struct fgo_work work;
        cl_int r = fgo_work_enter_transfer(&work, queue, size, waits, wait, event);
        void *at;

        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        at = fgo_driver.clEnqueueMapBuffer(queue, memory, blocking, flags, offset, size, waits, wait, work.event, &r);
        fgo_fail(ret, fgo_work_leave_blocking(&work, blocking, r));
        return at;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueUnmapMemObject(cl_command_queue queue, cl_mem memory, void *at,
                                                            cl_uint waits, const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(fgo_memory_size(memory), CL_FALSE,
                     fgo_driver.clEnqueueUnmapMemObject(queue, memory, at, waits, wait, work.event));
}

static uint64_t memory_sizes(cl_uint count, const cl_mem *memory)
{
        uint64_t bytes = 0;

        for (cl_uint i = 0; memory && i < count; i++)
                bytes += memory[i] ? fgo_memory_size(memory[i]) : 0;
        return bytes;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueMigrateMemObjects(cl_command_queue queue, cl_uint count,
                                                               const cl_mem *memory, cl_mem_migration_flags flags,
                                                               cl_uint waits, const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(memory_sizes(count, memory), CL_FALSE,
                     fgo_driver.clEnqueueMigrateMemObjects(queue, count, memory, flags, waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueSVMMemcpy(cl_command_queue queue, cl_bool blocking, void *to,
                                                       const void *from, size_t size, cl_uint waits,
                                                       const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(size, blocking,
                     fgo_driver.clEnqueueSVMMemcpy(queue, blocking, to, from, size, waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueSVMMemFill(cl_command_queue queue, void *to, const void *pattern,
                                                        size_t pattern_size, size_t size, cl_uint waits,
                                                        const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(size, CL_FALSE,
                     fgo_driver.clEnqueueSVMMemFill(queue, to, pattern, pattern_size, size, waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueSVMMap(cl_command_queue queue, cl_bool blocking, cl_map_flags flags,
                                                    void *at, size_t size, cl_uint waits, const cl_event *wait,
                                                    cl_event *event)
{
        FGO_TRANSFER(size, blocking,
                     fgo_driver.clEnqueueSVMMap(queue, blocking, flags, at, size, waits, wait, work.event));
}

/* Its size is not said; where the memory moves, the map before it was charged. */
CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueSVMUnmap(cl_command_queue queue, void *at, cl_uint waits,
                                                      const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(0, CL_FALSE, fgo_driver.clEnqueueSVMUnmap(queue, at, waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueSVMMigrateMem(cl_command_queue queue, cl_uint count, const void **blocks,
                                                           const size_t *sizes, cl_mem_migration_flags flags,
                                                           cl_uint waits, const cl_event *wait, cl_event *event)
{
        uint64_t bytes = sizes ? 0 : FGO_TRANSFER_SMALL;

        for (cl_uint i = 0; sizes && i < count; i++)
                bytes += sizes[i] ? sizes[i] : FGO_TRANSFER_SMALL; /* 0: the whole block */
        FGO_TRANSFER(bytes, CL_FALSE,
                     fgo_driver.clEnqueueSVMMigrateMem(queue, count, blocks, sizes, flags, waits, wait, work.event));
}
