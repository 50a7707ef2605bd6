/* SPDX-License-Identifier: Apache-2.0
 * The lives of jobs and vGPUs as traces, for a collector that speaks OTLP/HTTP. Off unless an endpoint is given. A span is told when it is
 * over; whoever has an id of a job knows its trace, also after a restart. Nothing here waits: what cannot be handed on is dropped. */
#ifndef FGD_TRACE_H
#define FGD_TRACE_H

#include <stdint.h>

struct fgd_job;
struct fgd_manager;
struct fgd_run;
struct fgd_run_result;
struct fgd_set;
struct fgd_set_trace;

/* Where to, as options and environment have it; a bad one is noted and nothing is told. */
void fgd_trace_start(struct fgd_manager *manager);
void fgd_trace_free(struct fgd_manager *manager);

/* All of these do nothing while there is no endpoint. */
void fgd_trace_job_over(struct fgd_manager *manager, const struct fgd_job *job);
/* One attempt of a run is over, or it is over before it began. */
void fgd_trace_run_over(struct fgd_manager *manager, const struct fgd_run *run, const struct fgd_run_result *result);
void fgd_trace_set_made(struct fgd_manager *manager, struct fgd_set *set);
void fgd_trace_set_event(struct fgd_manager *manager, struct fgd_set *set, const char *event); /* `event`: static */
void fgd_trace_set_gone(struct fgd_manager *manager, const struct fgd_set *set);
void fgd_set_trace_free(struct fgd_set_trace *trace); /* NULL is fine */

#endif
