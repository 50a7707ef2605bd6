/* SPDX-License-Identifier: Apache-2.0 */
#include "bill/advice.h"

#include "sched/money.h"

#include <stdbool.h>

#define SHARE_STEP 10u /* permille */

static uint64_t smaller(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static uint64_t round_up(fg_uint128 value, uint64_t step, uint64_t most)
{
        fg_uint128 steps = (value + step - 1) / step;
        return steps > most / step ? most : (uint64_t)steps * step;
}

/* r = max(m, c), as the metering has it. */
static uint32_t rate_of(const struct fg_bill_seen *seen, uint64_t memory, uint32_t share)
{
        uint64_t part = memory >= seen->device_memory ? FG_PPM : (uint64_t)((fg_uint128)memory * FG_PPM / seen->device_memory);
        return (uint32_t)(part > share * 1000ull ? part : share * 1000ull);
}

static int64_t month_of(int64_t ppm, int64_t price)
{
        fg_int128 cost;
        if (fg_cost_of((fg_int128)ppm * FG_ADVICE_MONTH_HOURS * 3600 * 1000000, price, &cost) < 0)
                return 0;
        return fg_money_round(cost, 9);
}

static bool is_refused(const struct fg_bill_seen *seen)
{
        return seen->refusals > 0;
}

static bool is_throttled(const struct fg_bill_seen *seen)
{
        return seen->throttled_ms > 0 && (fg_uint128)seen->throttled_ms * 10 >= seen->metered_ms;
}

static uint64_t memory_needed(const struct fg_bill_seen *seen)
{
        uint64_t need = round_up((fg_uint128)seen->memory_peak + seen->memory_peak / 4 + (seen->memory_peak % 4 != 0), FG_ADVICE_MEMORY_STEP, UINT64_MAX);
        if (need < FG_ADVICE_MEMORY_STEP)
                need = FG_ADVICE_MEMORY_STEP;
        return is_refused(seen) ? seen->memory : smaller(need, seen->memory);
}

static uint32_t share_needed(const struct fg_bill_seen *seen)
{
        uint64_t need = round_up(((fg_uint128)seen->share_peak * 5 + 3) / 4, SHARE_STEP, UINT32_MAX);
        if (need < SHARE_STEP)
                need = SHARE_STEP;
        return is_throttled(seen) ? seen->share : (uint32_t)smaller(need, seen->share);
}

/* Of the two, only what makes it cheaper is changed. */
static void shrink(const struct fg_bill_seen *seen, struct fg_bill_advice *ret)
{
        uint64_t memory = memory_needed(seen);
        uint32_t share = share_needed(seen);
        uint32_t then = rate_of(seen, memory, share);
        if ((uint64_t)(ret->rate - then) * 20 < ret->rate || then == ret->rate)
                return;
        ret->kind = FG_ADVICE_SHRINK;
        ret->rate_then = then;
        ret->memory = rate_of(seen, seen->memory, share) == then ? seen->memory : memory;
        ret->share = rate_of(seen, ret->memory, seen->share) == then ? seen->share : share;
}

static bool want_more(const struct fg_bill_seen *seen, struct fg_bill_advice *ret)
{
        bool is_full = (fg_uint128)seen->memory_peak * 10 >= (fg_uint128)seen->memory * 9;
        if (is_refused(seen) && is_full && seen->memory < seen->device_memory) {
                ret->kind = FG_ADVICE_MORE_MEMORY;
                ret->memory = round_up((fg_uint128)seen->memory * 5 / 4, FG_ADVICE_MEMORY_STEP, seen->device_memory);
        } else if (is_throttled(seen) && seen->share_peak * 5ull >= seen->share * 4ull && seen->share < 1000) {
                ret->kind = FG_ADVICE_MORE_SHARE;
                ret->share = (uint32_t)round_up(seen->share * 3ull / 2, SHARE_STEP, 1000);
        } else {
                return false;
        }
        ret->rate_then = rate_of(seen, ret->memory, ret->share);
        return true;
}

void fg_bill_advise(const struct fg_bill_seen *seen, struct fg_bill_advice *ret)
{
        *ret = (struct fg_bill_advice){.memory = seen->memory, .share = seen->share};
        if (!seen->device_memory)
                return;
        ret->rate = ret->rate_then = rate_of(seen, seen->memory, seen->share);
        if (seen->hours < FG_ADVICE_HOURS) {
                ret->kind = FG_ADVICE_TOO_NEW;
                return;
        }
        bool is_more = want_more(seen, ret);
        if (!is_more && !seen->busy_ms) {
                ret->kind = FG_ADVICE_DELETE;
                ret->rate_then = 0;
        } else if (!is_more) {
                shrink(seen, ret);
        }
        ret->saves = month_of((int64_t)ret->rate - ret->rate_then, seen->price);
}
