/* SPDX-License-Identifier: Apache-2.0 */
#include "bill/sums.h"
#include "bill/when.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void fg_bill_sums_clear(struct fg_bill_sums *sums)
{
        for (uint32_t i = 0; i < sums->texts.count; i++)
                free(sums->texts.text[i]);
        free(sums->texts.text);
        free(sums->texts.bucket);
        free(sums->cell);
        free(sums->bucket);
        fg_bill_spends_clear(&sums->spends);
        *sums = (struct fg_bill_sums){0};
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
        hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
        return hash ^ (hash >> 32);
}

static uint64_t hash_of(const struct fg_bill_cell *cell)
{
        uint64_t hash = mix((uint64_t)cell->day, (uint64_t)cell->price);
        hash = mix(hash, (uint64_t)cell->vgpu << 32 | cell->device);
        hash = mix(hash, (uint64_t)cell->project << 32 | cell->user);
        return mix(hash, (uint64_t)cell->name << 32 | cell->currency << 1 | cell->cap);
}

static bool is_same_key(const struct fg_bill_cell *a, const struct fg_bill_cell *b)
{
        return a->day == b->day && a->price == b->price && a->vgpu == b->vgpu && a->device == b->device &&
               a->project == b->project && a->user == b->user && a->name == b->name && a->currency == b->currency &&
               a->cap == b->cap;
}

static uint32_t *bucket_of(const struct fg_bill_sums *sums, const struct fg_bill_cell *cell)
{
        uint32_t mask = sums->buckets - 1, at = (uint32_t)hash_of(cell) & mask;
        while (sums->bucket[at] && !is_same_key(&sums->cell[sums->bucket[at] - 1], cell))
                at = (at + 1) & mask;
        return &sums->bucket[at];
}

/* Equation: at most half of the buckets are taken. */
int fg_bill_sums_reserve(struct fg_bill_sums *sums, uint32_t more)
{
        size_t room = sums->room ? sums->room : 64, wanted = (size_t)sums->count + more;
        if (fg_bill_spends_reserve(&sums->spends, more) < 0)
                return -ENOMEM;
        if (wanted <= sums->room)
                return 0;
        while (room < wanted)
                room *= 2;
        if (room > UINT32_MAX / 4)
                return -ENOMEM;
        struct fg_bill_cell *cell = realloc(sums->cell, room * sizeof(*cell));
        if (!cell)
                return -ENOMEM;
        sums->cell = cell;
        uint32_t *bucket = calloc(2 * room, sizeof(*bucket));
        if (!bucket)
                return -ENOMEM;
        free(sums->bucket);
        sums->bucket = bucket;
        sums->buckets = (uint32_t)(2 * room);
        sums->room = (uint32_t)room;
        for (uint32_t i = 0; i < sums->count; i++)
                *bucket_of(sums, &cell[i]) = i + 1;
        return 0;
}

void fg_bill_sums_add(struct fg_bill_sums *sums, const struct fg_bill_cell *more)
{
        uint32_t *bucket = bucket_of(sums, more);
        if (more->job)
                fg_bill_spends_add(&sums->spends, more->job, more->currency, fg_bill_cell_cost(more));
        if (*bucket == 0) {
                sums->cell[sums->count++] = *more;
                *bucket = sums->count;
                return;
        }
        struct fg_bill_cell *cell = &sums->cell[*bucket - 1];
        cell->time += more->time, cell->busy += more->busy;
        cell->reserved += more->reserved, cell->burst += more->burst, cell->surcharge += more->surcharge;
        cell->credit += more->credit, cell->rebate += more->rebate;
        cell->first = more->first < cell->first ? more->first : cell->first;
        cell->last = more->last > cell->last ? more->last : cell->last;
        cell->records += more->records;
}

/* "17", of an array's element "17.3", and "17_2" where somebody else had its vGPUs' name: the number is what comes first. */
static int64_t job_of(const char *text)
{
        int64_t number = 0;
        for (; *text >= '0' && *text <= '9' && number < INT64_MAX / 10 - 1; text++)
                number = number * 10 + (*text - '0');
        return number;
}

int fg_bill_cell_of(struct fg_bill_texts *texts, const struct fg_bill_usage *usage, const char *device,
                    struct fg_bill_cell *ret)
{
        struct fg_bill_cell cell = {
                .day = usage->start - usage->start % FG_BILL_DAY,
                .price = usage->price,
                .cap = strcmp(usage->mode, "cap") == 0,
                .job = job_of(usage->job),
                .time = usage->end - usage->begin,
                .busy = usage->conserved,
                .reserved = usage->reserved,
                .burst = usage->burst,
                .surcharge = usage->surcharge,
                .credit = usage->credit,
                .rebate = usage->rebate,
                .first = usage->seq,
                .last = usage->seq,
                .records = 1,
        };
        const struct {
                const char *text;
                uint32_t *ret;
        } row[] = {
                {device, &cell.device},          {usage->vgpu, &cell.vgpu}, {usage->name, &cell.name},
                {usage->project, &cell.project}, {usage->user, &cell.user}, {usage->currency, &cell.currency},
        };
        for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
                if (fg_bill_texts_number(texts, row[i].text, row[i].ret) < 0)
                        return -ENOMEM;
        *ret = cell;
        return 0;
}

fg_int128 fg_bill_cell_cost(const struct fg_bill_cell *cell)
{
        return (fg_int128)(cell->reserved + cell->surcharge - cell->credit - cell->rebate) * cell->price;
}
