/* SPDX-License-Identifier: Apache-2.0
 * Between cuda_share, which plays the daemon, and its tenants: one file, mapped by all. */
#ifndef CUDA_SHARE_H
#define CUDA_SHARE_H

#include "base/atomic.h"
#include "base/clock.h"

#include <time.h>

#define SHARE_TENANTS 8
#define SHARE_BINS    6000 /* of 10 ms */
#define SHARE_BIN     (10 * FG_NSEC_PER_MSEC)

struct share_shared {
        uint64_t start;                           /* fg_now(); 0: not yet */
        uint32_t ready, stop, failed;             /* (a) */
        uint32_t met;                             /* (a) kernels that are in the middle of the collective */
        uint64_t bins[SHARE_TENANTS][SHARE_BINS]; /* (a) device time by 10 ms bin */
        uint64_t launches[SHARE_TENANTS];         /* (a) */
        uint64_t meetings[SHARE_TENANTS];         /* (a) collectives that came together */
};

static inline void share_sleep_until(uint64_t t)
{
        struct timespec ts = {.tv_sec = (time_t)(t / FG_NSEC_PER_SEC), .tv_nsec = (long)(t % FG_NSEC_PER_SEC)};

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

#endif
