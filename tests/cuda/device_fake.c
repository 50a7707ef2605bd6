/* SPDX-License-Identifier: Apache-2.0 */
#include "device_fake.h"
#include "shim/cuda/visible.h"

#include "shim/cuda/alloc.h"
#include "shim/cuda/capture.h"
#include "shim/cuda/gate.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/pool.h"

#include <stdio.h>

struct fake fake;
char fake_seen[512];
struct fgc_driver fgc_real;
__thread unsigned fgc_inside;

static struct fg_limits_page limits[8];
static struct fg_usage_page usage[8];
static struct fg_session session;

/* --- the driver --- */

struct context {
        int device, attached;
        bool primary, dead;
        struct context *twin; /* of a green context: its other handle */
};
static struct context primary[4];
static __thread struct context *stack[16];
static __thread int depth;

static CUresult get_count(int *count)
{
        fake.calls++;
        *count = fake.physical;
        return CUDA_SUCCESS;
}

static CUresult get_uuid(CUuuid *uuid, CUdevice device)
{
        fake.calls++;
        memset(uuid->bytes, 0xa0 + device, sizeof uuid->bytes);
        return CUDA_SUCCESS;
}

static CUresult note_device(CUdevice device)
{
        fake.calls++;
        fake.last_device = device;
        return device >= 0 && device < fake.physical ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

static CUresult get_name(char *name, int length, CUdevice device)
{
        CUresult r = note_device(device);
        if (!r)
                snprintf(name, (size_t)length, "Fake %d", device);
        return r;
}

static CUresult total(size_t *bytes, CUdevice device)
{
        CUresult r = note_device(device);
        if (!r && bytes)
                *bytes = 80000;
        return !r && !bytes ? CUDA_ERROR_INVALID_VALUE : r;
}

static CUresult by_bus(CUdevice *device, const char *id)
{
        fake.calls++;
        *device = atoi(id);
        return *device < fake.physical ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

static CUresult create(CUcontext *ret, unsigned flags, CUdevice device)
{
        CUresult r = note_device(device);
        if (r)
                return r;
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        if (fake.fail_create && fake.fail_create--)
                return CUDA_ERROR_LAUNCH_FAILED;
        struct context *c = calloc(1, sizeof *c);
        c->device = device;
        stack[depth++] = c;
        fake.contexts++;
        *ret = (CUcontext)c;
        return CUDA_SUCCESS;
}

static CUresult destroy(CUcontext context)
{
        struct context *c = (struct context *)context;
        fake.calls++;
        if (!c || c->primary || c->dead)
                return CUDA_ERROR_INVALID_CONTEXT;
        c->dead = true; /* never freed: other threads may still name it */
        fake.contexts--;
        if (depth && stack[depth - 1] == c)
                depth--;
        return CUDA_SUCCESS;
}

static CUresult push(CUcontext context)
{
        fake.calls++;
        if (!context || ((struct context *)context)->dead)
                return CUDA_ERROR_INVALID_CONTEXT;
        stack[depth++] = (struct context *)context;
        return CUDA_SUCCESS;
}

static CUresult pop(CUcontext *ret)
{
        fake.calls++;
        if (!depth)
                return CUDA_ERROR_INVALID_CONTEXT;
        *ret = (CUcontext)stack[--depth];
        return CUDA_SUCCESS;
}

static CUresult set(CUcontext context)
{
        fake.calls++;
        if (context && ((struct context *)context)->dead)
                return CUDA_ERROR_CONTEXT_IS_DESTROYED;
        depth -= depth > 0;
        if (context)
                stack[depth++] = (struct context *)context;
        return CUDA_SUCCESS;
}

static CUresult get_current(CUcontext *ret)
{
        fake.calls++;
        *ret = depth ? (CUcontext)stack[depth - 1] : NULL;
        return CUDA_SUCCESS;
}

static CUresult current_check(void)
{
        fake.calls++;
        return !depth ? CUDA_ERROR_INVALID_CONTEXT : stack[depth - 1]->dead ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_SUCCESS;
}

static CUresult current_device(CUdevice *ret)
{
        CUresult r = current_check();
        if (!r)
                *ret = stack[depth - 1]->device;
        return r;
}

static CUresult mem_info(size_t *free, size_t *all)
{
        CUresult r = current_check();
        if (!r && free)
                *free = 70000;
        if (!r && all)
                *all = 80000;
        return r;
}

static CUresult stream_context(CUstream stream, CUcontext *ret)
{
        fake.calls++;
        *ret = *(CUcontext *)stream; /* a stream here is where its context is written */
        return CUDA_SUCCESS;
}

static CUresult retain(CUcontext *ret, CUdevice device)
{
        CUresult r = note_device(device);
        if (r)
                return r;
        primary[device] = (struct context){.device = device, .primary = true};
        fake.primary_refs[device]++;
        *ret = (CUcontext)&primary[device];
        return CUDA_SUCCESS;
}

static CUresult release(CUdevice device)
{
        CUresult r = note_device(device);
        if (!r && !fake.primary_refs[device])
                return CUDA_ERROR_INVALID_CONTEXT;
        if (!r && --fake.primary_refs[device] == 0)
                primary[device].dead = true;
        return r;
}

static CUresult state(CUdevice device, unsigned *flags, int *active)
{
        CUresult r = note_device(device);
        *flags = 0;
        *active = !r && fake.primary_refs[device] > 0;
        return r;
}

static CUresult can_access(int *can, CUdevice device, CUdevice peer)
{
        CUresult r = note_device(device);
        *can = device != peer;
        return r;
}

static CUresult pool_create(CUmemoryPool *ret, const CUmemPoolProps *properties)
{
        CUresult r = note_device(properties->location.id);
        *ret = r ? NULL : malloc(1);
        return r;
}

static CUresult pool_destroy(CUmemoryPool pool)
{
        fake.calls++;
        free(pool);
        return CUDA_SUCCESS;
}

static CUresult pool_get(CUmemoryPool *ret, CUdevice device)
{
        static char driver_pool[4];
        CUresult r = note_device(device);
        *ret = r ? NULL : (CUmemoryPool)&driver_pool[device];
        return r;
}

static CUresult pool_access(CUmemAccess_flags *flags, CUmemoryPool pool, CUmemLocation *location)
{
        *flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        return note_device(location->id);
}

static CUresult set_access(CUdeviceptr pointer, size_t size, const CUmemAccessDesc *list, size_t count)
{
        return note_device(list[count - 1].location.id);
}

/* A green context is a context that is not made current and has two handles. */
static CUresult green_create(CUgreenCtx *ret, CUdevResourceDesc description, CUdevice device, unsigned flags)
{
        CUcontext context;
        CUresult r = create(&context, flags, device);
        if (!r) {
                depth--;
                *ret = (CUgreenCtx)context;
        }
        return r;
}

static CUresult green_context(CUcontext *ret, CUgreenCtx green)
{
        fake.calls++;
        *ret = (CUcontext)((struct context *)green)->twin;
        if (!*ret) {
                struct context *twin = calloc(1, sizeof *twin);
                *twin = *(struct context *)green;
                ((struct context *)green)->twin = twin;
                *ret = (CUcontext)twin;
        }
        return CUDA_SUCCESS;
}

static CUresult green_destroy(CUgreenCtx green)
{
        struct context *c = (struct context *)green;
        if (c->twin)
                c->twin->dead = true;
        return destroy((CUcontext)green);
}

static CUresult attach(CUcontext *ret, unsigned flags)
{
        CUresult r = current_check();
        if (!r)
                (*ret = (CUcontext)stack[depth - 1], stack[depth - 1]->attached++);
        return r;
}

static CUresult detach(CUcontext context)
{
        struct context *c = (struct context *)context;
        return c->attached-- > 0 ? CUDA_SUCCESS : destroy(context);
}

/* Everything was prefetched to device 0, and is accessed by device 1. */
static CUresult range(void *data, size_t size, CUmem_range_attribute attribute, CUdeviceptr pointer, size_t count)
{
        int *answer = data;
        fake.calls++;
        for (size_t i = 0; i < size / sizeof *answer; i++)
                answer[i] = i ? CU_DEVICE_INVALID : attribute == CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY;
        return CUDA_SUCCESS;
}

/* The table that the runtime library asks for primary contexts: size, then functions. */
static CUresult table_context(CUcontext *ret, CUdevice device)
{
        CUresult r = note_device(device);
        if (!r)
                *ret = (CUcontext)&primary[device];
        return r;
}

static CUresult table_settings(CUdevice device, void *list)
{
        return note_device(device);
}

static struct {
        uint64_t size;
        void *function[5];
} runtime = {sizeof runtime, {NULL, (void *)table_context, (void *)table_settings, (void *)total, NULL}};

static CUresult export_table(const void **ret, const CUuuid *id)
{
        fake.calls++;
        *ret = &runtime;
        return CUDA_SUCCESS;
}

static const struct fgc_driver driver = {
        .cuDeviceGetCount = get_count,
        .cuDeviceGetUuid_v2 = get_uuid,
        .cuDeviceGetName = get_name,
        .cuDeviceTotalMem_v2 = total,
        .cuDeviceGetByPCIBusId = by_bus,
        .cuCtxCreate_v2 = create,
        .cuCtxDestroy_v2 = destroy,
        .cuCtxPushCurrent_v2 = push,
        .cuCtxPopCurrent_v2 = pop,
        .cuCtxSetCurrent = set,
        .cuCtxGetCurrent = get_current,
        .cuCtxGetDevice = current_device,
        .cuMemGetInfo_v2 = mem_info,
        .cuStreamGetCtx = stream_context,
        .cuDevicePrimaryCtxRetain = retain,
        .cuDevicePrimaryCtxRelease_v2 = release,
        .cuDevicePrimaryCtxReset_v2 = release,
        .cuDevicePrimaryCtxGetState = state,
        .cuDeviceCanAccessPeer = can_access,
        .cuMemPoolCreate = pool_create,
        .cuMemPoolDestroy = pool_destroy,
        .cuDeviceGetMemPool = pool_get,
        .cuDeviceGetDefaultMemPool = pool_get,
        .cuMemPoolGetAccess = pool_access,
        .cuMemSetAccess = set_access,
        .cuGetExportTable = export_table,
        .cuMemRangeGetAttribute = range,
        .cuGreenCtxCreate = green_create,
        .cuGreenCtxDestroy = green_destroy,
        .cuCtxFromGreenCtx = green_context,
        .cuCtxAttach = attach,
        .cuCtxDetach = detach,
};

/* --- memory and gate --- */

int fgc_overhead_take(struct fgc_vgpu *vgpu)
{
        if (fake.room == 0)
                return -12;
        fake.room--;
        fake.charged[vgpu->ordinal]++;
        return 0;
}

CUresult fgc_refusal(int error)
{
        return CUDA_ERROR_OUT_OF_MEMORY;
}

void fgc_overhead_drop(struct fgc_vgpu *vgpu)
{
        fake.room++;
        fake.charged[vgpu->ordinal]--;
}

void fgc_memory_context_gone(CUcontext context)
{
        fake.emptied++;
}

void fgc_pool_adopt(CUmemoryPool made, struct fgc_vgpu *vgpu)
{
        fake.adopted++;
}

struct fgc_overhead fgc_overhead[FGC_OVERHEAD_VGPUS];

void fgc_overhead_settle_now(struct fgc_vgpu *vgpu, uint64_t seen, bool changes)
{
}

CUstreamCaptureMode fgc_capture_relax(void)
{
        return CU_STREAM_CAPTURE_MODE_GLOBAL;
}

void fgc_capture_unrelax(CUstreamCaptureMode mode)
{
}

uint32_t fgc_pools_dirty;

void fgc_pools_settle(bool all)
{
}

struct fg_gate *fgc_gate_new(struct fgc_vgpu *vgpu)
{
        return (struct fg_gate *)vgpu;
}

void fgc_gate_context_gone(CUcontext context)
{
        fake.ended++;
}

/* --- the session --- */

const char *fake_uuid(unsigned vgpu)
{
        static char text[FGC_UUID_TEXT];
        fgc_uuid_text("GPU-", limits[vgpu].uuid, text);
        return text;
}

CUresult fake_start(unsigned count, const int *below, const char *visible)
{
        fake = (struct fake){.physical = 2, .room = 100};
        fgc_real = driver;
        session = (struct fg_session){.count = count, .vgpu = calloc(count, sizeof *session.vgpu)};
        for (unsigned i = 0; i < count; i++) {
                uint8_t uuid[16];
                memset(&limits[i], 0, sizeof limits[i]);
                memset(limits[i].uuid, (int)(0x10 + i), sizeof limits[i].uuid);
                memset(uuid, 0xa0 + below[i], sizeof uuid);
                fgc_uuid_text("cuda/GPU-", uuid, limits[i].device_key);
                limits[i].quota = FAKE_QUOTA * (i + 1);
                fg_page_init_usage(&usage[i]);
                fg_ledger_open(&session.vgpu[i].ledger, &limits[i], &usage[i], 0);
        }
        visible ? setenv(FGC_VISIBLE_ENV, visible, 1) : unsetenv(FGC_VISIBLE_ENV);
        fgc_visible_begin(&session);
        snprintf(fake_seen, sizeof fake_seen, "%s", getenv(FGC_VISIBLE_ENV) ? getenv(FGC_VISIBLE_ENV) : "(unset)");
        fgc_visible_end();
        return fgc_devices_init(&session);
}

void fake_stop(void)
{
        depth = 0;
        fgc_current_invalidate();
        free(fgc_vgpus);
        free(session.vgpu);
        fgc_devices_forget();
}

struct fgc_vgpu *fgc_alloc_vgpu(CUdeviceptr pointer)
{
        return fgc_vgpu_of_ordinal((CUdevice)(pointer & 7)); /* an address here ends in whose it is */
}

struct fgc_vgpu *fgc_alloc_vgpu_of_handle(CUmemGenericAllocationHandle handle)
{
        return fgc_vgpu_of_ordinal((CUdevice)(handle & 7));
}

struct fgc_alloc_table fgc_handles;

bool fgc_alloc_find(struct fgc_alloc_table *table, uint64_t key, struct fgc_alloc *ret)
{
        return false;
}
