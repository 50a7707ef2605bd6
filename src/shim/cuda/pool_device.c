/* SPDX-License-Identifier: Apache-2.0
 *
 * The pools that stream-ordered allocations of a vGPU come from. The driver has one default pool and one current pool for each
 * physical device; the first vGPU on it has those. Each further one has a default pool made for it when first asked for, and a
 * current pool that only fgc_vgpu_pool() knows. */
#include "shim/cuda/capture.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/pool.h"
#include "shim/cuda/translate.h"

static CUresult make_default(struct fgc_vgpu *vgpu, CUmemoryPool *ret)
{
        CUmemPoolProps properties = {
                .allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                .handleTypes = CU_MEM_HANDLE_TYPE_NONE,
                .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = vgpu->real},
        };
        CUmemoryPool none = NULL, made;
        CUstreamCaptureMode mode = fgc_capture_relax(); /* the first allocation may be one that is being captured */
        CUresult r = FGC_REAL(cuMemPoolCreate, &made, &properties);
        fgc_capture_unrelax(mode);
        if (r)
                return r;
        if (atomic_compare_exchange_strong_explicit(&vgpu->pool_default, &none, made, memory_order_acq_rel,
                                                    memory_order_acquire)) {
                fgc_pool_adopt(made, vgpu);
                *ret = made;
        } else {
                FGC_REAL(cuMemPoolDestroy, made);
                *ret = none;
        }
        return CUDA_SUCCESS;
}

static CUresult default_pool(struct fgc_vgpu *vgpu, CUmemoryPool *ret)
{
        *ret = atomic_load_explicit(&vgpu->pool_default, memory_order_acquire);
        return *ret ? CUDA_SUCCESS : make_default(vgpu, ret);
}

CUresult fgc_vgpu_pool(struct fgc_vgpu *vgpu, CUmemoryPool *ret)
{
        *ret = NULL;
        if (vgpu->first)
                return CUDA_SUCCESS;
        *ret = atomic_load_explicit(&vgpu->pool, memory_order_acquire);
        return *ret ? CUDA_SUCCESS : default_pool(vgpu, ret);
}

bool fgc_pool_is_default(CUmemoryPool pool)
{
        for (unsigned i = 0; i < fgc_vgpu_count; i++)
                if (pool && atomic_load_explicit(&fgc_vgpus[i].pool_default, memory_order_acquire) == pool)
                        return true;
        return false;
}

void fgc_pool_gone(CUmemoryPool pool)
{
        for (unsigned i = 0; i < fgc_vgpu_count; i++) {
                CUmemoryPool expected = pool;
                atomic_compare_exchange_strong_explicit(&fgc_vgpus[i].pool, &expected, NULL, memory_order_acq_rel,
                                                        memory_order_relaxed);
        }
}

/* A vGPU with pools of its own; NULL: the driver answers. */
static struct fgc_vgpu *keeper(CUdevice dev, const void *out)
{
        struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev);
        return vgpu && !vgpu->first && out ? vgpu : NULL;
}

CUresult fgc_cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice dev)
{
        FGC_PASS(cuDeviceGetDefaultMemPool, pool, dev);
        struct fgc_vgpu *vgpu = keeper(dev, pool);
        return vgpu ? default_pool(vgpu, pool) : FGC_REAL(cuDeviceGetDefaultMemPool, pool, fgc_device_in(dev));
}

CUresult fgc_cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice dev)
{
        FGC_PASS(cuDeviceGetMemPool, pool, dev);
        struct fgc_vgpu *vgpu = keeper(dev, pool);
        return vgpu ? fgc_vgpu_pool(vgpu, pool) : FGC_REAL(cuDeviceGetMemPool, pool, fgc_device_in(dev));
}

/* Only asks the driver whether it takes the pool on that device: it must not become the first vGPU's. */
static CUresult set_pool(struct fgc_vgpu *vgpu, CUmemoryPool pool)
{
        CUmemoryPool before;
        CUresult r = FGC_REAL(cuDeviceGetMemPool, &before, vgpu->real);
        CUmemAccess_flags access;
        CUmemLocation here = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = vgpu->real};
        if (!r)
                r = FGC_REAL(cuMemPoolGetAccess, &access, pool, &here);
        if (r)
                return r;
        atomic_store_explicit(&vgpu->pool, pool, memory_order_release);
        return CUDA_SUCCESS;
}

CUresult fgc_cuDeviceSetMemPool(CUdevice dev, CUmemoryPool pool)
{
        FGC_PASS(cuDeviceSetMemPool, dev, pool);
        struct fgc_vgpu *vgpu = keeper(dev, pool);
        return vgpu ? set_pool(vgpu, pool) : FGC_REAL(cuDeviceSetMemPool, fgc_device_in(dev), pool);
}

/* The same by location (CUDA 13). Device memory that is not managed is what the functions above are about. */
static struct fgc_vgpu *keeper_at(const CUmemLocation *location, CUmemAllocationType type, const void *out)
{
        return location && location->type == CU_MEM_LOCATION_TYPE_DEVICE && type == CU_MEM_ALLOCATION_TYPE_PINNED
                       ? keeper(location->id, out)
                       : NULL;
}

CUresult fgc_cuMemGetDefaultMemPool(CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type)
{
        FGC_PASS(cuMemGetDefaultMemPool, pool, location, type);
        struct fgc_vgpu *vgpu = keeper_at(location, type, pool);
        CUmemLocation real = location ? fgc_location_in(*location) : (CUmemLocation){0};
        return vgpu ? default_pool(vgpu, pool) : FGC_REAL(cuMemGetDefaultMemPool, pool, location ? &real : NULL, type);
}

CUresult fgc_cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type)
{
        FGC_PASS(cuMemGetMemPool, pool, location, type);
        struct fgc_vgpu *vgpu = keeper_at(location, type, pool);
        CUmemLocation real = location ? fgc_location_in(*location) : (CUmemLocation){0};
        return vgpu ? fgc_vgpu_pool(vgpu, pool) : FGC_REAL(cuMemGetMemPool, pool, location ? &real : NULL, type);
}

CUresult fgc_cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool pool)
{
        FGC_PASS(cuMemSetMemPool, location, type, pool);
        struct fgc_vgpu *vgpu = keeper_at(location, type, pool);
        CUmemLocation real = location ? fgc_location_in(*location) : (CUmemLocation){0};
        return vgpu ? set_pool(vgpu, pool) : FGC_REAL(cuMemSetMemPool, location ? &real : NULL, type, pool);
}
