/* SPDX-License-Identifier: Apache-2.0
 * Between shared.c (the file), shared_memory.c (the counter) and shared_process.c (slots, the dead). */
#ifndef FGSIM_SHARED_INTERNAL_H
#define FGSIM_SHARED_INTERNAL_H

#include "sim/shared.h"

/* Takes off GPU `gpu` all that the slot has, as long as its process is `who`. */
void fgsim_gpu_strip(uint32_t gpu, uint32_t slot, uint64_t who);

#endif
