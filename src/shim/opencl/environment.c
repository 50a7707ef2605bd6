/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/environment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* The kernel lays the environment's strings out one after the other, the program's file name behind the last. Only
 * there is it known where a string really ends; a variable that the program set lies elsewhere and is left alone. */
#define ENVIRONMENT_MAX (8u << 20)

static bool environment_is_start(const char *p, const char *file_name)
{
        if (p >= file_name || strchr(p, '='))
                return true;
        for (char **e = environ; e && *e; e++)
                if (*e == p)
                        return true;
        return false;
}

void fgo_environment_restore(void)
{
        const char *file_name = (const char *)getauxval(AT_EXECFN);
        char *layers = getenv("OPENCL_LAYERS");

        if (!layers || !file_name || layers >= file_name || file_name - layers > (ptrdiff_t)ENVIRONMENT_MAX)
                return;
        for (char *end = layers + strlen(layers); !environment_is_start(end + 1, file_name); end += strlen(end))
                *end = ':';
}
