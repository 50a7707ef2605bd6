/* SPDX-License-Identifier: Apache-2.0
 * What the layer's test programs share. Each runs under fake-daemon and sees the accounts through its pages. */
#ifndef SHIM_TEST_H
#define SHIM_TEST_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#include <CL/cl.h>
#include <CL/cl_ext.h>

#include "fastgpu/page.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                      \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)
#define CHECK_EQ(found, expected)                                                                                      \
        do {                                                                                                           \
                long long _f = (long long)(found), _e = (long long)(expected);                                         \
                if (_f != _e) {                                                                                        \
                        fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #found, _f, _e);          \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)
#define CHECK_OK(call) CHECK_EQ(call, CL_SUCCESS)

#define MAX_DEVICES 8

struct bench {
        cl_platform_id platform;
        cl_device_id device[MAX_DEVICES];
        cl_uint devices;
        cl_context context; /* over all of them */
        cl_command_queue queue[MAX_DEVICES];
};

void bench_open(struct bench *b);
void bench_close(struct bench *b);

cl_program build(struct bench *b, const char *source, const char *options);
cl_kernel kernel(cl_program program, const char *name);

/* The accounts of vGPU i. */
uint64_t used(unsigned i);
/* The same once the driver has let go of what completed commands used: waits until it is `expected`, at most 10 s. */
uint64_t used_finally(unsigned i, uint64_t expected);
uint64_t quota(unsigned i);
uint64_t refusals(unsigned i);
uint64_t launches(unsigned i);
uint64_t waits(unsigned i);
unsigned waiting(unsigned i);
/* Launches that are tracked and not yet complete; waits until they are `expected`, at most 10 s. */
unsigned inflight_finally(unsigned i, unsigned expected);
/* In the daemon's place. */
void set_grant(unsigned i, enum fg_grant mode);
void set_limit(unsigned i, uint64_t quota);

#endif
