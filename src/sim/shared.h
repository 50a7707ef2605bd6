/* SPDX-License-Identifier: Apache-2.0
 * The state that all processes of a user with the same spec share: one file, mapped. Used by both simulated libraries.
 *
 * Nothing here is locked, so a process may die or stop at any instruction. Device memory is a 16-byte counter {used,
 * last operation}; the operation names a process's slot and what it has afterwards, and whoever comes next completes it
 * in that slot before going on.
 * Invariant, per GPU, once the last operation is completed:  used == sum over slots of share[slot].held  <=  memory. */
#ifndef FGSIM_SHARED_H
#define FGSIM_SHARED_H

#include "sim/spec.h"

#include <stdbool.h>
#include <stdint.h>

#define FGSIM_MAGIC     0x4d495347464e5547ull
#define FGSIM_VERSION   1u
#define FGSIM_SLOTS_MAX 1024u
#define FGSIM_UNIT      512u /* every amount of device memory is a multiple of it */

/* A process, as the kernel knows it: pid in the low 24 bits, start time in ticks above. 0: free. */
struct fgsim_process {
        uint64_t who;
        uint32_t pid, pid_namespace; /* as seen in that namespace (inode number) */
        char name[16];               /* comm */
        uint64_t image;              /* start of its stack: another one after execve(), which gives everything back */
        uint64_t reserved[3];
};

/* What one process has of one GPU. */
struct fgsim_share {
        unsigned __int128 held; /* bytes (low half) and the number of the operation that wrote them (high half) */
        uint64_t busy_ns;        /* device time used: added to by SIM-EXEC, relaxed */
        uint64_t copied;         /* bytes over the bus */
        uint32_t contexts;       /* living CUcontexts */
        uint32_t reserved[5];
};

/* The device in time (src/sim/time*.c owns these fields and their protocol). */
struct fgsim_queue {
        uint64_t free_at;    /* fg_now() at which what was accepted last ends */
        uint32_t turn;       /* slot + 1 of the process whose slice it is; 0: nobody's. Void when it is dead */
        uint32_t wake;       /* futex: counts hand-overs */
        uint64_t turn_since; /* fg_now() */
        uint64_t wants[FGSIM_SLOTS_MAX / 64]; /* bit per slot: has work that waits */
        uint64_t reserved[29];
};

struct fgsim_gpu_state {
        unsigned __int128 used; /* see fgsim_gpu_take() */
        uint64_t busy_ns;       /* of all processes, the dead included: NVML's utilisation is its slope */
        uint64_t high;          /* most bytes ever in use */
        uint32_t lost;          /* fell off the bus */
        uint32_t xid, xid_count; /* the last Xid and how many there were: NVML events */
        uint32_t xid_pid;
        uint64_t reserved[10];
        struct fgsim_queue queue;
        struct fgsim_share share[FGSIM_SLOTS_MAX];
};

struct fgsim_shared {
        uint64_t magic, hash;
        uint32_t version, gpus;
        uint64_t size;
        uint32_t slots; /* no slot from here on was ever taken */
        uint32_t reserved_word;
        uint64_t reserved[11];
        struct fgsim_process process[FGSIM_SLOTS_MAX];
        struct fgsim_gpu_state gpu[]; /* [gpus] */
};

extern struct fgsim_spec fgsim_spec;     /* of this process, set by fgsim_attach() */
extern struct fgsim_shared *fgsim_shared; /* NULL before */
extern uint32_t fgsim_slot;              /* of this process; FGSIM_SLOTS_MAX: it has none (NVML only) */

/* Loads the spec and maps the state. Idempotent, thread-safe. -ENODEV: FASTGPU_SIM is not set. */
int fgsim_attach(struct fg_error *err);

/* Takes a slot for this process (again in a forked child). -EUSERS: all are taken. */
int fgsim_slot_take(void);

/* Adds `bytes` (a multiple of FGSIM_UNIT) to what this process has of GPU `gpu`, if all of it fits: true. Looks for
 * the dead first when it does not. Give takes off again. */
bool fgsim_gpu_take(uint32_t gpu, uint64_t bytes);
void fgsim_gpu_give(uint32_t gpu, uint64_t bytes);

/* Bytes in use now, the dead not counted; of one slot. */
uint64_t fgsim_gpu_used(uint32_t gpu);
uint64_t fgsim_share_held(uint32_t gpu, uint32_t slot);

/* Whether the process of the slot lives (a zombie does not). A slot of another pid namespace counts as alive. */
bool fgsim_slot_lives(uint32_t slot);

/* Gives back what dead processes had. Cheap look first: `thorough` opens /proc for each. */
void fgsim_reap(bool thorough);

/* ---- scripted faults (fault.c) ---- */
/* Called when fgsim_spec.faults != 0. True: the call is to fail with *ret_result. `gpu`: -1 unknown. */
bool fgsim_fault(const char *name, int gpu, int *ret_result);

/* The broken-context result of this process after an Xid, 0 if none; contexts made later work again. */
extern int fgsim_broken;

#endif
