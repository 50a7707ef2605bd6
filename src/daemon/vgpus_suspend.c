/* SPDX-License-Identifier: Apache-2.0
 * Suspending a set: its programs keep their memory and get no device; its share is free for others until it is resumed. */
#include "daemon/vgpus.h"

#include "base/log.h"
#include "daemon/jobs.h"
#include "daemon/journal.h"
#include "daemon/lease.h"
#include "daemon/manager.h"
#include "daemon/metering.h"
#include "daemon/quota.h"
#include "daemon/registry.h"
#include "daemon/store_lease.h"
#include "daemon/trace.h"

#include <stdio.h>

/* The one place that every change of a set's state goes through once it is durable. */
void fgd_vgpus_on_state(struct fgd_manager *m, struct fgd_set *set)
{
        for (uint32_t i = 0; i < set->count; i++) {
                if (set->vgpu[i].pages)
                        fgd_pages_hold(set->vgpu[i].pages, set->is_paused);
                fgd_metering_state(&set->vgpu[i], set->is_paused ? FG_METER_HOLD : FG_METER_RUN);
        }
        fgd_lease_touch(m, set);
}

static uint64_t share_on(const struct fgd_set *set, const struct fgd_device *d)
{
        uint64_t share = 0;
        for (uint32_t i = 0; i < set->count; i++)
                if (set->vgpu[i].device == d && !set->vgpu[i].damaged_row)
                        share += set->vgpu[i].share;
        return share;
}

/* Its share was free for others meanwhile. */
static int check_room(struct fgd_manager *m, struct fgd_set *set, struct fgd_problem *problem)
{
        struct fgd_demand demand = {0};
        for (uint32_t i = 0; i < m->devices; i++) {
                const struct fgd_device *d = m->device[i];
                uint64_t wanted = share_on(set, d);
                uint32_t available = fgd_device_share_free(d);
                demand.more[FGD_QUOTA_SHARE] += (int64_t)wanted;
                if (wanted <= available)
                        continue;
                problem->available = fgd_device_memory_free(m, d);
                problem->available_share = available;
                return fgd_problem_set(problem, FGD_NO_CAPACITY,
                                       "\"%s\" cannot go on yet: it needs %llu.%llu %% of device %u, which has %u.%u %% left; wait, or give it "
                                       "less with: fastgpu resize %s --compute …",
                                       set->name, (unsigned long long)wanted / 10, (unsigned long long)wanted % 10, d->id, available / 10,
                                       available % 10, set->name);
        }
        return fgd_quota_check(m, set->project, set->owner, &demand, problem);
}

int fgd_vgpus_suspend(struct fgd_manager *m, struct fgd_set *set, bool is_suspended, const char *why, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        if (set->ending)
                return fgd_problem_set(problem, FGD_IN_USE, "\"%s\" is being deleted", set->name);
        if (set->job)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"%s\" belongs to job %lld; type: fastgpu %s %lld", set->name,
                                       (long long)set->job, is_suspended ? "suspend" : "resume", (long long)set->job);
        if (set->is_paused == is_suspended)
                return 0;
        if (!is_suspended && check_room(m, set, problem) < 0)
                return -1;
        fgd_event_stage(m, set->project, is_suspended ? "vgpu.suspended" : "vgpu.resumed", set->name,
                        is_suspended ? "\"%s\" was suspended%s%s; its memory is kept, its share is free for others" : "\"%s\" goes on%s%s",
                        set->name, why[0] ? ": " : "", why);
        if (fgd_store_suspend_set(m->store, set, is_suspended, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "\"%s\" was not %s: %s", set->name, is_suspended ? "suspended" : "resumed", err.text);
        fgd_registry_pause(m, set, is_suspended);
        fgd_trace_set_event(m, set, is_suspended ? "vgpu.suspended" : "vgpu.resumed");
        fgd_vgpus_on_state(m, set);
        return 0;
}

void fgd_vgpus_suspend_for(struct fgd_manager *m, struct fgd_set *set, const char *actor, const char *why)
{
        struct fgd_problem problem = {0};
        struct fgd_audit *row = fgd_journal_begin(m);
        if (!row)
                return;
        snprintf(row->actor, sizeof row->actor, "%s", actor);
        snprintf(row->via, sizeof row->via, "daemon");
        snprintf(row->action, sizeof row->action, "POST /v1/%s/*/suspend", set->run ? "jobs" : "vgpus");
        fgd_journal_project(m, set->project);
        fgd_journal_target(m, "%s", set->name);
        int r = set->run ? fgd_job_hold(m, set->run->job, set->run->index, true, &problem) : fgd_vgpus_suspend(m, set, true, why, &problem);
        fgd_journal_end(m, row, r < 0 ? fgd_problem_status(&problem) : 200, r < 0 ? fgd_problem_type_name(&problem) : "");
        if (r < 0)
                fg_log_warning("%s, but: %s", why, problem.detail);
}
