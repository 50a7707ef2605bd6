/* SPDX-License-Identifier: Apache-2.0
 * opens: opens a device node before the program is attached to its vGPU, and after cuInit() attached it.
 *
 * usage: opens NODE     prints "ERROR then ERROR", where an opening that worked is "opened" */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const char *opened(const char *path)
{
        return open(path, O_RDWR | O_CLOEXEC) >= 0 ? "opened" : strerrorname_np(errno);
}

int main(int argc, char **argv)
{
        if (argc != 2)
                return 2;
        const char *before = opened(argv[1]);
        void *cuda = dlopen("libcuda.so.1", RTLD_NOW);
        int (*init)(unsigned) = cuda ? (int (*)(unsigned))dlsym(cuda, "cuInit") : NULL;
        if (!init || init(0) != 0) {
                fprintf(stderr, "opens: cuInit: %s\n", cuda ? "failed" : dlerror());
                return 1;
        }
        printf("%s then %s\n", before, opened(argv[1]));
        return 0;
}
