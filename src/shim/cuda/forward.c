/* SPDX-License-Identifier: Apache-2.0
 * Functions that only need their device numbers translated: a row each. */
#include "shim/cuda/hook.h"
#include "shim/cuda/translate.h"

/* One that takes `dev`. */
#define IN(name, params, ...) \
        CUresult fgc_##name params \
        { \
                if (!fgc_inside) \
                        dev = fgc_device_in(dev); \
                return FGC_REAL(name, __VA_ARGS__); \
        }

/* About the device. What no vGPU has a share of (names, capabilities, bus) is the physical device's. */
IN(cuDeviceGetName, (char *name, int len, CUdevice dev), name, len, dev)
IN(cuDeviceGetAttribute, (int *value, CUdevice_attribute attribute, CUdevice dev), value, attribute, dev)
IN(cuDeviceGetLuid, (char *luid, unsigned int *mask, CUdevice dev), luid, mask, dev)
IN(cuDeviceGetPCIBusId, (char *id, int len, CUdevice dev), id, len, dev)
IN(cuDeviceGetProperties, (CUdevprop *properties, CUdevice dev), properties, dev)
IN(cuDeviceComputeCapability, (int *major, int *minor, CUdevice dev), major, minor, dev)
IN(cuDeviceGetTexture1DLinearMaxWidth, (size_t *width, CUarray_format format, unsigned channels, CUdevice dev), width, format,
   channels, dev)
IN(cuDeviceGetExecAffinitySupport, (int *value, CUexecAffinityType type, CUdevice dev), value, type, dev)
IN(cuDeviceGetNvSciSyncAttributes, (void *list, CUdevice dev, int flags), list, dev, flags)
IN(cuDeviceGetHostAtomicCapabilities,
   (unsigned int *capabilities, const CUatomicOperation *operations, unsigned int count, CUdevice dev), capabilities, operations,
   count, dev)
IN(cuDeviceGetFabricClusterUuid, (CUuuid *uuid, CUdevice dev), uuid, dev)
IN(cuDeviceGetCliqueCount, (size_t *count, CUdevice dev), count, dev)
IN(cuDeviceGetCliqueInfo, (CUcliqueInfo *info, size_t *count, CUdevice dev), info, count, dev)
IN(cuDeviceRegisterAsyncNotification, (CUdevice dev, CUasyncCallback function, void *user, CUasyncCallbackHandle *handle), dev,
   function, user, handle)
IN(cuDeviceUnregisterAsyncNotification, (CUdevice dev, CUasyncCallbackHandle handle), dev, handle)

/* Graph memory is the process's on the physical device: vGPUs that share it see the same figures, and trim for each other. */
IN(cuDeviceGraphMemTrim, (CUdevice dev), dev)
IN(cuDeviceGetGraphMemAttribute, (CUdevice dev, CUgraphMem_attribute attribute, void *value), dev, attribute, value)
IN(cuDeviceSetGraphMemAttribute, (CUdevice dev, CUgraphMem_attribute attribute, void *value), dev, attribute, value)

/* Things with a part on each device. */
IN(cuKernelGetAttribute, (int *value, CUfunction_attribute attribute, CUkernel kernel, CUdevice dev), value, attribute, kernel,
   dev)
IN(cuKernelSetAttribute, (CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice dev), attribute, value, kernel,
   dev)
IN(cuKernelSetCacheConfig, (CUkernel kernel, CUfunc_cache config, CUdevice dev), kernel, config, dev)
IN(cuArrayGetMemoryRequirements, (CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUarray array, CUdevice dev), requirements, array,
   dev)
IN(cuMipmappedArrayGetMemoryRequirements,
   (CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUmipmappedArray mipmap, CUdevice dev), requirements, mipmap, dev)

/* Multicast objects hold a physical device once: a second vGPU on it is refused by the driver. */
IN(cuMulticastAddDevice, (CUmemGenericAllocationHandle handle, CUdevice dev), handle, dev)
IN(cuMulticastBindMem_v2,
   (CUmemGenericAllocationHandle handle, CUdevice dev, size_t offset, CUmemGenericAllocationHandle memory, size_t memory_offset,
    size_t size, unsigned long long flags),
   handle, dev, offset, memory, memory_offset, size, flags)
IN(cuMulticastBindAddr_v2,
   (CUmemGenericAllocationHandle handle, CUdevice dev, size_t offset, CUdeviceptr pointer, size_t size, unsigned long long flags),
   handle, dev, offset, pointer, size, flags)
IN(cuMulticastUnbind, (CUmemGenericAllocationHandle handle, CUdevice dev, size_t offset, size_t size), handle, dev, offset, size)

IN(cuLogicalEndpointAddDevice, (CUlogicalEndpointId id, CUdevice dev), id, dev)
IN(cuLogicalEndpointBindAddr,
   (CUlogicalEndpointId id, CUdevice dev, cuuint64_t offset, void *pointer, cuuint64_t size, unsigned long long flags), id, dev,
   offset, pointer, size, flags)
IN(cuLogicalEndpointBindMem,
   (CUlogicalEndpointId id, CUdevice dev, cuuint64_t offset, CUmemGenericAllocationHandle memory, cuuint64_t memory_offset,
    cuuint64_t size, unsigned long long flags),
   id, dev, offset, memory, memory_offset, size, flags)
IN(cuLogicalEndpointUnbind, (CUlogicalEndpointId id, CUdevice dev, cuuint64_t offset, cuuint64_t size), id, dev, offset, size)

/* One that takes properties with a device in them where they are of the unicast kind. */
static const CUlogicalEndpointProp *endpoint_in(const CUlogicalEndpointProp *from, CUlogicalEndpointProp *to)
{
        if (!from || fgc_inside || from->type != CU_LOGICAL_ENDPOINT_TYPE_UNICAST)
                return from;
        *to = *from;
        to->unicast.device = fgc_device_in(from->unicast.device);
        return to;
}

CUresult fgc_cuLogicalEndpointCreate(CUlogicalEndpointId id, const CUlogicalEndpointProp *properties)
{
        CUlogicalEndpointProp copy;
        properties = endpoint_in(properties, &copy);
        return FGC_REAL(cuLogicalEndpointCreate, id, properties);
}

CUresult fgc_cuLogicalEndpointGetLimits(cuuint64_t *alignment, cuuint64_t *size, const CUlogicalEndpointProp *properties)
{
        CUlogicalEndpointProp copy;
        properties = endpoint_in(properties, &copy);
        return FGC_REAL(cuLogicalEndpointGetLimits, alignment, size, properties);
}
