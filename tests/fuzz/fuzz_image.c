/* SPDX-License-Identifier: Apache-2.0
 * Images as programs load them into a simulated GPU: PTX, the simulator's own text, and what only looks like a binary. What is taken has names
 * and sizes that fit; what was found is found by its name. */
#include "sim/module.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct fgsim_image *image)
{
        for (size_t i = 0; i < image->kernels; i++) {
                const struct fgsim_kernel_text *kernel = &image->kernel[i];
                int first = fgsim_image_kernel(image, kernel->name);
                assert(kernel->name[0] && memchr(kernel->name, 0, sizeof kernel->name) && memchr(kernel->host, 0, sizeof kernel->host));
                assert(first >= 0 && (size_t)first <= i && kernel->arg_count <= FGSIM_ARGS_MAX && kernel->param < FGSIM_ARGS_MAX);
                for (unsigned k = 0; k < kernel->arg_count; k++)
                        assert(kernel->arg[k] > 0 && kernel->arg[k] <= 4096);
        }
        for (size_t i = 0; i < image->globals; i++) {
                const struct fgsim_global_text *global = &image->global[i];
                int first = fgsim_image_global(image, global->name);
                assert(global->name[0] && first >= 0 && (size_t)first <= i && global->bytes > 0 && global->bytes <= 1ull << 40);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CUresult r = CUDA_ERROR_UNKNOWN;
        char *text = strndup(size ? (const char *)data : "", size);
        assert(text);
        struct fgsim_image *image = fgsim_image_load(text, &r);
        assert((image != NULL) == (r == CUDA_SUCCESS));
        if (image) {
                check(image);
                fgsim_image_drop(image);
        }
        free(text);
        return 0;
}
