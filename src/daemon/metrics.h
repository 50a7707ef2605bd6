/* SPDX-License-Identifier: Apache-2.0
 * GET /metrics: what the daemon knows, as Prometheus reads it. One table (metrics_table.c) declares every series; the manual page is made
 * of it. docs/design/metrics.md says what is promised of them. Belongs to the main thread. */
#ifndef FGD_METRICS_H
#define FGD_METRICS_H

#include "daemon/problem.h"

#include <stdbool.h>
#include <stdint.h>

struct fgd_job;
struct fgd_manager;
struct fgd_metrics;
struct fgd_project;

int fgd_metrics_new(struct fgd_manager *manager, struct fg_error *err);
void fgd_metrics_free(struct fgd_manager *manager);

/* A request, or what was due, kept everybody waiting for so long. */
void fgd_metrics_turn(struct fgd_manager *manager, uint64_t ns);
/* A pass of the job queue took so long, with the carrying out of what it decided. */
void fgd_metrics_pass(struct fgd_manager *manager, uint64_t ns);
void fgd_metrics_refused(struct fgd_manager *manager, enum fgd_problem_type type);
/* Some came or went: figures of theirs are added up anew. */
void fgd_metrics_projects_changed(struct fgd_manager *manager);
/* A run of the job starts for the first time. */
void fgd_metrics_started(const struct fgd_job *job, int64_t now_ms);

/* What is added up for a project. */
struct fgd_project_figures;
void fgd_project_figures_free(struct fgd_project_figures *figures); /* NULL is fine */

/* Whether an Accept header wants OpenMetrics rather than the plain text format; NULL: none. */
bool fgd_metrics_wants_openmetrics(const char *accept);

#endif
