/* SPDX-License-Identifier: Apache-2.0
 * Futexes on memory shared between processes. */
#ifndef FG_BASE_FUTEX_H
#define FG_BASE_FUTEX_H

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word == expected, at most timeout ns. May return early for any reason: look again. */
static inline void fg_futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout)
{
        struct timespec ts = {.tv_sec = (time_t)(timeout / 1000000000u), .tv_nsec = (long)(timeout % 1000000000u)};
        syscall(SYS_futex, word, FUTEX_WAIT, expected, &ts, NULL, 0);
}

static inline void fg_futex_wake_all(uint32_t *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

#endif
