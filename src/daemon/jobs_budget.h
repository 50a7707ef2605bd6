/* SPDX-License-Identifier: Apache-2.0
 *
 * What a job may cost: when it was billed that much it is suspended, all of it, until the budget is raised or taken away. Looked at each
 * minute, when what was used goes on record. */
#ifndef FGD_JOBS_BUDGET_H
#define FGD_JOBS_BUDGET_H

#include "daemon/jobs.h"

/* Of a job that has not ended. */
struct fgd_job_budget {
        TAILQ_ENTRY(fgd_job_budget) order;
        struct fgd_job *job;
        struct fgd_job_limit limit;
};

/* 0, or -ENOMEM and nothing has changed. An amount of 0: it has none. */
int fgd_job_budget_put(struct fgd_manager *manager, struct fgd_job *job, const struct fgd_job_limit *limit);
/* A person sets it, or takes it away; durable when it returns 0. A job that it had suspended goes on if there is money again. */
int fgd_job_budget_set(struct fgd_manager *manager, struct fgd_job *job, const struct fgd_job_limit *limit, struct fgd_problem *problem);
/* What the job was billed since it was submitted, nano-units; -1: there is no money log. */
int64_t fgd_job_spent(const struct fgd_manager *manager, int64_t id, const struct fgd_job_limit *limit);
bool fgd_job_is_used_up(const struct fgd_manager *manager, const struct fgd_job *job);
/* Suspends those whose budget is used up. */
void fgd_job_budgets_watch(struct fgd_manager *manager);
/* "9.87 EUR". Returns buf. */
char *fgd_job_limit_format(int64_t nano, const struct fgd_job_limit *limit, char *buf, size_t size);

#endif
