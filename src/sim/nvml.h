/* SPDX-License-Identifier: Apache-2.0
 * The simulated NVML: what its files ask of each other. It only reads the state that the simulated driver keeps; a
 * process that uses NVML alone takes no slot there. */
#ifndef FGSIM_NVML_H
#define FGSIM_NVML_H

#include "abi/nvml.h"
#include "sim/shared.h"

#include <stdint.h>

#define FGSIM_NOT_AVAILABLE 0xffffffffu /* a figure or an instance that there is none of */

/* Every call starts here: initialised? a fault in the script? *ret_gpu is the device's number; `device` must be one of
 * ours. Not NVML_SUCCESS: what the call returns. */
nvmlReturn_t fgsim_nvml_enter(const char *name);
nvmlReturn_t fgsim_nvml_enter_device(const char *name, nvmlDevice_t device, uint32_t *ret_gpu);

#define FGSIM_NVML_ENTER()                                                                                             \
        do {                                                                                                           \
                nvmlReturn_t enter_ = fgsim_nvml_enter(__func__);                                                      \
                if (enter_ != NVML_SUCCESS)                                                                            \
                        return enter_;                                                                                 \
        } while (0)

/* Also declares `gpu`, the device's number. */
#define FGSIM_NVML_ENTER_DEVICE(device)                                                                                \
        uint32_t gpu = 0;                                                                                              \
        do {                                                                                                           \
                nvmlReturn_t enter_ = fgsim_nvml_enter_device(__func__, (device), &gpu);                               \
                if (enter_ != NVML_SUCCESS)                                                                            \
                        return enter_;                                                                                 \
        } while (0)

nvmlDevice_t fgsim_nvml_handle(uint32_t gpu);
/* Text into a caller's buffer: INSUFFICIENT_SIZE where it does not fit with its NUL. */
nvmlReturn_t fgsim_nvml_text(char *ret, unsigned size, const char *text);

/* Where the GPU sits on the bus: every one alone on its own. */
static inline unsigned fgsim_nvml_bus(uint32_t gpu)
{
        return gpu + 1;
}

/* One process that has a context or memory on the GPU, with its pid as this process would write it. */
struct fgsim_nvml_process {
        uint32_t pid, slot;
        uint64_t bytes;
};
/* At most `max` are written; returns how many there are. */
uint32_t fgsim_nvml_processes(uint32_t gpu, struct fgsim_nvml_process *ret, uint32_t max);

/* Recent use in per cent of the time, of the whole GPU and by slot. Starts at nvmlInit; the first question waits for a
 * window. */
struct fgsim_nvml_use {
        uint64_t when; /* end of the window, microseconds since 1970 */
        uint8_t gpu, memory;
        uint8_t slot[FGSIM_SLOTS_MAX];
};
void fgsim_nvml_use_begin(void);
void fgsim_nvml_use_get(uint32_t gpu, struct fgsim_nvml_use *ret);

void fgsim_nvml_events_end(void); /* the last shutdown frees the sets */

#endif
