/* SPDX-License-Identifier: Apache-2.0
 * A job as its runner and the daemon write it down: what is to run (spec) and what became of it (status).
 *
 *   DIR/spec     what is to run; written once, before anything is started
 *   DIR/lock     write-locked (open file description) while a runner lives; never removed
 *   DIR/begun    exists from just before the command is executed, for ever: such a job is never started again
 *   DIR/status   the last state, replaced as a whole
 *   DIR/log      standard output and error of the command
 *   DIR/control  socket (SOCK_SEQPACKET) of the living runner */
#ifndef FG_BASE_JOB_H
#define FG_BASE_JOB_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FG_JOB_ID_MAX    64u          /* with its NUL; a name as fg_name_check() has it */
#define FG_JOB_WORDS_MAX 4096u        /* of the command, and as many variables */
#define FG_JOB_SPEC_MAX  (2u << 20)   /* bytes of DIR/spec */
#define FG_JOB_TIME_MAX  (10ull * 366 * 86400 * 1000) /* ms */
#define FG_JOB_TEXT_MAX  256u

enum fg_job_group { /* what holds the job's processes together */
        FG_JOB_GROUP_AUTO, /* in a spec alone: the first of the following that works */
        FG_JOB_GROUP_V2,
        FG_JOB_GROUP_V1,
        FG_JOB_GROUP_NONE, /* a session of its own, and looking for descendants in /proc */
};

struct fg_job_spec {
        char id[FG_JOB_ID_MAX];
        uid_t uid;            /* runs as; its account's groups. Another than the runner's own only when that is root */
        gid_t gid;            /* one group more, for the attach socket; (gid_t)-1: none */
        const char *cwd;      /* absolute; "": the account's home, else "/" */
        char **argv;          /* at least one word; a word without '/' is looked for in PATH */
        char **env;           /* "NAME=value"; HOME USER LOGNAME SHELL PATH LANG are set unless they are here, FASTGPU_JOB=ID always */
        uint32_t argc, envc;
        uint64_t time_limit;  /* ms of running, suspension not counted; 0: none */
        uint64_t grace;       /* ms between SIGTERM and SIGKILL at the time limit */
        uint64_t log_max;     /* bytes of DIR/log; what comes later is dropped and counted */
        uint64_t pids_max;    /* processes and threads at once, where a cgroup can bound them; 0: no bound */
        enum fg_job_group group;
        bool background;      /* SCHED_IDLE, as `background` in the answer to POST /v1/open */
        void *storage;        /* of a spec that was read: everything above points into it */
};

enum fg_job_state {
        FG_JOB_STARTING,  /* the runner lives, the command has not begun */
        FG_JOB_RUNNING,
        FG_JOB_SUSPENDED,
        FG_JOB_STOPPING,  /* told to end; may still be there */
        FG_JOB_ENDED,     /* nothing of it lives; final */
};

enum fg_job_why { /* why it ended; NONE until then */
        FG_JOB_WHY_NONE,
        FG_JOB_WHY_EXIT,        /* by itself: `code` */
        FG_JOB_WHY_SIGNAL,      /* by a signal that the runner did not send: `signal` */
        FG_JOB_WHY_TIME_LIMIT,  /* `code` or `signal` as the command ended */
        FG_JOB_WHY_STOPPED,     /* asked to; `code` or `signal` as the command ended */
        FG_JOB_WHY_EXEC_FAILED, /* `error`, `text` names the word; `code` 127 (not found) or 126 */
        FG_JOB_WHY_SETUP_FAILED, /* the command was not begun: `error`, `text`: user, cgroup, folder, log; may be started again in a new folder */
        FG_JOB_WHY_LOST,        /* the runner was killed or the machine went down after the command had begun; how it ended is not known */
        FG_JOB_WHY_COUNT
};

struct fg_job_status {
        enum fg_job_state state;
        enum fg_job_why why;
        enum fg_job_group group;
        pid_t pid;            /* of the command; 0: not begun. Stays when it has ended */
        uint64_t pid_start;   /* its start time, field 22 of /proc/PID/stat */
        int code, signal;     /* -1: did not end that way */
        int error;            /* errno, positive; 0: none */
        int64_t started, ended; /* unix time, ms; 0: not yet */
        uint64_t ran;         /* ms, suspension not counted */
        uint64_t cpu;         /* us of user and system time; of all processes where a cgroup counts it, else of those waited for */
        uint64_t max_rss;     /* bytes; of the largest process waited for */
        uint64_t log, dropped; /* bytes of output kept and not kept */
        char boot[37];        /* /proc/sys/kernel/random/boot_id: pids mean nothing under another */
        char cgroup[512];     /* folder of the job's cgroup (V2, V1), "" */
        char pids[512];       /* folder of a second hierarchy that bounds the processes, "" */
        char text[FG_JOB_TEXT_MAX]; /* for people: what failed; no newline */
};

extern const char *const fg_job_state_names[]; /* "starting" … "ended" */
extern const char *const fg_job_why_names[];   /* "none", "exit", "signal", "time-limit", "stopped", "exec-failed", "setup-failed", "lost" */
extern const char *const fg_job_group_names[]; /* "auto", "v2", "v1", "none" */

/* -EINVAL: names what cannot be (also a text with NUL, a variable without '='). */
int fg_job_spec_check(const struct fg_job_spec *spec, struct fg_error *err);
/* Bytes of DIR/spec, allocated. */
int fg_job_spec_write(const struct fg_job_spec *spec, char **ret, size_t *ret_size, struct fg_error *err);
/* `ret` owns copies; fg_job_spec_free() it. Any bytes may be given; -EBADMSG: not a spec. */
int fg_job_spec_read(const char *bytes, size_t size, struct fg_job_spec *ret, struct fg_error *err);
void fg_job_spec_free(struct fg_job_spec *spec);

#define FG_JOB_STATUS_MAX 4096u
/* Text of DIR/status and of an event; returns its length. */
size_t fg_job_status_write(const struct fg_job_status *status, char ret[FG_JOB_STATUS_MAX]);
/* -EBADMSG: not a status, or one that was cut. */
int fg_job_status_read(const char *bytes, size_t size, struct fg_job_status *ret);

/* "FASTGPU_JOB_MARK=…", in the environment of everything the job starts: no other job that there is has the same. */
#define FG_JOB_MARK_MAX 64u
int fg_job_mark(int dir, char ret[FG_JOB_MARK_MAX]);

/* Replaces DIR/NAME by these bytes: after 0 they survive a power cut, else the old ones do. */
int fg_job_file_put(int dir, const char *name, const void *bytes, size_t size);
/* All of DIR/NAME, allocated, with a NUL behind it. -EFBIG: more than `max`. */
int fg_job_file_get(int dir, const char *name, size_t max, char **ret, size_t *ret_size);

#endif
