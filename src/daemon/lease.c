/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lease.h"

#include "base/log.h"
#include "daemon/jobs.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/problem.h"
#include "daemon/store_lease.h"
#include "daemon/tenants.h"
#include "daemon/text.h"
#include "daemon/vgpus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOOKS       10     /* in the shortest lease */
#define LOOK_MIN_MS 100
#define LOOK_MAX_MS 60000
#define SAVE_MIN_MS 1000
#define FIRST_LOOK_MS 1000
#define WARN_PART   80     /* percent of a lease */

struct fgd_lease {
        struct fgd_manager *manager;
        int64_t up, since;  /* ms: of all daemons before this one; CLOCK_BOOTTIME when this one began */
        int64_t saved_at;
        struct fgd_set *at; /* while the store is read */
        bool failed;        /* said once */
        sd_event_source *timer;
};

int64_t fgd_boot_ms(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* In the store times are those of the daemon's own clock, in memory of CLOCK_BOOTTIME. */
static int64_t to_up(const struct fgd_lease *lease, int64_t boot)
{
        return lease->up + boot - lease->since;
}

void fgd_lease_resolve(const struct fgd_manager *m, struct fgd_project *project)
{
        bool is_own = project->idle_lease >= 0 && project->idle_lease <= FGD_LEASE_MAX;
        project->lease_seconds = is_own ? (uint64_t)project->idle_lease : m->options.value[FG_OPT_IDLE_LEASE];
}

void fgd_lease_set_active(struct fgd_set *set, int64_t boot)
{
        set->active_at = boot;
        set->active_wall = (int64_t)time(NULL) - (fgd_boot_ms() - boot) / 1000;
}

void fgd_lease_touch(struct fgd_manager *m, struct fgd_set *set)
{
        fgd_lease_set_active(set, fgd_boot_ms());
        set->is_warned = false;
        set->lease_dirty = true;
}

/* --- what is done --- */

static void format_time(uint64_t s, char *ret, size_t size)
{
        if (s >= 2 * 3600)
                snprintf(ret, size, "%llu h %llu min", (unsigned long long)s / 3600, (unsigned long long)s / 60 % 60);
        else if (s >= 120)
                snprintf(ret, size, "%llu min", (unsigned long long)s / 60);
        else
                snprintf(ret, size, "%llu s", (unsigned long long)s);
}

static void warn(struct fgd_manager *m, struct fgd_set *set, uint64_t idle, uint64_t limit)
{
        char so_far[40], left[40];
        format_time(idle / 1000, so_far, sizeof so_far);
        format_time(limit - idle / 1000, left, sizeof left);
        fgd_event_note(m, set->project, "lease.warning", set->name, "\"%s\" has used no device time for %s; in %s it will be %s", set->name,
                       so_far, left, TAILQ_EMPTY(&set->uses) ? "deleted" : "suspended");
        set->is_warned = set->lease_dirty = true;
}

/* Nobody asked: the audit says that the lease did. */
static void delete_set(struct fgd_manager *m, struct fgd_set *set, const char *why)
{
        struct fgd_problem problem = {0};
        struct fgd_audit *row = fgd_journal_begin(m);
        if (!row)
                return;
        snprintf(row->actor, sizeof row->actor, "lease");
        snprintf(row->via, sizeof row->via, "daemon");
        snprintf(row->action, sizeof row->action, "DELETE /v1/vgpus/*");
        fgd_journal_project(m, set->project);
        fgd_journal_target(m, "%s", set->name);
        fgd_event_stage(m, set->project, "lease.ended", set->name, "\"%s\" is deleted: %s", set->name, why);
        int r = fgd_vgpus_delete(m, set, &problem);
        fgd_journal_end(m, row, r < 0 ? fgd_problem_status(&problem) : 204, r < 0 ? fgd_problem_type_name(&problem) : "");
        if (r < 0)
                fg_log_warning("an idle lease is over, but: %s", problem.detail);
}

static void end_lease(struct fgd_manager *m, struct fgd_set *set, uint64_t limit)
{
        char length[40], why[96];
        format_time(limit, length, sizeof length);
        snprintf(why, sizeof why, "its idle lease of %s is over", length);
        /* Touched first: whatever comes of it, it is not tried again at once. */
        fgd_lease_touch(m, set);
        if (!set->run && TAILQ_EMPTY(&set->uses))
                delete_set(m, set, why);
        else
                fgd_vgpus_suspend_for(m, set, "lease", why);
}

static bool is_sound(const struct fgd_set *set)
{
        for (uint32_t i = 0; i < set->count; i++)
                if (set->vgpu[i].damaged_row || set->vgpu[i].quarantined)
                        return false;
        return true;
}

static bool is_in_use(const struct fgd_set *set)
{
        for (uint32_t i = 0; i < set->count; i++)
                if (set->vgpu[i].pages)
                        return true;
        return false;
}

static void look_at(struct fgd_manager *m, struct fgd_set *set, int64_t now)
{
        uint64_t limit = set->project->lease_seconds, idle;
        if (is_in_use(set)) {
                uint64_t used = fgd_set_gpu_ns(set);
                if (used > set->lease_gpu_ns)
                        fgd_lease_touch(m, set);
                set->lease_gpu_ns = used;
        }
        idle = now > set->active_at ? (uint64_t)(now - set->active_at) : 0;
        if (!limit || set->ending || !is_sound(set) || (set->is_paused && !TAILQ_EMPTY(&set->uses)))
                return;
        if (idle >= limit * 1000)
                end_lease(m, set, limit);
        else if (!set->is_warned && idle >= limit * 10 * WARN_PART)
                warn(m, set, idle, limit);
}

/* --- time --- */

static int64_t shortest(const struct fgd_manager *m)
{
        const struct fgd_project *project;
        uint64_t least = 0;
        TAILQ_FOREACH(project, &m->tenants->projects, order) {
                uint64_t lease = project->lease_seconds;
                if (lease && (!least || lease < least))
                        least = lease;
        }
        return (int64_t)least;
}

static void save(struct fgd_manager *m, int64_t now)
{
        struct fgd_lease *lease = m->lease;
        struct fg_error err = {0};
        struct fgd_set *set;
        int r;
        if (TAILQ_EMPTY(&m->sets) || (r = fgd_store_lease_begin(m->store, to_up(lease, now), &err)) < 0)
                return;
        TAILQ_FOREACH(set, &m->sets, order)
                if (r == 0 && set->lease_dirty)
                        r = fgd_store_lease_put(m->store, set, to_up(lease, set->active_at), &err);
        r = fgd_store_lease_end(m->store, r, &err);
        if (r < 0 && !lease->failed)
                fg_log_warning("cannot write idle leases to the store (%s): tried again", err.text);
        lease->failed = r < 0;
        lease->saved_at = now;
        TAILQ_FOREACH(set, &m->sets, order)
                if (r == 0)
                        set->lease_dirty = false;
}

static int64_t pause_between(const struct fgd_manager *m)
{
        int64_t pause = shortest(m) * 1000 / LOOKS;
        return pause < LOOK_MIN_MS ? LOOK_MIN_MS : pause > LOOK_MAX_MS ? LOOK_MAX_MS : pause;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        struct fgd_set *set, *next;
        int64_t now = fgd_boot_ms(), pause = pause_between(m);
        FGD_TAILQ_EACH_SAFE(set, &m->sets, order, next)
                look_at(m, set, now);
        if (now - m->lease->saved_at >= (pause > SAVE_MIN_MS ? pause : SAVE_MIN_MS))
                save(m, now);
        fgd_lease_changed(m);
        return 0;
}

static void look_in(struct fgd_manager *m, int64_t ms)
{
        sd_event_source_set_time_relative(m->lease->timer, (uint64_t)ms * 1000);
        sd_event_source_set_enabled(m->lease->timer, shortest(m) ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

void fgd_lease_changed(struct fgd_manager *m)
{
        look_in(m, pause_between(m));
}

/* --- start and end --- */

static int take_up(void *user, int64_t up)
{
        struct fgd_manager *m = user;
        m->lease->up = up > 0 ? up : 0;
        return 0;
}

/* Rows come by set, as the sets do. A time that cannot be counts as now. */
static int take_row(void *user, const struct fgd_store_lease *row)
{
        struct fgd_manager *m = user;
        struct fgd_set *set = m->lease->at;
        while (set && set->id < row->set)
                set = TAILQ_NEXT(set, order);
        m->lease->at = set;
        if (!set || set->id != row->set)
                return 0;
        if (row->active_at >= 0 && row->active_at <= m->lease->up)
                fgd_lease_set_active(set, m->lease->since - (m->lease->up - row->active_at));
        set->lease_gpu_ns = row->gpu_ns > 0 ? (uint64_t)row->gpu_ns : 0;
        set->is_warned = row->is_warned;
        set->lease_dirty = false;
        return 0;
}

int fgd_lease_new(struct fgd_manager *m, struct fg_error *err)
{
        const struct fgd_store_leases visitor = {take_up, take_row, m};
        m->lease = calloc(1, sizeof *m->lease);
        if (!m->lease)
                return fg_error_set(err, -ENOMEM, "out of memory");
        *m->lease = (struct fgd_lease){.manager = m, .since = fgd_boot_ms(), .saved_at = fgd_boot_ms()};
        m->lease->at = TAILQ_FIRST(&m->sets);
        int r = fgd_store_load_leases(m->store, &visitor, err);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(m->event, &m->lease->timer, CLOCK_BOOTTIME, 0, 10000, on_timer, m);
        if (r < 0)
                return fg_error_set(err, r, "no timer for idle leases: %m");
        /* What is over since before this daemon need not wait for an hour's tenth. */
        look_in(m, pause_between(m) < FIRST_LOOK_MS ? pause_between(m) : FIRST_LOOK_MS);
        return 0;
}

void fgd_lease_free(struct fgd_manager *m)
{
        if (!m->lease)
                return;
        if (m->lease->timer)
                save(m, fgd_boot_ms());
        sd_event_source_disable_unref(m->lease->timer);
        free(m->lease);
        m->lease = NULL;
}

void fgd_lease_write(const struct fgd_set *set, struct fgd_text *text)
{
        uint64_t limit = set->project->lease_seconds;
        bool attached = !TAILQ_EMPTY(&set->uses);
        char ends[32];
        if (!limit || (set->is_paused && attached))
                return;
        fgd_text_name(text, "idle_lease");
        fgd_text_add(text, "{");
        fgd_text_number(text, "seconds", limit);
        fgd_text_field(text, "ends", fgd_date_format(set->active_wall + (int64_t)limit, ends));
        fgd_text_field(text, "then", attached || set->job ? "suspended" : "deleted");
        fgd_text_add(text, "}");
}
