/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FG_BASE_CLOCK_H
#define FG_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define FG_NSEC_PER_USEC 1000ull
#define FG_NSEC_PER_MSEC 1000000ull
#define FG_NSEC_PER_SEC  1000000000ull

/* CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t fg_now(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * FG_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

#endif
