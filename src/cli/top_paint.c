/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "cli/fit.h"
#include "cli/top_screen.h"
#include "cli/top_view.h"

#include <stdio.h>
#include <string.h>

#define HEADS_MAX   4  /* devices told above the table */
#define COLUMN_MAX  32 /* of a text */
#define COLUMNS_MAX 24

static int width_of(const struct cli_top_screen *s)
{
        int rows, columns;
        s->term->size(&rows, &columns);
        return columns;
}

static int height_of(const struct cli_top_screen *s)
{
        int rows, columns;
        s->term->size(&rows, &columns);
        return rows;
}

/* Writes `text` over the whole line. */
static void line(const struct cli_top_screen *s, int row, const char *text, unsigned style)
{
        char fit[2048];
        int width = width_of(s);
        if (row < 0 || row >= height_of(s))
                return;
        size_t used = cli_fit(text, (size_t)width, fit, sizeof fit - 1);
        size_t at = strlen(fit);
        for (; style & CLI_REVERSE && used < (size_t)width && at + 1 < sizeof fit; used++)
                fit[at++] = ' ';
        fit[at] = '\0';
        s->term->put(row, 0, fit, style);
}

/* --- above and below the table --- */

/* Devices that are told: none where they are the table, or have not been asked for. */
static int heads(const struct cli_top_screen *s)
{
        int n = (int)json_array_size(json_object_get(s->model, "devices"));
        if (s->view == CLI_TOP_DEVICE || s->view == CLI_TOP_JOB || height_of(s) < 10)
                return 0;
        return n > HEADS_MAX ? HEADS_MAX + 1 : n;
}

/* Title, devices, names of columns; below: message, keys. */
static int table_top(const struct cli_top_screen *s)
{
        return 1 + heads(s) + 1;
}

size_t cli_top_page(const struct cli_top_screen *s)
{
        int room = height_of(s) - table_top(s) - 2;
        return room > 1 ? (size_t)room : 1;
}

static void paint_title(const struct cli_top_screen *s)
{
        const struct cli_top_table *table = &cli_top_tables[s->view];
        char text[512], filter[96] = "", when[32] = "";
        if (*s->filter)
                snprintf(filter, sizeof filter, ", only \"%s\"", s->filter);
        if (!s->paused)
                snprintf(when, sizeof when, ", every %g s", (double)s->interval / 1000);
        snprintf(text, sizeof text, "fastgpu top: %zu %s by %s%s%s%s%s", s->count, table->title, table->columns[s->sort[s->view]].title,
                 s->turned[s->view] ? " turned round" : "", filter, when, s->paused ? ", paused" : "");
        line(s, 0, text, CLI_BOLD);
}

static void paint_heads(const struct cli_top_screen *s)
{
        const json_t *devices = json_object_get(s->model, "devices");
        int n = heads(s);
        for (int i = 0; i < n; i++) {
                char text[512];
                const json_t *device = json_array_get(devices, (size_t)i);
                if (i == HEADS_MAX)
                        snprintf(text, sizeof text, "and %zu devices more: press 4", json_array_size(devices) - HEADS_MAX);
                else
                        cli_top_head(device, text, sizeof text);
                line(s, 1 + i, text, *s->trouble ? CLI_DIM : CLI_PLAIN);
        }
}

/* What is wrong, asked or done; else what can be said of the selected row. */
static void paint_message(const struct cli_top_screen *s)
{
        char text[640];
        int row = height_of(s) - 2;
        if (s->mode == CLI_TOP_CONFIRM) {
                snprintf(text, sizeof text, "%s  y: yes, any other key: no", s->question);
                line(s, row, text, CLI_WARN | CLI_REVERSE);
        } else if (s->mode == CLI_TOP_FILTER) {
                snprintf(text, sizeof text, "only rows with: %s_", s->filter);
                line(s, row, text, CLI_BOLD);
        } else if (*s->trouble) {
                unsigned long long age = s->answered_at ? (fg_now() - s->answered_at) / FG_NSEC_PER_SEC : 0;
                if (s->rows)
                        snprintf(text, sizeof text, "STALE, %llu s old; trying again: %s", age, s->trouble);
                else
                        snprintf(text, sizeof text, "no figures yet; trying again: %s", s->trouble);
                line(s, row, text, CLI_BAD | CLI_BOLD);
        } else if (*s->message) {
                line(s, row, s->message, CLI_WARN);
        } else if (s->view == CLI_TOP_JOB && s->why) {
                const char *more = *cli_text(s->why, "prediction") ? cli_text(s->why, "prediction") : cli_text(s->why, "remedy");
                snprintf(text, sizeof text, "%s: %s%s%s", cli_text(s->why, "name"), cli_text(s->why, "text"), *more ? "; " : "", more);
                line(s, row, text, CLI_PLAIN);
        }
}

/* --- the table --- */

struct layout {
        const struct cli_top_table *table;
        int at[COLUMNS_MAX], width[COLUMNS_MAX];
        size_t count; /* columns that begin within the screen */
        size_t first, rows;
};

static void cell_text(const struct cli_top_screen *s, const json_t *row, const struct cli_top_column *c, char *ret, size_t len)
{
        uint16_t values[CLI_TOP_HISTORY];
        if (c->format != CLI_TOP_SPARK) {
                char raw[512];
                cli_top_cell(row, c, raw, sizeof raw);
                cli_fit(raw, COLUMN_MAX, ret, len);
                return;
        }
        /* A process has its vGPU's. */
        enum cli_top_view_id view = s->view == CLI_TOP_PROCESS ? CLI_TOP_VGPU : s->view;
        const char *key = s->view == CLI_TOP_PROCESS ? cli_text(row, "uuid") : cli_text(row, "key");
        size_t n = cli_top_history_get(s->history, view, key, c->field, values);
        cli_spark(values, n, (size_t)c->min, ret);
}

static int columns_of(const char *text)
{
        char ignored[512];
        return (int)cli_fit(text, sizeof ignored, ignored, sizeof ignored);
}

static void lay_out(const struct cli_top_screen *s, struct layout *l)
{
        int at = 0, width = width_of(s);
        *l = (struct layout){.table = &cli_top_tables[s->view], .first = s->first, .rows = cli_top_page(s)};
        if (l->first + l->rows > s->count)
                l->rows = s->count > l->first ? s->count - l->first : 0;
        for (size_t c = 0; c < l->table->count && c < COLUMNS_MAX && at < width; c++) {
                const struct cli_top_column *column = &l->table->columns[c];
                int w = columns_of(column->title);
                w = w > column->min ? w : column->min;
                for (size_t i = 0; i < l->rows && column->format == CLI_TOP_TEXT; i++) {
                        char text[256];
                        cell_text(s, s->shown[l->first + i], column, text, sizeof text);
                        int wide = columns_of(text);
                        w = wide > w ? wide : w;
                }
                l->at[c] = at;
                l->width[c] = w;
                at += w + 2;
                l->count++;
        }
}

/* One cell, cut at the edge of the screen. */
static void put_cell(const struct cli_top_screen *s, const struct layout *l, size_t c, int row, const char *text, unsigned style)
{
        char fit[512];
        int room = width_of(s) - l->at[c], width = l->width[c];
        if (room <= 0)
                return;
        int used = (int)cli_fit(text, (size_t)(width < room ? width : room), fit, sizeof fit);
        int shift = cli_top_is_right(&l->table->columns[c]) && width <= room ? width - used : 0;
        s->term->put(row, l->at[c] + shift, fit, style);
}

/* State is also said in words: colours only draw the eye. */
static unsigned style_of(const struct cli_top_screen *s, const json_t *row)
{
        static const struct {
                const char *state;
                unsigned style;
        } table[] = {{"suspended", CLI_WARN}, {"queued", CLI_WARN},   {"stopping", CLI_WARN},
                     {"lost", CLI_BAD},       {"quarantined", CLI_BAD}, {"failed", CLI_BAD}};
        uint64_t used = cli_number(row, "memory_used"), quota = cli_number(row, "memory");
        if (*s->trouble)
                return CLI_DIM;
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
                if (strcmp(cli_text(row, "state"), table[i].state) == 0)
                        return table[i].style;
        return quota && used >= quota - quota / 20 ? CLI_WARN : CLI_PLAIN;
}

static void paint_table(struct cli_top_screen *s)
{
        struct layout l;
        size_t page = cli_top_page(s);
        int top = table_top(s);
        if (s->selected < s->first)
                s->first = s->selected;
        if (s->selected >= s->first + page)
                s->first = s->selected - page + 1;
        lay_out(s, &l);
        line(s, top - 1, "", CLI_REVERSE);
        for (size_t c = 0; c < l.count; c++)
                put_cell(s, &l, c, top - 1, l.table->columns[c].title, CLI_REVERSE | (c == (size_t)s->sort[s->view] ? CLI_BOLD : 0));
        for (size_t i = 0; i < l.rows; i++) {
                const json_t *row = s->shown[l.first + i];
                bool selected = l.first + i == s->selected;
                unsigned style = style_of(s, row) | (selected ? CLI_REVERSE : 0);
                if (selected)
                        line(s, top + (int)i, "", style);
                for (size_t c = 0; c < l.count; c++) {
                        char text[256];
                        bool spark = l.table->columns[c].format == CLI_TOP_SPARK;
                        cell_text(s, row, &l.table->columns[c], text, sizeof text);
                        put_cell(s, &l, c, top + (int)i, text, spark && !selected && style == CLI_PLAIN ? CLI_GOOD : style);
                }
        }
        if (s->count)
                return;
        line(s, top, !s->rows ? "asking fastgpud" : *s->filter ? "none is like that; Esc shows all" : "none", CLI_DIM);
}

static void paint_help(const struct cli_top_screen *s)
{
        static const char *const text[] = {
                "Keys of fastgpu top",
                "",
                "1 2 3 4 5, Tab     vGPUs, processes, tenants, devices, jobs",
                "Up Down PgUp PgDn  move; Home and End: first and last",
                "< >                sort by the column to the left, right",
                "i                  turn the order round",
                "/                  only rows with a text; Esc: all again",
                "s  r               suspend, resume the selected one",
                "k                  end it: delete a vGPU, cancel a job",
                "p, space           pause, go on",
                "+ -                look less often, more often",
                "^L                 draw the screen anew",
                "q                  quit",
                "",
                "s, r and k ask before they do it. Any key closes this.",
        };
        for (int i = 0; i < (int)(sizeof text / sizeof text[0]); i++)
                line(s, i, text[i], i ? CLI_PLAIN : CLI_BOLD);
}

void cli_top_paint(struct cli_top_screen *s)
{
        s->term->clear();
        if (s->mode == CLI_TOP_HELP) {
                paint_help(s);
        } else {
                paint_title(s);
                paint_heads(s);
                paint_table(s);
                paint_message(s);
                line(s, height_of(s) - 1, "q quit  h help  Tab view  < > sort  / only  s suspend  r resume  k end  p pause", CLI_DIM);
        }
        s->term->show();
}
