/* SPDX-License-Identifier: Apache-2.0
 * The pool: a job of up to a node's GPUs goes on the fullest node that has room, a larger one on whole nodes and its rest
 * on another. */
#ifndef FG_SIMULATE_PHILLY_INTERNAL_H
#define FG_SIMULATE_PHILLY_INTERNAL_H

#include "simulate/philly.h"

#define FG_PHILLY_PARTS (FG_PHILLY_GPUS_MAX / FG_PHILLY_NODE + 1)

struct fg_philly_pool {
        uint32_t nodes, free;
        uint8_t left[FG_PHILLY_NODES];
};

struct fg_philly_place {
        uint16_t node[FG_PHILLY_PARTS];
        uint8_t gpus[FG_PHILLY_PARTS];
        uint32_t parts;
};

bool fg_philly_place(struct fg_philly_pool *pool, uint32_t gpus, struct fg_philly_place *ret);
void fg_philly_give_back(struct fg_philly_pool *pool, const struct fg_philly_place *place);
/* Takes a place again; false: somebody has it. */
bool fg_philly_take_back(struct fg_philly_pool *pool, const struct fg_philly_place *place);

#endif
