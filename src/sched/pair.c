/* SPDX-License-Identifier: Apache-2.0
 * Small tables that are searched from end to end: 256 classes are looked through in a fraction of a microsecond. */
#include "sched/pair.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION      "fastgpu-pairs 1"
#define BUSY_MIN     10u  /* permille of a window below which one was not busy */
#define LAUNCHES_MIN 10u
#define SLOW_MIN     250u /* permille: what is measured beyond these is a mistake */
#define SLOW_MAX     16000u
#define MEMORY       16u /* windows of which the mean remembers about so many */

struct class {
        uint64_t id, windows, touched;
        uint64_t use, cost; /* permille of a device; ns of a launch, alone */
};

struct pair {
        uint64_t one, other, windows, touched; /* one next to other */
        uint64_t slow;                         /* permille */
};

struct fg_pair {
        uint64_t clock;
        size_t classes, pairs;
        struct class class[FG_PAIR_CLASSES];
        struct pair pair[FG_PAIR_PAIRS];
};

int fg_pair_new(struct fg_pair **ret)
{
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

void fg_pair_free(struct fg_pair *p)
{
        free(p);
}

static const struct class *find_class(const struct fg_pair *p, uint64_t id)
{
        for (size_t i = 0; i < p->classes; i++)
                if (p->class[i].id == id)
                        return &p->class[i];
        return NULL;
}

static const struct pair *find_pair(const struct fg_pair *p, uint64_t one, uint64_t other)
{
        for (size_t i = 0; i < p->pairs; i++)
                if (p->pair[i].one == one && p->pair[i].other == other)
                        return &p->pair[i];
        return NULL;
}

static struct class *take_class(struct fg_pair *p, uint64_t id)
{
        struct class *c = (struct class *)find_class(p, id);
        if (!c) {
                c = p->classes < FG_PAIR_CLASSES ? &p->class[p->classes++] : &p->class[0];
                for (size_t i = 1; p->classes == FG_PAIR_CLASSES && c->id && i < p->classes; i++)
                        if (p->class[i].touched < c->touched)
                                c = &p->class[i];
                *c = (struct class){.id = id};
        }
        c->touched = ++p->clock;
        return c;
}

static struct pair *take_pair(struct fg_pair *p, uint64_t one, uint64_t other)
{
        struct pair *q = (struct pair *)find_pair(p, one, other);
        if (!q) {
                q = p->pairs < FG_PAIR_PAIRS ? &p->pair[p->pairs++] : &p->pair[0];
                for (size_t i = 1; p->pairs == FG_PAIR_PAIRS && q->one && i < p->pairs; i++)
                        if (p->pair[i].touched < q->touched)
                                q = &p->pair[i];
                *q = (struct pair){.one = one, .other = other};
        }
        q->touched = ++p->clock;
        return q;
}

/* The mean of the first windows, then one that forgets. */
static uint64_t mean_of(uint64_t mean, uint64_t windows, uint64_t now)
{
        int64_t part = (int64_t)(windows < MEMORY ? windows + 1 : MEMORY);
        return (uint64_t)((int64_t)mean + ((int64_t)now - (int64_t)mean) / part);
}

static bool is_busy(const struct fg_pair_work *w, uint64_t wall_us)
{
        return w->busy_us * 1000 >= wall_us * BUSY_MIN;
}

static void learn_alone(struct fg_pair *p, const struct fg_pair_work *w, uint64_t wall_us)
{
        struct class *c = take_class(p, w->class);
        uint64_t use = w->busy_us * 1000 / wall_us;
        c->use = mean_of(c->use, c->windows, use < 1000 ? use : 1000);
        c->cost = mean_of(c->cost, c->windows, w->busy_us * 1000 / w->launches);
        c->windows++;
}

static bool learn_beside(struct fg_pair *p, const struct fg_pair_work *w, uint64_t other)
{
        const struct class *c = find_class(p, w->class);
        if (!c || c->windows < FG_PAIR_WINDOWS || c->cost == 0)
                return false;
        uint64_t slow = w->busy_us * 1000 / w->launches * 1000 / c->cost;
        slow = slow < SLOW_MIN ? SLOW_MIN : slow > SLOW_MAX ? SLOW_MAX : slow;
        struct pair *q = take_pair(p, w->class, other);
        q->slow = mean_of(q->slow, q->windows, slow);
        q->windows++;
        return true;
}

bool fg_pair_window(struct fg_pair *p, const struct fg_pair_work *work, size_t count, uint64_t wall_us)
{
        const struct fg_pair_work *busy[2];
        size_t n = 0;
        for (size_t i = 0; i < count; i++) {
                if (!is_busy(&work[i], wall_us))
                        continue;
                if (n == 2 || work[i].busy_us > UINT64_MAX / 1000000)
                        return false;
                busy[n++] = &work[i];
        }
        if (n == 0 || wall_us == 0)
                return false;
        for (size_t i = 0; i < n; i++)
                if (busy[i]->class == 0 || busy[i]->launches < LAUNCHES_MIN)
                        return false;
        if (n == 1) {
                learn_alone(p, busy[0], wall_us);
                return true;
        }
        bool one = learn_beside(p, busy[0], busy[1]->class), other = learn_beside(p, busy[1], busy[0]->class);
        return one || other;
}

static uint64_t usual_slow(uint64_t joint)
{
        return joint < 500 ? 1050 : joint < 800 ? 1100 : 1250;
}

/* One of them next to all the others, and how often that was measured. */
static uint64_t slow_of(const struct fg_pair *p, const uint64_t *class, size_t count, size_t one, uint64_t joint, uint64_t *ret_windows)
{
        uint64_t slow = joint > 1000 ? joint : 1000;
        *ret_windows = 0;
        for (size_t i = 0; i < count; i++) {
                const struct pair *q = i == one ? NULL : find_pair(p, class[one], class[i]);
                bool is_measured = q && q->windows >= FG_PAIR_WINDOWS;
                if (i == one)
                        continue;
                *ret_windows += is_measured ? q->windows : 0;
                slow = slow * (is_measured ? q->slow : usual_slow(find_class(p, class[one])->use + find_class(p, class[i])->use)) / 1000;
                slow = slow < UINT32_MAX ? slow : UINT32_MAX;
        }
        return slow;
}

void fg_pair_predict(const struct fg_pair *p, const uint64_t *class, size_t count, struct fg_pair_prediction *ret)
{
        struct fg_pair_prediction best = {.known = true, .slow = 1000};
        for (size_t i = 0; i < count; i++) {
                const struct class *c = class[i] ? find_class(p, class[i]) : NULL;
                best.known = best.known && c && c->windows >= FG_PAIR_WINDOWS;
                best.joint += c ? (uint32_t)c->use : 0;
        }
        for (size_t i = 0; best.known && i < count && count > 1; i++) {
                uint64_t windows, slow = slow_of(p, class, count, i, best.joint, &windows);
                if (i && slow <= best.slow)
                        continue;
                best.slow = (uint32_t)slow;
                best.slowest = class[i];
                best.windows = windows;
        }
        *ret = best;
}

int fg_pair_save(const struct fg_pair *p, char **ret, size_t *ret_size)
{
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        fprintf(f, VERSION " %zu %zu %" PRIu64 "\n", p->classes, p->pairs, p->clock);
        for (size_t i = 0; i < p->classes; i++) {
                const struct class *c = &p->class[i];
                fprintf(f, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", c->id, c->windows, c->touched, c->use, c->cost);
        }
        for (size_t i = 0; i < p->pairs; i++) {
                const struct pair *q = &p->pair[i];
                fprintf(f, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", q->one, q->other, q->windows, q->touched, q->slow);
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

/* `count` numbers with a blank between them and a line's end behind. */
static bool read_line(const char **at, const char *end, uint64_t *ret, size_t count)
{
        const char *c = *at;
        for (size_t i = 0; i < count; i++) {
                const char *first = c;
                for (ret[i] = 0; c < end && *c >= '0' && *c <= '9'; c++)
                        if (__builtin_mul_overflow(ret[i], 10u, &ret[i]) || __builtin_add_overflow(ret[i], (uint64_t)(*c - '0'), &ret[i]))
                                return false;
                if (c == first || c >= end || *c != (i + 1 < count ? ' ' : '\n'))
                        return false;
                c++;
        }
        *at = c;
        return true;
}

static bool read_class(struct fg_pair *p, const uint64_t v[5])
{
        if (v[0] == 0 || find_class(p, v[0]) || v[1] == 0 || v[2] > p->clock || v[3] > 1000 || v[4] > INT64_MAX)
                return false;
        p->class[p->classes++] = (struct class){v[0], v[1], v[2], v[3], v[4]};
        return true;
}

static bool read_pair(struct fg_pair *p, const uint64_t v[5])
{
        if (v[0] == 0 || v[1] == 0 || find_pair(p, v[0], v[1]) || v[2] == 0 || v[3] > p->clock || v[4] < SLOW_MIN || v[4] > SLOW_MAX)
                return false;
        p->pair[p->pairs++] = (struct pair){v[0], v[1], v[2], v[3], v[4]};
        return true;
}

int fg_pair_restore(const char *text, size_t size, struct fg_pair **ret, struct fg_error *err)
{
        FG_CLEANUP(fg_pair_freep) struct fg_pair *p = NULL;
        const char *at = text + strlen(VERSION " "), *end = text + size;
        uint64_t head[3], v[5];
        if (size < strlen(VERSION " ") || memcmp(text, VERSION " ", strlen(VERSION " ")) != 0)
                return fg_error_set(err, -EINVAL, "what was learned of pairs does not begin with '" VERSION "'");
        if (!read_line(&at, end, head, 3) || head[0] > FG_PAIR_CLASSES || head[1] > FG_PAIR_PAIRS || head[2] > INT64_MAX)
                return fg_error_set(err, -EINVAL, "line 1 of what was learned of pairs is damaged");
        if (fg_pair_new(&p) < 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        p->clock = head[2];
        for (uint64_t i = 0; i < head[0] + head[1]; i++)
                if (!read_line(&at, end, v, 5) || !(i < head[0] ? read_class(p, v) : read_pair(p, v)))
                        return fg_error_set(err, -EINVAL, "line %" PRIu64 " of what was learned of pairs is damaged", i + 2);
        if (at != end)
                return fg_error_set(err, -EINVAL, "what was learned of pairs goes on after line %" PRIu64, head[0] + head[1] + 1);
        *ret = FG_TAKE_PTR(p);
        return 0;
}
