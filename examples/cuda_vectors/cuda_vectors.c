/* SPDX-License-Identifier: Apache-2.0
 * Adds vectors with the CUDA driver API, on a GPU or on FastGPU's simulated one, and checks every sum.
 *
 *     cuda_vectors [ELEMENTS [ROUNDS]]
 *     FASTGPU_SIM=1xL4 LD_LIBRARY_PATH=out/lib/fastgpu/sim out/lib/fastgpu/examples/cuda_vectors
 *
 * A GPU runs the PTX below. The simulator only reads from it that there is a kernel `vector_add` with four parameters,
 * and calls the C function fgsim_host_vector_add instead (include/fastgpu/sim.h). */
#if defined(__has_include) && __has_include(<cuda.h>)
#include <cuda.h>
#else
#include "abi/cuda.h"
#endif

#include <stdio.h>
#include <stdlib.h>

static const char ptx[] = ".version 6.0\n"
                          ".target sm_50\n"
                          ".address_size 64\n"
                          ".visible .entry vector_add(.param .u64 a, .param .u64 b, .param .u64 sum, .param .u32 n)\n"
                          "{\n"
                          "        .reg .pred %p1;\n"
                          "        .reg .b32 %r<6>;\n"
                          "        .reg .b64 %d<8>;\n"
                          "        .reg .f32 %f<4>;\n"
                          "        mov.u32 %r1, %ctaid.x;\n"
                          "        mov.u32 %r2, %ntid.x;\n"
                          "        mov.u32 %r3, %tid.x;\n"
                          "        mad.lo.s32 %r4, %r1, %r2, %r3;\n"
                          "        ld.param.u32 %r5, [n];\n"
                          "        setp.ge.u32 %p1, %r4, %r5;\n"
                          "        @%p1 bra END;\n"
                          "        mul.wide.u32 %d1, %r4, 4;\n"
                          "        ld.param.u64 %d2, [a];\n"
                          "        ld.param.u64 %d3, [b];\n"
                          "        ld.param.u64 %d4, [sum];\n"
                          "        add.s64 %d5, %d2, %d1;\n"
                          "        add.s64 %d6, %d3, %d1;\n"
                          "        add.s64 %d7, %d4, %d1;\n"
                          "        ld.global.f32 %f1, [%d5];\n"
                          "        ld.global.f32 %f2, [%d6];\n"
                          "        add.f32 %f3, %f1, %f2;\n"
                          "        st.global.f32 [%d7], %f3;\n"
                          "END:\n"
                          "        ret;\n"
                          "}\n";

static void check(CUresult r, const char *what)
{
        const char *text = "unknown error";

        if (r == CUDA_SUCCESS)
                return;
        cuGetErrorString(r, &text);
        fprintf(stderr, "cuda_vectors: %s: %s (%d)\n", what, text, (int)r);
        exit(1);
}

#define CHECK(call) check(call, #call)

/* What the PTX says, for the simulator: it looks for this name. */
__attribute__((visibility("default"))) void fgsim_host_vector_add(void **params, const unsigned grid[3],
                                                                  const unsigned block[3]);

void fgsim_host_vector_add(void **params, const unsigned grid[3], const unsigned block[3])
{
        const float *a = *(const float **)params[0], *b = *(const float **)params[1];
        float *sum = *(float **)params[2];
        unsigned n = *(unsigned *)params[3], threads = grid[0] * block[0];

        for (unsigned i = 0; i < n && i < threads; i++)
                sum[i] = a[i] + b[i];
}

struct vectors {
        unsigned n;
        float *a, *b, *sum;
        CUdeviceptr device_a, device_b, device_sum;
};

static void make(struct vectors *v)
{
        size_t bytes = v->n * sizeof(float);

        v->a = malloc(bytes);
        v->b = malloc(bytes);
        v->sum = malloc(bytes);
        if (!v->a || !v->b || !v->sum)
                check(CUDA_ERROR_OUT_OF_MEMORY, "host memory");
        CHECK(cuMemAlloc_v2(&v->device_a, bytes));
        CHECK(cuMemAlloc_v2(&v->device_b, bytes));
        CHECK(cuMemAlloc_v2(&v->device_sum, bytes));
}

static unsigned add_once(struct vectors *v, CUfunction kernel, CUstream stream, unsigned round)
{
        size_t bytes = v->n * sizeof(float);
        unsigned wrong = 0;

        for (unsigned i = 0; i < v->n; i++) {
                v->a[i] = (float)(i % 1000);
                v->b[i] = (float)(round % 1000) * 0.5f;
        }
        CHECK(cuMemcpyHtoDAsync_v2(v->device_a, v->a, bytes, stream));
        CHECK(cuMemcpyHtoDAsync_v2(v->device_b, v->b, bytes, stream));
        CHECK(cuLaunchKernel(kernel, (v->n + 255) / 256, 1, 1, 256, 1, 1, 0, stream,
                             (void *[]){&v->device_a, &v->device_b, &v->device_sum, &v->n}, NULL));
        CHECK(cuMemcpyDtoHAsync_v2(v->sum, v->device_sum, bytes, stream));
        CHECK(cuStreamSynchronize(stream));
        for (unsigned i = 0; i < v->n; i++)
                wrong += v->sum[i] != v->a[i] + v->b[i];
        return wrong;
}

static void release(struct vectors *v)
{
        CHECK(cuMemFree_v2(v->device_a));
        CHECK(cuMemFree_v2(v->device_b));
        CHECK(cuMemFree_v2(v->device_sum));
        free(v->a);
        free(v->b);
        free(v->sum);
}

int main(int argc, char **argv)
{
        struct vectors v = {.n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1u << 20};
        unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 3, wrong = 0;
        char name[128];
        CUcontext context;
        CUfunction kernel;
        CUstream stream;
        CUdevice device;
        CUmodule module;

        if (v.n == 0) {
                fprintf(stderr, "usage: cuda_vectors [ELEMENTS [ROUNDS]], both whole numbers above 0\n");
                return 2;
        }
        CHECK(cuInit(0));
        CHECK(cuDeviceGet(&device, 0));
        CHECK(cuDeviceGetName(name, sizeof(name), device));
        CHECK(cuDevicePrimaryCtxRetain(&context, device));
        CHECK(cuCtxSetCurrent(context));
        CHECK(cuModuleLoadData(&module, ptx));
        CHECK(cuModuleGetFunction(&kernel, module, "vector_add"));
        CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        make(&v);
        for (unsigned round = 0; round < rounds; round++)
                wrong += add_once(&v, kernel, stream, round);
        printf("%s: %u rounds of %u sums, %u wrong\n", name, rounds, v.n, wrong);
        release(&v);
        CHECK(cuStreamDestroy_v2(stream));
        CHECK(cuModuleUnload(module));
        CHECK(cuDevicePrimaryCtxRelease_v2(device));
        return wrong ? 1 : 0;
}
