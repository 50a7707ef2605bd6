/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later */
#include "integrations/slurm/slurm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Copies with %n and %a replaced; false: too long. */
static bool fill(char *ret, size_t size, const char *text, const char *node, const char *account)
{
        size_t at = 0;
        for (; *text; text++) {
                const char *with = strncmp(text, "%n", 2) == 0 ? node : strncmp(text, "%a", 2) == 0 ? account : NULL;
                int n = with ? snprintf(ret + at, size - at, "%s", with) : snprintf(ret + at, size - at, "%c", *text);
                if ((size_t)n >= size - at)
                        return false;
                at += (size_t)n;
                text += with != NULL;
        }
        return true;
}

int fgi_slurm_config_read(int argc, char **argv, const char *node, const char *account, struct fgi_slurm_config *ret, char *error, size_t len)
{
        const struct {
                const char *name;
                char *to;
                size_t size;
        } table[] = {{"socket=", ret->socket, sizeof ret->socket}, {"prefix=", ret->prefix, sizeof ret->prefix}, {"project=", ret->project, sizeof ret->project},
                     {"untold=", ret->untold, sizeof ret->untold}};
        *ret = (struct fgi_slurm_config){.socket = FGI_SLURM_SOCKET, .prefix = FGI_SLURM_PREFIX, .untold = FGI_SLURM_UNTOLD};
        for (int i = 0; i < argc; i++) {
                bool found = strcmp(argv[i], "devices=slurm") == 0, fits = true;
                ret->devices |= found;
                for (size_t k = 0; k < sizeof table / sizeof *table && !found; k++)
                        if (strncmp(argv[i], table[k].name, strlen(table[k].name)) == 0) {
                                found = true;
                                fits = fill(table[k].to, table[k].size, argv[i] + strlen(table[k].name), node, account);
                        }
                if (!found || !fits) {
                        snprintf(error, len, "plugstack.conf: \"%.80s\" %s; there are socket=PATH, prefix=FOLDER, project=NAME, untold=FOLDER and devices=slurm", argv[i],
                                 found ? "is too long" : "is no word of this plugin's");
                        return -EINVAL;
                }
        }
        return 0;
}
