/* SPDX-License-Identifier: Apache-2.0 */
#include "mlp.h"

#include <math.h>
#include <stdlib.h>

/* splitmix64: https://prng.di.unimi.it/splitmix64.c describes the constants. */
static uint64_t random_next(uint64_t *state)
{
        uint64_t z = *state += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

static float random_unit(uint64_t *state)
{
        return (float)(random_next(state) >> 40) / 16777216.0f;
}

/* A plane through the middle of the inputs, at a random angle, parts the samples. */
static void label_by_plane(const struct mlp_config *config, uint64_t *state, struct mlp_data *data)
{
        float normal[MLP_INPUTS];

        for (unsigned i = 0; i < MLP_INPUTS; i++)
                normal[i] = random_unit(state) - 0.5f;
        for (unsigned s = 0; s < config->samples; s++) {
                float side = 0;

                for (unsigned i = 0; i < MLP_INPUTS; i++)
                        side += normal[i] * (data->x[(size_t)s * MLP_INPUTS + i] - 0.5f);
                data->y[s] = side > 0 ? 1.0f : 0.0f;
        }
}

int mlp_data_new(const struct mlp_config *config, struct mlp_data *ret)
{
        uint64_t state = config->seed;
        struct mlp_data data = {
                .x = calloc((size_t)config->samples * MLP_INPUTS, sizeof(float)),
                .y = calloc(config->samples, sizeof(float)),
        };

        if (!data.x || !data.y) {
                mlp_data_free(&data);
                return -1;
        }
        for (size_t i = 0; i < (size_t)config->samples * MLP_INPUTS; i++)
                data.x[i] = random_unit(&state);
        if (config->random_labels) {
                for (unsigned s = 0; s < config->samples; s++)
                        data.y[s] = random_next(&state) >> 63 ? 1.0f : 0.0f;
        } else {
                label_by_plane(config, &state, &data);
        }
        *ret = data;
        return 0;
}

void mlp_data_free(struct mlp_data *data)
{
        free(data->x);
        free(data->y);
        *data = (struct mlp_data){0};
}

/* Glorot's uniform initialisation: ±sqrt(6 / (fan in + fan out)); biases start at zero. */
static void init_layer(uint64_t *state, float *weight, unsigned in, unsigned out)
{
        float limit = sqrtf(6.0f / (float)(in + out));

        for (unsigned i = 0; i < in * out; i++)
                weight[i] = (2.0f * random_unit(state) - 1.0f) * limit;
}

void mlp_params_init(uint64_t seed, float params[MLP_PARAMS])
{
        uint64_t state = ~seed;

        for (unsigned i = 0; i < MLP_PARAMS; i++)
                params[i] = 0;
        init_layer(&state, params + MLP_W1, MLP_INPUTS, MLP_HIDDEN);
        init_layer(&state, params + MLP_W2, MLP_HIDDEN, 1);
}

void mlp_order(uint64_t seed, unsigned epoch, unsigned samples, uint32_t *order)
{
        uint64_t state = seed ^ (uint64_t)(epoch + 1) << 32;

        for (unsigned i = 0; i < samples; i++)
                order[i] = i;
        for (unsigned i = samples; i > 1; i--) {
                unsigned j = (unsigned)(random_next(&state) % i);
                uint32_t swap = order[i - 1];

                order[i - 1] = order[j];
                order[j] = swap;
        }
}

float mlp_step_rate(const struct mlp_config *config, unsigned t)
{
        double first = 1 - pow(config->beta1, t), second = 1 - pow(config->beta2, t);

        return (float)(config->rate * sqrt(second) / first);
}
