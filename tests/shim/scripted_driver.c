/* SPDX-License-Identifier: Apache-2.0 */
#include "scripted_driver.h"

#include <stdlib.h>

/* Handles are addresses that nobody looks behind. */
static char the_platform, the_device, the_context, the_queue, the_event;

struct scripted scripted;
const cl_device_id scripted_device = (cl_device_id)&the_device;

static cl_int CL_API_CALL get_platforms(cl_uint room, cl_platform_id *platforms, cl_uint *count)
{
        if (platforms && room)
                platforms[0] = (cl_platform_id)&the_platform;
        if (count)
                *count = 1;
        return CL_SUCCESS;
}

static cl_int CL_API_CALL get_platform_info(cl_platform_id platform, cl_platform_info name, size_t room, void *ret,
                                            size_t *size)
{
        static const char text[] = "Scripted";

        return fgo_answer(text, sizeof(text), room, ret, size);
}

static cl_int CL_API_CALL get_devices(cl_platform_id platform, cl_device_type type, cl_uint room, cl_device_id *devices,
                                      cl_uint *count)
{
        if (devices && room)
                devices[0] = scripted_device;
        if (count)
                *count = 1;
        return CL_SUCCESS;
}

static cl_int CL_API_CALL get_device_info(cl_device_id device, cl_device_info name, size_t room, void *ret, size_t *size)
{
        if (name != CL_DEVICE_UUID_KHR)
                return CL_INVALID_VALUE;
        return fgo_answer(SCRIPTED_UUID, sizeof(SCRIPTED_UUID) - 1, room, ret, size);
}

static cl_context CL_API_CALL create_context(const cl_context_properties *properties, cl_uint count,
                                             const cl_device_id *devices,
                                             void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *),
                                             void *user, cl_int *ret)
{
        return (cl_context)&the_context;
}

static cl_command_queue CL_API_CALL create_queue(cl_context context, cl_device_id device,
                                                 cl_command_queue_properties properties, cl_int *ret)
{
        return (cl_command_queue)&the_queue;
}

/* --- events: complete when they are made --- */

static cl_int done(cl_event *event)
{
        if (event) {
                *event = (cl_event)&the_event;
                scripted.events++;
        }
        return CL_SUCCESS;
}

static cl_int CL_API_CALL marker(cl_command_queue queue, cl_uint waits, const cl_event *wait, cl_event *event)
{
        return done(event);
}

static cl_int CL_API_CALL set_event_callback(cl_event event, cl_int type,
                                             void(CL_CALLBACK *notify)(cl_event, cl_int, void *), void *user)
{
        notify(event, CL_COMPLETE, user);
        return CL_SUCCESS;
}

static cl_int CL_API_CALL release_event(cl_event event)
{
        scripted.events--;
        return CL_SUCCESS;
}

static cl_int CL_API_CALL flush(cl_command_queue queue)
{
        return CL_SUCCESS;
}

/* --- memory objects: no more than what is to be called at their end --- */

struct object {
        void(CL_CALLBACK *notify)(cl_mem, void *);
        void *user;
};

static cl_mem CL_API_CALL create_pipe(cl_context context, cl_mem_flags flags, cl_uint packet, cl_uint packets,
                                      const cl_pipe_properties *properties, cl_int *ret)
{
        scripted.allocations++;
        *ret = scripted.fail;
        return scripted.fail == CL_SUCCESS ? calloc(1, sizeof(struct object)) : NULL;
}

static cl_int CL_API_CALL set_destructor(cl_mem memory, void(CL_CALLBACK *notify)(cl_mem, void *), void *user)
{
        if (scripted.no_callbacks)
                return CL_OUT_OF_HOST_MEMORY;
        *(struct object *)memory = (struct object){notify, user};
        return CL_SUCCESS;
}

static cl_int CL_API_CALL release_memory(cl_mem memory)
{
        struct object *object = (struct object *)memory;

        scripted.releases++;
        if (object->notify)
                object->notify(memory, object->user);
        free(object);
        return CL_SUCCESS;
}

/* --- unified shared memory: a block begins with its size --- */

static void *CL_API_CALL usm_allocate(cl_context context, cl_device_id device, const fgo_usm_properties *properties,
                                      size_t size, cl_uint alignment, cl_int *ret)
{
        size_t *block = scripted.fail == CL_SUCCESS ? malloc(sizeof(*block) + size) : NULL;

        scripted.allocations++;
        scripted.device = device;
        scripted.size = size;
        *ret = scripted.fail;
        if (block)
                *block = size;
        return block;
}

static cl_int CL_API_CALL usm_release(cl_context context, void *block)
{
        if (scripted.fail != CL_SUCCESS)
                return scripted.fail;
        scripted.freed = block;
        free(block);
        return CL_SUCCESS;
}

static cl_int CL_API_CALL usm_info(cl_context context, const void *block, cl_uint name, size_t room, void *ret,
                                   size_t *size)
{
        if (name == SCRIPTED_INFO_DEVICE)
                return fgo_answer(&scripted_device, sizeof(scripted_device), room, ret, size);
        return fgo_answer(block, sizeof(size_t), room, ret, size);
}

static cl_int work(size_t size, cl_event *event)
{
        scripted.size = size;
        __atomic_fetch_add(&scripted.work, 1, __ATOMIC_SEQ_CST);
        return done(event);
}

static cl_int CL_API_CALL usm_fill(cl_command_queue queue, void *to, const void *pattern, size_t pattern_size,
                                   size_t size, cl_uint waits, const cl_event *wait, cl_event *event)
{
        return work(size, event);
}

static cl_int CL_API_CALL usm_copy(cl_command_queue queue, cl_bool blocking, void *to, const void *from, size_t size,
                                   cl_uint waits, const cl_event *wait, cl_event *event)
{
        return work(size, event);
}

static cl_int CL_API_CALL usm_migrate(cl_command_queue queue, const void *block, size_t size, cl_bitfield flags,
                                      cl_uint waits, const cl_event *wait, cl_event *event)
{
        return work(size, event);
}

/* --- what there is --- */

void *scripted_function(const char *name)
{
        static const struct {
                const char *name;
                void *function;
        } table[] = {
                {"clDeviceMemAllocINTEL", (void *)usm_allocate},   {"clSharedMemAllocINTEL", (void *)usm_allocate},
                {"clHostMemAllocINTEL", (void *)usm_allocate},     {"clMemFreeINTEL", (void *)usm_release},
                {"clMemBlockingFreeINTEL", (void *)usm_release},   {"clGetMemAllocInfoINTEL", (void *)usm_info},
                {"clEnqueueMemFillINTEL", (void *)usm_fill},       {"clEnqueueMemcpyINTEL", (void *)usm_copy},
                {"clEnqueueMigrateMemINTEL", (void *)usm_migrate},
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
                if (strcmp(name, table[i].name) == 0 && (!scripted.lacks || strcmp(name, scripted.lacks) != 0))
                        return table[i].function;
        return NULL;
}

static void *CL_API_CALL extension_of(cl_platform_id platform, const char *name)
{
        return scripted_function(name);
}

const cl_icd_dispatch scripted_table = {
        .clGetPlatformIDs = get_platforms,
        .clGetPlatformInfo = get_platform_info,
        .clGetDeviceIDs = get_devices,
        .clGetDeviceInfo = get_device_info,
        .clCreateContext = create_context,
        .clCreateCommandQueue = create_queue,
        .clReleaseMemObject = release_memory,
        .clReleaseEvent = release_event,
        .clFlush = flush,
        .clSetEventCallback = set_event_callback,
        .clSetMemObjectDestructorCallback = set_destructor,
        .clEnqueueMarkerWithWaitList = marker,
        .clGetExtensionFunctionAddress = scripted_function,
        .clGetExtensionFunctionAddressForPlatform = extension_of,
        .clCreatePipe = create_pipe,
};
