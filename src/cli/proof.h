/* SPDX-License-Identifier: Apache-2.0
 *
 * Does the layer load? An OpenCL loader ignores a layer that it cannot find, cannot load or knows nothing of, without a
 * word: a program would then run without limits. So a child loads the loader as the program will and sees whether the
 * layer speaks up: its clInitLayer writes 'F' to the descriptor in FASTGPU_PROVE. */
#ifndef CLI_PROOF_H
#define CLI_PROOF_H

#include "base/error.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define CLI_PROVE_ENV "FASTGPU_PROVE"
#define CLI_LAYER_ENV "OPENCL_LAYERS"

enum cli_verdict {
        CLI_PROOF_LOADED,
        CLI_PROOF_NO_LAYER,   /* the layer's file is missing */
        CLI_PROOF_BAD_LAYER,  /* it is there but cannot be loaded */
        CLI_PROOF_NO_LOADER,  /* no libOpenCL.so.1 */
        CLI_PROOF_OLD_LOADER, /* it knows nothing of layers */
        CLI_PROOF_CRASHED,    /* the child died or did not end in time */
};

struct cli_proof {
        char layer[PATH_MAX];
        int pipe;
        pid_t pid;
};

/* Starts the child; takes a moment in which the caller can do something else. 0 or -errno. */
int cli_proof_start(struct cli_proof *proof, struct fg_error *err);
/* Its verdict, within 5 s; the child is gone afterwards. `err` says what is wrong and how to mend it. */
enum cli_verdict cli_proof_finish(struct cli_proof *proof, struct fg_error *err);
/* No longer interested. Safe after finish. */
void cli_proof_drop(struct cli_proof *proof);

#endif
