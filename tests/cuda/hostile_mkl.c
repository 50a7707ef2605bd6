/* SPDX-License-Identifier: Apache-2.0
 * What numerical libraries preload: a library that has a dlsym() of its own, which asks the next one, and that calls it
 * from its constructor, before anybody else's has run. */
#include <dlfcn.h>
#include <stddef.h>

typedef void *dlsym_fn(void *handle, const char *name);

static dlsym_fn *mkl_next;

__attribute__((visibility("default"))) void *dlsym(void *handle, const char *name);
__attribute__((visibility("default"))) extern int hostile_mkl_saw;
int hostile_mkl_saw;

void *dlsym(void *handle, const char *name)
{
        if (!mkl_next)
                mkl_next = (dlsym_fn *)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
        return mkl_next ? mkl_next(handle, name) : NULL;
}

__attribute__((constructor)) static void mkl_begin(void)
{
        hostile_mkl_saw = dlsym(RTLD_NEXT, "malloc") != NULL;
        hostile_mkl_saw += dlsym(RTLD_DEFAULT, "cuInit") != NULL;
        hostile_mkl_saw += dlsym(RTLD_NEXT, "cuMemAlloc_v2") != NULL;
        hostile_mkl_saw += dlsym(RTLD_NEXT, "mkl_serv_intel_cpu_true") != NULL;
}
