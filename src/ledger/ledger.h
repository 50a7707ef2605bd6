/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory ledger: reserve before the driver allocates, refund when it frees or fails, give back what the dead held.
 *
 * Reserve and refund are one 16-byte compare-and-swap on the vGPU's counter, made recoverable by the lanes of
 * include/fastgpu/page.h: a process that is killed between any two instructions leaves books from which exactly what it
 * held can be taken back. There is no lock in shared memory. O(1) in the number of live allocations. */
#ifndef FG_LEDGER_LEDGER_H
#define FG_LEDGER_LEDGER_H

#include "base/error.h"
#include "fastgpu/page.h"

#include <stdbool.h>
#include <stddef.h>

/* One process's handle on one vGPU's pages. The handle must be zeroed, then filled by fg_ledger_open(). Thread-safe. */
struct fg_ledger {
        const struct fg_limits_page *limits;
        struct fg_usage_page *usage;
        uint32_t slot;
        uint32_t lane_busy[FG_LANES]; /* process-private: which lanes a thread of this process holds */
};

void fg_ledger_open(struct fg_ledger *ledger, const struct fg_limits_page *limits, struct fg_usage_page *usage,
                    uint32_t slot);

/* Charges `bytes`. 0; -ENOMEM: does not fit the quota (counted as a refusal); -EACCES: the vGPU is closed. */
int fg_ledger_reserve(struct fg_ledger *ledger, uint64_t bytes);
/* Gives back `bytes` that this process reserved. Never fails. */
void fg_ledger_refund(struct fg_ledger *ledger, uint64_t bytes);

/* A snapshot. used <= quota; free = quota - used. */
uint64_t fg_ledger_used(const struct fg_ledger *ledger);
uint64_t fg_ledger_quota(const struct fg_ledger *ledger);

/* --- the daemon's side; one thread at a time per page --- */

void fg_page_init_usage(struct fg_usage_page *usage);
/* What was found wrong, or 0. Nothing read from a usage page is trusted beyond the bounds checked here. */
int fg_page_check_limits(const void *page, size_t size, const uint8_t boot_id[16], struct fg_error *err);
int fg_page_check_usage(const void *page, size_t size, struct fg_error *err);

/* Bytes one slot holds (what a reap would give back). Exact once its process is dead, a snapshot before. */
uint64_t fg_ledger_slot_held(const struct fg_usage_page *usage, uint32_t slot);
/* Returns everything the dead process of `slot` held and makes the slot fit for the next. Completes a reap that a killed
 * daemon left half done. Returns the bytes given back. */
uint64_t fg_ledger_reap(struct fg_usage_page *usage, uint32_t slot);
/* Completes or undoes what a killed daemon left; called once when a page is adopted. */
void fg_ledger_recover(struct fg_usage_page *usage);
/* Changes the quota while programs run: -EBUSY and the use found, with nothing changed, if more than `quota` is in use. */
int fg_ledger_set_quota(struct fg_limits_page *limits, struct fg_usage_page *usage, uint64_t quota, uint64_t *ret_used);
/* The invariant, for quiescent pages: 0, or -EUCLEAN with the equation that does not hold. */
int fg_ledger_check(const struct fg_limits_page *limits, const struct fg_usage_page *usage, struct fg_error *err);

#endif
