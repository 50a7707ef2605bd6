/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/history_block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum token { REPEAT, SKIP, ROW };

#define VARINT_MAX 10u
#define TOKEN_MAX  (VARINT_MAX * (FGD_H_COLUMNS + 3u)) /* a count, a gap and a row */

_Static_assert(FGD_H_COLUMNS <= 30, "the set of columns is one varint with the kind of token");

enum fgd_history_fold fgd_history_fold_of(enum fgd_history_column column)
{
        switch (column) {
        case FGD_H_MEMORY:
        case FGD_H_TEMPERATURE:
                return FGD_FOLD_MOST;
        case FGD_H_QUOTA:
        case FGD_H_SHARE:
        case FGD_H_STATE:
        case FGD_H_COUNT:
                return FGD_FOLD_LAST;
        default:
                return FGD_FOLD_SUM;
        }
}

static uint64_t sum(uint64_t a, uint64_t b)
{
        return __builtin_add_overflow(a, b, &a) ? UINT64_MAX : a;
}

void fgd_history_fold(struct fgd_history_row *to, const struct fgd_history_row *more)
{
        for (unsigned i = 0; i < FGD_H_COLUMNS; i++)
                switch (fgd_history_fold_of(i)) {
                case FGD_FOLD_SUM:
                        to->value[i] = sum(to->value[i], more->value[i]);
                        break;
                case FGD_FOLD_MOST:
                        to->value[i] = more->value[i] > to->value[i] ? more->value[i] : to->value[i];
                        break;
                case FGD_FOLD_LAST:
                        to->value[i] = more->value[i];
                        break;
                }
}

void fgd_history_add(struct fgd_history_row *to, const struct fgd_history_row *more)
{
        for (unsigned i = 0; i < FGD_H_COLUMNS; i++)
                if (i != FGD_H_STATE)
                        to->value[i] = sum(to->value[i], more->value[i]);
}

static void put(struct fgd_history_block *block, uint64_t value)
{
        for (; value >= 0x80; value >>= 7)
                block->data[block->size++] = (char)(value | 0x80);
        block->data[block->size++] = (char)value;
}

static int make_room(struct fgd_history_block *block)
{
        if (block->room - block->size >= TOKEN_MAX)
                return 0;
        size_t room = block->size + block->size / 2 + TOKEN_MAX;
        char *more = realloc(block->data, room);
        if (!more)
                return -ENOMEM;
        block->data = more;
        block->room = room;
        return 0;
}

static void put_repeats(struct fgd_history_block *block)
{
        if (block->repeats)
                put(block, (uint64_t)block->repeats << 2 | REPEAT);
        block->repeats = 0;
}

static uint64_t zigzag(uint64_t difference)
{
        return difference << 1 ^ -(difference >> 63);
}

static void put_row(struct fgd_history_block *block, const struct fgd_history_row *row)
{
        uint64_t differ = 0;
        for (unsigned i = 0; i < FGD_H_COLUMNS; i++)
                differ |= (uint64_t)(row->value[i] != block->last.value[i]) << i;
        put(block, differ << 2 | ROW);
        for (unsigned i = 0; i < FGD_H_COLUMNS; i++)
                if (differ >> i & 1)
                        put(block, zigzag(row->value[i] - block->last.value[i]));
        block->last = *row;
}

int fgd_history_block_add(struct fgd_history_block *block, int64_t at, int64_t step, const struct fgd_history_row *row)
{
        bool is_first = block->start == block->next;
        bool is_next = !is_first && at == block->next;
        if (!is_first && at < block->next)
                return -EINVAL;
        if (is_next && memcmp(row, &block->last, sizeof *row) == 0) {
                block->repeats++;
                block->next += step;
                return 0;
        }
        if (make_room(block) < 0)
                return -ENOMEM;
        put_repeats(block);
        if (is_first)
                block->start = at;
        else if (!is_next)
                put(block, (uint64_t)((at - block->next) / step) << 2 | SKIP);
        put_row(block, row);
        block->next = at + step;
        return 0;
}

int fgd_history_block_close(struct fgd_history_block *block)
{
        if (block->repeats && make_room(block) < 0)
                return -ENOMEM;
        put_repeats(block);
        return 0;
}

void fgd_history_block_reset(struct fgd_history_block *block)
{
        block->size = 0;
        block->start = block->next = 0;
        block->repeats = 0;
        block->last = (struct fgd_history_row){0};
}

void fgd_history_block_free(struct fgd_history_block *block)
{
        free(block->data);
        *block = (struct fgd_history_block){0};
}

void fgd_history_read(struct fgd_history_reader *r, const void *data, size_t size, int64_t start, int64_t step, int64_t until)
{
        const unsigned char *at = data;
        *r = (struct fgd_history_reader){.at = at, .end = size ? at + size : at, .next = start, .step = step, .until = until};
}

static bool get(struct fgd_history_reader *r, uint64_t *ret)
{
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
                unsigned char c = *r->at++;
                value |= (uint64_t)(c & 0x7f) << shift;
                if (c < 0x80) {
                        *ret = value;
                        return true;
                }
        }
        return false;
}

static bool get_row(struct fgd_history_reader *r, uint64_t differ)
{
        if (differ >> FGD_H_COLUMNS)
                return false;
        for (unsigned i = 0; i < FGD_H_COLUMNS; i++) {
                uint64_t change;
                if (!(differ >> i & 1))
                        continue;
                if (!get(r, &change))
                        return false;
                r->row.value[i] += change >> 1 ^ -(change & 1);
        }
        return true;
}

bool fgd_history_next(struct fgd_history_reader *r, int64_t *ret_at)
{
        uint64_t token;
        while (!r->repeats && r->next < r->until) {
                if (!get(r, &token))
                        return false;
                uint64_t value = token >> 2;
                if ((token & 3) == ROW && get_row(r, value))
                        r->repeats = 1;
                else if ((token & 3) == SKIP && value <= (uint64_t)((r->until - r->next) / r->step))
                        r->next += (int64_t)value * r->step;
                else if ((token & 3) == REPEAT && value <= UINT32_MAX)
                        r->repeats = (uint32_t)value;
                else
                        return false;
        }
        if (r->next >= r->until)
                return false;
        *ret_at = r->next;
        r->next += r->step;
        r->repeats--;
        return true;
}
