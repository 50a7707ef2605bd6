/* SPDX-License-Identifier: Apache-2.0
 * The engines of a GPU between processes.
 *
 * Compute: the process whose slot is in `turn` works, for a slice while others want it too, then hands the turn to the
 * next slot that wants it. Nothing is locked: a waiter takes the turn from a dead owner (it looks when the owner has
 * not moved for 2 ms), and from one that is stopped or starved (it has not moved for a quarter of a second). A slot's
 * own bit in `wants` is set by its process alone and cleared by it or by who finds it dead.
 *
 * Copies: each process reserves a small piece of the engine's time behind what is reserved already. The two copy
 * engines' `free_at` are the first two reserved words of struct fgsim_queue. */
#include "base/futex.h"
#include "sim/exec.h"

#define LOOK_NS     (2 * FG_NSEC_PER_MSEC)
#define OVERSTAY_NS (250 * FG_NSEC_PER_MSEC)
#define PIECE_NS    (1 * FG_NSEC_PER_MSEC) /* taken at once: what a process that dies may leave behind */

/* Of this process; used by the compute thread of the GPU alone. */
static struct {
        bool is_mine;
        uint64_t slice_from;
} turns[FGSIM_GPUS_MAX];

static struct fgsim_queue *queue_of(uint32_t gpu)
{
        return &fgsim_shared->gpu[gpu].queue;
}

static uint64_t *copy_free_at(uint32_t gpu, enum fgsim_lane lane)
{
        return &queue_of(gpu)->reserved[lane == FGSIM_LANE_IN ? 0 : 1];
}

uint64_t fgsim_engine_free_at(uint32_t gpu, enum fgsim_lane lane)
{
        if (lane == FGSIM_LANE_HOST)
                return fg_now();
        return fg_load_relaxed(lane == FGSIM_LANE_COMPUTE ? &queue_of(gpu)->free_at : copy_free_at(gpu, lane));
}

static void sleep_until(uint64_t when)
{
        struct timespec at = {(time_t)(when / FG_NSEC_PER_SEC), (long)(when % FG_NSEC_PER_SEC)};

        while (fg_now() < when)
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void want(struct fgsim_queue *queue, uint32_t slot, bool does)
{
        uint64_t bit = 1ull << (slot % 64);

        if (does)
                __atomic_fetch_or(&queue->wants[slot / 64], bit, __ATOMIC_SEQ_CST);
        else
                __atomic_fetch_and(&queue->wants[slot / 64], ~bit, __ATOMIC_SEQ_CST);
}

/* The first slot of a word's `bits` (all above or equal `from`) that lives; FGSIM_SLOTS_MAX: none. */
static uint32_t wanting_in(struct fgsim_queue *queue, uint32_t word, uint64_t mask)
{
        uint64_t bits = fg_load_seq_cst(&queue->wants[word]) & mask;

        while (bits) {
                uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
                if (slot != fgsim_slot && fgsim_slot_lives(slot))
                        return slot;
                if (slot != fgsim_slot)
                        want(queue, slot, false);
                bits &= bits - 1;
        }
        return FGSIM_SLOTS_MAX;
}

/* Who comes after us in the round. */
static uint32_t next_wanting(struct fgsim_queue *queue)
{
        uint32_t words = FGSIM_SLOTS_MAX / 64, own = fgsim_slot / 64;
        uint64_t above = ~0ull << (fgsim_slot % 64);
        uint32_t found = wanting_in(queue, own, above);

        for (uint32_t i = 1; i < words && found == FGSIM_SLOTS_MAX; i++)
                found = wanting_in(queue, (own + i) % words, ~0ull);
        return found == FGSIM_SLOTS_MAX ? wanting_in(queue, own, ~above) : found;
}

/* Slots sleep by their number's remainder, so that a hand-over wakes few besides the one that it is for. */
static uint32_t bit_of(uint32_t slot)
{
        return slot == FGSIM_SLOTS_MAX ? ~0u : 1u << (slot % 32);
}

static void wake(struct fgsim_queue *queue, uint32_t slot)
{
        fg_add_seq_cst(&queue->wake, 1);
        syscall(SYS_futex, &queue->wake, FUTEX_WAKE_BITSET, INT32_MAX, NULL, NULL, bit_of(slot));
}

static void sleep_on(struct fgsim_queue *queue, uint32_t seen, uint64_t until)
{
        struct timespec at = {(time_t)(until / FG_NSEC_PER_SEC), (long)(until % FG_NSEC_PER_SEC)};

        syscall(SYS_futex, &queue->wake, FUTEX_WAIT_BITSET, seen, &at, NULL, bit_of(fgsim_slot));
}

bool fgsim_turn_is_mine(uint32_t gpu)
{
        return turns[gpu].is_mine;
}

/* What an earlier process in our slot left behind. */
void fgsim_turn_reset(uint32_t gpu)
{
        struct fgsim_queue *queue = queue_of(gpu);
        uint32_t own = fgsim_slot + 1;

        if (turns[gpu].is_mine)
                return;
        want(queue, fgsim_slot, false);
        if (__atomic_compare_exchange_n(&queue->turn, &own, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
                wake(queue, FGSIM_SLOTS_MAX);
}

void fgsim_turn_give(uint32_t gpu)
{
        struct fgsim_queue *queue = queue_of(gpu);
        uint32_t own = fgsim_slot + 1, next;

        if (!turns[gpu].is_mine)
                return;
        turns[gpu].is_mine = false;
        next = next_wanting(queue);
        if (!__atomic_compare_exchange_n(&queue->turn, &own, next == FGSIM_SLOTS_MAX ? 0 : next + 1, false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
                return;
        /* Who began to want it after we looked sees the 0, or sleeps by now and is woken. */
        if (next != FGSIM_SLOTS_MAX || next_wanting(queue) != FGSIM_SLOTS_MAX)
                wake(queue, next);
}

static bool try_take(struct fgsim_queue *queue, uint32_t found)
{
        uint32_t own = fgsim_slot + 1;

        return found == own ||
               __atomic_compare_exchange_n(&queue->turn, &found, own, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Sleeps while `owner` has the turn; true: it is dead, or stands still for too long. */
static bool wait_for(struct fgsim_queue *queue, uint32_t owner)
{
        uint64_t since = fg_load_relaxed(&queue->turn_since), from = fg_now(), waited;
        uint32_t seen;

        for (;;) {
                seen = fg_load_seq_cst(&queue->wake);
                if (fg_load_seq_cst(&queue->turn) != owner)
                        return false;
                sleep_on(queue, seen, fg_now() + LOOK_NS);
                if (fg_load_seq_cst(&queue->turn) != owner || fg_load_relaxed(&queue->turn_since) != since)
                        return false;
                waited = fg_now() - from;
                if (waited > OVERSTAY_NS)
                        return true;
                if (waited >= LOOK_NS && !fgsim_slot_lives(owner - 1)) {
                        want(queue, owner - 1, false);
                        return true;
                }
        }
}

void fgsim_turn_take(uint32_t gpu, uint64_t ready)
{
        struct fgsim_queue *queue = queue_of(gpu);
        uint64_t free_at;

        want(queue, fgsim_slot, true);
        for (;;) {
                uint32_t found = fg_load_seq_cst(&queue->turn);
                if ((found == 0 || found == fgsim_slot + 1 || wait_for(queue, found)) && try_take(queue, found))
                        break;
        }
        want(queue, fgsim_slot, false);
        turns[gpu].is_mine = true;
        free_at = fg_load_relaxed(&queue->free_at);
        turns[gpu].slice_from = ready > free_at ? ready : free_at;
        fg_store_relaxed(&queue->turn_since, fg_now());
}

/* Until when this process may go on; hands the turn over and gets it back when the slice is used up and others wait. */
static uint64_t slice_end(uint32_t gpu, uint64_t *start)
{
        uint64_t slice = fgsim_spec.gpu[gpu].slice_ns, free_at;

        if (turns[gpu].is_mine && *start >= turns[gpu].slice_from + slice) {
                if (next_wanting(queue_of(gpu)) == FGSIM_SLOTS_MAX)
                        turns[gpu].slice_from = *start;
                else
                        fgsim_turn_give(gpu);
                fg_store_relaxed(&queue_of(gpu)->turn_since, fg_now());
        }
        if (!turns[gpu].is_mine) {
                fgsim_turn_take(gpu, *start);
                free_at = fg_load_relaxed(&queue_of(gpu)->free_at);
                *start = *start > free_at ? *start : free_at;
        }
        return slice ? turns[gpu].slice_from + slice : UINT64_MAX;
}

uint64_t fgsim_turn_occupy(uint32_t gpu, uint64_t ready, uint64_t ns)
{
        struct fgsim_gpu_state *state = &fgsim_shared->gpu[gpu];
        uint64_t free_at = fg_load_relaxed(&state->queue.free_at);
        uint64_t start = ready > free_at ? ready : free_at;

        while (ns > 0 && !fg_load_relaxed(&state->lost)) {
                uint64_t end = slice_end(gpu, &start);
                uint64_t part = end - start < ns ? end - start : ns;
                part = part < PIECE_NS ? part : PIECE_NS;
                fg_store_relaxed(&state->queue.turn_since, fg_now());
                fg_store_relaxed(&state->queue.free_at, start + part);
                sleep_until(start + part);
                start += part;
                ns -= part;
                fg_add_relaxed(&state->busy_ns, part);
                fg_add_relaxed(&state->share[fgsim_slot].busy_ns, part);
        }
        return start;
}

uint64_t fgsim_copy_occupy(uint32_t gpu, enum fgsim_lane lane, uint64_t ready, uint64_t ns)
{
        uint64_t *free_at = copy_free_at(gpu, lane);

        while (ns > 0 && !fg_load_relaxed(&fgsim_shared->gpu[gpu].lost)) {
                uint64_t found = fg_load_relaxed(free_at), part = ns < PIECE_NS ? ns : PIECE_NS, start;
                do
                        start = found > ready ? found : ready;
                while (!fg_cas_relaxed(free_at, &found, start + part));
                ready = start + part;
                ns -= part;
                sleep_until(ready);
        }
        return ready;
}
