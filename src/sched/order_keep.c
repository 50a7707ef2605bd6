/* SPDX-License-Identifier: Apache-2.0
 * What was learned, as text: a first line with the version and two counts, then a line for each class:
 *
 *      LEVEL PROJECT USER NAME SHARE RUNS TOUCHED WORK BUCKET:WEIGHT...
 *
 * Numbers are decimal, WORK in us and WEIGHT in millionths, so that what is read back is what the next save writes. */
#include "base/cleanup.h"
#include "sched/order_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION    "fastgpu-order 1"
#define WEIGHT_ONE 1000000u
#define WEIGHT_MAX (51u * WEIGHT_ONE) /* 1 / (1 - 0.98), and a bit */
#define SIZE_MAX_TEXT ((size_t)FG_ORDER_CLASSES_MAX * 2048)

int fg_order_save(const struct fg_order *o, char **ret, size_t *ret_size)
{
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        fprintf(f, VERSION " %zu %" PRIu64 "\n", o->count, o->clock);
        for (size_t i = 0; i < o->count; i++) {
                const struct fg_order_class *c = &o->class[i];
                fprintf(f, "%u", c->level);
                for (int k = 0; k < 4; k++)
                        fprintf(f, " %" PRIu64, c->key[k]);
                fprintf(f, " %" PRIu64 " %" PRIu64 " %" PRIu64, c->runs, c->touched, (uint64_t)c->work);
                for (unsigned b = 0; b < FG_ORDER_BUCKETS; b++)
                        if ((uint64_t)((double)c->weight[b] * WEIGHT_ONE + 0.5) > 0)
                                fprintf(f, " %u:%" PRIu64, b, (uint64_t)((double)c->weight[b] * WEIGHT_ONE + 0.5));
                fputc('\n', f);
        }
        bool bad = ferror(f);
        if (fclose(f) != 0 || bad) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        *ret_size = size;
        return 0;
}

/* A decimal number up to `most`, and the character after it. */
static bool number(const char **at, const char *end, uint64_t most, char after, uint64_t *ret)
{
        uint64_t value = 0;
        const char *c = *at;
        for (; c < end && *c >= '0' && *c <= '9'; c++)
                if (__builtin_mul_overflow(value, 10u, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value))
                        return false;
        if (c == *at || c >= end || value > most || (after ? *c != after : *c != ' ' && *c != '\n'))
                return false;
        *at = c + 1;
        *ret = value;
        return true;
}

static bool read_weights(struct fg_order_class *class, const char **at, const char *end)
{
        uint64_t bucket, weight;
        for (int64_t last = -1; (*at)[-1] != '\n'; last = (int64_t)bucket) {
                if (!number(at, end, FG_ORDER_BUCKETS - 1, ':', &bucket) || (int64_t)bucket <= last ||
                    !number(at, end, WEIGHT_MAX, 0, &weight))
                        return false;
                class->weight[bucket] = (float)((double)weight / WEIGHT_ONE);
        }
        return true;
}

static int read_class(struct fg_order *o, bool first, const char **at, const char *end)
{
        uint64_t level, key[4], runs, touched, work;
        if (!number(at, end, FG_ORDER_LEVELS - 1, ' ', &level) || first != (level == 0))
                return -EINVAL;
        for (int k = 0; k < 4; k++)
                if (!number(at, end, k < 3 ? UINT64_MAX : UINT32_MAX, ' ', &key[k]))
                        return -EINVAL;
        if (!number(at, end, UINT64_MAX, ' ', &runs) || !number(at, end, o->clock, ' ', &touched) ||
            !number(at, end, UINT64_C(1) << 52, 0, &work))
                return -EINVAL;
        struct fg_order_kind kind = {key[0], key[1], key[2], (uint32_t)key[3]};
        if (!first && fg_order_class_find(o, &kind, (unsigned)level))
                return -EINVAL;
        struct fg_order_class *class = fg_order_class_take(o, &kind, (unsigned)level);
        if (!class)
                return -ENOMEM;
        if (memcmp(class->key, key, sizeof(key)) != 0)
                return -EINVAL;
        class->runs = runs;
        class->touched = touched;
        class->work = (double)work;
        return read_weights(class, at, end) ? 0 : -EINVAL;
}

int fg_order_restore(const char *text, size_t size, size_t classes, struct fg_order **ret, struct fg_error *err)
{
        fg_autoorder struct fg_order *o = NULL;
        const char *at = text + strlen(VERSION " "), *end = text + size;
        uint64_t count, clock, lines = 1;
        if (size < strlen(VERSION " ") || size > SIZE_MAX_TEXT || memcmp(text, VERSION " ", strlen(VERSION " ")) != 0)
                return fg_error_set(err, -EINVAL, "what was learned of jobs does not begin with '" VERSION "'");
        if (!number(&at, end, FG_ORDER_CLASSES_MAX, ' ', &count) || !number(&at, end, UINT64_MAX - 1, '\n', &clock) ||
            count == 0)
                return fg_error_set(err, -EINVAL, "line 1 of what was learned of jobs is damaged");
        int r = fg_order_new(classes, &o);
        if (r < 0)
                return fg_error_set(err, r, "no room for %zu classes of jobs: %m", classes);
        for (o->clock = clock; lines <= count; lines++) {
                r = read_class(o, lines == 1, &at, end);
                if (r < 0)
                        return fg_error_set(err, r, "line %" PRIu64 " of what was learned of jobs is damaged", lines + 1);
        }
        if (at != end)
                return fg_error_set(err, -EINVAL, "what was learned of jobs goes on after line %" PRIu64, lines);
        *ret = FG_TAKE_PTR(o);
        return 0;
}
