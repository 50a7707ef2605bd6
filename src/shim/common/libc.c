/* SPDX-License-Identifier: Apache-2.0
 * Functions that glibc has had in this form only since 2.28, 2.33 or 2.34; before, they were elsewhere or made of
 * others. The ones here are found first by everything that is linked into a drop-in. */
#include "shim/common/libc.h"

#include "base/atomic.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OWN __attribute__((visibility("hidden")))

OWN int fstat(int fd, struct stat *ret)
{
        return (int)syscall(SYS_fstat, fd, ret);
}

OWN int stat(const char *path, struct stat *ret)
{
        return (int)syscall(SYS_stat, path, ret);
}

OWN int fstatat(int folder, const char *path, struct stat *ret, int flags)
{
        return (int)syscall(SYS_newfstatat, folder, path, ret, flags);
}

/* Every argument that there can be is a register wide. */
OWN int fcntl(int fd, int command, ...)
{
        va_list list;
        long argument;

        va_start(list, command);
        argument = va_arg(list, long);
        va_end(list);
        return (int)syscall(SYS_fcntl, fd, command, argument);
}

/* 0: not begun; ONCE_DONE; else the process that is at it: in a child of fork() the parent's threads are not. */
#define ONCE_DONE (-1)

OWN int pthread_once(pthread_once_t *once, void (*function)(void))
{
        int seen = fg_load_acquire(once), self;

        if (seen == ONCE_DONE)
                return 0;
        self = getpid();
        while (seen != ONCE_DONE) {
                if (seen == self)
                        sched_yield();
                else if (fg_cas_acq_rel(once, &seen, self)) {
                        function();
                        fg_store_release(once, ONCE_DONE);
                }
                seen = fg_load_acquire(once);
        }
        return 0;
}
