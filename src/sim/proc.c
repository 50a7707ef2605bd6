/* SPDX-License-Identifier: Apache-2.0
 * cuGetProcAddress: base name, version and stream flags to a function. The newest form that is not newer than what the
 * caller asks for; with the per-thread flag, that form for the thread's own stream where there is one. */
#include "sim/internal.h"
#include "sim/versions.h"

#include <stdlib.h>
#include <string.h>

struct row {
        const char *base;
        int version, per_thread;
        void *function;
};

#define ROW(base, version, name, per_thread) {#base, version, per_thread, (void *)name},

static const struct row rows[] = {FGSIM_VERSIONS(ROW)};

#define ROWS (sizeof rows / sizeof rows[0])

/* The first row of a base name, NULL. Rows are in the order of their names. */
static const struct row *find_base(const char *name)
{
        size_t low = 0, high = ROWS;
        while (low < high) {
                size_t middle = (low + high) / 2;
                if (strcmp(rows[middle].base, name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < ROWS && strcmp(rows[low].base, name) == 0 ? &rows[low] : NULL;
}

void *fgsim_proc_address(const char *name, int version, uint64_t flags, CUdriverProcAddressQueryResult *ret_status)
{
        const struct row *row = find_base(name), *best = NULL;
        int driver = fgsim_shared ? (int)fgsim_spec.driver : 12090;
        bool known = false;
        for (; row && row < rows + ROWS && strcmp(row->base, name) == 0; row++) {
                if (row->version > driver)
                        continue;
                known = true;
                if (row->version > version ||
                    (row->per_thread && !(flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)))
                        continue;
                /* A per-thread form counts as no older than the form it stands for. */
                if (!best || row->per_thread > best->per_thread || row->version >= best->version)
                        best = row;
        }
        *ret_status = best    ? CU_GET_PROC_ADDRESS_SUCCESS
                      : known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                              : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
        return best ? best->function : NULL;
}

static bool good_arguments(const char *symbol, void **function, cuuint64_t flags)
{
        cuuint64_t known = CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
        return symbol && *symbol && function && !(flags & ~known) && flags != known;
}

/* As it was in 11.3: what is not found is an error. */
CUresult cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags)
{
        CUdriverProcAddressQueryResult status;
        if (!good_arguments(symbol, function, flags))
                return CUDA_ERROR_INVALID_VALUE;
        *function = fgsim_proc_address(symbol, version, flags, &status);
        return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *ret_status)
{
        CUdriverProcAddressQueryResult status;
        if (!good_arguments(symbol, function, flags))
                return CUDA_ERROR_INVALID_VALUE;
        *function = fgsim_proc_address(symbol, version, flags, &status);
        if (ret_status)
                *ret_status = status;
        return CUDA_SUCCESS;
}
