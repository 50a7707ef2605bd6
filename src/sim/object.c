/* SPDX-License-Identifier: Apache-2.0
 * What handles point to. All objects lie in one range of addresses that is never unmapped, in slots of 64 bytes and
 * their multiples: any value can be looked at, and a freed object is known by its type 0. */
#include "sim/internal.h"

#include <string.h>
#include <sys/mman.h>

#define RANGE_BYTES (1ull << 30)
#define SLOT        64u
#define LARGEST     8192u

static struct {
        pthread_mutex_t lock;
        uintptr_t base, end; /* end: of what was handed out so far */
        struct fgsim_object *free[LARGEST / SLOT + 1];
} objects = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct fgsim_object *carve(size_t bytes)
{
        if (!objects.base) {
                void *range = mmap(NULL, RANGE_BYTES, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
                if (range == MAP_FAILED)
                        return NULL;
                objects.end = (uintptr_t)range;
                fg_store_release(&objects.base, (uintptr_t)range);
        }
        if (objects.end + bytes > objects.base + RANGE_BYTES)
                return NULL;
        struct fgsim_object *object = (struct fgsim_object *)objects.end;
        fg_store_release(&objects.end, objects.end + bytes);
        return object;
}

void *fgsim_object_new(enum fgsim_type type, size_t bytes)
{
        bytes = (bytes + SLOT - 1) / SLOT * SLOT;
        if (bytes > LARGEST)
                return NULL;
        pthread_mutex_lock(&objects.lock);
        struct fgsim_object *object = objects.free[bytes / SLOT];
        if (object)
                objects.free[bytes / SLOT] = object->next_free;
        else
                object = carve(bytes);
        if (object) {
                memset(object, 0, bytes);
                object->bytes = (uint32_t)bytes;
                fg_store_release(&object->type, type);
        }
        pthread_mutex_unlock(&objects.lock);
        return object;
}

void fgsim_object_free(void *p)
{
        struct fgsim_object *object = p;
        if (!object)
                return;
        pthread_mutex_lock(&objects.lock);
        fg_store_release(&object->type, 0);
        object->next_free = objects.free[object->bytes / SLOT];
        objects.free[object->bytes / SLOT] = object;
        pthread_mutex_unlock(&objects.lock);
}

void *fgsim_object_get(const void *handle, enum fgsim_type type)
{
        uintptr_t address = (uintptr_t)handle, base = fg_load_acquire(&objects.base);
        if (!base || address < base || address >= fg_load_acquire(&objects.end) || address % SLOT)
                return NULL;
        struct fgsim_object *object = (struct fgsim_object *)address;
        return fg_load_acquire(&object->type) == (uint32_t)type ? object : NULL;
}

void fgsim_object_each(enum fgsim_type type, void (*fn)(void *object, void *arg), void *arg)
{
        uintptr_t end = fg_load_acquire(&objects.end);
        for (uintptr_t at = fg_load_acquire(&objects.base); at && at < end;) {
                struct fgsim_object *object = (struct fgsim_object *)at;
                at += object->bytes;
                if (fg_load_acquire(&object->type) == (uint32_t)type)
                        fn(object, arg);
        }
}
