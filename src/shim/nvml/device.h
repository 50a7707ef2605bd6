/* SPDX-License-Identifier: Apache-2.0
 *
 * The vGPUs as NVML shows them: one device each, in the order of the session. The first on a physical device has the
 * vendor's own handle, so that what reaches the vendor's library without us still means that device; the others'
 * handles are ours. */
#ifndef FGN_DEVICE_H
#define FGN_DEVICE_H

#include "abi/nvml.h"
#include "ledger/attach.h"

#include <stdbool.h>

struct fgn_use; /* use.c */

struct fgn_vgpu {
        unsigned index;
        bool is_first; /* on its physical device */
        const struct fg_session_vgpu *session;
        nvmlDevice_t real;   /* (a) NULL: not looked up yet */
        uint32_t has_events; /* (a) the program asked for this vGPU's */
        struct fgn_use *use;
        char uuid[NVML_DEVICE_UUID_ASCII_LEN];
};

/* Set while attaching, then only read. */
extern unsigned fgn_vgpu_count;
extern struct fgn_vgpu *fgn_vgpus;

/* Makes the table from the session. -ENOMEM. */
int fgn_devices_init(const struct fg_session *session);
/* NULL: none of ours. */
struct fgn_vgpu *fgn_vgpu_of(nvmlDevice_t device);
/* Looks the physical device up and gives the vGPU's handle: the vendor's result. */
nvmlReturn_t fgn_vgpu_handle(struct fgn_vgpu *vgpu, nvmlDevice_t *ret);

static inline const struct fg_limits_page *fgn_limits(const struct fgn_vgpu *vgpu)
{
        return vgpu->session->ledger.limits;
}

/* `vgpu` = whose handle `device` is, or the call is refused. */
#define FGN_VGPU(vgpu, device)                                                                                         \
        struct fgn_vgpu *vgpu = fgn_vgpu_of(device);                                                                   \
        if (!vgpu)                                                                                                     \
        return NVML_ERROR_INVALID_ARGUMENT

/* One process of a vGPU, by the pid that this process knows it by. */
struct fgn_process {
        uint32_t pid;
        uint64_t bytes, slots[FG_SLOTS / 64]; /* bit per slot that it has */
};
/* Writes at most FG_SLOTS; returns how many there are. */
unsigned fgn_processes(const struct fgn_vgpu *vgpu, struct fgn_process *ret);
/* In this process's PID namespace; 0: not to be seen from here. */
uint32_t fgn_pid_here(uint32_t pid, uint64_t start_time, const void *page);

/* Starts the windows of all vGPUs anew; room for them was made by fgn_devices_init(). */
struct fgn_use *fgn_use_new(void);
void fgn_use_begin(void);

#endif
