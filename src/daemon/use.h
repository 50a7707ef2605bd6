/* SPDX-License-Identifier: Apache-2.0
 *
 * A use: one process that runs a program in a set (it called POST /v1/open), or one connection through which it holds slots.
 * A set is in use while it has uses. A use ends with its process; an attached one also when the process image that attached
 * is gone (exec) or has unmapped the pages. */
#ifndef FGD_USE_H
#define FGD_USE_H

#include "base/error.h"
#include "daemon/model.h"
#include "daemon/process.h"

struct fgd_link;

#define FGD_NO_SLOT UINT32_MAX

struct fgd_use {
        struct fgd_process *process;
        struct fgd_set *set;
        uint32_t first, count; /* vGPUs of the set */
        bool attached;         /* holds a slot in each */
        bool lingering;        /* attached, without a connection: the process hung up or the daemon was restarted */
        struct fgd_link *link;
        TAILQ_ENTRY(fgd_use) of_process, of_set;
        uint32_t slot[]; /* attached: count of them; FGD_NO_SLOT where it only looks */
};

/* `index` -1: all vGPUs of the set. */
int fgd_use_new_runner(struct fgd_manager *manager, struct fgd_process *process, struct fgd_set *set, int64_t index,
                       struct fgd_use **ret, struct fg_error *err);
/* Gives the process a slot in every vGPU of the view, or none: -ENOSPC. `looks_only`: it needs none, it only reads the pages. */
int fgd_use_new_attached(struct fgd_manager *manager, struct fgd_process *process, struct fgd_set *set, int64_t index,
                         bool looks_only, struct fgd_use **ret, struct fg_error *err);
/* Slots found in the pages at start: the process lives and was attached before. */
int fgd_use_adopt(struct fgd_manager *manager, struct fgd_process *process, struct fgd_vgpu *vgpu, uint32_t slot);
/* Gives back what it held. May delete an ephemeral set. */
void fgd_use_end(struct fgd_use *use);

/* The connection of an attached use is gone: ends it if the process no longer has the pages, else keeps looking. */
void fgd_use_hung_up(struct fgd_use *use);
void fgd_use_process_died(struct fgd_process *process);

/* Distinct pids that use the set; returns how many there are, at most `max` of them written. */
uint32_t fgd_use_pids(const struct fgd_set *set, uint32_t *ret, uint32_t max);

/* Nothing of the set is used any more: unmaps, deletes it when it was made for one run, finishes a deletion by force. */
void fgd_use_set_idle(struct fgd_manager *manager, struct fgd_set *set);

/* runner files: run/runners/, so that a restarted daemon knows the runners. */
int fgd_runner_write(struct fgd_manager *manager, const struct fgd_use *use, struct fg_error *err);
void fgd_runner_remove(struct fgd_manager *manager, const struct fgd_use *use);
void fgd_runner_adopt_all(struct fgd_manager *manager);

#endif
