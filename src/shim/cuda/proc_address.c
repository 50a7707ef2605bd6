/* SPDX-License-Identifier: Apache-2.0
 * cuGetProcAddress: the real driver decides about release, flags and status; only the address of a hooked function
 * changes. */
#include "shim/common/library.h"
#include "shim/cuda/core.h"

#include <string.h>

#define RELEASE_V2 12000 /* since when cuGetProcAddress means cuGetProcAddress_v2 */

static void proc_replace(const char *symbol, void **pfn, cuuint64_t flags)
{
        if (symbol && pfn && *pfn)
                *pfn = fgc_form_replace(symbol, *pfn, flags);
        fgx_no_error();
}

/* Without a vGPU: a refusal for whatever the driver has, or, without a driver, for whatever we know. */
static void proc_refuse(const char *symbol, void **pfn, int release)
{
        int index = fgx_index(symbol);

        if (index == FGC_cuGetProcAddress && release >= RELEASE_V2)
                index = FGC_cuGetProcAddress_v2;
        *pfn = fgc_closed_target(index);
}

static CUresult proc_closed(const char *symbol, void **pfn, int release, CUdriverProcAddressQueryResult *status)
{
        if (!symbol || !pfn)
                return CUDA_ERROR_INVALID_VALUE;
        *pfn = NULL;
        if (fgx_index(symbol) >= 0)
                proc_refuse(symbol, pfn, release);
        if (status)
                *status = *pfn ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
        return *pfn ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult fgc_cuGetProcAddress_v2(const char *symbol, void **pfn, int release, cuuint64_t flags,
                                 CUdriverProcAddressQueryResult *status)
{
        CUresult r;

        FGC_PASS(cuGetProcAddress_v2, symbol, pfn, release, flags, status);
        if (!fgc_real.cuGetProcAddress_v2)
                return proc_closed(symbol, pfn, release, status);
        r = FGC_REAL(cuGetProcAddress_v2, symbol, pfn, release, flags, status);
        if (r != CUDA_SUCCESS)
                return r;
        if (fgc_start() == FGC_OPEN)
                proc_replace(symbol, pfn, flags);
        else if (symbol && pfn && *pfn)
                proc_refuse(symbol, pfn, release);
        return r;
}

CUresult fgc_cuGetProcAddress(const char *symbol, void **pfn, int release, cuuint64_t flags)
{
        CUresult r;

        FGC_PASS(cuGetProcAddress, symbol, pfn, release, flags);
        if (!fgc_real.cuGetProcAddress)
                return proc_closed(symbol, pfn, release, NULL);
        r = FGC_REAL(cuGetProcAddress, symbol, pfn, release, flags);
        if (r != CUDA_SUCCESS)
                return r;
        if (fgc_start() == FGC_OPEN)
                proc_replace(symbol, pfn, flags);
        else if (symbol && pfn && *pfn)
                proc_refuse(symbol, pfn, release);
        return r;
}
