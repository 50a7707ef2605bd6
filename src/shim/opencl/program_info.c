/* SPDX-License-Identifier: Apache-2.0
 * Questions about programs and kernels that name devices: answered for every vGPU, in the program's order. */
#include "base/cleanup.h"
#include "shim/opencl/program.h"

/* Where the driver keeps what belongs to our slots: by handle, or by position where it reports other handles (a
 * sub-device as its root). */
static cl_int program_native_order(cl_program program, const struct fgo_device_list *list, cl_uint *order,
                                   cl_uint *ret_count)
{
        fg_autofree cl_device_id *native = NULL;
        cl_uint count = 0;
        cl_int r = fgo_driver.clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof(count), &count, NULL);

        if (r != CL_SUCCESS)
                return r;
        native = calloc(count + 1, sizeof(*native));
        if (!native)
                return CL_OUT_OF_HOST_MEMORY;
        r = fgo_driver.clGetProgramInfo(program, CL_PROGRAM_DEVICES, count * sizeof(*native), native, NULL);
        if (r != CL_SUCCESS)
                return r;
        for (cl_uint slot = 0; slot < list->natives; slot++) {
                order[slot] = slot < count ? slot : 0;
                for (cl_uint i = 0; i < count; i++)
                        if (native[i] == list->native[slot])
                                order[slot] = i;
        }
        *ret_count = count;
        return CL_SUCCESS;
}

struct fan_out {
        const struct fgo_device_list *list;
        cl_uint *order; /* slot -> the driver's position */
        cl_uint count;  /* the driver's devices */
        size_t *size;   /* of their binaries */
};

static void fan_out_clear(struct fan_out *f)
{
        free(f->order);
        free(f->size);
}

static cl_int fan_out_start(struct fan_out *f, cl_program program)
{
        cl_int r;

        f->order = calloc(f->list->natives + 1, sizeof(*f->order));
        if (!f->order)
                return CL_OUT_OF_HOST_MEMORY;
        r = program_native_order(program, f->list, f->order, &f->count);
        if (r != CL_SUCCESS)
                return r;
        f->size = calloc(f->count + 1, sizeof(*f->size));
        if (!f->size)
                return CL_OUT_OF_HOST_MEMORY;
        return fgo_driver.clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, f->count * sizeof(*f->size), f->size,
                                           NULL);
}

static cl_int program_binary_sizes(const struct fan_out *f, size_t room, void *ret, size_t *ret_size)
{
        fg_autofree size_t *size = calloc(f->list->count + 1, sizeof(*size));

        if (!size)
                return CL_OUT_OF_HOST_MEMORY;
        for (cl_uint i = 0; i < f->list->count; i++)
                size[i] = f->size[f->order[f->list->slot[i]]];
        return fgo_answer(size, f->list->count * sizeof(*size), room, ret, ret_size);
}

/* The driver writes each binary into the first buffer the program offers for it; the others get a copy. */
static cl_int program_binaries(const struct fan_out *f, cl_program program, size_t room, unsigned char **ret,
                               size_t *ret_size)
{
        fg_autofree unsigned char **native = calloc(f->count + 1, sizeof(*native));
        cl_int r = fgo_answer(NULL, 0, 0, NULL, ret_size);

        if (ret_size)
                *ret_size = f->list->count * sizeof(*ret);
        if (!ret)
                return r;
        if (!native)
                return CL_OUT_OF_HOST_MEMORY;
        if (room < f->list->count * sizeof(*ret))
                return CL_INVALID_VALUE;
        for (cl_uint i = f->list->count; i-- > 0;)
                if (ret[i])
                        native[f->order[f->list->slot[i]]] = ret[i];
        r = fgo_driver.clGetProgramInfo(program, CL_PROGRAM_BINARIES, f->count * sizeof(*native), native, NULL);
        for (cl_uint i = 0; r == CL_SUCCESS && i < f->list->count; i++) {
                cl_uint at = f->order[f->list->slot[i]];
                if (ret[i] && ret[i] != native[at])
                        memcpy(ret[i], native[at], f->size[at]);
        }
        return r;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetProgramInfo(cl_program program, cl_program_info name, size_t room, void *ret,
                                                     size_t *ret_size)
{
        struct fgo_program *entry = fgo_program_get(program);
        FG_CLEANUP(fan_out_clear) struct fan_out f = {.list = entry ? entry->devices : NULL};
        cl_int r;

        if (!entry)
                return CL_INVALID_PROGRAM;
        if (name == CL_PROGRAM_NUM_DEVICES)
                return fgo_answer(&f.list->count, sizeof(f.list->count), room, ret, ret_size);
        if (name == CL_PROGRAM_DEVICES)
                return fgo_answer(f.list->device, f.list->count * sizeof(cl_device_id), room, ret, ret_size);
        if (name != CL_PROGRAM_BINARY_SIZES && name != CL_PROGRAM_BINARIES)
                return fgo_driver.clGetProgramInfo(program, name, room, ret, ret_size);
        r = fan_out_start(&f, program);
        if (r != CL_SUCCESS)
                return r;
        if (name == CL_PROGRAM_BINARY_SIZES)
                return program_binary_sizes(&f, room, ret, ret_size);
        return program_binaries(&f, program, room, ret, ret_size);
}

/* A vGPU for which nothing was built, although its physical device was built for another one. */
static cl_int build_info_none(cl_program_build_info name, size_t room, void *ret, size_t *ret_size)
{
        cl_build_status status = CL_BUILD_NONE;
        cl_program_binary_type type = CL_PROGRAM_BINARY_TYPE_NONE;
        size_t zero = 0;

        switch (name) {
        case CL_PROGRAM_BUILD_STATUS:
                return fgo_answer(&status, sizeof(status), room, ret, ret_size);
        case CL_PROGRAM_BINARY_TYPE:
                return fgo_answer(&type, sizeof(type), room, ret, ret_size);
        case CL_PROGRAM_BUILD_OPTIONS:
        case CL_PROGRAM_BUILD_LOG:
                return fgo_answer("", 1, room, ret, ret_size);
        case CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE:
                return fgo_answer(&zero, sizeof(zero), room, ret, ret_size);
        default:
                return CL_INVALID_VALUE;
        }
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetProgramBuildInfo(cl_program program, cl_device_id device,
                                                          cl_program_build_info name, size_t room, void *ret,
                                                          size_t *ret_size)
{
        struct fgo_program *entry = fgo_program_get(program);
        int at = entry ? fgo_device_list_find(entry->devices, device) : -1;

        if (!entry)
                return CL_INVALID_PROGRAM;
        if (at < 0)
                return CL_INVALID_DEVICE;
        if (fgo_program_built_for_another(entry, at))
                return build_info_none(name, room, ret, ret_size);
        return fgo_driver.clGetProgramBuildInfo(program, device->native, name, room, ret, ret_size);
}

const struct fgo_device_list *fgo_kernel_devices(cl_kernel kernel)
{
        struct fgo_program *entry;
        cl_program program;

        if (fgo_driver.clGetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof(program), &program, NULL) != CL_SUCCESS)
                return NULL;
        entry = fgo_program_get(program);
        return entry ? entry->devices : NULL;
}

/* A kernel's device for the driver; no device is fine while there is only one. */
static cl_int kernel_device(cl_kernel kernel, cl_device_id device, cl_device_id *ret)
{
        const struct fgo_device_list *list = fgo_kernel_devices(kernel);

        if (!list)
                return CL_INVALID_KERNEL;
        if (device ? fgo_device_list_find(list, device) < 0 : list->count > 1)
                return CL_INVALID_DEVICE;
        *ret = device ? device->native : NULL;
        return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id device,
                                                             cl_kernel_work_group_info name, size_t room, void *ret,
                                                             size_t *ret_size)
{
        cl_device_id native;
        cl_int r = kernel_device(kernel, device, &native);

        return r != CL_SUCCESS ? r : fgo_driver.clGetKernelWorkGroupInfo(kernel, native, name, room, ret, ret_size);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetKernelSubGroupInfo(cl_kernel kernel, cl_device_id device,
                                                            cl_kernel_sub_group_info name, size_t input_size,
                                                            const void *input, size_t room, void *ret, size_t *ret_size)
{
        cl_device_id native;
        cl_int r = kernel_device(kernel, device, &native);

        return r != CL_SUCCESS ? r
                               : fgo_driver.clGetKernelSubGroupInfo(kernel, native, name, input_size, input, room, ret,
                                                                    ret_size);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetKernelSubGroupInfoKHR(cl_kernel kernel, cl_device_id device,
                                                               cl_kernel_sub_group_info name, size_t input_size,
                                                               const void *input, size_t room, void *ret,
                                                               size_t *ret_size)
{
        cl_device_id native;
        cl_int r = kernel_device(kernel, device, &native);

        return r != CL_SUCCESS ? r
                               : fgo_driver.clGetKernelSubGroupInfoKHR(kernel, native, name, input_size, input, room,
                                                                       ret, ret_size);
}
