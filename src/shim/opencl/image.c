/* SPDX-License-Identifier: Apache-2.0
 * Images: charged what their format and extent need, then corrected to what the driver says it took. */
#include "shim/opencl/charge.h"
#include "shim/opencl/context.h"

static uint64_t image_channels(cl_channel_order order)
{
        switch (order) {
        case CL_R:
        case CL_A:
        case CL_Rx:
        case CL_INTENSITY:
        case CL_LUMINANCE:
        case CL_DEPTH:
                return 1;
        case CL_RG:
        case CL_RA:
        case CL_RGx:
                return 2;
        case CL_RGB:
        case CL_sRGB:
        case CL_RGBx:
                return 3;
        default:
                return 4;
        }
}

static uint64_t image_element(const cl_image_format *format)
{
        uint64_t channels = image_channels(format->image_channel_order);

        switch (format->image_channel_data_type) {
        case CL_SNORM_INT8:
        case CL_UNORM_INT8:
        case CL_SIGNED_INT8:
        case CL_UNSIGNED_INT8:
                return channels;
        case CL_UNORM_SHORT_565:
        case CL_UNORM_SHORT_555:
                return 2;
        case CL_UNORM_INT_101010:
        case CL_UNORM_INT_101010_2:
        case CL_UNORM_INT24:
                return 4;
        case CL_SIGNED_INT32:
        case CL_UNSIGNED_INT32:
        case CL_FLOAT:
                return channels * 4;
        default:
                return channels * 2;
        }
}

static uint64_t image_multiply(uint64_t a, uint64_t b)
{
        uint64_t product;

        return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* 0: no memory of its own, it is a view of a buffer or of another image. */
static uint64_t image_bytes(const cl_image_format *format, const cl_image_desc *desc)
{
        uint64_t bytes;

        if (!format || !desc || desc->mem_object)
                return 0;
        bytes = image_multiply(image_element(format), desc->image_width);
        switch (desc->image_type) {
        case CL_MEM_OBJECT_IMAGE1D_ARRAY:
                return image_multiply(bytes, desc->image_array_size);
        case CL_MEM_OBJECT_IMAGE2D:
                return image_multiply(bytes, desc->image_height);
        case CL_MEM_OBJECT_IMAGE2D_ARRAY:
                return image_multiply(image_multiply(bytes, desc->image_height), desc->image_array_size);
        case CL_MEM_OBJECT_IMAGE3D:
                return image_multiply(image_multiply(bytes, desc->image_height), desc->image_depth);
        default:
                return bytes;
        }
}

/* A zero or absurd extent is the driver's to refuse. */
static cl_int image_charge(cl_context context, uint64_t bytes, struct fgo_charge **ret)
{
        const struct fgo_device_list *devices = fgo_context_devices(context);
        cl_int r;

        if (!devices)
                return CL_INVALID_CONTEXT;
        r = fgo_charge_new(devices, bytes, ret);
        return r == CL_INVALID_BUFFER_SIZE ? CL_MEM_OBJECT_ALLOCATION_FAILURE : r;
}

/* The driver may have taken more than was computed (pitches, mip levels): then that is charged too, or it goes. */
static cl_mem image_keep(cl_context context, cl_mem image, uint64_t bytes, struct fgo_charge *charge, cl_int *ret)
{
        struct fgo_charge *more = NULL;
        size_t size = 0;
        cl_int r = CL_SUCCESS;

        if (image && bytes &&
            fgo_driver.clGetMemObjectInfo(image, CL_MEM_SIZE, sizeof(size), &size, NULL) == CL_SUCCESS && size > bytes)
                r = image_charge(context, size - bytes, &more);
        if (r != CL_SUCCESS) {
                fgo_driver.clReleaseMemObject(image);
                fgo_charge_refund(charge);
                return fgo_fail(ret, r);
        }
        image = fgo_charge_attach(image, charge, ret);
        if (!more)
                return image;
        if (!image) {
                fgo_charge_refund(more);
                return NULL;
        }
        return fgo_charge_attach(image, more, ret);
}

CL_API_ENTRY cl_mem CL_API_CALL fgo_clCreateImage(cl_context context, cl_mem_flags flags, const cl_image_format *format,
                                                  const cl_image_desc *desc, void *host, cl_int *ret)
{
        uint64_t bytes = image_bytes(format, desc);
        struct fgo_charge *charge;
        cl_int r = image_charge(context, bytes, &charge);

        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        return image_keep(context, fgo_driver.clCreateImage(context, flags, format, desc, host, ret), bytes, charge,
                          ret);
}

CL_API_ENTRY cl_mem CL_API_CALL fgo_clCreateImageWithProperties(cl_context context, const cl_mem_properties *properties,
                                                                cl_mem_flags flags, const cl_image_format *format,
                                                                const cl_image_desc *desc, void *host, cl_int *ret)
{
        uint64_t bytes = image_bytes(format, desc);
        struct fgo_charge *charge;
        cl_int r = image_charge(context, bytes, &charge);
        cl_mem image;

        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        image = fgo_driver.clCreateImageWithProperties(context, properties, flags, format, desc, host, ret);
        return image_keep(context, image, bytes, charge, ret);
}

CL_API_ENTRY cl_mem CL_API_CALL fgo_clCreateImage2D(cl_context context, cl_mem_flags flags,
                                                    const cl_image_format *format, size_t width, size_t height,
                                                    size_t pitch, void *host, cl_int *ret)
{
        cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = width, .image_height = height};
        uint64_t bytes = image_bytes(format, &desc);
        struct fgo_charge *charge;
        cl_int r = image_charge(context, bytes, &charge);
        cl_mem image;

        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        image = fgo_driver.clCreateImage2D(context, flags, format, width, height, pitch, host, ret);
        return image_keep(context, image, bytes, charge, ret);
}

CL_API_ENTRY cl_mem CL_API_CALL fgo_clCreateImage3D(cl_context context, cl_mem_flags flags,
                                                    const cl_image_format *format, size_t width, size_t height,
                                                    size_t depth, size_t row_pitch, size_t slice_pitch, void *host,
                                                    cl_int *ret)
{
        cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE3D,
                              .image_width = width,
                              .image_height = height,
                              .image_depth = depth};
        uint64_t bytes = image_bytes(format, &desc);
        struct fgo_charge *charge;
        cl_int r = image_charge(context, bytes, &charge);
        cl_mem image;

        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        image = fgo_driver.clCreateImage3D(context, flags, format, width, height, depth, row_pitch, slice_pitch, host,
                                           ret);
        return image_keep(context, image, bytes, charge, ret);
}
