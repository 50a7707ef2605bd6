/* SPDX-License-Identifier: Apache-2.0
 *
 * A load generator: kernels of a chosen length that use every compute unit and no memory, launched in a chosen pattern. */
#ifndef BENCH_BURN_H
#define BENCH_BURN_H

#include "cl.h"

#include <stdbool.h>
#include <stdint.h>

struct burn_options {
        unsigned device, depth, batch, every_ms, report_ms, groups;
        double kernel_us;    /* > 0: calibrate for this length */
        int64_t iterations;  /* >= 0: use this, whatever time it takes */
        double seconds;
        uint64_t start_at;   /* CLOCK_MONOTONIC ns; 0: at once */
        uint64_t memory;     /* a buffer held meanwhile, bytes */
        uint64_t churn;      /* > 0: create and release buffers of this size, launch nothing */
        bool hold;           /* only hold the memory */
        bool calibrate_only;
        bool profile;        /* also bin the device time the driver itself reports (pipeline pattern) */
};

struct burn {
        struct burn_options options;
        cl_context context;
        cl_device_id device;
        cl_command_queue queue;
        cl_program program;
        cl_kernel kernel;
        cl_mem out, held;
        size_t global, local;
        cl_uint iterations;
        double calibrated_us; /* what one kernel took alone; 0: not measured */
};

struct burn_result {
        uint64_t start, end;  /* CLOCK_MONOTONIC ns; the end is when the last launch completed */
        uint64_t done;        /* launches (or allocations) completed */
        uint64_t longest_gap; /* ns between two completions */
        uint32_t *bin;        /* completions in each report_ms since start */
        uint32_t *device_ns;  /* with profile: the driver's own figure of device time, by the bin of the completion */
        unsigned bins;
        double *latency;      /* us, one for each batch of the periodic mode */
        unsigned latencies;
};

uint64_t burn_now(void);
int burn_open(const struct burn_options *options, struct burn *ret);
void burn_close(struct burn *burn);

/* All return 0, or -1 after an explanation on standard error. */
int burn_launch(struct burn *burn, cl_event *ret_event);
int burn_calibrate(struct burn *burn);
int burn_run(struct burn *burn, struct burn_result *ret);

void burn_print(const struct burn *burn, const struct burn_result *result);
void burn_result_clear(struct burn_result *result);

#endif
