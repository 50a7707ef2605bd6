/* SPDX-License-Identifier: Apache-2.0
 * Memory between processes: legacy handles, VMM descriptors, pools; and external memory. Bytes count once, where they
 * were made. */
#include "sim_test.h"

#include <fcntl.h>
#include <sys/mman.h>

#define SIZE    (3 * MI + 100)
#define CONTEXT (4 * MI)
#define GRAIN   (2 * MI)

/* What the other process is given, through a file. */
struct letter {
        CUipcMemHandle small, large;
        CUmemPoolPtrExportData pointer;
        int vmm, pool;
        size_t expected_free;
};

static struct letter *letter;

static const CUmemAccessDesc everything = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                                           .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static size_t small_free(void)
{
        return sim_free() - letter->expected_free;
}

/* ---- the importer: a program of its own ---- */
static void import_legacy(void)
{
        CUdeviceptr a, b, again;
        OK(cuIpcOpenMemHandle_v2(&a, letter->large, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
        OK(cuIpcOpenMemHandle_v2(&again, letter->large, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
        CHECK(a == again);
        OK(cuIpcOpenMemHandle_v2(&b, letter->small, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
        CHECK(strcmp((char *)b, "small") == 0);
        CHECK(((char *)a)[SIZE - 1] == 77);
        CHECK(small_free() == 0);
        OK(cuMemsetD8_v2(a, 78, SIZE));
        IS(cuMemFree_v2(a), CUDA_ERROR_INVALID_VALUE);
        OK(cuIpcCloseMemHandle(a));
        *(volatile char *)a = 78;
        OK(cuIpcCloseMemHandle(again));
        IS(cuIpcCloseMemHandle(a), CUDA_ERROR_INVALID_VALUE);
        OK(cuIpcCloseMemHandle(b));
        letter->small.reserved[0] ^= 1;
        IS(cuIpcOpenMemHandle_v2(&b, letter->small, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS), CUDA_ERROR_INVALID_VALUE);
}

static void import_vmm(void)
{
        CUmemGenericAllocationHandle h;
        CUdeviceptr p;
        OK(cuMemImportFromShareableHandle(&h, (void *)(intptr_t)letter->vmm, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
        OK(cuMemAddressReserve(&p, GRAIN, 0, 0, 0));
        OK(cuMemMap(p, GRAIN, 0, h, 0));
        OK(cuMemSetAccess(p, GRAIN, &everything, 1));
        CHECK(strcmp((char *)p, "vmm") == 0 && small_free() == 0);
        strcpy((char *)p, "answer");
}

static void import_pool(void)
{
        CUmemoryPool pool;
        CUdeviceptr p;
        OK(cuMemPoolImportFromShareableHandle(&pool, (void *)(intptr_t)letter->pool,
                                              CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
        IS(cuMemAllocFromPoolAsync(&p, 1, pool, NULL), CUDA_ERROR_NOT_SUPPORTED);
        OK(cuMemPoolImportPointer(&p, pool, &letter->pointer));
        CHECK(strcmp((char *)p, "pool") == 0 && small_free() == 0);
        OK(cuMemFreeAsync(p, NULL));
        IS(cuMemFreeAsync(p, NULL), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemPoolDestroy(pool));
}

static int importer(const char *fd)
{
        letter = mmap(NULL, sizeof *letter, PROT_READ | PROT_WRITE, MAP_PRIVATE, atoi(fd), 0);
        CHECK(letter != MAP_FAILED);
        sim_context(0);
        CHECK(small_free() == 0);
        import_legacy();
        import_vmm();
        import_pool();
        return 0;
}

/* ---- the exporter ---- */
static int run_importer(int fd)
{
        char text[16];
        snprintf(text, sizeof text, "%d", fd);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                execl("/proc/self/exe", "test_ipc", text, NULL);
                _exit(127);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static CUdeviceptr export_vmm(CUmemGenericAllocationHandle *h)
{
        CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                                    .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR};
        CUdeviceptr p;
        OK(cuMemCreate(h, GRAIN, &prop, 0));
        OK(cuMemAddressReserve(&p, GRAIN, 0, 0, 0));
        OK(cuMemMap(p, GRAIN, 0, *h, 0));
        OK(cuMemSetAccess(p, GRAIN, &everything, 1));
        strcpy((char *)p, "vmm");
        OK(cuMemExportToShareableHandle(&letter->vmm, *h, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
        fcntl(letter->vmm, F_SETFD, 0);
        return p;
}

static CUdeviceptr export_pool(CUmemoryPool *pool)
{
        CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                                .handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR};
        CUdeviceptr p, plain;
        OK(cuMemPoolCreate(pool, &props));
        OK(cuMemAllocFromPoolAsync(&p, 1000, *pool, NULL));
        strcpy((char *)p, "pool");
        OK(cuMemPoolExportToShareableHandle(&letter->pool, *pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
        fcntl(letter->pool, F_SETFD, 0);
        OK(cuMemPoolExportPointer(&letter->pointer, p));
        OK(cuMemAlloc_v2(&plain, 1));
        IS(cuMemPoolExportPointer(&letter->pointer, plain), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemFree_v2(plain));
        return p;
}

static void between_processes(void)
{
        CUdeviceptr pad, small, large, opened;
        CUmemGenericAllocationHandle h;
        CUmemoryPool pool;
        size_t before = sim_free();
        int fd = memfd_create("letter", 0);
        CHECK(fd >= 0 && ftruncate(fd, sizeof *letter) == 0);
        letter = mmap(NULL, sizeof *letter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        OK(cuMemAlloc_v2(&pad, 512));
        OK(cuMemAlloc_v2(&small, 512));
        OK(cuMemAlloc_v2(&large, SIZE));
        strcpy((char *)small, "small");
        OK(cuMemsetD8_v2(large, 77, SIZE));
        OK(cuIpcGetMemHandle(&letter->small, small));
        OK(cuIpcGetMemHandle(&letter->large, large + 1000));
        IS(cuIpcGetMemHandle(&letter->large, (CUdeviceptr)&fd), CUDA_ERROR_INVALID_VALUE);
        IS(cuIpcOpenMemHandle_v2(&opened, letter->large, 1), CUDA_ERROR_INVALID_CONTEXT);
        CUdeviceptr vmm = export_vmm(&h), pooled = export_pool(&pool);
        letter->expected_free = sim_free() - CONTEXT;
        CHECK(run_importer(fd) == 0);
        CHECK(((char *)large)[0] == 78 && ((char *)large)[SIZE - 1] == 78 && strcmp((char *)vmm, "answer") == 0);
        OK(cuMemFree_v2(pad));
        OK(cuMemFree_v2(small));
        OK(cuMemFree_v2(large));
        OK(cuMemFree_v2(pooled));
        OK(cuMemPoolDestroy(pool));
        OK(cuMemUnmap(vmm, GRAIN));
        OK(cuMemRelease(h));
        OK(cuMemAddressFree(vmm, GRAIN));
        close(letter->vmm);
        close(letter->pool);
        CHECK(sim_free() == before);
}

static void external(void)
{
        CUexternalMemory memory;
        CUmipmappedArray mipmap;
        CUdeviceptr p;
        size_t before = sim_free();
        int fd = memfd_create("vulkan", 0), probe = dup(fd);
        CHECK(ftruncate(fd, MI) == 0 && pwrite(fd, "hello", 6, 8192) == 6);
        CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = {
                .type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD, .handle.fd = fd, .size = 2 * MI};
        IS(cuImportExternalMemory(&memory, &desc), CUDA_ERROR_INVALID_HANDLE);
        desc.size = MI;
        OK(cuImportExternalMemory(&memory, &desc));
        CHECK(fcntl(fd, F_GETFD) < 0);
        CUDA_EXTERNAL_MEMORY_BUFFER_DESC part = {.offset = 8192, .size = MI};
        IS(cuExternalMemoryGetMappedBuffer(&p, memory, &part), CUDA_ERROR_INVALID_VALUE);
        part.size = 4096;
        OK(cuExternalMemoryGetMappedBuffer(&p, memory, &part));
        CHECK(strcmp((char *)p, "hello") == 0 && sim_free() == before);
        ((char *)p)[0] = 'j';
        char byte;
        CHECK(pread(probe, &byte, 1, 8192) == 1 && byte == 'j');
        OK(cuMemFree_v2(p));
        CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC image = {
                .numLevels = 1,
                .arrayDesc = {.Width = 512, .Height = 512, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 4}};
        OK(cuExternalMemoryGetMappedMipmappedArray(&mipmap, memory, &image));
        CHECK(sim_free() == before);
        OK(cuMipmappedArrayDestroy(mipmap));
        image.arrayDesc.Height = 513;
        IS(cuExternalMemoryGetMappedMipmappedArray(&mipmap, memory, &image), CUDA_ERROR_INVALID_VALUE);
        OK(cuDestroyExternalMemory(memory));
        IS(cuDestroyExternalMemory(memory), CUDA_ERROR_INVALID_HANDLE);
        close(probe);
}

int main(int argc, char **argv)
{
        if (argc == 2)
                return importer(argv[1]);
        sim_start("[gpu]\nmodel = Test\nmemory = 512M\ncontext = 4M\nlaunch = 0\nh2d = 0\nd2h = 0\nd2d = 0\n");
        sim_context(0);
        between_processes();
        external();
        return 0;
}
