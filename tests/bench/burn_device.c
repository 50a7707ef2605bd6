/* SPDX-License-Identifier: Apache-2.0 */
#include "burn.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A chain of dependent multiplications in registers: the time depends on `iterations` alone. The store never happens, which
 * the compiler cannot know. */
static const char source[] =
        "kernel void burn(global float *out, uint iterations)\n"
        "{\n"
        "        float x = 1.0f + (float)get_global_id(0) * 1e-6f;\n"
        "        for (uint i = 0; i < iterations; i++)\n"
        "                x = x * 0.9999f + 0.0001f;\n"
        "        if (x == 42.0f)\n"
        "                out[0] = x;\n"
        "}\n";

#define LOCAL            64u
#define GROUPS_FOR_UNIT  8u
#define CALIBRATE_ROUNDS 7u

uint64_t burn_now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int make_buffer(struct burn *b, size_t size, cl_mem *ret)
{
        const cl_uchar pattern = 0x5a;
        cl_int rc;

        *ret = clCreateBuffer(b->context, CL_MEM_READ_WRITE, size, NULL, &rc);
        if (cl_failed("clCreateBuffer", rc) ||
            cl_failed("clEnqueueFillBuffer",
                      clEnqueueFillBuffer(b->queue, *ret, &pattern, 1, 0, size, 0, NULL, NULL)))
                return -1;
        return cl_failed("clFinish", clFinish(b->queue));
}

int burn_open(const struct burn_options *options, struct burn *ret)
{
        cl_uint units = 1;
        cl_int rc;

        ret->options = *options;
        if (cl_find_device(options->device, &ret->device) < 0)
                return -1;
        clGetDeviceInfo(ret->device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(units), &units, NULL);
        ret->local = LOCAL;
        ret->global = LOCAL * (options->groups ? options->groups : (size_t)units * GROUPS_FOR_UNIT);
        ret->context = clCreateContext(NULL, 1, &ret->device, NULL, NULL, &rc);
        if (cl_failed("clCreateContext", rc))
                return -1;
        ret->queue = clCreateCommandQueue(ret->context, ret->device,
                                          options->profile ? CL_QUEUE_PROFILING_ENABLE : 0, &rc);
        if (cl_failed("clCreateCommandQueue", rc))
                return -1;
        if (make_buffer(ret, sizeof(float), &ret->out) < 0 ||
            (options->memory && make_buffer(ret, options->memory, &ret->held) < 0))
                return -1;
        if (options->hold || options->churn)
                return 0;
        ret->program = cl_build(ret->context, ret->device, source, "");
        if (!ret->program)
                return -1;
        ret->kernel = clCreateKernel(ret->program, "burn", &rc);
        return cl_failed("clCreateKernel", rc) ||
               cl_failed("clSetKernelArg", clSetKernelArg(ret->kernel, 0, sizeof(cl_mem), &ret->out));
}

void burn_close(struct burn *b)
{
        if (b->held)
                clReleaseMemObject(b->held);
        if (b->out)
                clReleaseMemObject(b->out);
        if (b->kernel)
                clReleaseKernel(b->kernel);
        if (b->program)
                clReleaseProgram(b->program);
        if (b->queue)
                clReleaseCommandQueue(b->queue);
        if (b->context)
                clReleaseContext(b->context);
}

int burn_launch(struct burn *b, cl_event *ret_event)
{
        return cl_failed("clEnqueueNDRangeKernel", clEnqueueNDRangeKernel(b->queue, b->kernel, 1, NULL, &b->global,
                                                                          &b->local, 0, NULL, ret_event));
}

static int set_iterations(struct burn *b, cl_uint iterations)
{
        b->iterations = iterations;
        return cl_failed("clSetKernelArg", clSetKernelArg(b->kernel, 1, sizeof(iterations), &iterations));
}

static int compare_double(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

/* Median over some rounds of the time one kernel takes in a full pipeline. */
static int measure(struct burn *b, cl_uint iterations, double *ret_us)
{
        double round[CALIBRATE_ROUNDS];
        unsigned kernels = iterations < 2000 ? 64 : 16;

        if (set_iterations(b, iterations) < 0)
                return -1;
        for (unsigned r = 0; r < CALIBRATE_ROUNDS; r++) {
                uint64_t start = burn_now();

                for (unsigned i = 0; i < kernels; i++)
                        if (burn_launch(b, NULL) < 0)
                                return -1;
                if (cl_failed("clFinish", clFinish(b->queue)))
                        return -1;
                round[r] = (double)(burn_now() - start) / 1000 / kernels;
        }
        qsort(round, CALIBRATE_ROUNDS, sizeof(double), compare_double);
        *ret_us = round[CALIBRATE_ROUNDS / 2];
        return 0;
}

int burn_calibrate(struct burn *b)
{
        double us = 0, target = b->options.kernel_us;
        cl_uint iterations = 100;

        if (measure(b, iterations, &us) < 0) /* also compiles for good and wakes the device */
                return -1;
        do {
                if (measure(b, iterations, &us) < 0)
                        return -1;
                if (us < target / 2)
                        iterations *= 2;
        } while (us < target / 2 && iterations < 1u << 28);
        /* A launch has a fixed cost, so the line through zero is only nearly right: go along it a few times. */
        for (int i = 0; i < 4; i++) {
                double next = (double)iterations * target / us;

                iterations = next < 1 ? 1 : (cl_uint)next;
                if (measure(b, iterations, &us) < 0)
                        return -1;
        }
        b->calibrated_us = us;
        return 0;
}
