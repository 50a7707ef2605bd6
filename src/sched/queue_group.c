/* SPDX-License-Identifier: Apache-2.0
 * Groups of jobs that are alike, found by a hash; their places in their lanes. */
#include "sched/queue_internal.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t mix(uint64_t hash, uint64_t word)
{
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        return hash ^ (hash >> 29);
}

static size_t bucket_of(const struct fg_queue *q, const struct fg_queue_group *g)
{
        uint64_t hash = mix((uintptr_t)g->lane, (uintptr_t)g->user);

        hash = mix(mix(hash, g->time_limit), g->want.memory);
        hash = mix(mix(hash, (uint64_t)g->want.share << 32 | g->want.count), g->want.where);
        return hash & (q->buckets - 1);
}

static bool is_same(const struct fg_queue_group *a, const struct fg_queue_group *b)
{
        return a->lane == b->lane && a->user == b->user && a->time_limit == b->time_limit &&
               a->want.memory == b->want.memory && a->want.share == b->want.share && a->want.count == b->want.count &&
               a->want.where == b->want.where;
}

/* Twice as many buckets, once there are as many groups as buckets. */
static int grow(struct fg_queue *q)
{
        size_t old = q->buckets;
        struct fg_queue_group **from = q->bucket, **to;

        if (q->groups < old)
                return 0;
        to = calloc(old ? old * 2 : 64, sizeof(struct fg_queue_group *));
        if (!to)
                return -ENOMEM;
        q->bucket = to;
        q->buckets = old ? old * 2 : 64;
        for (size_t i = 0; i < old; i++)
                for (struct fg_queue_group *g = from[i], *next; g; g = next) {
                        size_t b = bucket_of(q, g);

                        next = g->same_hash;
                        g->same_hash = to[b];
                        to[b] = g;
                }
        free(from);
        return 0;
}

/* A lane without groups is not in its class's list; the list always has room for every lane that there is. */
static int lane_take(struct fg_queue *q, struct fg_queue_account *project, uint32_t priority,
                     struct fg_queue_lane **ret)
{
        struct fg_queue_class *class = &q->class[priority];
        struct fg_queue_lane *lane = project->lane[priority], **list;

        if (!lane) {
                list = realloc(class->lane, (class->made + 1) * sizeof(struct fg_queue_lane *));
                if (!list)
                        return -ENOMEM;
                class->lane = list;
                lane = calloc(1, sizeof(*lane));
                if (!lane)
                        return -ENOMEM;
                class->made++;
                lane->project = project;
                lane->priority = priority;
                project->lane[priority] = lane;
        }
        *ret = lane;
        return 0;
}

static uint32_t where_of(const struct fg_queue_wish *wish)
{
        if (wish->device != FG_QUEUE_ANY)
                return FG_QUEUE_WHERE_DEVICE | wish->device;
        return wish->kind;
}

int fg_queue_group_take(struct fg_queue *q, const struct fg_queue_wish *wish, struct fg_queue_group **ret)
{
        struct fg_queue_group key = {.user = wish->user,
                                     .time_limit = wish->time_limit,
                                     .want = {wish->memory, wish->share, wish->count, where_of(wish)}};
        struct fg_queue_group *g;
        size_t b;
        int r = lane_take(q, wish->project, wish->priority, &key.lane);

        if (r == 0)
                r = grow(q);
        if (r < 0)
                return r;
        b = bucket_of(q, &key);
        for (g = q->bucket[b]; g && !is_same(g, &key); g = g->same_hash)
                ;
        if (!g) {
                g = malloc(sizeof(*g));
                if (!g)
                        return -ENOMEM;
                *g = key;
                g->same_hash = q->bucket[b];
                q->bucket[b] = g;
                q->groups++;
        }
        g->refs++;
        *ret = g;
        return 0;
}

void fg_queue_group_drop(struct fg_queue *q, struct fg_queue_group *group)
{
        struct fg_queue_group **link = &q->bucket[bucket_of(q, group)];

        if (--group->refs)
                return;
        while (*link != group)
                link = &(*link)->same_hash;
        *link = group->same_hash;
        q->groups--;
        free(group);
}

static void lane_enlist(struct fg_queue *q, struct fg_queue_lane *lane)
{
        struct fg_queue_class *class = &q->class[lane->priority];

        lane->index = (uint32_t) class->lanes;
        class->lane[class->lanes++] = lane;
}

static void lane_unlist(struct fg_queue *q, struct fg_queue_lane *lane)
{
        struct fg_queue_class *class = &q->class[lane->priority];
        struct fg_queue_lane *last = class->lane[--class->lanes];

        class->lane[lane->index] = last;
        last->index = lane->index;
}

/* Into or out of the lane, or to another place in it: after the group's first job became another one. */
static void settle(struct fg_queue *q, struct fg_queue_group *group, bool listed)
{
        struct fg_queue_lane *lane = group->lane;
        struct fg_queue_node *first = fg_queue_tree_first(&group->jobs);
        bool had = lane->groups.root != NULL;

        if (group->want.where != FG_QUEUE_WHERE_ANY)
                q->pinned += (size_t)(first != NULL) - (size_t)listed;
        if (listed && first && first->key == group->node.key && first->order == group->node.order)
                return;
        if (listed)
                fg_queue_tree_remove(&lane->groups, &group->node);
        if (first) {
                group->node.key = first->key;
                group->node.order = first->order;
                fg_queue_tree_insert(&lane->groups, &group->node);
        }
        if (!had && lane->groups.root)
                lane_enlist(q, lane);
        if (had && !lane->groups.root)
                lane_unlist(q, lane);
}

void fg_queue_group_insert(struct fg_queue *q, struct fg_queue_group *group, struct fg_queue_node *job)
{
        bool listed = group->jobs.root != NULL;

        fg_queue_tree_insert(&group->jobs, job);
        group->queued++;
        settle(q, group, listed);
}

void fg_queue_group_remove(struct fg_queue *q, struct fg_queue_group *group, struct fg_queue_node *job)
{
        fg_queue_tree_remove(&group->jobs, job);
        group->queued--;
        settle(q, group, true);
}
