/* SPDX-License-Identifier: Apache-2.0
 * What the verbs about jobs share. */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "cli/cli.h"

/* "5" or "5/3": digits, so that it is a job and no vGPU. */
bool cli_job_is_id(const char *text);
/* "/v1/jobs/5TAIL?index=3&QUERY"; tail "" or "/log". 0, or CLI_USAGE, said. */
int cli_job_path(const char *id, const char *tail, const char *query, char *ret, size_t len);

/* Writes what the job has written from its beginning to standard output, with `follow` until it has ended. Ctrl-C leaves it, having
 * said how to come back. 0, or the exit code, said. */
int cli_job_follow(struct fg_client **client, const char *id, bool follow);
/* Waits until it is over: *ret is the job. Ctrl-C as above. */
int cli_job_wait(struct fg_client **client, const char *id, json_t **ret);
/* The exit code that tells how it ended, having said so where it was not well. */
int cli_job_exit(const json_t *job);

/* why_slurm.c: the answer for "slurm-JOB", a job of Slurm's that waits; false: it is none. */
bool cli_why_slurm(const char *name, json_t **ret);
/* why_engine.c: the answer for "spark/…", "flink/…", "yarn/…"; `url` NULL: by the engine's environment. 0; the exit code, said; -1: it is none. */
int cli_why_engine(const char *name, const char *url, json_t **ret);

#endif
