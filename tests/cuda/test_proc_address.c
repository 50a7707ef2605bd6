/* SPDX-License-Identifier: Apache-2.0
 *
 * cuGetProcAddress answers what the driver answers. Every row holds on the bare driver as well (CORE_SHIM unset):
 * there it proves the row. On a driver with internal addresses (SCRIPTED=internal) only hooked functions can be told
 * by their address. */
#include "core_test.h"

#define NONE     NULL
#define SUCCESS  0
#define UNKNOWN  1
#define TOO_NEW  2
#define HOOKED   true
#define UNHOOKED false

typedef CUresult get_v2_fn(const char *, void **, int, cuuint64_t, CUdriverProcAddressQueryResult *);
typedef CUresult get_fn(const char *, void **, int, cuuint64_t);

static const struct row {
        const char *symbol;
        int release;
        cuuint64_t flags;
        const char *form; /* the exported function that it is */
        bool hooked;
        int status;
} rows[] = {
        {"cuMemAlloc", 2000, 0, "cuMemAlloc", HOOKED, SUCCESS},
        {"cuMemAlloc", 3010, 0, "cuMemAlloc", HOOKED, SUCCESS},
        {"cuMemAlloc", 3020, 0, "cuMemAlloc_v2", HOOKED, SUCCESS},
        {"cuMemAlloc", 12000, 2, "cuMemAlloc_v2", HOOKED, SUCCESS},
        {"cuCtxCreate", 3020, 0, "cuCtxCreate_v2", HOOKED, SUCCESS},
        {"cuCtxCreate", 11030, 0, "cuCtxCreate_v2", HOOKED, SUCCESS},
        {"cuCtxCreate", 11040, 1, "cuCtxCreate_v3", HOOKED, SUCCESS},
        {"cuCtxCreate", 12040, 2, "cuCtxCreate_v3", HOOKED, SUCCESS},
        {"cuCtxCreate", 13000, 2, "cuCtxCreate_v4", HOOKED, SUCCESS},
        {"cuCtxCreate", 99000, 0, "cuCtxCreate_v4", HOOKED, SUCCESS},
        {"cuMemAllocAsync", 11020, 0, "cuMemAllocAsync", HOOKED, SUCCESS},
        {"cuMemAllocAsync", 11020, 1, "cuMemAllocAsync", HOOKED, SUCCESS},
        {"cuMemAllocAsync", 11020, 2, "cuMemAllocAsync_ptsz", HOOKED, SUCCESS},
        {"cuMemAllocAsync", 11010, 2, NONE, UNHOOKED, TOO_NEW},
        {"cuLaunchKernel", 4000, 0, "cuLaunchKernel", HOOKED, SUCCESS},
        {"cuLaunchKernel", 12000, 2, "cuLaunchKernel_ptsz", HOOKED, SUCCESS},
        {"cuStreamBeginCapture", 10000, 0, "cuStreamBeginCapture", HOOKED, SUCCESS},
        {"cuStreamBeginCapture", 10000, 2, "cuStreamBeginCapture_ptsz", HOOKED, SUCCESS},
        {"cuStreamBeginCapture", 12000, 0, "cuStreamBeginCapture_v2", HOOKED, SUCCESS},
        {"cuStreamBeginCapture", 12000, 2, "cuStreamBeginCapture_v2_ptsz", HOOKED, SUCCESS},
        {"cuGraphInstantiate", 10020, 0, "cuGraphInstantiate", HOOKED, SUCCESS},
        {"cuGraphInstantiate", 11080, 0, "cuGraphInstantiate_v2", HOOKED, SUCCESS},
        {"cuGraphInstantiate", 12000, 2, "cuGraphInstantiateWithFlags", HOOKED, SUCCESS},
        {"cuGraphInstantiateWithFlags", 12000, 0, "cuGraphInstantiateWithFlags", HOOKED, SUCCESS},
        {"cuArrayCreate", 12000, 0, "cuArrayCreate_v2", HOOKED, SUCCESS},
        {"cuArray3DCreate", 12000, 2, "cuArray3DCreate_v2", HOOKED, SUCCESS},
        {"cuCtxGetLimit", 12000, 2, "cuCtxGetLimit", UNHOOKED, SUCCESS},
        {"cuNewThing", 13000, 0, "cuNewThing", UNHOOKED, SUCCESS},
        {"cuNewThing", 12090, 0, NONE, UNHOOKED, TOO_NEW},
        {"cuNoSuchThing", 13000, 0, NONE, UNHOOKED, UNKNOWN},
        {"cuGetProcAddress", 12000, 0, "cuGetProcAddress_v2", HOOKED, SUCCESS},
        {"cuGetProcAddress", 11030, 0, "cuGetProcAddress", HOOKED, SUCCESS},
        {"cuInit", 2000, 0, "cuInit", HOOKED, SUCCESS},
};

static bool internal;

static void check_address(const struct row *row, void *found, void *handle)
{
        void *form = row->form ? dlsym(handle, row->form) : NULL;

        /* By LD_LIBRARY_PATH libc's own dlsym answers: with our entries, which lead to the same, and nothing for
         * what is new. */
        if (row->form && getenv("CORE_SHIM") && !getenv("LD_PRELOAD"))
                CHECK(row->hooked ? of_ours(found) : of_driver(found), "%s %d: %s", row->symbol, row->release,
                      file_of(found));
        else if (row->hooked && getenv("CORE_SHIM"))
                CHECK(found == form && of_ours(found), "%s %d: %s", row->symbol, row->release, file_of(found));
        else if (row->form && internal)
                CHECK(of_driver(found), "%s %d in %s", row->symbol, row->release, file_of(found));
        else
                CHECK(found == form && (!form || of_driver(found)), "%s %d: %s", row->symbol, row->release,
                      file_of(found));
}

static void check_row(const struct row *row, void *handle)
{
        get_v2_fn *get_v2 = (get_v2_fn *)dlsym(handle, "cuGetProcAddress_v2");
        get_fn *get = (get_fn *)dlsym(handle, "cuGetProcAddress");
        CUdriverProcAddressQueryResult status = 99;
        void *found = &status;

        CHECK(get_v2(row->symbol, &found, row->release, row->flags, &status) ==
                      (row->status == UNKNOWN ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS), "%s", row->symbol);
        CHECK((int)status == row->status, "%s %d: %d", row->symbol, row->release, (int)status);
        check_address(row, found, handle);
        found = &status;
        CHECK(get(row->symbol, &found, row->release, row->flags) ==
                      (row->status == SUCCESS ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND), "%s", row->symbol);
        check_address(row, found, handle);
}

/* What the driver tolerates is tolerated, what it refuses is refused in its words. */
static void check_bad_arguments(void *handle)
{
        get_v2_fn *get_v2 = (get_v2_fn *)dlsym(handle, "cuGetProcAddress_v2");
        get_fn *get = (get_fn *)dlsym(handle, "cuGetProcAddress");
        CUdriverProcAddressQueryResult status = 99;
        void *found = NULL;

        CHECK(get_v2("cuMemAlloc", &found, 12000, 0, NULL) == CUDA_SUCCESS && found);
        CHECK(get_v2("cuMemAlloc", NULL, 12000, 0, &status) == CUDA_ERROR_INVALID_VALUE && (int)status == 99);
        CHECK(get_v2(NULL, &found, 12000, 0, &status) == CUDA_ERROR_INVALID_VALUE);
        CHECK(get_v2("cuMemAlloc", &found, 12000, 8, &status) == CUDA_ERROR_INVALID_VALUE);
        CHECK(get("cuMemAlloc", NULL, 12000, 0) == CUDA_ERROR_INVALID_VALUE);
        CHECK(get(NULL, NULL, 12000, 0) == CUDA_ERROR_INVALID_VALUE);
}

/* What was given out leads to the function that was asked for. */
static void check_calls(void *handle)
{
        scripted_last_fn *last = (scripted_last_fn *)dlsym(dlopen(getenv("CORE_DRIVER"), RTLD_LAZY), "scripted_last");
        get_v2_fn *get_v2 = (get_v2_fn *)dlsym(handle, "cuGetProcAddress_v2");
        CUdriverProcAddressQueryResult status;
        void *found = NULL;

        CHECK(get_v2("cuNewThing", &found, 13000, 0, &status) == CUDA_SUCCESS);
        CHECK(found && ((CUresult(*)(void))found)() == CUDA_SUCCESS);
        CHECK(strcmp(last(), "cuNewThing") == 0, "%s", last());
        CHECK(get_v2("cuCtxGetLimit", &found, 13000, 0, &status) == CUDA_SUCCESS);
        CHECK(found && ((CUresult(*)(void))found)() == CUDA_SUCCESS);
        CHECK(strcmp(last(), "cuCtxGetLimit") == 0, "%s", last());
        CHECK(get_v2("cuDriverGetVersion", &found, 13000, 0, &status) == CUDA_SUCCESS && found);
}

int main(void)
{
        void *handle = dlopen("libcuda.so.1", RTLD_LAZY);

        if (!handle) {
                fprintf(stderr, "%s\n", dlerror());
                return 1;
        }
        internal = getenv("SCRIPTED") && strstr(getenv("SCRIPTED"), "internal");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                check_row(&rows[i], handle);
        check_bad_arguments(handle);
        check_calls(handle);
        return failures ? 1 : 0;
}
