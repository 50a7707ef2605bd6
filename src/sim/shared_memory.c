/* SPDX-License-Identifier: Apache-2.0
 * How much of a GPU's memory is used, by whom.
 *
 * The counter of a GPU is one 16-byte value: the total, and the last operation: its number, whose slot, and what that
 * slot has afterwards. Nobody overwrites the value before the operation in it is completed in its slot, so a death in
 * between loses nothing. */
#include "sim/shared_internal.h"

#include "base/atomic.h"

#define UNIT_BITS 36 /* 32 TiB in units of 512 */
#define SEQ_LOW   28

typedef unsigned __int128 value_t;

struct counter {
        uint64_t used, held; /* in units */
        uint64_t seq;        /* 46 bits: as good as unique */
        uint32_t slot;
};

static inline uint64_t low(uint64_t value, unsigned bits)
{
        return value & ((1ull << bits) - 1);
}

static inline value_t pack(struct counter c)
{
        uint64_t a = low(c.used, UNIT_BITS) | (uint64_t)low(c.slot, 10) << UNIT_BITS | low(c.seq >> SEQ_LOW, 18) << 46;
        uint64_t b = low(c.held, UNIT_BITS) | low(c.seq, SEQ_LOW) << UNIT_BITS;
        return (value_t)b << 64 | a;
}

static inline struct counter unpack(value_t v)
{
        uint64_t a = (uint64_t)v, b = (uint64_t)(v >> 64);
        return (struct counter){.used = low(a, UNIT_BITS),
                                .slot = (uint32_t)low(a >> UNIT_BITS, 10),
                                .held = low(b, UNIT_BITS),
                                .seq = (a >> 46) << SEQ_LOW | b >> UNIT_BITS};
}

/* The halves may be of different moments; a compare-and-swap with such a value fails. */
static inline value_t load(const value_t *p)
{
        const uint64_t *half = (const uint64_t *)(const void *)p;
        uint64_t a = fg_load_acquire(&half[0]);
        return (value_t)fg_load_acquire(&half[1]) << 64 | a;
}

static inline bool cas(value_t *p, value_t expected, value_t next)
{
        return __sync_bool_compare_and_swap(p, expected, next);
}

/* Writes the operation in `value` into its slot, unless that has been done. False: the counter has moved on. */
static bool complete(struct fgsim_gpu_state *gpu, value_t value)
{
        struct counter c = unpack(value);
        struct fgsim_share *share = &gpu->share[c.slot];
        for (;;) {
                value_t held = load(&share->held);
                if ((uint64_t)(held >> 64) == c.seq)
                        return true;
                /* Only while the counter holds this very operation is the slot known not to have it. */
                if (load(&gpu->used) != value)
                        return false;
                cas(&share->held, held, (value_t)c.seq << 64 | c.held * FGSIM_UNIT);
        }
}

static inline uint64_t held_units(const struct fgsim_gpu_state *gpu, uint32_t slot)
{
        return fg_load_acquire((const uint64_t *)(const void *)&gpu->share[slot].held) / FGSIM_UNIT;
}

/* One step from a completed `value`: slot has `held` units afterwards. The swap fails if anything happened since the
 * load. */
static bool step(struct fgsim_gpu_state *gpu, value_t value, uint32_t slot, uint64_t used, uint64_t held)
{
        struct counter next = {
                .used = used, .slot = slot, .held = held, .seq = low(unpack(value).seq + 1, SEQ_LOW + 18)};
        struct fgsim_share *share = &gpu->share[slot];
        value_t before = load(&share->held);
        if (!cas(&gpu->used, value, pack(next)))
                return false;
        /* It fails when somebody has completed our operation for us. */
        cas(&share->held, before, (value_t)next.seq << 64 | held * FGSIM_UNIT);
        return true;
}

static void note_high(struct fgsim_gpu_state *gpu, uint64_t bytes)
{
        uint64_t high = fg_load_relaxed(&gpu->high);
        while (bytes > high && !fg_cas_relaxed(&gpu->high, &high, bytes))
                ;
}

static bool try_take(uint32_t index, uint64_t units)
{
        struct fgsim_gpu_state *gpu = &fgsim_shared->gpu[index];
        uint64_t capacity = fgsim_spec.gpu[index].memory / FGSIM_UNIT;
        for (;;) {
                value_t value = load(&gpu->used);
                if (!complete(gpu, value))
                        continue;
                uint64_t used = unpack(value).used, held = held_units(gpu, fgsim_slot);
                if (units > capacity || used > capacity - units) {
                        if (load(&gpu->used) == value)
                                return false;
                        continue;
                }
                if (step(gpu, value, fgsim_slot, used + units, held + units)) {
                        note_high(gpu, (used + units) * FGSIM_UNIT);
                        return true;
                }
        }
}

bool fgsim_gpu_take(uint32_t gpu, uint64_t bytes)
{
        if (try_take(gpu, bytes / FGSIM_UNIT))
                return true;
        fgsim_reap(true);
        return try_take(gpu, bytes / FGSIM_UNIT);
}

void fgsim_gpu_give(uint32_t index, uint64_t bytes)
{
        struct fgsim_gpu_state *gpu = &fgsim_shared->gpu[index];
        for (;;) {
                value_t value = load(&gpu->used);
                if (!complete(gpu, value))
                        continue;
                uint64_t held = held_units(gpu, fgsim_slot), units = bytes / FGSIM_UNIT;
                units = units < held ? units : held;
                if (step(gpu, value, fgsim_slot, unpack(value).used - units, held - units))
                        return;
        }
}

void fgsim_gpu_strip(uint32_t index, uint32_t slot, uint64_t who)
{
        struct fgsim_gpu_state *gpu = &fgsim_shared->gpu[index];
        for (;;) {
                value_t value = load(&gpu->used);
                if (!complete(gpu, value))
                        continue;
                uint64_t held = held_units(gpu, slot);
                /* A new owner of the slot can only have memory after the counter has moved: then the swap fails. */
                if (held == 0 || fg_load_acquire(&fgsim_shared->process[slot].who) != who)
                        return;
                if (step(gpu, value, slot, unpack(value).used - held, 0))
                        return;
        }
}

uint64_t fgsim_gpu_used(uint32_t gpu)
{
        fgsim_reap(false);
        return unpack(load(&fgsim_shared->gpu[gpu].used)).used * FGSIM_UNIT;
}

uint64_t fgsim_share_held(uint32_t gpu, uint32_t slot)
{
        struct fgsim_gpu_state *state = &fgsim_shared->gpu[gpu];
        complete(state, load(&state->used));
        return held_units(state, slot) * FGSIM_UNIT;
}
