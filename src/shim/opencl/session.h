/* SPDX-License-Identifier: Apache-2.0
 *
 * This process's vGPUs: attached to the daemon at the first question for platforms or devices, found again on their
 * physical devices, and attached anew after fork(). Where the daemon cannot be reached nothing is visible and nothing
 * is allowed. */
#ifndef FGO_SESSION_H
#define FGO_SESSION_H

#include "base/atomic.h"
#include "governor/gate.h"
#include "shim/opencl/dispatch.h"

#include <stdbool.h>

struct fgo_queue;

/* A device as the program holds it. The ICD interface wants the dispatch pointer first. */
struct _cl_device_id {
        const cl_icd_dispatch *dispatch;
        void *reserved;
        cl_device_id native;
        struct fgo_vgpu *vgpu;
        cl_device_id parent; /* NULL: the vGPU itself, otherwise a sub-device */
};

/* Lives as long as the process. */
struct fgo_vgpu {
        struct _cl_device_id root;
        cl_platform_id platform;
        bool is_processor; /* its device is one, not a GPU */
        bool shared; /* another vGPU of this process is on the same physical device */
        char name[FG_NAME_MAX];
        struct fg_session_vgpu *session; /* (a) NULL: not attached (any more) */
        struct fg_gate *gate;            /* (a) NULL: likewise */
        struct fgo_queue *queues;        /* under the lock of queue.c */
};

struct fgo_session {
        uint32_t count;
        struct fgo_vgpu *vgpu; /* in the view's order */
};

/* By clInitLayer. */
void fgo_session_start(bool only_prove);

/* The attached session; NULL: there is none, and standard error has been told why. */
const struct fgo_session *fgo_session_get(void);

/* Bumped by fork(): what was charged under another number belongs to the parent. */
extern uint32_t fgo_generation;

/* A vGPU's account and gate; after fork() the first use attaches. NULL: refuse. */
struct fg_ledger *fgo_vgpu_ledger(struct fgo_vgpu *vgpu);
struct fg_gate *fgo_vgpu_gate_slow(struct fgo_vgpu *vgpu);

static inline struct fg_gate *fgo_vgpu_gate(struct fgo_vgpu *vgpu)
{
        struct fg_gate *gate = fg_load_acquire(&vgpu->gate);

        return gate ? gate : fgo_vgpu_gate_slow(vgpu);
}

#endif
