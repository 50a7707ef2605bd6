/* SPDX-License-Identifier: Apache-2.0
 *
 * A libcuda.so.1 for exact questions: which function does which name, release and flag lead to, what of ours does a
 * driver meet that calls its own exports, what does a program see that asks for more than we know. Nearly every
 * function only notes that it ran. SCRIPTED, words with commas: `internal` (cuGetProcAddress gives other addresses
 * than dlsym), `unready` (cuInit fails the first time). */
#include "scripted_driver.h"

#include "abi/cuda_types.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT  __attribute__((visibility("default")))
#define RELEASE 13000

static __thread const char *last = "";
static int inits, ready_pid;

#define NOTE(name) (last = #name)

/* Each in two copies: `internal` drivers keep one to themselves. */
#define FUNCTION(name, parameters, ...) \
        EXPORT CUresult name parameters; \
        __attribute__((unused)) static CUresult inner_##name parameters; \
        CUresult name parameters { NOTE(name); __VA_ARGS__ } \
        static CUresult inner_##name parameters { NOTE(name); __VA_ARGS__ }
#define PLAIN(name) FUNCTION(name, (void), return CUDA_SUCCESS;)

/* clang-format off */
#define PLAINS(X) \
        X(cuMemAlloc) X(cuMemFree) X(cuMemFree_v2) X(cuMemAllocAsync) X(cuMemAllocAsync_ptsz) \
        X(cuCtxCreate) X(cuCtxCreate_v2) X(cuCtxCreate_v3) X(cuCtxCreate_v4) X(cuCtxGetLimit) X(cuStreamGetCtx) \
        X(cuLaunchKernel) X(cuLaunchKernel_ptsz) X(cuStreamBeginCapture) X(cuStreamBeginCapture_ptsz) \
        X(cuStreamBeginCapture_v2) X(cuStreamBeginCapture_v2_ptsz) X(cuGraphInstantiate) X(cuGraphInstantiate_v2) \
        X(cuGraphInstantiateWithFlags) X(cuGraphUpload) X(cuNewThing)
PLAINS(PLAIN)

/* One function under two names. */
PLAIN(cuArrayCreate_v2)
EXPORT CUresult cuArray3DCreate_v2(void) __attribute__((alias("cuArrayCreate_v2")));
#define inner_cuArray3DCreate_v2 inner_cuArrayCreate_v2

static bool scripted(const char *word)
{
        const char *script = getenv("SCRIPTED");

        return script && strstr(script, word);
}

static CUresult served(void)
{
        return ready_pid == getpid() ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

EXPORT CUresult cuDeviceGetCount(int *count);
EXPORT CUresult cuInit(unsigned flags);

FUNCTION(cuDriverGetVersion, (int *version), *version = RELEASE; return CUDA_SUCCESS;)
FUNCTION(cuGetErrorName, (CUresult error, const char **text), *text = "scripted"; return CUDA_SUCCESS;)
FUNCTION(cuGetErrorString, (CUresult error, const char **text), *text = "scripted"; return CUDA_SUCCESS;)
FUNCTION(cuDeviceGetCount, (int *count), *count = 1; return served();)
FUNCTION(cuDeviceGet, (CUdevice *device, int ordinal), *device = ordinal;
         return ordinal == 0 ? served() : CUDA_ERROR_INVALID_DEVICE;)
FUNCTION(cuDeviceGetUuid_v2, (CUuuid *uuid, CUdevice device), memset(uuid, 0x5c, sizeof(*uuid)); return served();)
FUNCTION(cuDeviceGetAttribute, (int *value, int attribute, CUdevice device), *value = 0; return served();)
FUNCTION(cuCtxGetCurrent, (CUcontext *context), *context = NULL; return served();)
FUNCTION(cuMemAlloc_v2, (CUdeviceptr *address, size_t bytes), *address = 0x10000; return served();)
/* clang-format on */

/* Not the signature of this name in CUDA: as many arguments of each kind as registers hold, and more on the stack. */
FUNCTION(cuTexRefSetMipmapLevelBias,
         (long a, long b, long c, long d, long e, long f, double p, double q, double r, double s, double t, double u,
          double v, double w, long g, long h, double x, long i),
         return a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && p == 0.5 && q == 1.5 && r == 2.5 &&
                         s == 3.5 && t == 4.5 && u == 5.5 && v == 6.5 && w == 7.5 && g == 7 && h == 8 && x == 8.5 && i == 9
                 ? 4711
                 : CUDA_ERROR_INVALID_VALUE;)

/* Calls its own exports by way of the dynamic linker, as some libraries do. */
static CUresult init(unsigned flags)
{
        int count, before = __atomic_fetch_add(&inits, 1, __ATOMIC_RELAXED);

        if (flags)
                return CUDA_ERROR_INVALID_VALUE;
        if (scripted("unready") && before == 0)
                return CUDA_ERROR_SYSTEM_NOT_READY;
        if (ready_pid && ready_pid != getpid())
                return CUDA_ERROR_NOT_INITIALIZED;
        if (!ready_pid) {
                ready_pid = getpid();
                cuInit(0);
        }
        return cuDeviceGetCount(&count);
}
FUNCTION(cuInit, (unsigned flags), return init(flags);)

/* Who came when: base name, release, function; TWIN: of per-thread streams. The last that is old enough is the
 * answer. */
#define HISTORY(ROW, TWIN) \
        ROW(cuInit, 2000, cuInit) ROW(cuDriverGetVersion, 2020, cuDriverGetVersion) \
        ROW(cuMemAlloc, 2000, cuMemAlloc) ROW(cuMemAlloc, 3020, cuMemAlloc_v2) \
        ROW(cuMemFree, 2000, cuMemFree) ROW(cuMemFree, 3020, cuMemFree_v2) \
        ROW(cuCtxCreate, 2000, cuCtxCreate) ROW(cuCtxCreate, 3020, cuCtxCreate_v2) \
        ROW(cuCtxCreate, 11040, cuCtxCreate_v3) ROW(cuCtxCreate, 12050, cuCtxCreate_v4) \
        ROW(cuCtxGetLimit, 3010, cuCtxGetLimit) \
        ROW(cuArrayCreate, 3020, cuArrayCreate_v2) ROW(cuArray3DCreate, 3020, cuArray3DCreate_v2) \
        ROW(cuMemAllocAsync, 11020, cuMemAllocAsync) TWIN(cuMemAllocAsync, 11020, cuMemAllocAsync_ptsz) \
        ROW(cuLaunchKernel, 4000, cuLaunchKernel) TWIN(cuLaunchKernel, 7000, cuLaunchKernel_ptsz) \
        ROW(cuStreamBeginCapture, 10000, cuStreamBeginCapture) \
        TWIN(cuStreamBeginCapture, 10000, cuStreamBeginCapture_ptsz) \
        ROW(cuStreamBeginCapture, 10010, cuStreamBeginCapture_v2) \
        TWIN(cuStreamBeginCapture, 10010, cuStreamBeginCapture_v2_ptsz) \
        ROW(cuGraphInstantiate, 10000, cuGraphInstantiate) ROW(cuGraphInstantiate, 11000, cuGraphInstantiate_v2) \
        ROW(cuGraphInstantiate, 12000, cuGraphInstantiateWithFlags) \
        ROW(cuGraphInstantiateWithFlags, 11040, cuGraphInstantiateWithFlags) ROW(cuNewThing, 13000, cuNewThing)

#define UNTWINED(base, release, function) {#base, release, false, (void *)function, (void *)inner_##function},
#define TWINED(base, release, function)   {#base, release, true, (void *)function, (void *)inner_##function},
static const struct row {
        const char *base;
        int release;
        bool twin;
        void *exported, *internal;
} history[] = {HISTORY(UNTWINED, TWINED)};

static CUresult find(const char *symbol, void **ret, int release, cuuint64_t flags,
                     CUdriverProcAddressQueryResult *status)
{
        const struct row *best = NULL, *any = NULL;

        for (size_t i = 0; i < sizeof(history) / sizeof(history[0]); i++) {
                const struct row *row = &history[i];

                if (strcmp(row->base, symbol) != 0 || (row->twin && flags != 2))
                        continue;
                any = row;
                if (row->release <= release && (!best || row->release >= best->release))
                        best = row;
        }
        *ret = best ? scripted("internal") ? best->internal : best->exported : NULL;
        *status = best ? 0 : any ? 2 : 1;
        return any ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

EXPORT CUresult cuGetProcAddress(const char *symbol, void **ret, int release, cuuint64_t flags);
EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **ret, int release, cuuint64_t flags,
                                    CUdriverProcAddressQueryResult *status);

CUresult cuGetProcAddress_v2(const char *symbol, void **ret, int release, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status)
{
        CUdriverProcAddressQueryResult unasked;

        if (!symbol || !ret || flags > 2)
                return CUDA_ERROR_INVALID_VALUE;
        if (!status)
                status = &unasked;
        if (strcmp(symbol, "cuGetProcAddress") != 0)
                return find(symbol, ret, release, flags, status);
        *ret = release >= 12000 ? (void *)cuGetProcAddress_v2 : (void *)cuGetProcAddress;
        *status = 0;
        return CUDA_SUCCESS;
}

/* The first version had no word for "too new". */
CUresult cuGetProcAddress(const char *symbol, void **ret, int release, cuuint64_t flags)
{
        CUresult r = cuGetProcAddress_v2(symbol, ret, release, flags, NULL);

        return r == CUDA_SUCCESS && !*ret ? CUDA_ERROR_NOT_FOUND : r;
}

EXPORT scripted_last_fn scripted_last;
EXPORT scripted_inits_fn scripted_inits;

const char *scripted_last(void)
{
        return last;
}

int scripted_inits(void)
{
        return inits;
}

/* While it is being loaded. What this call meets of ours must come back. */
__attribute__((constructor)) static void early(void)
{
        int version;

        cuDriverGetVersion(&version);
        last = "";
}
