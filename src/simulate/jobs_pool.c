/* SPDX-License-Identifier: Apache-2.0
 * Consolidated best fit. */
#include "simulate/jobs_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_size(const void *a, const void *b)
{
        return *(const uint8_t *)b - *(const uint8_t *)a;
}

int fg_jobs_pool_new(struct fg_jobs_pool *ret, const struct fg_jobs_pool_size *size)
{
        struct fg_jobs_pool pool = {0};
        if (size->nodes == 0 || size->nodes > FG_JOBS_NODES_MAX)
                return -EINVAL;
        pool.size = malloc(size->nodes);
        pool.left = malloc(size->nodes);
        for (size_t i = 0; pool.size && i < size->nodes; i++)
                if (size->node[i] > 0 && size->node[i] <= FG_JOBS_NODE_MAX) {
                        pool.size[pool.nodes++] = size->node[i];
                        pool.total += size->node[i];
                }
        pool.free = pool.total;
        pool.shared = malloc((pool.total + 1) * sizeof(*pool.shared));
        if (!pool.size || !pool.left || !pool.shared || pool.total == 0) {
                int r = pool.size && pool.left && pool.shared ? -EINVAL : -ENOMEM;
                fg_jobs_pool_free(&pool);
                return r;
        }
        qsort(pool.size, pool.nodes, 1, by_size);
        memcpy(pool.left, pool.size, pool.nodes);
        pool.most = pool.size[0];
        pool.least = pool.size[pool.nodes - 1];
        *ret = pool;
        return 0;
}

void fg_jobs_pool_free(struct fg_jobs_pool *pool)
{
        free(pool->size);
        free(pool->left);
        free(pool->shared);
        *pool = (struct fg_jobs_pool){0};
}

uint32_t fg_jobs_parts_max(const struct fg_jobs_pool *pool, const struct fg_job *job)
{
        if (job->milli < FG_JOBS_WHOLE)
                return job->gpus;
        return job->gpus <= pool->most ? 1 : job->gpus / pool->least + 1;
}

static bool has(const struct fg_jobs_place *place, size_t node)
{
        for (uint32_t i = 0; i < place->parts; i++)
                if (place->part[i].node == node)
                        return true;
        return false;
}

/* The fullest node with that many free GPUs, that the place does not have yet. */
static size_t fullest(const struct fg_jobs_pool *pool, uint32_t gpus, const struct fg_jobs_place *but)
{
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < pool->nodes; i++)
                if (pool->left[i] >= gpus && (best == SIZE_MAX || pool->left[i] < pool->left[best]) && !has(but, i)) {
                        best = i;
                        if (pool->left[i] == gpus)
                                break;
                }
        return best;
}

static void take_whole(struct fg_jobs_pool *pool, size_t node, uint32_t gpus)
{
        pool->left[node] = (uint8_t)(pool->left[node] - gpus);
        pool->free -= gpus;
}

static bool place_whole(struct fg_jobs_pool *pool, uint32_t gpus, struct fg_jobs_place *ret)
{
        uint32_t rest = gpus;
        if (gpus > pool->free)
                return false;
        for (size_t i = 0; i < pool->nodes && gpus > pool->most && rest >= pool->least; i++)
                if (pool->left[i] == pool->size[i] && rest >= pool->size[i]) {
                        ret->part[ret->parts++] = (struct fg_jobs_part){.node = (uint32_t)i, .gpus = pool->size[i]};
                        rest -= pool->size[i];
                }
        size_t last = rest == 0 ? 0 : rest > pool->most ? SIZE_MAX : fullest(pool, rest, ret);
        if (last == SIZE_MAX)
                return false;
        if (rest)
                ret->part[ret->parts++] = (struct fg_jobs_part){.node = (uint32_t)last, .gpus = (uint16_t)rest};
        for (uint32_t i = 0; i < ret->parts; i++)
                take_whole(pool, ret->part[i].node, ret->part[i].gpus);
        return true;
}

/* The fullest shared GPU with room, on that node or (SIZE_MAX) on any. */
static size_t shared_with_room(const struct fg_jobs_pool *pool, unsigned milli, size_t node)
{
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < pool->shareds; i++)
                if (pool->shared[i].free >= milli && pool->shared[i].free < FG_JOBS_WHOLE && (node == SIZE_MAX || pool->shared[i].node == node) &&
                    (best == SIZE_MAX || pool->shared[i].free < pool->shared[best].free))
                        best = i;
        return best;
}

/* A free GPU of the node becomes a shared one. */
static size_t share_one(struct fg_jobs_pool *pool, size_t node)
{
        size_t i = 0;
        while (i < pool->shareds && pool->shared[i].free < FG_JOBS_WHOLE)
                i++;
        pool->shareds += i == pool->shareds;
        pool->shared[i] = (struct fg_jobs_shared){.node = (uint32_t)node, .free = FG_JOBS_WHOLE};
        pool->spare += FG_JOBS_WHOLE;
        take_whole(pool, node, 1);
        return i;
}

static bool take_part(struct fg_jobs_pool *pool, unsigned milli, size_t node, struct fg_jobs_part *ret)
{
        static const struct fg_jobs_place nowhere = {0};
        size_t i = shared_with_room(pool, milli, node);
        if (i == SIZE_MAX && node == SIZE_MAX)
                node = fullest(pool, 1, &nowhere);
        if (i == SIZE_MAX && (node == SIZE_MAX || pool->left[node] == 0))
                return false;
        if (i == SIZE_MAX)
                i = share_one(pool, node);
        pool->shared[i].free = (uint16_t)(pool->shared[i].free - milli);
        pool->spare -= milli;
        *ret = (struct fg_jobs_part){.node = pool->shared[i].node, .shared = (uint32_t)i};
        return true;
}

bool fg_jobs_place(struct fg_jobs_pool *pool, const struct fg_job *job, struct fg_jobs_place *ret)
{
        ret->parts = 0;
        if (job->milli == FG_JOBS_WHOLE)
                return place_whole(pool, job->gpus, ret);
        while (ret->parts < job->gpus) {
                if (!take_part(pool, job->milli, SIZE_MAX, &ret->part[ret->parts])) {
                        fg_jobs_give_back(pool, job, ret);
                        return false;
                }
                ret->parts++;
        }
        return true;
}

void fg_jobs_give_back(struct fg_jobs_pool *pool, const struct fg_job *job, const struct fg_jobs_place *place)
{
        for (uint32_t i = 0; i < place->parts; i++) {
                const struct fg_jobs_part *p = &place->part[i];
                uint32_t gpus = p->gpus;
                if (gpus == 0) {
                        struct fg_jobs_shared *s = &pool->shared[p->shared];
                        s->free = (uint16_t)(s->free + job->milli);
                        gpus = s->free == FG_JOBS_WHOLE;
                        pool->spare += job->milli;
                        pool->spare -= gpus * FG_JOBS_WHOLE;
                }
                pool->left[p->node] = (uint8_t)(pool->left[p->node] + gpus);
                pool->free += gpus;
        }
}

bool fg_jobs_take_back(struct fg_jobs_pool *pool, const struct fg_job *job, struct fg_jobs_place *place)
{
        uint32_t parts = place->parts;
        for (uint32_t i = 0; i < parts && job->milli == FG_JOBS_WHOLE; i++)
                if (pool->left[place->part[i].node] < place->part[i].gpus)
                        return false;
        for (uint32_t i = 0; i < parts; i++) {
                struct fg_jobs_part *p = &place->part[i];
                if (job->milli == FG_JOBS_WHOLE) {
                        take_whole(pool, p->node, p->gpus);
                } else if (!take_part(pool, job->milli, p->node, p)) {
                        place->parts = i;
                        fg_jobs_give_back(pool, job, place);
                        return false;
                }
        }
        return true;
}
