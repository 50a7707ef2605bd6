/* SPDX-License-Identifier: Apache-2.0 */
#include "bill/spend.h"

#include <errno.h>
#include <stdlib.h>

static struct fg_bill_spend *row_of(const struct fg_bill_spends *spends, int64_t job, uint32_t currency)
{
        uint64_t hash = ((uint64_t)job ^ (uint64_t)currency << 48) * 0x9e3779b97f4a7c15u;
        uint32_t mask = spends->rows - 1, at = (uint32_t)(hash >> 32) & mask;
        while (spends->row[at].job && (spends->row[at].job != job || spends->row[at].currency != currency))
                at = (at + 1) & mask;
        return &spends->row[at];
}

int fg_bill_spends_reserve(struct fg_bill_spends *spends, uint32_t more)
{
        struct fg_bill_spends larger = {.count = spends->count, .rows = spends->rows ? spends->rows : 64};
        size_t wanted = 2 * ((size_t)spends->count + more);
        if (wanted <= spends->rows)
                return 0;
        if (wanted > UINT32_MAX / 4)
                return -ENOMEM;
        while (larger.rows < wanted)
                larger.rows *= 2;
        larger.row = calloc(larger.rows, sizeof *larger.row);
        if (!larger.row)
                return -ENOMEM;
        for (uint32_t i = 0; i < spends->rows; i++)
                if (spends->row[i].job)
                        *row_of(&larger, spends->row[i].job, spends->row[i].currency) = spends->row[i];
        free(spends->row);
        *spends = larger;
        return 0;
}

void fg_bill_spends_add(struct fg_bill_spends *spends, int64_t job, uint32_t currency, fg_int128 cost)
{
        struct fg_bill_spend *row = row_of(spends, job, currency);
        if (!row->job) {
                *row = (struct fg_bill_spend){job, currency, cost};
                spends->count++;
        } else if (__builtin_add_overflow(row->cost, cost, &row->cost)) {
                row->cost = FG_INT128_MAX;
        }
}

fg_int128 fg_bill_spends_get(const struct fg_bill_spends *spends, int64_t job, uint32_t currency)
{
        return spends->rows ? row_of(spends, job, currency)->cost : 0;
}

void fg_bill_spends_clear(struct fg_bill_spends *spends)
{
        free(spends->row);
        *spends = (struct fg_bill_spends){0};
}
