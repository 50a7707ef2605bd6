/* SPDX-License-Identifier: Apache-2.0
 * Processes let go by a barrier all allocate at once by the same path, more than there is room for. In every round what
 * the simulated GPU really has in use is compared with the quota, by a process that does nothing else and again while
 * all hold what they got. Runs on the drop-in under fake-daemon; prints one JSON line for each path. Every round over
 * the quota, and every round in which fewer were granted than fit, is a failure. */
#include "../cuda/test_memory.h"

#include "base/atomic.h"

#include <getopt.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 8
#define CHUNK     (96 * MiB) /* a multiple of what pools grow by */
#define ROOM      (240 * MiB)
#define FITS      2

struct shared {
        pthread_barrier_t barrier;
        uint32_t stop, granted;
        uint64_t highest;
};
static struct shared *shared;
static unsigned rounds = 50;

struct held {
        CUdeviceptr pointer;
        CUarray array;
        CUmipmappedArray mipmap;
        CUgraphExec exec;
        CUmemGenericAllocationHandle handle;
        CUmemoryPool pool;
};

static CUresult get_alloc(struct held *h)
{
        return cuMemAlloc_v2(&h->pointer, CHUNK);
}

static CUresult get_managed(struct held *h)
{
        return cuMemAllocManaged(&h->pointer, CHUNK, CU_MEM_ATTACH_GLOBAL);
}

static CUresult get_pitch(struct held *h)
{
        size_t pitch;

        return cuMemAllocPitch_v2(&h->pointer, &pitch, 8192, CHUNK / 8192, 4);
}

static CUresult put_pointer(struct held *h)
{
        return cuMemFree_v2(h->pointer);
}

static CUresult get_async(struct held *h)
{
        return cuMemAllocAsync(&h->pointer, CHUNK, 0);
}

static CUresult put_async(struct held *h)
{
        return cuMemFreeAsync(h->pointer, 0);
}

static CUresult get_pool(struct held *h)
{
        return cuMemAllocFromPoolAsync(&h->pointer, CHUNK, h->pool, 0);
}

static CUresult get_vmm(struct held *h)
{
        CUmemAllocationProp p = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};

        return cuMemCreate(&h->handle, CHUNK, &p, 0);
}

static CUresult put_vmm(struct held *h)
{
        return cuMemRelease(h->handle);
}

static CUresult get_array(struct held *h)
{
        CUDA_ARRAY3D_DESCRIPTOR d = {.Width = 1024,
                                     .Height = 1024,
                                     .Depth = CHUNK / MiB / 4,
                                     .Format = CU_AD_FORMAT_FLOAT,
                                     .NumChannels = 1,
                                     .Flags = CUDA_ARRAY3D_LAYERED};

        return cuArray3DCreate_v2(&h->array, &d);
}

static CUresult put_array(struct held *h)
{
        return cuArrayDestroy(h->array);
}

static CUresult get_flat_array(struct held *h)
{
        CUDA_ARRAY_DESCRIPTOR d = {.Width = 1024, .Height = CHUNK / 1024 / 16, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 4};

        return cuArrayCreate_v2(&h->array, &d);
}

static CUresult get_mipmap(struct held *h)
{
        CUDA_ARRAY3D_DESCRIPTOR d = {.Width = 8192, .Height = 2048, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};

        return cuMipmappedArrayCreate(&h->mipmap, &d, 3); /* 64 + 16 + 4 MiB */
}

static CUresult put_mipmap(struct held *h)
{
        return cuMipmappedArrayDestroy(h->mipmap);
}

static void make_graph(struct held *h)
{
        CUDA_MEM_ALLOC_NODE_PARAMS p = {.poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                                      .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}},
                                        .bytesize = CHUNK};
        CUgraphNode get, put;
        CUgraph graph;

        CHECK_OK(cuGraphCreate(&graph, 0));
        CHECK_OK(cuGraphAddMemAllocNode(&get, graph, NULL, 0, &p));
        CHECK_OK(cuGraphAddMemFreeNode(&put, graph, &get, 1, p.dptr));
        CHECK_OK(cuGraphInstantiateWithFlags(&h->exec, graph, 0));
        CHECK_OK(cuGraphDestroy(graph));
}

static CUresult get_graph(struct held *h)
{
        return cuGraphLaunch(h->exec, 0);
}

/* What graphs took stays the process's until it is trimmed. */
static CUresult put_graph(struct held *h)
{
        CUresult r = cuCtxSynchronize();

        return r ? r : cuDeviceGraphMemTrim(0);
}

static const struct path {
        const char *name;
        CUresult (*get)(struct held *), (*put)(struct held *);
} paths[] = {
        {"cuMemAlloc", get_alloc, put_pointer},           {"cuMemAllocPitch", get_pitch, put_pointer},
        {"cuMemAllocManaged", get_managed, put_pointer},  {"cuMemAllocAsync", get_async, put_async},
        {"cuMemAllocFromPoolAsync", get_pool, put_async}, {"cuMemCreate", get_vmm, put_vmm},
        {"cuArray3DCreate", get_array, put_array},        {"cuArrayCreate", get_flat_array, put_array},
        {"cuMipmappedArrayCreate", get_mipmap, put_mipmap}, {"cuGraphLaunch", get_graph, put_graph},
};
#define PATHS (sizeof(paths) / sizeof(paths[0]))

static void together(void)
{
        pthread_barrier_wait(&shared->barrier);
}

/* A process's part in one round. Its pools give back before the next. */
static void round_of(const struct path *path, struct held *held)
{
        size_t available, total;
        bool got;

        together();
        got = path->get(held) == CUDA_SUCCESS;
        if (got)
                fg_add_relaxed(&shared->granted, 1);
        together(); /* all hold what they got */
        together(); /* it was counted */
        if (got)
                CHECK_OK(path->put(held));
        CHECK_OK(cuCtxSynchronize());
        CHECK_OK(cuMemGetInfo_v2(&available, &total));
        together();
}

static int process(void)
{
        CUmemPoolProps p = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};
        struct held held = {0};

        begin();
        CHECK_OK(cuMemPoolCreate(&held.pool, &p));
        make_graph(&held);
        together();
        for (size_t i = 0; i < PATHS; i++)
                for (unsigned r = 0; r < rounds; r++)
                        round_of(&paths[i], &held);
        return 0;
}

static void *watch(void *arg)
{
        while (!fg_load_relaxed(&shared->stop)) {
                uint64_t now = really_used(0), highest = fg_load_relaxed(&shared->highest);
                while (now > highest && !fg_cas_relaxed(&shared->highest, &highest, now))
                        ;
        }
        return NULL;
}

/* What this process sees of a path's rounds. */
static int judge(const struct path *path)
{
        unsigned over = 0, few = 0, granted = 0;
        uint64_t worst = 0;

        for (unsigned r = 0; r < rounds; r++) {
                fg_store_relaxed(&shared->granted, 0);
                fg_store_relaxed(&shared->highest, 0);
                together();
                together();
                uint64_t now = really_used(0), highest = fg_load_relaxed(&shared->highest);
                highest = now > highest ? now : highest;
                over += highest > quota(0) || used(0) > quota(0) || now > used(0);
                few += shared->granted < FITS;
                granted += shared->granted;
                worst = highest > worst ? highest : worst;
                together();
                together();
        }
        printf("{\"path\": \"%s\", \"rounds\": %u, \"over\": %u, \"few\": %u, \"granted\": %u, \"most\": %lu, "
               "\"quota\": %lu}\n",
               path->name, rounds, over, few, granted, (unsigned long)worst, (unsigned long)quota(0));
        return over || few;
}

static void share(void)
{
        pthread_barrierattr_t attributes;

        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(shared != MAP_FAILED);
        pthread_barrierattr_init(&attributes);
        pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        CHECK(pthread_barrier_init(&shared->barrier, &attributes, PROCESSES + 1) == 0);
}

int main(int argc, char **argv)
{
        static const struct option options[] = {{"rounds", required_argument, NULL, 'r'}, {0}};
        pthread_t watcher;
        int c, status, bad = 0;

        while ((c = getopt_long(argc, argv, "r:", options, NULL)) != -1)
                if (c == 'r')
                        rounds = (unsigned)strtoul(optarg, NULL, 10);
        share();
        for (int i = 0; i < PROCESSES; i++)
                if (fork() == 0)
                        return process();
        together(); /* all contexts are there, and charged */
        leave(0, ROOM);
        CHECK(pthread_create(&watcher, NULL, watch, NULL) == 0);
        for (size_t i = 0; i < PATHS; i++)
                bad |= judge(&paths[i]);
        fg_store_relaxed(&shared->stop, 1);
        pthread_join(watcher, NULL);
        for (int i = 0; i < PROCESSES; i++) {
                wait(&status);
                bad |= status != 0;
        }
        return bad;
}
