/* SPDX-License-Identifier: Apache-2.0
 * The job's life: what was asked, what time has brought, what has died. */
#include "runner/runner.h"

#include "base/job_group.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FREEZE_MS    2000u /* then it is called suspended though something is still in the kernel, and stops on its way out */
#define PAUSE_MAX    1000u

uint64_t fgr_now(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

int64_t fgr_unix_ms(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t fgr_ran(const struct fgr_runner *r)
{
        return r->ran + (r->run_since ? fgr_now() - r->run_since : 0);
}

static void pause_time(struct fgr_runner *r)
{
        r->ran = fgr_ran(r);
        r->run_since = 0;
}

static void change(struct fgr_runner *r, enum fg_job_state state)
{
        r->status.state = state;
        fgr_status_figures(r);
        fgr_status_save(r);
        fgr_control_tell(r);
}

void fgr_stop(struct fgr_runner *r, enum fg_job_why why, uint64_t grace)
{
        uint64_t at = fgr_now() + grace;
        if (!r->stop)
                r->stop_why = why;
        if (!r->stop || at < r->kill_at)
                r->kill_at = at;
        r->stop = true;
        r->want_suspended = false;
}

static int thaw(struct fgr_runner *r)
{
        int result = fgr_group_freeze(r, false);
        if (result < 0)
                return result;
        r->frozen = false;
        if (!r->run_since && !r->reaped)
                r->run_since = fgr_now();
        return 0;
}

static int freeze(struct fgr_runner *r)
{
        int result = fgr_group_freeze(r, true);
        if (result < 0)
                return result;
        r->frozen = true;
        r->freeze_deadline = fgr_now() + FREEZE_MS;
        pause_time(r);
        return 0;
}

/* Before that the child may not be in its group yet: a freeze or a signal of the group would pass it by. */
static bool is_executed(const struct fgr_runner *r)
{
        return r->status.pid && r->verdict < 0;
}

static int ask_suspended(struct fgr_runner *r, bool suspended)
{
        if (r->stop || r->reaped)
                return -ESHUTDOWN;
        r->want_suspended = suspended;
        if (!is_executed(r) || suspended == r->frozen)
                return 0; /* as it begins, or done */
        int result = suspended ? freeze(r) : thaw(r);
        if (result < 0)
                r->want_suspended = !suspended;
        else if (!suspended && r->status.state == FG_JOB_SUSPENDED)
                change(r, FG_JOB_RUNNING);
        return result;
}

void fgr_request(struct fgr_runner *r, const char *text, char *ret, size_t size)
{
        uint64_t grace;
        char rest;
        int result = 0;
        if (strcmp(text, "suspend") == 0)
                result = ask_suspended(r, true);
        else if (strcmp(text, "resume") == 0)
                result = ask_suspended(r, false);
        else if (sscanf(text, "stop %" SCNu64 "%c", &grace, &rest) == 1 && grace <= FG_JOB_TIME_MAX)
                fgr_stop(r, FG_JOB_WHY_STOPPED, grace);
        else if (strcmp(text, "kill") == 0)
                fgr_stop(r, FG_JOB_WHY_STOPPED, 0);
        else if (strcmp(text, "status") == 0)
                fgr_status_figures(r), fgr_control_tell(r);
        else
                result = -EINVAL;
        if (result == 0)
                snprintf(ret, size, "ok %s", text);
        else
                snprintf(ret, size, "error %s: %s", text, result == -ESHUTDOWN ? "the job is ending" : result == -EINVAL ? "not a request" : strerror(-result));
}

void fgr_reap(struct fgr_runner *r)
{
        int how;
        pid_t pid;
        while ((pid = waitpid(-1, &how, WNOHANG)) > 0)
                if (pid == r->status.pid) {
                        pause_time(r);
                        r->reaped = true;
                        r->wait_status = how;
                }
}

static void conclude(struct fgr_runner *r)
{
        struct fg_job_status *s = &r->status;
        bool begun = s->pid > 0;
        if (begun && WIFEXITED(r->wait_status))
                s->code = WEXITSTATUS(r->wait_status);
        if (begun && WIFSIGNALED(r->wait_status))
                s->signal = WTERMSIG(r->wait_status);
        if (s->why == FG_JOB_WHY_EXEC_FAILED) /* whether the child came to its exit, or was killed on the way */
                s->code = s->error == ENOENT ? 127 : 126, s->signal = -1;
        if (s->why == FG_JOB_WHY_NONE)
                s->why = r->stop ? r->stop_why : s->signal >= 0 ? FG_JOB_WHY_SIGNAL : FG_JOB_WHY_EXIT;
        /* Once: a turn takes more than the pipe can hold, and who writes from outside of the job must not keep it from ending. */
        if (r->output >= 0)
                fgr_log_pump(r);
        fgr_log_close(r);
        s->ended = fgr_unix_ms();
        change(r, FG_JOB_ENDED);
}

/* Everything dies; the job has ended when nothing is left. */
static void kill_on(struct fgr_runner *r)
{
        uint64_t now = fgr_now();
        if (now < r->next_kill)
                return;
        if (r->frozen && r->status.group == FG_JOB_GROUP_V1)
                r->frozen = false; /* killing thaws */
        if (fgr_group_end(r) && (r->reaped || !r->status.pid)) {
                conclude(r);
                return;
        }
        r->kill_pause = r->kill_pause ? 2 * r->kill_pause : 2;
        if (r->kill_pause > PAUSE_MAX)
                r->kill_pause = PAUSE_MAX;
        r->next_kill = now + r->kill_pause;
}

static void check_verdict(struct fgr_runner *r)
{
        int result = fgr_verdict(r);
        if (result == -EAGAIN)
                return;
        if (result < 0) {
                r->killing = true;
                return;
        }
        if (r->status.state == FG_JOB_STARTING && !r->stop) /* also when it is over already: what ran has been running */
                change(r, FG_JOB_RUNNING);
}

static void check_stop(struct fgr_runner *r)
{
        if (!r->termed && is_executed(r)) {
                r->termed = true;
                fgr_group_signal(r, SIGTERM);
                if (r->frozen)
                        thaw(r);
                change(r, FG_JOB_STOPPING);
        }
        if (fgr_now() >= r->kill_at)
                r->killing = true;
}

static void check_frozen(struct fgr_runner *r)
{
        if (r->status.state == FG_JOB_SUSPENDED || r->stop)
                return;
        if (fgr_group_is_frozen(r) || fgr_now() >= r->freeze_deadline)
                change(r, FG_JOB_SUSPENDED);
}

static int64_t until(uint64_t when)
{
        uint64_t now = fgr_now();
        return when > now ? (int64_t)(when - now) : 0;
}

static int64_t next_turn(const struct fgr_runner *r)
{
        int64_t next = -1;
        if (r->killing)
                next = until(r->next_kill);
        else if (r->stop)
                next = until(r->kill_at);
        else if (r->frozen && r->status.state != FG_JOB_SUSPENDED)
                next = FGR_TICK;
        else if (r->spec.time_limit && r->run_since)
                next = fgr_ran(r) < r->spec.time_limit ? (int64_t)(r->spec.time_limit - fgr_ran(r)) : 0;
        if (!r->saved && (next < 0 || next > until(r->next_save)))
                next = until(r->next_save);
        return next;
}

int64_t fgr_turn(struct fgr_runner *r)
{
        if (!r->saved && fgr_now() >= r->next_save) {
                fgr_status_save(r);
                if (r->saved)
                        fgr_control_tell(r);
        }
        if (r->status.state == FG_JOB_ENDED)
                return next_turn(r);
        if (r->verdict >= 0)
                check_verdict(r);
        if (r->want_suspended && !r->frozen && !r->reaped && ask_suspended(r, true) < 0)
                fgr_control_tell(r); /* asked for before there was anything to freeze */
        if (r->frozen)
                check_frozen(r);
        if (!r->stop && !r->killing && r->spec.time_limit && r->run_since && fgr_ran(r) >= r->spec.time_limit)
                fgr_stop(r, FG_JOB_WHY_TIME_LIMIT, r->spec.grace);
        if (r->reaped)
                r->killing = true;
        else if (r->stop)
                check_stop(r);
        if (r->killing)
                kill_on(r);
        return next_turn(r);
}
