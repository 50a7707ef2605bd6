/* SPDX-License-Identifier: Apache-2.0
 * Blur and edges. Beyond its border a picture goes on with the colour of the border. */

static size_t inside(long i, size_t n)
{
        return (size_t)clamp(i, 0L, (long)n - 1);
}

/* The mean of 2 radius + 1 pixels in a row, weighted. Blurring across and then down is blurring round about. */
kernel void across(global const float *from, global float *to, constant float *weight, int radius)
{
        size_t x = get_global_id(0), y = get_global_id(1), c = get_global_id(2), width = get_global_size(0), colours = get_global_size(2);
        float sum = 0;

        for (int i = -radius; i <= radius; i++)
                sum += weight[i + radius] * from[(y * width + inside((long)x + i, width)) * colours + c];
        to[(y * width + x) * colours + c] = sum;
}

kernel void down(global const float *from, global float *to, constant float *weight, int radius)
{
        size_t x = get_global_id(0), y = get_global_id(1), c = get_global_id(2), width = get_global_size(0), colours = get_global_size(2);
        float sum = 0;

        for (int i = -radius; i <= radius; i++)
                sum += weight[i + radius] * from[(inside((long)y + i, get_global_size(1)) * width + x) * colours + c];
        to[(y * width + x) * colours + c] = sum;
}

/* Brightness as television has it (ITU-R BT.601). */
kernel void grey(global const float *from, global float *to)
{
        size_t i = get_global_id(0);

        to[i] = 0.299f * from[3 * i] + 0.587f * from[3 * i + 1] + 0.114f * from[3 * i + 2];
}

/* How fast the brightness changes to the right and downwards (Sobel), and how fast at all. */
kernel void edges(global const float *from, global float *right, global float *below, global float *strength)
{
        size_t x = get_global_id(0), y = get_global_id(1), width = get_global_size(0), height = get_global_size(1), i = y * width + x;
        size_t left = inside((long)x - 1, width), next = inside((long)x + 1, width);
        global const float *above = from + inside((long)y - 1, height) * width, *here = from + y * width,
                           *under = from + inside((long)y + 1, height) * width;
        float gx = above[next] + 2 * here[next] + under[next] - above[left] - 2 * here[left] - under[left];
        float gy = under[left] + 2 * under[x] + under[next] - above[left] - 2 * above[x] - above[next];

        right[i] = gx;
        below[i] = gy;
        strength[i] = sqrt(gx * gx + gy * gy);
}
