/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cuda/array.h"

#include <stdbool.h>
#include <stddef.h>

#define BLOCK 4u /* compressed formats: a block is so many elements wide and high */

/* Ranges of formats of one size; the values are those of enum CUarray_format. */
struct size_row {
        uint8_t first, last;
        uint8_t bits; /* of one element, for all channels; of one channel where `each` */
        bool each;
        bool blocks;
};

static const struct size_row size_rows[] = {
        {0x01, 0x01, 8, true},
        {0x02, 0x02, 16, true},
        {0x03, 0x03, 32, true}, /* unsigned integers */
        {0x08, 0x08, 8, true},
        {0x09, 0x09, 16, true},
        {0x0a, 0x0a, 32, true}, /* signed */
        {0x10, 0x10, 16, true},
        {0x20, 0x20, 32, true}, /* half, float */
        {0x50, 0x50, 32},
        {0x51, 0x51, 16},
        {0x52, 0x52, 32}, /* 10:10:10:2; packed 4:2:2, 4:4:4 */
        {0x53, 0x53, 12},
        {0x54, 0x54, 24},
        {0x55, 0x55, 16},
        {0x56, 0x56, 32},
        {0x57, 0x57, 24},
        {0x58, 0x58, 48}, /* semi- */
        {0x59, 0x59, 12},
        {0x5a, 0x5a, 24},
        {0x5b, 0x5b, 16},
        {0x5c, 0x5c, 32},
        {0x5d, 0x5d, 24},
        {0x5e, 0x5e, 48}, /* planar */
        {0x91, 0x92, 4, .blocks = true},
        {0x93, 0x96, 8, .blocks = true},
        {0x97, 0x98, 4, .blocks = true}, /* BC1..BC4 */
        {0x99, 0x9e, 8, .blocks = true}, /* BC5..BC7 */
        {0x9f, 0xa1, 24},
        {0xa2, 0xa2, 16},
        {0xa3, 0xa4, 32}, /* P010, P016; NV16; P210, P216 */
        {0xa5, 0xa5, 16},
        {0xa6, 0xa7, 32},
        {0xa8, 0xa9, 32}, /* YUY2; Y210, Y216; AYUV, Y410 */
        {0xb0, 0xb0, 12},
        {0xb1, 0xb1, 64}, /* NV12; Y416 */
        {0xb2, 0xb2, 24},
        {0xb3, 0xb3, 48},
        {0xb4, 0xb4, 24},
        {0xb5, 0xb5, 48}, /* 4:4:4 in planes */
        {0xc0, 0xc0, 8},
        {0xc1, 0xc1, 16},
        {0xc2, 0xc2, 32},
        {0xc3, 0xc3, 16},
        {0xc4, 0xc4, 32},
        {0xc5, 0xc5, 64},
        {0xc6, 0xc6, 8},
        {0xc7, 0xc7, 16},
        {0xc8, 0xc8, 32},
        {0xc9, 0xc9, 16},
        {0xca, 0xca, 32},
        {0xcb, 0xcb, 64},
};

/* What a format that is not known yet could be at most: four bytes a channel. */
static const struct size_row size_unknown = {.bits = 32, .each = true};

static const struct size_row *row_of(CUarray_format format)
{
        for (size_t i = 0; i < sizeof(size_rows) / sizeof(size_rows[0]); i++)
                if ((unsigned)format >= size_rows[i].first && (unsigned)format <= size_rows[i].last)
                        return &size_rows[i];
        return &size_unknown;
}

/* a * b, or more than there can be. */
static uint64_t times(uint64_t a, uint64_t b)
{
        uint64_t product;

        return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
        return a + b < a ? UINT64_MAX : a + b;
}

static uint64_t at_least_1(uint64_t n)
{
        return n ? n : 1;
}

static uint64_t level_bytes(const struct size_row *row, uint64_t bits, uint64_t width, uint64_t height, uint64_t depth)
{
        uint64_t elements, total;

        if (row->blocks) {
                width = (width + BLOCK - 1) / BLOCK * BLOCK;
                height = (height + BLOCK - 1) / BLOCK * BLOCK;
        }
        elements = times(times(width, height), depth);
        total = times(elements, bits);
        return total == UINT64_MAX ? total : total / 8 + (total % 8 != 0);
}

uint64_t fgc_array_bytes(const CUDA_ARRAY3D_DESCRIPTOR *descriptor, unsigned int levels)
{
        const struct size_row *row = row_of(descriptor->Format);
        uint64_t bits = row->each ? times(row->bits, at_least_1(descriptor->NumChannels)) : row->bits;
        bool layered = descriptor->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
        uint64_t width = descriptor->Width, height = at_least_1(descriptor->Height),
                 depth = at_least_1(descriptor->Depth);
        uint64_t bytes = 0;

        do {
                bytes = plus(bytes, level_bytes(row, bits, width, height, depth));
                if (width <= 1 && height <= 1 && (layered || depth <= 1))
                        break;
                width = at_least_1(width / 2);
                height = at_least_1(height / 2);
                depth = layered ? depth : at_least_1(depth / 2);
        } while (levels-- > 1);
        return bytes;
}
