/* SPDX-License-Identifier: Apache-2.0
 * Verbs that do the same with each of the names behind them. */
#ifndef CLI_EACH_H
#define CLI_EACH_H

#include "cli/cli.h"

struct cli_each {
        const char *verb, *method;
        const char *done;  /* how the list of what was done is called in JSON */
        const char *field; /* how what was named is called among `failed` */
        const char *hint;  /* "NAME (`fastgpu list` shows the names)" */
        bool with_answers; /* `done` lists what the daemon answered, not the names */
        /* 0 with the path, or CLI_USAGE, said. Asked for all names before the first request. */
        int (*path)(const struct cli_words *words, const char *verb, const char *name, char *ret, size_t len);
};

/* Parses and does it. What fails is said, and the others are done. Returns the first exit code that is not 0. */
int cli_each(const struct cli_each *each, const struct argp *argp, int argc, char **argv);
/* A set of vGPUs as a whole: "/v1/vgpus/[PROJECT:]NAME". Refuses NAME/I. */
int cli_set_path(const char *verb, const char *name, char *ret, size_t len);

#endif
