/* SPDX-License-Identifier: Apache-2.0 */
#include "client/remote.h"

#include "base/paths.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>

int fg_remote_load(const struct fg_remote_ops **ret, struct fg_error *err)
{
        static const struct fg_remote_ops *loaded;
        char prefix[PATH_MAX], path[PATH_MAX + 64];
        if (loaded) {
                *ret = loaded;
                return 0;
        }
        int r = fg_paths_prefix(prefix, sizeof prefix, err);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "%s/lib/fastgpu/" FG_REMOTE_LIBRARY, prefix);
        /* For the life of the process: libraries below it have threads and exit handlers. */
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
                return fg_error_set(err, -ELIBACC, "remote daemons cannot be reached (part fastgpu-remote of FastGPU): %s", dlerror());
        const struct fg_remote_ops *ops = dlsym(library, FG_REMOTE_SYMBOL);
        if (!ops || ops->version != FG_REMOTE_VERSION)
                return fg_error_set(err, -ELIBACC, "%s is of another version than this program; install FastGPU again", path);
        *ret = loaded = ops;
        return 0;
}
