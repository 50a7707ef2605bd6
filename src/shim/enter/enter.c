/* SPDX-License-Identifier: Apache-2.0
 * In containers every program that is linked dynamically loads this (/etc/ld.so.preload): a program that was started without the
 * container's environment, as by `env -i` or over ssh, is told of the OpenCL layer all the same. A Python is told where the package
 * fastgpu is, before what the image says in PYTHONPATH: an environment that came with the container would have replaced that. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAYER "/usr/lib/fastgpu/libfastgpu-opencl.so"
#define NAME  "OPENCL_LAYERS"
#define PYTHON "/usr/lib/fastgpu/python/enter"
#define PATH  "PYTHONPATH"

static int is_python(void)
{
        return strncmp(program_invocation_short_name, "python", 6) == 0 || strncmp(program_invocation_short_name, "ipython", 7) == 0;
}

/* A value that is too long for here stays as it is. */
static void enter_python(void)
{
        const char *before = getenv(PATH);
        char value[4096];
        int n;

        if (!is_python() || access(PYTHON, X_OK) != 0)
                return;
        if (before && strncmp(before, PYTHON, sizeof PYTHON - 1) == 0)
                return;
        n = snprintf(value, sizeof value, PYTHON "%s%s", before && *before ? ":" : "", before ? before : "");
        if (n > 0 && (size_t)n < sizeof value)
                setenv(PATH, value, 1);
}

__attribute__((constructor)) static void enter(void)
{
        const char *layers = getenv(NAME);
        int saved = errno;

        if ((!layers || strcmp(layers, LAYER) != 0) && access(LAYER, F_OK) == 0)
                setenv(NAME, LAYER, 1);
        enter_python();
        errno = saved;
}
