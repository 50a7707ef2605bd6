/* SPDX-License-Identifier: Apache-2.0
 * Contexts on the scripted driver: whose they are, what is charged for them, what is asked of the driver. */
#include "device_fake.h"

#include <pthread.h>

static const int apart[] = {1, 0}, shared[] = {0, 0, 1};

static int stop(void **test)
{
        fake_stop();
        return 0;
}

static int start_one(void **test)
{
        return (int)fake_start(1, apart, NULL);
}

static int start_shared(void **test)
{
        return (int)fake_start(3, shared, NULL);
}

/* --- one vGPU, on a physical device with another number --- */

static void numbers_are_translated(void **test)
{
        char name[16];
        int count;
        CUdevice device;
        assert_int_equal(fgc_cuDeviceGetCount(&count), CUDA_SUCCESS);
        assert_int_equal(count, 1);
        assert_int_equal(fgc_cuDeviceGet(&device, 0), CUDA_SUCCESS);
        assert_int_equal(fgc_cuDeviceGet(&device, 1), CUDA_ERROR_INVALID_DEVICE);
        assert_int_equal(fgc_cuDeviceGet(&device, -1), CUDA_ERROR_INVALID_DEVICE);
        assert_int_equal(fgc_cuDeviceGetName(name, sizeof name, 0), CUDA_SUCCESS);
        assert_string_equal(name, "Fake 1");
        /* The driver has a device 1; the program has not. */
        assert_int_equal(fgc_cuDeviceGetName(name, sizeof name, 1), CUDA_ERROR_INVALID_DEVICE);
        assert_int_equal(fake.last_device, FGC_NO_SUCH_DEVICE);
        assert_int_equal(fgc_cuDeviceGetName(name, sizeof name, -1), CUDA_ERROR_INVALID_DEVICE);
        assert_int_equal(fake.last_device, -1);
}

static void driver_calls_itself(void **test)
{
        char name[16];
        fgc_inside = 1;
        assert_int_equal(fgc_cuDeviceGetName(name, sizeof name, 0), CUDA_SUCCESS);
        assert_string_equal(name, "Fake 0");
        fgc_inside = 0;
}

static void bus_both_ways(void **test)
{
        CUdevice device = 7;
        assert_int_equal(fgc_cuDeviceGetByPCIBusId(&device, "1"), CUDA_SUCCESS);
        assert_int_equal(device, 0);
        assert_int_equal(fgc_cuDeviceGetByPCIBusId(&device, "0"), CUDA_ERROR_INVALID_DEVICE);
        assert_int_equal(fgc_cuDeviceGetByPCIBusId(&device, "5"), CUDA_ERROR_INVALID_DEVICE);
}

static void memory_views(void **test)
{
        size_t free, total;
        CUcontext context;
        assert_int_equal(fgc_cuDeviceTotalMem_v2(&total, 0), CUDA_SUCCESS);
        assert_int_equal(total, FAKE_QUOTA);
        assert_int_equal(fgc_cuDeviceTotalMem_v2(NULL, 0), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(fgc_cuDeviceTotalMem_v2(&total, 1), CUDA_ERROR_INVALID_DEVICE);
        assert_int_equal(fgc_cuMemGetInfo_v2(&free, &total), CUDA_ERROR_INVALID_CONTEXT);
        assert_int_equal(fgc_cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
        assert_int_equal(fg_ledger_reserve(fgc_vgpus[0].ledger, 300), 0);
        int calls = fake.calls;
        assert_int_equal(fgc_cuMemGetInfo_v2(&free, &total), CUDA_SUCCESS);
        assert_int_equal(free, FAKE_QUOTA - 300);
        assert_int_equal(total, FAKE_QUOTA);
        assert_int_equal(fgc_cuMemGetInfo_v2(NULL, &total), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(&free, NULL), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(NULL, NULL), CUDA_SUCCESS);
        assert_int_equal(fake.calls, calls); /* not one call of the driver */
        assert_int_equal(fgc_cuCtxDestroy_v2(context), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(&free, &total), CUDA_ERROR_INVALID_CONTEXT);
}

static void *destroy_it(void *context)
{
        assert_int_equal(fgc_cuCtxDestroy_v2(context), CUDA_SUCCESS);
        return NULL;
}

/* Another thread destroys the context that is current here: the driver's refusal, not an answer from memory. */
static void destroyed_elsewhere(void **test)
{
        CUcontext context;
        size_t free;
        pthread_t other;
        assert_int_equal(fgc_cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(&free, NULL), CUDA_SUCCESS);
        assert_int_equal(pthread_create(&other, NULL, destroy_it, context), 0);
        pthread_join(other, NULL);
        assert_int_equal(fgc_cuMemGetInfo_v2(&free, NULL), CUDA_ERROR_CONTEXT_IS_DESTROYED);
}

static void context_is_charged(void **test)
{
        CUcontext context = NULL;
        assert_int_equal(fgc_cuCtxCreate_v2(&context, 0, 5), CUDA_ERROR_INVALID_DEVICE);
        assert_int_equal(fake.charged[0], 0);
        fake.fail_create = 1;
        assert_int_equal(fgc_cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_LAUNCH_FAILED);
        assert_int_equal(fake.charged[0], 0);
        fake.room = 0;
        assert_int_equal(fgc_cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
        assert_int_equal(fake.contexts, 0);
        fake.room = 1;
        assert_int_equal(fgc_cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
        assert_int_equal(fake.charged[0], 1);
        assert_int_equal(fgc_cuCtxDestroy_v2(context), CUDA_SUCCESS);
        assert_int_equal(fake.charged[0], 0);
        assert_int_equal(fake.ended, 1);
        assert_int_equal(fgc_cuCtxDestroy_v2(context), CUDA_ERROR_INVALID_CONTEXT);
        assert_int_equal(fake.charged[0], 0);
}

static void primary_is_charged_once(void **test)
{
        CUcontext a, b;
        unsigned flags;
        int active;
        fake.room = 1;
        assert_int_equal(fgc_cuDevicePrimaryCtxRetain(&a, 0), CUDA_SUCCESS);
        assert_int_equal(fgc_cuDevicePrimaryCtxRetain(&b, 0), CUDA_SUCCESS);
        assert_ptr_equal(a, b);
        assert_int_equal(fake.primary_refs[1], 2);
        assert_int_equal(fake.charged[0], 1);
        assert_int_equal(fgc_cuDevicePrimaryCtxRelease_v2(0), CUDA_SUCCESS);
        assert_int_equal(fake.charged[0], 1);
        assert_int_equal(fgc_cuDevicePrimaryCtxGetState(0, &flags, &active), CUDA_SUCCESS);
        assert_int_equal(active, 1);
        assert_int_equal(fgc_cuDevicePrimaryCtxRelease_v2(0), CUDA_SUCCESS);
        assert_int_equal(fake.charged[0], 0);
        assert_int_equal(fgc_cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
        assert_int_equal(fake.charged[0], 0);
        fake.room = 0;
        assert_int_equal(fgc_cuDevicePrimaryCtxRetain(&a, 0), CUDA_ERROR_OUT_OF_MEMORY);
        assert_int_equal(fake.primary_refs[1], 0);
}

/* --- two vGPUs on one device, a third on another --- */

static void each_its_own_context(void **test)
{
        CUcontext context[3], current;
        CUdevice device;
        for (int i = 0; i < 3; i++) {
                assert_int_equal(fgc_cuDevicePrimaryCtxRetain(&context[i], i), CUDA_SUCCESS);
                assert_int_equal(fake.charged[i], 1);
                assert_ptr_equal(fgc_vgpu_of_context(context[i]), &fgc_vgpus[i]);
        }
        assert_ptr_not_equal(context[0], context[1]);
        assert_int_equal(fgc_real.cuCtxGetCurrent(&current), CUDA_SUCCESS);
        assert_null(current); /* retaining makes nothing current */
        for (int i = 0; i < 3; i++) {
                assert_int_equal(fgc_cuCtxSetCurrent(context[i]), CUDA_SUCCESS);
                assert_int_equal(fgc_cuCtxGetDevice(&device), CUDA_SUCCESS);
                assert_int_equal(device, i);
                assert_ptr_equal(fgc_vgpu_current(), &fgc_vgpus[i]);
        }
        for (int i = 0; i < 3; i++) {
                assert_int_equal(fgc_cuDevicePrimaryCtxRelease_v2(i), CUDA_SUCCESS);
                assert_int_equal(fake.charged[i], 0);
        }
        assert_int_equal(fake.contexts, 0);
}

static void memory_of_the_current_one(void **test)
{
        CUcontext a, b, popped;
        size_t total;
        assert_int_equal(fgc_cuCtxCreate_v2(&a, 0, 0), CUDA_SUCCESS);
        assert_int_equal(fgc_cuCtxCreate_v2(&b, 0, 1), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(NULL, &total), CUDA_SUCCESS);
        assert_int_equal(total, 2 * FAKE_QUOTA);
        assert_int_equal(fgc_cuCtxPopCurrent_v2(&popped), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(NULL, &total), CUDA_SUCCESS);
        assert_int_equal(total, FAKE_QUOTA);
        assert_int_equal(fgc_cuCtxPushCurrent_v2(b), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(NULL, &total), CUDA_SUCCESS);
        assert_int_equal(total, 2 * FAKE_QUOTA);
        /* Destroying the current one uncovers the other. */
        assert_int_equal(fgc_cuCtxDestroy_v2(b), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(NULL, &total), CUDA_SUCCESS);
        assert_int_equal(total, FAKE_QUOTA);
        assert_int_equal(fgc_cuCtxSetCurrent(NULL), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(NULL, &total), CUDA_ERROR_INVALID_CONTEXT);
        assert_null(fgc_vgpu_current());
        assert_int_equal(fgc_cuCtxDestroy_v2(a), CUDA_SUCCESS);
}

static void virtual_primary(void **test)
{
        CUcontext a, b;
        unsigned flags;
        int active;
        assert_int_equal(fgc_cuDevicePrimaryCtxRelease_v2(1), CUDA_ERROR_INVALID_CONTEXT);
        assert_int_equal(fgc_cuDevicePrimaryCtxSetFlags_v2(1, 4), CUDA_SUCCESS);
        assert_int_equal(fgc_cuDevicePrimaryCtxSetFlags_v2(1, 0x10000), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(fgc_cuDevicePrimaryCtxGetState(1, &flags, &active), CUDA_SUCCESS);
        assert_int_equal(flags, 4);
        assert_int_equal(active, 0);
        fake.fail_create = 1;
        assert_int_equal(fgc_cuDevicePrimaryCtxRetain(&a, 1), CUDA_ERROR_LAUNCH_FAILED);
        assert_int_equal(fake.charged[1], 0);
        assert_int_equal(fgc_cuDevicePrimaryCtxRetain(&a, 1), CUDA_SUCCESS);
        assert_int_equal(fgc_cuDevicePrimaryCtxRetain(&b, 1), CUDA_SUCCESS);
        assert_ptr_equal(a, b);
        assert_int_equal(fake.contexts, 1);
        assert_int_equal(fake.charged[1], 1);
        assert_int_equal(fake.primary_refs[0], 0);
        assert_int_equal(fgc_cuCtxDestroy_v2(a), CUDA_ERROR_INVALID_CONTEXT);
        assert_int_equal(fgc_cuDevicePrimaryCtxReset_v2(1), CUDA_SUCCESS);
        assert_int_equal(fake.contexts, 0);
        assert_int_equal(fake.charged[1], 0);
        assert_int_equal(fgc_cuDevicePrimaryCtxGetState(1, &flags, &active), CUDA_SUCCESS);
        assert_int_equal(active, 0);
        for (int i = 0; i < 2; i++) /* a reset is no release */
                assert_int_equal(fgc_cuDevicePrimaryCtxRelease_v2(1), CUDA_SUCCESS);
        assert_int_equal(fgc_cuDevicePrimaryCtxRelease_v2(1), CUDA_ERROR_INVALID_CONTEXT);
}

#define RETAINERS 8
static void *retain_and_release(void *unused)
{
        for (int i = 0; i < 500; i++) {
                CUcontext context;
                assert_int_equal(fgc_cuDevicePrimaryCtxRetain(&context, 1), CUDA_SUCCESS);
                assert_ptr_equal(fgc_vgpu_of_context(context), &fgc_vgpus[1]);
                assert_int_equal(fgc_cuDevicePrimaryCtxRelease_v2(1), CUDA_SUCCESS);
        }
        return NULL;
}

static void retained_by_many_threads(void **test)
{
        pthread_t thread[RETAINERS];
        for (int i = 0; i < RETAINERS; i++)
                assert_int_equal(pthread_create(&thread[i], NULL, retain_and_release, NULL), 0);
        for (int i = 0; i < RETAINERS; i++)
                pthread_join(thread[i], NULL);
        assert_int_equal(atomic_load(&fgc_vgpus[1].primary_refs), 0);
        assert_null(atomic_load(&fgc_vgpus[1].primary));
        assert_int_equal(fake.contexts, 0);
        assert_int_equal(fake.charged[1], 0);
}

/* A context that came into being round the hooks is the first vGPU's on its device. */
static void context_found(void **test)
{
        CUcontext context;
        size_t total;
        assert_int_equal(fgc_real.cuCtxCreate_v2(&context, 0, 1), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(NULL, &total), CUDA_SUCCESS);
        assert_int_equal(total, 3 * FAKE_QUOTA);
        assert_ptr_equal(fgc_vgpu_current(), &fgc_vgpus[2]);
        int calls = fake.calls;
        assert_ptr_equal(fgc_vgpu_of_context(context), &fgc_vgpus[2]);
        assert_int_equal(fake.calls, calls);
        assert_int_equal(fgc_cuCtxDestroy_v2(context), CUDA_SUCCESS);
        assert_int_equal(fake.charged[2], 0);
}

static void stream_of_another_context(void **test)
{
        CUcontext a, b;
        assert_int_equal(fgc_cuCtxCreate_v2(&a, 0, 0), CUDA_SUCCESS);
        assert_int_equal(fgc_cuCtxCreate_v2(&b, 0, 1), CUDA_SUCCESS);
        assert_ptr_equal(fgc_vgpu_of_stream((CUstream)&a), &fgc_vgpus[0]);
        assert_ptr_equal(fgc_vgpu_of_stream((CUstream)&b), &fgc_vgpus[1]);
        for (uintptr_t special = 0; special <= 2; special++)
                assert_ptr_equal(fgc_vgpu_of_stream((CUstream)special), &fgc_vgpus[1]);
        assert_int_equal(fgc_cuCtxDestroy_v2(a), CUDA_SUCCESS);
        assert_int_equal(fgc_cuCtxDestroy_v2(b), CUDA_SUCCESS);
}

static void no_peers(void **test)
{
        int can = 7;
        assert_int_equal(fgc_cuDeviceCanAccessPeer(&can, 0, 1), CUDA_SUCCESS);
        assert_int_equal(can, 0);
        assert_int_equal(fgc_cuDeviceCanAccessPeer(&can, 0, 2), CUDA_SUCCESS);
        assert_int_equal(can, 1);
        assert_int_equal(fgc_cuDeviceCanAccessPeer(&can, 1, 3), CUDA_SUCCESS);
        assert_int_equal(fgc_cuDeviceGetP2PAttribute(&can, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 1, 0), CUDA_SUCCESS);
        assert_int_equal(can, 0);
        assert_int_equal(fgc_cuDeviceGetP2PAttribute(&can, 0, 1, 0), CUDA_ERROR_INVALID_VALUE);
}

static void pools_apart(void **test)
{
        CUmemoryPool a, b, now, mine = (CUmemoryPool)&a;
        assert_int_equal(fgc_cuDeviceGetDefaultMemPool(&a, 0), CUDA_SUCCESS);
        assert_int_equal(fgc_cuDeviceGetDefaultMemPool(&b, 1), CUDA_SUCCESS);
        assert_ptr_not_equal(a, b);
        assert_true(fgc_pool_is_default(b) && !fgc_pool_is_default(a));
        assert_int_equal(fgc_cuDeviceGetMemPool(&now, 1), CUDA_SUCCESS);
        assert_ptr_equal(now, b);
        assert_int_equal(fgc_vgpu_pool(&fgc_vgpus[0], &now), CUDA_SUCCESS);
        assert_null(now); /* the driver's own */
        assert_int_equal(fgc_cuDeviceSetMemPool(1, mine), CUDA_SUCCESS);
        assert_int_equal(fgc_vgpu_pool(&fgc_vgpus[1], &now), CUDA_SUCCESS);
        assert_ptr_equal(now, mine);
        assert_int_equal(fgc_cuDeviceGetMemPool(&now, 0), CUDA_SUCCESS);
        assert_ptr_equal(now, a);
        fgc_pool_gone(mine);
        assert_int_equal(fgc_cuDeviceGetMemPool(&now, 1), CUDA_SUCCESS);
        assert_ptr_equal(now, b);
        free(b);
}

static void numbers_in_structures(void **test)
{
        CUmemAccessDesc list[100];
        for (size_t i = 0; i < COUNT_OF(list); i++)
                list[i] = (CUmemAccessDesc){.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 2}};
        for (size_t n = 1; n <= COUNT_OF(list); n += 99) { /* one that fits the stack, one that does not */
                assert_int_equal(fgc_cuMemSetAccess(0, 0, list, n), CUDA_SUCCESS);
                assert_int_equal(fake.last_device, 1);
                assert_int_equal(list[n - 1].location.id, 2); /* the program's list stays as it is */
        }
        list[0].location.id = 3;
        assert_int_equal(fgc_cuMemSetAccess(0, 0, list, 1), CUDA_ERROR_INVALID_DEVICE);
        list[0].location = (CUmemLocation){.type = CU_MEM_LOCATION_TYPE_HOST_NUMA, .id = 2};
        assert_int_equal(fgc_location_in(list[0].location).id, 2);
        int by[3] = {7, 7, 7}, last = 7, type = 7;
        assert_int_equal(fgc_cuMemRangeGetAttribute(by, sizeof by, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, 0x1000, 1), CUDA_SUCCESS);
        assert_true(by[0] == 2 && by[1] == CU_DEVICE_INVALID && by[2] == CU_DEVICE_INVALID);
        for (CUdeviceptr owner = 0; owner < 2; owner++) { /* both are on the driver's device 0: whose memory it is decides */
                assert_int_equal(fgc_cuMemRangeGetAttribute(&last, sizeof last, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION,
                                                            0x1000 + owner, 1), CUDA_SUCCESS);
                assert_int_equal(last, owner);
        }
        assert_int_equal(fgc_cuMemRangeGetAttribute(&type, sizeof type, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 0x1001, 1),
                         CUDA_SUCCESS);
        assert_int_equal(type, 0);
        assert_int_equal(fgc_device_out(0, &fgc_vgpus[1]), 1);
        assert_int_equal(fgc_device_out(0, &fgc_vgpus[2]), 0);
        assert_int_equal(fgc_device_out(0, NULL), 0);
        assert_int_equal(fgc_device_out(1, NULL), 2);
        assert_int_equal(fgc_device_out(-1, NULL), -1);
        assert_int_equal(fgc_device_out(5, NULL), CU_DEVICE_INVALID);
}

/* A green context on a shared device counts for the vGPU that it was made for, by either handle. */
static void green(void **test)
{
        CUgreenCtx made;
        CUcontext context;
        CUdevice device;
        size_t total;
        assert_int_equal(fgc_cuGreenCtxCreate(&made, NULL, 3, 1), CUDA_ERROR_INVALID_DEVICE);
        assert_int_equal(fgc_cuGreenCtxCreate(&made, NULL, 1, 1), CUDA_SUCCESS);
        assert_int_equal(fake.last_device, 0);
        assert_int_equal(fgc_cuCtxFromGreenCtx(&context, made), CUDA_SUCCESS);
        assert_ptr_equal(fgc_vgpu_of_context(context), &fgc_vgpus[1]);
        assert_int_equal(fgc_cuCtxSetCurrent(context), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemGetInfo_v2(NULL, &total), CUDA_SUCCESS);
        assert_int_equal(total, 2 * FAKE_QUOTA);
        assert_int_equal(fgc_cuCtxGetDevice(&device), CUDA_SUCCESS);
        assert_int_equal(device, 1);
        assert_int_equal(fgc_cuGreenCtxDestroy(made), CUDA_SUCCESS);
        assert_int_equal(fake.ended, 1);
        assert_int_equal(fgc_cuMemGetInfo_v2(NULL, &total), CUDA_ERROR_CONTEXT_IS_DESTROYED);
        assert_int_equal(fake.charged[1], 0);
}

/* The last of several uses ends a context, and what is charged for it. */
static void attached_and_detached(void **test)
{
        CUcontext context, again;
        assert_int_equal(fgc_cuCtxCreate_v2(&context, 0, 1), CUDA_SUCCESS);
        assert_int_equal(fgc_cuCtxAttach(&again, 0), CUDA_SUCCESS);
        assert_ptr_equal(again, context);
        assert_int_equal(fgc_cuCtxDetach(context), CUDA_SUCCESS);
        assert_int_equal(fake.charged[1], 1);
        assert_int_equal(fake.ended, 0);
        assert_int_equal(fgc_cuCtxDetach(context), CUDA_SUCCESS);
        assert_int_equal(fake.charged[1], 0);
        assert_int_equal(fake.ended, 1);
        assert_int_equal(fake.contexts, 0);
}

struct table {
        uint64_t size;
        void *unused;
        CUresult (*context)(CUcontext *, CUdevice);
        CUresult (*settings)(CUdevice, void *);
        void *other;
};
static const CUuuid runtime = {{0x6b, (char)0xd5, (char)0xfb, 0x6c, 0x5b, (char)0xf4, (char)0xe7, 0x4a, (char)0x89, (char)0x87,
                                (char)0xd9, 0x39, 0x12, (char)0xfd, (char)0x9d, (char)0xf9}};

/* What the runtime library does at its start, and ever after with what it got then. */
static void runtime_library(void **test)
{
        const struct table *table, *other, *again;
        const CUuuid another = {{1}};
        CUcontext cached[3], context;
        unsigned flags;
        int active;
        assert_int_equal(fgc_cuGetExportTable((const void **)&other, &another), CUDA_SUCCESS);
        assert_int_equal(fgc_cuGetExportTable((const void **)&table, &runtime), CUDA_SUCCESS);
        assert_int_equal(fgc_cuGetExportTable((const void **)&again, &runtime), CUDA_SUCCESS);
        assert_ptr_not_equal(table, other);
        assert_ptr_equal(table, again);
        assert_int_equal(table->size, other->size);
        assert_ptr_equal(table->other, other->other);
        for (int i = 0; i < 3; i++)
                assert_int_equal(table->context(&cached[i], i), CUDA_SUCCESS);
        assert_int_equal(table->context(&context, 3), CUDA_ERROR_INVALID_DEVICE);
        assert_int_equal(table->settings(2, NULL), CUDA_SUCCESS);
        assert_int_equal(fake.last_device, 1);
        assert_int_equal(fgc_cuDevicePrimaryCtxGetState(1, &flags, &active), CUDA_SUCCESS);
        assert_int_equal(active, 0);
        for (int round = 0; round < 2; round++) { /* the handle stays good across release and reset */
                assert_int_equal(fgc_cuDevicePrimaryCtxRetain(&context, 1), CUDA_SUCCESS);
                assert_ptr_equal(context, cached[1]);
                assert_int_equal(fgc_cuCtxSetCurrent(cached[1]), CUDA_SUCCESS);
                assert_ptr_equal(fgc_vgpu_current(), &fgc_vgpus[1]);
                assert_int_equal(fgc_cuDevicePrimaryCtxGetState(1, &flags, &active), CUDA_SUCCESS);
                assert_int_equal(active, 1);
                assert_int_equal(fgc_cuDevicePrimaryCtxReset_v2(1), CUDA_SUCCESS);
                assert_int_equal(fgc_cuDevicePrimaryCtxRelease_v2(1), CUDA_SUCCESS);
        }
        assert_int_equal(fake.charged[1], 1);
        assert_int_equal(fgc_cuCtxSetCurrent(NULL), CUDA_SUCCESS);
}

/* One vGPU without room for its context does not keep the runtime from starting. */
static void runtime_library_without_room(void **test)
{
        const struct table *table;
        CUcontext context = (CUcontext)&table;
        fake.room = 0;
        assert_int_equal(fgc_cuGetExportTable((const void **)&table, &runtime), CUDA_SUCCESS);
        assert_int_equal(table->context(&context, 1), CUDA_SUCCESS);
        assert_null(context);
        assert_int_equal(fgc_cuDevicePrimaryCtxRetain(&context, 1), CUDA_ERROR_OUT_OF_MEMORY);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
#define ONE(name)    cmocka_unit_test_setup_teardown(name, start_one, stop)
#define SHARED(name) cmocka_unit_test_setup_teardown(name, start_shared, stop)
                ONE(numbers_are_translated),
                ONE(driver_calls_itself),
                ONE(bus_both_ways),
                ONE(memory_views),
                ONE(destroyed_elsewhere),
                ONE(context_is_charged),
                ONE(primary_is_charged_once),
                SHARED(each_its_own_context),
                SHARED(memory_of_the_current_one),
                SHARED(virtual_primary),
                SHARED(retained_by_many_threads),
                SHARED(context_found),
                SHARED(stream_of_another_context),
                SHARED(no_peers),
                SHARED(pools_apart),
                SHARED(numbers_in_structures),
                SHARED(green),
                SHARED(attached_and_detached),
                SHARED(runtime_library),
                SHARED(runtime_library_without_room),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
