/* SPDX-License-Identifier: Apache-2.0
 * Between a run and its runner. */
#ifndef FGD_JOBS_LAUNCH_H
#define FGD_JOBS_LAUNCH_H

#include "daemon/jobs.h"

/* What the folder of an attempt is called: "5", "5.3", "5.3_2" for the third attempt. */
void fgd_run_name(const struct fgd_job *job, uint32_t index, uint32_t attempt, char ret[FG_JOB_ID_MAX]);
void fgd_run_changed(struct fgd_manager *manager, struct fgd_run *run, const struct fg_job_status *status);
/* It is over: its vGPUs go, and with them the run. The run may be freed when this returns. */
void fgd_run_end(struct fgd_manager *manager, struct fgd_run *run, const struct fg_job_status *status);
/* In a moment: to launch it, or to let its vGPUs go. */
void fgd_run_try_again(struct fgd_manager *manager, struct fgd_active *active);

#endif
