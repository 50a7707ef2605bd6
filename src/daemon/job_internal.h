/* SPDX-License-Identifier: Apache-2.0
 * Between job_dir.c, job_link.c, job_spawn.c and job_sweep.c. */
#ifndef FGD_JOB_INTERNAL_H
#define FGD_JOB_INTERNAL_H

#include "daemon/job_link.h"

/* --- job_dir.c --- */
/* The lock on DIR/lock, which goes with the descriptor and everybody who inherits it. -EBUSY: a runner has it. */
int fgd_job_lock(int dir, int *ret_lock);
bool fgd_job_has(int dir, const char *name);
/* -EBADMSG also when it is of a machine that went down in the middle of the first one. */
int fgd_job_read_status(int dir, struct fg_job_status *ret);

/* --- job_spawn.c --- */
/* fastgpu-job DIR with the lock and the other end of *ret_socket. */
int fgd_job_spawn(const char *dir, int lock, int *ret_socket, pid_t *ret_pid, struct fg_error *err);
/* By the loop, whatever becomes of the link; where the loop cannot watch it, it stays a zombie until this process ends, which harms nobody. */
void fgd_job_bury_later(struct fgd_manager *manager, pid_t pid);

/* --- job_sweep.c --- */
/* Kills what a killed runner left behind. 0: nothing lives; -EBUSY: call again. */
int fgd_job_sweep(int dir, const struct fg_job_status *status);

#endif
