/* SPDX-License-Identifier: Apache-2.0
 * Spark's, Flink's and YARN's managers, which are asked over HTTP. */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include "cli/cli.h"

struct cli_engine {
        const char *kind;    /* "yarn" */
        const char *manager; /* "YARN's ResourceManager" */
        char url[512];       /* without a slash at its end */
};

/* Where the manager is: `typed`, or NULL for what the engine's own environment says. 0, or CLI_USAGE, said. */
int cli_engine_find(struct cli_engine *engine, const char *typed);
/* GET of "/path", read as JSON, in at most 10 s. 0; CLI_NOT_FOUND, not said; or the exit code, said. */
int cli_engine_get(const struct cli_engine *engine, const char *path, json_t **ret);

#endif
