/* SPDX-License-Identifier: Apache-2.0
 * Consolidated best fit. */
#include "simulate/philly_internal.h"

static bool has(const struct fg_philly_place *place, uint32_t node)
{
        for (uint32_t i = 0; i < place->parts; i++)
                if (place->node[i] == node)
                        return true;
        return false;
}

bool fg_philly_place(struct fg_philly_pool *pool, uint32_t gpus, struct fg_philly_place *ret)
{
        uint32_t whole = gpus / FG_PHILLY_NODE, rest = gpus % FG_PHILLY_NODE, best = UINT32_MAX;
        if (gpus > pool->free)
                return false;
        ret->parts = 0;
        for (uint32_t i = 0; i < pool->nodes && ret->parts < whole; i++)
                if (pool->left[i] == FG_PHILLY_NODE) {
                        ret->node[ret->parts] = (uint16_t)i;
                        ret->gpus[ret->parts++] = FG_PHILLY_NODE;
                }
        if (ret->parts < whole)
                return false;
        for (uint32_t i = 0; rest && i < pool->nodes; i++)
                if (pool->left[i] >= rest && (best == UINT32_MAX || pool->left[i] < pool->left[best]) && !has(ret, i))
                        best = i;
        if (rest && best == UINT32_MAX)
                return false;
        if (rest) {
                ret->node[ret->parts] = (uint16_t)best;
                ret->gpus[ret->parts++] = (uint8_t)rest;
        }
        return fg_philly_take_back(pool, ret);
}

void fg_philly_give_back(struct fg_philly_pool *pool, const struct fg_philly_place *place)
{
        for (uint32_t i = 0; i < place->parts; i++) {
                pool->left[place->node[i]] = (uint8_t)(pool->left[place->node[i]] + place->gpus[i]);
                pool->free += place->gpus[i];
        }
}

bool fg_philly_take_back(struct fg_philly_pool *pool, const struct fg_philly_place *place)
{
        for (uint32_t i = 0; i < place->parts; i++)
                if (pool->left[place->node[i]] < place->gpus[i])
                        return false;
        for (uint32_t i = 0; i < place->parts; i++) {
                pool->left[place->node[i]] = (uint8_t)(pool->left[place->node[i]] - place->gpus[i]);
                pool->free -= place->gpus[i];
        }
        return true;
}
