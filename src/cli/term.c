/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include "base/paths.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>

int cli_term_load(const struct cli_term_ops **ret, struct fg_error *err)
{
        char prefix[PATH_MAX], path[PATH_MAX + 64];
        int r = fg_paths_prefix(prefix, sizeof prefix, err);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "%s/lib/fastgpu/" CLI_TERM_LIBRARY, prefix);
        /* For the life of the process: handlers of signals are in it. */
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
                return fg_error_set(err, -ELIBACC, "no full screen: %s", dlerror());
        const struct cli_term_ops *ops = dlsym(library, CLI_TERM_SYMBOL);
        if (!ops || ops->version != CLI_TERM_VERSION)
                return fg_error_set(err, -ELIBACC, "%s is of another version than this program; install FastGPU again", path);
        *ret = ops;
        return 0;
}
