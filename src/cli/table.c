/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

struct cli_table {
        const struct cli_column *columns;
        size_t count;
        char **cell; /* row by row */
        size_t cells, room;
        bool lost; /* out of memory */
};

struct cli_table *cli_table_new(const struct cli_column *columns, size_t count)
{
        struct cli_table *table = calloc(1, sizeof *table);
        if (table)
                *table = (struct cli_table){.columns = columns, .count = count};
        return table;
}

void cli_table_free(struct cli_table *table)
{
        if (!table)
                return;
        for (size_t i = 0; i < table->cells; i++)
                free(table->cell[i]);
        free(table->cell);
        free(table);
}

void cli_table_add(struct cli_table *table, const char *format, ...)
{
        char *text = NULL;
        if (table->cells == table->room) {
                size_t room = table->room ? table->room * 2 : 64;
                char **grown = realloc(table->cell, room * sizeof *grown);
                if (!grown) {
                        table->lost = true;
                        return;
                }
                table->cell = grown;
                table->room = room;
        }
        va_list args;
        va_start(args, format);
        if (vasprintf(&text, format, args) < 0) {
                text = NULL;
                table->lost = true;
        }
        va_end(args);
        table->cell[table->cells++] = text ? cli_clean(text) : NULL;
}

void cli_table_add_size(struct cli_table *table, uint64_t bytes)
{
        char buf[32];
        cli_table_add(table, "%s", fg_size_format(bytes, buf, sizeof buf));
}

char *cli_share_format(uint64_t permille, char *buf, size_t len)
{
        if (permille % 10)
                snprintf(buf, len, "%llu.%llu%%", (unsigned long long)permille / 10, (unsigned long long)permille % 10);
        else
                snprintf(buf, len, "%llu%%", (unsigned long long)permille / 10);
        return buf;
}

void cli_table_add_share(struct cli_table *table, uint64_t permille)
{
        char buf[32];
        cli_table_add(table, "%s", cli_share_format(permille, buf, sizeof buf));
}

size_t cli_text_width(const char *text)
{
        size_t width = 0;
        for (; *text; text++)
                width += ((unsigned char)*text & 0xc0) != 0x80;
        return width;
}

static const char *cell_at(const struct cli_table *table, size_t row, size_t column)
{
        if (row == 0)
                return table->columns[column].title;
        size_t i = (row - 1) * table->count + column;
        return i < table->cells && table->cell[i] ? table->cell[i] : "";
}

static size_t column_width(const struct cli_table *table, size_t rows, size_t column)
{
        size_t width = 0;
        for (size_t row = 0; row <= rows; row++) {
                size_t w = cli_text_width(cell_at(table, row, column));
                width = w > width ? w : width;
        }
        return width;
}

/* Prints at most *left letters of text and takes them off. */
static void print_some(const char *text, size_t *left, FILE *out)
{
        for (; *text; text++) {
                bool begins = ((unsigned char)*text & 0xc0) != 0x80;
                if (begins && *left == 0)
                        return;
                *left -= begins;
                fputc(*text, out);
        }
}

static void print_blanks(size_t n, size_t *left, FILE *out)
{
        while (n-- && *left)
                print_some(" ", left, out);
}

static void print_row(const struct cli_table *table, const size_t *width, size_t row, size_t left, FILE *out)
{
        for (size_t c = 0; c < table->count; c++) {
                const char *text = cell_at(table, row, c);
                size_t gap = width[c] - cli_text_width(text);
                if (table->columns[c].right)
                        print_blanks(gap, &left, out);
                print_some(text, &left, out);
                if (c + 1 == table->count)
                        break;
                print_blanks((table->columns[c].right ? 0 : gap) + 2, &left, out);
        }
        fputc('\n', out);
}

int cli_table_print(const struct cli_table *table, FILE *out, size_t width)
{
        size_t rows = (table->cells + table->count - 1) / table->count;
        fg_autofree size_t *widths = calloc(table->count, sizeof *widths);
        if (!widths)
                return -ENOMEM;
        for (size_t c = 0; c < table->count; c++)
                widths[c] = column_width(table, rows, c);
        for (size_t row = 0; row <= rows; row++)
                print_row(table, widths, row, width ? width : SIZE_MAX, out);
        return table->lost ? -ENOMEM : 0;
}
