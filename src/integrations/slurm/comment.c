/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * AdminComment is "fastgpu=NODE[.RESTARTS]:vgpus=N,gpu_us=N;NODE…", behind what the administrator wrote. */
#include "integrations/slurm/slurm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "fastgpu="

static unsigned long long used(const char *entry)
{
        size_t len = strcspn(entry, "; ");
        const char *us = strstr(entry, "gpu_us=");
        return us && us < entry + len ? strtoull(us + strlen("gpu_us="), NULL, 10) : 0;
}

/* Use only grows: a node that lost power may know less of a run than it has said, and what it says late may be older. */
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
        if (at < end && used(at) > used(entry))
                return strdup(before);
        const char *rest = at < end ? at + strcspn(at, "; ") : end;
        return asprintf(&ret, "%.*s%s%s%s", (int)(at - before), before, at < end ? "" : ";", entry, rest) < 0 ? NULL : ret;
}

