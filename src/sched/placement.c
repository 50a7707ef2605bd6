/* SPDX-License-Identifier: Apache-2.0
 * Choose devices first, with only a smallest part set aside for each unstated amount; divide what is left afterwards.
 */
#include "sched/placement.h"

#include "sched/placer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
        const struct fg_placer *placer; /* NULL: where most memory is free */
        const struct fg_sched_device *device;
        size_t devices;
        const struct fg_sched_want *want;
        size_t count;
        struct room *room; /* of each device */
        uint32_t *chosen;  /* device of each vGPU */
        size_t *order;     /* in which vGPUs are placed */
        struct fg_sched_verdict *verdict; /* of each vGPU and device; NULL: nobody asks */
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

static struct fg_placer_part part_of(const struct fg_sched_device *device, uint64_t memory, uint64_t share)
{
        uint64_t whole = device->memory ? device->memory : device->memory_free;
        return (struct fg_placer_part){fg_placer_milli(memory, whole), (uint16_t)(share < FG_CLUSTER_GPU ? share : FG_CLUSTER_GPU)};
}

/* Who leaves an amount open gets a part of what the device has, so that goes where most is: of the lesser of both. */
static int32_t score(const struct plan *p, size_t d, const struct fg_sched_want *want)
{
        if (!p->placer)
                return 0;
        struct fg_placer_part left = part_of(&p->device[d], memory_left(&p->room[d]), share_left(&p->room[d]));
        if (!want->memory || !want->share)
                return left.memory < left.share ? left.memory : left.share;
        return fg_placer_score(p->placer, left, part_of(&p->device[d], want->memory, want->share));
}

/* What a device is for a vGPU, before it is known which one gets it. */
static struct fg_sched_verdict look(const struct plan *p, size_t d, const struct fg_sched_want *want)
{
        const struct room *r = &p->room[d];
        struct fg_sched_verdict v = {FG_SCHED_TIE, memory_left(r), (uint32_t)share_left(r), 0};
        if (!p->device[d].usable)
                v.fate = FG_SCHED_UNUSABLE;
        else if (p->device[d].crowded)
                v.fate = FG_SCHED_CROWDED;
        else if (!has_room(r, want))
                v.fate = has_share(r, want) ? FG_SCHED_NO_MEMORY : FG_SCHED_NO_SHARE;
        else
                v.score = score(p, d, want);
        return v;
}

/* Those that are last, fewest of this set, the policy, the least loss, the lowest index; where most counts, most free memory before that. */
static bool is_better(const struct plan *p, size_t d, int32_t score_a, size_t best, int32_t score_b, bool most)
{
        const struct room *a = &p->room[d], *b = &p->room[best];
        if (p->device[d].last != p->device[best].last)
                return p->device[best].last;
        if (a->placed != b->placed)
                return a->placed < b->placed;
        if (score_a != score_b)
                return score_a > score_b;
        if (p->device[d].loss != p->device[best].loss)
                return p->device[d].loss < p->device[best].loss;
        return most && a->memory > b->memory;
}

static void settle(const struct plan *p, struct fg_sched_verdict *v, size_t best)
{
        for (size_t d = 0; d < p->devices; d++) {
                if (v[d].fate != FG_SCHED_TIE)
                        continue;
                if (best == p->devices)
                        v[d].fate = FG_SCHED_LAST;
                else if (d == best)
                        v[d].fate = FG_SCHED_CHOSEN;
                else if (p->device[d].last != p->device[best].last)
                        v[d].fate = FG_SCHED_LAST;
                else if (p->room[d].placed != p->room[best].placed)
                        v[d].fate = FG_SCHED_OF_SET;
                else if (v[d].score < v[best].score)
                        v[d].fate = FG_SCHED_LESS;
                else if (p->device[d].loss > p->device[best].loss)
                        v[d].fate = FG_SCHED_SLOWER;
        }
}

/* Who could have a device that is only crowded is not sent to one that is `last` behind his back. */
static bool would_rather_wait(const struct plan *p, size_t best, const struct fg_sched_want *want)
{
        for (size_t d = 0; d < p->devices && p->device[best].last; d++)
                if (p->device[d].usable && p->device[d].crowded && !p->device[d].last && has_room(&p->room[d], want))
                        return true;
        return false;
}

static int choose_device(const struct plan *p, size_t i, uint32_t *ret)
{
        bool most = !p->placer || !p->want[i].memory || !p->want[i].share;
        struct fg_sched_verdict best_has = {0};
        size_t best = p->devices;
        for (size_t d = 0; d < p->devices; d++) {
                struct fg_sched_verdict v = look(p, d, &p->want[i]);
                if (p->verdict)
                        p->verdict[i * p->devices + d] = v;
                if (v.fate == FG_SCHED_TIE &&
                    (best == p->devices || is_better(p, d, v.score, best, best_has.score, most))) {
                        best = d;
                        best_has = v;
                }
        }
        if (best < p->devices && would_rather_wait(p, best, &p->want[i]))
                best = p->devices;
        if (p->verdict)
                settle(p, &p->verdict[i * p->devices], best);
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
        if (p->verdict)
                memset(p->verdict, 0, p->count * p->devices * sizeof(*p->verdict));
        for (size_t k = 0; k < p->count; k++) {
                size_t i = p->order[k];
                if (choose_device(p, i, &p->chosen[i]) < 0) {
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
        if (place_in_order(p, &ignored) == 0)
                return 0;
        if (p->verdict) { /* what is said is what *ret_misfit is about */
                for (size_t i = 0; i < p->count; i++)
                        p->order[i] = i;
                place_in_order(p, ret_misfit);
        }
        return -ENOSPC;
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

int fg_sched_place_by(const struct fg_placer *placer, const struct fg_sched_device *device, size_t devices,
                      const struct fg_sched_want *want, size_t count, uint32_t *ret_device, uint64_t *ret_memory, uint32_t *ret_share,
                      struct fg_sched_misfit *ret_misfit)
{
        __attribute__((cleanup(plan_clear))) struct plan p = {
                .placer = placer, .device = device, .devices = devices, .want = want, .count = count};
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

int fg_sched_place(const struct fg_sched_device *device, size_t devices, const struct fg_sched_want *want, size_t count,
                   uint32_t *ret_device, uint64_t *ret_memory, uint32_t *ret_share, struct fg_sched_misfit *ret_misfit)
{
        return fg_sched_place_by(NULL, device, devices, want, count, ret_device, ret_memory, ret_share, ret_misfit);
}

int fg_sched_explain(const struct fg_placer *placer, const struct fg_sched_device *device, size_t devices, const struct fg_sched_want *want,
                     size_t count, uint32_t *ret_device, struct fg_sched_verdict *ret, struct fg_sched_misfit *ret_misfit)
{
        __attribute__((cleanup(plan_clear))) struct plan p = {
                .placer = placer, .device = device, .devices = devices, .want = want, .count = count, .verdict = ret};
        int r = plan_init(&p);
        if (r == 0)
                r = choose_all(&p, ret_misfit);
        for (size_t i = 0; i < count && r == 0; i++)
                ret_device[i] = p.chosen[i];
        return r;
}
