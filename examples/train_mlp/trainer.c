/* SPDX-License-Identifier: Apache-2.0 */
#include "mlp.h"

int mlp_trainer_load(struct mlp_trainer *trainer, const struct mlp_data *data, const float params[MLP_PARAMS])
{
        return trainer->load(trainer, data, params);
}

int mlp_trainer_epoch(struct mlp_trainer *trainer, const uint32_t *order, struct mlp_result *ret)
{
        return trainer->epoch(trainer, order, ret);
}

int mlp_trainer_params(struct mlp_trainer *trainer, float ret[MLP_PARAMS])
{
        return trainer->params(trainer, ret);
}

void mlp_trainer_free(struct mlp_trainer *trainer)
{
        if (trainer)
                trainer->free(trainer);
}
