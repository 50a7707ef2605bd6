/* SPDX-License-Identifier: Apache-2.0
 * What the tests of the drop-in NVML share. Each runs under fake-daemon on the simulator, with three vGPUs: two on the
 * first simulated GPU, one on the second. They write into the pages in the daemon's place. */
#ifndef NVML_TEST_H
#define NVML_TEST_H

#include "abi/nvml.h"
#include "ledger/ledger.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define MI       (1024ull * 1024)
#define VGPUS    3
#define TOTAL_0  (64 * MI) /* the quotas, as in meson.build */
#define TOTAL_1  (128 * MI)
#define TOTAL_2  (256 * MI)
#define GPU_UUID "GPU-00000001-0000-4000-8000-000000000001"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                      \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)
#define CHECK_EQ(found, expected)                                                                                      \
        do {                                                                                                           \
                long long f_ = (long long)(found), e_ = (long long)(expected);                                         \
                if (f_ != e_) {                                                                                        \
                        fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #found, f_, e_);          \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)
#define CHECK_OK(call) CHECK_EQ(call, NVML_SUCCESS)

extern struct fg_limits_page *limits[VGPUS];
extern struct fg_usage_page *usage[VGPUS];

/* Maps the pages and gives the simulator a script: two GPUs and these faults. */
void bench_open(const char *faults);
void bench_close(void);

nvmlDevice_t device(unsigned index);

/* In the daemon's place: the slot is the process's. */
void own_slot(unsigned vgpu, unsigned slot, pid_t pid, uint64_t start_time);
uint64_t start_of(pid_t pid);
/* In that process's place: takes memory, gives it back. */
void hold(unsigned vgpu, unsigned slot, uint64_t bytes);
void let_go(unsigned vgpu, unsigned slot, uint64_t bytes);

/* A process that does nothing until it is killed. */
pid_t sleeper(void);
void end(pid_t child);

#endif
