/* SPDX-License-Identifier: Apache-2.0
 *
 * The training in plain C, one loop for each kernel of kernels.cl. */
#include "mlp.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reference {
        struct mlp_trainer base;
        struct mlp_config config;
        const struct mlp_data *data;
        unsigned step;
        float p[MLP_PARAMS], slope[MLP_PARAMS], mean[MLP_PARAMS], square[MLP_PARAMS];
        float *hidden; /* batch * MLP_HIDDEN */
        float *delta;  /* batch */
};

static void hidden_forward(struct reference *r, const uint32_t *order, unsigned count)
{
        for (unsigned s = 0; s < count; s++) {
                const float *in = r->data->x + (size_t)order[s] * MLP_INPUTS;

                for (unsigned unit = 0; unit < MLP_HIDDEN; unit++) {
                        float sum = r->p[MLP_B1 + unit];

                        for (unsigned i = 0; i < MLP_INPUTS; i++)
                                sum += in[i] * r->p[MLP_W1 + i * MLP_HIDDEN + unit];
                        r->hidden[s * MLP_HIDDEN + unit] = fmaxf(sum, 0.0f);
                }
        }
}

static void output_forward(struct reference *r, const uint32_t *order, unsigned count, struct mlp_result *sum)
{
        for (unsigned s = 0; s < count; s++) {
                float z = r->p[MLP_B2], label = r->data->y[order[s]];

                for (unsigned unit = 0; unit < MLP_HIDDEN; unit++)
                        z += r->hidden[s * MLP_HIDDEN + unit] * r->p[MLP_W2 + unit];
                r->delta[s] = (1.0f / (1.0f + expf(-z)) - label) / (float)count;
                sum->loss += fmaxf(z, 0.0f) - z * label + log1pf(expf(-fabsf(z)));
                sum->accuracy += (z > 0.0f) == (label > 0.5f);
        }
}

static float slope_of(const struct reference *r, const uint32_t *order, unsigned s, unsigned k)
{
        const float *h = r->hidden + s * MLP_HIDDEN;
        unsigned unit = k % MLP_HIDDEN;

        if (k >= MLP_B2)
                return r->delta[s];
        if (k >= MLP_W2)
                return r->delta[s] * h[k - MLP_W2];
        if (h[unit] <= 0.0f)
                return 0.0f;
        if (k >= MLP_B1)
                return r->delta[s] * r->p[MLP_W2 + unit];
        return r->delta[s] * r->p[MLP_W2 + unit] * r->data->x[(size_t)order[s] * MLP_INPUTS + k / MLP_HIDDEN];
}

static void gradient(struct reference *r, const uint32_t *order, unsigned count)
{
        for (unsigned k = 0; k < MLP_PARAMS; k++) {
                r->slope[k] = 0;
                for (unsigned s = 0; s < count; s++)
                        r->slope[k] += slope_of(r, order, s, k);
        }
}

static void adam(struct reference *r)
{
        const struct mlp_config *c = &r->config;
        float rate = mlp_step_rate(c, ++r->step);

        for (unsigned k = 0; k < MLP_PARAMS; k++) {
                float g = r->slope[k];

                r->mean[k] = c->beta1 * r->mean[k] + (1.0f - c->beta1) * g;
                r->square[k] = c->beta2 * r->square[k] + (1.0f - c->beta2) * g * g;
                r->p[k] -= rate * r->mean[k] / (sqrtf(r->square[k]) + c->epsilon);
        }
}

static int reference_epoch(struct mlp_trainer *trainer, const uint32_t *order, struct mlp_result *ret)
{
        struct reference *r = (struct reference *)trainer;
        struct mlp_result sum = {0};
        unsigned samples = r->config.samples;

        for (unsigned first = 0; first < samples; first += r->config.batch) {
                unsigned left = samples - first, count = left < r->config.batch ? left : r->config.batch;

                hidden_forward(r, order + first, count);
                output_forward(r, order + first, count, &sum);
                gradient(r, order + first, count);
                adam(r);
        }
        *ret = (struct mlp_result){sum.loss / samples, sum.accuracy / samples};
        return 0;
}

static int reference_load(struct mlp_trainer *trainer, const struct mlp_data *data, const float params[MLP_PARAMS])
{
        struct reference *r = (struct reference *)trainer;

        r->data = data;
        r->step = 0;
        memcpy(r->p, params, sizeof(r->p));
        memset(r->mean, 0, sizeof(r->mean));
        memset(r->square, 0, sizeof(r->square));
        return 0;
}

static int reference_params(struct mlp_trainer *trainer, float ret[MLP_PARAMS])
{
        memcpy(ret, ((struct reference *)trainer)->p, MLP_PARAMS * sizeof(float));
        return 0;
}

static void reference_free(struct mlp_trainer *trainer)
{
        struct reference *r = (struct reference *)trainer;

        free(r->hidden);
        free(r->delta);
        free(r);
}

int mlp_reference_new(const struct mlp_config *config, struct mlp_trainer **ret)
{
        struct reference *r = calloc(1, sizeof(*r));

        if (!r)
                return -1;
        r->base = (struct mlp_trainer){reference_load, reference_epoch, reference_params, reference_free};
        r->config = *config;
        r->hidden = calloc((size_t)config->batch * MLP_HIDDEN, sizeof(float));
        r->delta = calloc(config->batch, sizeof(float));
        if (!r->hidden || !r->delta) {
                reference_free(&r->base);
                return -1;
        }
        *ret = &r->base;
        return 0;
}
