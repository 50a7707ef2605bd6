/* SPDX-License-Identifier: Apache-2.0
 * Sorting, filtering and writing the rows of a view. */
#include "cli/top_rows.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "cli/cli.h"
#include "cli/fit.h"
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int cli_top_table_find(const char *name)
{
        for (int i = 0; i < CLI_TOP_VIEWS; i++)
                if (strcmp(cli_top_tables[i].name, name) == 0)
                        return i;
        return -1;
}

int cli_top_sort_find(const struct cli_top_table *table, const char *name, bool *ret_turned)
{
        bool turned = *name == '-';
        name += turned;
        for (size_t i = 0; i < table->count; i++) {
                const struct cli_top_column *c = &table->columns[i];
                if (c->format == CLI_TOP_SPARK || (strcasecmp(c->title, name) != 0 && strcasecmp(c->field, name) != 0))
                        continue;
                *ret_turned = turned;
                return (int)i;
        }
        return -1;
}

struct order {
        const char *field;
        bool turned;
};

/* What is not known goes behind what is, either way. */
static int compare_numbers(const json_t *a, const json_t *b, bool turned)
{
        if (!json_is_number(a) || !json_is_number(b))
                return json_is_number(b) - json_is_number(a);
        double x = json_number_value(a), y = json_number_value(b);
        int fall = (y > x) - (y < x);
        return turned ? -fall : fall;
}

static int compare(const void *x, const void *y, void *user)
{
        const json_t *a = *(const json_t *const *)x, *b = *(const json_t *const *)y;
        const struct order *o = user;
        const json_t *va = json_object_get(a, o->field), *vb = json_object_get(b, o->field);
        int c;
        if (json_is_string(va) || json_is_string(vb))
                c = strverscmp(cli_text(a, o->field), cli_text(b, o->field)) * (o->turned ? -1 : 1);
        else
                c = compare_numbers(va, vb, o->turned);
        return c ? c : strverscmp(cli_text(a, "key"), cli_text(b, "key"));
}

void cli_top_sort(const json_t **rows, size_t count, const struct cli_top_column *by, bool turned)
{
        struct order order = {by->field, turned};
        if (count)
                qsort_r(rows, count, sizeof *rows, compare, &order);
}

bool cli_top_matches(const struct cli_top_table *table, const json_t *row, const char *text)
{
        bool found = !*text;
        for (size_t i = 0; i < table->count && !found; i++) {
                char cell[512];
                if (table->columns[i].format != CLI_TOP_TEXT && strcmp(table->columns[i].field, "pid") && strcmp(table->columns[i].field, "id"))
                        continue;
                cli_top_cell(row, &table->columns[i], cell, sizeof cell);
                found = strcasestr(cell, text);
        }
        return found;
}

static void write_age(uint64_t s, char *ret, size_t len)
{
        unsigned long long t = s;
        if (t >= 86400)
                snprintf(ret, len, "%llud %02lluh", t / 86400, t / 3600 % 24);
        else if (t >= 3600)
                snprintf(ret, len, "%llu:%02llu:%02llu", t / 3600, t / 60 % 60, t % 60);
        else
                snprintf(ret, len, "%llu:%02llu", t / 60, t % 60);
}

void cli_top_cell(const json_t *row, const struct cli_top_column *column, char *ret, size_t len)
{
        const json_t *value = json_object_get(row, column->field);
        uint64_t number = cli_number(row, column->field);
        bool known = json_is_number(value);
        snprintf(ret, len, "%s", column->format == CLI_TOP_SPARK ? "" : "-");
        if (column->format == CLI_TOP_TEXT)
                snprintf(ret, len, "%s", cli_text(row, column->field));
        else if (!known)
                return;
        else if (column->format == CLI_TOP_COUNT)
                snprintf(ret, len, "%llu", (unsigned long long)number);
        else if (column->format == CLI_TOP_SIZE)
                fg_size_format(number, ret, len);
        else if (column->format == CLI_TOP_SHARE && json_is_real(value))
                snprintf(ret, len, "%.1f%%", json_real_value(value) / 10);
        else if (column->format == CLI_TOP_SHARE)
                cli_share_format(number, ret, len);
        else if (column->format == CLI_TOP_RATE)
                snprintf(ret, len, "%.1f", json_number_value(value));
        else if (column->format == CLI_TOP_SECONDS)
                snprintf(ret, len, "%.1f", (double)number / 1e9);
        else if (column->format == CLI_TOP_AGE)
                write_age(number, ret, len);
}

void cli_top_sort_array(const struct cli_top_table *table, json_t *rows, const char *sort)
{
        size_t count = json_array_size(rows);
        fg_autofree const json_t **sorted = calloc(count ? count : 1, sizeof *sorted);
        bool turned = false;
        int by = cli_top_sort_find(table, sort, &turned);
        cli_autojson json_t *before = json_copy(rows); /* keeps them alive */
        if (!sorted || by < 0)
                return;
        for (size_t i = 0; i < count; i++)
                sorted[i] = json_array_get(before, i);
        cli_top_sort(sorted, count, &table->columns[by], turned);
        json_array_clear(rows);
        for (size_t i = 0; i < count; i++)
                json_array_append(rows, (json_t *)sorted[i]);
}

void cli_top_print(const struct cli_top_table *table, const json_t *rows, FILE *out)
{
        size_t shown = 0, count = json_array_size(rows);
        fg_autofree struct cli_column *columns = calloc(table->count, sizeof *columns);
        fg_autofree const struct cli_top_column **from = calloc(table->count, sizeof *from);
        if (!columns || !from)
                return;
        for (size_t i = 0; i < table->count; i++) {
                if (table->columns[i].format == CLI_TOP_SPARK)
                        continue;
                from[shown] = &table->columns[i];
                columns[shown++] = (struct cli_column){table->columns[i].title, cli_top_is_right(&table->columns[i])};
        }
        cli_autotable struct cli_table *printed = cli_table_new(columns, shown);
        for (size_t i = 0; printed && i < count; i++)
                for (size_t c = 0; c < shown; c++) {
                        char cell[512], clean[512];
                        cli_top_cell(json_array_get(rows, i), from[c], cell, sizeof cell);
                        cli_fit(cell, sizeof cell, clean, sizeof clean);
                        cli_table_add(printed, "%s", clean);
                }
        if (printed)
                cli_table_print(printed, out, 0);
}
