/* SPDX-License-Identifier: Apache-2.0
 * Functions that a program asks for by name. Those of the dispatch table are the layer's if it hooks them; of the
 * others only those are let through that neither take a device nor make one work. */
#include "shim/opencl/device.h"
#include "shim/opencl/usm.h"

/* Beyond the dispatch table. */
static const char *const extension_harmless[] = {
        "clGetKernelSuggestedLocalWorkSizeKHR",
        "clGetKernelSuggestedLocalWorkSizeINTEL",
        "clHostMemAllocINTEL",
        "clSetKernelArgMemPointerINTEL",
        "clGetSupportedImageFormatsINTEL",
        "clGetImageRequirementsInfoEXT",
        "clEnqueueAcquireExternalMemObjectsKHR",
        "clEnqueueReleaseExternalMemObjectsKHR",
        "clSetContentSizeBufferPoCL",
        "clGetICDLoaderInfoOCLICD",
        "clTerminateContextKHR",
        "clLogMessagesToSystemLogAPPLE",
        "clLogMessagesToStdoutAPPLE",
        "clLogMessagesToStderrAPPLE",
};

struct extension_row {
        const char *name;
        void *hook; /* NULL: the driver's own */
};

#define EXTENSION_HOOK(row) {#row, (void *)fgo_##row},
#define EXTENSION_PASS(row) {#row, NULL},
static const struct extension_row extension_table[] = {
        FGO_DISPATCH(EXTENSION_HOOK, EXTENSION_PASS)
        /* The same function under its older name. */
        {"clCreateCommandQueueWithPropertiesKHR", (void *)fgo_clCreateCommandQueueWithProperties},
        {"clCreateProgramWithILKHR", (void *)fgo_clCreateProgramWithIL},
};

static bool extension_is_harmless(const char *name)
{
        for (size_t i = 0; i < sizeof(extension_harmless) / sizeof(extension_harmless[0]); i++)
                if (strcmp(name, extension_harmless[i]) == 0)
                        return true;
        return false;
}

/* What the program gets for a name for which the driver has `driver`. */
static void *extension_choose(const char *name, void *driver)
{
        for (size_t i = 0; i < sizeof(extension_table) / sizeof(extension_table[0]); i++)
                if (strcmp(name, extension_table[i].name) == 0)
                        return driver && extension_table[i].hook ? extension_table[i].hook : driver;
        return extension_is_harmless(name) ? driver : NULL;
}

CL_API_ENTRY void *CL_API_CALL fgo_clGetExtensionFunctionAddressForPlatform(cl_platform_id platform, const char *name)
{
        void *hook = name ? fgo_usm_function(platform, name) : NULL;

        if (!name || hook)
                return hook;
        return extension_choose(name, fgo_driver.clGetExtensionFunctionAddressForPlatform(platform, name));
}

/* Without a platform the loader knows the name's extension from its suffix. */
CL_API_ENTRY void *CL_API_CALL fgo_clGetExtensionFunctionAddress(const char *name)
{
        const struct fgo_session *session = fgo_session_get();
        void *hook;

        if (!name || !session || session->count == 0)
                return NULL;
        hook = fgo_usm_function(session->vgpu[0].platform, name);
        return hook ? hook : extension_choose(name, fgo_driver.clGetExtensionFunctionAddress(name));
}

/* The host's clock against the device's. */
CL_API_ENTRY cl_int CL_API_CALL fgo_clGetDeviceAndHostTimer(cl_device_id device, cl_ulong *device_time,
                                                            cl_ulong *host_time)
{
        if (!fgo_device_check(device))
                return CL_INVALID_DEVICE;
        return fgo_driver.clGetDeviceAndHostTimer(device->native, device_time, host_time);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetHostTimer(cl_device_id device, cl_ulong *host_time)
{
        if (!fgo_device_check(device))
                return CL_INVALID_DEVICE;
        return fgo_driver.clGetHostTimer(device->native, host_time);
}
