/* SPDX-License-Identifier: Apache-2.0
 *
 * fastgpu-probe-opencl: prints the machine's OpenCL devices, one JSON object a line, then {"end": true}. A program of its
 * own, because drivers crash, hang and start threads. What is wrong is a line {"problem": "…"}. */
#define CL_TARGET_OPENCL_VERSION 300
#include "daemon/text.h"
#include "fastgpu/page.h"

#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CL_DEVICE_UUID_KHR
#define CL_DEVICE_UUID_KHR 0x106A
#endif
#ifndef CL_PLATFORM_NOT_FOUND_KHR
#define CL_PLATFORM_NOT_FOUND_KHR -1001
#endif
#define LIBRARY "libOpenCL.so.1"
#define MAX     64u

/* One row per symbol. */
#define SYMBOLS(X)       \
        X(clGetPlatformIDs)  \
        X(clGetPlatformInfo) \
        X(clGetDeviceIDs)    \
        X(clGetDeviceInfo)
#define X(name) static __typeof__(name) *p_##name;
SYMBOLS(X)
#undef X

static FILE *out;

static void complain(const char *text)
{
        struct fgd_text line = {0};
        fgd_text_add(&line, "{");
        fgd_text_field(&line, "problem", text);
        fprintf(out, "%s}\n", line.data);
        fgd_text_clear(&line);
}

static int load(void)
{
        char text[512];
        void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (!library) {
                snprintf(text, sizeof text, "no OpenCL loader: %s; install ocl-icd-libopencl1 (and pocl-opencl-icd where there is no GPU)", dlerror());
                complain(text);
                return -1;
        }
#define X(name)                                                                                   \
        p_##name = (__typeof__(p_##name))dlsym(library, #name);                                   \
        if (!p_##name) {                                                                          \
                complain(LIBRARY " has no " #name ": it is not an OpenCL loader");                \
                return -1;                                                                        \
        }
        SYMBOLS(X)
#undef X
        return 0;
}

static void device_string(cl_device_id device, cl_device_info what, char *ret, size_t size)
{
        ret[0] = 0;
        if (p_clGetDeviceInfo(device, what, size - 1, ret, NULL) != CL_SUCCESS)
                ret[0] = 0;
        ret[size - 1] = 0;
}

/* A device without a UUID of its own gets one made from its key and model: the same on every start (FNV-1a, 2 x 64 bits). */
static void hash_uuid(const char *key, const char *model, unsigned char ret[16])
{
        for (int half = 0; half < 2; half++) {
                unsigned long long h = 14695981039346656037ull + (unsigned)half;
                for (const char *s = key; *s; s++)
                        h = (h ^ (unsigned char)*s) * 1099511628211ull;
                for (const char *s = model; *s; s++)
                        h = (h ^ (unsigned char)*s) * 1099511628211ull;
                for (int i = 0; i < 8; i++)
                        ret[half * 8 + i] = (unsigned char)(h >> (8 * i));
        }
}

static const char *device_type(cl_device_id device)
{
        cl_device_type type = 0;
        p_clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
        return type & CL_DEVICE_TYPE_CPU   ? "cpu"
               : type & CL_DEVICE_TYPE_GPU ? "gpu"
               : type & CL_DEVICE_TYPE_ACCELERATOR ? "accelerator"
                                                   : "other";
}

static void print_device(const char *platform, unsigned index, cl_device_id device)
{
        struct fgd_text line = {0};
        char key[FG_KEY_MAX + 64], model[256], vendor[256], driver[256], uuid[37], *at = uuid;
        unsigned char bytes[16];
        cl_ulong memory = 0;
        cl_uint units = 0;
        snprintf(key, sizeof key, "opencl/%.100s/%u", platform, index);
        device_string(device, CL_DEVICE_NAME, model, sizeof model);
        device_string(device, CL_DEVICE_VENDOR, vendor, sizeof vendor);
        device_string(device, CL_DRIVER_VERSION, driver, sizeof driver);
        p_clGetDeviceInfo(device, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory, NULL);
        p_clGetDeviceInfo(device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
        if (p_clGetDeviceInfo(device, CL_DEVICE_UUID_KHR, sizeof bytes, bytes, NULL) != CL_SUCCESS)
                hash_uuid(key, model, bytes);
        for (int i = 0; i < 16; i++)
                at += sprintf(at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
        fgd_text_add(&line, "{");
        fgd_text_field(&line, "key", key);
        fgd_text_field(&line, "uuid", uuid);
        fgd_text_field(&line, "model", model);
        fgd_text_field(&line, "vendor", vendor);
        fgd_text_field(&line, "driver", driver);
        fgd_text_field(&line, "type", device_type(device));
        fgd_text_number(&line, "memory", memory);
        fgd_text_number(&line, "compute_units", units);
        fprintf(out, "%s}\n", line.data);
        fgd_text_clear(&line);
}

static void print_platform(cl_platform_id platform)
{
        cl_device_id device[MAX];
        cl_uint count = 0;
        char name[256] = "", text[512];
        p_clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name - 1, name, NULL);
        cl_int error = p_clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MAX, device, &count);
        if (error == CL_DEVICE_NOT_FOUND)
                return;
        if (error != CL_SUCCESS) {
                snprintf(text, sizeof text, "OpenCL platform \"%s\" does not list its devices (error %d)", name, error);
                complain(text);
                return;
        }
        for (cl_uint i = 0; i < count && i < MAX; i++)
                print_device(name, i, device[i]);
}

static void print_all(void)
{
        cl_platform_id platform[MAX];
        cl_uint count = 0;
        char text[256];
        cl_int error = p_clGetPlatformIDs(MAX, platform, &count);
        if (error == CL_PLATFORM_NOT_FOUND_KHR || (error == CL_SUCCESS && count == 0)) {
                complain("no OpenCL platform: install a driver, or pocl-opencl-icd where there is no GPU");
                return;
        }
        if (error != CL_SUCCESS) {
                snprintf(text, sizeof text, "OpenCL lists no platforms (error %d)", error);
                complain(text);
                return;
        }
        for (cl_uint i = 0; i < count && i < MAX; i++)
                print_platform(platform[i]);
}

int main(void)
{
        /* Drivers may write to standard output: they get standard error, the answer keeps the real one. */
        int answer = dup(STDOUT_FILENO);
        out = answer < 0 ? NULL : fdopen(answer, "w");
        if (!out || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
                return EXIT_FAILURE;
        unsetenv("OPENCL_LAYERS");
        if (load() == 0)
                print_all();
        fprintf(out, "{\"end\": true}\n");
        fflush(out);
        _exit(ferror(out) ? EXIT_FAILURE : EXIT_SUCCESS); /* drivers' exit handlers have been seen to hang */
}
