/* SPDX-License-Identifier: Apache-2.0
 * Modules: what an image holds (the same for all contexts), and its functions and globals in one context. */
#ifndef FGSIM_MODULE_H
#define FGSIM_MODULE_H

#include "fastgpu/sim.h"
#include "sim/exec.h"

#define FGSIM_ARGS_MAX 64

struct fgsim_kernel_text {
        char name[512];
        uint64_t ns;
        bool has_time, has_args;
        int param; /* index of the parameter that says the time; -1: none */
        uint64_t unit;
        char host[256];
        uint16_t arg_count;
        uint32_t arg[FGSIM_ARGS_MAX];
};

struct fgsim_global_text {
        char name[512];
        size_t bytes;
};

/* A parsed image. Counted references; never changed. */
struct fgsim_image {
        uint32_t refs;  /* atomic */
        bool is_opaque; /* any kernel asked for exists */
        size_t kernels, globals;
        struct fgsim_kernel_text *kernel;
        struct fgsim_global_text *global;
};

struct fgsim_function {
        struct fgsim_object object;
        char name[512];
        struct fgsim_module *module;
        struct fgsim_function *next;
        fgsim_kernel_t host; /* NULL: time passes, nothing else */
        uint64_t ns, unit;
        int param;
        bool has_args;
        uint16_t arg_count;
        uint32_t arg[FGSIM_ARGS_MAX];
        int attribute[16];
        unsigned block[3], shared; /* cuFuncSetBlockShape and friends */
        unsigned buffer_bytes;     /* cuParamSet* */
        unsigned char buffer[4096];
};

struct fgsim_global {
        CUdeviceptr ptr;
        size_t bytes;
};

struct fgsim_module {
        struct fgsim_object object;
        struct fgsim_context *ctx;
        struct fgsim_image *image;
        struct fgsim_function *functions; /* asked for so far */
        struct fgsim_global *global;      /* [image->globals] */
        struct fgsim_module *next;        /* in ctx->exec->modules */
        bool is_library;                  /* of a library: cuModuleUnload is not for it */
};

/* module_text.c: an image, as far as it goes (text ends in NUL). NULL: *ret says why. */
struct fgsim_image *fgsim_image_load(const void *image, CUresult *ret);
void fgsim_image_drop(struct fgsim_image *image);
int fgsim_image_kernel(const struct fgsim_image *image, const char *name); /* -1: none */
int fgsim_image_global(const struct fgsim_image *image, const char *name);
/* module_ptx.c */
CUresult fgsim_image_ptx(struct fgsim_image *image, const char *text);
struct fgsim_kernel_text *fgsim_image_add_kernel(struct fgsim_image *image, const char *name, size_t len);
struct fgsim_global_text *fgsim_image_add_global(struct fgsim_image *image, const char *name, size_t len);
char *fgsim_image_read(const char *path, CUresult *ret); /* a file, ended by NUL; free() it */

struct fgsim_module *fgsim_module_new(struct fgsim_context *ctx, struct fgsim_image *image, CUresult *ret);
void fgsim_module_free(struct fgsim_module *module);
struct fgsim_function *fgsim_module_function(struct fgsim_module *module, const char *name, CUresult *ret);

/* module_registry.c: registered kernels. */
struct fgsim_registered {
        fgsim_kernel_t function;
        uint64_t ns;
        bool has_args;
        uint16_t arg_count;
        uint32_t arg[FGSIM_ARGS_MAX];
};
bool fgsim_registered_find(const char *name, struct fgsim_registered *ret);

/* func.c */
struct fgsim_function *fgsim_function_get(CUfunction handle); /* a CUkernel is one too; NULL: invalid */
static inline bool fgsim_function_is_host(const struct fgsim_function *function)
{
        return function->host;
}
/* library.c: the function of a kernel in the current context. */
struct fgsim_function *fgsim_kernel_function(const void *kernel);

#endif
