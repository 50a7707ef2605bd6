/* SPDX-License-Identifier: Apache-2.0
 * Jobs that are over and too many: the oldest go, with what they wrote. First the folders, by the worker, then the rows: what a kill leaves is
 * found again. */
#include "daemon/jobs.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/manager.h"
#include "daemon/store_jobs.h"

#include <stdlib.h>

#define AT_ONCE    32    /* runs: whose folders the worker has before it looks at a launch again */
#define NEXT_USEC  10000
#define PAUSE      160u  /* while somebody asks: so many times as long as the loop was taken */
#define AGAIN_USEC 60000000

struct oldest {
        struct fgd_work work;
        struct fgd_manager *manager;
        struct fgd_job *shape; /* as far as folders' names go */
        uint32_t count, below;
        uint64_t spent; /* ns of the loop's time */
        struct {
                uint32_t index, attempt;
        } run[AT_ONCE];
};

static void drop(struct oldest *o)
{
        fgd_job_free(o->shape);
        free(o);
}

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
        o->run[o->count].index = result->index;
        o->run[o->count].attempt = result->attempt;
        o->below = result->index + 1;
        return ++o->count >= AT_ONCE;
}

static void again(struct fgd_manager *m, uint64_t usec)
{
        sd_event_source_set_time_relative(m->jobs->forget, usec);
        sd_event_source_set_enabled(m->jobs->forget, SD_EVENT_ONESHOT);
}

/* In the worker. Names are made of what does not change: the jobs' folder and the shape. */
static void remove_folders(struct fgd_work *work)
{
        struct oldest *o = FGD_OF_NODE(work, struct oldest, work);
        char folder[PATH_MAX];
        struct fg_error err = {0};
        for (uint32_t i = 0; i < o->count; i++)
                for (uint32_t attempt = 0; attempt <= o->run[i].attempt; attempt++) {
                        fgd_run_folder(o->manager, o->shape, o->run[i].index, attempt, folder, sizeof folder);
                        if (fgd_job_dir_remove(folder, &err) < 0)
                                fg_log_warning("%s", err.text);
                }
}

static void on_folders_removed(struct fgd_work *work, bool is_ending)
{
        struct oldest *o = FGD_OF_NODE(work, struct oldest, work);
        struct fgd_manager *m = o->manager;
        struct fg_error err = {0};
        bool is_last = o->count < AT_ONCE;
        uint64_t begin = fg_now(), pause = NEXT_USEC;
        m->jobs->is_forgetting = false;
        if (is_ending)
                return drop(o);
        int r = fgd_store_forget_job(m->store, o->shape->id, o->below, is_last, &err);
        if (r == 0 && is_last)
                m->jobs->ended--;
        uint64_t now = fg_now(), paced = (o->spent + now - begin) / 1000 * PAUSE;
        if (paced > pause && fgd_asked_by_others(&m->asked, FGD_NOBODY, now))
                pause = paced;
        again(m, r < 0 ? AGAIN_USEC : pause);
        drop(o);
}

static int read_oldest(struct fgd_manager *m, int64_t id, struct oldest *ret)
{
        struct fg_error err = {0};
        int r = fgd_store_get_job(m->store, id, take_job, ret, &err);
        return r <= 0 || !ret->shape ? -1 : fgd_store_read_runs(m->store, id, 0, take_run, ret, &err);
}

static int forget_some(struct fgd_manager *m)
{
        uint64_t begin = fg_now();
        int64_t id = fgd_store_oldest_job(m->store);
        struct oldest *o = id ? calloc(1, sizeof *o) : NULL;
        if (!id)
                m->jobs->ended = 0;
        if (!o)
                return id ? -1 : 0;
        *o = (struct oldest){.work = {.run = remove_folders, .done = on_folders_removed, .is_patient = true}, .manager = m};
        if (read_oldest(m, id, o) < 0) {
                drop(o);
                return -1;
        }
        o->spent = fg_now() - begin;
        m->jobs->is_forgetting = true;
        fgd_worker_push_settled(m->jobs->worker, m->store, &o->work);
        return 0;
}

static int on_forget(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        if (m->jobs->ended <= m->options.value[FG_OPT_JOBS_KEEP])
                return 0;
        if (forget_some(m) < 0)
                again(m, AGAIN_USEC);
        return 0;
}

void fgd_jobs_trim(struct fgd_manager *m)
{
        struct fgd_jobs *jobs = m->jobs;
        int enabled = SD_EVENT_OFF;
        if (jobs->is_forgetting || jobs->ended <= m->options.value[FG_OPT_JOBS_KEEP])
                return;
        if (!jobs->forget && sd_event_add_time_relative(m->event, &jobs->forget, CLOCK_MONOTONIC, NEXT_USEC, 0, on_forget, m) >= 0)
                return;
        sd_event_source_get_enabled(jobs->forget, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        sd_event_source_set_time_relative(jobs->forget, NEXT_USEC);
        sd_event_source_set_enabled(jobs->forget, SD_EVENT_ONESHOT);
}
