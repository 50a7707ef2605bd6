/* SPDX-License-Identifier: Apache-2.0
 * Results in words. Names are the interface's own; the sentences are ours. */
#include "sim/internal.h"

#define RESULTS(X)                                                                                      \
        X(CUDA_SUCCESS, "no error")                                                                     \
        X(CUDA_ERROR_INVALID_VALUE, "invalid argument")                                                 \
        X(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")                                                    \
        X(CUDA_ERROR_NOT_INITIALIZED, "initialization error")                                           \
        X(CUDA_ERROR_DEINITIALIZED, "driver shutting down")                                             \
        X(CUDA_ERROR_PROFILER_DISABLED, "no profiler with this driver")                                 \
        X(CUDA_ERROR_PROFILER_NOT_INITIALIZED, "profiler not initialized")                              \
        X(CUDA_ERROR_PROFILER_ALREADY_STARTED, "profiler runs already")                                 \
        X(CUDA_ERROR_PROFILER_ALREADY_STOPPED, "profiler does not run")                                 \
        X(CUDA_ERROR_STUB_LIBRARY, "this is a stub, not a driver")                                      \
        X(CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER, "call requires a newer driver")                        \
        X(CUDA_ERROR_DEVICE_UNAVAILABLE, "device busy or unavailable")                                  \
        X(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected")                                   \
        X(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal")                                          \
        X(CUDA_ERROR_DEVICE_NOT_LICENSED, "device without a licence")                                   \
        X(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid")                                   \
        X(CUDA_ERROR_INVALID_CONTEXT, "invalid device context")                                         \
        X(CUDA_ERROR_CONTEXT_ALREADY_CURRENT, "context is current already")                             \
        X(CUDA_ERROR_MAP_FAILED, "mapping failed")                                                      \
        X(CUDA_ERROR_UNMAP_FAILED, "unmapping failed")                                                  \
        X(CUDA_ERROR_ARRAY_IS_MAPPED, "array is mapped")                                                \
        X(CUDA_ERROR_ALREADY_MAPPED, "resource is mapped already")                                      \
        X(CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image for this device")                              \
        X(CUDA_ERROR_ALREADY_ACQUIRED, "resource is acquired already")                                  \
        X(CUDA_ERROR_NOT_MAPPED, "resource is not mapped")                                              \
        X(CUDA_ERROR_NOT_MAPPED_AS_ARRAY, "resource is not mapped as an array")                         \
        X(CUDA_ERROR_NOT_MAPPED_AS_POINTER, "resource is not mapped as a pointer")                      \
        X(CUDA_ERROR_ECC_UNCORRECTABLE, "uncorrectable ECC error")                                      \
        X(CUDA_ERROR_UNSUPPORTED_LIMIT, "limit is not supported on this device")                        \
        X(CUDA_ERROR_CONTEXT_ALREADY_IN_USE, "another thread uses the context")                         \
        X(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, "no peer access between the two devices")                 \
        X(CUDA_ERROR_INVALID_PTX, "PTX did not compile")                                                \
        X(CUDA_ERROR_INVALID_GRAPHICS_CONTEXT, "invalid graphics context")                              \
        X(CUDA_ERROR_NVLINK_UNCORRECTABLE, "uncorrectable NVLink error")                                \
        X(CUDA_ERROR_JIT_COMPILER_NOT_FOUND, "no PTX compiler")                                         \
        X(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "PTX is of an unsupported version")                       \
        X(CUDA_ERROR_JIT_COMPILATION_DISABLED, "PTX compilation is disabled")                           \
        X(CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY, "execution affinity is not supported")                  \
        X(CUDA_ERROR_INVALID_SOURCE, "kernel source is invalid")                                        \
        X(CUDA_ERROR_FILE_NOT_FOUND, "file not found")                                                  \
        X(CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND, "symbol not found in a shared object")             \
        X(CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, "shared object initialization failed")                  \
        X(CUDA_ERROR_OPERATING_SYSTEM, "a call to the operating system failed")                         \
        X(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle")                                         \
        X(CUDA_ERROR_ILLEGAL_STATE, "resource is not in the right state")                               \
        X(CUDA_ERROR_LOSSY_QUERY, "the answer would leave something out")                               \
        X(CUDA_ERROR_NOT_FOUND, "named symbol not found")                                               \
        X(CUDA_ERROR_NOT_READY, "device not ready")                                                     \
        X(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered")                       \
        X(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch")                \
        X(CUDA_ERROR_LAUNCH_TIMEOUT, "the launch took too long and was ended")                          \
        X(CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING, "launch with an incompatible texturing mode")       \
        X(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, "peer access is enabled already")                     \
        X(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, "peer access is not enabled")                             \
        X(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, "the primary context is active already")                   \
        X(CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed")                                      \
        X(CUDA_ERROR_ASSERT, "an assertion on the device failed")                                       \
        X(CUDA_ERROR_TOO_MANY_PEERS, "too many peers")                                                  \
        X(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "part of the memory is registered already")        \
        X(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "the memory is not registered")                        \
        X(CUDA_ERROR_HARDWARE_STACK_ERROR, "hardware stack error")                                      \
        X(CUDA_ERROR_ILLEGAL_INSTRUCTION, "illegal instruction")                                        \
        X(CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address")                                          \
        X(CUDA_ERROR_INVALID_ADDRESS_SPACE, "operation in the wrong address space")                     \
        X(CUDA_ERROR_INVALID_PC, "invalid program counter")                                             \
        X(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure")                                       \
        X(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, "too many blocks in cooperative launch")             \
        X(CUDA_ERROR_NOT_PERMITTED, "operation not permitted")                                          \
        X(CUDA_ERROR_NOT_SUPPORTED, "operation not supported")                                          \
        X(CUDA_ERROR_SYSTEM_NOT_READY, "system not yet initialized")                                    \
        X(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "driver and its libraries do not match")                   \
        X(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, "forward compatibility is not supported here")     \
        X(CUDA_ERROR_MPS_CONNECTION_FAILED, "no connection to the MPS server")                          \
        X(CUDA_ERROR_MPS_RPC_FAILURE, "a call to the MPS server failed")                                \
        X(CUDA_ERROR_MPS_SERVER_NOT_READY, "MPS server is not ready")                                   \
        X(CUDA_ERROR_MPS_MAX_CLIENTS_REACHED, "MPS server has no room for clients")                     \
        X(CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED, "MPS server has no room for connections")             \
        X(CUDA_ERROR_MPS_CLIENT_TERMINATED, "MPS client was ended")                                     \
        X(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing")    \
        X(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "capture failed because of an earlier error")          \
        X(CUDA_ERROR_STREAM_CAPTURE_MERGE, "operation would merge two captures")                        \
        X(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "capture did not begin in this stream")                  \
        X(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "capturing stream has unjoined work")                     \
        X(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "dependency on work outside the capture")                \
        X(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "capture of the legacy stream by implication")            \
        X(CUDA_ERROR_CAPTURED_EVENT, "event was last recorded in a capturing stream")                   \
        X(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "capture began in another thread")                    \
        X(CUDA_ERROR_TIMEOUT, "wait operation timed out")                                               \
        X(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "graph update was not possible")                        \
        X(CUDA_ERROR_EXTERNAL_DEVICE, "an external device failed")                                      \
        X(CUDA_ERROR_INVALID_CLUSTER_SIZE, "invalid cluster size")                                      \
        X(CUDA_ERROR_FUNCTION_NOT_LOADED, "function is not loaded")                                     \
        X(CUDA_ERROR_INVALID_RESOURCE_TYPE, "invalid resource type")                                    \
        X(CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION, "invalid resource configuration")                  \
        X(CUDA_ERROR_UNKNOWN, "unknown error")

static const struct {
        CUresult result;
        const char *name, *text;
} results[] = {
#define ROW(result, text) {result, #result, text},
        RESULTS(ROW)
#undef ROW
};

static bool find(CUresult result, const char **ret_name, const char **ret_text)
{
        for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
                if (results[i].result == result) {
                        *ret_name = results[i].name, *ret_text = results[i].text;
                        return true;
                }
        return false;
}

CUresult cuGetErrorName(CUresult result, const char **name)
{
        const char *text;
        if (!name)
                return CUDA_ERROR_INVALID_VALUE;
        if (find(result, name, &text))
                return CUDA_SUCCESS;
        *name = NULL;
        return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult result, const char **text)
{
        const char *name;
        if (!text)
                return CUDA_ERROR_INVALID_VALUE;
        if (find(result, &name, text))
                return CUDA_SUCCESS;
        *text = NULL;
        return CUDA_ERROR_INVALID_VALUE;
}
