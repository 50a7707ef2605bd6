/* SPDX-License-Identifier: Apache-2.0
 * What waits and why, and how long what runs has waited. To ask the queue for a reason costs a pass: a scrape asks a few times and then
 * says that it did not look. */
#include "daemon/metrics_internal.h"

#include "base/clock.h"
#include "daemon/manager.h"

#include <stdlib.h>
#include <string.h>

#define ASK_AT_MOST 32u
#define ASK_FOR_NS  (3 * FG_NSEC_PER_MSEC)

const uint32_t fgd_wait_bounds[FGD_WAIT_BUCKETS] = {1, 5, 15, 60, 300, 900, 3600, 14400, 43200, 86400, 604800};

/* Behind the queue's own. */
enum { BUDGET = FGD_WHY_NAMES, OWNER, ORGANISATION, START_FAILED, CROWDED, UNEXAMINED, REASONS };
_Static_assert(REASONS <= FGD_PENDING_REASONS, "a count for each");

const char *fgd_pending_reason(unsigned reason)
{
        static const char *const more[] = {"budget", "owner", "quota-organisation", "start-failed", "crowded", "unexamined"};
        if (reason < FGD_WHY_NAMES)
                return fgd_why_names[reason];
        return reason < REASONS ? more[reason - FGD_WHY_NAMES] : NULL;
}

static struct fgd_project_figures *figures_of(struct fgd_project *project)
{
        if (!project->figures)
                project->figures = calloc(1, sizeof *project->figures);
        return project->figures;
}

void fgd_project_figures_free(struct fgd_project_figures *figures)
{
        free(figures);
}

/* Since when it could have run. */
static int64_t waits_since(const struct fgd_job *job)
{
        return job->not_before * 1000 > job->submitted ? job->not_before * 1000 : job->submitted;
}

void fgd_metrics_started(const struct fgd_job *job, int64_t now_ms)
{
        struct fgd_project_figures *f = figures_of(job->project);
        int64_t waited = now_ms > waits_since(job) ? now_ms - waits_since(job) : 0;
        unsigned i = 0;
        if (!f)
                return;
        while (i < FGD_WAIT_BUCKETS && waited > fgd_wait_bounds[i] * 1000ll)
                i++;
        f->waited[i]++;
        f->waited_ms += (uint64_t)waited;
}

struct asking {
        struct fgd_manager *manager;
        struct fg_queue_device device[FGD_DEVICES_MAX];
        struct fg_queue_scene scene;
        unsigned asked;
        uint64_t until; /* 0: not begun */
};

static unsigned ask_queue(struct asking *a, const struct fgd_run *run)
{
        struct fg_queue_why why;
        if (!a->until) {
                fgd_jobs_settle_accounts(a->manager);
                fgd_jobs_scene(a->manager, a->device, &a->scene);
                a->until = fg_now() + ASK_FOR_NS;
        }
        if (a->asked++ >= ASK_AT_MOST || fg_now() > a->until || fg_queue_why(a->manager->jobs->queue, &a->scene, run->entry, &why) < 0)
                return UNEXAMINED;
        return why.reason;
}

static unsigned reason_of_run(struct asking *a, const struct fgd_run *run)
{
        switch ((enum fgd_job_hold)run->hold) {
        case FGD_HOLD_BUDGET:
                return BUDGET;
        case FGD_HOLD_OWNER:
                return OWNER;
        case FGD_HOLD_ORGANISATION:
                return ORGANISATION;
        case FGD_HOLD_FAILED:
                return START_FAILED;
        case FGD_HOLD_CROWDED:
                return CROWDED;
        case FGD_HOLD_PERSON:
                return FG_QUEUE_HELD;
        default:
                return run->entry ? ask_queue(a, run) : UNEXAMINED;
        }
}

/* Of an array: the first that waits speaks for those behind it. */
static unsigned reason_of(struct asking *a, const struct fgd_job *job, int64_t now_ms)
{
        const struct fgd_run *run;
        if (job->hold)
                return job->hold == FGD_HOLD_BUDGET ? BUDGET : FG_QUEUE_HELD;
        if (job->not_before * 1000 > now_ms)
                return FG_QUEUE_NOT_BEFORE;
        TAILQ_FOREACH(run, &job->runs, of_job)
                if (!run->active)
                        return reason_of_run(a, run);
        return FG_QUEUE_BEHIND_OWN;
}

void fgd_metrics_count_pending(struct fgd_manager *m)
{
        struct asking asking = {.manager = m};
        struct fgd_project *project;
        const struct fgd_job *job;
        int64_t now = fgd_wall_ms();
        TAILQ_FOREACH(project, &m->tenants->projects, order)
                if (project->figures) {
                        memset(project->figures->pending, 0, sizeof project->figures->pending);
                        project->figures->oldest_ms = 0;
                }
        if (!m->jobs)
                return;
        TAILQ_FOREACH(job, &m->jobs->list, order) {
                struct fgd_project_figures *f = job->waiting ? figures_of(job->project) : NULL;
                if (!f)
                        continue;
                unsigned reason = reason_of(&asking, job, now);
                f->pending[reason] += job->waiting;
                if (reason != FG_QUEUE_HELD && reason != BUDGET && reason != FG_QUEUE_NOT_BEFORE && (!f->oldest_ms || waits_since(job) < f->oldest_ms))
                        f->oldest_ms = waits_since(job);
        }
}
