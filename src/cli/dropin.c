/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dropin.h"

#include "base/cleanup.h"
#include "base/paths.h"
#include "cli/environment.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const dropin_table[] = {"libcuda.so.1", "libnvidia-ml.so.1"};
#define DROPINS (sizeof dropin_table / sizeof dropin_table[0])

/* The loader ignores what it cannot preload; so it is loaded here first. */
static int check_loads(const char *path, struct fg_error *err)
{
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
                return fg_error_set(err, -ELIBACC, "the drop-in cannot be loaded (%s); install FastGPU again", dlerror());
        dlclose(library);
        return 0;
}

int cli_dropin_set(const char *sim, struct fg_error *err)
{
        char prefix[PATH_MAX], folder[PATH_MAX], path[DROPINS][PATH_MAX], both[DROPINS * PATH_MAX + 2];
        int r = fg_paths_prefix(prefix, sizeof prefix, err);
        if (r == 0 && strpbrk(prefix, ": \t$"))
                r = fg_error_set(err, -ELIBACC, "FastGPU is installed below \"%s\", and no drop-in can be preloaded from a path with ':', '$' or blanks",
                                 prefix);
        if (r < 0)
                return r;
        snprintf(folder, sizeof folder, "%s/lib/fastgpu", prefix);
        for (unsigned i = 0; r == 0 && i < DROPINS; i++) {
                snprintf(path[i], sizeof path[i], "%s/%s", folder, dropin_table[i]);
                r = check_loads(path[i], err);
        }
        snprintf(both, sizeof both, "%s:%s", path[0], path[1]);
        if (r == 0)
                r = cli_environment_first("LD_PRELOAD", both, err);
        if (r == 0)
                r = cli_environment_first("LD_LIBRARY_PATH", folder, err);
        if (r == 0 && *sim && setenv("FASTGPU_SIM", sim, 1) < 0)
                r = fg_error_set(err, -ENOMEM, "cannot set FASTGPU_SIM: out of memory");
        return r;
}
