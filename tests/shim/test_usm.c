/* SPDX-License-Identifier: Apache-2.0
 * Unified shared memory and pipes, which few drivers have: the layer over a scripted driver. Run with two vGPUs of
 * QUOTA bytes on its one device, --key opencl/Scripted/0. */
#include "shim/opencl/usm.h"
#include "scripted_driver.h"
#include "shim_test.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#define QUOTA 4096
#define LARGE (1u << 20) /* of a transfer: gated */

static const cl_icd_dispatch *layer;
static cl_platform_id platform;
static cl_device_id device[2];
static cl_context context;
static cl_command_queue queue;

static void open_layer(bool finds)
{
        void *library = dlopen(getenv("OPENCL_LAYERS"), RTLD_NOW | RTLD_LOCAL);
        pfn_clInitLayer init = library ? (pfn_clInitLayer)dlsym(library, "clInitLayer") : NULL;
        cl_uint rows = 0, devices = 0;

        CHECK(init);
        CHECK_OK(init(sizeof(scripted_table) / sizeof(void *), &scripted_table, &rows, &layer));
        if (!finds) {
                CHECK(layer->clGetPlatformIDs(1, &platform, NULL) != CL_SUCCESS ||
                      layer->clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 2, device, &devices) == CL_DEVICE_NOT_FOUND);
                CHECK_EQ(devices, 0);
                return;
        }
        CHECK_OK(layer->clGetPlatformIDs(1, &platform, NULL));
        CHECK_OK(layer->clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 2, device, &devices));
        CHECK_EQ(devices, 2);
        context = layer->clCreateContext(NULL, 2, device, NULL, NULL, NULL);
        queue = layer->clCreateCommandQueue(context, device[0], 0, NULL);
        CHECK(context && queue);
        CHECK_EQ(quota(0), QUOTA);
}

static void *function(const char *name)
{
        void *found = layer->clGetExtensionFunctionAddressForPlatform(platform, name);

        CHECK(found);
        return found;
}

static void check_used(uint64_t first, uint64_t second)
{
        CHECK_EQ(used(0), first);
        CHECK_EQ(used(1), second);
}

/* The program gets the layer's functions, none where the driver has none, and the driver's where nothing is charged. */
static void names(void)
{
#define NAMES_ROW(name, type)                                                                                          \
        CHECK(function(#name) != scripted_function(#name));                                                            \
        CHECK(function(#name) == layer->clGetExtensionFunctionAddress(#name));                                         \
        scripted.lacks = #name;                                                                                        \
        CHECK(!layer->clGetExtensionFunctionAddressForPlatform(platform, #name));                                      \
        scripted.lacks = NULL;
        FGO_USM(NAMES_ROW)
#undef NAMES_ROW
        CHECK(function("clHostMemAllocINTEL") == scripted_function("clHostMemAllocINTEL"));
}

static void *allocate(const char *kind, cl_device_id on, size_t size, cl_int expected)
{
        cl_int r = 1;
        int calls = scripted.allocations;
        void *block = ((fgo_usm_alloc)function(kind))(context, on, NULL, size, 0, &r);

        CHECK_EQ(r, expected);
        CHECK((block != NULL) == (expected == CL_SUCCESS));
        if (block) {
                CHECK_EQ(scripted.allocations, calls + 1);
                CHECK_EQ(scripted.size, size);
                CHECK(scripted.device == (on ? scripted_device : NULL));
        }
        return block;
}

static void release(const char *kind, void *block)
{
        CHECK_OK(((fgo_usm_free)function(kind))(context, block));
        CHECK(scripted.freed == block);
}

static void over_quota(const char *kind)
{
        void *most = allocate(kind, device[0], 3000, CL_SUCCESS), *rest;
        uint64_t before = refusals(0);
        int calls = scripted.allocations;

        check_used(3000, 0);
        allocate(kind, device[0], QUOTA - 3000 + 1, CL_MEM_OBJECT_ALLOCATION_FAILURE);
        allocate(kind, device[0], QUOTA + 1, CL_INVALID_BUFFER_SIZE);
        CHECK_EQ(scripted.allocations, calls);
        CHECK_EQ(refusals(0), before + 2);
        check_used(3000, 0);
        rest = allocate(kind, device[0], QUOTA - 3000, CL_SUCCESS);
        check_used(QUOTA, 0);
        release("clMemFreeINTEL", rest);
        check_used(3000, 0);
        release("clMemBlockingFreeINTEL", most);
        check_used(0, 0);
}

static void driver_fails(const char *kind)
{
        int calls = scripted.allocations;
        void *block;

        scripted.fail = CL_OUT_OF_RESOURCES;
        allocate(kind, device[0], 1000, CL_OUT_OF_RESOURCES);
        CHECK_EQ(scripted.allocations, calls + 1);
        check_used(0, 0);
        scripted.fail = CL_SUCCESS;
        block = allocate(kind, device[1], 1000, CL_SUCCESS);
        check_used(0, 1000);
        scripted.fail = CL_INVALID_VALUE; /* what was not freed stays charged */
        CHECK_EQ(((fgo_usm_free)function("clMemFreeINTEL"))(context, block), CL_INVALID_VALUE);
        check_used(0, 1000);
        scripted.fail = CL_SUCCESS;
        release("clMemFreeINTEL", block);
        check_used(0, 0);
}

/* Shared memory may belong to no device: charged like a buffer, to the first vGPU with room, else over both. */
static void without_device(void)
{
        void *first = allocate("clSharedMemAllocINTEL", NULL, 3000, CL_SUCCESS), *second, *both;

        check_used(3000, 0);
        second = allocate("clSharedMemAllocINTEL", NULL, 3000, CL_SUCCESS);
        check_used(3000, 3000);
        both = allocate("clSharedMemAllocINTEL", NULL, 2192, CL_SUCCESS);
        check_used(QUOTA, QUOTA);
        allocate("clSharedMemAllocINTEL", NULL, 1, CL_MEM_OBJECT_ALLOCATION_FAILURE);
        release("clMemFreeINTEL", both);
        check_used(3000, 3000);
        release("clMemFreeINTEL", first);
        check_used(0, 3000);
        release("clMemFreeINTEL", second);
        check_used(0, 0);
}

static void wrong_handles(void)
{
        fgo_usm_alloc alloc = (fgo_usm_alloc)function("clDeviceMemAllocINTEL");
        int calls = scripted.allocations;
        cl_int r = 1;

        CHECK(!alloc((cl_context)&r, device[0], NULL, 1, 0, &r));
        CHECK_EQ(r, CL_INVALID_CONTEXT);
        CHECK(!alloc(context, scripted_device, NULL, 1, 0, &r)); /* the driver's own is no way around the layer */
        CHECK_EQ(r, CL_INVALID_DEVICE);
        CHECK_EQ(scripted.allocations, calls);
        check_used(0, 0);
}

static void info(void)
{
        fgo_usm_info ask = (fgo_usm_info)function("clGetMemAllocInfoINTEL");
        void *block = allocate("clDeviceMemAllocINTEL", device[0], 100, CL_SUCCESS);
        cl_device_id on = NULL;
        size_t size = 0;

        CHECK_OK(ask(context, block, SCRIPTED_INFO_DEVICE, sizeof(on), &on, &size));
        CHECK(on == device[0] && size == sizeof(on));
        CHECK_OK(ask(context, block, SCRIPTED_INFO_SIZE, sizeof(size), &size, NULL));
        CHECK_EQ(size, 100);
        release("clMemFreeINTEL", block);
}

static cl_mem pipe_new(cl_uint packets, cl_int expected)
{
        cl_int r = 1;
        cl_mem pipe = layer->clCreatePipe(context, 0, 16, packets, NULL, &r);

        CHECK_EQ(r, expected);
        CHECK((pipe != NULL) == (expected == CL_SUCCESS));
        return pipe;
}

static void pipes(void)
{
        cl_mem whole = pipe_new(QUOTA / 16, CL_SUCCESS), part;
        uint64_t before = refusals(0);
        int calls;

        check_used(QUOTA, 0);
        part = pipe_new(100, CL_SUCCESS);
        check_used(QUOTA, 1600);
        calls = scripted.allocations;
        pipe_new(QUOTA / 16 - 100 + 1, CL_MEM_OBJECT_ALLOCATION_FAILURE);
        pipe_new(QUOTA / 16 + 1, CL_INVALID_BUFFER_SIZE);
        CHECK_EQ(refusals(0), before + 2);
        CHECK_EQ(scripted.allocations, calls);
        check_used(QUOTA, 1600);
        CHECK_OK(layer->clReleaseMemObject(whole));
        check_used(0, 1600);
        CHECK_OK(layer->clReleaseMemObject(part));
        check_used(0, 0);
}

static void pipes_fail(void)
{
        int releases = scripted.releases;

        scripted.fail = CL_INVALID_PIPE_SIZE;
        pipe_new(10, CL_INVALID_PIPE_SIZE);
        scripted.fail = CL_SUCCESS;
        check_used(0, 0);
        scripted.no_callbacks = true; /* its end would never be heard of: rather none */
        pipe_new(10, CL_OUT_OF_HOST_MEMORY);
        scripted.no_callbacks = false;
        CHECK_EQ(scripted.releases, releases + 1);
        check_used(0, 0);
}

/* --- work --- */

static cl_int work_fill(size_t size)
{
        return ((fgo_usm_fill)function("clEnqueueMemFillINTEL"))(queue, NULL, "", 1, size, 0, NULL, NULL);
}

static cl_int work_copy(size_t size)
{
        return ((fgo_usm_copy)function("clEnqueueMemcpyINTEL"))(queue, CL_TRUE, NULL, NULL, size, 0, NULL, NULL);
}

static cl_int work_migrate(size_t size)
{
        return ((fgo_usm_migrate)function("clEnqueueMigrateMemINTEL"))(queue, NULL, size, 0, 0, NULL, NULL);
}

static void *work_large(void *arg)
{
        cl_int (**work)(size_t) = arg;

        return (void *)(intptr_t)(*work)(LARGE);
}

/* A large one waits at a closed gate and the driver hears nothing of it; a small one passes. */
static void gated(cl_int (*work)(size_t))
{
        int calls = scripted.work;
        pthread_t thread;
        void *result;

        set_grant(0, FG_GRANT_DENIED);
        CHECK_OK(work(100));
        CHECK_EQ(scripted.work, calls + 1);
        CHECK_EQ(scripted.size, 100);
        CHECK_EQ(pthread_create(&thread, NULL, work_large, &work), 0);
        for (int tries = 0; tries < 10000 && waiting(0) == 0; tries++) {
                usleep(1000);
                set_grant(0, FG_GRANT_DENIED);
        }
        CHECK_EQ(waiting(0), 1);
        CHECK_EQ(__atomic_load_n(&scripted.work, __ATOMIC_SEQ_CST), calls + 1);
        set_grant(0, FG_GRANT_TIMED);
        CHECK_EQ(pthread_join(thread, &result), 0);
        CHECK_OK((cl_int)(intptr_t)result);
        CHECK_EQ(scripted.work, calls + 2);
        CHECK_EQ(scripted.size, LARGE);
        CHECK_EQ(inflight_finally(0, 0), 0);
        set_grant(0, FG_GRANT_FREE);
}

/* Any argument: the physical device is one that the driver does not have. */
int main(int argc, char **argv)
{
        open_layer(argc == 1);
        if (argc > 1)
                return 0;
        names();
        over_quota("clDeviceMemAllocINTEL");
        over_quota("clSharedMemAllocINTEL");
        driver_fails("clDeviceMemAllocINTEL");
        driver_fails("clSharedMemAllocINTEL");
        without_device();
        wrong_handles();
        info();
        pipes();
        pipes_fail();
        gated(work_fill);
        gated(work_copy);
        gated(work_migrate);
        CHECK_EQ(scripted.events, 0);
        return 0;
}
