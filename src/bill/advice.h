/* SPDX-License-Identifier: Apache-2.0
 *
 * What to do about a vGPU, by what it was asked for and what it used. Pure arithmetic. The rule, in this order:
 *
 *  1. Seen for less than FG_ADVICE_HOURS hours: nothing is said.
 *  2. Allocations were refused, and it used at least 90 % of its memory: a quarter more memory.
 *  3. It waited for at least a tenth of its time, and used at least 80 % of its share in its busiest hour: half as much share again.
 *  4. It did not use its device at all: delete it.
 *  5. Otherwise what it needs: memory, the most it used at once and a quarter more, up to the next 64 MiB; share, that of its
 *     busiest hour and a quarter more, up to the next whole percent. Never more than it has; what was refused needs all of its
 *     memory, what waited all of its share. If holding that (the larger of both parts of the device) costs at least 5 % less than
 *     what it holds now: resize it, and no more of the two than it takes.
 *
 * So nobody is told to go below what he used and the margin. A month has 730 hours. */
#ifndef FG_BILL_ADVICE_H
#define FG_BILL_ADVICE_H

#include <stdint.h>

#define FG_ADVICE_HOURS       24
#define FG_ADVICE_MONTH_HOURS 730
#define FG_ADVICE_MEMORY_STEP (64ull << 20)

struct fg_bill_seen {
        uint64_t device_memory;       /* bytes; 0: not known, then nothing is said */
        uint64_t memory, memory_peak; /* bytes: asked for, and the most used at once */
        uint32_t share, share_peak;   /* permille: asked for, and used in the busiest hour */
        uint64_t hours;               /* of the clock, in which it existed */
        uint64_t metered_ms, busy_ms, throttled_ms;
        uint64_t refusals;
        int64_t price;                /* nano-units per GPU-hour; 0: none */
};

enum fg_bill_advice_kind { FG_ADVICE_NONE, FG_ADVICE_TOO_NEW, FG_ADVICE_MORE_MEMORY, FG_ADVICE_MORE_SHARE, FG_ADVICE_DELETE, FG_ADVICE_SHRINK };

struct fg_bill_advice {
        enum fg_bill_advice_kind kind;
        uint64_t memory; /* to ask for; as it is where that need not change */
        uint32_t share;
        uint32_t rate, rate_then; /* ppm of the device that it holds, and would */
        int64_t saves;            /* nano-units a month; below 0: it costs so much more */
};

void fg_bill_advise(const struct fg_bill_seen *seen, struct fg_bill_advice *ret);

#endif
