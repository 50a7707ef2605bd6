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

#define TRIES 10

/* -ENOENT: slurmctld does not know the job any more; -EHOSTDOWN: it did not answer. */
static int comment_of(uint32_t job, uint32_t *ret_nodes, uint32_t *ret_uid, char **ret)
{
        job_info_msg_t *info = NULL;
        if (slurm_load_job(&info, job, SHOW_ALL) != SLURM_SUCCESS)
                return slurm_get_errno() == ESLURM_INVALID_JOB_ID ? -ENOENT : -EHOSTDOWN;
        const slurm_job_info_t *one = info->record_count ? info->job_array : NULL;
        int r = one ? 0 : -ENOENT;
        if (one) {
                *ret_nodes = one->num_nodes;
                *ret_uid = one->user_id;
                *ret = strdup(one->admin_comment ? one->admin_comment : "");
                r = *ret ? 0 : -ENOMEM;
        }
        slurm_free_job_info_msg(info);
        return r;
}

/* -EALREADY: the job is over, most likely; slurm_get_errno() says. */
static int put(uint32_t job, const char *text)
{
        job_desc_msg_t change;
        slurm_init_job_desc_msg(&change);
        change.job_id = job;
        change.admin_comment = (char *)text;
        return slurm_update_job(&change) == SLURM_SUCCESS ? 0 : -EALREADY;
}

static void rest(long ms)
{
        nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Frees `before`. 1 with *ret, the comment to be written; 0: it has the entry; -EPERM: the job is another user's. */
static int add_entry(uint32_t uid, uint32_t of_job, char *before, const char *entry, char **ret)
{
        int r = uid == FGI_SLURM_ANYONE || uid == of_job ? 1 : -EPERM;
        *ret = r == 1 ? fgi_slurm_comment(before, entry) : NULL;
        if (r == 1 && !*ret)
                r = -ENOMEM;
        else if (r == 1 && strcmp(before, *ret) == 0) {
                free(*ret);
                *ret = NULL;
                r = 0;
        }
        free(before);
        return r;
}

/* Slurm cannot append: what two nodes write at once, one of them writes again. On a node, steps take turns by the lock. `first`: no node but
 * the job's now has anything to say of it. */
static int write_entry(uint32_t uid, uint32_t job, const char *entry, bool first)
{
        uint32_t nodes = 1, of_job = 0;
        char *before, *after;
        for (unsigned i = 0; i < TRIES; i++) {
                int r = comment_of(job, &nodes, &of_job, &before);
                if (r == 0)
                        r = add_entry(uid, of_job, before, entry, &after);
                if (r != 1)
                        return r;
                r = put(job, after);
                free(after);
                if (r < 0 || (first && nodes < 2))
                        return r;
                rest(20 + getpid() % 16);
        }
        return -EBUSY;
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
                rest(5);
        return fd;
}

void fgi_slurm_entry(const struct fgi_slurm_job *job, const char *node, const struct fgi_slurm_use *use, char *ret, size_t len)
{
        char restarts[16] = "";
        if (job->restarts)
                snprintf(restarts, sizeof restarts, ".%" PRIu32, job->restarts);
        snprintf(ret, len, "%s%s:vgpus=%u,gpu_us=%" PRIu64, node, restarts, use->vgpus, use->gpu_us);
}

static const char *reason(int r)
{
        switch (r) {
        case -EALREADY:
                return slurm_strerror(slurm_get_errno());
        case -EHOSTDOWN:
                return "slurmctld or slurmdbd does not answer";
        case -EPERM:
                return "the vGPUs were not of the job's user";
        case -ENOTSUP:
                return "the job is over, and the cluster has no slurmdbd";
        case -ENOENT:
                return "neither slurmctld nor slurmdbd knows the job";
        case -EAGAIN:
                return "slurmdbd has no end of the job";
        case -EBUSY:
                return "whatever is written of it others overwrite at once";
        default:
                return strerror(-r);
        }
}

static void not_taken(uint32_t job, const char *entry, int r, char *error, size_t len)
{
        snprintf(error, len, "job %" PRIu32 ": its use (%s) is in FastGPU's ledger alone, Slurm did not take it: %s", job, entry, reason(r));
}

int fgi_slurm_account(const struct fgi_slurm_job *job, const char *node, char *error, size_t len)
{
        char entry[FGI_SLURM_ENTRY];
        struct fgi_slurm_use use;
        int lock = lock_node(job->config->socket);
        int r = fgi_slurm_job_use(job, &use, error, len);
        if (r == 0) {
                fgi_slurm_entry(job, node, &use, entry, sizeof entry);
                r = write_entry(job->uid, job->id, entry, job->restarts == 0);
                if (r < 0)
                        not_taken(job->id, entry, r, error, len);
        }
        if (lock >= 0)
                close(lock);
        return r;
}

/* As write_entry(): nodes that come back at once may each have something to say of a job. */
static int write_record(struct fgi_slurm_database *db, uint32_t uid, uint32_t job, const char *entry)
{
        uint32_t of_job = 0;
        char *before, *after;
        for (unsigned i = 0; i < TRIES; i++) {
                int r = fgi_slurm_database_read(db, job, &of_job, &before);
                if (r == 0)
                        r = add_entry(uid, of_job, before, entry, &after);
                if (r != 1)
                        return r;
                r = fgi_slurm_database_write(db, job, after);
                free(after);
                if (r < 0)
                        return r;
                rest(20 + getpid() % 16);
        }
        return -EBUSY;
}

int fgi_slurm_account_late(struct fgi_slurm_teller *teller, uint32_t uid, uint32_t job, const char *entry, char *error, size_t len)
{
        int lock = lock_node(teller->config->socket);
        int r = write_entry(uid, job, entry, false), known = r;
        if (lock >= 0)
                close(lock);
        if (r == -EALREADY || r == -ENOENT) {
                r = teller->database ? 0 : fgi_slurm_database_open(&teller->database);
                if (r == 0)
                        r = write_record(teller->database, uid, job, entry);
                /* slurmctld tells slurmdbd of its jobs when it can. */
                if (r == -ENOENT && known != -ENOENT)
                        r = -EAGAIN;
        }
        if (r == -EHOSTDOWN) {
                fgi_slurm_database_close(teller->database);
                teller->database = NULL;
        }
        if (r < 0)
                not_taken(job, entry, r, error, len);
        return r;
}
