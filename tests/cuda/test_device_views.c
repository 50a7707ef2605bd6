/* SPDX-License-Identifier: Apache-2.0
 *
 * A program on vGPUs of the simulated GPU, through the drop-in: each vGPU is a device of its own. Run by fake-daemon with the
 * keys and quotas that the modes expect:
 *
 *      shared    256 MiB and 128 MiB on GPU 0, 64 MiB on GPU 1
 *      moved     256 MiB on GPU 1 alone
 *      chosen    as shared, with CUDA_VISIBLE_DEVICES=2,1
 *      uuid      as shared, with CUDA_VISIBLE_DEVICES=GPU-02
 *      nothing   as shared, with CUDA_VISIBLE_DEVICES empty
 *      gone      a GPU that is not there */
#include "abi/cuda.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static int failures;

#define CHECK(what) \
        do { \
                if (!(what)) { \
                        fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
                        failures++; \
                } \
        } while (0)
#define IS(call, want) \
        do { \
                CUresult is_ = (call); \
                if (is_ != (want)) { \
                        fprintf(stderr, "%s:%d: %s = %d, not %d\n", __FILE__, __LINE__, #call, (int)is_, (int)(want)); \
                        failures++; \
                } \
        } while (0)
#define OK(call) IS(call, CUDA_SUCCESS)

/* The fake daemon's vGPU I has the UUID that is all bytes I + 1. */
static void check_device(int device, int position, size_t quota)
{
        CUdevice got = -7;
        CUuuid uuid;
        size_t total = 0;
        char name[64] = "", bus[32] = "";
        int value = 0;
        OK(cuDeviceGet(&got, device));
        CHECK(got == device);
        OK(cuDeviceGetUuid_v2(&uuid, device));
        CHECK(uuid.bytes[0] == position + 1 && uuid.bytes[15] == position + 1);
        OK(cuDeviceTotalMem_v2(&total, device));
        CHECK(total == quota);
        OK(cuDeviceGetName(name, sizeof name, device));
        CHECK(name[0]);
        OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device));
        CHECK(value > 0);
        OK(cuDeviceGetPCIBusId(bus, sizeof bus, device));
        CHECK(bus[0]);
}

static void check_no_device(int device)
{
        CUdevice got;
        size_t total;
        CUcontext context;
        int value;
        char name[8];
        IS(cuDeviceGet(&got, device), CUDA_ERROR_INVALID_DEVICE);
        IS(cuDeviceTotalMem_v2(&total, device), CUDA_ERROR_INVALID_DEVICE);
        IS(cuDeviceGetName(name, sizeof name, device), CUDA_ERROR_INVALID_DEVICE);
        IS(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device), CUDA_ERROR_INVALID_DEVICE);
        IS(cuDevicePrimaryCtxRetain(&context, device), CUDA_ERROR_INVALID_DEVICE);
        IS(cuCtxCreate_v2(&context, 0, device), CUDA_ERROR_INVALID_DEVICE);
}

/* What is current is the device's, and what is allocated there counts there. */
static void use_primary(int device, size_t quota)
{
        CUcontext context;
        CUdevice got = -7;
        CUdeviceptr pointer;
        CUstream stream;
        size_t free_before, free_after, total;
        int ordinal = -7;
        OK(cuDevicePrimaryCtxRetain(&context, device));
        OK(cuCtxSetCurrent(context));
        OK(cuCtxGetDevice(&got));
        CHECK(got == device);
        OK(cuMemGetInfo_v2(&free_before, &total));
        CHECK(total == quota && free_before <= quota);
        OK(cuMemAlloc_v2(&pointer, 4 * MIB));
        OK(cuMemGetInfo_v2(&free_after, NULL));
        CHECK(free_before - free_after == 4 * MIB);
        OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, pointer));
        CHECK(ordinal == device);
        CUcontext owner = NULL;
        OK(cuPointerGetAttribute(&owner, CU_POINTER_ATTRIBUTE_CONTEXT, pointer));
        CHECK(owner == context);
        OK(cuStreamCreate(&stream, 0));
        CUcontext of_stream = NULL;
        OK(cuStreamGetCtx(stream, &of_stream));
        CHECK(of_stream == context);
        OK(cuStreamDestroy_v2(stream));
        CUdeviceptr too_much;
        IS(cuMemAlloc_v2(&too_much, quota), CUDA_ERROR_OUT_OF_MEMORY);
        OK(cuMemFree_v2(pointer));
        OK(cuMemGetInfo_v2(&free_after, NULL));
        CHECK(free_after == free_before);
}

static void release_primary(int device)
{
        unsigned flags;
        int active = -1;
        OK(cuDevicePrimaryCtxGetState(device, &flags, &active));
        CHECK(active == 1);
        OK(cuDevicePrimaryCtxRelease_v2(device));
        OK(cuDevicePrimaryCtxGetState(device, &flags, &active));
        CHECK(active == 0);
}

/* Between two vGPUs of one GPU: no peers, but copies from one to the other. */
static void copy_between(int a, int b)
{
        CUcontext context[2];
        CUdeviceptr pointer[2];
        char text[16] = "from the first", back[16] = "";
        int can = 7;
        OK(cuDeviceCanAccessPeer(&can, a, b));
        CHECK(can == 0);
        for (int i = 0; i < 2; i++) {
                OK(cuDevicePrimaryCtxRetain(&context[i], i ? b : a));
                OK(cuCtxSetCurrent(context[i]));
                OK(cuMemAlloc_v2(&pointer[i], MIB));
        }
        OK(cuMemcpyHtoD_v2(pointer[0], text, sizeof text));
        OK(cuMemcpyPeer(pointer[1], context[1], pointer[0], context[0], sizeof text));
        OK(cuMemcpyDtoH_v2(back, pointer[1], sizeof back));
        CHECK(strcmp(text, back) == 0);
        for (int i = 0; i < 2; i++) {
                OK(cuCtxSetCurrent(context[i]));
                OK(cuMemFree_v2(pointer[i]));
        }
        OK(cuCtxSetCurrent(NULL));
        OK(cuDevicePrimaryCtxRelease_v2(a));
        OK(cuDevicePrimaryCtxRelease_v2(b));
}

/* Stream-ordered memory of a further vGPU comes from a pool of its own, which the other does not see. */
static void pools(void)
{
        CUmemoryPool pool[2], now;
        CUcontext context;
        CUdeviceptr pointer;
        CUmemoryPool of_pointer = NULL;
        for (int i = 0; i < 2; i++) {
                OK(cuDeviceGetDefaultMemPool(&pool[i], i));
                OK(cuDeviceGetMemPool(&now, i));
                CHECK(now == pool[i]);
        }
        CHECK(pool[0] != pool[1]);
        OK(cuDevicePrimaryCtxRetain(&context, 1));
        OK(cuCtxSetCurrent(context));
        OK(cuMemAllocAsync(&pointer, MIB, NULL));
        OK(cuPointerGetAttribute(&of_pointer, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, pointer));
        CHECK(of_pointer == pool[1]);
        int ordinal = -7;
        OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, pointer));
        CHECK(ordinal == 1);
        OK(cuMemFreeAsync(pointer, NULL));
        OK(cuStreamSynchronize(NULL));
        CHECK(cuMemPoolDestroy(pool[1]) != CUDA_SUCCESS);
        OK(cuCtxSetCurrent(NULL));
        OK(cuDevicePrimaryCtxRelease_v2(1));
}

static void bus_ids(int count)
{
        for (int i = 0; i < count; i++) {
                char bus[32], first[32];
                CUdevice device = -7;
                OK(cuDeviceGetPCIBusId(bus, sizeof bus, i));
                OK(cuDeviceGetByPCIBusId(&device, bus));
                CHECK(device >= 0 && device <= i);
                OK(cuDeviceGetPCIBusId(first, sizeof first, device));
                CHECK(strcmp(bus, first) == 0);
        }
}

static void shared(void)
{
        static const size_t quota[] = {256 * MIB, 128 * MIB, 64 * MIB};
        int count = 0;
        OK(cuDeviceGetCount(&count));
        CHECK(count == 3);
        for (int i = 0; i < 3; i++)
                check_device(i, i, quota[i]);
        check_no_device(3);
        check_no_device(-1);
        bus_ids(3);
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < 3; i++)
                        use_primary(i, quota[i]);
                OK(cuCtxSetCurrent(NULL));
                for (int i = 0; i < 3; i++)
                        release_primary(i);
        }
        copy_between(0, 1);
        copy_between(1, 0);
        pools();
}

static void moved(void)
{
        int count = 0, can = 7;
        OK(cuDeviceGetCount(&count));
        CHECK(count == 1);
        check_device(0, 0, 256 * MIB);
        check_no_device(1);
        bus_ids(1);
        use_primary(0, 256 * MIB);
        IS(cuDeviceTotalMem_v2(NULL, 0), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemGetInfo_v2(NULL, NULL));
        IS(cuDeviceCanAccessPeer(&can, 0, 1), CUDA_ERROR_INVALID_DEVICE);
        OK(cuCtxSetCurrent(NULL));
        size_t total;
        IS(cuMemGetInfo_v2(NULL, &total), CUDA_ERROR_INVALID_CONTEXT);
        release_primary(0);
}

static void chosen(void)
{
        int count = 0;
        OK(cuDeviceGetCount(&count));
        CHECK(count == 2);
        check_device(0, 2, 64 * MIB);
        check_device(1, 1, 128 * MIB);
        check_no_device(2);
        use_primary(0, 64 * MIB);
        use_primary(1, 128 * MIB);
        CHECK(strcmp(getenv("CUDA_VISIBLE_DEVICES"), "2,1") == 0);
}

static void by_uuid(void)
{
        int count = 0;
        OK(cuDeviceGetCount(&count));
        CHECK(count == 1);
        check_device(0, 1, 128 * MIB);
        use_primary(0, 128 * MIB);
}

int main(int argc, char **argv)
{
        const char *mode = argc > 1 ? argv[1] : "shared";
        bool refused = strcmp(mode, "nothing") == 0 || strcmp(mode, "gone") == 0;
        IS(cuInit(0), refused ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS);
        if (failures || refused)
                return failures;
        if (strcmp(mode, "shared") == 0)
                shared();
        else if (strcmp(mode, "moved") == 0)
                moved();
        else if (strcmp(mode, "chosen") == 0)
                chosen();
        else
                by_uuid();
        return failures;
}
