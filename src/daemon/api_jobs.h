/* SPDX-License-Identifier: Apache-2.0
 * What the requests about jobs share. */
#ifndef FGD_API_JOBS_H
#define FGD_API_JOBS_H

#include "daemon/api_internal.h"
#include "daemon/jobs.h"
#include "daemon/store_jobs.h"

/* A job, or an element of it, that the caller may see: what is needed once its row has been read. */
struct fgd_job_ref {
        int64_t id, owner, index; /* owner 0: the operator; index: of an element, from 0; -1: all of it */
        struct fgd_project *project;
        struct fgd_job *job; /* NULL: it is over */
        bool is_array;
        uint32_t first, count;
        char owner_name[64];
};
/* "ID" or "ID/INDEX", or `element` as the INDEX ("": none). */
int fgd_call_job(struct fgd_call *call, const char *text, const char *element, struct fgd_job_ref *ret);
/* A member changes only what is his. */
int fgd_call_owns_job(struct fgd_call *call, const struct fgd_job_ref *ref);

/* Reads a submission; what `submit` points to is in *ret_spec and *ret_body, the caller's to free. */
int fgd_body_submit(struct fgd_call *call, json_t *body, struct fgd_submit *submit, char **ret_spec);
extern const char *const fgd_submit_fields[];
/* "budget"; null or an amount of 0: none. */
int fgd_body_budget(struct fgd_call *call, json_t *body, bool *ret_given, struct fgd_job_limit *ret);

/* One object, without a newline. */
void fgd_write_job(struct fgd_manager *manager, const struct fgd_store_job *row, struct fgd_text *text);
void fgd_write_run(struct fgd_manager *manager, const struct fgd_run_result *result, uint32_t first, struct fgd_text *text);
/* The state that the row's job has now, as a person sees it. */
enum fgd_job_state fgd_job_state_now(const struct fgd_manager *manager, const struct fgd_store_job *row);
extern const char *const fgd_class_names[3];

#endif
