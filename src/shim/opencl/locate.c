/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/locate.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>

static int locate_platforms(cl_platform_id **ret, cl_uint *ret_count)
{
        fg_autofree cl_platform_id *platform = NULL;
        cl_uint count = 0;

        if (fgo_driver.clGetPlatformIDs(0, NULL, &count) != CL_SUCCESS || count == 0)
                return -ENODEV;
        platform = calloc(count, sizeof(*platform));
        if (!platform)
                return -ENOMEM;
        if (fgo_driver.clGetPlatformIDs(count, platform, NULL) != CL_SUCCESS)
                return -ENODEV;
        *ret = FG_TAKE_PTR(platform);
        *ret_count = count;
        return 0;
}

/* The device at `index` of the platform, or NULL. */
static cl_device_id locate_index(cl_platform_id platform, uint32_t index)
{
        fg_autofree cl_device_id *device = NULL;
        cl_uint count = 0;

        if (fgo_driver.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count) != CL_SUCCESS || index >= count)
                return NULL;
        device = calloc(count, sizeof(*device));
        if (!device || fgo_driver.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, device, NULL) != CL_SUCCESS)
                return NULL;
        return device[index];
}

/* "opencl/<platform name>/<index>"; the platform's name may itself hold a slash. */
static bool locate_split(const char *key, char name[FG_KEY_MAX], uint32_t *ret_index)
{
        const char *slash;
        char *end;

        if (strncmp(key, "opencl/", 7) != 0 || !memchr(key, 0, FG_KEY_MAX))
                return false;
        slash = strrchr(key, '/');
        if (slash < key + 7 || slash[1] < '0' || slash[1] > '9')
                return false;
        *ret_index = (uint32_t)strtoul(slash + 1, &end, 10);
        snprintf(name, FG_KEY_MAX, "%.*s", (int)(slash - key - 7), key + 7);
        return *end == 0;
}

/* "cuda/GPU-<uuid>": an NVIDIA GPU, which the daemon lists by its CUDA name alone. */
static bool locate_is_nvidia(const char *key, unsigned char ret_uuid[CL_UUID_SIZE_KHR])
{
        const char *at = key + 9;

        if (strncmp(key, "cuda/GPU-", 9) != 0)
                return false;
        for (int i = 0; i < CL_UUID_SIZE_KHR; i++, at += 2) {
                unsigned byte;
                at += *at == '-';
                if (sscanf(at, "%2x", &byte) != 1 || !at[1])
                        return false;
                ret_uuid[i] = (unsigned char)byte;
        }
        return *at == 0;
}

static cl_device_id locate_uuid(cl_platform_id platform, const unsigned char uuid[CL_UUID_SIZE_KHR])
{
        fg_autofree cl_device_id *device = NULL;
        unsigned char found[CL_UUID_SIZE_KHR];
        cl_uint count = 0;

        if (fgo_driver.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count) != CL_SUCCESS || count == 0)
                return NULL;
        device = calloc(count, sizeof(*device));
        if (!device || fgo_driver.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, device, NULL) != CL_SUCCESS)
                return NULL;
        for (cl_uint i = 0; i < count; i++)
                if (fgo_driver.clGetDeviceInfo(device[i], CL_DEVICE_UUID_KHR, sizeof(found), found, NULL) == CL_SUCCESS &&
                    memcmp(found, uuid, sizeof(found)) == 0)
                        return device[i];
        return NULL;
}

static int locate_nvidia(const unsigned char uuid[CL_UUID_SIZE_KHR], const cl_platform_id *platform, cl_uint platforms,
                         struct fgo_vgpu *vgpu)
{
        for (cl_uint i = 0; i < platforms && !vgpu->root.native; i++) {
                vgpu->platform = platform[i];
                vgpu->root.native = locate_uuid(platform[i], uuid);
        }
        return vgpu->root.native ? 0 : -ENODEV;
}

static int locate_one(const char *key, const cl_platform_id *platform, cl_uint platforms, struct fgo_vgpu *vgpu)
{
        char name[FG_KEY_MAX], found[FG_KEY_MAX];
        unsigned char uuid[CL_UUID_SIZE_KHR];
        uint32_t index;

        if (locate_is_nvidia(key, uuid))
                return locate_nvidia(uuid, platform, platforms, vgpu);
        if (!locate_split(key, name, &index))
                return -ENODEV;
        for (cl_uint i = 0; i < platforms && !vgpu->root.native; i++) {
                if (fgo_driver.clGetPlatformInfo(platform[i], CL_PLATFORM_NAME, sizeof(found), found, NULL) !=
                            CL_SUCCESS ||
                    strcmp(found, name) != 0)
                        continue;
                vgpu->platform = platform[i];
                vgpu->root.native = locate_index(platform[i], index);
        }
        return vgpu->root.native ? 0 : -ENODEV;
}

static bool locate_is_processor(cl_device_id device)
{
        cl_device_type type = 0;

        return fgo_driver.clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof(type), &type, NULL) == CL_SUCCESS && (type & CL_DEVICE_TYPE_CPU);
}

static void locate_shared(struct fgo_session *view)
{
        for (uint32_t i = 0; i < view->count; i++)
                for (uint32_t j = 0; j < i; j++)
                        if (view->vgpu[i].root.native == view->vgpu[j].root.native)
                                view->vgpu[i].shared = view->vgpu[j].shared = true;
}

int fgo_locate(const struct fg_session *pages, struct fgo_session *ret)
{
        fg_autofree cl_platform_id *platform = NULL;
        fg_autofree struct fgo_vgpu *vgpu = calloc(pages->count ? pages->count : 1, sizeof(*vgpu));
        cl_uint platforms;
        int r = vgpu ? locate_platforms(&platform, &platforms) : -ENOMEM;

        for (uint32_t i = 0; r == 0 && i < pages->count; i++) {
                const struct fg_limits_page *limits = pages->vgpu[i].ledger.limits;
                vgpu[i].root.dispatch = &fgo_dispatch;
                snprintf(vgpu[i].name, sizeof(vgpu[i].name), "%.*s", (int)sizeof(limits->name) - 1, limits->name);
                r = locate_one(limits->device_key, platform, platforms, &vgpu[i]);
                vgpu[i].is_processor = r == 0 && locate_is_processor(vgpu[i].root.native);
        }
        if (r < 0)
                return r;
        ret->count = pages->count;
        ret->vgpu = FG_TAKE_PTR(vgpu);
        locate_shared(ret);
        return 0;
}
