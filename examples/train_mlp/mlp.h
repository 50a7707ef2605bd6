/* SPDX-License-Identifier: Apache-2.0
 *
 * A small network, trained twice: on an OpenCL device (device.c) and in plain C (reference.c). Both do the same arithmetic in
 * the same order, so that one checks the other.
 *
 *   10 inputs -> 128 relu -> 1 sigmoid, binary cross-entropy, Adam */
#ifndef TRAIN_MLP_MLP_H
#define TRAIN_MLP_MLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MLP_INPUTS 10u
#define MLP_HIDDEN 128u

/* All parameters lie in one array, in this order; the kernels are compiled with the same figures. */
#define MLP_W1     0u
#define MLP_B1     (MLP_W1 + MLP_INPUTS * MLP_HIDDEN)
#define MLP_W2     (MLP_B1 + MLP_HIDDEN)
#define MLP_B2     (MLP_W2 + MLP_HIDDEN)
#define MLP_PARAMS (MLP_B2 + 1u)

struct mlp_config {
        unsigned samples, batch, epochs, device;
        uint64_t seed;
        float rate, beta1, beta2, epsilon;
        bool random_labels; /* nothing to learn: labels are coin throws */
};

struct mlp_data {
        float *x; /* samples * MLP_INPUTS, 0..1 */
        float *y; /* samples, 0 or 1 */
};

struct mlp_result {
        double loss, accuracy; /* means over one epoch, each sample as it was seen before its own step */
};

/* data.c: everything random comes from the seed. */
int mlp_data_new(const struct mlp_config *config, struct mlp_data *ret);
void mlp_data_free(struct mlp_data *data);
void mlp_params_init(uint64_t seed, float params[MLP_PARAMS]);
/* The order in which `epoch` visits the samples. */
void mlp_order(uint64_t seed, unsigned epoch, unsigned samples, uint32_t *order);
/* What Adam multiplies its step with at step t = 1, 2, …: the bias correction. */
float mlp_step_rate(const struct mlp_config *config, unsigned t);

struct mlp_trainer; /* a network in training, with its optimizer's state */

/* Both kinds of trainer: 0, or -1 after an explanation on standard error. */
int mlp_reference_new(const struct mlp_config *config, struct mlp_trainer **ret);
int mlp_device_new(const struct mlp_config *config, struct mlp_trainer **ret);

int mlp_trainer_load(struct mlp_trainer *trainer, const struct mlp_data *data, const float params[MLP_PARAMS]);
int mlp_trainer_epoch(struct mlp_trainer *trainer, const uint32_t *order, struct mlp_result *ret);
int mlp_trainer_params(struct mlp_trainer *trainer, float ret[MLP_PARAMS]);
void mlp_trainer_free(struct mlp_trainer *trainer); /* NULL is fine */

/* What a kind of trainer is made of; the first member of its own struct. */
struct mlp_trainer {
        int (*load)(struct mlp_trainer *trainer, const struct mlp_data *data, const float params[MLP_PARAMS]);
        int (*epoch)(struct mlp_trainer *trainer, const uint32_t *order, struct mlp_result *ret);
        int (*params)(struct mlp_trainer *trainer, float ret[MLP_PARAMS]);
        void (*free)(struct mlp_trainer *trainer);
};

extern const char mlp_kernels[]; /* kernels.cl, embedded by embed.sh */

#endif
