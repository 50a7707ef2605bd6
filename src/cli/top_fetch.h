/* SPDX-License-Identifier: Apache-2.0
 * Asks the daemon from a thread, so that keys are heard while it does not answer. */
#ifndef CLI_TOP_FETCH_H
#define CLI_TOP_FETCH_H

#include "cli/cli.h"

#include <stdbool.h>
#include <stdint.h>

struct cli_top_ask {
        bool sets;          /* devices and vGPUs */
        char jobs[320];     /* path of the jobs that are shown; "": none */
        uint64_t why;       /* the job whose reason is shown; 0: none */
        char method[8];     /* of a change; "": none */
        char path[320];
};

struct cli_top_answer {
        int code;          /* exit code of what failed first; 0 */
        json_t *problem;   /* and its words */
        json_t *devices, *sets, *jobs, *why;
        bool changed;      /* it is the answer to a change */
};

struct cli_top_fetch;

/* The client is the thread's from now on. NULL: no thread. */
struct cli_top_fetch *cli_top_fetch_new(struct fg_client *client, const char *project);
/* Can be read when there is an answer. */
int cli_top_fetch_fd(const struct cli_top_fetch *fetch);
/* false: it is busy with another, which takes as long as it takes. */
bool cli_top_fetch_ask(struct cli_top_fetch *fetch, const struct cli_top_ask *ask);
/* false: no answer yet. The values are the caller's. */
bool cli_top_fetch_take(struct cli_top_fetch *fetch, struct cli_top_answer *ret);
void cli_top_answer_clear(struct cli_top_answer *answer);

/* The request of one look, where no thread is needed. */
void cli_top_ask(struct fg_client *client, const char *project, const struct cli_top_ask *ask, struct cli_top_answer *ret);

#endif
