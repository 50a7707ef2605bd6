/* SPDX-License-Identifier: Apache-2.0
 * Spark's, Flink's and YARN's managers, which are asked over HTTP. */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include "cli/cli.h"

#include <time.h>

struct cli_engine {
        const char *kind;    /* "yarn" */
        const char *manager; /* "YARN's ResourceManager" */
        /* What cli_engine_find() found. */
        char url[512];             /* http://HOST[:PORT][/PATH], without a slash at its end */
        char host[256], port[8];   /* of it; an IPv6 host without its brackets */
        struct timespec end;       /* of CLOCK_MONOTONIC: until then all that is asked has to be answered */
};

/* Where the manager is: `typed`, or NULL for what the engine's own configuration says. 0, or CLI_USAGE, said. */
int cli_engine_find(struct cli_engine *engine, const char *typed);
/* GET of "/path", read as JSON. All calls together wait for 10 s, besides what the resolver takes for the host's name. 0; CLI_NOT_FOUND, not
 * said; or the exit code, said. */
int cli_engine_get(const struct cli_engine *engine, const char *path, json_t **ret);

#endif
