/* SPDX-License-Identifier: Apache-2.0
 *
 * Device numbers inside other things, on two vGPUs of simulated GPU 0 (256 MiB and 128 MiB) and one of GPU 1 (64 MiB): locations
 * of virtual and managed memory and of pools, rights, threads. What the driver lacks is left out. */
#include "abi/cuda.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB     ((size_t)1 << 20)
#define DEVICES 3

static int failures;
static CUcontext context[DEVICES];

#define CHECK(what) \
        do { \
                if (!(what)) { \
                        fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
                        failures++; \
                } \
        } while (0)
#define OK(call) \
        do { \
                CUresult ok_ = (call); \
                if (ok_ != CUDA_SUCCESS) { \
                        fprintf(stderr, "%s:%d: %s = %d\n", __FILE__, __LINE__, #call, (int)ok_); \
                        failures++; \
                } \
        } while (0)

static CUmemLocation at(int device)
{
        return (CUmemLocation){.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device};
}

static size_t free_on(int device)
{
        size_t left = 0;
        OK(cuCtxSetCurrent(context[device]));
        OK(cuMemGetInfo_v2(&left, NULL));
        return left;
}

/* Physical memory belongs to the vGPU of its location, whoever's context is current. */
static void virtual_memory(int device)
{
        CUmemAllocationProp want = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = at(device)}, got;
        CUmemAccessDesc access = {.location = at(device), .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
        CUmemGenericAllocationHandle handle;
        CUdeviceptr address;
        size_t grain = 0, before = free_on(device);
        unsigned long long flags = 0;
        int ordinal = -7;
        OK(cuCtxSetCurrent(context[0]));
        OK(cuMemGetAllocationGranularity(&grain, &want, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
        OK(cuMemCreate(&handle, 2 * grain, &want, 0));
        CHECK(before - free_on(device) == 2 * grain);
        OK(cuMemGetAllocationPropertiesFromHandle(&got, handle));
        CHECK(got.location.type == CU_MEM_LOCATION_TYPE_DEVICE && got.location.id == device);
        OK(cuMemAddressReserve(&address, 2 * grain, 0, 0, 0));
        OK(cuMemMap(address, 2 * grain, 0, handle, 0));
        OK(cuMemSetAccess(address, 2 * grain, &access, 1));
        CHECK(access.location.id == device);
        OK(cuMemGetAccess(&flags, &access.location, address));
        CHECK(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
        OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address));
        CHECK(ordinal == device);
        OK(cuMemUnmap(address, 2 * grain));
        OK(cuMemRelease(handle));
        OK(cuMemAddressFree(address, 2 * grain));
        CHECK(free_on(device) == before);
        want.location.id = DEVICES;
        CHECK(cuMemCreate(&handle, grain, &want, 0) != CUDA_SUCCESS);
}

static void managed_memory(int device)
{
        CUdeviceptr pointer;
        int where = -7, ordinal = -7, mostly = -7;
        OK(cuCtxSetCurrent(context[device]));
        OK(cuMemAllocManaged(&pointer, MIB, CU_MEM_ATTACH_GLOBAL));
        OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, pointer));
        CHECK(ordinal == device);
        CUresult r = cuMemAdvise(pointer, MIB, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, device);
        if (r != CUDA_ERROR_NOT_SUPPORTED) {
                OK(r);
                OK(cuMemRangeGetAttribute(&where, sizeof where, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, pointer, MIB));
                CHECK(where == device);
                OK(cuMemAdvise_v2(pointer, MIB, CU_MEM_ADVISE_SET_ACCESSED_BY, at(device)));
                OK(cuMemAdvise(pointer, MIB, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, CU_DEVICE_CPU));
                OK(cuMemRangeGetAttribute(&where, sizeof where, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, pointer, MIB));
                CHECK(where == CU_DEVICE_CPU);
                CHECK(cuMemAdvise(pointer, MIB, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, DEVICES) == CUDA_ERROR_INVALID_DEVICE);
        }
        OK(cuMemPrefetchAsync(pointer, MIB, device, NULL));
        OK(cuMemPrefetchAsync_v2(pointer, MIB, at(device), 0, NULL));
        OK(cuStreamSynchronize(NULL));
        OK(cuMemRangeGetAttribute(&where, sizeof where, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, pointer, MIB));
        CHECK(where == device);
        void *answer[] = {&mostly, &where};
        size_t size[] = {sizeof mostly, sizeof where};
        CUmem_range_attribute attribute[] = {CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION};
        where = -7;
        OK(cuMemRangeGetAttributes(answer, size, attribute, 2, pointer, MIB));
        CHECK(where == device && mostly == 0);
        OK(cuMemFree_v2(pointer));
}

static void pools(int device)
{
        CUmemPoolProps want = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = at(device)};
        CUmemAccess_flags flags = 0;
        CUmemLocation here = at(device);
        CUmemoryPool pool, now;
        CUdeviceptr pointer;
        int ordinal = -7;
        OK(cuCtxSetCurrent(context[device]));
        OK(cuMemPoolCreate(&pool, &want));
        OK(cuMemPoolGetAccess(&flags, pool, &here));
        CHECK(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE && here.id == device);
        OK(cuDeviceSetMemPool(device, pool));
        OK(cuDeviceGetMemPool(&now, device));
        CHECK(now == pool);
        OK(cuDeviceGetMemPool(&now, device == 0 ? 1 : 0));
        CHECK(now != pool);
        OK(cuMemAllocAsync(&pointer, MIB, NULL));
        OK(cuPointerGetAttribute(&now, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, pointer));
        CHECK(now == pool);
        OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, pointer));
        CHECK(ordinal == device);
        OK(cuMemFreeAsync(pointer, NULL));
        OK(cuCtxSynchronize());
        OK(cuMemPoolDestroy(pool));
        OK(cuDeviceGetMemPool(&now, device));
        CUmemoryPool standard;
        OK(cuDeviceGetDefaultMemPool(&standard, device));
        CHECK(now == standard); /* a destroyed pool is nobody's current one */
}

/* Each thread has its own current device. */
static void *thread_of_one(void *argument)
{
        int device = (int)(intptr_t)argument;
        size_t quota = 256 * MIB >> device, total;
        CUdevice now;
        long wrong = 0;
        for (int i = 0; i < 2000; i++) {
                wrong += cuCtxPushCurrent_v2(context[device]) != CUDA_SUCCESS;
                wrong += cuCtxGetDevice(&now) != CUDA_SUCCESS || now != device;
                wrong += cuMemGetInfo_v2(NULL, &total) != CUDA_SUCCESS || total != quota;
                CUcontext mine, popped;
                wrong += i % 100 == 0 && (cuCtxCreate_v2(&mine, 0, device) || cuCtxGetDevice(&now) || now != device ||
                                          cuCtxDestroy_v2(mine));
                wrong += cuCtxPopCurrent_v2(&popped) != CUDA_SUCCESS || popped != context[device];
                wrong += cuMemGetInfo_v2(NULL, &total) != CUDA_ERROR_INVALID_CONTEXT;
        }
        return (void *)wrong;
}

static void threads(void)
{
        pthread_t thread[DEVICES];
        for (int i = 0; i < DEVICES; i++)
                CHECK(pthread_create(&thread[i], NULL, thread_of_one, (void *)(intptr_t)i) == 0);
        for (int i = 0; i < DEVICES; i++) {
                void *wrong;
                pthread_join(thread[i], &wrong);
                CHECK(wrong == NULL);
        }
}

int main(void)
{
        OK(cuInit(0));
        for (int i = 0; i < DEVICES && !failures; i++)
                OK(cuDevicePrimaryCtxRetain(&context[i], i));
        for (int i = 0; i < DEVICES && !failures; i++) {
                virtual_memory(i);
                managed_memory(i);
                pools(i);
        }
        if (!failures)
                threads();
        OK(cuCtxSetCurrent(NULL));
        for (int i = 0; i < DEVICES; i++)
                OK(cuDevicePrimaryCtxRelease_v2(i));
        return failures;
}
