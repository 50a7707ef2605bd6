/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later */
#include "integrations/slurm/slurm.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(char *error, size_t len, const char *typed, const char *why)
{
        snprintf(error, len, "\"%.60s\": %s; write --fastgpu=GPUS:MEMORY:PERCENT, such as 2:8G:25, 1:1.5GiB or 1::30", typed, why);
        return -EINVAL;
}

/* A decimal number that is not 0; what is behind it. NULL: none. */
static const char *number(const char *text, double *ret)
{
        const char *end = text;
        while (isdigit((unsigned char)*end))
                end++;
        if (end > text && *end == '.' && isdigit((unsigned char)end[1]))
                for (end++; isdigit((unsigned char)*end);)
                        end++;
        char copy[32];
        if (end == text || (size_t)(end - text) >= sizeof copy)
                return NULL;
        snprintf(copy, sizeof copy, "%.*s", (int)(end - text), text);
        *ret = strtod(copy, NULL);
        return *ret > 0 ? end : NULL;
}

static bool is_memory(const char *text)
{
        static const char *const units[] = {"", "%", "B", "K", "M", "G", "T", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"};
        double value;
        const char *unit = number(text, &value);
        for (size_t i = 0; unit && i < sizeof units / sizeof *units; i++)
                if (strcasecmp(unit, units[i]) == 0)
                        return i != 1 || value <= 100;
        return false;
}

static bool is_percent(const char *text)
{
        double value;
        const char *unit = number(text, &value);
        return unit && (!*unit || strcmp(unit, "%") == 0) && value <= 100;
}

int fgi_slurm_wish_parse(const char *text, struct fgi_slurm_wish *ret, char *error, size_t len)
{
        char gpus[12] = "", memory[24] = "", compute[16] = "";
        char *const part[] = {gpus, memory, compute};
        const size_t room[] = {sizeof gpus, sizeof memory, sizeof compute};
        const char *at = text;
        for (unsigned i = 0;; i++) {
                size_t n = strcspn(at, ":");
                if (i == 3)
                        return refuse(error, len, text, "more than three parts");
                if (n >= room[i])
                        return refuse(error, len, text, "a part is too long");
                memcpy(part[i], at, n);
                if (!at[n])
                        break;
                at += n + 1;
        }
        char *end;
        unsigned long count = isdigit((unsigned char)*gpus) ? strtoul(gpus, &end, 10) : 0;
        if (count == 0 || *end || count > FGI_SLURM_GPUS)
                return refuse(error, len, text, "the first part is the number of vGPUs on each node, 1 to 64");
        if (*memory && !is_memory(memory))
                return refuse(error, len, text, "the second part is each vGPU's memory, such as 8G or 25%");
        if (*compute && !is_percent(compute))
                return refuse(error, len, text, "the third part is each vGPU's share of the device's time in percent, over 0 and at most 100");
        ret->gpus = (unsigned)count;
        memcpy(ret->memory, memory, sizeof memory);
        compute[strcspn(compute, "%")] = '\0';
        memcpy(ret->compute, compute, sizeof compute);
        return 0;
}

int fgi_slurm_mode_parse(const char *text, const char **ret, char *error, size_t len)
{
        static const char *const modes[] = {"share", "cap"};
        for (unsigned i = 0; i < 2; i++)
                if (strcmp(text, modes[i]) == 0) {
                        *ret = modes[i];
                        return 0;
                }
        snprintf(error, len, "\"%.60s\": there are share (more when nobody else wants it) and cap (never more)", text);
        return -EINVAL;
}
