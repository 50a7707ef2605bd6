/* SPDX-License-Identifier: Apache-2.0
 * Devices and contexts for OpenGL and VDPAU. */
#include "shim/cuda/context_make.h"
#include "shim/cuda/translate.h"

FGC_CREATE(cuGLCtxCreate, (CUcontext *pctx, unsigned int flags, CUdevice dev), pctx, flags, dev)
FGC_CREATE(cuGLCtxCreate_v2, (CUcontext *pctx, unsigned int flags, CUdevice dev), pctx, flags, dev)
FGC_CREATE(cuVDPAUCtxCreate, (CUcontext *pctx, unsigned int flags, CUdevice dev, cuuint32_t device, void *address), pctx, flags,
           dev, device, address)
FGC_CREATE(cuVDPAUCtxCreate_v2, (CUcontext *pctx, unsigned int flags, CUdevice dev, cuuint32_t device, void *address), pctx,
           flags, dev, device, address)

CUresult fgc_cuVDPAUGetDevice(CUdevice *device, cuuint32_t display, void *address)
{
        FGC_PASS(cuVDPAUGetDevice, device, display, address);
        CUresult r = FGC_REAL(cuVDPAUGetDevice, device, display, address);
        if (!r && device)
                *device = fgc_device_out(*device, NULL);
        return r;
}

/* Of several vGPUs on a device that drives the display: the first. `count` is how many there are, `room` how many were asked. */
#define GL_DEVICES(name) \
        CUresult fgc_##name(unsigned int *count, CUdevice *list, unsigned int room, int which) \
        { \
                FGC_PASS(name, count, list, room, which); \
                CUresult r = FGC_REAL(name, count, list, room, which); \
                for (unsigned i = 0; !r && count && list && i < *count && i < room; i++) \
                        list[i] = fgc_device_out(list[i], NULL); \
                return r; \
        }

GL_DEVICES(cuGLGetDevices)
GL_DEVICES(cuGLGetDevices_v2)
