/* SPDX-License-Identifier: Apache-2.0
 * Physical memory lives, and is charged, until its handles are released and its mappings gone, in whatever order; host
 * memory is nobody's; an import keeps what it maps alive, and pays for it, unless it is the importer's own. */
#include "test_memory.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES (8 * MiB)

static CUmemAllocationProp on(CUmemLocationType type)
{
        return (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                     .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                     .location = {type, {0}}};
}

static CUmemGenericAllocationHandle make(void)
{
        CUmemAllocationProp device = on(CU_MEM_LOCATION_TYPE_DEVICE);
        CUmemGenericAllocationHandle handle;

        CHECK_OK(cuMemCreate(&handle, BYTES, &device, 0));
        return handle;
}

static CUdeviceptr addresses(void)
{
        CUdeviceptr at;

        CHECK_OK(cuMemAddressReserve(&at, 4 * BYTES, 0, 0, 0));
        return at;
}

static void test_orders(void)
{
        CUmemGenericAllocationHandle handle = make(), again;
        CUdeviceptr at = addresses();

        CHECK_SAME(used(0), BYTES);
        CHECK_OK(cuMemMap(at, BYTES, 0, handle, 0));
        CHECK_OK(cuMemRelease(handle)); /* released first */
        CHECK_SAME(used(0), BYTES);
        CHECK_OK(cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)(at + MiB)));
        CHECK_OK(cuMemUnmap(at, BYTES));
        CHECK_SAME(used(0), BYTES); /* retained */
        CHECK_OK(cuMemMap(at, BYTES / 2, 0, again, 0));
        CHECK_OK(cuMemMap(at + BYTES / 2, BYTES / 2, BYTES / 2, again, 0));
        CHECK_OK(cuMemMap(at + BYTES, BYTES, 0, again, 0));
        CHECK_OK(cuMemRelease(again));
        CHECK_OK(cuMemUnmap(at, BYTES)); /* two at once */
        CHECK_SAME(used(0), BYTES);
        CHECK_OK(cuMemUnmap(at + BYTES, BYTES));
        CHECK_SAME(used(0), 0);

        handle = make(); /* unmapped first */
        CHECK_OK(cuMemMap(at, BYTES, 0, handle, 0));
        CHECK_OK(cuMemUnmap(at, BYTES));
        CHECK_SAME(used(0), BYTES);
        CHECK_OK(cuMemRelease(handle));
        CHECK_SAME(used(0), 0);
        CHECK(cuMemRelease(handle) != CUDA_SUCCESS);
        CHECK(cuMemUnmap(at, BYTES) != CUDA_SUCCESS);
        CHECK_SAME(used(0), 0);
        CHECK_OK(cuMemAddressFree(at, 4 * BYTES));
}

static void test_host(void)
{
        CUmemAllocationProp host = on(CU_MEM_LOCATION_TYPE_HOST);
        CUmemGenericAllocationHandle handle;
        void *pinned;

        host.location.id = 0;
        if (cuMemCreate(&handle, BYTES, &host, 0) == CUDA_SUCCESS) {
                CHECK_SAME(used(0), 0);
                CHECK_OK(cuMemRelease(handle));
        }
        CHECK_OK(cuMemHostAlloc(&pinned, BYTES, 0));
        CHECK_SAME(used(0), 0);
        CHECK_OK(cuMemFreeHost(pinned));
        CHECK_SAME(used(0), 0);
}

static void test_own_import(void)
{
        CUmemGenericAllocationHandle handle = make(), second;
        CUdeviceptr at = addresses();
        int fd;

        CHECK_OK(cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
        CHECK_OK(cuMemImportFromShareableHandle(&second, (void *)(uintptr_t)fd,
                                                CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
        CHECK_OK(cuMemMap(at, BYTES, 0, second, 0));
        CHECK_SAME(used(0), BYTES);
        CHECK_OK(cuMemRelease(handle));
        CHECK_SAME(used(0), BYTES);
        CHECK_OK(cuMemRelease(second));
        CHECK_OK(cuMemUnmap(at, BYTES));
        CHECK_SAME(used(0), 0);
        CHECK_OK(cuMemAddressFree(at, 4 * BYTES));
        close(fd);
}

/* --- another process's --- */

static void send_fd(int to, int fd)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec io = {(char[]){"x"}, 1};
        struct msghdr message = {
                .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);

        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &fd, sizeof(int));
        CHECK(sendmsg(to, &message, 0) == 1);
}

static int receive_fd(int from)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        char byte;
        struct iovec io = {&byte, 1};
        struct msghdr message = {
                .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        int fd;

        CHECK(recvmsg(from, &message, 0) == 1);
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
        return fd;
}

static int maker(int line)
{
        CUmemGenericAllocationHandle handle;
        char wait;
        int fd;

        begin();
        handle = make();
        CHECK_OK(cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
        send_fd(line, fd);
        CHECK(read(line, &wait, 1) == 1);
        return 0;
}

static void test_import(int line, pid_t child)
{
        CUmemGenericAllocationHandle handle;
        int fd = receive_fd(line), status;
        CUdeviceptr at;

        begin();
        at = addresses();
        CHECK_SAME(used(0), BYTES);
        CHECK_OK(cuMemImportFromShareableHandle(&handle, (void *)(uintptr_t)fd,
                                                CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
        CHECK_SAME(used(0), BYTES);
        leave(0, BYTES - 1);
        CHECK_IS(cuMemMap(at, BYTES, 0, handle, 0), CUDA_ERROR_OUT_OF_MEMORY);
        leave(0, BYTES);
        CHECK_OK(cuMemMap(at, BYTES, 0, handle, 0));
        CHECK_SAME(used(0), 2 * BYTES);
        CHECK(write(line, "", 1) == 1);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        for (int tries = 0; tries < 5000 && used(0) != BYTES; tries++)
                usleep(1000);
        CHECK_SAME(used(0), BYTES); /* the maker has died; the memory lives on here */
        CHECK_OK(cuMemRelease(handle));
        CHECK_OK(cuMemUnmap(at, BYTES));
        CHECK_SAME(used(0), 0);
        close(fd);
}

int main(void)
{
        int line[2];
        pid_t child;

        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line) == 0);
        child = fork();
        if (child == 0)
                return maker(line[1]);
        test_import(line[0], child);
        set_quota(0, 1024 * MiB);
        test_orders();
        test_host();
        test_own_import();
        return 0;
}
