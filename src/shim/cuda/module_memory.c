/* SPDX-License-Identifier: Apache-2.0
 *
 * Modules and libraries: how much their code and variables take is known to the driver alone, and becomes part of what
 * a context is charged for beyond its allocations (overhead.h). They count as changes: a figure that the driver gave
 * before them says nothing about the books after them. */
#include "shim/cuda/hook.h"
#include "shim/cuda/overhead.h"

static void settle(void)
{
        struct fgc_vgpu *vgpu = fgc_vgpu_current();

        if (vgpu)
                fgc_overhead_settle(vgpu);
}

#define CHANGES(name, params, ...)                                                                                     \
        CUresult fgc_##name params                                                                                     \
        {                                                                                                              \
                FGC_PASS(name, __VA_ARGS__);                                                                           \
                settle();                                                                                              \
                return FGC_REAL(name, __VA_ARGS__);                                                                    \
        }

CHANGES(cuModuleLoad, (CUmodule * module, const char *file), module, file)
CHANGES(cuModuleLoadData, (CUmodule * module, const void *image), module, image)
CHANGES(cuModuleLoadDataEx,
        (CUmodule * module, const void *image, unsigned int count, CUjit_option *options, void **values), module, image,
        count, options, values)
CHANGES(cuModuleLoadFatBinary, (CUmodule * module, const void *image), module, image)
CHANGES(cuModuleUnload, (CUmodule module), module)
CHANGES(cuLibraryLoadData,
        (CUlibrary * library, const void *code, CUjit_option *jit, void **jit_values, unsigned int jit_count,
         CUlibraryOption *options, void **values, unsigned int count),
        library, code, jit, jit_values, jit_count, options, values, count)
CHANGES(cuLibraryLoadFromFile,
        (CUlibrary * library, const char *file, CUjit_option *jit, void **jit_values, unsigned int jit_count,
         CUlibraryOption *options, void **values, unsigned int count),
        library, file, jit, jit_values, jit_count, options, values, count)
CHANGES(cuLibraryUnload, (CUlibrary library), library)
