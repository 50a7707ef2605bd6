/* SPDX-License-Identifier: Apache-2.0
 * Start and end. A process without a vGPU has no permission to see the devices (NO_PERMISSION); one with a vGPU but
 * without the vendor's library has no driver (DRIVER_NOT_LOADED). */
#include "base/atomic.h"
#include "shim/nvml/core.h"
#include "shim/nvml/device.h"
#include "shim/nvml/session.h"

static uint32_t init_users;

int fgn_in_use(void)
{
        return fg_load_acquire(&init_users) != 0;
}

static nvmlReturn_t init_refuse(void)
{
        if (fgn_session_attach() < 0) {
                fgn_session_complain(NULL);
                return NVML_ERROR_NO_PERMISSION;
        }
        fgn_session_complain("no NVML here (libnvidia-ml.so.1)");
        return NVML_ERROR_DRIVER_NOT_LOADED;
}

static nvmlReturn_t init_done(nvmlReturn_t r)
{
        if (r == NVML_SUCCESS && fg_add_seq_cst(&init_users, 1) == 0)
                fgn_use_begin();
        return r;
}

nvmlReturn_t fgn_nvmlInit(void)
{
        if (fgn_inside)
                return fgn_real.nvmlInit();
        return fgn_start() == FGN_OPEN ? init_done(FGN_REAL(nvmlInit)) : init_refuse();
}

nvmlReturn_t fgn_nvmlInit_v2(void)
{
        if (fgn_inside)
                return fgn_real.nvmlInit_v2();
        return fgn_start() == FGN_OPEN ? init_done(FGN_REAL(nvmlInit_v2)) : init_refuse();
}

nvmlReturn_t fgn_nvmlInitWithFlags(unsigned flags)
{
        if (fgn_inside)
                return fgn_real.nvmlInitWithFlags(flags);
        return fgn_start() == FGN_OPEN ? init_done(FGN_REAL(nvmlInitWithFlags, flags)) : init_refuse();
}

nvmlReturn_t fgn_nvmlShutdown(void)
{
        nvmlReturn_t r;

        FGN_PASS(nvmlShutdown);
        r = FGN_REAL(nvmlShutdown);
        if (r == NVML_SUCCESS)
                fg_sub_seq_cst(&init_users, 1);
        return r;
}
