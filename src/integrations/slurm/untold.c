/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later */
#include "integrations/slurm/slurm.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "…/run/slurm-untold", and in it "/17.2" for the third run of job 17. */
static void folder_of(const struct fgi_slurm_config *config, char *ret, size_t len)
{
        const char *slash = strrchr(config->socket, '/');
        snprintf(ret, len, "%.*s/slurm-untold", (int)(slash ? slash - config->socket : 0), config->socket);
}

int fgi_slurm_untold_keep(const struct fgi_slurm_job *job, const char *node, const struct fgi_slurm_use *use)
{
        char folder[128], path[176], entry[FGI_SLURM_ENTRY];
        folder_of(job->config, folder, sizeof folder);
        snprintf(path, sizeof path, "%s/%" PRIu32 ".%" PRIu32, folder, job->id, job->restarts);
        if (!use)
                return unlink(path) < 0 ? -errno : 0;
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
                return -errno;
        FILE *file = fopen(path, "we");
        if (!file)
                return -errno;
        fgi_slurm_entry(job, node, use, entry, sizeof entry);
        int r = fprintf(file, "%s\n", entry) < 0 ? -EIO : 0;
        return fclose(file) == 0 ? r : -EIO;
}

/* A line that is whole; false: its writer was ended before. The set is there still, then. */
static bool read_entry(const char *path, char ret[FGI_SLURM_ENTRY])
{
        FILE *file = fopen(path, "re");
        bool whole = file && fgets(ret, FGI_SLURM_ENTRY, file) && strchr(ret, '\n');
        if (file)
                fclose(file);
        ret[whole ? strcspn(ret, "\n") : 0] = '\0';
        return whole;
}

void fgi_slurm_untold_tell(const struct fgi_slurm_config *config, void (*failed)(const char *why))
{
        char folder[128], path[400], entry[FGI_SLURM_ENTRY], why[FGI_SLURM_TEXT];
        const struct dirent *one;
        folder_of(config, folder, sizeof folder);
        DIR *all = opendir(folder);
        while (all && (one = readdir(all)) != NULL) {
                uint32_t job = (uint32_t)strtoul(one->d_name, NULL, 10);
                snprintf(path, sizeof path, "%s/%s", folder, one->d_name);
                if (!job || !read_entry(path, entry))
                        continue;
                int r = fgi_slurm_account_late(config, job, entry, why, sizeof why);
                if (r < 0)
                        failed(why);
                if (r == 0 || r == -ENOENT)
                        unlink(path);
        }
        if (all)
                closedir(all);
}
