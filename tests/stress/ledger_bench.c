/* SPDX-License-Identifier: Apache-2.0
 * CPU time of a reserve and its refund with 0 and with 50 000 live allocations, against an empty loop and an uncontended
 * atomic addition pair in the same run. Prints one JSON line; medians of interleaved repeats. */
#include "base/atomic.h"
#include "base/clock.h"
#include "ledger/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ROUNDS  200000u
#define REPEATS 15
#define LIVE    50000u

static uint64_t cpu_now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * FG_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median(double *v)
{
        qsort(v, REPEATS, sizeof(*v), by_value);
        return v[REPEATS / 2];
}

static double pair_ns(struct fg_ledger *ledger)
{
        uint64_t t = cpu_now();

        for (unsigned i = 0; i < ROUNDS; i++) {
                if (fg_ledger_reserve(ledger, 4096) == 0)
                        fg_ledger_refund(ledger, 4096);
        }
        return (double)(cpu_now() - t) / ROUNDS;
}

static double atomic_ns(uint64_t *word)
{
        uint64_t t = cpu_now();

        for (unsigned i = 0; i < ROUNDS; i++) {
                fg_add_seq_cst(word, 4096);
                fg_sub_seq_cst(word, 4096);
        }
        return (double)(cpu_now() - t) / ROUNDS;
}

static void *map(size_t size)
{
        return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int main(void)
{
        struct fg_limits_page *limits = map(sizeof(*limits));
        struct fg_usage_page *usage = map(sizeof(*usage));
        double empty[REPEATS], full[REPEATS], bare[REPEATS];
        struct fg_ledger ledger;
        uint64_t word = 0;

        limits->quota = UINT64_C(1) << 40;
        fg_page_init_usage(usage);
        fg_ledger_open(&ledger, limits, usage, 3);
        pair_ns(&ledger);
        for (int i = 0; i < REPEATS; i++) {
                bare[i] = atomic_ns(&word);
                empty[i] = pair_ns(&ledger);
                for (unsigned k = 0; k < LIVE; k++)
                        fg_ledger_reserve(&ledger, 64);
                full[i] = pair_ns(&ledger);
                for (unsigned k = 0; k < LIVE; k++)
                        fg_ledger_refund(&ledger, 64);
        }
        printf("{\"atomic_pair_ns\": %.1f, \"pair_ns_0_live\": %.1f, \"pair_ns_50000_live\": %.1f}\n", median(bare), median(empty),
               median(full));
        return 0;
}
