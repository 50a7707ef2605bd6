/* SPDX-License-Identifier: Apache-2.0
 * What holds a job's processes together, by the folders that a status names: used by the runner while it lives, by the daemon
 * on what a killed runner left. Nothing here waits. */
#ifndef FG_BASE_JOB_GROUP_H
#define FG_BASE_JOB_GROUP_H

#include "base/job.h"

/* One line of a cgroup's file. Returns 0 or -errno. */
int fg_job_group_put(const char *folder, const char *file, const char *text);
/* Begins to freeze or thaw everything in it. V1 and V2. */
int fg_job_group_freeze(const struct fg_job_status *status, bool frozen);
/* Whether all of it is frozen by now. */
bool fg_job_group_is_frozen(const struct fg_job_status *status);
/* Sends a signal to each process. Returns how many there were, or -errno. */
int fg_job_group_signal(const struct fg_job_status *status, int signal);
/* SIGKILL to all, frozen ones included; call it again until fg_job_group_remove succeeds: what was just being forked may have escaped. */
void fg_job_group_kill(const struct fg_job_status *status);
/* Removes the folders; -EBUSY while something lives in them. Folders that are gone are 0. */
int fg_job_group_remove(const struct fg_job_status *status);

/* Fields 4 (parent), 6 (session) and 22 (start time) of /proc/PID/stat. A process that only waits to be buried is -ESRCH. */
struct fg_job_process {
        pid_t parent, session;
        uint64_t start;
};
int fg_job_process_read(pid_t pid, struct fg_job_process *ret);

#endif
