/* SPDX-License-Identifier: Apache-2.0
 * Two vGPUs of one physical device in one program: run with 32 MiB and 16 MiB. */
#include "shim_test.h"

#define MIB   (1ull << 20)
#define ITEMS 4096

static const char source[] = "kernel void add(global int *a, int n) { a[get_global_id(0)] += n; }\n"
                             "#ifndef STEP\n#define STEP 1\n#endif\n"
                             "kernel void advance(global int *a) { a[get_global_id(0)] += STEP; }\n";

static struct bench b;

static void enumeration(void)
{
        cl_device_id again[MAX_DEVICES];
        cl_ulong memory[2];
        char name[2][256], extensions[4096];
        cl_uint count, vendor[2];
        void *first_word;
        cl_int r;

        CHECK_EQ(b.devices, 2);
        CHECK(b.device[0] != b.device[1]);
        /* Without a platform it is the loader's answer: Khronos' refuses, ocl-icd takes its default. */
        r = clGetDeviceIDs(NULL, CL_DEVICE_TYPE_ALL, MAX_DEVICES, again, &count);
        CHECK(r == CL_INVALID_PLATFORM || (r == CL_SUCCESS && count == 2));
        CHECK_OK(clGetDeviceIDs(b.platform, CL_DEVICE_TYPE_ALL, MAX_DEVICES, again, &count));
        CHECK_EQ(count, 2);
        CHECK(memcmp(again, b.device, 2 * sizeof(cl_device_id)) == 0);
        CHECK_OK(clGetDeviceIDs(b.platform, CL_DEVICE_TYPE_DEFAULT, 1, again, &count));
        CHECK(count == 1 && again[0] == b.device[0]);
        CHECK_EQ(clGetDeviceIDs(b.platform, CL_DEVICE_TYPE_ACCELERATOR, 1, again, &count), CL_DEVICE_NOT_FOUND);
        CHECK_EQ(clGetDeviceIDs(b.platform, CL_DEVICE_TYPE_ALL, 0, again, &count), CL_INVALID_VALUE);
        for (int i = 0; i < 2; i++) {
                CHECK_OK(clGetDeviceInfo(b.device[i], CL_DEVICE_GLOBAL_MEM_SIZE, 8, &memory[i], NULL));
                CHECK_OK(clGetDeviceInfo(b.device[i], CL_DEVICE_NAME, sizeof(name[i]), name[i], NULL));
                CHECK_OK(clGetDeviceInfo(b.device[i], CL_DEVICE_VENDOR_ID, sizeof(cl_uint), &vendor[i], NULL));
                CHECK_OK(clGetDeviceInfo(b.device[i], CL_DEVICE_EXTENSIONS, sizeof(extensions), extensions, NULL));
                CHECK(!strstr(extensions, "command_buffer") && strstr(extensions, "cl_khr_byte_addressable_store"));
                memcpy(&first_word, b.device[i], sizeof(first_word));
                CHECK(first_word);
        }
        CHECK(memory[0] == 32 * MIB && memory[1] == 16 * MIB && vendor[0] == vendor[1]);
        CHECK(strstr(name[0], "[test/0]") && strstr(name[1], "[test/1]"));
        CHECK_EQ(clGetDeviceInfo((cl_device_id)&b, CL_DEVICE_NAME, 1, name[0], NULL), CL_INVALID_DEVICE);
        CHECK_EQ(clGetDeviceInfo(b.device[0], CL_DEVICE_NAME, 3, name[0], NULL), CL_INVALID_VALUE);
        CHECK_OK(clRetainDevice(b.device[0]));
        CHECK_OK(clReleaseDevice(b.device[0]));
}

static void contexts(void)
{
        cl_device_id reversed[3] = {b.device[1], b.device[0], b.device[1]}, found[4], foreign = (cl_device_id)&b;
        cl_context context;
        cl_command_queue queue;
        cl_uint count;
        size_t size;
        cl_int r;

        CHECK_OK(clGetContextInfo(b.context, CL_CONTEXT_DEVICES, sizeof(found), found, &size));
        CHECK(size == 2 * sizeof(cl_device_id) && memcmp(found, b.device, size) == 0);
        context = clCreateContext(NULL, 3, reversed, NULL, NULL, &r);
        CHECK_OK(r);
        CHECK_OK(clGetContextInfo(context, CL_CONTEXT_NUM_DEVICES, sizeof(count), &count, NULL));
        CHECK_EQ(count, 2);
        CHECK_OK(clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof(found), found, NULL));
        CHECK(found[0] == b.device[1] && found[1] == b.device[0]);
        CHECK_OK(clReleaseContext(context));

        CHECK(!clCreateContext(NULL, 1, &foreign, NULL, NULL, &r));
        CHECK_EQ(r, CL_INVALID_DEVICE);
        context = clCreateContext(NULL, 1, &b.device[1], NULL, NULL, &r);
        CHECK_OK(r);
        CHECK(!clCreateCommandQueue(context, b.device[0], 0, &r));
        CHECK_EQ(r, CL_INVALID_DEVICE);
        queue = clCreateCommandQueueWithProperties(context, b.device[1], NULL, &r);
        CHECK_OK(r);
        CHECK_OK(clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof(found[0]), found, NULL));
        CHECK(found[0] == b.device[1]);
        CHECK_OK(clReleaseCommandQueue(queue));
        CHECK_OK(clReleaseContext(context));

        context = clCreateContextFromType(NULL, CL_DEVICE_TYPE_ALL, NULL, NULL, &r);
        CHECK_OK(r);
        CHECK_OK(clGetContextInfo(context, CL_CONTEXT_NUM_DEVICES, sizeof(count), &count, NULL));
        CHECK_EQ(count, 2);
        CHECK_OK(clReleaseContext(context));
        CHECK(!clCreateContextFromType(NULL, CL_DEVICE_TYPE_ACCELERATOR, NULL, NULL, &r));
        CHECK_EQ(r, CL_DEVICE_NOT_FOUND);
}

/* A chain of kernels that alternates between the vGPUs. */
static void chain(void)
{
        cl_program program = build(&b, source, NULL);
        cl_kernel add = kernel(program, "add");
        cl_mem memory = clCreateBuffer(b.context, CL_MEM_READ_WRITE, ITEMS * sizeof(int), NULL, NULL);
        const int zero = 0, rounds = 100;
        size_t items = ITEMS;
        uint64_t before[2] = {launches(0), launches(1)};
        int result[ITEMS];
        cl_event last, next;

        CHECK_OK(clEnqueueFillBuffer(b.queue[0], memory, &zero, sizeof(zero), 0, sizeof(result), 0, NULL, &last));
        for (int i = 1; i <= rounds; i++) {
                CHECK_OK(clSetKernelArg(add, 0, sizeof(memory), &memory));
                CHECK_OK(clSetKernelArg(add, 1, sizeof(i), &i));
                CHECK_OK(clEnqueueNDRangeKernel(b.queue[i % 2], add, 1, NULL, &items, NULL, 1, &last, &next));
                CHECK_OK(clReleaseEvent(last));
                last = next;
        }
        CHECK_OK(clEnqueueReadBuffer(b.queue[0], memory, CL_TRUE, 0, sizeof(result), result, 1, &last, NULL));
        CHECK_OK(clReleaseEvent(last));
        for (int i = 0; i < ITEMS; i++)
                CHECK_EQ(result[i], rounds * (rounds + 1) / 2);
        CHECK_EQ(launches(0) - before[0], rounds / 2);
        CHECK_EQ(launches(1) - before[1], rounds / 2);
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_EQ(used_finally(0, 0), 0);
        CHECK_OK(clReleaseKernel(add));
        CHECK_OK(clReleaseProgram(program));
}

static cl_build_status status_of(cl_program program, int i)
{
        cl_build_status status;

        CHECK_OK(clGetProgramBuildInfo(program, b.device[i], CL_PROGRAM_BUILD_STATUS, sizeof(status), &status, NULL));
        return status;
}

static void binaries(void)
{
        cl_program program = build(&b, source, "-DSTEP=3"), copy;
        cl_device_id found[2], reversed[2] = {b.device[1], b.device[0]};
        unsigned char *binary[2];
        size_t size[2];
        cl_int status[2], r;

        CHECK_OK(clGetProgramInfo(program, CL_PROGRAM_DEVICES, sizeof(found), found, NULL));
        CHECK(memcmp(found, b.device, sizeof(found)) == 0);
        CHECK_OK(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(size), size, NULL));
        CHECK(size[0] && size[0] == size[1]);
        for (int i = 0; i < 2; i++)
                binary[i] = calloc(1, size[i]);
        CHECK_OK(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(binary), binary, NULL));
        CHECK(memcmp(binary[0], binary[1], size[0]) == 0);
        copy = clCreateProgramWithBinary(b.context, 2, reversed, size, (const unsigned char **)binary, status, &r);
        CHECK_OK(r);
        CHECK(status[0] == CL_SUCCESS && status[1] == CL_SUCCESS);
        CHECK_OK(clGetProgramInfo(copy, CL_PROGRAM_DEVICES, sizeof(found), found, NULL));
        CHECK(memcmp(found, reversed, sizeof(found)) == 0);
        CHECK_OK(clBuildProgram(copy, 0, NULL, NULL, NULL, NULL));
        CHECK_OK(clReleaseKernel(kernel(copy, "advance")));
        CHECK_OK(clReleaseProgram(copy));
        binary[1][size[1] / 2] ^= 1; /* one physical device cannot have two */
        CHECK(!clCreateProgramWithBinary(b.context, 2, reversed, size, (const unsigned char **)binary, status, &r));
        CHECK_EQ(r, CL_INVALID_BINARY);
        CHECK_OK(clReleaseProgram(program));
        free(binary[0]);
        free(binary[1]);
}

static void options(void)
{
        const char *text = source, *broken = "kernel void k( {";
        cl_program program = clCreateProgramWithSource(b.context, 1, &text, NULL, NULL);
        cl_device_id foreign = (cl_device_id)&b;
        char log[16];
        size_t size;

        CHECK(status_of(program, 0) == CL_BUILD_NONE && status_of(program, 1) == CL_BUILD_NONE);
        CHECK_OK(clBuildProgram(program, 1, &b.device[0], "-DSTEP=3", NULL, NULL));
        CHECK_EQ(status_of(program, 0), CL_BUILD_SUCCESS);
        CHECK_EQ(status_of(program, 1), CL_BUILD_NONE);
        CHECK_OK(clGetProgramBuildInfo(program, b.device[1], CL_PROGRAM_BUILD_OPTIONS, sizeof(log), log, &size));
        CHECK(size == 1 && log[0] == 0);
        CHECK_EQ(clBuildProgram(program, 1, &b.device[1], "-DSTEP=5", NULL, NULL), CL_INVALID_OPERATION);
        CHECK_EQ(status_of(program, 1), CL_BUILD_NONE);
        CHECK_OK(clBuildProgram(program, 1, &b.device[1], "-DSTEP=3", NULL, NULL));
        CHECK_EQ(status_of(program, 1), CL_BUILD_SUCCESS);
        CHECK_OK(clBuildProgram(program, 2, b.device, "-DSTEP=7", NULL, NULL));
        CHECK_EQ(clBuildProgram(program, 1, &foreign, NULL, NULL, NULL), CL_INVALID_DEVICE);
        CHECK_EQ(clBuildProgram(program, 1, NULL, NULL, NULL, NULL), CL_INVALID_VALUE);
        CHECK_EQ(clGetProgramBuildInfo(program, foreign, CL_PROGRAM_BUILD_STATUS, sizeof(log), log, NULL),
                 CL_INVALID_DEVICE);
        CHECK_OK(clReleaseProgram(program));

        program = clCreateProgramWithSource(b.context, 1, &broken, NULL, NULL);
        CHECK_EQ(clBuildProgram(program, 1, &b.device[1], NULL, NULL, NULL), CL_BUILD_PROGRAM_FAILURE);
        CHECK_EQ(status_of(program, 1), CL_BUILD_ERROR);
        CHECK_EQ(status_of(program, 0), CL_BUILD_NONE);
        CHECK_OK(clGetProgramBuildInfo(program, b.device[1], CL_PROGRAM_BUILD_LOG, 0, NULL, &size));
        CHECK(size > 1);
        CHECK_OK(clReleaseProgram(program));
}

static void compile_and_link(void)
{
        const char *text = source;
        cl_program part = clCreateProgramWithSource(b.context, 1, &text, NULL, NULL), whole;
        cl_device_id found[2];
        cl_int r;

        CHECK_OK(clCompileProgram(part, 0, NULL, "-DSTEP=2", 0, NULL, NULL, NULL, NULL));
        whole = clLinkProgram(b.context, 2, b.device, NULL, 1, &part, NULL, NULL, &r);
        CHECK_OK(r);
        CHECK_OK(clGetProgramInfo(whole, CL_PROGRAM_DEVICES, sizeof(found), found, NULL));
        CHECK(memcmp(found, b.device, sizeof(found)) == 0);
        CHECK_EQ(status_of(whole, 1), CL_BUILD_SUCCESS);
        CHECK_OK(clReleaseKernel(kernel(whole, "advance")));
        CHECK_OK(clReleaseProgram(whole));
        CHECK_OK(clReleaseProgram(part));
}

static void kernels(void)
{
        cl_program program = build(&b, source, NULL);
        cl_kernel add = kernel(program, "add");
        size_t most;

        for (int i = 0; i < 2; i++)
                CHECK_OK(clGetKernelWorkGroupInfo(add, b.device[i], CL_KERNEL_WORK_GROUP_SIZE, sizeof(most), &most,
                                                  NULL));
        CHECK_EQ(clGetKernelWorkGroupInfo(add, NULL, CL_KERNEL_WORK_GROUP_SIZE, sizeof(most), &most, NULL),
                 CL_INVALID_DEVICE);
        CHECK_EQ(clGetKernelWorkGroupInfo(add, (cl_device_id)&b, CL_KERNEL_WORK_GROUP_SIZE, sizeof(most), &most, NULL),
                 CL_INVALID_DEVICE);
        CHECK_OK(clReleaseKernel(add));
        CHECK_OK(clReleaseProgram(program));
}

/* Charged to the first vGPU with room, else to both together, never twice for one physical device. */
static void charging(void)
{
        cl_mem first, second, both;
        cl_int r;

        first = clCreateBuffer(b.context, 0, 20 * MIB, NULL, &r);
        CHECK_OK(r);
        CHECK(used(0) == 20 * MIB && used(1) == 0);
        second = clCreateBuffer(b.context, 0, 14 * MIB, NULL, &r);
        CHECK_OK(r);
        CHECK(used(0) == 20 * MIB && used(1) == 14 * MIB);
        both = clCreateBuffer(b.context, 0, 13 * MIB, NULL, &r);
        CHECK_OK(r);
        CHECK(used(0) == 32 * MIB && used(1) == 15 * MIB);
        CHECK(refusals(0) == 0 && refusals(1) == 0);
        CHECK(!clCreateBuffer(b.context, 0, 2 * MIB, NULL, &r));
        CHECK_EQ(r, CL_MEM_OBJECT_ALLOCATION_FAILURE);
        CHECK_EQ(refusals(0) + refusals(1), 1);
        CHECK(used(0) == 32 * MIB && used(1) == 15 * MIB);
        CHECK_OK(clReleaseMemObject(both));
        CHECK_OK(clReleaseMemObject(first));
        CHECK_OK(clReleaseMemObject(second));
        CHECK(used(0) == 0 && used(1) == 0);
        CHECK(!clCreateBuffer(b.context, 0, 33 * MIB, NULL, &r));
        CHECK_EQ(r, CL_INVALID_BUFFER_SIZE);
        CHECK_EQ(refusals(0) + refusals(1), 2);
}

static void sub_devices(void)
{
        const cl_device_partition_property each[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
        cl_device_id part[2], parent, found;
        cl_context context;
        cl_command_queue queue;
        cl_uint count = 0;
        cl_ulong memory;
        cl_mem object;
        cl_int r;

        if (clCreateSubDevices(b.device[1], each, 0, NULL, &count) != CL_SUCCESS || count != 2)
                return;
        CHECK_OK(clCreateSubDevices(b.device[1], each, 2, part, NULL));
        CHECK_OK(clGetDeviceInfo(part[0], CL_DEVICE_PARENT_DEVICE, sizeof(parent), &parent, NULL));
        CHECK(parent == b.device[1]);
        CHECK_OK(clGetDeviceInfo(part[0], CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(memory), &memory, NULL));
        CHECK_EQ(memory, 16 * MIB);
        context = clCreateContext(NULL, 2, part, NULL, NULL, &r);
        CHECK_OK(r);
        queue = clCreateCommandQueue(context, part[1], 0, &r);
        CHECK_OK(r);
        CHECK_OK(clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof(found), &found, NULL));
        CHECK(found == part[1]);
        object = clCreateBuffer(context, 0, MIB, NULL, &r);
        CHECK_OK(r);
        CHECK(used(0) == 0 && used(1) == MIB); /* one physical device, one vGPU: once */
        CHECK_OK(clReleaseMemObject(object));
        CHECK_OK(clReleaseCommandQueue(queue));
        CHECK_OK(clReleaseContext(context));
        CHECK_OK(clRetainDevice(part[0]));
        CHECK_OK(clReleaseDevice(part[0]));
        CHECK_OK(clReleaseDevice(part[0]));
        CHECK_OK(clReleaseDevice(part[1]));
}

static void extension_pointers(void)
{
        static const char *const hidden[] = {"clCreateCommandBufferKHR", "clEnqueueCommandBufferKHR",
                                             "clIcdGetPlatformIDsKHR", "clNoSuchFunction"};
        void *entry = clGetExtensionFunctionAddressForPlatform(b.platform, "clCreateProgramWithILKHR");

        for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
                CHECK(!clGetExtensionFunctionAddressForPlatform(b.platform, hidden[i]));
                CHECK(!clGetExtensionFunctionAddress(hidden[i]));
        }
        if (entry) { /* ours: it knows our contexts and refuses others */
                cl_int r = CL_SUCCESS;
                clCreateProgramWithILKHR_fn create = (clCreateProgramWithILKHR_fn)entry;
                CHECK(!create(b.context, NULL, 0, &r));
                CHECK(r != CL_SUCCESS);
        }
}

static void timers(void)
{
        cl_ulong host;

        CHECK_EQ(clGetHostTimer((cl_device_id)&b, &host), CL_INVALID_DEVICE);
}

int main(void)
{
        bench_open(&b);
        enumeration();
        contexts();
        chain();
        binaries();
        options();
        compile_and_link();
        kernels();
        charging();
        sub_devices();
        extension_pointers();
        timers();
        CHECK(used(0) == 0 && used(1) == 0);
        bench_close(&b);
        return 0;
}
