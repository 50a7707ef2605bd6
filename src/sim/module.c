/* SPDX-License-Identifier: Apache-2.0
 * Modules in a context. */
#include "sim/module.h"

#include <stdlib.h>
#include <string.h>

static bool take_globals(struct fgsim_module *module, CUresult *ret)
{
        const struct fgsim_image *image = module->image;

        module->global = calloc(image->globals + 1, sizeof(*module->global));
        *ret = module->global ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        for (size_t i = 0; i < image->globals && *ret == CUDA_SUCCESS; i++) {
                module->global[i].bytes = image->global[i].bytes;
                *ret = fgsim_memory_take(module->ctx, image->global[i].bytes, &module->global[i].ptr);
        }
        return *ret == CUDA_SUCCESS;
}

static void release(struct fgsim_module *module)
{
        struct fgsim_function *next;

        for (struct fgsim_function *f = module->functions; f; f = next) {
                next = f->next;
                fgsim_object_free(f);
        }
        for (size_t i = 0; module->global && i < module->image->globals; i++)
                if (module->global[i].ptr)
                        fgsim_memory_drop(module->global[i].ptr);
        free(module->global);
        fgsim_image_drop(module->image);
        fgsim_object_free(module);
}

struct fgsim_module *fgsim_module_new(struct fgsim_context *ctx, struct fgsim_image *image, CUresult *ret)
{
        struct fgsim_module *module = fgsim_object_new(FGSIM_MODULE, sizeof(*module));

        if (!module) {
                *ret = CUDA_ERROR_OUT_OF_MEMORY;
                return NULL;
        }
        fg_add_relaxed(&image->refs, 1);
        module->ctx = ctx;
        module->image = image;
        if (!take_globals(module, ret)) {
                release(module);
                return NULL;
        }
        fgsim_lock();
        module->next = ctx->exec->modules;
        ctx->exec->modules = module;
        fgsim_unlock();
        return module;
}

/* What is under way may still use it. */
void fgsim_module_free(struct fgsim_module *module)
{
        struct fgsim_module **at;

        fgsim_exec_drain(module->ctx);
        fgsim_lock();
        for (at = &module->ctx->exec->modules; *at && *at != module;)
                at = &(*at)->next;
        if (*at)
                *at = module->next;
        fgsim_unlock();
        release(module);
}

static CUresult load(CUmodule *ret, const void *data)
{
        struct fgsim_context *ctx = fgsim_context_current();
        struct fgsim_module *module = NULL;
        struct fgsim_image *image;
        CUresult r;

        if (!ctx)
                return CUDA_ERROR_INVALID_CONTEXT;
        if (!ret || !data)
                return CUDA_ERROR_INVALID_VALUE;
        r = fgsim_exec_capture_permits();
        image = r == CUDA_SUCCESS ? fgsim_image_load(data, &r) : NULL;
        if (image) {
                module = fgsim_module_new(ctx, image, &r);
                fgsim_image_drop(image);
        }
        if (module)
                *ret = (CUmodule)module;
        return r;
}

CUresult cuModuleLoadData(CUmodule *ret, const void *image)
{
        FGSIM_ENTER(cuModuleLoadData);
        return load(ret, image);
}

CUresult cuModuleLoadDataEx(CUmodule *ret, const void *image, unsigned int count, CUjit_option *options, void **values)
{
        FGSIM_ENTER(cuModuleLoadDataEx);
        return load(ret, image);
}

CUresult cuModuleLoadFatBinary(CUmodule *ret, const void *image)
{
        FGSIM_ENTER(cuModuleLoadFatBinary);
        return load(ret, image);
}

CUresult cuModuleLoad(CUmodule *ret, const char *path)
{
        char *image;
        CUresult r;

        FGSIM_ENTER(cuModuleLoad);
        image = fgsim_image_read(path, &r);
        if (image)
                r = load(ret, image);
        free(image);
        return r;
}

CUresult cuModuleUnload(CUmodule handle)
{
        struct fgsim_module *module = fgsim_object_get(handle, FGSIM_MODULE);

        FGSIM_ENTER(cuModuleUnload);
        if (!module || module->is_library)
                return CUDA_ERROR_INVALID_HANDLE;
        fgsim_module_free(module);
        return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *ret, CUmodule handle, const char *name)
{
        struct fgsim_module *module = fgsim_object_get(handle, FGSIM_MODULE);
        struct fgsim_function *function;
        CUresult r;

        FGSIM_ENTER(cuModuleGetFunction);
        if (!module)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || !name)
                return CUDA_ERROR_INVALID_VALUE;
        function = fgsim_module_function(module, name, &r);
        if (function)
                *ret = (CUfunction)function;
        return r;
}

CUresult cuModuleGetFunctionCount(unsigned int *ret, CUmodule handle)
{
        const struct fgsim_module *module = fgsim_object_get(handle, FGSIM_MODULE);

        FGSIM_ENTER(cuModuleGetFunctionCount);
        if (!module)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = (unsigned)module->image->kernels;
        return CUDA_SUCCESS;
}

CUresult cuModuleEnumerateFunctions(CUfunction *ret, unsigned int count, CUmodule handle)
{
        struct fgsim_module *module = fgsim_object_get(handle, FGSIM_MODULE);
        CUresult r = CUDA_SUCCESS;

        FGSIM_ENTER(cuModuleEnumerateFunctions);
        if (!module)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        for (unsigned i = 0; i < count && i < module->image->kernels && r == CUDA_SUCCESS; i++)
                ret[i] = (CUfunction)fgsim_module_function(module, module->image->kernel[i].name, &r);
        return r;
}

static CUresult find_global(CUmodule handle, const char *name, CUdeviceptr *ret_ptr, size_t *ret_bytes)
{
        const struct fgsim_module *module = fgsim_object_get(handle, FGSIM_MODULE);
        int i;

        if (!module)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!name)
                return CUDA_ERROR_INVALID_VALUE;
        i = fgsim_image_global(module->image, name);
        if (i < 0)
                return CUDA_ERROR_NOT_FOUND;
        *ret_ptr = module->global[i].ptr;
        *ret_bytes = module->global[i].bytes;
        return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *ret_ptr, size_t *ret_bytes, CUmodule handle, const char *name)
{
        CUdeviceptr ptr = 0;
        size_t bytes = 0;
        CUresult r;

        FGSIM_ENTER(cuModuleGetGlobal_v2);
        r = find_global(handle, name, &ptr, &bytes);
        if (r == CUDA_SUCCESS && ret_ptr)
                *ret_ptr = ptr;
        if (r == CUDA_SUCCESS && ret_bytes)
                *ret_bytes = bytes;
        return r;
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *ret)
{
        FGSIM_ENTER(cuModuleGetLoadingMode);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = CU_MODULE_LAZY_LOADING;
        return CUDA_SUCCESS;
}
