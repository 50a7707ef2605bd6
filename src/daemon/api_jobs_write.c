/* SPDX-License-Identifier: Apache-2.0
 * Jobs as JSON: the row from the store, and what of it is different by now. */
#include "daemon/api_jobs.h"

#include "daemon/api_money.h"
#include "daemon/jobs_budget.h"
#include "daemon/manager.h"

#include <stdio.h>

static const char *const mode_names[] = {[FG_MODE_SHARE] = "share", [FG_MODE_CAP] = "cap"};

/* One state for all: what runs counts before what waits. */
static enum fgd_job_state live_state(const struct fgd_job *job)
{
        const struct fgd_run *run;
        enum fgd_job_state found = FGD_JOB_QUEUED;
        if (job->is_cancelling)
                return FGD_JOB_STOPPING;
        TAILQ_FOREACH(run, &job->runs, of_job) {
                enum fgd_job_state state = fgd_run_state(run);
                if (state == FGD_JOB_RUNNING)
                        return state;
                if (state != FGD_JOB_QUEUED)
                        found = state;
        }
        return found;
}

enum fgd_job_state fgd_job_state_now(const struct fgd_manager *m, const struct fgd_store_job *row)
{
        const struct fgd_job *job = row->state < FGD_JOB_DONE ? fgd_job_find(m, row->id) : NULL;
        if (job)
                return live_state(job);
        return row->state >= 0 && row->state < FGD_JOB_STATES ? (enum fgd_job_state)row->state : FGD_JOB_FAILED;
}

static void write_time(struct fgd_text *text, const char *name, int64_t ms)
{
        char buf[32];
        if (ms > 0)
                fgd_text_field(text, name, fgd_time_format(ms, buf));
}

static void write_signed(struct fgd_text *text, const char *name, int value)
{
        if (value >= 0)
                fgd_text_number(text, name, (uint64_t)value);
}

static void write_result(const struct fgd_run_result *r, struct fgd_text *text)
{
        write_signed(text, "exit_code", r->code);
        write_signed(text, "signal", r->signal);
        if (r->why[0])
                fgd_text_field(text, "reason", r->why);
        if (r->attempt)
                fgd_text_number(text, "attempt", r->attempt);
        if (r->flags & FGD_RUN_HELD)
                fgd_text_bool(text, "held", true);
        if (!r->started)
                return;
        fgd_text_number(text, "ran_ms", r->ran);
        fgd_text_number(text, "gpu_ns", r->gpu_ns);
        fgd_text_number(text, "cpu_us", r->cpu_us);
        fgd_text_number(text, "max_rss", r->max_rss);
        fgd_text_number(text, "log", r->log);
        fgd_text_number(text, "dropped", r->dropped);
}

/* What is known now: of what holds vGPUs the memory knows more than the store. */
static bool find_result(struct fgd_manager *m, int64_t id, uint32_t index, struct fgd_run_result *ret)
{
        const struct fgd_job *job = fgd_job_find(m, id);
        const struct fgd_run *run = job ? fgd_run_find(job, index) : NULL;
        if (!run || !run->active)
                return fgd_store_get_run(m->store, id, index, ret) > 0;
        *ret = run->active->result;
        ret->state = fgd_run_state(run);
        if (run->active->set)
                ret->gpu_ns = fgd_set_gpu_ns(run->active->set);
        return true;
}

static void write_counts(const struct fgd_store_job *row, const struct fgd_job *job, struct fgd_text *text)
{
        int64_t done = job ? job->done : row->done, failed = job ? job->failed : row->failed, cancelled = job ? job->cancelled : row->cancelled;
        int64_t active = job ? job->active : 0;
        fgd_text_name(text, "counts");
        fgd_text_add(text, "{");
        fgd_text_number(text, "queued", (uint64_t)(row->count - done - failed - cancelled - active));
        fgd_text_number(text, "running", (uint64_t)active);
        fgd_text_number(text, "done", (uint64_t)done);
        fgd_text_number(text, "failed", (uint64_t)failed);
        fgd_text_number(text, "cancelled", (uint64_t)cancelled);
        fgd_text_add(text, "}");
}

static void write_wish(const struct fgd_store_job *row, struct fgd_text *text)
{
        char when[32];
        fgd_text_field(text, "priority", fgd_class_names[row->class >= 0 && row->class < 3 ? row->class : 1]);
        fgd_text_number(text, "gpus", (uint64_t)row->gpus);
        fgd_text_number(text, "memory", (uint64_t)row->memory);
        fgd_text_number(text, "share", (uint64_t)row->share);
        fgd_text_field(text, "mode", mode_names[row->mode == FG_MODE_CAP]);
        if (row->device >= 0)
                fgd_text_number(text, "device", (uint64_t)row->device);
        if (row->time_limit)
                fgd_text_number(text, "time_limit", (uint64_t)row->time_limit);
        if (row->not_before)
                fgd_text_field(text, "not_before", fgd_date_format(row->not_before, when));
        if (row->retries)
                fgd_text_number(text, "retries", (uint64_t)row->retries);
}

static void write_budget(struct fgd_manager *m, const struct fgd_store_job *row, const struct fgd_job *job, struct fgd_text *text)
{
        struct fgd_job_limit limit = job && job->budget ? job->budget->limit : (struct fgd_job_limit){0};
        if (!job && !fgd_store_get_budget(m->store, row->id, &limit))
                return;
        if (!limit.amount)
                return;
        int64_t spent = fgd_job_spent(m, row->id, &limit);
        fgd_text_name(text, "budget");
        fgd_text_add(text, "{");
        fgd_text_money(text, "amount", limit.amount, limit.currency);
        fgd_text_field(text, "currency", limit.currency);
        if (spent >= 0)
                fgd_text_money(text, "spent", spent, limit.currency);
        fgd_text_add(text, "}");
}

void fgd_write_job(struct fgd_manager *m, const struct fgd_store_job *row, struct fgd_text *text)
{
        const struct fgd_project *project = fgd_project_of_id(m, row->project);
        const struct fgd_job *job = row->state < FGD_JOB_DONE ? fgd_job_find(m, row->id) : NULL;
        struct fgd_run_result result;
        fgd_text_add(text, "{");
        fgd_text_number(text, "id", (uint64_t)row->id);
        fgd_text_field(text, "name", row->name);
        if (project)
                fgd_text_field(text, "project", project->name);
        fgd_text_field(text, "owner", row->owner_name);
        fgd_text_field(text, "state", fgd_job_state_names[fgd_job_state_now(m, row)]);
        fgd_text_field(text, "command", row->command);
        fgd_text_number(text, "uid", (uint64_t)row->uid);
        write_wish(row, text);
        write_budget(m, row, job, text);
        if (row->is_array) {
                fgd_text_name(text, "array");
                fgd_text_addf(text, "\"%lld-%lld\"", (long long)row->first, (long long)(row->first + row->count - 1));
                if (row->at_once)
                        fgd_text_number(text, "at_once", (uint64_t)row->at_once);
                write_counts(row, job, text);
        }
        if (job ? job->hold : row->hold)
                fgd_text_bool(text, "held", true);
        write_time(text, "submitted", row->submitted);
        bool has_result = !row->is_array && find_result(m, row->id, 0, &result);
        write_time(text, "started", has_result && result.started ? result.started : job ? job->started : row->started);
        write_time(text, "ended", job ? job->ended : row->ended);
        if (has_result) {
                result.flags = 0;
                write_result(&result, text);
        }
        fgd_text_add(text, "}");
}

void fgd_write_run(struct fgd_manager *m, const struct fgd_run_result *r, uint32_t first, struct fgd_text *text)
{
        fgd_text_add(text, "{");
        fgd_text_number(text, "index", (uint64_t)first + r->index);
        fgd_text_field(text, "state", fgd_job_state_names[r->state]);
        write_time(text, "started", r->started);
        write_time(text, "ended", r->ended);
        write_result(r, text);
        fgd_text_add(text, "}");
}
