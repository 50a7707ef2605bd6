/* SPDX-License-Identifier: Apache-2.0
 *
 * What src/shim/cuda's device part stands on, in one process without driver or daemon: a driver of two physical devices with
 * contexts, current stacks, primary contexts and pools; pages for the vGPUs; and counters where memory and gate would be. */
#ifndef DEVICE_FAKE_H
#define DEVICE_FAKE_H

#include "shim/cuda/context.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/translate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define FAKE_QUOTA  1000u

struct fake {
        _Atomic int physical;        /* devices the driver has */
        _Atomic int calls;           /* of the driver, all of them */
        _Atomic int contexts;        /* alive, without primary ones */
        _Atomic int primary_refs[4]; /* retains of the driver's primary contexts */
        _Atomic int last_device;     /* the device number the driver was handed last */
        _Atomic int room;            /* contexts that may still be charged; refused at 0 */
        _Atomic int charged[8];      /* overheads charged now, by vGPU */
        _Atomic int ended, emptied;  /* contexts whose end the gate and the memory side were told of */
        _Atomic int adopted;         /* pools that the memory side was told of */
        _Atomic int fail_create;     /* the driver refuses so many contexts */
};
extern struct fake fake;

/* A session of `count` vGPUs, the i-th on physical device below[i], and cuInit with CUDA_VISIBLE_DEVICES=`visible`, NULL:
 * unset. */
CUresult fake_start(unsigned count, const int *below, const char *visible);
void fake_stop(void);
/* The vGPU's UUID as text, "GPU-…". */
const char *fake_uuid(unsigned vgpu);
/* What the driver found in CUDA_VISIBLE_DEVICES during its cuInit. */
extern char fake_seen[512];

#endif
