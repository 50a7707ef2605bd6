/* SPDX-License-Identifier: Apache-2.0
 * Every way to allocate: refused with one byte less than it needs, granted with exactly that, and all of it back
 * afterwards. What is used never is less than what the GPU really has in use for the process. */
#include "test_memory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What an allocation left behind, for freeing it. */
struct held {
        CUdeviceptr pointer;
        CUarray array;
        CUmipmappedArray mipmap;
        CUmemGenericAllocationHandle handle;
        CUmemoryPool pool;
        CUexternalMemory external;
        CUgraph graph;
        CUgraphExec exec;
};

struct path {
        const char *name;
        uint64_t needs;
        CUresult (*get)(struct held *);
        CUresult (*put)(struct held *);
};

static CUresult put_pointer(struct held *h)
{
        return cuMemFree_v2(h->pointer);
}

static CUresult get_alloc(struct held *h)
{
        return cuMemAlloc_v2(&h->pointer, 8 * MiB);
}

static CUresult get_pitch(struct held *h)
{
        size_t pitch;

        return cuMemAllocPitch_v2(&h->pointer, &pitch, 1000, 4096, 4);
}

static CUresult get_managed(struct held *h)
{
        return cuMemAllocManaged(&h->pointer, 8 * MiB, CU_MEM_ATTACH_GLOBAL);
}

/* --- pools: in the driver's chunks --- */

static CUresult get_async(struct held *h)
{
        return cuMemAllocAsync(&h->pointer, 20 * MiB, 0);
}

static CUresult put_async(struct held *h)
{
        CUresult r = cuMemFreeAsync(h->pointer, 0);

        return r ? r : cuStreamSynchronize(0);
}

static CUresult get_async_ptsz(struct held *h)
{
        return cuMemAllocAsync_ptsz(&h->pointer, 20 * MiB, 0);
}

static CUresult put_async_ptsz(struct held *h)
{
        CUresult r = cuMemFreeAsync_ptsz(h->pointer, 0);

        return r ? r : cuStreamSynchronize_ptsz(0);
}

static CUresult get_from_pool(struct held *h)
{
        CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                     .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};
        CUresult r = cuMemPoolCreate(&h->pool, &properties);

        if (r)
                return r;
        r = cuMemAllocFromPoolAsync(&h->pointer, 20 * MiB, h->pool, 0);
        if (r)
                CHECK_OK(cuMemPoolDestroy(h->pool));
        return r;
}

static CUresult put_from_pool(struct held *h)
{
        CUresult r = put_async(h);

        return r ? r : cuMemPoolDestroy(h->pool);
}

/* --- physical memory --- */

static CUresult get_vmm(struct held *h)
{
        CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                          .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};

        return cuMemCreate(&h->handle, 8 * MiB, &properties, 0);
}

static CUresult put_vmm(struct held *h)
{
        return cuMemRelease(h->handle);
}

/* --- arrays --- */

static CUresult put_array(struct held *h)
{
        return cuArrayDestroy(h->array);
}

static CUresult get_array_1d(struct held *h)
{
        CUDA_ARRAY_DESCRIPTOR d = {.Width = 65536, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 4};

        return cuArrayCreate_v2(&h->array, &d);
}

static CUresult get_array_2d(struct held *h)
{
        CUDA_ARRAY_DESCRIPTOR d = {.Width = 1024, .Height = 1024, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 2};

        return cuArrayCreate_v2(&h->array, &d);
}

static CUresult get_array_3d(struct held *h)
{
        CUDA_ARRAY3D_DESCRIPTOR d = {
                .Width = 128, .Height = 64, .Depth = 32, .Format = CU_AD_FORMAT_HALF, .NumChannels = 4};

        return cuArray3DCreate_v2(&h->array, &d);
}

static CUresult get_array_layered(struct held *h)
{
        CUDA_ARRAY3D_DESCRIPTOR d = {.Width = 512,
                                     .Height = 512,
                                     .Depth = 10,
                                     .Format = CU_AD_FORMAT_UNSIGNED_INT8,
                                     .NumChannels = 4,
                                     .Flags = CUDA_ARRAY3D_LAYERED};

        return cuArray3DCreate_v2(&h->array, &d);
}

static CUresult get_array_cube(struct held *h)
{
        CUDA_ARRAY3D_DESCRIPTOR d = {.Width = 256,
                                     .Height = 256,
                                     .Depth = 6,
                                     .Format = CU_AD_FORMAT_UNSIGNED_INT16,
                                     .NumChannels = 1,
                                     .Flags = CUDA_ARRAY3D_CUBEMAP};

        return cuArray3DCreate_v2(&h->array, &d);
}

static CUresult get_mipmap(struct held *h)
{
        CUDA_ARRAY3D_DESCRIPTOR d = {
                .Width = 1024, .Height = 1024, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};

        return cuMipmappedArrayCreate(&h->mipmap, &d, 3);
}

static CUresult put_mipmap(struct held *h)
{
        return cuMipmappedArrayDestroy(h->mipmap);
}

/* --- memory of another API --- */

static CUresult get_external(struct held *h)
{
        int fd = memfd_create("external", MFD_CLOEXEC);
        CUDA_EXTERNAL_MEMORY_HANDLE_DESC d = {
                .type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD, .handle.fd = fd, .size = 8 * MiB};
        CUresult r;

        CHECK(fd >= 0 && ftruncate(fd, 8 * MiB) == 0);
        r = cuImportExternalMemory(&h->external, &d);
        if (r == CUDA_SUCCESS)
                return r; /* the descriptor is the driver's now */
        CHECK(fcntl(fd, F_GETFD) >= 0);
        close(fd);
        return r;
}

static CUresult put_external(struct held *h)
{
        return cuDestroyExternalMemory(h->external);
}

static const struct path paths[] = {
        {"cuMemAlloc", 8 * MiB, get_alloc, put_pointer},
        {"pitch", 1024 * 4096, get_pitch, put_pointer},
        {"managed", 8 * MiB, get_managed, put_pointer},
        {"async", 32 * MiB, get_async, put_async},
        {"async, freed at once", 32 * MiB, get_async, put_pointer},
        {"async, per-thread", 32 * MiB, get_async_ptsz, put_async_ptsz},
        {"from a pool", 32 * MiB, get_from_pool, put_from_pool},
        {"physical", 8 * MiB, get_vmm, put_vmm},
        {"1D array", 65536 * 16, get_array_1d, put_array},
        {"2D array", 1024 * 1024 * 8, get_array_2d, put_array},
        {"3D array", 128 * 64 * 32 * 8, get_array_3d, put_array},
        {"layers", 512 * 512 * 4 * 10, get_array_layered, put_array},
        {"cube", 256 * 256 * 6 * 2, get_array_cube, put_array},
        {"mipmap", 1024 * 1024 + 512 * 512 + 256 * 256, get_mipmap, put_mipmap},
        {"external", 8 * MiB, get_external, put_external},
};

/* Cached memory of pools goes back when it is looked at. */
static uint64_t settled(void)
{
        size_t available, total;

        CHECK_OK(cuMemGetInfo_v2(&available, &total));
        CHECK_SAME(total, quota(0));
        CHECK_SAME(available, total - used(0));
        return used(0);
}

static void check(const struct path *path)
{
        uint64_t before = settled(), really = really_used(0), refused = refusals(0);
        struct held held = {0};

        fprintf(stderr, "%s\n", path->name);
        leave(0, path->needs - 1);
        CHECK_IS(path->get(&held), CUDA_ERROR_OUT_OF_MEMORY);
        CHECK_SAME(used(0), before);
        CHECK_SAME(really_used(0), really);
        CHECK_SAME(refusals(0), refused + 1);

        leave(0, path->needs);
        CHECK_OK(path->get(&held));
        CHECK_SAME(used(0), before + path->needs);
        CHECK(really_used(0) - really <= path->needs);
        CHECK_OK(path->put(&held));
        set_quota(0, 1024 * MiB);
        CHECK_OK(cuCtxSynchronize());
        CHECK_SAME(settled(), before);
        CHECK_SAME(really_used(0), really);
}

/* --- what another process allocated and paid for --- */

static int open_theirs(void)
{
        CUipcMemHandle handle;
        CUdeviceptr pointer;
        uint64_t before;

        CHECK(read(STDIN_FILENO, &handle, sizeof(handle)) == sizeof(handle));
        begin();
        before = used(0);
        leave(0, 0);
        CHECK_OK(cuIpcOpenMemHandle_v2(&pointer, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
        CHECK_SAME(used(0), before);
        CHECK_OK(cuIpcCloseMemHandle(pointer));
        CHECK_SAME(used(0), before);
        return 0;
}

static void share_with_another(const char *program)
{
        CUipcMemHandle handle;
        CUdeviceptr pointer;
        int ends[2], status;
        pid_t pid;

        CHECK_OK(cuMemAlloc_v2(&pointer, 8 * MiB));
        CHECK_OK(cuIpcGetMemHandle(&handle, pointer));
        CHECK(pipe(ends) == 0 && write(ends[1], &handle, sizeof(handle)) == sizeof(handle));
        pid = fork();
        if (pid == 0) {
                dup2(ends[0], STDIN_FILENO);
                execl(program, program, "open", (char *)NULL);
                _exit(127);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        set_quota(0, 1024 * MiB);
        CHECK_OK(cuMemFree_v2(pointer));
        close(ends[0]);
        close(ends[1]);
}

int main(int argc, char **argv)
{
        if (argc > 1)
                return open_theirs();
        begin();
        share_with_another(argv[0]);
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
                check(&paths[i]);
        /* A second time: what was learnt of a pool's chunks must not matter. */
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
                check(&paths[i]);
        return 0;
}
