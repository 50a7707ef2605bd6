/* SPDX-License-Identifier: Apache-2.0
 * Libraries: an image for all contexts; each context gets its module when it first asks. */
#include "sim/module.h"

#include <stdlib.h>
#include <string.h>

struct library_kernel {
        struct fgsim_object object;
        char name[512];
        struct library *library;
        struct library_kernel *next;
};

struct library {
        struct fgsim_object object;
        struct fgsim_image *image;
        struct library_kernel *kernels; /* asked for so far */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static CUresult load(CUlibrary *ret, const void *data)
{
        struct library *library;
        CUresult r;

        if (!ret || !data)
                return CUDA_ERROR_INVALID_VALUE;
        library = fgsim_object_new(FGSIM_LIBRARY, sizeof(*library));
        if (!library)
                return CUDA_ERROR_OUT_OF_MEMORY;
        library->image = fgsim_image_load(data, &r);
        if (library->image)
                *ret = (CUlibrary)library;
        else
                fgsim_object_free(library);
        return r;
}

/* The library's module in the context; with the lock above. */
static struct fgsim_module *module_in(struct library *library, struct fgsim_context *ctx, CUresult *ret)
{
        struct fgsim_module *module;

        *ret = CUDA_SUCCESS;
        fgsim_lock();
        for (module = ctx->exec->modules; module; module = module->next)
                if (module->is_library && module->image == library->image)
                        break;
        fgsim_unlock();
        if (!module)
                module = fgsim_module_new(ctx, library->image, ret);
        if (module)
                module->is_library = true;
        return module;
}

static struct fgsim_module *module_here(struct library *library, CUresult *ret)
{
        struct fgsim_context *ctx = fgsim_context_current();
        struct fgsim_module *module = NULL;

        *ret = CUDA_ERROR_INVALID_CONTEXT;
        if (ctx) {
                pthread_mutex_lock(&lock);
                module = module_in(library, ctx, ret);
                pthread_mutex_unlock(&lock);
        }
        return module;
}

/* A kernel is one for all contexts. Whether it exists is known without one, except that opaque images have all names.
 */
static CUresult kernel_in(struct library *library, const char *name, struct library_kernel **ret)
{
        const struct fgsim_image *image = library->image;
        struct library_kernel *kernel;
        struct fgsim_registered registered;

        for (kernel = library->kernels; kernel; kernel = kernel->next)
                if (!strcmp(kernel->name, name))
                        break;
        if (!kernel) {
                if (strlen(name) >= sizeof(kernel->name) || (!image->is_opaque && fgsim_image_kernel(image, name) < 0 &&
                                                             !fgsim_registered_find(name, &registered)))
                        return CUDA_ERROR_NOT_FOUND;
                kernel = fgsim_object_new(FGSIM_KERNEL, sizeof(*kernel));
                if (!kernel)
                        return CUDA_ERROR_OUT_OF_MEMORY;
                strcpy(kernel->name, name);
                kernel->library = library;
                kernel->next = library->kernels;
                library->kernels = kernel;
        }
        *ret = kernel;
        return CUDA_SUCCESS;
}

struct fgsim_function *fgsim_kernel_function(const void *handle)
{
        struct library_kernel *kernel = fgsim_object_get(handle, FGSIM_KERNEL);
        struct fgsim_module *module;
        CUresult r;

        module = kernel ? module_here(kernel->library, &r) : NULL;
        return module ? fgsim_module_function(module, kernel->name, &r) : NULL;
}

CUresult cuLibraryLoadData(CUlibrary *ret, const void *code, CUjit_option *jit, void **jit_values, unsigned int jits,
                           CUlibraryOption *options, void **values, unsigned int count)
{
        FGSIM_ENTER(cuLibraryLoadData);
        return load(ret, code);
}

CUresult cuLibraryLoadFromFile(CUlibrary *ret, const char *path, CUjit_option *jit, void **jit_values,
                               unsigned int jits, CUlibraryOption *options, void **values, unsigned int count)
{
        char *image;
        CUresult r;

        FGSIM_ENTER(cuLibraryLoadFromFile);
        image = fgsim_image_read(path, &r);
        if (image)
                r = load(ret, image);
        free(image);
        return r;
}

static void drop_modules(const struct fgsim_image *image)
{
        for (uint32_t gpu = 0; gpu < fgsim_spec.gpus; gpu++) {
                struct fgsim_context *ctx = fgsim_context_primary(gpu);
                struct fgsim_module *next, *module = ctx && ctx->exec ? ctx->exec->modules : NULL;
                for (; module; module = next) {
                        next = module->next;
                        if (module->is_library && module->image == image)
                                fgsim_module_free(module);
                }
        }
}

/* Other contexts than primary ones keep their module of it until they are destroyed. */
CUresult cuLibraryUnload(CUlibrary handle)
{
        struct library *library = fgsim_object_get(handle, FGSIM_LIBRARY);
        struct library_kernel *next;

        FGSIM_ENTER(cuLibraryUnload);
        if (!library)
                return CUDA_ERROR_INVALID_HANDLE;
        pthread_mutex_lock(&lock);
        for (struct library_kernel *k = library->kernels; k; k = next) {
                next = k->next;
                fgsim_object_free(k);
        }
        drop_modules(library->image);
        pthread_mutex_unlock(&lock);
        fgsim_image_drop(library->image);
        fgsim_object_free(library);
        return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernel(CUkernel *ret, CUlibrary handle, const char *name)
{
        struct library *library = fgsim_object_get(handle, FGSIM_LIBRARY);
        struct library_kernel *kernel;
        CUresult r;

        FGSIM_ENTER(cuLibraryGetKernel);
        if (!library)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || !name)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&lock);
        r = kernel_in(library, name, &kernel);
        pthread_mutex_unlock(&lock);
        if (r == CUDA_SUCCESS)
                *ret = (CUkernel)kernel;
        return r;
}

CUresult cuLibraryGetKernelCount(unsigned int *ret, CUlibrary handle)
{
        const struct library *library = fgsim_object_get(handle, FGSIM_LIBRARY);

        FGSIM_ENTER(cuLibraryGetKernelCount);
        if (!library)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = (unsigned)library->image->kernels;
        return CUDA_SUCCESS;
}

CUresult cuLibraryEnumerateKernels(CUkernel *ret, unsigned int count, CUlibrary handle)
{
        struct library *library = fgsim_object_get(handle, FGSIM_LIBRARY);
        CUresult r = CUDA_SUCCESS;

        FGSIM_ENTER(cuLibraryEnumerateKernels);
        if (!library)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&lock);
        for (unsigned i = 0; i < count && i < library->image->kernels && r == CUDA_SUCCESS; i++)
                r = kernel_in(library, library->image->kernel[i].name, (struct library_kernel **)&ret[i]);
        pthread_mutex_unlock(&lock);
        return r;
}

CUresult cuLibraryGetModule(CUmodule *ret, CUlibrary handle)
{
        struct library *library = fgsim_object_get(handle, FGSIM_LIBRARY);
        struct fgsim_module *module;
        CUresult r;

        FGSIM_ENTER(cuLibraryGetModule);
        if (!library)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        module = module_here(library, &r);
        if (module)
                *ret = (CUmodule)module;
        return r;
}

CUresult cuLibraryGetGlobal(CUdeviceptr *ret_ptr, size_t *ret_bytes, CUlibrary handle, const char *name)
{
        struct library *library = fgsim_object_get(handle, FGSIM_LIBRARY);
        struct fgsim_module *module;
        CUresult r;
        int i;

        FGSIM_ENTER(cuLibraryGetGlobal);
        if (!library)
                return CUDA_ERROR_INVALID_HANDLE;
        module = module_here(library, &r);
        i = module && name ? fgsim_image_global(library->image, name) : -1;
        if (i < 0)
                return module ? CUDA_ERROR_NOT_FOUND : r;
        if (ret_ptr)
                *ret_ptr = module->global[i].ptr;
        if (ret_bytes)
                *ret_bytes = module->global[i].bytes;
        return CUDA_SUCCESS;
}

CUresult cuKernelGetFunction(CUfunction *ret, CUkernel kernel)
{
        struct fgsim_function *function;

        FGSIM_ENTER(cuKernelGetFunction);
        if (!ret || !fgsim_object_get(kernel, FGSIM_KERNEL))
                return ret ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
        function = fgsim_kernel_function(kernel);
        if (!function)
                return fgsim_context_current() ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_CONTEXT;
        *ret = (CUfunction)function;
        return CUDA_SUCCESS;
}

CUresult cuKernelGetLibrary(CUlibrary *ret, CUkernel handle)
{
        const struct library_kernel *kernel = fgsim_object_get(handle, FGSIM_KERNEL);

        FGSIM_ENTER(cuKernelGetLibrary);
        if (!kernel || !ret)
                return ret ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
        *ret = (CUlibrary)kernel->library;
        return CUDA_SUCCESS;
}

CUresult cuKernelGetName(const char **ret, CUkernel handle)
{
        const struct library_kernel *kernel = fgsim_object_get(handle, FGSIM_KERNEL);

        FGSIM_ENTER(cuKernelGetName);
        if (!kernel || !ret)
                return ret ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
        *ret = kernel->name;
        return CUDA_SUCCESS;
}
