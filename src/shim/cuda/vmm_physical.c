/* SPDX-License-Identifier: Apache-2.0
 * The books of physical memory. */
#include "shim/cuda/vmm.h"

#include "base/atomic.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* What was exported, and what arrays have pieces of: few, looked up seldom. */
struct link {
        struct link *next;
        struct fgc_physical *physical;
        const void *array; /* NULL: an export */
        uint32_t type;
        uint8_t key[FGC_SHARE_KEY];
};

/* Counts and links. Not held across a call of the driver. */
static uint32_t books_lock;
static struct link *links;
static uint32_t links_any; /* (a) */

static void forget(void)
{
        books_lock = 0;
        links = NULL;
}

static void watch_forks(void)
{
        pthread_atfork(NULL, NULL, forget);
}

static void lock(void)
{
        while (fg_swap_acquire(&books_lock, 1))
                sched_yield();
}

static void unlock(void)
{
        fg_store_release(&books_lock, 0);
}

/* --- holds --- */

static void hold(struct fgc_physical *physical)
{
        lock();
        physical->holds++;
        unlock();
}

/* Under the lock: the exports of what is about to go. */
static struct link *unlink_exports(const struct fgc_physical *physical)
{
        struct link *out = NULL;

        for (struct link **at = &links; *at;) {
                struct link *link = *at;
                if (link->physical != physical) {
                        at = &link->next;
                        continue;
                }
                *at = link->next;
                link->next = out;
                out = link;
        }
        return out;
}

static void free_links(struct link *list)
{
        while (list) {
                struct link *next = list->next;
                free(list);
                list = next;
        }
}

void fgc_physical_drop(struct fgc_physical *physical)
{
        struct link *exports = NULL;
        bool last;

        lock();
        last = --physical->holds == 0;
        if (last)
                exports = unlink_exports(physical);
        unlock();
        if (!last)
                return;
        fg_ledger_refund(physical->vgpu->ledger, physical->charged);
        free_links(exports);
        free(physical);
}

/* --- handles --- */

int fgc_physical_again(CUmemGenericAllocationHandle handle, struct fgc_physical *physical)
{
        struct fgc_alloc entry = {handle, physical, 0, FGC_ALLOC_VMM}, found, old;
        int r;

        lock();
        if (fgc_alloc_find(&fgc_physicals, handle, &found) && found.owner == physical)
                entry.bytes = found.bytes;
        entry.bytes++;
        r = fgc_alloc_enter(&fgc_physicals, entry, &old);
        if (r >= 0)
                physical->holds++;
        unlock();
        /* A handle that was released by a call no hook saw. */
        for (uint64_t i = 0; r > 0 && old.owner != physical && i < old.bytes; i++)
                fgc_physical_drop(old.owner);
        return r < 0 ? r : 0;
}

int fgc_physical_add(CUmemGenericAllocationHandle handle, struct fgc_vgpu *vgpu, uint64_t bytes, bool imported)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        struct fgc_physical *physical = malloc(sizeof(*physical));
        int r;

        pthread_once(&once, watch_forks);
        if (!physical)
                return -ENOMEM;
        *physical = (struct fgc_physical){vgpu, bytes, 0, imported};
        r = fgc_physical_again(handle, physical);
        if (r < 0)
                free(physical);
        return r;
}

struct fgc_physical *fgc_physical_hold(CUmemGenericAllocationHandle handle)
{
        struct fgc_alloc found;
        bool known;

        lock();
        known = fgc_alloc_find(&fgc_physicals, handle, &found);
        if (known)
                ((struct fgc_physical *)found.owner)->holds++;
        unlock();
        return known ? found.owner : NULL;
}

struct fgc_physical *fgc_physical_release(CUmemGenericAllocationHandle handle)
{
        struct fgc_alloc found;
        bool known;

        lock();
        known = fgc_alloc_take(&fgc_physicals, handle, &found);
        if (known && --found.bytes > 0)
                fgc_alloc_put_back(&fgc_physicals, found);
        unlock();
        return known ? found.owner : NULL;
}

/* --- mappings --- */

int fgc_mapping_add(CUdeviceptr at, uint64_t size, struct fgc_physical *physical)
{
        struct fgc_mapping *mapping = malloc(sizeof(*mapping));
        struct fgc_alloc entry = {at, mapping, 0, FGC_ALLOC_MAPPING}, old;

        if (!mapping)
                return -ENOMEM;
        *mapping = (struct fgc_mapping){physical, at, size, NULL};
        if (fgc_alloc_enter(&fgc_pointers, entry, &old) >= 0)
                return 0;
        free(mapping);
        return -ENOMEM;
}

/* Mappings are unmapped whole, and lie next to each other in what is unmapped at once. */
struct fgc_mapping *fgc_mapping_take(CUdeviceptr at, uint64_t size)
{
        struct fgc_mapping *list = NULL;
        CUdeviceptr end = at + size;
        struct fgc_alloc entry;

        while (at < end && fgc_alloc_take(&fgc_pointers, at, &entry)) {
                struct fgc_mapping *mapping = entry.owner;
                if (entry.kind != FGC_ALLOC_MAPPING) {
                        fgc_alloc_put_back(&fgc_pointers, entry);
                        break;
                }
                mapping->next = list;
                list = mapping;
                at += mapping->size;
        }
        return list;
}

void fgc_mapping_put_back(struct fgc_mapping *list)
{
        while (list) {
                struct fgc_alloc entry = {list->at, list, 0, FGC_ALLOC_MAPPING};
                list = list->next;
                fgc_alloc_put_back(&fgc_pointers, entry);
        }
}

void fgc_mapping_drop(struct fgc_mapping *list)
{
        while (list) {
                struct fgc_mapping *next = list->next;
                fgc_physical_drop(list->physical);
                free(list);
                list = next;
        }
}

static bool covers(const struct fgc_alloc *entry, const void *arg)
{
        const struct fgc_mapping *mapping = entry->owner;
        CUdeviceptr address = *(const CUdeviceptr *)arg;

        return entry->kind == FGC_ALLOC_MAPPING && address >= mapping->at && address - mapping->at < mapping->size;
}

/* Rare: any address within a mapping will do, so all are looked at if it is not one's first. */
struct fgc_physical *fgc_physical_hold_at(CUdeviceptr address)
{
        struct fgc_physical *physical;
        struct fgc_alloc entry;

        if (!fgc_alloc_find(&fgc_pointers, address, &entry) || entry.kind != FGC_ALLOC_MAPPING)
                if (fgc_alloc_list(&fgc_pointers, covers, &address, &entry, 1) == 0)
                        return NULL;
        physical = ((struct fgc_mapping *)entry.owner)->physical;
        hold(physical);
        return physical;
}

/* --- arrays and exports --- */

static struct link *find_link(const struct fgc_physical *physical, const void *array)
{
        struct link *link = links;

        while (link && !(link->array == array && link->physical == physical))
                link = link->next;
        return link;
}

static void add_link(struct link *link)
{
        link->next = links;
        links = link;
        fg_store_relaxed(&links_any, 1);
}

int fgc_physical_into_array(struct fgc_physical *physical, const void *array)
{
        struct link *link = calloc(1, sizeof(*link));
        bool known;

        if (!link)
                return -ENOMEM;
        link->physical = physical;
        link->array = array;
        lock();
        known = find_link(physical, array) != NULL;
        if (!known) {
                physical->holds++;
                add_link(link);
        }
        unlock();
        if (known)
                free(link);
        return 0;
}

void fgc_physical_array_gone(const void *array)
{
        struct link *out = NULL;

        if (!fg_load_relaxed(&links_any))
                return;
        lock();
        for (struct link **at = &links; *at;) {
                struct link *link = *at;
                if (link->array != array) {
                        at = &link->next;
                        continue;
                }
                *at = link->next;
                link->next = out;
                out = link;
        }
        unlock();
        for (struct link *link = out; link; link = link->next)
                fgc_physical_drop(link->physical);
        free_links(out);
}

/* Without memory to note it, a later import of it is charged like a stranger's. */
void fgc_physical_exported(struct fgc_physical *physical, uint32_t type, const void *key)
{
        struct link *link = calloc(1, sizeof(*link));

        if (!link)
                return;
        link->physical = physical;
        link->type = type;
        memcpy(link->key, key, sizeof(link->key));
        lock();
        add_link(link);
        unlock();
}

struct fgc_physical *fgc_physical_hold_exported(uint32_t type, const void *key)
{
        struct fgc_physical *physical = NULL;

        lock();
        for (struct link *link = links; link && !physical; link = link->next)
                if (!link->array && link->type == type && memcmp(link->key, key, sizeof(link->key)) == 0)
                        physical = link->physical;
        if (physical)
                physical->holds++;
        unlock();
        return physical;
}
