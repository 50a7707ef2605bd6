/* SPDX-License-Identifier: Apache-2.0
 * Reserved addresses and what is mapped at them. Mappings are sorted by address; access is the page protection, so that
 * a program that forgot cuMemSetAccess faults here as it does on a GPU. */
#include "sim/vmm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct mapping {
        uint64_t base, bytes, offset;
        struct fgsim_vmm *vmm;
        uint64_t readers, writers; /* bit per GPU */
};

static struct mapping *mappings;
static size_t mapping_count, mapping_room;

/* The first mapping that ends above the address. */
static size_t lower(uint64_t address)
{
        size_t low = 0, high = mapping_count;
        while (low < high) {
                size_t middle = (low + high) / 2;
                if (mappings[middle].base + mappings[middle].bytes <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool is_mapped(uint64_t base, uint64_t bytes)
{
        size_t at = lower(base);
        return at < mapping_count && mappings[at].base < base + bytes;
}

struct fgsim_vmm *fgsim_vmm_mapped(uint64_t address, uint64_t *ret_base, uint64_t *ret_size)
{
        size_t at = lower(address);
        if (at == mapping_count || mappings[at].base > address)
                return NULL;
        *ret_base = mappings[at].base;
        *ret_size = mappings[at].bytes;
        return mappings[at].vmm;
}

static bool make_room(void)
{
        if (mapping_count < mapping_room)
                return true;
        size_t room = mapping_room ? 2 * mapping_room : 64;
        struct mapping *more = realloc(mappings, room * sizeof *more);
        if (!more)
                return false;
        mappings = more;
        mapping_room = room;
        return true;
}

/* Addresses without memory. */
static bool clear(uint64_t base, uint64_t bytes)
{
        return mmap((void *)base, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) !=
               MAP_FAILED;
}

/* ---- reservations ---- */
static char *reserve(uint64_t bytes, uint64_t align, uint64_t wish)
{
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        if (wish && wish % align == 0) {
                char *map = mmap((void *)wish, bytes, PROT_NONE, flags | MAP_FIXED_NOREPLACE, -1, 0);
                if (map == (char *)wish)
                        return map;
                if (map != MAP_FAILED)
                        munmap(map, bytes);
        }
        char *map = mmap(NULL, bytes + align, PROT_NONE, flags, -1, 0);
        if (map == MAP_FAILED)
                return NULL;
        size_t skip = (align - (uintptr_t)map % align) % align;
        if (skip)
                munmap(map, skip);
        if (align - skip)
                munmap(map + skip + bytes, align - skip);
        return map + skip;
}

CUresult cuMemAddressReserve(CUdeviceptr *ret, size_t bytes, size_t align, CUdeviceptr wish, unsigned long long flags)
{
        FGSIM_ENTER(cuMemAddressReserve);
        if (!ret || !bytes || bytes % FGSIM_VMM_GRAIN || (align & (align - 1)) || flags || bytes > 1ull << 46 ||
            align > 1ull << 40)
                return CUDA_ERROR_INVALID_VALUE;
        char *map = reserve(bytes, align > FGSIM_VMM_GRAIN ? align : FGSIM_VMM_GRAIN, wish);
        if (!map)
                return CUDA_ERROR_OUT_OF_MEMORY;
        struct fgsim_range *made,
                range = {.base = (uint64_t)map, .size = bytes, .kind = FGSIM_MEM_VMM, .is_device = true};
        if (fgsim_place_add(&range, &made) < 0) {
                munmap(map, bytes);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        *ret = range.base;
        return CUDA_SUCCESS;
}

CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes)
{
        FGSIM_ENTER(cuMemAddressFree);
        struct fgsim_range *range = fgsim_place_find(address);
        if (!range || range->kind != FGSIM_MEM_VMM || range->base != address || range->size != bytes)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&fgsim_vmm_lock);
        bool busy = is_mapped(address, bytes);
        if (!busy) {
                fgsim_place_remove(range);
                munmap((void *)address, bytes);
        }
        pthread_mutex_unlock(&fgsim_vmm_lock);
        return busy ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* ---- mappings ---- */
static CUresult map(uint64_t base, uint64_t bytes, uint64_t offset, struct fgsim_vmm *vmm)
{
        if (!vmm || offset % FGSIM_VMM_GRAIN || offset > vmm->bytes || bytes > vmm->bytes - offset ||
            is_mapped(base, bytes))
                return CUDA_ERROR_INVALID_VALUE;
        if (!make_room())
                return CUDA_ERROR_OUT_OF_MEMORY;
        if (mmap((void *)base, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, vmm->fd,
                 (off_t)(vmm->offset + offset)) == MAP_FAILED)
                return CUDA_ERROR_MAP_FAILED;
        size_t at = lower(base);
        memmove(&mappings[at + 1], &mappings[at], (mapping_count - at) * sizeof *mappings);
        mappings[at] = (struct mapping){.base = base, .bytes = bytes, .offset = offset, .vmm = vmm};
        mapping_count++;
        vmm->maps++;
        return CUDA_SUCCESS;
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags)
{
        FGSIM_ENTER(cuMemMap);
        struct fgsim_range *range = fgsim_place_find(address);
        if (flags || !bytes || bytes % FGSIM_VMM_GRAIN || address % FGSIM_VMM_GRAIN || !range ||
            range->kind != FGSIM_MEM_VMM || bytes > range->size - (address - range->base))
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&fgsim_vmm_lock);
        CUresult result = map(address, bytes, offset, fgsim_vmm_get(handle));
        pthread_mutex_unlock(&fgsim_vmm_lock);
        return result;
}

/* Whole mappings only. */
static CUresult unmap(uint64_t base, uint64_t bytes)
{
        size_t first = lower(base), last = first;
        while (last < mapping_count && mappings[last].base < base + bytes)
                last++;
        if (first == last || mappings[first].base < base ||
            mappings[last - 1].base + mappings[last - 1].bytes > base + bytes)
                return CUDA_ERROR_INVALID_VALUE;
        if (!clear(base, bytes))
                return CUDA_ERROR_UNMAP_FAILED;
        for (size_t i = first; i < last; i++) {
                mappings[i].vmm->maps--;
                fgsim_vmm_settle(mappings[i].vmm);
        }
        memmove(&mappings[first], &mappings[last], (mapping_count - last) * sizeof *mappings);
        mapping_count -= last - first;
        return CUDA_SUCCESS;
}

CUresult cuMemUnmap(CUdeviceptr address, size_t bytes)
{
        FGSIM_ENTER(cuMemUnmap);
        struct fgsim_range *range = fgsim_place_find(address);
        if (!bytes || !range || range->kind != FGSIM_MEM_VMM || bytes > range->size - (address - range->base))
                return CUDA_ERROR_INVALID_VALUE;
        struct fgsim_context *ctx = fgsim_context_current();
        if (ctx)
                fgsim_exec_drain(ctx);
        pthread_mutex_lock(&fgsim_vmm_lock);
        CUresult result = unmap(address, bytes);
        pthread_mutex_unlock(&fgsim_vmm_lock);
        return result;
}

/* ---- access ---- */
/* Mapped without a hole, mappings whole at both ends: the span of them. */
static bool find_span(uint64_t base, uint64_t bytes, size_t *ret_first, size_t *ret_last)
{
        size_t first = lower(base), i = first;
        uint64_t at = base;
        for (; i < mapping_count && at < base + bytes && mappings[i].base == at; i++)
                at += mappings[i].bytes;
        *ret_first = first;
        *ret_last = i;
        return at == base + bytes;
}

static CUresult check_access(const CUmemAccessDesc *desc, size_t count)
{
        uint32_t gpu;
        for (size_t i = 0; i < count; i++) {
                if (desc[i].location.type == CU_MEM_LOCATION_TYPE_DEVICE && !fgsim_gpu_of(desc[i].location.id, &gpu))
                        return CUDA_ERROR_INVALID_DEVICE;
                if (desc[i].location.type == CU_MEM_LOCATION_TYPE_INVALID ||
                    (desc[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE && desc[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
                     desc[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE))
                        return CUDA_ERROR_INVALID_VALUE;
        }
        return CUDA_SUCCESS;
}

static void note_access(struct mapping *m, const CUmemAccessDesc *desc)
{
        uint32_t gpu = 0;
        if (desc->location.type == CU_MEM_LOCATION_TYPE_DEVICE)
                fgsim_gpu_of(desc->location.id, &gpu);
        uint64_t bit = 1ull << gpu;
        m->readers = desc->flags == CU_MEM_ACCESS_FLAGS_PROT_NONE ? m->readers & ~bit : m->readers | bit;
        m->writers = desc->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE ? m->writers | bit : m->writers & ~bit;
}

/* The simulated GPUs are one host: it may do what any of them may. */
static bool protect(const struct mapping *m)
{
        int prot = (m->readers | m->writers ? PROT_READ : PROT_NONE) | (m->writers ? PROT_WRITE : 0);
        return mprotect((void *)m->base, m->bytes, prot) == 0;
}

CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc *desc, size_t count)
{
        FGSIM_ENTER(cuMemSetAccess);
        size_t first, last;
        if (!address || !bytes || !desc || !count)
                return CUDA_ERROR_INVALID_VALUE;
        CUresult result = check_access(desc, count);
        if (result != CUDA_SUCCESS)
                return result;
        pthread_mutex_lock(&fgsim_vmm_lock);
        if (!find_span(address, bytes, &first, &last))
                result = CUDA_ERROR_INVALID_VALUE;
        for (size_t i = first; result == CUDA_SUCCESS && i < last; i++) {
                for (size_t k = 0; k < count; k++)
                        note_access(&mappings[i], &desc[k]);
                result = protect(&mappings[i]) ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
        }
        pthread_mutex_unlock(&fgsim_vmm_lock);
        return result;
}

CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address)
{
        FGSIM_ENTER(cuMemGetAccess);
        uint32_t gpu;
        if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(location->id, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        pthread_mutex_lock(&fgsim_vmm_lock);
        size_t at = lower(address);
        bool found = at < mapping_count && mappings[at].base <= address;
        if (found)
                *flags = (mappings[at].readers >> gpu & 1 ? 1u : 0u) | (mappings[at].writers >> gpu & 1 ? 3u : 0u);
        pthread_mutex_unlock(&fgsim_vmm_lock);
        return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
