/* SPDX-License-Identifier: Apache-2.0
 * Virtual memory management: reserve, create, map, access, unmap, release in every order; what counts and when it stops
 * to. */
#include "sim_test.h"

#define GRAIN (2 * MI)

static size_t start_free;
static const CUmemAllocationProp on_device = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                              .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
static const CUmemAccessDesc everything = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                                           .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static void arguments(void)
{
        CUmemGenericAllocationHandle h;
        CUmemAllocationProp prop = on_device;
        CUdeviceptr p;
        size_t grain;
        OK(cuMemGetAllocationGranularity(&grain, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
        CHECK(grain == GRAIN);
        IS(cuMemCreate(&h, GRAIN + 1, &prop, 0), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemCreate(&h, 0, &prop, 0), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemCreate(&h, start_free / GRAIN * GRAIN + GRAIN, &prop, 0), CUDA_ERROR_OUT_OF_MEMORY);
        prop.location.id = 9;
        IS(cuMemCreate(&h, GRAIN, &prop, 0), CUDA_ERROR_INVALID_DEVICE);
        IS(cuMemRelease(0x1234), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemAddressReserve(&p, 4096, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemAddressReserve(&p, GRAIN, 3, 0, 0), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemMap(0x200000, GRAIN, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemUnmap(0x200000, GRAIN), CUDA_ERROR_INVALID_VALUE);
        CHECK(sim_free() == start_free);
}

/* Released first, unmapped last: the memory counts until both. */
static void life(void)
{
        CUmemGenericAllocationHandle h, again;
        CUdeviceptr p;
        char byte;
        OK(cuMemAddressReserve(&p, 4 * GRAIN, 0, 0, 0));
        CHECK(p % GRAIN == 0 && sim_free() == start_free);
        OK(cuMemCreate(&h, 2 * GRAIN, &on_device, 0));
        CHECK(sim_free() == start_free - 2 * GRAIN);
        OK(cuMemMap(p + GRAIN, 2 * GRAIN, 0, h, 0));
        IS(cuMemMap(p + 2 * GRAIN, GRAIN, 0, h, 0), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemSetAccess(p, 2 * GRAIN, &everything, 1), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemSetAccess(p + GRAIN, 2 * GRAIN, &everything, 1));
        OK(cuMemsetD8_v2(p + GRAIN, 9, 2 * GRAIN));
        OK(cuMemcpyDtoH_v2(&byte, p + 3 * GRAIN - 1, 1));
        CHECK(byte == 9);
        OK(cuMemRetainAllocationHandle(&again, (void *)(p + GRAIN + 5)));
        CHECK(again == h);
        OK(cuMemRelease(h));
        OK(cuMemRelease(h));
        IS(cuMemRelease(h), CUDA_ERROR_INVALID_VALUE);
        CHECK(sim_free() == start_free - 2 * GRAIN);
        IS(cuMemAddressFree(p, 4 * GRAIN), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemUnmap(p + GRAIN, GRAIN), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemUnmap(p + GRAIN, 2 * GRAIN));
        CHECK(sim_free() == start_free);
        IS(cuMemAddressFree(p, GRAIN), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemAddressFree(p, 4 * GRAIN));
}

/* One piece of memory at two addresses, as expandable segments and ring buffers have it. */
static void two_places(void)
{
        CUmemGenericAllocationHandle h;
        CUdeviceptr a, b;
        unsigned long long flags;
        OK(cuMemCreate(&h, GRAIN, &on_device, 0));
        OK(cuMemAddressReserve(&a, 2 * GRAIN, 0, 0, 0));
        OK(cuMemAddressReserve(&b, GRAIN, 64 * MI, 0, 0));
        CHECK(b % (64 * MI) == 0);
        OK(cuMemMap(a, GRAIN, 0, h, 0));
        OK(cuMemMap(a + GRAIN, GRAIN, 0, h, 0));
        OK(cuMemMap(b, GRAIN, 0, h, 0));
        OK(cuMemSetAccess(a, 2 * GRAIN, &everything, 1));
        OK(cuMemSetAccess(b, GRAIN, &everything, 1));
        OK(cuMemGetAccess(&flags, &everything.location, b));
        CHECK(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
        strcpy((char *)a, "the same");
        CHECK(strcmp((char *)b, "the same") == 0 && strcmp((char *)a + GRAIN, "the same") == 0);
        CHECK(sim_free() == start_free - GRAIN);
        OK(cuMemRelease(h));
        OK(cuMemUnmap(a, 2 * GRAIN));
        CHECK(sim_free() == start_free - GRAIN);
        OK(cuMemUnmap(b, GRAIN));
        CHECK(sim_free() == start_free);
        OK(cuMemAddressFree(a, 2 * GRAIN));
        OK(cuMemAddressFree(b, GRAIN));
}

static void host_memory(void)
{
        CUmemGenericAllocationHandle h;
        CUmemAllocationProp prop = on_device, got;
        for (int type = CU_MEM_LOCATION_TYPE_HOST; type <= CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT; type++) {
                prop.location.type = (CUmemLocationType)type;
                OK(cuMemCreate(&h, GRAIN, &prop, 0));
                CHECK(sim_free() == start_free);
                OK(cuMemGetAllocationPropertiesFromHandle(&got, h));
                CHECK((int)got.location.type == type);
                OK(cuMemRelease(h));
        }
}

/* A segment that grows granule by granule until there is no more, then shrinks from its end. */
static void expandable(void)
{
        CUdeviceptr base;
        size_t most = start_free / GRAIN, n = 0;
        OK(cuMemAddressReserve(&base, (most + 8) * GRAIN, 0, 0, 0));
        for (;; n++) {
                CUmemGenericAllocationHandle h;
                CUresult result = cuMemCreate(&h, GRAIN, &on_device, 0);
                if (result == CUDA_ERROR_OUT_OF_MEMORY)
                        break;
                OK(result);
                OK(cuMemMap(base + n * GRAIN, GRAIN, 0, h, 0));
                OK(cuMemRelease(h));
        }
        CHECK(n == most);
        OK(cuMemSetAccess(base, n * GRAIN, &everything, 1));
        *(volatile char *)(base + n * GRAIN - 1) = 1;
        for (size_t i = n; i > 0; i -= i > 3 ? 3 : i)
                OK(cuMemUnmap(base + (i > 3 ? i - 3 : 0) * GRAIN, (i > 3 ? 3 : i) * GRAIN));
        CHECK(sim_free() == start_free);
        OK(cuMemAddressFree(base, (most + 8) * GRAIN));
}

/* Over a descriptor, within this process: the same contents, counted once. */
static void shared(void)
{
        CUmemGenericAllocationHandle h, imported;
        CUmemAllocationProp prop = on_device, got;
        CUdeviceptr a, b;
        int fd;
        OK(cuMemCreate(&h, GRAIN, &prop, 0));
        IS(cuMemExportToShareableHandle(&fd, h, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemRelease(h));
        prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
        OK(cuMemCreate(&h, GRAIN, &prop, 0));
        OK(cuMemExportToShareableHandle(&fd, h, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
        OK(cuMemImportFromShareableHandle(&imported, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
        close(fd);
        OK(cuMemGetAllocationPropertiesFromHandle(&got, imported));
        CHECK(got.location.type == CU_MEM_LOCATION_TYPE_DEVICE && got.location.id == 0);
        OK(cuMemAddressReserve(&a, GRAIN, 0, 0, 0));
        OK(cuMemAddressReserve(&b, GRAIN, 0, 0, 0));
        OK(cuMemMap(a, GRAIN, 0, h, 0));
        OK(cuMemMap(b, GRAIN, 0, imported, 0));
        OK(cuMemSetAccess(a, GRAIN, &everything, 1));
        OK(cuMemSetAccess(b, GRAIN, &everything, 1));
        strcpy((char *)a, "over there");
        CHECK(strcmp((char *)b, "over there") == 0 && sim_free() == start_free - GRAIN);
        OK(cuMemUnmap(a, GRAIN));
        OK(cuMemUnmap(b, GRAIN));
        OK(cuMemRelease(h));
        OK(cuMemRelease(imported));
        CHECK(sim_free() == start_free);
        IS(cuMemImportFromShareableHandle(&imported, (void *)(intptr_t)0, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
           CUDA_ERROR_INVALID_VALUE);
        OK(cuMemAddressFree(a, GRAIN));
        OK(cuMemAddressFree(b, GRAIN));
}

int main(void)
{
        sim_start("[gpu]\nmodel = Test\nmemory = 511M\ncontext = 4M\nlaunch = 0\nh2d = 0\nd2h = 0\nd2d = 0\n");
        sim_context(0);
        start_free = sim_free();
        arguments();
        life();
        two_places();
        host_memory();
        expandable();
        shared();
        CHECK(sim_free() == start_free);
        return 0;
}
