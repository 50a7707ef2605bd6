/* SPDX-License-Identifier: Apache-2.0
 *
 * The training on an OpenCL device: parameters, optimizer and samples stay there; each epoch the host sends the order of the
 * samples and reads back their losses. */
#include "mlp.h"
#include "cl.h"

#include <stdio.h>
#include <stdlib.h>

enum kernel_id { HIDDEN_FORWARD, OUTPUT_FORWARD, GRADIENT, ADAM, KERNELS };
static const char *const kernel_name[KERNELS] = {"hidden_forward", "output_forward", "gradient", "adam"};

enum buffer_id { X, Y, ORDER, P, SLOPE, MEAN, SQUARE, HIDDEN, DELTA, LOSS, HIT, BUFFERS };
static const char *const buffer_name[BUFFERS] = {
        "inputs", "labels", "order", "parameters", "gradient", "first moment", "second moment", "hidden units", "slopes",
        "losses", "hits",
};

struct device {
        struct mlp_trainer base;
        struct mlp_config config;
        cl_context context;
        cl_command_queue queue;
        cl_program program;
        cl_kernel kernel[KERNELS];
        cl_mem buffer[BUFFERS];
        unsigned step;
        float *seen; /* samples: losses, then hits, as read back */
};

static size_t buffer_size(const struct mlp_config *c, enum buffer_id id)
{
        switch (id) {
        case X:
                return (size_t)c->samples * MLP_INPUTS * sizeof(float);
        case Y:
        case LOSS:
        case HIT:
                return (size_t)c->samples * sizeof(float);
        case ORDER:
                return (size_t)c->samples * sizeof(uint32_t);
        case HIDDEN:
                return (size_t)c->batch * MLP_HIDDEN * sizeof(float);
        case DELTA:
                return (size_t)c->batch * sizeof(float);
        default:
                return MLP_PARAMS * sizeof(float);
        }
}

static int make_buffers(struct device *d)
{
        for (unsigned i = 0; i < BUFFERS; i++) {
                size_t size = buffer_size(&d->config, i);
                cl_int rc;

                d->buffer[i] = clCreateBuffer(d->context, CL_MEM_READ_WRITE, size, NULL, &rc);
                if (rc != CL_SUCCESS) {
                        fprintf(stderr, "train_mlp: no device memory for the %s (%zu bytes): clCreateBuffer: %s\n",
                                buffer_name[i], size, cl_error_name(rc));
                        return -1;
                }
        }
        return 0;
}

static int make_kernels(struct device *d, cl_device_id id)
{
        char options[128];
        cl_int rc;

        snprintf(options, sizeof(options), "-DINPUTS=%u -DHIDDEN=%u -DW1=%u -DB1=%u -DW2=%u -DB2=%u", MLP_INPUTS,
                 MLP_HIDDEN, MLP_W1, MLP_B1, MLP_W2, MLP_B2);
        d->program = cl_build(d->context, id, mlp_kernels, options);
        if (!d->program)
                return -1;
        for (unsigned i = 0; i < KERNELS; i++) {
                d->kernel[i] = clCreateKernel(d->program, kernel_name[i], &rc);
                if (cl_failed("clCreateKernel", rc))
                        return -1;
        }
        return 0;
}

/* One argument of a kernel by address: buffers and scalars look alike to clSetKernelArg. */
struct argument {
        size_t size;
        const void *value;
};
#define ARG(v)      {sizeof(v), &(v)}
#define ARGS(...)   (const struct argument[]){__VA_ARGS__}, sizeof((struct argument[]){__VA_ARGS__}) / sizeof(struct argument)

static int launch(struct device *d, enum kernel_id id, size_t width, size_t height, const struct argument *args, unsigned n)
{
        size_t global[2] = {width, height};

        for (unsigned i = 0; i < n; i++)
                if (cl_failed("clSetKernelArg", clSetKernelArg(d->kernel[id], i, args[i].size, args[i].value)))
                        return -1;
        return cl_failed("clEnqueueNDRangeKernel", clEnqueueNDRangeKernel(d->queue, d->kernel[id], height ? 2 : 1, NULL,
                                                                          global, NULL, 0, NULL, NULL));
}

static int step(struct device *d, cl_uint first, cl_uint count)
{
        cl_mem *b = d->buffer;
        const struct mlp_config *c = &d->config;
        float rate = mlp_step_rate(c, ++d->step);

        if (launch(d, HIDDEN_FORWARD, MLP_HIDDEN, count,
                   ARGS(ARG(b[X]), ARG(b[ORDER]), ARG(first), ARG(b[P]), ARG(b[HIDDEN]))) < 0)
                return -1;
        if (launch(d, OUTPUT_FORWARD, count, 0,
                   ARGS(ARG(b[HIDDEN]), ARG(b[Y]), ARG(b[ORDER]), ARG(first), ARG(count), ARG(b[P]), ARG(b[DELTA]),
                        ARG(b[LOSS]), ARG(b[HIT]))) < 0)
                return -1;
        if (launch(d, GRADIENT, MLP_PARAMS, 0,
                   ARGS(ARG(b[X]), ARG(b[ORDER]), ARG(first), ARG(count), ARG(b[P]), ARG(b[HIDDEN]), ARG(b[DELTA]),
                        ARG(b[SLOPE]))) < 0)
                return -1;
        return launch(d, ADAM, MLP_PARAMS, 0,
                      ARGS(ARG(b[P]), ARG(b[SLOPE]), ARG(b[MEAN]), ARG(b[SQUARE]), ARG(rate), ARG(c->beta1),
                           ARG(c->beta2), ARG(c->epsilon)));
}

static int write_buffer(struct device *d, enum buffer_id id, const void *from)
{
        return cl_failed("clEnqueueWriteBuffer", clEnqueueWriteBuffer(d->queue, d->buffer[id], CL_TRUE, 0,
                                                                      buffer_size(&d->config, id), from, 0, NULL, NULL));
}

static int read_buffer(struct device *d, enum buffer_id id, void *to)
{
        return cl_failed("clEnqueueReadBuffer", clEnqueueReadBuffer(d->queue, d->buffer[id], CL_TRUE, 0,
                                                                    buffer_size(&d->config, id), to, 0, NULL, NULL));
}

/* The mean of a buffer that holds one figure for each sample. */
static int mean_of(struct device *d, enum buffer_id id, double *ret)
{
        double sum = 0;

        if (read_buffer(d, id, d->seen) < 0)
                return -1;
        for (unsigned s = 0; s < d->config.samples; s++)
                sum += d->seen[s];
        *ret = sum / d->config.samples;
        return 0;
}

static int device_epoch(struct mlp_trainer *trainer, const uint32_t *order, struct mlp_result *ret)
{
        struct device *d = (struct device *)trainer;
        unsigned samples = d->config.samples, batch = d->config.batch;

        if (write_buffer(d, ORDER, order) < 0)
                return -1;
        for (unsigned first = 0; first < samples; first += batch)
                if (step(d, first, samples - first < batch ? samples - first : batch) < 0)
                        return -1;
        if (mean_of(d, LOSS, &ret->loss) < 0)
                return -1;
        return mean_of(d, HIT, &ret->accuracy);
}

static int device_load(struct mlp_trainer *trainer, const struct mlp_data *data, const float params[MLP_PARAMS])
{
        static const float zero[MLP_PARAMS];
        struct device *d = (struct device *)trainer;

        d->step = 0;
        if (write_buffer(d, X, data->x) < 0 || write_buffer(d, Y, data->y) < 0 || write_buffer(d, P, params) < 0)
                return -1;
        return write_buffer(d, MEAN, zero) < 0 || write_buffer(d, SQUARE, zero) < 0 ? -1 : 0;
}

static int device_params(struct mlp_trainer *trainer, float ret[MLP_PARAMS])
{
        return read_buffer((struct device *)trainer, P, ret);
}

static void device_free(struct mlp_trainer *trainer)
{
        struct device *d = (struct device *)trainer;

        for (unsigned i = 0; i < BUFFERS; i++)
                if (d->buffer[i])
                        clReleaseMemObject(d->buffer[i]);
        for (unsigned i = 0; i < KERNELS; i++)
                if (d->kernel[i])
                        clReleaseKernel(d->kernel[i]);
        if (d->program)
                clReleaseProgram(d->program);
        if (d->queue)
                clReleaseCommandQueue(d->queue);
        if (d->context)
                clReleaseContext(d->context);
        free(d->seen);
        free(d);
}

static int open_device(struct device *d)
{
        cl_device_id id;
        cl_int rc;

        if (cl_find_device(d->config.device, &id) < 0)
                return -1;
        d->context = clCreateContext(NULL, 1, &id, NULL, NULL, &rc);
        if (cl_failed("clCreateContext", rc))
                return -1;
        d->queue = clCreateCommandQueue(d->context, id, 0, &rc);
        if (cl_failed("clCreateCommandQueue", rc))
                return -1;
        return make_buffers(d) < 0 ? -1 : make_kernels(d, id);
}

int mlp_device_new(const struct mlp_config *config, struct mlp_trainer **ret)
{
        struct device *d = calloc(1, sizeof(*d));

        if (!d)
                return -1;
        d->base = (struct mlp_trainer){device_load, device_epoch, device_params, device_free};
        d->config = *config;
        d->seen = calloc(config->samples, sizeof(float));
        if (!d->seen || open_device(d) < 0) {
                device_free(&d->base);
                return -1;
        }
        *ret = &d->base;
        return 0;
}
