/* SPDX-License-Identifier: Apache-2.0
 * Aligned tables for people: text left, numbers right, columns two spaces apart. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct cli_column {
        const char *title;
        bool right; /* numbers */
};

struct cli_table;

/* `columns` must outlive the table. NULL: out of memory. */
struct cli_table *cli_table_new(const struct cli_column *columns, size_t count);
void cli_table_free(struct cli_table *table);
/* The next cell, row by row. Control characters become '?'. */
__attribute__((format(printf, 2, 3))) void cli_table_add(struct cli_table *table, const char *format, ...);
void cli_table_add_size(struct cli_table *table, uint64_t bytes);
void cli_table_add_share(struct cli_table *table, uint64_t permille); /* "70%", "12.5%" */
/* Title and rows; lines are cut after `width` letters unless that is 0. 0, or -ENOMEM if a cell was lost. */
int cli_table_print(const struct cli_table *table, FILE *out, size_t width);

/* Letters of a UTF-8 text. */
size_t cli_text_width(const char *text);
/* "70%", "12.5%" */
char *cli_share_format(uint64_t permille, char *buf, size_t len);

static inline void cli_cleanup_tablep(struct cli_table **table)
{
        cli_table_free(*table);
}
#define cli_autotable __attribute__((cleanup(cli_cleanup_tablep)))

#endif
