/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * AdminComment is "fastgpu=NODE[.RESTARTS]:vgpus=N,gpu_us=N;NODE…", behind what the administrator wrote. */
#include "integrations/slurm/slurm.h"

#include <stdio.h>
#include <string.h>

#define MARK "fastgpu="

char *fgi_slurm_comment(const char *before, const char *entry)
{
        char *ret = NULL;
        size_t key = strcspn(entry, ":") + 1;
        const char *ours = strstr(before, MARK);
        if (!ours)
                return asprintf(&ret, "%s%s" MARK "%s", before, *before ? " " : "", entry) < 0 ? NULL : ret;
        const char *at = ours + strlen(MARK), *end = at + strcspn(at, " ");
        while (at < end && strncmp(at, entry, key) != 0)
                at += strcspn(at, "; ") + (at[strcspn(at, "; ")] == ';');
        const char *rest = at < end ? at + strcspn(at, "; ") : end;
        return asprintf(&ret, "%.*s%s%s%s", (int)(at - before), before, at < end ? "" : ";", entry, rest) < 0 ? NULL : ret;
}

