/* SPDX-License-Identifier: Apache-2.0
 *
 * dlsym with the drop-in preloaded: the driver's names lead into the driver by way of the hooks, from whatever
 * handle they are asked; every other question gets libc's own answer, dlerror() included. */
#include "core_test.h"

#include <pthread.h>

/* A program's own idea of a name of CUDA's: loaders like cuew keep pointers under such names. */
__attribute__((visibility("default"))) void *cuFuncGetName;

typedef CUresult init_fn(unsigned);
typedef CUresult alloc_fn(CUdeviceptr *, size_t);

static void check_foreign_names(void)
{
        for (int i = 0; i < 3; i++) {
                void *next = dlsym(RTLD_NEXT, "malloc"), *first = dlsym(RTLD_DEFAULT, "malloc");

                CHECK(next && first && strstr(file_of(next), "libc.so"), "%s", file_of(next));
        }
        dlerror();
        CHECK(!dlsym(RTLD_DEFAULT, "cublasCreate_v2") && dlerror());
        CHECK(!dlsym(RTLD_DEFAULT, "c") && dlerror());
        CHECK(!dlsym(RTLD_DEFAULT, "") && dlerror());
        CHECK(!dlsym(RTLD_DEFAULT, "cu") && dlerror());
        CHECK(dlsym(RTLD_DEFAULT, "cuFuncGetName") == &cuFuncGetName);
        CHECK(dlsym(dlopen(NULL, RTLD_LAZY), "cuFuncGetName") == &cuFuncGetName);
}

/* Names that libc's handle does not reach are not found there. */
static void check_foreign_handles(void)
{
        void *libc = dlopen("libc.so.6", RTLD_LAZY);

        CHECK(libc && dlsym(libc, "getpid"));
        dlerror();
        CHECK(!dlsym(libc, "cuInit") && dlerror());
        CHECK(!dlsym(libc, "cuNewThing") && dlerror());
}

static void check_hooks(void *handle, void *driver)
{
        void *hook = dlsym(handle, "cuMemAlloc_v2");

        CHECK(of_ours(hook), "%s", file_of(hook));
        CHECK(dlsym(driver, "cuMemAlloc_v2") == hook);
        CHECK(dlsym(RTLD_DEFAULT, "cuMemAlloc_v2") == hook);
        CHECK(dlsym(RTLD_NEXT, "cuMemAlloc_v2") == hook);
        CHECK(dlsym(dlopen(NULL, RTLD_LAZY), "cuMemAlloc_v2") == hook);
        CHECK(dlsym(handle, "cuMemAllocAsync_ptsz") != dlsym(handle, "cuMemAllocAsync"));
        CHECK(of_driver(dlsym(handle, "cuCtxGetLimit")));
        CHECK(of_driver(dlsym(driver, "cuCtxGetLimit")));
}

/* The driver has it and we do not know it; we know it and the driver has not got it. */
static void check_versions(void *handle, void *driver)
{
        dlerror();
        CHECK(of_driver(dlsym(handle, "cuNewThing")));
        CHECK(of_driver(dlsym(RTLD_DEFAULT, "cuNewThing")));
        CHECK(of_driver(dlsym(driver, "cuNewThing")));
        CHECK(!dlerror());
        CHECK(!dlsym(handle, "cuGreenCtxCreate") && dlerror());
        CHECK(!dlsym(RTLD_DEFAULT, "cuGreenCtxCreate") && dlerror());
        CHECK(!dlsym(handle, "cuNoSuchThing") && dlerror());
        CHECK(dlsym(handle, "cuInit") && !dlerror(), "an error was left behind");
}

static void check_other_namespace(void)
{
        void *handle = dlmopen(LM_ID_NEWLM, getenv("CORE_DRIVER"), RTLD_LAZY);

        CHECK(handle, "%s", dlerror());
        if (handle)
                CHECK(of_ours(dlsym(handle, "cuMemAlloc_v2")), "%s", file_of(dlsym(handle, "cuMemAlloc_v2")));
}

/* With core_dlsym_other.c in between: it is asked as well, and knows its way. */
static void check_chain(void)
{
        int *asked = dlsym(RTLD_DEFAULT, "core_other_asked"), before = asked ? *asked : 0;

        CHECK(!getenv("CORE_OTHER") || asked);
        if (!asked)
                return;
        CHECK(dlsym(RTLD_DEFAULT, "getpid") && *asked == before + 1, "%d, then %d", before, *asked);
}

static void *ask_many(void *hook)
{
        intptr_t wrong = 0;

        for (int i = 0; i < 2000; i++) {
                wrong += dlsym(RTLD_DEFAULT, "cuMemAlloc_v2") != hook;
                wrong += dlsym(RTLD_NEXT, "malloc") == NULL;
        }
        return (void *)wrong;
}

static void check_threads(void *handle)
{
        pthread_t thread[4];
        void *wrong;

        for (int i = 0; i < 4; i++)
                pthread_create(&thread[i], NULL, ask_many, dlsym(handle, "cuMemAlloc_v2"));
        for (int i = 0; i < 4; i++) {
                pthread_join(thread[i], &wrong);
                CHECK(!wrong, "%ld answers", (long)(intptr_t)wrong);
        }
}

int main(void)
{
        void *handle, *driver;
        CUdeviceptr address;

        check_foreign_names();
        check_foreign_handles();
        handle = dlopen("libcuda.so.1", RTLD_LAZY);
        driver = dlopen(getenv("CORE_DRIVER"), RTLD_LAZY);
        CHECK(handle && driver, "%s", dlerror());
        check_hooks(handle, driver);
        check_versions(handle, driver);
        check_other_namespace();
        check_chain();
        check_threads(handle);
        CHECK(((init_fn *)dlsym(handle, "cuInit"))(0) == CUDA_SUCCESS);
        /* A hook charges, whatever handle it came from: the vGPU is smaller than this. */
        CHECK(((alloc_fn *)dlsym(driver, "cuMemAlloc_v2"))(&address, (size_t)1 << 40) == CUDA_ERROR_OUT_OF_MEMORY);
        return failures ? 1 : 0;
}
