/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * Slurm takes a job's AdminComment until the job is over, which is before the epilog: so each step says what the job has used so far,
 * before srun hears that its tasks have ended. */
#include "integrations/slurm/slurm.h"

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define TRIES      10
#define LATE_TRIES 150 /* half a minute */

static int comment_of(uint32_t job, uint32_t *ret_nodes, char **ret)
{
        job_info_msg_t *info = NULL;
        if (slurm_load_job(&info, job, SHOW_ALL) != SLURM_SUCCESS)
                return -1;
        const char *text = info->record_count ? info->job_array[0].admin_comment : NULL;
        *ret_nodes = info->record_count ? info->job_array[0].num_nodes : 1;
        *ret = strdup(text ? text : "");
        slurm_free_job_info_msg(info);
        return *ret ? 0 : -1;
}

static int put(uint32_t job, const char *text)
{
        job_desc_msg_t change;
        slurm_init_job_desc_msg(&change);
        change.job_id = job;
        change.admin_comment = (char *)text;
        return slurm_update_job(&change) == SLURM_SUCCESS ? 0 : -1;
}

/* Slurm cannot append: what two nodes write at once, one of them writes again. On a node, steps take turns by the lock. `first`: no node but
 * the job's now has anything to say of it. */
static int write_entry(uint32_t job, const char *entry, bool first)
{
        uint32_t nodes = 1;
        char *before = NULL, *after = NULL;
        int r = -1;
        for (unsigned i = 0; i < TRIES; i++) {
                r = comment_of(job, &nodes, &before);
                if (r < 0)
                        break;
                after = fgi_slurm_comment(before, entry);
                bool there = after && strcmp(before, after) == 0;
                r = !after ? -1 : there ? 0 : put(job, after);
                free(before);
                free(after);
                if (r < 0 || there || (first && nodes < 2))
                        break;
                nanosleep(&(struct timespec){.tv_nsec = 20000000 + (getpid() % 16) * 1000000}, NULL);
        }
        return r;
}

/* Steps of one node, one after the other: what is written last is the newest. Whoever may read the folder may lock it as well, so that it is
 * waited for a while only. */
static int lock_node(const char *socket)
{
        char folder[108];
        snprintf(folder, sizeof folder, "%s", socket);
        char *slash = strrchr(folder, '/');
        if (slash)
                *slash = '\0';
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && i < 100; i++)
                nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        return fd;
}

void fgi_slurm_entry(const struct fgi_slurm_job *job, const char *node, const struct fgi_slurm_use *use, char *ret, size_t len)
{
        char restarts[16] = "";
        if (job->restarts)
                snprintf(restarts, sizeof restarts, ".%" PRIu32, job->restarts);
        snprintf(ret, len, "%s%s:vgpus=%u,gpu_us=%" PRIu64, node, restarts, use->vgpus, use->gpu_us);
}

static void not_taken(uint32_t job, const char *entry, const char *why, char *error, size_t len)
{
        snprintf(error, len, "job %" PRIu32 ": its use (%s) is in FastGPU's ledger alone, Slurm did not take it: %s", job, entry, why);
}

int fgi_slurm_account(const struct fgi_slurm_job *job, const char *node, char *error, size_t len)
{
        char entry[FGI_SLURM_ENTRY];
        struct fgi_slurm_use use;
        int lock = lock_node(job->config->socket);
        int r = fgi_slurm_job_use(job, &use, error, len);
        if (r == 0) {
                fgi_slurm_entry(job, node, &use, entry, sizeof entry);
                r = write_entry(job->id, entry, job->restarts == 0);
                if (r < 0)
                        not_taken(job->id, entry, slurm_strerror(slurm_get_errno()), error, len);
        }
        if (lock >= 0)
                close(lock);
        return r;
}

/* As write_entry(): nodes that come back at once may each have something to say of a job. */
static int write_late(uint32_t job, const char *entry)
{
        char *before = NULL;
        int r = -EAGAIN;
        for (unsigned i = 0; i < LATE_TRIES && r == -EAGAIN; i++) {
                r = fgi_slurm_database_read(job, &before);
                if (r == 0) {
                        char *after = fgi_slurm_comment(before, entry);
                        bool there = after && strcmp(before, after) == 0;
                        r = !after ? -ENOMEM : there ? 0 : fgi_slurm_database_write(job, after);
                        r = r == 0 && !there ? -EAGAIN : r; /* and look whether it stayed */
                        free(before);
                        free(after);
                }
                if (r == -EAGAIN)
                        nanosleep(&(struct timespec){.tv_nsec = 200000000 + (getpid() % 16) * 10000000}, NULL);
        }
        return r;
}

int fgi_slurm_account_late(const struct fgi_slurm_config *config, uint32_t job, const char *entry, char *error, size_t len)
{
        int lock = lock_node(config->socket);
        int taken = write_entry(job, entry, false);
        if (lock >= 0)
                close(lock);
        if (taken == 0)
                return 0;
        const char *why = slurm_strerror(slurm_get_errno());
        int r = write_late(job, entry);
        if (r < 0)
                not_taken(job, entry, r == -EAGAIN ? "its database has no end of the job" : r == -ENOENT ? why : strerror(-r), error, len);
        return r;
}
