/* SPDX-License-Identifier: Apache-2.0
 * Sharing memory between processes. The file that device memory lies in is reached through /proc/PID/fd of the process
 * that has it, so nothing is left behind when that one ends; what is mapped stays mapped. */
#include "sim/card.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAGIC 0x64726163u
#define PAGE  4096u

int fgsim_card_file(const struct fgsim_card *card, uint64_t bytes)
{
        int fd = memfd_create("fastgpu-sim-shared", MFD_CLOEXEC);
        if (fd < 0)
                return -1;
        struct fgsim_card stamped = *card;
        stamped.magic = MAGIC;
        stamped.hash = fgsim_spec.hash;
        if (ftruncate(fd, (off_t)(bytes + PAGE)) == 0 &&
            pwrite(fd, &stamped, sizeof stamped, (off_t)bytes) == (ssize_t)sizeof stamped)
                return fd;
        close(fd);
        return -1;
}

bool fgsim_card_of_file(int fd, enum fgsim_card_kind kind, struct fgsim_card *ret)
{
        struct stat st;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)PAGE)
                return false;
        off_t at = st.st_size - (off_t)PAGE;
        return pread(fd, ret, sizeof *ret, at) == (ssize_t)sizeof *ret && ret->magic == MAGIC &&
               ret->kind == (uint32_t)kind && ret->hash == fgsim_spec.hash && ret->bytes == (uint64_t)at &&
               ret->gpu < fgsim_spec.gpus;
}

bool fgsim_card_of_range(const struct fgsim_range *range, struct fgsim_card *ret)
{
        uint64_t offset;
        int fd = fgsim_arena_file(range->base, &offset);
        if (fd < 0 || !range->is_device)
                return false;
        *ret = (struct fgsim_card){.magic = MAGIC,
                                   .kind = FGSIM_CARD_RANGE,
                                   .pid = (uint32_t)getpid(),
                                   .fd = fd,
                                   .hash = fgsim_spec.hash,
                                   .offset = offset,
                                   .bytes = range->size,
                                   .id = range->id,
                                   .gpu = (uint16_t)range->gpu};
        return true;
}

/* ---- what this process has open ---- */
struct opened {
        struct fgsim_card card;
        unsigned count;
        struct fgsim_range *range;
        void *map;
        size_t map_bytes;
        struct opened *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct opened *opened;

static bool same(const struct fgsim_card *a, const struct fgsim_card *b)
{
        return a->pid == b->pid && a->fd == b->fd && a->offset == b->offset && a->id == b->id;
}

/* Allocations start at multiples of 512, mappings at pages. */
static CUresult map_card(const struct fgsim_card *card, struct opened *o, uint64_t *ret_base)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/%u/fd/%d", card->pid, card->fd);
        int fd fg_autoclose = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return CUDA_ERROR_INVALID_VALUE;
        struct stat st;
        uint64_t skip = card->offset % PAGE;
        if (fstat(fd, &st) < 0 || card->offset > (uint64_t)st.st_size ||
            card->bytes > (uint64_t)st.st_size - card->offset)
                return CUDA_ERROR_INVALID_VALUE;
        o->map_bytes = fgsim_round(card->bytes + skip, PAGE);
        o->map = mmap(NULL, o->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                      (off_t)(card->offset - skip));
        if (o->map == MAP_FAILED)
                return CUDA_ERROR_MAP_FAILED;
        *ret_base = (uint64_t)o->map + skip;
        return CUDA_SUCCESS;
}

/* With the lock. */
static CUresult open_new(const struct fgsim_card *card, struct fgsim_context *ctx, struct opened **ret)
{
        struct opened *o = calloc(1, sizeof *o);
        uint64_t base;
        if (!o)
                return CUDA_ERROR_OUT_OF_MEMORY;
        CUresult result = map_card(card, o, &base);
        if (result != CUDA_SUCCESS) {
                free(o);
                return result;
        }
        struct fgsim_range range = {.base = base,
                                    .size = card->bytes,
                                    .ctx = ctx,
                                    .gpu = card->gpu,
                                    .kind = FGSIM_MEM_IPC,
                                    .is_device = true,
                                    .owner = o};
        if (fgsim_place_add(&range, &o->range) < 0) {
                munmap(o->map, o->map_bytes);
                free(o);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        o->card = *card;
        o->next = opened;
        opened = o;
        *ret = o;
        return CUDA_SUCCESS;
}

CUresult fgsim_card_open(const struct fgsim_card *card, struct fgsim_context *ctx, CUdeviceptr *ret)
{
        if (card->magic != MAGIC || card->kind != FGSIM_CARD_RANGE || card->hash != fgsim_spec.hash || !card->bytes ||
            card->gpu >= fgsim_spec.gpus)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&lock);
        struct opened *o = opened;
        while (o && !same(&o->card, card))
                o = o->next;
        CUresult result = o ? CUDA_SUCCESS : open_new(card, ctx, &o);
        if (result == CUDA_SUCCESS) {
                o->count++;
                *ret = o->range->base;
        }
        pthread_mutex_unlock(&lock);
        return result;
}

/* With the lock. */
static void close_one(struct opened *o)
{
        struct opened **at = &opened;
        while (*at && *at != o)
                at = &(*at)->next;
        if (*at)
                *at = o->next;
        fgsim_place_remove(o->range);
        munmap(o->map, o->map_bytes);
        free(o);
}

/* A context goes: whatever the count. */
void fgsim_ipc_release(struct fgsim_range *range)
{
        if (range->kind == FGSIM_MEM_EXTERNAL) {
                fgsim_external_unmap(range);
                return;
        }
        pthread_mutex_lock(&lock);
        close_one(range->owner);
        pthread_mutex_unlock(&lock);
}

bool fgsim_ipc_close(CUdeviceptr address)
{
        bool found = false;
        pthread_mutex_lock(&lock);
        struct fgsim_range *range = fgsim_place_find(address);
        if (range && range->kind == FGSIM_MEM_IPC && range->base == address) {
                struct opened *o = range->owner;
                found = true;
                if (--o->count == 0)
                        close_one(o);
        }
        pthread_mutex_unlock(&lock);
        return found;
}
