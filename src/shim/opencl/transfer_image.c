/* SPDX-License-Identifier: Apache-2.0
 * The same for images. */
#include "shim/opencl/transfer.h"

uint64_t fgo_region_image(cl_mem image, const size_t *region)
{
        size_t element = 0;

        if (!image)
                return 0;
        fgo_driver.clGetImageInfo(image, CL_IMAGE_ELEMENT_SIZE, sizeof(element), &element, NULL);
        return fgo_region(region) * element;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueReadImage(cl_command_queue queue, cl_mem from, cl_bool blocking,
                                                       const size_t *origin, const size_t *region, size_t row,
                                                       size_t slice, void *to, cl_uint waits, const cl_event *wait,
                                                       cl_event *event)
{
        FGO_TRANSFER(fgo_region_image(from, region), blocking,
                     fgo_driver.clEnqueueReadImage(queue, from, blocking, origin, region, row, slice, to, waits, wait,
                                                   work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueWriteImage(cl_command_queue queue, cl_mem to, cl_bool blocking,
                                                        const size_t *origin, const size_t *region, size_t row,
                                                        size_t slice, const void *from, cl_uint waits,
                                                        const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(fgo_region_image(to, region), blocking,
                     fgo_driver.clEnqueueWriteImage(queue, to, blocking, origin, region, row, slice, from, waits, wait,
                                                    work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueCopyImage(cl_command_queue queue, cl_mem from, cl_mem to,
                                                       const size_t *from_origin, const size_t *to_origin,
                                                       const size_t *region, cl_uint waits, const cl_event *wait,
                                                       cl_event *event)
{
        FGO_TRANSFER(fgo_region_image(from, region), CL_FALSE,
                     fgo_driver.clEnqueueCopyImage(queue, from, to, from_origin, to_origin, region, waits, wait,
                                                   work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueCopyImageToBuffer(cl_command_queue queue, cl_mem from, cl_mem to,
                                                               const size_t *origin, const size_t *region,
                                                               size_t offset, cl_uint waits, const cl_event *wait,
                                                               cl_event *event)
{
        FGO_TRANSFER(fgo_region_image(from, region), CL_FALSE,
                     fgo_driver.clEnqueueCopyImageToBuffer(queue, from, to, origin, region, offset, waits, wait,
                                                           work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueCopyBufferToImage(cl_command_queue queue, cl_mem from, cl_mem to,
                                                               size_t offset, const size_t *origin,
                                                               const size_t *region, cl_uint waits,
                                                               const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(fgo_region_image(to, region), CL_FALSE,
                     fgo_driver.clEnqueueCopyBufferToImage(queue, from, to, offset, origin, region, waits, wait,
                                                           work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueFillImage(cl_command_queue queue, cl_mem to, const void *color,
                                                       const size_t *origin, const size_t *region, cl_uint waits,
                                                       const cl_event *wait, cl_event *event)
{
        FGO_TRANSFER(fgo_region_image(to, region), CL_FALSE,
                     fgo_driver.clEnqueueFillImage(queue, to, color, origin, region, waits, wait, work.event));
}

CL_API_ENTRY void *CL_API_CALL fgo_clEnqueueMapImage(cl_command_queue queue, cl_mem image, cl_bool blocking,
                                                     cl_map_flags flags, const size_t *origin, const size_t *region,
                                                     size_t *row, size_t *slice, cl_uint waits, const cl_event *wait,
                                                     cl_event *event, cl_int *ret)
{
        struct fgo_work work;
        cl_int r = fgo_work_enter_transfer(&work, queue, fgo_region_image(image, region), waits, wait, event);
        void *at;

        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        at = fgo_driver.clEnqueueMapImage(queue, image, blocking, flags, origin, region, row, slice, waits, wait,
                                          work.event, &r);
        fgo_fail(ret, fgo_work_leave_blocking(&work, blocking, r));
        return at;
}
