/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's end of a job's runner (`fastgpu-job`, docs/design/runner.md). Nothing here knows of queues, stores or money.
 *
 * The truth about a job is in its folder, not in this process: the daemon may be killed at any moment, and the next one asks the
 * folder by fgd_job_adopt(). A command is executed at most once in the life of a folder.
 *
 *      fgd_job_dir_make ─► fgd_job_start ─► fgd_job_follow ─► on_change(…) … on_change(ENDED) ─► fgd_job_link_free ─► fgd_job_dir_remove
 *      after a restart:    fgd_job_adopt ─► NEVER_BEGAN: fgd_job_start, or fgd_job_dir_remove
 *                                           ENDED: ret_status is final
 *                                           LIVES: on_change(…) as above
 *
 * fgd_job_dir_make, fgd_job_start and fgd_job_dir_remove wait for the disk and belong to any thread, one at a time for each folder;
 * everything else belongs to the main thread, and nothing waits for a runner. Callbacks come from the event loop, never from inside
 * one of these functions. */
#ifndef FGD_JOB_LINK_H
#define FGD_JOB_LINK_H

#include "base/error.h"
#include "base/job.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fgd_manager;
struct fgd_job_link; /* one job whose runner lives, or whose remains are being cleared away */

struct fgd_job_events {
        /* The job's state is now this (fg_job_status: base/job.h). `status` is valid during the call. The first comes when the
         * runner is ready or has failed; states may be skipped (a short command: STARTING, ENDED). ENDED comes exactly once, last,
         * after nothing of the job lives any more and its DIR/status is durable; the link may be freed in it, and does nothing
         * more. status->why tells how, FG_JOB_WHY_LOST included. */
        void (*on_change)(void *user, const struct fg_job_status *status);
        /* A suspend, resume or stop that was sent was not carried out; `text` is for people. NULL: nobody wants to know. */
        void (*on_refused)(void *user, const char *text);
};

/* Makes JOBS/ID (0700) with its spec, which fg_job_spec_write() gave; durable when it returns 0. `jobs` must exist. Nothing is started.
 * -EEXIST: there is such a folder, complete (adopt it); half-made ones, which have no spec, are made anew. */
int fgd_job_dir_make(const char *jobs, const char *id, const char *spec, size_t size, struct fg_error *err);

/* A runner that was started: descriptors of its folder and of the socket to it, both the holder's. */
struct fgd_job_started {
        int dir, socket;
        pid_t runner;
};
/* Starts the runner of a folder in which nothing has begun.
 * -EBUSY: a runner lives in it; -EALREADY: its command has begun (adopt it, in both cases). Else nothing was started.
 * After 0 the job may have begun, also if this process is killed at once. */
int fgd_job_start(const char *dir, struct fgd_job_started *ret, struct fg_error *err);
/* Takes both descriptors, also where it fails; the job runs on then (adopt it). `events` must stay; `user` is the caller's. */
int fgd_job_follow(struct fgd_manager *manager, const struct fgd_job_started *started, const struct fgd_job_events *events, void *user,
                   struct fgd_job_link **ret, struct fg_error *err);
/* Nobody follows it: it runs on. */
void fgd_job_leave(const struct fgd_job_started *started);

enum fgd_job_found {
        FGD_JOB_NEVER_BEGAN, /* no runner lives and the command was never executed, and will not be before fgd_job_start */
        FGD_JOB_LIVES,       /* *ret is a link; on_change follows, also if it turns out that the runner is lost */
        FGD_JOB_ENDED,       /* *ret_status is final; no link */
};
/* Finds out what a folder holds. -ENOENT: no such folder, or half-made (no spec): fgd_job_dir_remove it. */
int fgd_job_adopt(struct fgd_manager *manager, const char *dir, const struct fgd_job_events *events, void *user,
                  enum fgd_job_found *ret_found, struct fg_job_status *ret_status, struct fgd_job_link **ret, struct fg_error *err);

/* Asks; on_change says when it is so, on_refused when it cannot be. What is asked before the runner is ready waits for it, the last
 * of suspend and resume counts, and a stop before the command has begun keeps it from beginning (why STOPPED, pid 0).
 * `grace` ms between SIGTERM and SIGKILL; 0: SIGKILL at once. A suspended job that is stopped is resumed for it, and a second
 * stop can only shorten the grace. -ESHUTDOWN: ENDED was delivered. */
int fgd_job_suspend(struct fgd_job_link *link);
int fgd_job_resume(struct fgd_job_link *link);
int fgd_job_stop(struct fgd_job_link *link, uint64_t grace);
/* Asks for a fresh status (cpu, max_rss, log: figures are otherwise as of the last change); on_change brings it. */
int fgd_job_ask(struct fgd_job_link *link);

/* The last known one; state STARTING before the first. */
const struct fg_job_status *fgd_job_link_status(const struct fgd_job_link *link);
/* The runner's pid, or 0 when it is not known (an adopted runner that has not answered yet). The runner outlives the command. */
pid_t fgd_job_link_runner(const struct fgd_job_link *link);
/* Lets go: the runner and the job go on. NULL is fine. */
void fgd_job_link_free(struct fgd_job_link *link);

/* Removes the folder and what is in it, log included. -EBUSY: a runner lives in it. A folder that is gone is 0. Killed half-way, it
 * leaves a folder that adopt calls ENDED, or half-made. */
int fgd_job_dir_remove(const char *dir, struct fg_error *err);

#endif
