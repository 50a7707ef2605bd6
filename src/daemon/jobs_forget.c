/* SPDX-License-Identifier: Apache-2.0
 * Jobs that are over and too many: the oldest go, with what they wrote. */
#include "daemon/jobs.h"

#include "base/log.h"
#include "daemon/manager.h"
#include "daemon/store_jobs.h"

#include <stdlib.h>

#define AT_ONCE    100 /* runs in one turn of the loop */
#define NEXT_USEC  10000
#define AGAIN_USEC 60000000

struct oldest {
        struct fgd_manager *manager;
        struct fgd_job *shape; /* as far as folders' names go */
        uint32_t count, below;
};

static int take_job(void *user, const struct fgd_store_job *row)
{
        struct oldest *o = user;
        o->shape = fgd_job_new("");
        if (!o->shape)
                return 0;
        o->shape->id = row->id;
        o->shape->is_array = row->is_array != 0;
        o->shape->first = (uint32_t)row->first;
        return 0;
}

static int take_run(void *user, const struct fgd_run_result *result)
{
        struct oldest *o = user;
        char folder[PATH_MAX];
        struct fg_error err = {0};
        for (uint32_t attempt = 0; attempt <= result->attempt; attempt++) {
                fgd_run_folder(o->manager, o->shape, result->index, attempt, folder, sizeof folder);
                if (fgd_job_dir_remove(folder, &err) < 0)
                        fg_log_warning("%s", err.text);
        }
        o->below = result->index + 1;
        return ++o->count >= AT_ONCE;
}

static int forget_some(struct fgd_manager *m)
{
        struct oldest o = {.manager = m};
        struct fg_error err = {0};
        int64_t id = fgd_store_oldest_job(m->store);
        if (!id) {
                m->jobs->ended = 0;
                return 0;
        }
        int r = fgd_store_get_job(m->store, id, take_job, &o, &err);
        if (r <= 0 || !o.shape)
                return -1;
        r = fgd_store_read_runs(m->store, id, 0, take_run, &o, &err);
        bool is_last = o.count < AT_ONCE;
        if (r == 0)
                r = fgd_store_forget_job(m->store, id, o.below, is_last, &err);
        if (r == 0 && is_last)
                m->jobs->ended--;
        fgd_job_free(o.shape);
        return r;
}

static int on_forget(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        if (m->jobs->ended <= m->options.value[FG_OPT_JOBS_KEEP])
                return 0;
        sd_event_source_set_time_relative(source, forget_some(m) < 0 ? AGAIN_USEC : NEXT_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void fgd_jobs_trim(struct fgd_manager *m)
{
        struct fgd_jobs *jobs = m->jobs;
        int enabled = SD_EVENT_OFF;
        if (jobs->ended <= m->options.value[FG_OPT_JOBS_KEEP])
                return;
        if (!jobs->forget && sd_event_add_time_relative(m->event, &jobs->forget, CLOCK_MONOTONIC, NEXT_USEC, 0, on_forget, m) >= 0)
                return;
        sd_event_source_get_enabled(jobs->forget, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        sd_event_source_set_time_relative(jobs->forget, NEXT_USEC);
        sd_event_source_set_enabled(jobs->forget, SD_EVENT_ONESHOT);
}
