/* SPDX-License-Identifier: Apache-2.0
 *
 * fastgpu-job: runs one job and outlives the daemon (docs/design/runner.md). One thread, one loop, one object.
 *
 * Equation: pid > 0 and !reaped while the command lives; ended is set once, after nothing of the job lives. */
#ifndef FGR_RUNNER_H
#define FGR_RUNNER_H

#include "base/error.h"
#include "base/job.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define FGR_CONNECTIONS 4u
#define FGR_MESSAGE_MAX 64u /* bytes of a request */
#define FGR_TICK        20u /* ms between looks at what cannot be waited for */

struct fgr_connection {
        int fd;          /* -1: none */
        uint64_t since;  /* serial; the oldest makes room */
        bool dirty;      /* a newer status is to be sent when there is room */
        bool answer;     /* `reply` is to be sent first */
        char reply[FGR_MESSAGE_MAX + FG_ERROR_MAX];
};

struct fgr_runner {
        int dir, lock, listener, signals, timer;
        struct fg_job_spec spec;
        struct fg_job_status status;
        struct fgr_connection connection[FGR_CONNECTIONS];
        uint64_t connections;  /* so far */
        int output, log;       /* the pipe's end, DIR/log */
        int verdict;           /* what the child says when it cannot execute the command; closed by exec */
        bool reaped;           /* the command has ended; `wait_status` says how */
        int wait_status;
        bool want_suspended;   /* asked for */
        bool frozen;           /* freezing has begun */
        bool stop;             /* asked for, or the time is over */
        bool termed, killing;  /* SIGTERM was sent; SIGKILL is being sent */
        enum fg_job_why stop_why;
        uint64_t kill_at;      /* ms of CLOCK_BOOTTIME; when `stop` */
        uint64_t freeze_deadline;
        uint64_t ran, run_since; /* ms; run_since 0: not running now */
        uint64_t kill_pause;   /* ms until the next look at what was killed */
        uint64_t next_kill;
        bool saved;            /* DIR/status has what `status` says */
        uint64_t next_save;
};

/* --- clock: ms of CLOCK_BOOTTIME; unix time --- */
uint64_t fgr_now(void);
int64_t fgr_unix_ms(void);
/* ms that the command has been running, suspension not counted. */
uint64_t fgr_ran(const struct fgr_runner *runner);

/* --- start.c --- */
/* Lock, spec, socket, log, group: everything before the command may begin. -EALREADY: it has begun once. */
int fgr_start(struct fgr_runner *runner, const char *path, struct fg_error *err);
/* --- child.c --- */
/* Marks the job as begun and starts the command. */
int fgr_begin(struct fgr_runner *runner, struct fg_error *err);
/* Reads what the child has to say: 0 executed, -EAGAIN nothing yet, else status.error, why and text are set. */
int fgr_verdict(struct fgr_runner *runner);

/* --- group.c, tree.c --- */
int fgr_group_make(struct fgr_runner *runner, struct fg_error *err);
/* In the child: the calling process enters. */
int fgr_group_enter(const struct fg_job_status *status);
int fgr_group_freeze(struct fgr_runner *runner, bool frozen);
bool fgr_group_is_frozen(struct fgr_runner *runner);
void fgr_group_signal(struct fgr_runner *runner, int signal);
/* SIGKILL to all. True when nothing lives any more (and the folders are gone). */
bool fgr_group_end(struct fgr_runner *runner);
/* us of user and system time so far. */
uint64_t fgr_group_cpu(const struct fgr_runner *runner);
/* Without a cgroup: sends the signal to all descendants; returns how many there are. */
unsigned fgr_tree_signal(int signal);
/* The same until no further ones appear, for SIGSTOP: a stopped tree does not grow. */
void fgr_tree_stop(void);

/* --- log.c --- */
/* Takes what the pipe has, at most a megabyte. False: it has ended. */
bool fgr_log_pump(struct fgr_runner *runner);
/* The line that tells what was dropped. */
void fgr_log_close(struct fgr_runner *runner);

/* --- control.c --- */
void fgr_control_add(struct fgr_runner *runner, int fd);
void fgr_control_accept(struct fgr_runner *runner);
void fgr_control_serve(struct fgr_runner *runner, struct fgr_connection *connection, short events);
/* The status has changed: everybody connected is told. */
void fgr_control_tell(struct fgr_runner *runner);
/* --- state.c --- */
/* Carries out one request; the text of an answer. */
void fgr_request(struct fgr_runner *runner, const char *text, char *ret, size_t size);
/* What time, signals and deaths have brought; moves the state on. Returns ms until it wants to be called again, -1: not by itself. */
int64_t fgr_turn(struct fgr_runner *runner);
void fgr_reap(struct fgr_runner *runner);
void fgr_stop(struct fgr_runner *runner, enum fg_job_why why, uint64_t grace);
/* --- status.c --- */
int fgr_status_prepare(struct fgr_runner *runner);
/* Makes DIR/status say what `status` says; what cannot be written now is tried again. */
void fgr_status_save(struct fgr_runner *runner);
void fgr_status_figures(struct fgr_runner *runner);

#endif
