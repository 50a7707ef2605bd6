/* SPDX-License-Identifier: Apache-2.0
 * Threads of one process allocate and free by all paths at random against a small quota, through one another's streams
 * and pools, while a watcher compares the simulated GPU with the quota and the books. Started with contexts of 300 MiB,
 * as the simulated GPU's are. */
#include "test_memory.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 6
#define ROUNDS  1500
#define HOLD    6

static CUcontext context;
static CUmemoryPool pool;
static atomic_int stop;
static atomic_uint_fast64_t over, granted, refused;

struct held {
        int kind; /* 0: empty */
        CUdeviceptr pointer;
        CUarray array;
        CUmemGenericAllocationHandle handle;
};

static uint64_t random_next(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static CUresult get(struct held *h, uint64_t bytes, CUstream stream)
{
        CUmemAllocationProp physical = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                        .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};
        CUDA_ARRAY_DESCRIPTOR d = {
                .Width = 1024, .Height = bytes / 4096 + 1, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
        size_t pitch;

        switch (h->kind) {
        case 1:
                return cuMemAlloc_v2(&h->pointer, bytes);
        case 2:
                return cuMemAllocAsync(&h->pointer, bytes, stream);
        case 3:
                return cuMemAllocFromPoolAsync(&h->pointer, bytes, pool, stream);
        case 4:
                return cuMemAllocPitch_v2(&h->pointer, &pitch, 1024, bytes / 1024 + 1, 4);
        case 5:
                return cuMemCreate(&h->handle, bytes / (2 * MiB) * 2 * MiB + 2 * MiB, &physical, 0);
        default:
                return cuArrayCreate_v2(&h->array, &d);
        }
}

static void put(struct held *h, bool async, CUstream stream)
{
        if (h->kind == 5)
                CHECK_OK(cuMemRelease(h->handle));
        else if (h->kind == 6)
                CHECK_OK(cuArrayDestroy(h->array));
        else if (async)
                CHECK_OK(cuMemFreeAsync(h->pointer, stream));
        else
                CHECK_OK(cuMemFree_v2(h->pointer));
        h->kind = 0;
}

static void *work(void *arg)
{
        uint64_t seed = (uintptr_t)arg * 7919 + 1;
        struct held held[HOLD] = {0};
        CUstream stream;

        CHECK_OK(cuCtxSetCurrent(context));
        CHECK_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        for (int i = 0; i < ROUNDS; i++) {
                struct held *h = &held[i % HOLD];
                if (h->kind)
                        put(h, random_next(&seed) % 2, stream);
                if (random_next(&seed) % 16 == 0)
                        CHECK_OK(cuStreamSynchronize(stream));
                h->kind = 1 + (int)(random_next(&seed) % 6);
                CUresult r = get(h, 1 + random_next(&seed) % (24 * MiB), stream);
                CHECK(r == CUDA_SUCCESS || r == CUDA_ERROR_OUT_OF_MEMORY);
                if (r != CUDA_SUCCESS)
                        h->kind = 0;
                atomic_fetch_add(r == CUDA_SUCCESS ? &granted : &refused, 1);
        }
        for (int i = 0; i < HOLD; i++)
                if (held[i].kind)
                        put(&held[i], false, stream);
        CHECK_OK(cuStreamSynchronize(stream));
        CHECK_OK(cuStreamDestroy_v2(stream));
        return NULL;
}

static void *watch(void *arg)
{
        uint64_t limit = quota(0);

        while (!atomic_load(&stop))
                if (really_used(0) > limit || used(0) > limit)
                        atomic_fetch_add(&over, 1);
        return NULL;
}

int main(void)
{
        CUmemPoolProps p = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};
        pthread_t threads[THREADS], watcher;
        size_t available, total;
        uint64_t before;

        context = begin();
        CHECK_OK(cuMemPoolCreate(&pool, &p));
        before = used(0);
        leave(0, 220 * MiB);
        CHECK(pthread_create(&watcher, NULL, watch, NULL) == 0);
        for (uintptr_t i = 0; i < THREADS; i++)
                CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        atomic_store(&stop, 1);
        pthread_join(watcher, NULL);
        CHECK_OK(cuMemPoolDestroy(pool));
        CHECK_OK(cuCtxSynchronize());
        CHECK_OK(cuMemGetInfo_v2(&available, &total));
        CHECK_SAME(used(0), before);
        CHECK_SAME(over, 0);
        fprintf(stderr, "granted %lu refused %lu\n", (unsigned long)granted, (unsigned long)refused);
        CHECK(granted && refused);
        return 0;
}
