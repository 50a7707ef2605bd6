/* SPDX-License-Identifier: Apache-2.0
 * Kernels, and the commands that order them. */
#include "shim/opencl/work.h"

/* The same kernel over as many work-items takes about as long again. */
static uint32_t launch_key(cl_kernel kernel, cl_uint dimensions, const size_t *global)
{
        uint64_t hash = (uint64_t)(uintptr_t)kernel, items = 1;

        for (cl_uint i = 0; global && dimensions <= 3 && i < dimensions; i++)
                items *= global[i];
        hash = (hash ^ items * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;
        return (uint32_t)(hash >> 32) | 0x80000000u;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                                                           const size_t *offset, const size_t *global,
                                                           const size_t *local, cl_uint waits, const cl_event *wait,
                                                           cl_event *event)
{
        struct fgo_work work;
        cl_int r = fgo_work_enter(&work, queue, launch_key(kernel, dimensions, global), waits, wait, event);

        if (r != CL_SUCCESS)
                return r;
        return fgo_work_leave(&work, fgo_driver.clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local,
                                                                       waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueTask(cl_command_queue queue, cl_kernel kernel, cl_uint waits,
                                                  const cl_event *wait, cl_event *event)
{
        struct fgo_work work;
        cl_int r = fgo_work_enter(&work, queue, launch_key(kernel, 0, NULL), waits, wait, event);

        if (r != CL_SUCCESS)
                return r;
        return fgo_work_leave(&work, fgo_driver.clEnqueueTask(queue, kernel, waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueNativeKernel(cl_command_queue queue, void(CL_CALLBACK *function)(void *),
                                                          void *args, size_t args_size, cl_uint memories,
                                                          const cl_mem *memory, const void **locations, cl_uint waits,
                                                          const cl_event *wait, cl_event *event)
{
        struct fgo_work work;
        cl_int r =
                fgo_work_enter(&work, queue, launch_key((cl_kernel)(uintptr_t)function, 0, NULL), waits, wait, event);

        if (r != CL_SUCCESS)
                return r;
        return fgo_work_leave(&work, fgo_driver.clEnqueueNativeKernel(queue, function, args, args_size, memories,
                                                                      memory, locations, waits, wait, work.event));
}

/* Markers and barriers are no work, but what they wait for, later commands wait for too. */

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueMarkerWithWaitList(cl_command_queue queue, cl_uint waits,
                                                                const cl_event *wait, cl_event *event)
{
        struct fgo_work work;
        cl_int r = fgo_work_enter_transfer(&work, queue, 0, waits, wait, event);

        if (r != CL_SUCCESS)
                return r;
        return fgo_work_leave(&work, fgo_driver.clEnqueueMarkerWithWaitList(queue, waits, wait, event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueBarrierWithWaitList(cl_command_queue queue, cl_uint waits,
                                                                 const cl_event *wait, cl_event *event)
{
        struct fgo_work work;
        cl_int r = fgo_work_enter_transfer(&work, queue, 0, waits, wait, event);

        if (r != CL_SUCCESS)
                return r;
        return fgo_work_leave(&work, fgo_driver.clEnqueueBarrierWithWaitList(queue, waits, wait, event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueMarker(cl_command_queue queue, cl_event *event)
{
        struct fgo_work work;
        cl_int r = fgo_work_enter_transfer(&work, queue, 0, 0, NULL, event);

        if (r != CL_SUCCESS)
                return r;
        return fgo_work_leave(&work, fgo_driver.clEnqueueMarker(queue, event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueBarrier(cl_command_queue queue)
{
        struct fgo_work work;
        cl_int r = fgo_work_enter_transfer(&work, queue, 0, 0, NULL, NULL);

        if (r != CL_SUCCESS)
                return r;
        return fgo_work_leave(&work, fgo_driver.clEnqueueBarrier(queue));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueWaitForEvents(cl_command_queue queue, cl_uint count,
                                                           const cl_event *events)
{
        struct fgo_work work;
        cl_int r = fgo_work_enter_transfer(&work, queue, 0, count, events, NULL);

        if (r != CL_SUCCESS)
                return r;
        return fgo_work_leave(&work, fgo_driver.clEnqueueWaitForEvents(queue, count, events));
}
