/* SPDX-License-Identifier: Apache-2.0
 * Ways to open a device node, for test_gate.py: a static program, which no library of ours is in.
 *
 * usage: opener WAY PATH [NUMBER]     prints "opened" or the error's name
 *   open openat openat2 read write fd ring   the call, or what leads to it: a descriptor of the path, io_uring
 *   make                                     mknod of the device MAJOR:MINOR at PATH first
 *   race                                     PATH is put in the place of another one, NUMBER times: how many devices were opened
 *   time                                     mean nanoseconds of NUMBER openings of PATH for reading and writing, and for reading
 *   flood                                    NUMBER openings: how many failed
 *   die                                      NUMBER processes that are killed while they open it */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int by_openat2(const char *path)
{
        struct open_how how = {.flags = O_RDWR};
        return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

static int by_descriptor(const char *path)
{
        char again[64];
        snprintf(again, sizeof again, "/proc/self/fd/%d", open(path, O_PATH));
        return open(again, O_RDWR);
}

/* One openat through a ring, and its result. */
static int by_ring(const char *path)
{
        struct io_uring_params p = {0};
        int ring = (int)syscall(SYS_io_uring_setup, 1, &p);
        if (ring < 0)
                return -1;
        char *sq = mmap(NULL, p.sq_off.array + 64, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
        char *cq = mmap(NULL, p.cq_off.cqes + 64, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
        struct io_uring_sqe *entry = mmap(NULL, sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
        if (sq == MAP_FAILED || cq == MAP_FAILED || entry == MAP_FAILED)
                return -1;
        *entry = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)path, .open_flags = O_RDWR};
        atomic_store((_Atomic unsigned *)(sq + p.sq_off.tail), 1);
        if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
                return -1;
        int result = ((struct io_uring_cqe *)(cq + p.cq_off.cqes))->res;
        errno = result < 0 ? -result : 0;
        return result < 0 ? -1 : result;
}

static int by_making(const char *path, const char *number)
{
        unsigned big = 0, small = 0;
        sscanf(number, "%u:%u", &big, &small);
        return mknod(path, S_IFCHR | 0666, makedev(big, small)) < 0 ? -1 : open(path, O_RDWR);
}

static int open_by(const char *way, const char *path, const char *number)
{
        if (strcmp(way, "openat2") == 0)
                return by_openat2(path);
        if (strcmp(way, "fd") == 0)
                return by_descriptor(path);
        if (strcmp(way, "ring") == 0)
                return by_ring(path);
        if (strcmp(way, "make") == 0)
                return by_making(path, number);
        if (strcmp(way, "open") == 0) /* the C library's is openat */
                return (int)syscall(SYS_open, path, O_RDWR);
        return open(path, strcmp(way, "read") == 0 ? O_RDONLY : strcmp(way, "write") == 0 ? O_WRONLY : O_RDWR);
}

/* --- more than one --- */

static char shared[64];
static atomic_bool done;

static void *swap(void *path)
{
        for (unsigned i = 0; !atomic_load(&done); i++)
                strcpy(shared, i % 2 ? path : "/tmp/plain");
        return NULL;
}

static long race(char *path, long times)
{
        pthread_t thread;
        struct stat st;
        long devices = 0;
        close(open("/tmp/plain", O_RDWR | O_CREAT, 0600));
        strcpy(shared, path);
        pthread_create(&thread, NULL, swap, path);
        for (long i = 0; i < times; i++) {
                int fd = open(shared, O_RDWR);
                devices += fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
                if (fd >= 0)
                        close(fd);
        }
        atomic_store(&done, true);
        pthread_join(thread, NULL);
        return devices;
}

static long nanoseconds(const char *path, int flags, long times)
{
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (long i = 0; i < times; i++)
                close(open(path, flags));
        clock_gettime(CLOCK_MONOTONIC, &end);
        return ((end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec) / times;
}

static long flood(const char *path, long times)
{
        long failed = 0;
        for (long i = 0; i < times; i++) {
                int fd = open(path, O_RDWR);
                failed += fd < 0;
                if (fd >= 0)
                        close(fd);
        }
        return failed;
}

static void die(const char *path, long times)
{
        for (long i = 0; i < times; i++) {
                pid_t child = fork();
                if (child == 0)
                        for (;;)
                                close(open(path, O_RDWR));
                usleep((useconds_t)(i % 7) * 300);
                kill(child, SIGKILL);
                waitpid(child, NULL, 0);
        }
}

int main(int argc, char **argv)
{
        long number = argc > 3 ? atol(argv[3]) : 0;
        if (argc < 3)
                return 2;
        if (strcmp(argv[1], "race") == 0)
                printf("%ld\n", race(argv[2], number));
        else if (strcmp(argv[1], "time") == 0)
                printf("%ld %ld\n", nanoseconds(argv[2], O_RDWR, number), nanoseconds(argv[2], O_RDONLY, number));
        else if (strcmp(argv[1], "flood") == 0)
                printf("%ld\n", flood(argv[2], number));
        else if (strcmp(argv[1], "die") == 0)
                die(argv[2], number);
        else
                puts(open_by(argv[1], argv[2], argc > 3 ? argv[3] : "") >= 0 ? "opened" : strerrorname_np(errno));
        return 0;
}
