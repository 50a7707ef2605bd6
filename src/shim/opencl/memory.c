/* SPDX-License-Identifier: Apache-2.0
 * Buffers and pipes. Sub-buffers are not charged: they are part of a buffer that was. */
#include "shim/opencl/charge.h"
#include "shim/opencl/context.h"

/* Charges `bytes` to the context. NULL on failure, with *ret set. */
static struct fgo_charge *memory_charge(cl_context context, uint64_t bytes, cl_int *ret)
{
        const struct fgo_device_list *devices = fgo_context_devices(context);
        struct fgo_charge *charge;
        cl_int r = devices ? fgo_charge_new(devices, bytes, &charge) : CL_INVALID_CONTEXT;

        return r == CL_SUCCESS ? charge : fgo_fail(ret, r);
}

CL_API_ENTRY cl_mem CL_API_CALL fgo_clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host,
                                                   cl_int *ret)
{
        struct fgo_charge *charge = memory_charge(context, size, ret);

        if (!charge)
                return NULL;
        return fgo_charge_attach(fgo_driver.clCreateBuffer(context, flags, size, host, ret), charge, ret);
}

CL_API_ENTRY cl_mem CL_API_CALL fgo_clCreateBufferWithProperties(cl_context context,
                                                                 const cl_mem_properties *properties,
                                                                 cl_mem_flags flags, size_t size, void *host,
                                                                 cl_int *ret)
{
        struct fgo_charge *charge = memory_charge(context, size, ret);
        cl_mem memory;

        if (!charge)
                return NULL;
        memory = fgo_driver.clCreateBufferWithProperties(context, properties, flags, size, host, ret);
        return fgo_charge_attach(memory, charge, ret);
}

CL_API_ENTRY cl_mem CL_API_CALL fgo_clCreatePipe(cl_context context, cl_mem_flags flags, cl_uint packet_size,
                                                 cl_uint max_packets, const cl_pipe_properties *properties, cl_int *ret)
{
        struct fgo_charge *charge = memory_charge(context, (uint64_t)packet_size * max_packets, ret);
        cl_mem memory;

        if (!charge)
                return NULL;
        memory = fgo_driver.clCreatePipe(context, flags, packet_size, max_packets, properties, ret);
        return fgo_charge_attach(memory, charge, ret);
}
