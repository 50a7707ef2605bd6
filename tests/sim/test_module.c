/* SPDX-License-Identifier: Apache-2.0
 * Images: the simulator's own text, PTX, binaries, and what is none of these. */
#include "exec_test.h"

#include <errno.h>

static const char ptx[] = "// made by hand\n"
                          ".version 7.0\n.target sm_52\n.address_size 64\n"
                          ".visible .global .align 4 .b8 buffer[1024];\n"
                          ".const .align 8 .u64 scale;\n"
                          ".func helper(.param .b32 a) { .reg .b32 r; { ret; } }\n"
                          "/* .entry not_this() */\n"
                          ".visible .entry add(\n\t.param .u64 a,\n\t.param .u64 b,\n\t.param .align 4 .b8 c[12],\n"
                          "\t.param .f32 d\n)\n{\n\t.reg .b64 %rd<5>;\n\tld.param.u64 %rd1, [a];\n\tret;\n}\n"
                          ".entry bare()\n.maxntid 256, 1, 1\n{ ret; }\n";

/* Called through its name: the program is linked with its symbols visible. */
__attribute__((visibility("default"))) void from_symbol(void **params, const unsigned grid[3], const unsigned block[3]);

void from_symbol(void **params, const unsigned grid[3], const unsigned block[3])
{
        note(*(int *)params[0] + (int)grid[0]);
}

static void test_own_text(void **state)
{
        CUmodule m;
        CUfunction f;
        CUdeviceptr table;
        size_t bytes;
        unsigned count;
        int ten = 10;

        OK(cuModuleLoadData(&m,
                            "fastgpu-sim\n# a comment\n\n  kernel one host=from_symbol args=4 time=1us\nkernel two\r\n"
                            "global table 100\n"));
        OK(cuModuleGetFunctionCount(&count, m));
        assert_int_equal(count, 2);
        OK(cuModuleGetFunction(&f, m, "one"));
        OK(cuLaunchKernel(f, 5, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&ten}, NULL));
        OK(cuCtxSynchronize());
        NOTES(15);
        OK(cuModuleGetGlobal_v2(&table, &bytes, m, "table"));
        assert_int_equal(bytes, 100);
        OK(cuMemsetD8_v2(table, 1, 100));
        IS(cuModuleGetGlobal_v2(&table, &bytes, m, "chair"), CUDA_ERROR_NOT_FOUND);
        IS(cuModuleGetFunction(&f, m, "three"), CUDA_ERROR_NOT_FOUND);
        OK(cuModuleUnload(m));
        IS(cuModuleUnload(m), CUDA_ERROR_INVALID_HANDLE);
        IS(cuModuleGetFunction(&f, m, "one"), CUDA_ERROR_INVALID_HANDLE);
}

static void test_bad_text(void **state)
{
        static const char *const bad[] = {
                "",
                "nonsense",
                "fastgpu-simulator\n",
                "fastgpu-sim\nkernel\n",
                "fastgpu-sim\nkernel a time=\n",
                "fastgpu-sim\nkernel a time=5parsecs\n",
                "fastgpu-sim\nkernel a time=-1us\n",
                "fastgpu-sim\nkernel a args=4,,4\n",
                "fastgpu-sim\nkernel a args=0\n",
                "fastgpu-sim\nkernel a param=100\n",
                "fastgpu-sim\nkernel a colour=red\n",
                "fastgpu-sim\nglobal a\n",
                "fastgpu-sim\nglobal a 0\n",
                "fastgpu-sim\nglobal a -5\n",
                "fastgpu-sim\nglobal a 5 6\n",
                "fastgpu-sim\ntexture a 5\n",
                ".version 7.0\n.entry add(.param .u64 a",
                ".version 7.0\n.entry (",
        };
        CUmodule m = NULL;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                CUresult r = cuModuleLoadData(&m, bad[i]);
                if (r != CUDA_ERROR_INVALID_IMAGE && r != CUDA_ERROR_INVALID_PTX)
                        fail_msg("result %d for: %s", r, bad[i]);
                assert_null(m);
        }
        IS(cuModuleLoadData(&m, NULL), CUDA_ERROR_INVALID_VALUE);
        IS(cuModuleLoad(&m, "/no/such/file"), CUDA_ERROR_FILE_NOT_FOUND);
}

static void test_ptx(void **state)
{
        static const size_t offsets[] = {0, 8, 16, 28}, sizes[] = {8, 8, 12, 4};
        size_t offset, bytes, count;
        CUdeviceptr buffer;
        CUfunction f;
        CUmodule m;

        OK(cuModuleLoadDataEx(&m, ptx, 0, NULL, NULL));
        OK(cuModuleGetFunction(&f, m, "add"));
        OK(cuFuncGetParamCount(f, &count));
        assert_int_equal(count, 4);
        for (size_t i = 0; i < 4; i++) {
                OK(cuFuncGetParamInfo(f, i, &offset, &bytes));
                assert_int_equal(bytes, sizes[i]);
                if (i != 2 && i != 3)
                        assert_int_equal(offset, offsets[i]);
        }
        IS(cuFuncGetParamInfo(f, 4, &offset, &bytes), CUDA_ERROR_INVALID_VALUE);
        OK(cuModuleGetFunction(&f, m, "bare"));
        OK(launch(f, NULL, NULL));
        IS(cuModuleGetFunction(&f, m, "not_this"), CUDA_ERROR_NOT_FOUND);
        IS(cuModuleGetFunction(&f, m, "helper"), CUDA_ERROR_NOT_FOUND);
        OK(cuModuleGetGlobal_v2(&buffer, &bytes, m, "buffer"));
        assert_int_equal(bytes, 1024);
        OK(cuModuleGetGlobal_v2(&buffer, &bytes, m, "scale"));
        assert_int_equal(bytes, 8);
        OK(cuModuleUnload(m));
}

__attribute__((visibility("default"))) void fgsim_host_bare(void **params, const unsigned grid[3],
                                                            const unsigned block[3]);

void fgsim_host_bare(void **params, const unsigned grid[3], const unsigned block[3])
{
        assert_null(params); /* it has no parameters */
        note(100 + (int)block[0]);
}

static void test_exported_host_function(void **state)
{
        CUfunction f;
        CUmodule m;

        OK(cuModuleLoadData(&m, ptx));
        OK(cuModuleGetFunction(&f, m, "bare"));
        OK(launch(f, NULL, NULL));
        OK(cuCtxSynchronize());
        NOTES(101);
        OK(cuModuleUnload(m));
}

static void test_binaries_are_believed(void **state)
{
        static const struct {
                uint32_t magic, version;
                const void *data;
                void *reserved;
        } wrapper = {0x466243b1u, 1, "", NULL};
        CUmodule m;
        CUfunction f;

        OK(cuModuleLoadFatBinary(&m, &wrapper));
        OK(cuModuleGetFunction(&f, m, "_Z3fooPf"));
        OK(launch(f, NULL, NULL));
        OK(cuCtxSynchronize());
        OK(cuModuleUnload(m));
}

static void test_registered_kernels(void **state)
{
        CUmodule m;
        CUfunction f;
        int three = 3;

        OK(cuModuleLoadData(&m, "fastgpu-sim"));
        OK(cuModuleGetFunction(&f, m, "note"));
        IS(cuModuleGetFunction(&f, m, "unheard_of"), CUDA_ERROR_NOT_FOUND);
        assert_int_equal(fgsim_kernel_register("", note_kernel, 0), -EINVAL);
        assert_int_equal(fgsim_kernel_register(NULL, note_kernel, 0), -EINVAL);
        assert_int_equal(fgsim_kernel_arguments("unheard_of", 0, NULL), -ENOENT);
        assert_int_equal(fgsim_kernel_arguments("note", 1, (size_t[]){5000}), -EINVAL);
        assert_int_equal(fgsim_kernel_register("late", note_kernel, 0), 0);
        assert_int_equal(fgsim_kernel_arguments("late", 1, (size_t[]){4}), 0);
        OK(cuModuleGetFunction(&f, m, "late"));
        OK(launch(f, NULL, (void *[]){&three}));
        OK(cuCtxSynchronize());
        NOTES(3);
        OK(cuModuleUnload(m));
}

static void test_library(void **state)
{
        CUlibrary library, back;
        CUkernel kernel, again;
        CUfunction f;
        CUmodule m;
        CUdeviceptr table;
        const char *name;
        unsigned count;
        size_t bytes;
        int four = 4;

        OK(cuLibraryLoadData(&library, kernels, NULL, NULL, 0, NULL, NULL, 0));
        OK(cuLibraryGetKernelCount(&count, library));
        assert_int_equal(count, 7);
        OK(cuLibraryGetKernel(&kernel, library, "note"));
        OK(cuLibraryGetKernel(&again, library, "note"));
        assert_ptr_equal(kernel, again);
        OK(cuKernelGetName(&name, kernel));
        assert_string_equal(name, "note");
        OK(cuKernelGetLibrary(&back, kernel));
        assert_ptr_equal(back, library);
        OK(cuKernelGetFunction(&f, kernel));
        OK(launch(f, NULL, (void *[]){&four}));
        OK(launch((CUfunction)kernel, NULL, (void *[]){&four})); /* a kernel is a function, too */
        OK(cuCtxSynchronize());
        NOTES(4, 4);
        OK(cuLibraryGetModule(&m, library));
        IS(cuModuleUnload(m), CUDA_ERROR_INVALID_HANDLE);
        OK(cuLibraryGetGlobal(&table, &bytes, library, "table"));
        assert_int_equal(bytes, 4096);
        IS(cuLibraryGetKernel(&kernel, library, "unheard_of"), CUDA_ERROR_NOT_FOUND);
        OK(cuLibraryUnload(library));
        IS(cuLibraryGetKernel(&kernel, library, "note"), CUDA_ERROR_INVALID_HANDLE);
        IS(launch((CUfunction)again, NULL, (void *[]){&four}), CUDA_ERROR_INVALID_HANDLE);
}

static void test_link(void **state)
{
        static char more[] = ".version 7.0\n.entry more(.param .u32 n)\n{ ret; }\n";
        CUlinkState link;
        CUfunction f;
        CUmodule m;
        size_t bytes;
        void *cubin;

        OK(cuLinkCreate_v2(0, NULL, NULL, &link));
        IS(cuLinkComplete(link, &cubin, &bytes), CUDA_ERROR_INVALID_VALUE);
        OK(cuLinkAddData_v2(link, CU_JIT_INPUT_PTX, (void *)(uintptr_t)ptx, sizeof(ptx), "a", 0, NULL, NULL));
        OK(cuLinkAddData_v2(link, CU_JIT_INPUT_PTX, more, sizeof(more), "b", 0, NULL, NULL));
        IS(cuLinkAddFile_v2(link, CU_JIT_INPUT_PTX, "/no/such/file", 0, NULL, NULL), CUDA_ERROR_FILE_NOT_FOUND);
        OK(cuLinkComplete(link, &cubin, &bytes));
        OK(cuModuleLoadData(&m, cubin));
        OK(cuLinkDestroy(link));
        IS(cuLinkDestroy(link), CUDA_ERROR_INVALID_HANDLE);
        OK(cuModuleGetFunction(&f, m, "add"));
        OK(cuModuleGetFunction(&f, m, "more"));
        OK(cuModuleUnload(m));
}

static void test_attributes(void **state)
{
        CUfunction f = function("nothing");
        int value;

        OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f));
        assert_int_equal(value, 1024);
        OK(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 4096));
        OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, f));
        assert_int_equal(value, 4096);
        IS(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_NUM_REGS, 1), CUDA_ERROR_INVALID_VALUE);
        IS(cuFuncGetAttribute(&value, (CUfunction_attribute)99, f), CUDA_ERROR_INVALID_VALUE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_own_text, forget_notes),
                cmocka_unit_test(test_bad_text),
                cmocka_unit_test(test_ptx),
                cmocka_unit_test_setup(test_exported_host_function, forget_notes),
                cmocka_unit_test(test_binaries_are_believed),
                cmocka_unit_test_setup(test_registered_kernels, forget_notes),
                cmocka_unit_test_setup(test_library, forget_notes),
                cmocka_unit_test(test_link),
                cmocka_unit_test(test_attributes),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
