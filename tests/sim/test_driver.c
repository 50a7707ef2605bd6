/* SPDX-License-Identifier: Apache-2.0
 * Initialisation, devices, contexts, cuGetProcAddress. */
#include "sim_test.h"

#include <dlfcn.h>
#include <pthread.h>

static void before_init(void)
{
        int n, version;
        CUdeviceptr p;
        IS(cuDeviceGetCount(&n), CUDA_ERROR_NOT_INITIALIZED);
        IS(cuMemAlloc_v2(&p, 1), CUDA_ERROR_NOT_INITIALIZED);
        OK(cuDriverGetVersion(&version));
        CHECK(version == 12040);
        IS(cuInit(1), CUDA_ERROR_INVALID_VALUE);
}

static void devices(void)
{
        int n, value;
        CUdevice device;
        char name[64], bus[32];
        CUuuid uuid;
        size_t bytes;
        OK(cuInit(0));
        OK(cuDeviceGetCount(&n));
        CHECK(n == 3);
        IS(cuDeviceGet(&device, 3), CUDA_ERROR_INVALID_DEVICE);
        IS(cuDeviceGet(&device, -1), CUDA_ERROR_INVALID_DEVICE);
        OK(cuDeviceGet(&device, 2));
        OK(cuDeviceGetName(name, sizeof name, device));
        CHECK(strcmp(name, "Tiny") == 0);
        OK(cuDeviceGetName(name, 4, 0));
        CHECK(strcmp(name, "NVI") == 0);
        OK(cuDeviceTotalMem_v2(&bytes, device));
        CHECK(bytes == 64 * MI);
        OK(cuDeviceGetUuid_v2(&uuid, 1));
        CHECK(memcmp(uuid.bytes, "\0\0\0\2\0\0\x40\0\x80\0\0\0\0\0\0\2", 16) == 0);
        OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
        CHECK(value == 132);
        OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 2));
        CHECK(value == 7);
        IS(cuDeviceGetAttribute(&value, 0, 0), CUDA_ERROR_INVALID_VALUE);
        IS(cuDeviceGetAttribute(NULL, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0), CUDA_ERROR_INVALID_VALUE);
        OK(cuDeviceGetPCIBusId(bus, sizeof bus, 1));
        OK(cuDeviceGetByPCIBusId(&device, bus));
        CHECK(device == 1);
        OK(cuDeviceCanAccessPeer(&value, 0, 1));
        CHECK(value == 1);
}

static void context_stack(void)
{
        CUcontext a, b, got;
        CUdevice device;
        OK(cuCtxGetCurrent(&got));
        CHECK(!got);
        IS(cuCtxGetDevice(&device), CUDA_ERROR_INVALID_CONTEXT);
        IS(cuCtxPopCurrent_v2(&got), CUDA_ERROR_INVALID_CONTEXT);
        OK(cuCtxCreate_v2(&a, 0, 0));
        OK(cuCtxCreate_v2(&b, 0, 1));
        OK(cuCtxGetDevice(&device));
        CHECK(device == 1);
        OK(cuCtxPopCurrent_v2(&got));
        CHECK(got == b);
        OK(cuCtxGetCurrent(&got));
        CHECK(got == a);
        OK(cuCtxPushCurrent_v2(b));
        OK(cuCtxDestroy_v2(b));
        OK(cuCtxGetCurrent(&got));
        CHECK(got == a);
        IS(cuCtxSetCurrent(b), CUDA_ERROR_INVALID_CONTEXT);
        IS(cuCtxPushCurrent_v2((CUcontext)0x1234), CUDA_ERROR_INVALID_CONTEXT);
        IS(cuCtxDestroy_v2((CUcontext)&got), CUDA_ERROR_INVALID_CONTEXT);
        OK(cuCtxSetCurrent(NULL));
        OK(cuCtxGetCurrent(&got));
        CHECK(!got);
        OK(cuCtxDestroy_v2(a));
}

static void *use_elsewhere(void *ctx)
{
        CUdevice device;
        OK(cuCtxSetCurrent(ctx));
        OK(cuCtxDestroy_v2(ctx));
        IS(cuCtxGetDevice(&device), CUDA_ERROR_INVALID_CONTEXT);
        return NULL;
}

/* Another thread destroys what is current here: no crash, and no life in the next context that is made. */
static void destroyed_elsewhere(void)
{
        CUcontext ctx, other;
        CUdeviceptr p;
        pthread_t thread;
        OK(cuCtxCreate_v2(&ctx, 0, 0));
        CHECK(pthread_create(&thread, NULL, use_elsewhere, ctx) == 0);
        pthread_join(thread, NULL);
        IS(cuMemAlloc_v2(&p, 1), CUDA_ERROR_INVALID_CONTEXT);
        OK(cuCtxCreate_v2(&other, 0, 0));
        CHECK(other != ctx);
        OK(cuCtxDestroy_v2(other));
        OK(cuCtxSetCurrent(NULL));
}

static void primary(void)
{
        CUcontext a, b;
        unsigned flags;
        int active;
        size_t before, after;
        CUdeviceptr p;
        OK(cuDevicePrimaryCtxSetFlags_v2(0, CU_CTX_SCHED_YIELD));
        OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
        CHECK(!active && flags == CU_CTX_SCHED_YIELD);
        OK(cuDevicePrimaryCtxRetain(&a, 0));
        OK(cuDevicePrimaryCtxRetain(&b, 0));
        CHECK(a == b);
        OK(cuCtxSetCurrent(a));
        OK(cuMemGetInfo_v2(&before, NULL));
        OK(cuMemAlloc_v2(&p, MI));
        IS(cuCtxDestroy_v2(a), CUDA_ERROR_INVALID_CONTEXT);
        OK(cuDevicePrimaryCtxRelease_v2(0));
        OK(cuMemFree_v2(p));
        OK(cuMemAlloc_v2(&p, MI));
        OK(cuDevicePrimaryCtxRelease_v2(0));
        IS(cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
        IS(cuMemFree_v2(p), CUDA_ERROR_INVALID_CONTEXT);
        OK(cuDevicePrimaryCtxRetain(&b, 0));
        CHECK(a == b);
        OK(cuMemGetInfo_v2(&after, NULL));
        CHECK(before == after);
        OK(cuDevicePrimaryCtxReset_v2(0));
        OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
        CHECK(!active);
        OK(cuCtxSetCurrent(NULL));
}

static void *ask(const char *name, int version, uint64_t flags, int wanted)
{
        void *function = (void *)1;
        CUdriverProcAddressQueryResult status = 99;
        OK(cuGetProcAddress_v2(name, &function, version, flags, &status));
        CHECK((int)status == wanted && !function == (wanted != CU_GET_PROC_ADDRESS_SUCCESS));
        return function;
}

static void proc_address(void)
{
        void *function;
        CHECK(ask("cuMemAlloc", 12000, 0, 0) == dlsym(RTLD_DEFAULT, "cuMemAlloc_v2"));
        CHECK(ask("cuMemAlloc", 3000, 0, 0) == dlsym(RTLD_DEFAULT, "cuMemAlloc"));
        CHECK(ask("cuGetProcAddress", 11030, 0, 0) == dlsym(RTLD_DEFAULT, "cuGetProcAddress"));
        CHECK(ask("cuGetProcAddress", 12000, 0, 0) == dlsym(RTLD_DEFAULT, "cuGetProcAddress_v2"));
        CHECK(ask("cuLaunchKernel", 12000, 0, 0) == dlsym(RTLD_DEFAULT, "cuLaunchKernel"));
        CHECK(ask("cuLaunchKernel", 12000, 1, 0) == dlsym(RTLD_DEFAULT, "cuLaunchKernel"));
        CHECK(ask("cuLaunchKernel", 12000, 2, 0) == dlsym(RTLD_DEFAULT, "cuLaunchKernel_ptsz"));
        CHECK(ask("cuLaunchKernel", 4000, 2, 0) == dlsym(RTLD_DEFAULT, "cuLaunchKernel"));
        CHECK(ask("cuMemcpyHtoD", 12000, 2, 0) == dlsym(RTLD_DEFAULT, "cuMemcpyHtoD_v2_ptds"));
        CHECK(ask("cuCtxCreate", 12000, 0, 0) == dlsym(RTLD_DEFAULT, "cuCtxCreate_v3"));
        ask("cuMemAllocAsync", 11000, 0, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
        ask("cuMemAllocAsync_v9", 12000, 0, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
        /* The driver of the spec is 12.4: it does not know what 12.5 brought. */
        CHECK(ask("cuCtxCreate", 13000, 0, 0) == dlsym(RTLD_DEFAULT, "cuCtxCreate_v3"));
        IS(cuGetProcAddress_v2(NULL, &function, 12000, 0, NULL), CUDA_ERROR_INVALID_VALUE);
        IS(cuGetProcAddress_v2("cuInit", NULL, 12000, 0, NULL), CUDA_ERROR_INVALID_VALUE);
        IS(cuGetProcAddress_v2("cuInit", &function, 12000, 7, NULL), CUDA_ERROR_INVALID_VALUE);
        OK(cuGetProcAddress("cuInit", &function, 12000, 0));
        CHECK(function == dlsym(RTLD_DEFAULT, "cuInit"));
        IS(cuGetProcAddress("cuNothing", &function, 12000, 0), CUDA_ERROR_NOT_FOUND);
}

static void errors(void)
{
        const char *text;
        OK(cuGetErrorName(CUDA_ERROR_OUT_OF_MEMORY, &text));
        CHECK(strcmp(text, "CUDA_ERROR_OUT_OF_MEMORY") == 0);
        OK(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
        CHECK(strcmp(text, "out of memory") == 0);
        IS(cuGetErrorString(12345, &text), CUDA_ERROR_INVALID_VALUE);
        CHECK(!text);
}

static int forked(void *arg)
{
        int n;
        return cuDeviceGetCount(&n) == CUDA_ERROR_NOT_INITIALIZED && cuInit(0) == CUDA_ERROR_NOT_INITIALIZED ? 0 : 1;
}

static int with_visible(void *list)
{
        int n = 0, bytes;
        size_t memory = 0;
        setenv("CUDA_VISIBLE_DEVICES", list, 1);
        bytes = cuInit(0) == CUDA_SUCCESS && cuDeviceGetCount(&n) == CUDA_SUCCESS ? n : 0;
        if (bytes && cuDeviceTotalMem_v2(&memory, 0) == CUDA_SUCCESS && memory == 64 * MI)
                bytes += 10; /* the tiny one comes first */
        return bytes;
}

static int without_spec(void *value)
{
        unsetenv("FASTGPU_SIM");
        if (value)
                setenv("FASTGPU_SIM", value, 1);
        fclose(stderr);
        return cuInit(0) == CUDA_ERROR_NO_DEVICE ? 0 : 1;
}

static void visible(void)
{
        CHECK(sim_child(with_visible, (char *)"2,0") == 12);
        CHECK(sim_child(with_visible, (char *)"1") == 1);
        CHECK(sim_child(with_visible, (char *)"GPU-00000003") == 11);
        CHECK(sim_child(with_visible, (char *)"0,9,1") == 1);
        CHECK(sim_child(with_visible, (char *)"0,0") == 0);
        CHECK(sim_child(with_visible, (char *)"") == 0);
        CHECK(sim_child(without_spec, NULL) == 0);
        CHECK(sim_child(without_spec, (char *)"2xNothing") == 0);
        CHECK(sim_child(without_spec, (char *)"/nonexistent/spec") == 0);
}

int main(void)
{
        sim_start("[sim]\ndriver = 12.4\n[gpu]\ncount = 2\nmodel = H100\ncontext = 1M\n"
                  "[gpu]\nmodel = Tiny\nmemory = 64M\ncontext = 1M\ncapability = 7.5\n");
        visible();
        before_init();
        devices();
        context_stack();
        destroyed_elsewhere();
        primary();
        proc_address();
        errors();
        CHECK(sim_child(forked, NULL) == 0);
        return 0;
}
