/* SPDX-License-Identifier: Apache-2.0
 * Opening and deleting sets. */
#include "daemon/vgpus.h"

#include "base/log.h"
#include "daemon/attach_server.h"
#include "daemon/box.h"
#include "daemon/jobs.h"
#include "daemon/journal.h"
#include "daemon/lease.h"
#include "daemon/manager.h"
#include "daemon/registry.h"
#include "daemon/store_sync.h"
#include "daemon/trace.h"
#include "daemon/use.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#define TERM_USEC 2000000
#define KILL_USEC 8000000

static int refuse_in_use(const struct fgd_set *set, struct fgd_problem *problem)
{
        problem->pid_count = fgd_use_pids(set, problem->pids, FGD_PROBLEM_PIDS);
        return fgd_problem_set(problem, FGD_IN_USE, "%u program%s use%s \"%s\" (process %u%s): end them, or delete with --force",
                               problem->pid_count, problem->pid_count == 1 ? "" : "s", problem->pid_count == 1 ? "s" : "", set->name,
                               problem->pids[0], problem->pid_count > 1 ? " and others" : "");
}

/* The store first: once it has forgotten the set, everything else can be repeated at the next start. */
static int remove_set(struct fgd_manager *m, struct fgd_set *set, bool is_deferred, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        struct fgd_run *run = set->run;
        if (run)
                fgd_run_closing(m, run);
        else
                fgd_event_stage(m, set->project, "vgpu.deleted", set->name, "\"%s\" was deleted", set->name);
        bool before = fgd_store_defer(m->store, is_deferred || run); /* a run's folder waits, and goes after it */
        int r = fgd_store_delete_set(m->store, set, &err);
        fgd_store_defer(m->store, before);
        if (r < 0) {
                if (run)
                        fgd_run_not_closed(m, run);
                return fgd_problem_set(problem, FGD_STORAGE, "\"%s\" was not deleted: %s", set->name, err.text);
        }
        if (run)
                fgd_run_discard(run);
        fgd_box_removing(m, set);
        fgd_attach_remove(m, set);
        for (uint32_t i = 0; i < set->count; i++) {
                fgd_pages_unload(m, &set->vgpu[i]);
                if (set->vgpu[i].had_pages)
                        fgd_pages_delete(m, set->vgpu[i].uuid);
        }
        fgd_trace_set_gone(m, set);
        fgd_registry_remove(m, set);
        fgd_set_free(set);
        if (run)
                fgd_run_closed(m, run);
        return 0;
}

int fgd_vgpus_delete(struct fgd_manager *m, struct fgd_set *set, struct fgd_problem *problem)
{
        if (set->ending)
                return fgd_problem_set(problem, FGD_IN_USE, "\"%s\" is being deleted already", set->name);
        if (!TAILQ_EMPTY(&set->uses))
                return refuse_in_use(set, problem);
        return remove_set(m, set, fgd_store_is_deferred(m->store), problem);
}

static void close_pages(struct fgd_set *set, bool closed)
{
        for (uint32_t i = 0; i < set->count; i++)
                if (set->vgpu[i].pages)
                        fgd_pages_close(set->vgpu[i].pages, closed);
}

static void signal_all(const struct fgd_set *set, int signal)
{
        const struct fgd_use *use;
        TAILQ_FOREACH(use, &set->uses, of_set)
                fgd_process_signal(use->process, signal);
}

static void finish(struct fgd_ending *ending, const struct fgd_problem *problem)
{
        sd_event_source_disable_unref(ending->timer);
        ending->done(ending->user, problem);
        free(ending);
}

/* After 2 s of SIGTERM comes SIGKILL; what that does not end either is stuck in the kernel. */
static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_ending *ending = user;
        struct fgd_problem problem = {0};
        if (!ending->killed) {
                ending->killed = true;
                signal_all(ending->set, SIGKILL);
                sd_event_source_set_time_relative(source, KILL_USEC);
                sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                return 0;
        }
        ending->set->ending = NULL;
        close_pages(ending->set, false);
        refuse_in_use(ending->set, &problem);
        finish(ending, &problem);
        return 0;
}

int fgd_vgpus_delete_force(struct fgd_manager *m, struct fgd_set *set, fgd_ended_t done, void *user, struct fgd_problem *problem)
{
        if (TAILQ_EMPTY(&set->uses) || set->ending)
                return fgd_vgpus_delete(m, set, problem);
        struct fgd_ending *ending = calloc(1, sizeof *ending);
        if (!ending)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        *ending = (struct fgd_ending){.manager = m, .set = set, .done = done, .user = user};
        if (sd_event_add_time_relative(m->event, &ending->timer, CLOCK_MONOTONIC, TERM_USEC, 0, on_timer, ending) < 0) {
                free(ending);
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        }
        set->ending = ending;
        close_pages(set, true);
        signal_all(set, SIGTERM);
        return 1;
}

void fgd_vgpus_ended(struct fgd_manager *m, struct fgd_set *set)
{
        struct fgd_problem problem = {0};
        struct fgd_ending *ending = set->ending;
        set->ending = NULL;
        m->journal->current = ending->audit; /* the one who asked, seconds ago */
        int r = remove_set(m, set, false, &problem); /* he is told at once */
        m->journal->current = NULL;
        finish(ending, r < 0 ? &problem : NULL);
}

void fgd_vgpus_abandon(struct fgd_set *set)
{
        struct fgd_problem problem = {0};
        struct fgd_ending *ending = set->ending;
        if (!ending)
                return;
        set->ending = NULL;
        fgd_problem_set(&problem, FGD_BUSY, "\"%s\" was not deleted: the daemon ends", set->name);
        finish(ending, &problem);
}

void fgd_vgpus_expire(struct fgd_manager *m, struct fgd_set *set)
{
        struct fgd_problem problem = {0};
        if (remove_set(m, set, true, &problem) < 0)
                fg_log_warning("%s; it is tried again at the next start", problem.detail);
}

int fgd_vgpus_refuse_state(const struct fgd_set *set, int64_t index, struct fgd_problem *problem)
{
        if (set->ending)
                return fgd_problem_set(problem, FGD_IN_USE, "\"%s\" is being deleted", set->name);
        for (uint32_t i = index < 0 ? 0 : (uint32_t)index; i < (index < 0 ? set->count : (uint32_t)index + 1); i++) {
                const struct fgd_vgpu *vgpu = &set->vgpu[i];
                if (vgpu->quarantined || (vgpu->pages && vgpu->pages->damaged))
                        return fgd_problem_set(problem, FGD_QUARANTINED, "%s/%u is quarantined (\"fastgpu doctor\" says why): delete \"%s\" "
                                               "and create it again", set->name, i, set->name);
                if (!vgpu->device->present)
                        return fgd_problem_set(problem, FGD_DEVICE_LOST, "device %u (%s) under %s/%u has vanished; \"fastgpu devices\" shows "
                                               "what is there", vgpu->device->id, vgpu->device->model, set->name, i);
        }
        return 0;
}

int fgd_vgpus_open(struct fgd_manager *m, struct fgd_set *set, int64_t index, struct fgd_process *process, char *ret_path, size_t size,
                   struct fgd_problem *problem)
{
        struct fg_error err = {0};
        struct fgd_use *use;
        int r = fgd_vgpus_refuse_state(set, index, problem);
        if (r < 0)
                return r;
        r = fgd_attach_listen(m, set, index, ret_path, size, &err);
        if (r == 0)
                r = fgd_use_new_runner(m, process, set, index, &use, &err);
        if (r == 0)
                fgd_lease_touch(m, set);
        return r < 0 ? fgd_problem_set(problem, r == -ENOSPC || r == -EROFS ? FGD_STORAGE : FGD_INTERNAL, "%s", err.text) : 0;
}
