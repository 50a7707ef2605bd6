/* SPDX-License-Identifier: Apache-2.0
 *
 * One row per entry of the loader's dispatch table, in its order. HOOK: the layer's own fgo_<name>, whose signature must
 * be the table's or it does not compile. PASS: the driver's; nothing to account for and no device handle goes through it.
 *
 * The graphics-sharing entries pass: the memory they wrap was allocated through another API. */
#ifndef FGO_DISPATCH_H
#define FGO_DISPATCH_H

#include "shim/opencl/api.h"

#define FGO_DISPATCH(HOOK, PASS) \
        HOOK(clGetPlatformIDs) \
        HOOK(clGetPlatformInfo) \
        HOOK(clGetDeviceIDs) \
        HOOK(clGetDeviceInfo) \
        HOOK(clCreateContext) \
        HOOK(clCreateContextFromType) \
        PASS(clRetainContext) \
        PASS(clReleaseContext) \
        HOOK(clGetContextInfo) \
        HOOK(clCreateCommandQueue) \
        HOOK(clRetainCommandQueue) \
        HOOK(clReleaseCommandQueue) \
        HOOK(clGetCommandQueueInfo) \
        HOOK(clSetCommandQueueProperty) \
        HOOK(clCreateBuffer) \
        HOOK(clCreateImage2D) \
        HOOK(clCreateImage3D) \
        PASS(clRetainMemObject) \
        PASS(clReleaseMemObject) \
        PASS(clGetSupportedImageFormats) \
        PASS(clGetMemObjectInfo) \
        PASS(clGetImageInfo) \
        PASS(clCreateSampler) \
        PASS(clRetainSampler) \
        PASS(clReleaseSampler) \
        PASS(clGetSamplerInfo) \
        HOOK(clCreateProgramWithSource) \
        HOOK(clCreateProgramWithBinary) \
        PASS(clRetainProgram) \
        PASS(clReleaseProgram) \
        HOOK(clBuildProgram) \
        PASS(clUnloadCompiler) \
        HOOK(clGetProgramInfo) \
        HOOK(clGetProgramBuildInfo) \
        PASS(clCreateKernel) \
        PASS(clCreateKernelsInProgram) \
        PASS(clRetainKernel) \
        PASS(clReleaseKernel) \
        PASS(clSetKernelArg) \
        PASS(clGetKernelInfo) \
        HOOK(clGetKernelWorkGroupInfo) \
        HOOK(clWaitForEvents) \
        PASS(clGetEventInfo) \
        PASS(clRetainEvent) \
        PASS(clReleaseEvent) \
        PASS(clGetEventProfilingInfo) \
        PASS(clFlush) \
        HOOK(clFinish) \
        HOOK(clEnqueueReadBuffer) \
        HOOK(clEnqueueWriteBuffer) \
        HOOK(clEnqueueCopyBuffer) \
        HOOK(clEnqueueReadImage) \
        HOOK(clEnqueueWriteImage) \
        HOOK(clEnqueueCopyImage) \
        HOOK(clEnqueueCopyImageToBuffer) \
        HOOK(clEnqueueCopyBufferToImage) \
        HOOK(clEnqueueMapBuffer) \
        HOOK(clEnqueueMapImage) \
        HOOK(clEnqueueUnmapMemObject) \
        HOOK(clEnqueueNDRangeKernel) \
        HOOK(clEnqueueTask) \
        HOOK(clEnqueueNativeKernel) \
        HOOK(clEnqueueMarker) \
        HOOK(clEnqueueWaitForEvents) \
        HOOK(clEnqueueBarrier) \
        HOOK(clGetExtensionFunctionAddress) \
        PASS(clCreateFromGLBuffer) \
        PASS(clCreateFromGLTexture2D) \
        PASS(clCreateFromGLTexture3D) \
        PASS(clCreateFromGLRenderbuffer) \
        PASS(clGetGLObjectInfo) \
        PASS(clGetGLTextureInfo) \
        PASS(clEnqueueAcquireGLObjects) \
        PASS(clEnqueueReleaseGLObjects) \
        HOOK(clGetGLContextInfoKHR) \
        PASS(clGetDeviceIDsFromD3D10KHR) \
        PASS(clCreateFromD3D10BufferKHR) \
        PASS(clCreateFromD3D10Texture2DKHR) \
        PASS(clCreateFromD3D10Texture3DKHR) \
        PASS(clEnqueueAcquireD3D10ObjectsKHR) \
        PASS(clEnqueueReleaseD3D10ObjectsKHR) \
        HOOK(clSetEventCallback) \
        PASS(clCreateSubBuffer) \
        PASS(clSetMemObjectDestructorCallback) \
        HOOK(clCreateUserEvent) \
        HOOK(clSetUserEventStatus) \
        HOOK(clEnqueueReadBufferRect) \
        HOOK(clEnqueueWriteBufferRect) \
        HOOK(clEnqueueCopyBufferRect) \
        HOOK(clCreateSubDevicesEXT) \
        HOOK(clRetainDeviceEXT) \
        HOOK(clReleaseDeviceEXT) \
        PASS(clCreateEventFromGLsyncKHR) \
        HOOK(clCreateSubDevices) \
        HOOK(clRetainDevice) \
        HOOK(clReleaseDevice) \
        HOOK(clCreateImage) \
        HOOK(clCreateProgramWithBuiltInKernels) \
        HOOK(clCompileProgram) \
        HOOK(clLinkProgram) \
        PASS(clUnloadPlatformCompiler) \
        PASS(clGetKernelArgInfo) \
        HOOK(clEnqueueFillBuffer) \
        HOOK(clEnqueueFillImage) \
        HOOK(clEnqueueMigrateMemObjects) \
        HOOK(clEnqueueMarkerWithWaitList) \
        HOOK(clEnqueueBarrierWithWaitList) \
        HOOK(clGetExtensionFunctionAddressForPlatform) \
        PASS(clCreateFromGLTexture) \
        PASS(clGetDeviceIDsFromD3D11KHR) \
        PASS(clCreateFromD3D11BufferKHR) \
        PASS(clCreateFromD3D11Texture2DKHR) \
        PASS(clCreateFromD3D11Texture3DKHR) \
        PASS(clCreateFromDX9MediaSurfaceKHR) \
        PASS(clEnqueueAcquireD3D11ObjectsKHR) \
        PASS(clEnqueueReleaseD3D11ObjectsKHR) \
        PASS(clGetDeviceIDsFromDX9MediaAdapterKHR) \
        PASS(clEnqueueAcquireDX9MediaSurfacesKHR) \
        PASS(clEnqueueReleaseDX9MediaSurfacesKHR) \
        PASS(clCreateFromEGLImageKHR) \
        PASS(clEnqueueAcquireEGLObjectsKHR) \
        PASS(clEnqueueReleaseEGLObjectsKHR) \
        PASS(clCreateEventFromEGLSyncKHR) \
        HOOK(clCreateCommandQueueWithProperties) \
        HOOK(clCreatePipe) \
        PASS(clGetPipeInfo) \
        HOOK(clSVMAlloc) \
        HOOK(clSVMFree) \
        HOOK(clEnqueueSVMFree) \
        HOOK(clEnqueueSVMMemcpy) \
        HOOK(clEnqueueSVMMemFill) \
        HOOK(clEnqueueSVMMap) \
        HOOK(clEnqueueSVMUnmap) \
        PASS(clCreateSamplerWithProperties) \
        PASS(clSetKernelArgSVMPointer) \
        PASS(clSetKernelExecInfo) \
        HOOK(clGetKernelSubGroupInfoKHR) \
        PASS(clCloneKernel) \
        HOOK(clCreateProgramWithIL) \
        HOOK(clEnqueueSVMMigrateMem) \
        HOOK(clGetDeviceAndHostTimer) \
        HOOK(clGetHostTimer) \
        HOOK(clGetKernelSubGroupInfo) \
        HOOK(clSetDefaultDeviceCommandQueue) \
        PASS(clSetProgramReleaseCallback) \
        PASS(clSetProgramSpecializationConstant) \
        HOOK(clCreateBufferWithProperties) \
        HOOK(clCreateImageWithProperties) \
        PASS(clSetContextDestructorCallback)

/* The layer's entries. */
#define FGO_DECLARE(name) __typeof__(*((cl_icd_dispatch *)0)->name) fgo_##name;
#define FGO_NOTHING(name)
FGO_DISPATCH(FGO_DECLARE, FGO_NOTHING)
#undef FGO_DECLARE

/* Newer headers have more rows at the end; the loader fills those with the driver's. */
#define FGO_COUNT_ROW(name) +1
enum { FGO_ROWS = FGO_DISPATCH(FGO_COUNT_ROW, FGO_COUNT_ROW) };
#undef FGO_COUNT_ROW
_Static_assert(FGO_ROWS * sizeof(void *) ==
                       offsetof(cl_icd_dispatch, clSetContextDestructorCallback) + sizeof(void *),
               "one row per entry");

/* What is below the layer: the driver as the loader presents it. Set once by clInitLayer, constant from then on. */
extern cl_icd_dispatch fgo_driver;
/* What the layer shows: every device object of ours starts with a pointer to this. */
extern cl_icd_dispatch fgo_dispatch;

#endif
