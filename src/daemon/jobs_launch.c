/* SPDX-License-Identifier: Apache-2.0
 * What a run's runner is told, and what became of the runners of an earlier daemon. */
#include "daemon/jobs_launch.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "daemon/access.h"
#include "daemon/attach_server.h"
#include "daemon/manager.h"
#include "daemon/registry.h"
#include "daemon/store_jobs.h"
#include "daemon/store_sync.h"
#include "daemon/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRAPPER_WORDS 4 /* fastgpu __job JSON -- */
#define OWN_ENV       3u
#define GRACE_MS      10000

void fgd_run_name(const struct fgd_job *job, uint32_t index, uint32_t attempt, char ret[FG_JOB_ID_MAX])
{
        int n = job->is_array ? snprintf(ret, FG_JOB_ID_MAX, "%lld.%u", (long long)job->id, job->first + index)
                              : snprintf(ret, FG_JOB_ID_MAX, "%lld", (long long)job->id);
        if (attempt)
                snprintf(ret + n, FG_JOB_ID_MAX - (size_t)n, "_%u", attempt);
}

static void on_change(void *user, const struct fg_job_status *status)
{
        struct fgd_active *active = user;
        struct fgd_manager *m = active->manager;
        struct fgd_job_account *of = active->run->job->of_project;
        int64_t owner = fgd_job_owner_id(active->run->job);
        uint64_t begin = fg_now();
        fgd_run_changed(m, active->run, status);
        fgd_jobs_spent(m, of, owner, begin);
}

/* It runs on: the queue hears that nobody leaves. */
static void on_refused(void *user, const char *text)
{
        struct fgd_active *active = user;
        fg_log_warning("job %lld: %s", (long long)active->run->job->id, text);
        if (!fgd_run_is_cancelled(active->run))
                fg_queue_leaving(active->manager->jobs->queue, active->run->entry, FG_QUEUE_STAY);
}

static const struct fgd_job_events events = {on_change, on_refused};

static void drop_spec(struct fg_job_spec *spec)
{
        fg_job_spec_free(spec);
}

/* What `fastgpu __job` is told: what the answer to POST /v1/open would say. */
static char *describe(struct fgd_manager *m, const struct fgd_set *set, const char *attach)
{
        struct fgd_text text = {0};
        bool has_cuda = false;
        for (uint32_t i = 0; i < m->devices; i++)
                has_cuda = has_cuda || (m->device[i]->present && strcmp(m->device[i]->api, "cuda") == 0);
        fgd_text_add(&text, "{");
        fgd_text_field(&text, "name", set->name);
        fgd_text_field(&text, "attach", attach);
        fgd_text_bool(&text, "cuda", has_cuda);
        if (m->options.text[FG_OPT_SIM][0])
                fgd_text_field(&text, "sim", m->options.text[FG_OPT_SIM]);
        fgd_text_add(&text, "}");
        if (text.failed)
                fgd_text_clear(&text);
        return text.data;
}

static bool is_background(const struct fgd_job *job, const struct fgd_set *set)
{
        for (uint32_t i = 0; i < set->count; i++)
                if (job->class != 0 || strcmp(set->vgpu[i].device->type, "cpu") != 0)
                        return false;
        return true;
}

struct making {
        struct fg_job_spec spec; /* its texts: the store's blob's, and these */
        char **argv, **env;
        char *describe;
        char program[PATH_MAX + 32], verb[8], end[4], own[OWN_ENV][96];
};

static void making_clear(struct making *making)
{
        free(making->argv);
        free(making->env);
        free(making->describe);
}

static void add_own_env(const struct fgd_run *run, struct making *making, uint32_t *n)
{
        const struct fgd_job *job = run->job;
        snprintf(making->own[0], sizeof making->own[0], "FASTGPU_JOB_ATTEMPT=%u", run->attempt);
        snprintf(making->own[1], sizeof making->own[1], "FASTGPU_ARRAY_INDEX=%u", job->first + run->index);
        snprintf(making->own[2], sizeof making->own[2], "FASTGPU_ARRAY_COUNT=%u", job->count);
        for (uint32_t i = 0; i < (job->is_array ? OWN_ENV : 1u); i++)
                making->env[(*n)++] = making->own[i];
}

static int make_spec(struct fgd_manager *m, struct fgd_run *run, const struct fg_job_spec *stored, struct making *ret, struct fg_error *err)
{
        struct fgd_set *set = run->active->set;
        char attach[PATH_MAX], prefix[PATH_MAX];
        uint32_t n = 0;
        int r = fg_paths_prefix(prefix, sizeof prefix, err);
        if (r == 0)
                r = fgd_attach_listen(m, set, -1, attach, sizeof attach, err);
        if (r < 0)
                return r;
        snprintf(ret->program, sizeof ret->program, "%s/bin/fastgpu", prefix);
        if (access(ret->program, X_OK) < 0)
                return fg_error_set(err, -ELIBACC, "%s, which keeps a job's limits, cannot be executed: install FastGPU again", ret->program);
        ret->describe = describe(m, set, attach);
        ret->argv = calloc(stored->argc + WRAPPER_WORDS + 1, sizeof *ret->argv);
        ret->env = calloc(stored->envc + OWN_ENV + 1, sizeof *ret->env);
        if (!ret->describe || !ret->argv || !ret->env)
                return fg_error_set(err, -ENOMEM, "out of memory");
        ret->spec = *stored;
        ret->spec.storage = NULL;
        ret->argv[0] = ret->program;
        ret->argv[1] = strcpy(ret->verb, "__job");
        ret->argv[2] = ret->describe;
        ret->argv[3] = strcpy(ret->end, "--");
        memcpy(ret->argv + WRAPPER_WORDS, stored->argv, stored->argc * sizeof *stored->argv);
        memcpy(ret->env, stored->env, stored->envc * sizeof *stored->env);
        n = stored->envc;
        add_own_env(run, ret, &n);
        ret->spec.argv = ret->argv;
        ret->spec.argc = stored->argc + WRAPPER_WORDS;
        ret->spec.env = ret->env;
        ret->spec.envc = n;
        fgd_run_name(run->job, run->index, run->attempt, ret->spec.id);
        ret->spec.gid = fgd_access_group(m);
        ret->spec.uid = run->job->uid;
        ret->spec.time_limit = (uint64_t)run->job->time_limit * 1000;
        ret->spec.grace = GRACE_MS;
        ret->spec.log_max = m->options.value[FG_OPT_JOB_LOG_MAX];
        ret->spec.pids_max = m->options.value[FG_OPT_JOB_PIDS_MAX];
        ret->spec.background = is_background(run->job, set);
        return 0;
}

/* What the worker is given: nothing of it is the loop's until it is done. */
struct fgd_launch {
        struct fgd_store_wait certain;
        struct fgd_work work;
        struct fgd_manager *manager;
        struct fgd_active *active; /* stays as long as this */
        char *spec;
        size_t size;
        char id[FG_JOB_ID_MAX], jobs[PATH_MAX], folder[PATH_MAX];
        int result;
        struct fg_error err;
        struct fgd_job_started started;
};

static void launch_free(struct fgd_launch *launch)
{
        free(launch->spec);
        free(launch);
}

static int write_spec(struct fgd_manager *m, struct fgd_run *run, struct fgd_launch *ret, struct fg_error *err)
{
        FG_CLEANUP(drop_spec) struct fg_job_spec stored = {0};
        FG_CLEANUP(making_clear) struct making making = {0};
        fg_autofree void *blob = NULL;
        size_t size;
        int r = fgd_store_job_spec(m->store, run->job->id, &blob, &size, err);
        if (r == 0)
                r = fg_job_spec_read(blob, size, &stored, err);
        if (r == 0)
                r = make_spec(m, run, &stored, &making, err);
        if (r == 0)
                r = fg_job_spec_write(&making.spec, &ret->spec, &ret->size, err);
        strcpy(ret->id, making.spec.id);
        return r;
}

static bool may_pass(int r)
{
        return r == -ENOSPC || r == -EROFS || r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EAGAIN || r == -EIO || r == -EDQUOT || r == -EINTR;
}

static void fail(struct fgd_manager *m, struct fgd_run *run, enum fg_job_why why, const char *text)
{
        struct fg_job_status status = {.state = FG_JOB_ENDED, .why = why, .code = -1, .signal = -1};
        snprintf(status.text, sizeof status.text, "%s", text);
        fgd_run_end(m, run, &status);
}

/* Its end, or room for another, was asked for while it was on its way. */
static bool is_unwanted(const struct fgd_run *run)
{
        return fgd_run_is_cancelled(run) || run->active->result.flags & FGD_RUN_REQUEUED;
}

static void launched(struct fgd_manager *m, struct fgd_run *run, int r, const struct fg_error *err)
{
        struct fgd_active *active = run->active;
        if (r == -EBUSY || r == -EALREADY) {
                fgd_run_adopt(m, run);
        } else if (is_unwanted(run)) {
                fgd_run_stop(m, run);
        } else if (r == 0 && active->is_suspending) {
                fgd_run_suspend(m, run);
        } else if (r < 0 && may_pass(r)) {
                fg_log_warning("job %lld cannot be started now: %s; tried again", (long long)run->job->id, err->text);
                fgd_run_try_again(m, active);
        } else if (r < 0) {
                fail(m, run, FG_JOB_WHY_SETUP_FAILED, err->text);
        }
}

static void launch(struct fgd_work *work)
{
        struct fgd_launch *launch = FGD_OF_NODE(work, struct fgd_launch, work);
        int r = fgd_job_dir_make(launch->jobs, launch->id, launch->spec, launch->size, &launch->err);
        launch->result = r < 0 && r != -EEXIST ? r : fgd_job_start(launch->folder, &launch->started, &launch->err);
}

static void on_launched(struct fgd_work *work, bool is_ending)
{
        struct fgd_launch *launch = FGD_OF_NODE(work, struct fgd_launch, work);
        struct fgd_manager *m = launch->manager;
        struct fgd_active *active = launch->active;
        struct fgd_job_account *of = active->run->job->of_project;
        int64_t owner = fgd_job_owner_id(active->run->job);
        uint64_t begin = fg_now();
        int r = launch->result;
        active->launch = NULL;
        of->pace.launches--;
        if (is_ending && r == 0)
                fgd_job_leave(&launch->started);
        if (!is_ending) {
                /* One that cannot be followed lives all the same: it is taken over when that is possible. */
                if (r == 0 && fgd_job_follow(m, &launch->started, &events, active, &active->link, &launch->err) < 0)
                        r = -EBUSY;
                launched(m, active->run, r, &launch->err);
                fgd_jobs_spent(m, of, owner, begin);
                fgd_jobs_kick(m);
        }
        launch_free(launch);
}

/* Its vGPUs are certain. */
static void prepare(struct fgd_launch *l, bool is_kept)
{
        struct fgd_manager *m = l->manager;
        struct fgd_run *run = l->active->run;
        if (is_kept && !is_unwanted(run))
                l->result = write_spec(m, run, l, &l->err);
        if (l->result < 0)
                return on_launched(&l->work, !is_kept);
        fgd_worker_push(m->jobs->worker, &l->work);
}

static void on_certain(struct fgd_store_wait *wait, bool is_kept)
{
        struct fgd_launch *l = (struct fgd_launch *)((char *)wait - offsetof(struct fgd_launch, certain));
        struct fgd_manager *m = l->manager;
        struct fgd_job_account *of = l->active->run->job->of_project;
        int64_t owner = fgd_job_owner_id(l->active->run->job);
        uint64_t begin = fg_now();
        prepare(l, is_kept);
        fgd_jobs_spent(m, of, owner, begin);
}

/* In a turn of its own, after the one in which it was given its vGPUs. */
void fgd_run_launch(struct fgd_manager *m, struct fgd_run *run)
{
        struct fg_error err = {0};
        struct fgd_launch *l = calloc(1, sizeof *l);
        if (!l)
                return launched(m, run, fg_error_set(&err, -ENOMEM, "out of memory"), &err);
        *l = (struct fgd_launch){.work = {.run = launch, .done = on_launched}, .certain.done = on_certain, .manager = m, .active = run->active,
                                 .result = -ECANCELED};
        strcpy(l->jobs, m->jobs->folder);
        fgd_run_folder(m, run->job, run->index, run->attempt, l->folder, sizeof l->folder);
        run->active->launch = l;
        fgd_pace_launch(&run->job->of_project->pace, fg_now());
        if (fgd_store_is_settled(m->store))
                prepare(l, true);
        else
                fgd_store_wait(m->store, &l->certain);
}

void fgd_run_adopt(struct fgd_manager *m, struct fgd_run *run)
{
        struct fgd_active *active = run->active;
        struct fg_job_status status = {0};
        struct fg_error err = {0};
        enum fgd_job_found found;
        char folder[PATH_MAX];
        bool is_stopping = fgd_run_is_cancelled(run);
        fgd_run_folder(m, run->job, run->index, run->attempt, folder, sizeof folder);
        int r = fgd_job_adopt(m, folder, &events, active, &found, &status, &active->link, &err);
        if (r == -ENOENT && active->result.state != FGD_JOB_SUSPENDED) {
                fgd_job_dir_remove(folder, &err);
                found = FGD_JOB_NEVER_BEGAN;
                r = 0;
        }
        if (r < 0 && may_pass(r)) {
                fg_log_warning("what became of job %lld cannot be told: %s; tried again", (long long)run->job->id, err.text);
                fgd_run_try_again(m, active);
        } else if (r < 0) {
                fail(m, run, FG_JOB_WHY_LOST, err.text);
        } else if (found == FGD_JOB_ENDED) {
                fgd_run_end(m, run, &status);
        } else if (found == FGD_JOB_LIVES) {
                fgd_run_recall(run, fgd_job_link_status(active->link));
                if (is_stopping)
                        fgd_run_stop(m, run);
                else if (active->result.flags & FGD_RUN_REQUEUED)
                        fgd_run_requeue(m, run);
                else if (active->is_suspending)
                        fgd_run_suspend(m, run);
                else if (run->hold && run->hold <= FGD_HOLD_BUDGET && fg_queue_leaving(m->jobs->queue, run->entry, FG_QUEUE_SUSPEND) == 0)
                        fgd_run_suspend(m, run);
        } else if (is_stopping) {
                fgd_run_stop(m, run);
        } else {
                fgd_run_launch(m, run);
        }
}
