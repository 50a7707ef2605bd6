/* SPDX-License-Identifier: Apache-2.0
 * Arrays and mipmaps: bytes to the last one, for every shape and format; contents; wrong shapes; texture objects. */
#include "sim_test.h"

static size_t start_free;

static uint64_t rounded(uint64_t bytes)
{
        return (bytes + 511) / 512 * 512;
}

static void costs(CUDA_ARRAY3D_DESCRIPTOR desc, uint64_t bytes)
{
        CUarray array;
        CUDA_ARRAY3D_DESCRIPTOR got;
        OK(cuArray3DCreate_v2(&array, &desc));
        CHECK(sim_free() == start_free - rounded(bytes));
        OK(cuArray3DGetDescriptor_v2(&got, array));
        CHECK(memcmp(&got, &desc, sizeof got) == 0);
        OK(cuArrayDestroy(array));
        CHECK(sim_free() == start_free);
        IS(cuArrayDestroy(array), CUDA_ERROR_INVALID_HANDLE);
}

#define SHAPE(w, h, d, format, channels, flags)                                                                        \
        (CUDA_ARRAY3D_DESCRIPTOR)                                                                                      \
        {                                                                                                              \
                .Width = w, .Height = h, .Depth = d, .Format = CU_AD_FORMAT_##format, .NumChannels = channels,         \
                .Flags = flags                                                                                         \
        }

static void shapes(void)
{
        costs(SHAPE(1000, 0, 0, FLOAT, 1, 0), 4000);
        costs(SHAPE(1000, 0, 0, UNSIGNED_INT8, 4, 0), 4000);
        costs(SHAPE(333, 77, 0, HALF, 2, 0), 333 * 77 * 4);
        costs(SHAPE(33, 44, 55, UNSIGNED_INT16, 1, 0), 33 * 44 * 55 * 2);
        costs(SHAPE(100, 0, 7, FLOAT, 4, CUDA_ARRAY3D_LAYERED), 100 * 7 * 16);
        costs(SHAPE(100, 50, 7, SIGNED_INT32, 2, CUDA_ARRAY3D_LAYERED), 100 * 50 * 7 * 8);
        costs(SHAPE(64, 64, 6, FLOAT, 1, CUDA_ARRAY3D_CUBEMAP), 64 * 64 * 6 * 4);
        costs(SHAPE(64, 64, 12, FLOAT, 1, CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_LAYERED), 64 * 64 * 12 * 4);
        costs(SHAPE(64, 64, 0, BC1_UNORM, 4, 0), 64 * 64 / 2);
        costs(SHAPE(64, 64, 0, BC7_UNORM, 4, 0), 64 * 64);
}

static void wrong(CUDA_ARRAY3D_DESCRIPTOR desc)
{
        CUarray array;
        IS(cuArray3DCreate_v2(&array, &desc), CUDA_ERROR_INVALID_VALUE);
}

static void wrong_shapes(void)
{
        CUarray array;
        wrong(SHAPE(0, 0, 0, FLOAT, 1, 0));
        wrong(SHAPE(10, 0, 0, FLOAT, 3, 0));
        wrong(SHAPE(10, 0, 5, FLOAT, 1, 0));
        wrong(SHAPE(10, 10, 0, FLOAT, 1, CUDA_ARRAY3D_LAYERED));
        wrong(SHAPE(10, 11, 6, FLOAT, 1, CUDA_ARRAY3D_CUBEMAP));
        wrong(SHAPE(10, 10, 5, FLOAT, 1, CUDA_ARRAY3D_CUBEMAP));
        wrong(SHAPE(10, 10, 0, MAX, 1, 0));
        CUDA_ARRAY3D_DESCRIPTOR huge = SHAPE(16384, 16384, 16384, FLOAT, 4, 0);
        IS(cuArray3DCreate_v2(&array, &huge), CUDA_ERROR_OUT_OF_MEMORY);
        IS(cuArrayDestroy((CUarray)&array), CUDA_ERROR_INVALID_HANDLE);
        CHECK(sim_free() == start_free);
}

static void contents(void)
{
        enum { W = 37, H = 19 };
        CUDA_ARRAY_DESCRIPTOR desc = {.Width = W, .Height = H, .Format = CU_AD_FORMAT_UNSIGNED_INT32, .NumChannels = 1};
        unsigned in[H][W], out[H][W];
        CUarray array;
        for (unsigned i = 0; i < W * H; i++)
                in[i / W][i % W] = i * i;
        OK(cuArrayCreate_v2(&array, &desc));
        CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                              .srcHost = in,
                              .srcPitch = sizeof in[0],
                              .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                              .dstArray = array,
                              .WidthInBytes = sizeof in[0],
                              .Height = H};
        OK(cuMemcpy2D_v2(&copy));
        copy = (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                               .srcArray = array,
                               .dstMemoryType = CU_MEMORYTYPE_HOST,
                               .dstHost = out,
                               .dstPitch = sizeof out[0],
                               .WidthInBytes = sizeof out[0],
                               .Height = H};
        OK(cuMemcpy2D_v2(&copy));
        CHECK(memcmp(in, out, sizeof in) == 0);
        OK(cuArrayDestroy(array));
}

static void mipmaps(void)
{
        CUmipmappedArray mipmap;
        CUarray level;
        CUDA_ARRAY3D_DESCRIPTOR got, desc = SHAPE(64, 16, 0, FLOAT, 1, 0);
        uint64_t bytes = 0;
        /* More levels are asked for than there can be: 64, 32 … 1. */
        OK(cuMipmappedArrayCreate(&mipmap, &desc, 20));
        for (unsigned i = 0; i < 7; i++) {
                size_t w = 64u >> i, h = 16u >> i ? 16u >> i : 1;
                OK(cuMipmappedArrayGetLevel(&level, mipmap, i));
                OK(cuArray3DGetDescriptor_v2(&got, level));
                CHECK(got.Width == w && got.Height == h);
                bytes += w * h * 4;
        }
        IS(cuMipmappedArrayGetLevel(&level, mipmap, 7), CUDA_ERROR_INVALID_VALUE);
        CHECK(sim_free() == start_free - rounded(bytes));
        OK(cuMipmappedArrayGetLevel(&level, mipmap, 0));
        IS(cuArrayDestroy(level), CUDA_ERROR_INVALID_HANDLE);
        OK(cuMipmappedArrayDestroy(mipmap));
        IS(cuArray3DGetDescriptor_v2(&got, level), CUDA_ERROR_INVALID_HANDLE);
        CHECK(sim_free() == start_free);
        /* Layers are not halved. */
        desc = SHAPE(8, 8, 5, UNSIGNED_INT8, 1, CUDA_ARRAY3D_LAYERED);
        OK(cuMipmappedArrayCreate(&mipmap, &desc, 2));
        CHECK(sim_free() == start_free - rounded(64 * 5 + 16 * 5));
        OK(cuMipmappedArrayDestroy(mipmap));
}

static void textures(void)
{
        CUDA_ARRAY3D_DESCRIPTOR desc = SHAPE(8, 8, 0, FLOAT, 1, 0);
        CUDA_TEXTURE_DESC how = {.filterMode = CU_TR_FILTER_MODE_LINEAR}, got;
        CUarray array;
        CUtexObject texture;
        CUsurfObject surface;
        OK(cuArray3DCreate_v2(&array, &desc));
        CUDA_RESOURCE_DESC what = {.resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array};
        OK(cuTexObjectCreate(&texture, &what, &how, NULL));
        OK(cuTexObjectGetTextureDesc(&got, texture));
        CHECK(got.filterMode == CU_TR_FILTER_MODE_LINEAR);
        OK(cuSurfObjectCreate(&surface, &what));
        IS(cuTexObjectDestroy(surface), CUDA_ERROR_INVALID_VALUE);
        OK(cuTexObjectDestroy(texture));
        OK(cuSurfObjectDestroy(surface));
        OK(cuArrayDestroy(array));
        IS(cuTexObjectCreate(&texture, &what, &how, NULL), CUDA_ERROR_INVALID_VALUE);
}

/* What a context has goes with it. */
static void context_takes_all(void)
{
        CUcontext ctx;
        CUarray array;
        CUmipmappedArray mipmap;
        CUDA_ARRAY3D_DESCRIPTOR desc = SHAPE(256, 256, 0, FLOAT, 1, 0);
        OK(cuCtxCreate_v2(&ctx, 0, 0));
        OK(cuArray3DCreate_v2(&array, &desc));
        OK(cuMipmappedArrayCreate(&mipmap, &desc, 3));
        OK(cuCtxDestroy_v2(ctx));
        CHECK(sim_free() == start_free);
        IS(cuArrayDestroy(array), CUDA_ERROR_INVALID_HANDLE);
}

int main(void)
{
        sim_start("[gpu]\nmodel = Test\nmemory = 512M\ncontext = 4M\nlaunch = 0\nh2d = 0\nd2h = 0\nd2d = 0\n");
        sim_context(0);
        start_free = sim_free();
        shapes();
        wrong_shapes();
        contents();
        mipmaps();
        textures();
        context_takes_all();
        return 0;
}
