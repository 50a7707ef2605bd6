/* SPDX-License-Identifier: Apache-2.0
 * A CUDA program that keeps the simulated GPU busy with kernels of a set time, and books their time when they complete.
 *
 *   cuda_share_tenant FILE TENANT KERNEL_US DEPTH KIND GRID        KIND: plain ex coop graph ptsz meet
 *
 * `meet`: each kernel waits on the device until as many kernels as there are tenants are there together, as the parts of a
 * collective do. */
#include "cuda_share.h"

#include "abi/cuda.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEPTH_MAX   256
#define GRAPH_NODES 4
#define MEET_LIMIT  (50 * FG_NSEC_PER_SEC)

#define USED(X) \
        X(cuInit) X(cuDeviceGet) X(cuDevicePrimaryCtxRetain) X(cuCtxSetCurrent) X(cuModuleLoadData) X(cuModuleGetFunction) \
        X(cuStreamCreate) X(cuEventCreate) X(cuEventRecord) X(cuEventSynchronize) X(cuLaunchKernel) X(cuLaunchKernel_ptsz) \
        X(cuLaunchKernelEx) X(cuLaunchCooperativeKernel) X(cuStreamBeginCapture_v2) X(cuStreamEndCapture) \
        X(cuGraphInstantiateWithFlags) X(cuGraphLaunch) X(cuCtxSynchronize)

static struct {
#define FIELD(name) __typeof__(&name) name;
        USED(FIELD)
} cu;

static struct share_shared *shared;
static unsigned tenant, grid;
static uint64_t kernel_ns;
static const char *kind;
static CUfunction function;
static CUstream stream;
static CUgraphExec graph;

#define MUST(call) must(call, #call)
static void must(CUresult r, const char *what)
{
        if (r == CUDA_SUCCESS)
                return;
        fprintf(stderr, "tenant %u: %s: %d\n", tenant, what, (int)r);
        fg_store_seq_cst(&shared->failed, 1);
        exit(1);
}

static void load(void)
{
        void *library = dlopen("libcuda.so.1", RTLD_NOW);

        if (!library) {
                fprintf(stderr, "tenant %u: %s\n", tenant, dlerror());
                fg_store_seq_cst(&shared->failed, 1);
                exit(1);
        }
#define LOAD(name) \
        cu.name = (__typeof__(&name))dlsym(library, #name); \
        must(cu.name ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND, #name);
        USED(LOAD)
}

/* On the device. */
__attribute__((visibility("default"))) void share_meet(void **params, const unsigned gridDim[3], const unsigned block[3]);
void share_meet(void **params, const unsigned gridDim[3], const unsigned block[3])
{
        uint32_t all = **(uint32_t **)params, round = fg_add_seq_cst(&shared->met, 1) / all;
        uint64_t since = fg_now();

        while (fg_load_seq_cst(&shared->met) < (round + 1) * all && fg_now() - since < MEET_LIMIT)
                usleep(200);
        if (fg_load_seq_cst(&shared->met) >= (round + 1) * all)
                fg_add_seq_cst(&shared->meetings[tenant], 1);
}

static void launch_one(CUstream into)
{
        uint64_t ns = kernel_ns;
        uint32_t all = (uint32_t)kernel_ns; /* `meet`: how many there are */
        void *params[] = {strcmp(kind, "meet") ? (void *)&ns : (void *)&all};
        CUlaunchConfig config = {.gridDimX = grid, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 32, .blockDimY = 1,
                                 .blockDimZ = 1, .hStream = into};

        if (strcmp(kind, "ex") == 0)
                MUST(cu.cuLaunchKernelEx(&config, function, params, NULL));
        else if (strcmp(kind, "coop") == 0)
                MUST(cu.cuLaunchCooperativeKernel(function, grid, 1, 1, 32, 1, 1, 0, into, params));
        else if (strcmp(kind, "ptsz") == 0)
                MUST(cu.cuLaunchKernel_ptsz(function, grid, 1, 1, 32, 1, 1, 0, into, params, NULL));
        else
                MUST(cu.cuLaunchKernel(function, grid, 1, 1, 32, 1, 1, 0, into, params, NULL));
}

static void launch(void)
{
        if (graph)
                MUST(cu.cuGraphLaunch(graph, stream));
        else
                launch_one(stream);
        fg_add_relaxed(&shared->launches[tenant], 1);
}

static void set_up(void)
{
        CUcontext context;
        CUmodule module;
        CUdevice device;
        CUgraph captured;

        load();
        MUST(cu.cuInit(0));
        MUST(cu.cuDeviceGet(&device, 0));
        MUST(cu.cuDevicePrimaryCtxRetain(&context, device));
        MUST(cu.cuCtxSetCurrent(context));
        MUST(cu.cuModuleLoadData(&module, "fastgpu-sim\nkernel busy param=0 unit=ns args=8\nkernel meet host=share_meet args=4\n"));
        MUST(cu.cuModuleGetFunction(&function, module, strcmp(kind, "meet") ? "busy" : "meet"));
        MUST(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        if (strcmp(kind, "graph"))
                return;
        MUST(cu.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
        for (int i = 0; i < GRAPH_NODES; i++)
                launch_one(stream);
        MUST(cu.cuStreamEndCapture(stream, &captured));
        MUST(cu.cuGraphInstantiateWithFlags(&graph, captured, 0));
}

static void book(uint64_t begin, uint64_t end)
{
        begin = begin > shared->start ? begin : shared->start;
        while (begin < end) {
                uint64_t bin = (begin - shared->start) / SHARE_BIN, edge = shared->start + (bin + 1) * SHARE_BIN;
                uint64_t stop = end < edge ? end : edge;

                if (bin < SHARE_BINS)
                        fg_add_relaxed(&shared->bins[tenant][bin], stop - begin);
                begin = stop;
        }
}

static void work(unsigned depth)
{
        uint64_t each = graph ? GRAPH_NODES * kernel_ns : kernel_ns;
        CUevent ring[DEPTH_MAX];

        for (unsigned i = 0; i < depth; i++)
                MUST(cu.cuEventCreate(&ring[i], CU_EVENT_DISABLE_TIMING));
        for (uint64_t n = 0; !fg_load_relaxed(&shared->stop); n++) {
                if (n >= depth) {
                        MUST(cu.cuEventSynchronize(ring[n % depth]));
                        book(fg_now() - each, fg_now());
                }
                launch();
                MUST(cu.cuEventRecord(ring[n % depth], stream));
        }
}

int main(int argc, char **argv)
{
        int fd = argc == 7 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;

        if (fd < 0)
                return 2;
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared == MAP_FAILED)
                return 2;
        tenant = (unsigned)atoi(argv[2]);
        kernel_ns = strtoull(argv[3], NULL, 10) * 1000;
        kind = argv[5];
        grid = (unsigned)atoi(argv[6]);
        set_up();
        fg_add_seq_cst(&shared->ready, 1);
        while (!fg_load_seq_cst(&shared->start))
                usleep(1000);
        share_sleep_until(shared->start);
        if (strcmp(kind, "meet") == 0) {
                kernel_ns /= 1000;
                for (unsigned i = (unsigned)atoi(argv[4]); i > 0; i--) {
                        launch();
                        MUST(cu.cuCtxSynchronize());
                }
                return 0;
        }
        work((unsigned)atoi(argv[4]));
        return 0;
}
