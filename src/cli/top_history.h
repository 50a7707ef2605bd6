/* SPDX-License-Identifier: Apache-2.0
 * What `top` has seen of each row, for its bars: as much as a wide screen shows, and nothing of what is gone. */
#ifndef CLI_TOP_HISTORY_H
#define CLI_TOP_HISTORY_H

#include "cli/top_rows.h"

#include <stdint.h>

#define CLI_TOP_HISTORY 32 /* values that are kept */

struct cli_top_history;

struct cli_top_history *cli_top_history_new(void);
void cli_top_history_free(struct cli_top_history *history);
/* One look: what the bars of these rows show. Rows of this view that are not among them are forgotten. */
void cli_top_history_add(struct cli_top_history *history, enum cli_top_view_id view, const json_t *rows);
/* A look that brought no answer: a blank in every bar. */
void cli_top_history_gap(struct cli_top_history *history);
/* The values of one row, oldest first; 0: none. `field` is that of a CLI_TOP_SPARK column. */
size_t cli_top_history_get(const struct cli_top_history *history, enum cli_top_view_id view, const char *key, const char *field,
                           uint16_t ret[CLI_TOP_HISTORY]);

#endif
