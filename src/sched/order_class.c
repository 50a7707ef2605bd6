/* SPDX-License-Identifier: Apache-2.0
 * Classes of jobs: found by hash, the one untouched for longest makes room for a new one. */
#include "sched/order_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void key_of(const struct fg_order_kind *kind, unsigned level, uint64_t ret[4])
{
        ret[0] = level >= 1 ? kind->project : 0;
        ret[1] = level >= 3 ? kind->user : 0;
        ret[2] = level >= 3 ? kind->name : 0;
        ret[3] = level >= 2 ? kind->share : 0;
}

static uint32_t *chain(const struct fg_order *o, const uint64_t key[4], unsigned level)
{
        uint64_t z = level;
        for (int i = 0; i < 4; i++) {
                z = (z ^ key[i]) * 0xbf58476d1ce4e5b9u;
                z ^= z >> 31;
        }
        return &o->bucket[z & (o->buckets - 1)];
}

static struct fg_order_class *look(const struct fg_order *o, const uint64_t key[4], unsigned level)
{
        for (uint32_t i = *chain(o, key, level); i != FG_ORDER_NONE; i = o->class[i].next)
                if (o->class[i].level == level && memcmp(o->class[i].key, key, sizeof(o->class[i].key)) == 0)
                        return &o->class[i];
        return NULL;
}

struct fg_order_class *fg_order_class_find(const struct fg_order *o, const struct fg_order_kind *kind, unsigned level)
{
        uint64_t key[4];
        key_of(kind, level, key);
        return look(o, key, level);
}

static void unlink_class(struct fg_order *o, uint32_t index)
{
        uint32_t *at = chain(o, o->class[index].key, o->class[index].level);
        while (*at != index)
                at = &o->class[*at].next;
        *at = o->class[index].next;
}

/* A class that nobody has: a new one, or the one untouched for longest. The first stays. */
static uint32_t vacant(struct fg_order *o)
{
        uint32_t oldest = 1;
        if (o->count == o->made && o->made < o->most) {
                size_t made = o->made * 2 < o->most ? o->made * 2 : o->most;
                struct fg_order_class *class = realloc(o->class, made * sizeof(*class));
                if (!class)
                        return FG_ORDER_NONE;
                o->class = class;
                o->made = made;
        }
        if (o->count < o->made)
                return (uint32_t)o->count++;
        for (uint32_t i = 2; i < o->count; i++)
                if (o->class[i].touched < o->class[oldest].touched)
                        oldest = i;
        unlink_class(o, oldest);
        return oldest;
}

struct fg_order_class *fg_order_class_take(struct fg_order *o, const struct fg_order_kind *kind, unsigned level)
{
        uint64_t key[4];
        key_of(kind, level, key);
        struct fg_order_class *class = look(o, key, level);
        if (class) {
                class->touched = o->clock;
                return class;
        }
        uint32_t index = vacant(o);
        if (index == FG_ORDER_NONE)
                return NULL;
        class = &o->class[index];
        *class = (struct fg_order_class){.level = (uint8_t)level, .touched = o->clock};
        memcpy(class->key, key, sizeof(key));
        uint32_t *first = chain(o, key, level);
        class->next = *first;
        *first = index;
        return class;
}

int fg_order_new(size_t classes, struct fg_order **ret)
{
        if (classes < 8 || classes > FG_ORDER_CLASSES_MAX)
                return -EINVAL;
        struct fg_order *o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->most = classes;
        o->made = 8;
        for (o->buckets = 8; o->buckets < classes;)
                o->buckets *= 2;
        o->class = calloc(o->made, sizeof(*o->class));
        o->bucket = malloc(o->buckets * sizeof(*o->bucket));
        if (!o->class || !o->bucket) {
                fg_order_free(o);
                return -ENOMEM;
        }
        memset(o->bucket, 0xff, o->buckets * sizeof(*o->bucket));
        fg_order_class_take(o, &(struct fg_order_kind){.share = 0}, 0);
        *ret = o;
        return 0;
}

void fg_order_free(struct fg_order *o)
{
        if (!o)
                return;
        free(o->class);
        free(o->bucket);
        free(o);
}

void fg_order_freep(struct fg_order **o)
{
        fg_order_free(*o);
}

size_t fg_order_classes(const struct fg_order *o)
{
        return o->count;
}
