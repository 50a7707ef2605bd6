/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/environment.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_environment_first(const char *name, const char *first, struct fg_error *err)
{
        const char *before = getenv(name);
        size_t length = strlen(first);
        fg_autofree char *value = NULL;
        if (before && strncmp(before, first, length) == 0 && (!before[length] || before[length] == ':'))
                return 0;
        if (asprintf(&value, "%s%s%s", first, before && *before ? ":" : "", before ? before : "") < 0 || setenv(name, value, 1) < 0)
                return fg_error_set(err, -ENOMEM, "cannot set %s: out of memory", name);
        return 0;
}

int cli_environment_python(struct fg_error *err)
{
        struct fg_error ignored = {0};
        char prefix[PATH_MAX], folder[PATH_MAX + 32];
        if (fg_paths_prefix(prefix, sizeof prefix, &ignored) < 0 || strchr(prefix, ':'))
                return 0;
        snprintf(folder, sizeof folder, "%s/lib/fastgpu/python/enter", prefix);
        return access(folder, X_OK) == 0 ? cli_environment_first("PYTHONPATH", folder, err) : 0;
}
