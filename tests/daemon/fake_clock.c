/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded into a daemon under test: its clocks are the machine's and what a file of three int64 says more, ns: of
 * CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME. So a test has a minute, a year or a sleep pass in no time, while
 * everything else is the daemon's own. Timers that were set before a change are looked at when the daemon next wakes up:
 * ask it for something. Other programs (what the daemon starts) have the machine's time. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define FILES 4096
#define SECOND 1000000000ll

static const int64_t none[3];
static const volatile int64_t *more = none;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_create)(int, int);
static int (*real_settime)(int, int, const struct itimerspec *, struct itimerspec *);
static clockid_t clock_of[FILES];

__attribute__((constructor)) static void begin(void)
{
        const char *path = getenv("FAKE_CLOCK");
        real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
        real_create = (int (*)(int, int))dlsym(RTLD_NEXT, "timerfd_create");
        real_settime = (int (*)(int, int, const struct itimerspec *, struct itimerspec *))dlsym(RTLD_NEXT, "timerfd_settime");
        int fd = path && strcmp(program_invocation_short_name, "fastgpud") == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
        if (fd >= 0)
                close(fd);
        if (page != MAP_FAILED)
                more = page;
}

static int64_t offset(clockid_t which)
{
        switch (which) {
        case CLOCK_REALTIME:
        case CLOCK_REALTIME_COARSE:
        case CLOCK_REALTIME_ALARM:
                return more[0];
        case CLOCK_MONOTONIC:
        case CLOCK_MONOTONIC_COARSE:
        case CLOCK_MONOTONIC_RAW:
                return more[1];
        case CLOCK_BOOTTIME:
        case CLOCK_BOOTTIME_ALARM:
                return more[2];
        default:
                return 0;
        }
}

static struct timespec shifted(struct timespec at, int64_t by)
{
        int64_t ns = (int64_t)at.tv_nsec + by % SECOND;
        at.tv_sec += by / SECOND + (ns >= SECOND) - (ns < 0);
        at.tv_nsec = ns >= SECOND ? ns - SECOND : ns < 0 ? ns + SECOND : ns;
        return at;
}

EXPORT int clock_gettime(clockid_t which, struct timespec *ret)
{
        if (!real_gettime)
                begin();
        int r = real_gettime(which, ret);
        if (r == 0 && offset(which))
                *ret = shifted(*ret, offset(which));
        return r;
}

EXPORT time_t time(time_t *ret)
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        if (ret)
                *ret = now.tv_sec;
        return now.tv_sec;
}

EXPORT int timerfd_create(int which, int flags)
{
        int fd = real_create(which, flags);
        if (fd >= 0 && fd < FILES)
                clock_of[fd] = which;
        return fd;
}

EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *set, struct itimerspec *old)
{
        struct itimerspec real = *set;
        bool is_set = set->it_value.tv_sec || set->it_value.tv_nsec;
        if (flags & TFD_TIMER_ABSTIME && is_set && fd >= 0 && fd < FILES) {
                real.it_value = shifted(set->it_value, -offset(clock_of[fd]));
                if (real.it_value.tv_sec < 0 || (real.it_value.tv_sec == 0 && real.it_value.tv_nsec == 0))
                        real.it_value = (struct timespec){0, 1}; /* long ago */
        }
        return real_settime(fd, flags, &real, old);
}
