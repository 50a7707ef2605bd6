/* SPDX-License-Identifier: Apache-2.0
 *
 * The arbiter of one physical device: a thread that decides which vGPU has the device, writes that into the limits pages
 * and charges what was used. docs/design/governor.md.
 *
 * All functions are called from the daemon's main thread; they synchronise with the arbiter's thread themselves. */
#ifndef FGD_ARBITER_H
#define FGD_ARBITER_H

#include "base/error.h"
#include "fastgpu/page.h"

#include <stdbool.h>
#include <stdint.h>

struct fgd_arbiter;
struct fgd_arbiter_client; /* one vGPU on this device */

/* What a vGPU owes and has saved up, kept by the caller while no program uses the vGPU: zero at first. */
struct fgd_arbiter_account {
        uint64_t vtime;
        int64_t tokens;
        uint64_t left_at; /* CLOCK_MONOTONIC ns; 0: never had a program */
};

struct fgd_arbiter_config {
        uint64_t quantum;    /* ns */
        uint64_t free_after; /* ns */
        bool preemptive;     /* the device makes room for a higher class by itself (a CPU under the kernel's scheduler) */
};

/* Starts the thread (blocked until there is something to decide). */
int fgd_arbiter_new(const struct fgd_arbiter_config *config, struct fgd_arbiter **ret, struct fg_error *err);
void fgd_arbiter_free(struct fgd_arbiter *arbiter); /* ends the thread; leaves the pages as they are. NULL is fine */

/* Takes a vGPU under control. `limits` and `usage` (mapped read-write) stay mapped until fgd_arbiter_remove(). `poke` is the
 * daemon's end of the vGPU's FIFO (O_RDWR | O_NONBLOCK); the arbiter reads from it and leaves closing to the caller. The
 * processes are those with limits->owner[i].pid != 0, whether newly attached or adopted after a restart. `account` stays the
 * caller's; it is brought up to date when the vGPU is removed. */
int fgd_arbiter_add(struct fgd_arbiter *arbiter, struct fg_limits_page *limits, struct fg_usage_page *usage, int poke,
                    struct fgd_arbiter_account *account, struct fgd_arbiter_client **ret);
void fgd_arbiter_remove(struct fgd_arbiter *arbiter, struct fgd_arbiter_client *client);

/* Call after a slot's owner changed (attach; death, before its slot is reaped), or share, mode or priority did. */
void fgd_arbiter_changed(struct fgd_arbiter *arbiter, struct fgd_arbiter_client *client);

/* Brings limits->charged up to date, before it is shown or stored. */
void fgd_arbiter_refresh(struct fgd_arbiter *arbiter);

#endif
