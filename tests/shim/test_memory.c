/* SPDX-License-Identifier: Apache-2.0
 * The quota, to the byte: run with one vGPU of 64 MiB. */
#include "shim_test.h"

#define MIB (1ull << 20)

static struct bench b;

static cl_mem buffer(size_t size, cl_int expected)
{
        cl_int r;
        cl_mem memory = clCreateBuffer(b.context, CL_MEM_READ_WRITE, size, NULL, &r);

        CHECK_EQ(r, expected);
        CHECK((memory != NULL) == (expected == CL_SUCCESS));
        return memory;
}

static void figures(void)
{
        cl_ulong global, largest;

        CHECK_OK(clGetDeviceInfo(b.device[0], CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(global), &global, NULL));
        CHECK_OK(clGetDeviceInfo(b.device[0], CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(largest), &largest, NULL));
        CHECK_EQ(global, quota(0));
        CHECK_EQ(largest, quota(0));
}

static void to_the_byte(void)
{
        cl_mem all, rest;

        all = buffer(quota(0), CL_SUCCESS);
        CHECK_EQ(used(0), quota(0));
        CHECK_EQ(refusals(0), 0);
        buffer(1, CL_MEM_OBJECT_ALLOCATION_FAILURE);
        CHECK_EQ(refusals(0), 1);
        CHECK_OK(clReleaseMemObject(all));
        CHECK_EQ(used(0), 0);

        buffer(quota(0) + 1, CL_INVALID_BUFFER_SIZE);
        CHECK_EQ(refusals(0), 2);
        all = buffer(quota(0) - 1, CL_SUCCESS);
        buffer(2, CL_MEM_OBJECT_ALLOCATION_FAILURE);
        rest = buffer(1, CL_SUCCESS);
        CHECK_EQ(used(0), quota(0));
        CHECK_OK(clReleaseMemObject(all));
        CHECK_EQ(used(0), 1);
        CHECK_OK(clReleaseMemObject(rest));
        CHECK_EQ(used(0), 0);
        CHECK_EQ(refusals(0), 3);
}

static void refused_by_driver(void)
{
        buffer(0, CL_INVALID_BUFFER_SIZE);
        CHECK(!clCreateBuffer(b.context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, MIB, NULL, NULL));
        CHECK(!clCreateBuffer(b.context, CL_MEM_COPY_HOST_PTR, MIB, NULL, NULL));
        CHECK_EQ(used(0), 0);
}

static void last_reference(void)
{
        cl_buffer_region region = {0, MIB};
        cl_mem memory = buffer(4 * MIB, CL_SUCCESS), part;

        CHECK_OK(clRetainMemObject(memory));
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_EQ(used(0), 4 * MIB);
        part = clCreateSubBuffer(memory, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, NULL);
        CHECK(part);
        CHECK_EQ(used(0), 4 * MIB);
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_EQ(used(0), 4 * MIB); /* the part holds the whole */
        CHECK_OK(clReleaseMemObject(part));
        CHECK_EQ(used(0), 0);
}

static int order[2], calls;

static void CL_CALLBACK destroyed(cl_mem memory, void *user)
{
        order[calls++] = *(int *)user;
}

static void own_callbacks(void)
{
        static int first = 1, second = 2;
        cl_mem memory = buffer(MIB, CL_SUCCESS);

        CHECK_OK(clSetMemObjectDestructorCallback(memory, destroyed, &first));
        CHECK_OK(clSetMemObjectDestructorCallback(memory, destroyed, &second));
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_EQ(calls, 2);
        CHECK(order[0] == 2 && order[1] == 1);
        CHECK_EQ(used(0), 0);
}

static void host_pointers(void)
{
        void *host = aligned_alloc(4096, MIB);
        cl_mem memory = clCreateBuffer(b.context, CL_MEM_USE_HOST_PTR, MIB, host, NULL);

        CHECK(memory);
        CHECK_EQ(used(0), MIB);
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_EQ(used(0), 0);
        free(host);
}

static void images(void)
{
        cl_image_format rgba = {CL_RGBA, CL_UNORM_INT8}, real = {CL_R, CL_FLOAT};
        cl_image_desc flat = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 1024, .image_height = 512};
        cl_image_desc deep = {
                .image_type = CL_MEM_OBJECT_IMAGE3D, .image_width = 64, .image_height = 32, .image_depth = 16};
        cl_image_desc too_big = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 8192, .image_height = 4096};
        cl_image_desc view = {.image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER, .image_width = 1024};
        cl_mem image, memory;
        uint64_t before = refusals(0);
        cl_int r;

        image = clCreateImage(b.context, CL_MEM_READ_WRITE, &rgba, &flat, NULL, &r);
        CHECK_OK(r);
        CHECK_EQ(used(0), 1024 * 512 * 4);
        CHECK_OK(clReleaseMemObject(image));
        image = clCreateImage(b.context, CL_MEM_READ_WRITE, &real, &deep, NULL, &r);
        CHECK_OK(r);
        CHECK_EQ(used(0), 64 * 32 * 16 * 4);
        CHECK_OK(clReleaseMemObject(image));
        image = clCreateImage2D(b.context, CL_MEM_READ_WRITE, &rgba, 256, 256, 0, NULL, &r);
        CHECK_OK(r);
        CHECK_EQ(used(0), 256 * 256 * 4);
        CHECK_OK(clReleaseMemObject(image));
        CHECK_EQ(used(0), 0);

        CHECK(!clCreateImage(b.context, CL_MEM_READ_WRITE, &rgba, &too_big, NULL, &r));
        CHECK_EQ(r, CL_MEM_OBJECT_ALLOCATION_FAILURE);
        CHECK_EQ(refusals(0), before + 1);

        memory = buffer(MIB, CL_SUCCESS);
        view.buffer = memory;
        image = clCreateImage(b.context, CL_MEM_READ_WRITE, &rgba, &view, NULL, &r);
        CHECK_OK(r);
        CHECK_EQ(used(0), MIB);
        CHECK_OK(clReleaseMemObject(image));
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_EQ(used(0), 0);
}

static void with_properties(void)
{
        cl_int r;
        cl_mem memory = clCreateBufferWithProperties(b.context, NULL, CL_MEM_READ_WRITE, 3 * MIB, NULL, &r);

        CHECK_OK(r);
        CHECK_EQ(used(0), 3 * MIB);
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_EQ(used(0), 0);
        CHECK(!clCreateBufferWithProperties(b.context, NULL, CL_MEM_READ_WRITE, quota(0) + 1, NULL, &r));
        CHECK_EQ(r, CL_INVALID_BUFFER_SIZE);
}

static void shared_virtual(void)
{
        void *block[2];
        cl_event event;

        CHECK(!clSVMAlloc(b.context, CL_MEM_READ_WRITE, quota(0) + 1, 0));
        block[0] = clSVMAlloc(b.context, CL_MEM_READ_WRITE, MIB, 0);
        CHECK(block[0]);
        CHECK_EQ(used(0), MIB);
        clSVMFree(b.context, block[0]);
        CHECK_EQ(used(0), 0);
        clSVMFree(b.context, NULL);

        block[0] = clSVMAlloc(b.context, CL_MEM_READ_WRITE, MIB, 0);
        block[1] = clSVMAlloc(b.context, CL_MEM_READ_WRITE, 2 * MIB, 0);
        CHECK_EQ(used(0), 3 * MIB);
        CHECK_OK(clEnqueueSVMFree(b.queue[0], 2, block, NULL, NULL, 0, NULL, &event));
        CHECK_OK(clWaitForEvents(1, &event));
        CHECK_OK(clFinish(b.queue[0]));
        CHECK_OK(clReleaseEvent(event));
        CHECK_EQ(used_finally(0, 0), 0);
}

static void CL_CALLBACK free_them(cl_command_queue queue, cl_uint count, void *blocks[], void *user)
{
        for (cl_uint i = 0; i < count; i++)
                clSVMFree(user, blocks[i]);
}

static void shared_virtual_callback(void)
{
        void *block = clSVMAlloc(b.context, CL_MEM_READ_WRITE, MIB, 0);

        CHECK_OK(clEnqueueSVMFree(b.queue[0], 1, &block, free_them, b.context, 0, NULL, NULL));
        CHECK_OK(clFinish(b.queue[0]));
        CHECK_EQ(used_finally(0, 0), 0);
}

/* The object goes when its last command does, not before and not later. */
static void released_in_use(void)
{
        const int zero = 0;
        cl_event gate = clCreateUserEvent(b.context, NULL);
        cl_mem memory = buffer(MIB, CL_SUCCESS);

        CHECK_OK(clEnqueueFillBuffer(b.queue[0], memory, &zero, sizeof(zero), 0, MIB, 1, &gate, NULL));
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_EQ(used(0), MIB);
        CHECK_OK(clSetUserEventStatus(gate, CL_COMPLETE));
        CHECK_OK(clFinish(b.queue[0]));
        CHECK_OK(clReleaseEvent(gate));
        CHECK_EQ(used_finally(0, 0), 0);
}

static void smaller_quota(void)
{
        uint64_t before = quota(0);

        set_limit(0, MIB);
        figures();
        buffer(MIB + 1, CL_INVALID_BUFFER_SIZE);
        CHECK_OK(clReleaseMemObject(buffer(MIB, CL_SUCCESS)));
        set_limit(0, before);
        CHECK_OK(clReleaseMemObject(buffer(before, CL_SUCCESS)));
}

int main(void)
{
        bench_open(&b);
        CHECK_EQ(b.devices, 1);
        figures();
        to_the_byte();
        refused_by_driver();
        last_reference();
        own_callbacks();
        host_pointers();
        images();
        with_properties();
        shared_virtual();
        shared_virtual_callback();
        released_in_use();
        smaller_quota();
        CHECK_EQ(used(0), 0);
        bench_close(&b);
        return 0;
}
