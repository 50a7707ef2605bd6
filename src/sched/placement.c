/* SPDX-License-Identifier: Apache-2.0
 * Choose devices first, with only a smallest part set aside for each unstated amount; divide what is left afterwards.
 */
#include "sched/placement.h"

#include <errno.h>
#include <stdlib.h>

#define MEMORY_STEP 4096u /* also the least memory a vGPU gets when none was stated */
#define SHARE_STEP  1u

/* What one device still has while a set is being placed on it. */
struct room {
        uint64_t memory; /* less the stated amounts placed here */
        uint32_t share;
        size_t placed;                          /* vGPUs of this set */
        size_t unstated_memory, unstated_share; /* of them, how many get an equal part */
};

struct plan {
        const struct fg_sched_device *device;
        size_t devices;
        const struct fg_sched_want *want;
        size_t count;
        struct room *room; /* of each device */
        uint32_t *chosen;  /* device of each vGPU */
        size_t *order;     /* in which vGPUs are placed */
};

static void plan_clear(struct plan *p)
{
        free(p->room);
        free(p->chosen);
        free(p->order);
}

static int plan_init(struct plan *p)
{
        p->room = calloc(p->devices ? p->devices : 1, sizeof(*p->room));
        p->chosen = calloc(p->count ? p->count : 1, sizeof(*p->chosen));
        p->order = calloc(p->count ? p->count : 1, sizeof(*p->order));
        return p->room && p->chosen && p->order ? 0 : -ENOMEM;
}

static void plan_reset(struct plan *p)
{
        for (size_t d = 0; d < p->devices; d++)
                p->room[d] = (struct room){.memory = p->device[d].memory_free, .share = p->device[d].share_free};
}

/* Equation: memory >= MEMORY_STEP * unstated_memory and share >= SHARE_STEP * unstated_share, before and after. */
static uint64_t memory_left(const struct room *r)
{
        return r->memory - MEMORY_STEP * (uint64_t)r->unstated_memory;
}

static uint64_t share_left(const struct room *r)
{
        return r->share - SHARE_STEP * (uint64_t)r->unstated_share;
}

static bool has_share(const struct room *r, const struct fg_sched_want *want)
{
        return share_left(r) >= (want->share ? want->share : SHARE_STEP);
}

static bool has_room(const struct room *r, const struct fg_sched_want *want)
{
        return memory_left(r) >= (want->memory ? want->memory : MEMORY_STEP) && has_share(r, want);
}

static void take(struct room *r, const struct fg_sched_want *want)
{
        r->memory -= want->memory;
        r->share -= want->share;
        r->unstated_memory += want->memory == 0;
        r->unstated_share += want->share == 0;
        r->placed++;
}

/* Fewest of this set first, then most free memory, then the lowest index. */
static bool is_better(const struct room *a, const struct room *b)
{
        return a->placed != b->placed ? a->placed < b->placed : a->memory > b->memory;
}

static int choose_device(const struct plan *p, const struct fg_sched_want *want, uint32_t *ret)
{
        size_t best = p->devices;
        for (size_t d = 0; d < p->devices; d++)
                if (p->device[d].usable && has_room(&p->room[d], want) &&
                    (best == p->devices || is_better(&p->room[d], &p->room[best])))
                        best = d;
        if (best == p->devices)
                return -ENOSPC;
        *ret = (uint32_t)best;
        return 0;
}

/* Whether `a` comes nearer to having room than `b`: see struct fg_sched_misfit. */
static bool is_nearer(const struct room *a, const struct room *b, const struct fg_sched_want *want)
{
        if (has_share(a, want) != has_share(b, want))
                return has_share(a, want);
        return has_share(a, want) ? memory_left(a) > memory_left(b) : share_left(a) > share_left(b);
}

static struct fg_sched_misfit misfit(const struct plan *p, size_t failed)
{
        const struct room *nearest = NULL;
        for (size_t d = 0; d < p->devices; d++)
                if (p->device[d].usable && (!nearest || is_nearer(&p->room[d], nearest, &p->want[failed])))
                        nearest = &p->room[d];
        return (struct fg_sched_misfit){failed, nearest ? memory_left(nearest) : 0, nearest ? (uint32_t)share_left(nearest) : 0};
}

static int place_in_order(struct plan *p, struct fg_sched_misfit *ret_misfit)
{
        plan_reset(p);
        for (size_t k = 0; k < p->count; k++) {
                size_t i = p->order[k];
                if (choose_device(p, &p->want[i], &p->chosen[i]) < 0) {
                        *ret_misfit = misfit(p, i);
                        return -ENOSPC;
                }
                take(&p->room[p->chosen[i]], &p->want[i]);
        }
        return 0;
}

static int by_size_descending(const void *a, const void *b, void *user)
{
        const struct fg_sched_want *want = user;
        size_t i = *(const size_t *)a, j = *(const size_t *)b;
        if (want[i].memory != want[j].memory)
                return want[i].memory > want[j].memory ? -1 : 1;
        if (want[i].share != want[j].share)
                return want[i].share > want[j].share ? -1 : 1;
        return i < j ? -1 : 1;
}

/* As stated; if that leaves somebody out, the largest first, which often fits where a small one sat in the way. */
static int choose_all(struct plan *p, struct fg_sched_misfit *ret_misfit)
{
        struct fg_sched_misfit ignored;
        for (size_t i = 0; i < p->count; i++)
                p->order[i] = i;
        if (place_in_order(p, ret_misfit) == 0)
                return 0;
        qsort_r(p->order, p->count, sizeof(*p->order), by_size_descending, (void *)(uintptr_t)p->want);
        return place_in_order(p, &ignored);
}

static void divide(const struct plan *p, uint32_t *ret_device, uint64_t *ret_memory, uint32_t *ret_share)
{
        for (size_t i = 0; i < p->count; i++) {
                const struct fg_sched_want *want = &p->want[i];
                const struct room *r = &p->room[p->chosen[i]];
                ret_device[i] = p->chosen[i];
                ret_memory[i] =
                        want->memory ? want->memory : r->memory / r->unstated_memory / MEMORY_STEP * MEMORY_STEP;
                ret_share[i] = want->share ? want->share : (uint32_t)(r->share / r->unstated_share);
        }
}

int fg_sched_place(const struct fg_sched_device *device, size_t devices, const struct fg_sched_want *want, size_t count,
                   uint32_t *ret_device, uint64_t *ret_memory, uint32_t *ret_share, struct fg_sched_misfit *ret_misfit)
{
        __attribute__((cleanup(plan_clear))) struct plan p = {
                .device = device, .devices = devices, .want = want, .count = count};
        struct fg_sched_misfit misfit;
        int r = plan_init(&p);
        if (r == 0)
                r = choose_all(&p, &misfit);
        if (r == -ENOSPC)
                *ret_misfit = misfit;
        if (r == 0)
                divide(&p, ret_device, ret_memory, ret_share);
        return r;
}
