/* SPDX-License-Identifier: Apache-2.0
 * Preloaded after the drop-in: a library with a dlsym() of its own, which finds the next one by asking dlsym itself. */
#include <dlfcn.h>
#include <stddef.h>

typedef void *dlsym_fn(void *handle, const char *name);

__attribute__((visibility("default"))) void *dlsym(void *handle, const char *name);
__attribute__((visibility("default"))) extern int core_other_asked;
int core_other_asked;

static dlsym_fn *next;

void *dlsym(void *handle, const char *name)
{
        static int depth;

        core_other_asked++;
        if (!next && depth++ == 0) {
                dlsym_fn *first = (dlsym_fn *)dlvsym(RTLD_DEFAULT, "dlsym", "GLIBC_2.2.5");

                next = (dlsym_fn *)first(RTLD_NEXT, "dlsym");
        }
        return next && next != dlsym ? next(handle, name) : NULL;
}
