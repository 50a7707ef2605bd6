/* SPDX-License-Identifier: Apache-2.0
 * What FASTGPU_SIM asks for: GPUs, kernels by name, scripted faults. docs/man/fastgpu-sim.7.scd is the user's side.
 *
 * The parser is a pure function of its text: no file, no allocation, no state. */
#ifndef FGSIM_SPEC_H
#define FGSIM_SPEC_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define FGSIM_GPUS_MAX    64
#define FGSIM_KERNELS_MAX 64
#define FGSIM_FAULTS_MAX  32
#define FGSIM_NAME_MAX    96
#define FGSIM_SPEC_MAX    65536 /* bytes of text */
#define FGSIM_FOREVER     UINT64_MAX

struct fgsim_gpu_spec {
        char model[FGSIM_NAME_MAX];
        char uuid[48]; /* "GPU-%08x-…", from the position in the spec; key `uuid` overrides it */
        uint64_t memory, context; /* bytes; context: what each CUcontext takes of memory */
        uint32_t sms, major, minor, clock_mhz, memory_clock_mhz, bus_width, threads_per_sm, shared_per_sm, l2_bytes;
        uint32_t watts; /* NVML: power limit */
        uint64_t h2d, d2h, d2d;               /* bytes per second; 0: as fast as the host copies */
        uint64_t launch_ns, slice_ns, kernel_ns; /* kernel_ns: of kernels that nothing else gives a time */
};

struct fgsim_kernel_spec {
        char name[FGSIM_NAME_MAX];
        uint64_t ns;
};

enum fgsim_fault_kind {
        FGSIM_FAULT_RESULT, /* the call fails with `result` and does nothing */
        FGSIM_FAULT_LOST,   /* the GPU falls off the bus, for all processes, until the state is reset */
        FGSIM_FAULT_XID,    /* Xid `xid` is noted for NVML, the caller's contexts are broken with `result` */
        FGSIM_FAULT_HANG,   /* the call takes `delay` (default: for ever) */
        FGSIM_FAULT_SLOW,   /* the call takes `delay` longer, then does its work */
};

struct fgsim_fault_spec {
        char at[FGSIM_NAME_MAX];      /* exported name, with a * at the end: every name that begins so */
        char process[FGSIM_NAME_MAX]; /* "" any; else the program's name (comm) or a decimal pid */
        enum fgsim_fault_kind kind;
        int result, gpu; /* gpu -1: any */
        uint32_t xid;
        uint64_t after, count, delay_ns; /* passes `after` calls, then strikes `count` times (FGSIM_FOREVER) */
};

struct fgsim_spec {
        uint32_t gpus, kernels, faults;
        uint32_t driver;          /* what cuDriverGetVersion says: 12090 */
        char driver_text[32];     /* what NVML says: "575.57.08" */
        uint64_t hash;            /* of the text: processes with the same hash share their GPUs */
        struct fgsim_gpu_spec gpu[FGSIM_GPUS_MAX];
        struct fgsim_kernel_spec kernel[FGSIM_KERNELS_MAX];
        struct fgsim_fault_spec fault[FGSIM_FAULTS_MAX];
};

/* `text` of `len` bytes (need not end in NUL): an inline spec, one line such as `2xH100` or `1x"My GPU":8G,1xL4`, or the
 * text of a file with [sections]. -EINVAL with "where:line: what was wrong, what to type". *ret is written on success
 * only. */
int fgsim_spec_parse(const char *text, size_t len, const char *where, struct fgsim_spec *ret, struct fg_error *err);

/* `value` of FASTGPU_SIM: the path of a file where it holds a '/' or such a file exists, an inline spec otherwise. */
int fgsim_spec_load(const char *value, struct fgsim_spec *ret, struct fg_error *err);

#endif
