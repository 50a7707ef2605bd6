/* SPDX-License-Identifier: Apache-2.0
 * Functions: which time they take, what they call, and the arguments of a launch. */
#include "sim/exec_task.h"
#include "sim/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fgsim_function *fgsim_function_get(CUfunction handle)
{
        struct fgsim_function *function = fgsim_object_get(handle, FGSIM_FUNCTION);

        return FGSIM_LIKELY(function) ? function : fgsim_kernel_function(handle);
}

static const struct fgsim_kernel_spec *spec_of(const char *name)
{
        for (uint32_t i = 0; i < fgsim_spec.kernels; i++)
                if (!strcmp(fgsim_spec.kernel[i].name, name))
                        return &fgsim_spec.kernel[i];
        return NULL;
}

static void set_args(struct fgsim_function *function, uint16_t count, const uint32_t *sizes)
{
        function->has_args = true;
        function->arg_count = count;
        memcpy(function->arg, sizes, count * sizeof(*sizes));
}

static void from_text(struct fgsim_function *function, const struct fgsim_kernel_text *text)
{
        struct fgsim_registered registered;

        function->param = text->param;
        function->unit = text->unit;
        if (text->has_time)
                function->ns = text->ns;
        if (text->has_args)
                set_args(function, text->arg_count, text->arg);
        if (!text->host[0])
                return;
        if (fgsim_registered_find(text->host, &registered))
                function->host = registered.function;
        else
                function->host = (fgsim_kernel_t)(uintptr_t)dlsym(RTLD_DEFAULT, text->host);
}

/* A function that the program exports for the kernel, under a name that nothing has by accident. */
static fgsim_kernel_t exported(const char *name)
{
        char symbol[sizeof(((struct fgsim_function *)NULL)->name) + 16];

        snprintf(symbol, sizeof(symbol), "fgsim_host_%s", name);
        return (fgsim_kernel_t)(uintptr_t)dlsym(RTLD_DEFAULT, symbol);
}

/* Time: the module's word, else the registration's, else the spec's, else the GPU's default. */
static void resolve(struct fgsim_function *function, const struct fgsim_kernel_text *text)
{
        const struct fgsim_kernel_spec *spec = spec_of(function->name);
        struct fgsim_registered registered;
        bool is_registered = fgsim_registered_find(function->name, &registered);

        function->param = -1;
        function->unit = 1;
        function->ns = fgsim_spec.gpu[function->module->ctx->gpu].kernel_ns;
        if (spec)
                function->ns = spec->ns;
        if (is_registered) {
                function->host = registered.function;
                if (registered.ns)
                        function->ns = registered.ns;
                else if (!spec)
                        function->ns = 0;
                if (registered.has_args)
                        set_args(function, registered.arg_count, registered.arg);
        }
        if (text)
                from_text(function, text);
        if (!function->host)
                function->host = exported(function->name);
        if (function->host && !is_registered && !spec && !(text && text->has_time))
                function->ns = 0;
}

struct fgsim_function *fgsim_module_function(struct fgsim_module *module, const char *name, CUresult *ret)
{
        int i = fgsim_image_kernel(module->image, name);
        struct fgsim_registered registered;
        struct fgsim_function *function;

        *ret = CUDA_SUCCESS;
        fgsim_lock();
        for (function = module->functions; function && strcmp(function->name, name);)
                function = function->next;
        fgsim_unlock();
        if (function)
                return function;
        *ret = CUDA_ERROR_NOT_FOUND;
        if (strlen(name) >= sizeof(function->name) ||
            (i < 0 && !module->image->is_opaque && !spec_of(name) && !fgsim_registered_find(name, &registered)))
                return NULL;
        function = fgsim_object_new(FGSIM_FUNCTION, sizeof(*function));
        *ret = function ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        if (!function)
                return NULL;
        strcpy(function->name, name);
        function->module = module;
        function->block[0] = function->block[1] = function->block[2] = 1;
        resolve(function, i < 0 ? NULL : &module->image->kernel[i]);
        fgsim_lock();
        function->next = module->functions;
        module->functions = function;
        fgsim_unlock();
        return function;
}

/* Arguments in one buffer are laid out as in a C struct. */
static const void *buffer_of(void **extra, size_t *ret_bytes)
{
        const void *buffer = NULL;

        for (; extra && extra[0] != CU_LAUNCH_PARAM_END; extra += 2) {
                if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
                        buffer = extra[1];
                else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE)
                        *ret_bytes = *(size_t *)extra[1];
        }
        return buffer;
}

static size_t align(size_t at, uint32_t bytes)
{
        size_t to = bytes >= 16 ? 16 : bytes >= 8 ? 8 : bytes >= 4 ? 4 : bytes;

        return (at + to - 1) / to * to;
}

struct fgsim_args *fgsim_args_new(const struct fgsim_function *function, void **params, void **extra, CUresult *ret)
{
        size_t have = SIZE_MAX, bytes = 0, offset = 0;
        const unsigned char *buffer = params ? NULL : buffer_of(extra, &have);
        struct fgsim_args *args;
        unsigned char *at;

        *ret = CUDA_SUCCESS;
        if (!function->has_args || function->arg_count == 0)
                return NULL;
        *ret = params || buffer ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        for (unsigned i = 0; i < function->arg_count; i++)
                bytes = align(bytes, function->arg[i]) + function->arg[i];
        if (buffer && have < bytes)
                *ret = CUDA_ERROR_INVALID_VALUE;
        if (*ret != CUDA_SUCCESS)
                return NULL;
        args = malloc(sizeof(*args) + function->arg_count * sizeof(void *) + bytes + 16);
        if (!args) {
                *ret = CUDA_ERROR_OUT_OF_MEMORY;
                return NULL;
        }
        args->refs = 1;
        args->count = function->arg_count;
        at = (unsigned char *)(((uintptr_t)&args->pointer[args->count] + 15) & ~(uintptr_t)15);
        for (unsigned i = 0; i < args->count; i++) {
                offset = align(offset, function->arg[i]);
                args->pointer[i] = memcpy(at + offset, buffer ? buffer + offset : params[i], function->arg[i]);
                offset += function->arg[i];
        }
        return args;
}

void fgsim_args_drop(struct fgsim_args *args)
{
        if (args && __atomic_sub_fetch(&args->refs, 1, __ATOMIC_ACQ_REL) == 0)
                free(args);
}

void fgsim_launch_run(const struct fgsim_launch *launch)
{
        launch->function->host(launch->args ? launch->args->pointer : NULL, launch->grid, launch->block);
}
