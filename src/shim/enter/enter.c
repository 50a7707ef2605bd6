/* SPDX-License-Identifier: Apache-2.0
 * In containers every program that is linked dynamically loads this (/etc/ld.so.preload): a program that was started without the
 * container's environment, as by `env -i` or over ssh, is told of the OpenCL layer all the same. Nothing else happens here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAYER "/usr/lib/fastgpu/libfastgpu-opencl.so"
#define NAME  "OPENCL_LAYERS"

__attribute__((constructor)) static void enter(void)
{
        const char *layers = getenv(NAME);
        int saved = errno;

        if ((!layers || strcmp(layers, LAYER) != 0) && access(LAYER, F_OK) == 0)
                setenv(NAME, LAYER, 1);
        errno = saved;
}
