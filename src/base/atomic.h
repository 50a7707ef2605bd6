/* SPDX-License-Identifier: Apache-2.0
 * Atomics that name their order in the call. They work on plain integers, so that shared structures stay plain C. */
#ifndef FG_BASE_ATOMIC_H
#define FG_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define fg_load_relaxed(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define fg_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define fg_load_seq_cst(p)     __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define fg_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define fg_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define fg_store_seq_cst(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

#define fg_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define fg_add_release(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#define fg_add_seq_cst(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define fg_sub_seq_cst(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)

#define fg_swap_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define fg_swap_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

/* On failure *expected holds what was found. */
#define fg_cas_acq_rel(p, expected, v) \
        __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define fg_cas_relaxed(p, expected, v) \
        __atomic_compare_exchange_n((p), (expected), (v), true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)

static inline void fg_cpu_pause(void)
{
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
}

#endif
