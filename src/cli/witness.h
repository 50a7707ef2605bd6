/* SPDX-License-Identifier: Apache-2.0
 *
 * The command as a witness of a node's money log: the newest checkpoint it saw of each daemon it talks to is kept
 * ($XDG_STATE_HOME/fastgpu/checkpoints/), and the next one has to go on from it. */
#ifndef CLI_WITNESS_H
#define CLI_WITNESS_H

#include "cli/cli.h"
#include "tlog/tlog.h"

struct cli_witness {
        char note[FG_TLOG_NOTE_MAX]; /* the checkpoint, checked; "": the log has none yet */
        struct fg_tlog_checkpoint checkpoint;
        char key[FG_TLOG_BASE64(32)];
        uint8_t public[32];
};

/* Asks for the checkpoint, checks its signature and that it goes on from the one that is kept, and keeps it. 0, or the exit
 * code, said: CLI_FAILED when the log was truncated, changed or replaced. A daemon that keeps no log is nothing to witness. */
int cli_witness(struct cli_witness *ret);
/* The key that was kept of the daemon that is used now. 1, or 0: none. */
int cli_witness_key(uint8_t ret[32]);

/* "GET path?query" with a value that is percent-encoded; appends to `path`. */
void cli_query_add(char *path, size_t size, const char *name, const char *value);

#endif
