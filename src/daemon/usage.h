/* SPDX-License-Identifier: Apache-2.0
 * Counters over a vGPU's whole life: what earlier pages counted plus what the present ones have. */
#ifndef FGD_USAGE_H
#define FGD_USAGE_H

#include "daemon/model.h"
#include "daemon/text.h"

struct fg_error;
struct fgd_manager;

/* The present pages are gone for good: their counts become part of the base, durably. */
int fgd_usage_fold(struct fgd_manager *manager, struct fgd_vgpu *vgpu, struct fg_error *err);
/* Writes the counters of everything whose pages are mapped. A failure is said once and tried again by the periodic write. */
int fgd_usage_persist(struct fgd_manager *manager);
/* The periodic write runs while pages are mapped, and only then. It unmaps what nobody holds any more. */
void fgd_usage_watch(struct fgd_manager *manager);
/* Nothing has ever used it. */
bool fgd_usage_is_none(const struct fgd_vgpu *vgpu);
/* What changes all the time. */
struct fgd_figures {
        uint64_t memory_used, gpu_ns, waits, wait_ns, refusals;
        uint32_t processes;
        bool active;
};
void fgd_usage_figures(struct fgd_vgpu *vgpu, struct fgd_figures *ret);
/* "usage": {…} of one vGPU */
void fgd_usage_write(struct fgd_vgpu *vgpu, struct fgd_text *text);

#endif
