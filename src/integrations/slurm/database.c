/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * slurmctld takes nothing of a job that is over; Slurm's database does. There a job has a record for each of its runs, of which the last has
 * the comment, and several clusters have jobs of the same number. */
#include "integrations/slurm/slurm.h"

#include <slurm/slurm.h>
#include <slurm/slurmdb.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is asked for: one job of this cluster. */
struct query {
        slurmdb_job_cond_t cond;
        slurm_selected_step_t job;
        slurm_conf_t *conf;
        void *connection;
};

static void close_query(struct query *q)
{
        if (q->cond.step_list)
                slurm_list_destroy(q->cond.step_list);
        if (q->cond.cluster_list)
                slurm_list_destroy(q->cond.cluster_list);
        if (q->connection)
                slurmdb_connection_close(&q->connection);
        if (q->conf)
                slurm_free_ctl_conf(q->conf);
}

static int open_query(struct query *q, uint32_t job)
{
        uint16_t persistent = 0;
        *q = (struct query){.cond = {.flags = JOBCOND_FLAG_NO_STEP | JOBCOND_FLAG_NO_TRUNC, .db_flags = SLURMDB_JOB_FLAG_NOTSET},
                            .job = {.array_task_id = NO_VAL, .het_job_offset = NO_VAL, .step_id = {.job_id = job, .step_id = NO_VAL, .step_het_comp = NO_VAL}}};
        if (slurm_load_ctl_conf(0, &q->conf) != SLURM_SUCCESS || !q->conf->accounting_storage_type || !strstr(q->conf->accounting_storage_type, "slurmdbd"))
                return -ENOENT;
        q->connection = slurmdb_connection_get(&persistent);
        q->cond.step_list = slurm_list_create(NULL);
        q->cond.cluster_list = slurm_list_create(NULL);
        if (!q->connection || !q->cond.step_list || !q->cond.cluster_list)
                return -EIO;
        slurm_list_append(q->cond.step_list, &q->job);
        slurm_list_append(q->cond.cluster_list, q->conf->cluster_name);
        return 0;
}

/* The job's last run, to be freed; the number of an array's last job is the whole array's, too. */
static slurmdb_job_rec_t *find(struct query *q, uint32_t job)
{
        slurmdb_job_rec_t *record, *ret = NULL;
        List all = slurmdb_jobs_get(q->connection, &q->cond);
        while (all && (record = slurm_list_pop(all)) != NULL) {
                if (record->jobid == job && (!ret || record->submit > ret->submit)) {
                        slurmdb_job_rec_t *older = ret;
                        ret = record;
                        record = older;
                }
                if (record)
                        slurmdb_destroy_job_rec(record);
        }
        if (all)
                slurm_list_destroy(all);
        return ret;
}

int fgi_slurm_database_read(uint32_t job, char **ret)
{
        struct query q;
        int r = open_query(&q, job);
        slurmdb_job_rec_t *record = r == 0 ? find(&q, job) : NULL;
        if (r == 0)
                r = !record ? -ENOENT : !record->end ? -EAGAIN : 0;
        if (r == 0) {
                *ret = strdup(record->admin_comment ? record->admin_comment : "");
                r = *ret ? 0 : -ENOMEM;
        }
        if (record)
                slurmdb_destroy_job_rec(record);
        close_query(&q);
        return r;
}

int fgi_slurm_database_write(uint32_t job, const char *comment)
{
        struct query q;
        slurmdb_job_rec_t change = {.admin_comment = (char *)comment, .derived_ec = NO_VAL, .array_task_id = NO_VAL};
        int r = open_query(&q, job);
        slurmdb_job_rec_t *record = r == 0 ? find(&q, job) : NULL;
        if (record && record->array_job_id) {
                q.job.step_id.job_id = record->array_job_id;
                q.job.array_task_id = record->array_task_id;
        }
        List changed = record ? slurmdb_job_modify(q.connection, &q.cond, &change) : NULL;
        if (r == 0)
                r = changed && slurmdb_connection_commit(q.connection, true) == SLURM_SUCCESS ? 0 : -EIO;
        if (changed)
                slurm_list_destroy(changed);
        if (record)
                slurmdb_destroy_job_rec(record);
        close_query(&q);
        return r;
}
