/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * slurmctld takes nothing of a job that is over; Slurm's database does. There a job has a record for each of its runs, of which the last has
 * the comment, and several clusters have jobs of the same number. */
#include "integrations/slurm/slurm.h"

#include <slurm/slurm.h>
#include <slurm/slurmdb.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fgi_slurm_database {
        slurm_conf_t *conf;
        void *connection;
};

/* What is asked for: one job of this cluster. */
struct query {
        slurmdb_job_cond_t cond;
        slurm_selected_step_t job;
};

void fgi_slurm_database_close(struct fgi_slurm_database *db)
{
        if (db && db->connection)
                slurmdb_connection_close(&db->connection);
        if (db && db->conf)
                slurm_free_ctl_conf(db->conf);
        free(db);
}

int fgi_slurm_database_open(struct fgi_slurm_database **ret)
{
        uint16_t persistent = 0;
        struct fgi_slurm_database *db = calloc(1, sizeof *db);
        int r = !db ? -ENOMEM : slurm_load_ctl_conf(0, &db->conf) != SLURM_SUCCESS ? -EHOSTDOWN : 0;
        if (r == 0 && (!db->conf->accounting_storage_type || !strstr(db->conf->accounting_storage_type, "slurmdbd")))
                r = -ENOTSUP;
        if (r == 0 && !(db->connection = slurmdb_connection_get(&persistent)))
                r = -EHOSTDOWN;
        if (r < 0)
                fgi_slurm_database_close(db);
        else
                *ret = db;
        return r;
}

static void close_query(struct query *q)
{
        if (q->cond.step_list)
                slurm_list_destroy(q->cond.step_list);
        if (q->cond.cluster_list)
                slurm_list_destroy(q->cond.cluster_list);
}

static int open_query(const struct fgi_slurm_database *db, struct query *q, uint32_t job)
{
        *q = (struct query){.cond = {.flags = JOBCOND_FLAG_NO_STEP | JOBCOND_FLAG_NO_TRUNC, .db_flags = SLURMDB_JOB_FLAG_NOTSET},
                            .job = {.array_task_id = NO_VAL, .het_job_offset = NO_VAL, .step_id = {.job_id = job, .step_id = NO_VAL, .step_het_comp = NO_VAL}}};
        q->cond.step_list = slurm_list_create(NULL);
        q->cond.cluster_list = slurm_list_create(NULL);
        if (!q->cond.step_list || !q->cond.cluster_list)
                return -ENOMEM;
        slurm_list_append(q->cond.step_list, &q->job);
        slurm_list_append(q->cond.cluster_list, db->conf->cluster_name);
        return 0;
}

/* The job's last run, to be freed; the number of an array's last job is the whole array's, too. No list is no answer, an empty one is one. */
static int find(const struct fgi_slurm_database *db, struct query *q, uint32_t job, slurmdb_job_rec_t **ret)
{
        slurmdb_job_rec_t *record;
        *ret = NULL;
        List all = slurmdb_jobs_get(db->connection, &q->cond);
        if (!all)
                return -EHOSTDOWN;
        while ((record = slurm_list_pop(all)) != NULL) {
                if (record->jobid == job && (!*ret || record->submit > (*ret)->submit)) {
                        slurmdb_job_rec_t *older = *ret;
                        *ret = record;
                        record = older;
                }
                if (record)
                        slurmdb_destroy_job_rec(record);
        }
        slurm_list_destroy(all);
        return *ret ? 0 : -ENOENT;
}

int fgi_slurm_database_read(struct fgi_slurm_database *db, uint32_t job, uint32_t *ret_uid, char **ret)
{
        struct query q;
        slurmdb_job_rec_t *record = NULL;
        int r = open_query(db, &q, job);
        if (r == 0)
                r = find(db, &q, job, &record);
        if (r == 0 && !record->end)
                r = -EAGAIN;
        if (r == 0) {
                *ret_uid = record->uid;
                *ret = strdup(record->admin_comment ? record->admin_comment : "");
                r = *ret ? 0 : -ENOMEM;
        }
        if (record)
                slurmdb_destroy_job_rec(record);
        close_query(&q);
        return r;
}

int fgi_slurm_database_write(struct fgi_slurm_database *db, uint32_t job, const char *comment)
{
        struct query q;
        slurmdb_job_rec_t change = {.admin_comment = (char *)comment, .derived_ec = NO_VAL, .array_task_id = NO_VAL}, *record = NULL;
        int r = open_query(db, &q, job);
        if (r == 0)
                r = find(db, &q, job, &record);
        if (record && record->array_job_id) {
                q.job.step_id.job_id = record->array_job_id;
                q.job.array_task_id = record->array_task_id;
        }
        List changed = record ? slurmdb_job_modify(db->connection, &q.cond, &change) : NULL;
        if (r == 0)
                r = changed && slurmdb_connection_commit(db->connection, true) == SLURM_SUCCESS ? 0 : -EIO;
        if (changed)
                slurm_list_destroy(changed);
        if (record)
                slurmdb_destroy_job_rec(record);
        close_query(&q);
        return r;
}
