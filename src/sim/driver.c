/* SPDX-License-Identifier: Apache-2.0
 * Initialisation, versions, and the slow half of every entry. */
#include "sim/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fgsim_gate = FGSIM_GATE_COLD;

static uint32_t visible[FGSIM_GPUS_MAX], visible_count;

bool fgsim_gpu_of(CUdevice device, uint32_t *ret_gpu)
{
        if (device < 0 || (uint32_t)device >= visible_count)
                return false;
        *ret_gpu = visible[device];
        return true;
}

CUdevice fgsim_ordinal_of(uint32_t gpu)
{
        for (uint32_t i = 0; i < visible_count; i++)
                if (visible[i] == gpu)
                        return (CUdevice)i;
        return CU_DEVICE_INVALID;
}

/* "1" or the beginning of a UUID. */
static bool find_gpu(const char *text, size_t len, uint32_t *ret)
{
        char name[64], *end;
        if (len == 0 || len >= sizeof name)
                return false;
        memcpy(name, text, len);
        name[len] = '\0';
        unsigned long number = strtoul(name, &end, 10);
        if (name[0] >= '0' && name[0] <= '9' && !*end) {
                *ret = (uint32_t)number;
                return number < fgsim_spec.gpus;
        }
        uint32_t found = 0;
        for (uint32_t i = 0; i < fgsim_spec.gpus; i++)
                if (strncmp(fgsim_spec.gpu[i].uuid, name, len) == 0)
                        *ret = i, found++;
        return found == 1;
}

/* The driver's own rule: what follows the first thing it does not understand is not seen; one GPU twice means none at
 * all. */
static void choose_visible(void)
{
        const char *list = getenv("CUDA_VISIBLE_DEVICES");
        visible_count = 0;
        for (uint32_t i = 0; !list && i < fgsim_spec.gpus; i++)
                visible[visible_count++] = i;
        while (list && visible_count < FGSIM_GPUS_MAX) {
                list += strspn(list, " ");
                size_t len = strcspn(list, ", ");
                uint32_t gpu = 0;
                if (!find_gpu(list, len, &gpu))
                        return;
                for (uint32_t i = 0; i < visible_count; i++)
                        if (visible[i] == gpu) {
                                visible_count = 0;
                                return;
                        }
                visible[visible_count++] = gpu;
                list = list[len] ? list + len + 1 : NULL;
        }
}

/* A child of a process that uses CUDA cannot. */
static void in_child(void)
{
        if (!(fgsim_gate & FGSIM_GATE_COLD))
                fgsim_gate |= FGSIM_GATE_FORKED;
}

static CUresult init(void)
{
        struct fg_error err = {0};
        int r = fgsim_attach(&err);
        if (r < 0) {
                if (r != -ENODEV)
                        fprintf(stderr, "fastgpu-sim: %s\n", err.text);
                return CUDA_ERROR_NO_DEVICE;
        }
        int result = CUDA_SUCCESS;
        if (fgsim_spec.faults && fgsim_fault("cuInit", -1, &result))
                return (CUresult)result;
        choose_visible();
        if (visible_count == 0)
                return CUDA_ERROR_NO_DEVICE;
        if (fgsim_slot_take() < 0) {
                fprintf(stderr, "fastgpu-sim: %u processes use this spec already; end some\n", FGSIM_SLOTS_MAX);
                return CUDA_ERROR_OPERATING_SYSTEM;
        }
        static bool watching;
        if (!watching)
                pthread_atfork(NULL, NULL, in_child);
        watching = true;
        fg_store_release(&fgsim_gate, fgsim_spec.faults ? FGSIM_GATE_FAULTS : 0);
        return CUDA_SUCCESS;
}

CUresult cuInit(unsigned int flags)
{
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        if (flags)
                return CUDA_ERROR_INVALID_VALUE;
        int gate = fg_load_acquire(&fgsim_gate);
        if (gate & FGSIM_GATE_FORKED)
                return CUDA_ERROR_NOT_INITIALIZED;
        if (!(gate & FGSIM_GATE_COLD))
                return CUDA_SUCCESS;
        pthread_mutex_lock(&lock);
        CUresult result = fgsim_gate & FGSIM_GATE_COLD ? init() : CUDA_SUCCESS;
        pthread_mutex_unlock(&lock);
        return result;
}

CUresult cuDriverGetVersion(int *version)
{
        if (!version)
                return CUDA_ERROR_INVALID_VALUE;
        if (fgsim_attach(NULL) < 0) {
                *version = 12090;
                return CUDA_SUCCESS;
        }
        *version = (int)fgsim_spec.driver;
        return CUDA_SUCCESS;
}

/* An Xid breaks every context that the process has on that GPU. */
static void break_contexts(struct fgsim_context *current)
{
        int sticky = fgsim_broken;
        fgsim_broken = 0;
        for (struct fgsim_context *ctx = fg_load_acquire(&fgsim_contexts); sticky && ctx; ctx = ctx->next)
                if (!current || ctx->gpu == current->gpu)
                        fgsim_context_break(ctx, (CUresult)sticky);
}

CUresult fgsim_enter_slow_free(const char *name)
{
        int gate = fg_load_acquire(&fgsim_gate), result;
        if (gate & (FGSIM_GATE_COLD | FGSIM_GATE_FORKED))
                return CUDA_ERROR_NOT_INITIALIZED;
        struct fgsim_context *ctx = fgsim_context_current();
        if (fgsim_spec.faults && fgsim_fault(name, ctx ? (int)ctx->gpu : -1, &result)) {
                break_contexts(ctx);
                return (CUresult)result;
        }
        return CUDA_SUCCESS;
}

CUresult fgsim_enter_slow(const char *name)
{
        CUresult result = fgsim_enter_slow_free(name);
        if (result != CUDA_SUCCESS)
                return result;
        struct fgsim_context *ctx = fgsim_context_current();
        if (ctx && ctx->broken)
                return (CUresult)ctx->broken;
        if (ctx && fg_load_relaxed(&fgsim_shared->gpu[ctx->gpu].lost))
                return CUDA_ERROR_UNKNOWN;
        return CUDA_SUCCESS;
}

/* Nothing the simulator has is behind these undocumented tables. */
CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
        if (!table || !id)
                return CUDA_ERROR_INVALID_VALUE;
        *table = NULL;
        return CUDA_ERROR_NOT_FOUND;
}

CUresult cuProfilerInitialize(const char *config, const char *output, CUoutput_mode mode)
{
        FGSIM_ENTER(cuProfilerInitialize);
        return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuProfilerStart(void)
{
        FGSIM_ENTER(cuProfilerStart);
        return fgsim_context_current() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuProfilerStop(void)
{
        FGSIM_ENTER(cuProfilerStop);
        return fgsim_context_current() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}
