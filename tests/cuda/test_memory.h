/* SPDX-License-Identifier: Apache-2.0
 * What the memory tests share: programs on the drop-in, which stands on the simulator, under fake-daemon. They compare
 * the books in the usage page with what the simulated GPU really has in use. */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include "abi/cuda.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MiB ((uint64_t)1 << 20)

#define CHECK(x)                                                                                                       \
        do {                                                                                                           \
                if (!(x)) {                                                                                            \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                        \
                        abort();                                                                                       \
                }                                                                                                      \
        } while (0)

#define CHECK_IS(call, expected)                                                                                       \
        do {                                                                                                           \
                CUresult got_ = (call);                                                                                \
                if (got_ != (expected)) {                                                                              \
                        fprintf(stderr, "%s:%d: %s gives %d, not %d\n", __FILE__, __LINE__, #call, (int)got_,          \
                                (int)(expected));                                                                      \
                        abort();                                                                                       \
                }                                                                                                      \
        } while (0)
#define CHECK_OK(call) CHECK_IS(call, CUDA_SUCCESS)

#define CHECK_SAME(a, b)                                                                                               \
        do {                                                                                                           \
                uint64_t a_ = (a), b_ = (b);                                                                           \
                if (a_ != b_) {                                                                                        \
                        fprintf(stderr, "%s:%d: %s is %lu, %s is %lu\n", __FILE__, __LINE__, #a, (unsigned long)a_,    \
                                #b, (unsigned long)b_);                                                                \
                        abort();                                                                                       \
                }                                                                                                      \
        } while (0)

/* cuInit, the vGPU's primary context, made current. */
CUcontext begin(void);

/* The books of vGPU `i`, and its quota. */
uint64_t used(unsigned i);
uint64_t quota(unsigned i);
uint64_t refusals(unsigned i);
void set_quota(unsigned i, uint64_t bytes);
/* As if the daemon had read this figure for the process in every slot. */
void set_driver_used(unsigned i, uint64_t bytes, uint64_t seen);

/* Bytes of the simulated GPU that all processes have. */
uint64_t really_used(unsigned gpu);

/* Sets the quota to `more` bytes beyond what is used. */
void leave(unsigned i, uint64_t more);

#endif
