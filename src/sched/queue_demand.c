/* SPDX-License-Identifier: Apache-2.0
 * What jobs that wait could use. Share is poured, not placed: a part of a job is as good as any other, so that this costs a look at each
 * group, and no job counts twice. */
#include "sched/queue_pass.h"

struct pour {
        const struct fg_queue_scene *scene;
        const struct fg_queue_account *only; /* NULL: of every project */
        uint32_t *room;                      /* of each device: what may still be poured */
        uint64_t left, poured;               /* left: of all rooms */
};

static bool may_use(const struct pour *pour, const struct fg_queue_want *want, size_t d)
{
        const struct fg_queue_device *device = &pour->scene->device[d];

        if (!device->usable || device->memory < want->memory || !pour->room[d])
                return false;
        if (want->where == FG_QUEUE_WHERE_ANY)
                return true;
        return fg_queue_is_pinned(want->where) ? d == (want->where & ~FG_QUEUE_WHERE_DEVICE) : device->kind == want->where;
}

static uint64_t pour_on(struct pour *pour, size_t d, uint64_t share)
{
        uint64_t taken = share < pour->room[d] ? share : pour->room[d];

        pour->room[d] -= (uint32_t)taken;
        pour->poured += taken;
        pour->left -= taken;
        return taken;
}

/* As even as the rooms allow: each round either is the last or fills a device. */
static void pour_want(struct pour *pour, const struct fg_queue_want *want, uint64_t share)
{
        size_t devices = pour->scene->devices, able = 1;

        while (share && able && pour->left) {
                uint64_t part;

                able = 0;
                for (size_t d = 0; d < devices; d++)
                        able += may_use(pour, want, d);
                part = able && share / able ? share / able : 1;
                for (size_t d = 0; d < devices && share; d++)
                        if (may_use(pour, want, d))
                                share -= pour_on(pour, d, part < share ? part : share);
        }
}

static void pour_group(struct pour *pour, struct fg_queue_group *group)
{
        if (!pour->only)
                group->admitted = (uint32_t)fg_queue_quota_ask(group, group->queued);
        pour_want(pour, &group->want, (uint64_t)group->admitted * group->want.share * group->want.count);
}

/* Suspended: it wants its share where it is. */
static void pour_suspended(struct pour *pour, const struct fg_queue_job *job)
{
        bool of_user;

        if (job->hold || fg_queue_quota(job->group, true, &of_user) != FG_QUEUE_GOES)
                return;
        for (uint32_t i = 0; i < job->run->places; i++)
                if (job->run->place[i].device < pour->scene->devices)
                        pour_on(pour, job->run->place[i].device, (uint64_t)job->group->want.share * job->run->place[i].count);
}

/* Those that have no choice first: what the others are poured on is then still there. */
enum choice { FIXED, PINNED, FREE, CHOICES };

static void pour_lane(struct pour *pour, struct fg_queue_lane *lane, enum choice choice)
{
        struct fg_queue_node *node = fg_queue_tree_first(&lane->groups);

        /* Where there is nothing left, only what the quotas admit is still to be found. */
        for (; node && (pour->left || !pour->only); node = fg_queue_tree_next(node)) {
                struct fg_queue_group *group = fg_queue_group_of(node);

                if ((group->want.where == FG_QUEUE_WHERE_ANY) == (choice == FREE))
                        pour_group(pour, group);
        }
}

static void pour_class(struct pour *pour, struct fg_queue_class *class, enum choice choice)
{
        struct fg_queue_node *node = fg_queue_tree_first(&class->suspended);

        for (; choice == FIXED && node; node = fg_queue_tree_next(node))
                if (!pour->only || fg_queue_job_of(node)->group->lane->project == pour->only)
                        pour_suspended(pour, fg_queue_job_of(node));
        for (size_t i = 0; choice != FIXED && !pour->only && i < class->lanes; i++)
                pour_lane(pour, class->lane[i], choice);
}

static void pour_all(struct fg_queue *q, struct pour *pour)
{
        for (enum choice choice = FIXED; choice < CHOICES; choice++)
                for (size_t c = choice == PINNED && !q->pinned ? 0 : FG_QUEUE_CLASSES; c-- > 0;) {
                        pour_class(pour, &q->class[c], choice);
                        if (pour->only && pour->only->lane[c] && choice != FIXED)
                                pour_lane(pour, pour->only->lane[c], choice);
                }
}

/* What of a device nobody holds: memory without share and share without memory are held, as the metering counts them. */
static uint32_t free_of(const struct fg_queue_device *device)
{
        uint64_t memory = device->memory ? (uint64_t)((double)device->memory_free / (double)device->memory * 1000) : 0;

        return !device->usable ? 0 : memory < device->share_free ? (uint32_t)memory : device->share_free;
}

void fg_queue_demand(struct fg_queue *q, const struct fg_queue_scene *scene, uint32_t *ret)
{
        struct pour pour = {.scene = scene, .room = ret};

        for (size_t d = 0; d < scene->devices; d++)
                pour.left += ret[d] = free_of(&scene->device[d]);
        for (struct fg_queue_account *a = q->accounts; a; a = a->next)
                a->asked = (struct fg_queue_amounts){0};
        fg_queue_wake_due(q, scene->now);
        pour_all(q, &pour);
        for (size_t d = 0; d < scene->devices; d++)
                ret[d] = free_of(&scene->device[d]) - ret[d];
}

uint64_t fg_queue_demand_of(struct fg_queue *q, const struct fg_queue_scene *scene, const struct fg_queue_account *project, uint32_t *scratch)
{
        struct pour pour = {.scene = scene, .only = project, .room = scratch};
        uint64_t held = project->held.share + project->outside.share, most = 0;

        for (size_t d = 0; d < scene->devices; d++) {
                scratch[d] = scene->device[d].usable ? scene->device[d].share : 0;
                most += scratch[d];
        }
        pour.left = most;
        pour_all(q, &pour);
        most = most > held ? most - held : 0;
        return pour.poured < most ? pour.poured : most;
}
