/* SPDX-License-Identifier: Apache-2.0
 * The views of `top`: each a table whose rows are made from what the daemon answered. */
#ifndef CLI_TOP_ROWS_H
#define CLI_TOP_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum cli_top_view_id { CLI_TOP_VGPU, CLI_TOP_PROCESS, CLI_TOP_TENANT, CLI_TOP_DEVICE, CLI_TOP_JOB, CLI_TOP_VIEWS };

enum cli_top_format {
        CLI_TOP_TEXT,
        CLI_TOP_COUNT,
        CLI_TOP_SIZE,
        CLI_TOP_SHARE, /* permille; "-" where it is not known */
        CLI_TOP_RATE,
        CLI_TOP_SECONDS, /* from ns */
        CLI_TOP_AGE,     /* from s */
        CLI_TOP_SPARK,   /* the history of `field`: on a screen alone */
};

struct cli_top_column {
        const char *title, *field; /* of a row; what one sorts by */
        enum cli_top_format format;
        int min; /* columns of the screen that it takes at least, so that it does not dance */
};

struct cli_top_table {
        const char *name, *title;
        const struct cli_top_column *columns;
        size_t count;
        const char *sort; /* as for --sort */
};

/* By enum cli_top_view_id. */
extern const struct cli_top_table cli_top_tables[CLI_TOP_VIEWS];

/* -1: there is none of this name. */
int cli_top_table_find(const char *name);
/* Column to sort by, "got" or "GOT", and with "-" in front the other way round. -1: none like this, or it cannot be
 * sorted by. */
int cli_top_sort_find(const struct cli_top_table *table, const char *name, bool *ret_turned);

/* The rows of a view, an array of objects, each with "key": what stays the same as long as it is the same thing.
 * `model`: cli_top_view()'s; of jobs the answer to GET /v1/jobs. `local`: the daemon's processes are this machine's. */
json_t *cli_top_rows(enum cli_top_view_id view, const json_t *model, bool local);

/* Orders `rows`: numbers fall, texts rise, the other way round if `turned`; what is equal by its key. */
void cli_top_sort(const json_t **rows, size_t count, const struct cli_top_column *by, bool turned);
/* Does any text of the row have `text` in it, in whatever case? */
bool cli_top_matches(const struct cli_top_table *table, const json_t *row, const char *text);
/* A cell as text, not yet fit for a terminal. CLI_TOP_SPARK: "". */
void cli_top_cell(const json_t *row, const struct cli_top_column *column, char *ret, size_t len);
static inline bool cli_top_is_right(const struct cli_top_column *column)
{
        return column->format != CLI_TOP_TEXT && column->format != CLI_TOP_SPARK;
}
/* The same to an array, in place; `sort` as for --sort. */
void cli_top_sort_array(const struct cli_top_table *table, json_t *rows, const char *sort);
/* Prints rows where there is no screen. */
void cli_top_print(const struct cli_top_table *table, const json_t *rows, FILE *out);

#endif
