/* SPDX-License-Identifier: Apache-2.0
 * What the ICD loader calls: who we are, and our table for its table. */
#include "shim/opencl/dispatch.h"
#include "shim/opencl/session.h"

#include <stdlib.h>
#include <unistd.h>

#define FGO_EXPORT __attribute__((visibility("default")))

cl_icd_dispatch fgo_driver;
cl_icd_dispatch fgo_dispatch;

FGO_EXPORT CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t room, void *value,
                                                          size_t *ret_size)
{
        static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
        static const char title[] = "FastGPU";

        switch (name) {
        case CL_LAYER_API_VERSION:
                return fgo_answer(&version, sizeof(version), room, value, ret_size);
        case CL_LAYER_NAME:
                return fgo_answer(title, sizeof(title), room, value, ret_size);
        default:
                return CL_INVALID_VALUE;
        }
}

/* `fastgpu run` starts a program of its own with this variable to see that the loader really loads the layer: one byte
 * on that descriptor. Such a process gets no devices. */
static bool layer_prove(void)
{
        const char *text = getenv("FASTGPU_PROVE");
        char *end;
        long fd;

        if (!text || !*text)
                return false;
        fd = strtol(text, &end, 10);
        return *end || fd < 0 || fd > INT32_MAX || write((int)fd, "F", 1) >= -1;
}

/* The tables are filled once: a second loader in the same process gets the same table over the first one's functions,
 * which go by the objects. */
static void layer_start(cl_uint num_entries, const cl_icd_dispatch *target)
{
        static uint32_t started;
        size_t size = num_entries * sizeof(void *);

        if (fg_swap_acq_rel(&started, 1))
                return;
        memcpy(&fgo_driver, target, size < sizeof(fgo_driver) ? size : sizeof(fgo_driver));
#define LAYER_HOOK(name) fgo_dispatch.name = fgo_##name;
#define LAYER_PASS(name) fgo_dispatch.name = fgo_driver.name;
        FGO_DISPATCH(LAYER_HOOK, LAYER_PASS)
#undef LAYER_HOOK
#undef LAYER_PASS
        fgo_session_start(layer_prove());
}

/* Runs inside the loader's own initialisation: nothing here may call OpenCL, and the daemon is not needed yet. */
FGO_EXPORT CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint num_entries, const cl_icd_dispatch *target,
                                                       cl_uint *num_entries_ret, const cl_icd_dispatch **layer_ret)
{
        if (!target || !num_entries_ret || !layer_ret)
                return CL_INVALID_VALUE;
        layer_start(num_entries, target);
        *layer_ret = &fgo_dispatch;
        *num_entries_ret = FGO_ROWS;
        return CL_SUCCESS;
}
