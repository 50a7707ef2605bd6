/* SPDX-License-Identifier: Apache-2.0
 * The text: Prometheus 0.0.4, or OpenMetrics 1.0. All samples of a series stand together, as both want it. */
#include "daemon/metrics_internal.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* Whoever reads it takes only UTF-8, and three characters have to be escaped. Anything else may be in a value. */
static void add_value(struct fgd_text *text, const char *value)
{
        char plain[256];
        size_t n = 0;
        while (*value) {
                size_t size = fg_utf8_decode(value, FG_UTF8_MAX, NULL);
                if (n + 8 > sizeof plain) {
                        plain[n] = 0;
                        fgd_text_add(text, plain);
                        n = 0;
                }
                if (*value == '\n' || *value == '"' || *value == '\\')
                        plain[n++] = '\\';
                if (size == 0)
                        plain[n++] = '?';
                else if (*value == '\n')
                        plain[n++] = 'n';
                else
                        memcpy(plain + n, value, size), n += size;
                value += size ? size : 1;
        }
        plain[n] = 0;
        fgd_text_add(text, plain);
}

void fgd_label_add(struct fgd_text *text, const char *name, const char *value)
{
        char last = text->size ? text->data[text->size - 1] : 0;
        fgd_text_add(text, last == '"' ? "," : "");
        fgd_text_add(text, name);
        fgd_text_add(text, "=\"");
        add_value(text, value);
        fgd_text_add(text, "\"");
}

static void add_decimals(struct fgd_text *text, uint64_t part, unsigned decimals)
{
        char digits[24];
        snprintf(digits, sizeof digits, ".%0*llu", (int)decimals, (unsigned long long)part);
        for (size_t n = strlen(digits); n && (digits[n - 1] == '0' || digits[n - 1] == '.'); n--) {
                bool is_point = digits[n - 1] == '.';
                digits[n - 1] = 0;
                if (is_point)
                        break;
        }
        fgd_text_add(text, digits);
}

static void add_figure(struct fgd_text *text, const struct fgd_figure *figure)
{
        fg_int128 n = figure->n < 0 ? -figure->n : figure->n;
        uint64_t scale = 1;
        if (figure->is_ratio) {
                fgd_text_addf(text, "%.9g", figure->ratio);
                return;
        }
        for (unsigned i = 0; i < figure->decimals; i++)
                scale *= 10;
        fgd_text_add(text, figure->n < 0 ? "-" : "");
        fgd_text_digits(text, (uint64_t)(n / scale));
        if (n % scale)
                add_decimals(text, (uint64_t)(n % scale), figure->decimals);
}

/* In OpenMetrics a counter is called by its name without "_total", and what has another name is none. */
static void add_head(struct fgd_text *text, const struct fgd_metric *metric, bool is_openmetrics)
{
        static const char *const types[] = {[FGD_GAUGE] = "gauge", [FGD_COUNTER] = "counter", [FGD_HISTOGRAM] = "histogram"};
        size_t size = strlen(metric->name);
        const char *type = types[metric->type];
        if (is_openmetrics && metric->type == FGD_COUNTER) {
                bool is_total = size > 6 && strcmp(metric->name + size - 6, "_total") == 0;
                size -= is_total ? 6 : 0;
                type = is_total ? "counter" : "unknown";
        }
        fgd_text_addf(text, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)size, metric->name, metric->help, (int)size, metric->name, type);
        if (is_openmetrics && *metric->unit)
                fgd_text_addf(text, "# UNIT %.*s %s\n", (int)size, metric->name, metric->unit);
}

static void add_name(struct fgd_text *text, const char *name, const char *suffix, const char *labels, const char *more)
{
        fgd_text_add(text, name);
        fgd_text_add(text, suffix);
        if (*labels || *more) {
                fgd_text_add(text, "{");
                fgd_text_add(text, labels);
                fgd_text_add(text, *labels && *more ? "," : "");
                fgd_text_add(text, more);
                fgd_text_add(text, "}");
        }
        fgd_text_add(text, " ");
}

static void add_histogram(struct fgd_text *text, const char *name, const char *labels, const struct fgd_project_figures *figures)
{
        uint64_t count = 0;
        for (unsigned i = 0; i <= FGD_WAIT_BUCKETS; i++) {
                char bound[32];
                count += figures->waited[i];
                if (i < FGD_WAIT_BUCKETS)
                        snprintf(bound, sizeof bound, "le=\"%u.0\"", fgd_wait_bounds[i]);
                else
                        strcpy(bound, "le=\"+Inf\"");
                add_name(text, name, "_bucket", labels, bound);
                fgd_text_digits(text, count);
                fgd_text_add(text, "\n");
        }
        add_name(text, name, "_sum", labels, "");
        add_figure(text, &(struct fgd_figure){.n = figures->waited_ms, .decimals = 3});
        fgd_text_add(text, "\n");
        add_name(text, name, "_count", labels, "");
        fgd_text_digits(text, count);
        fgd_text_add(text, "\n");
}

/* `any`: its head is written. Whether it is now. */
static bool write_metric(const struct fgd_scrape *s, const struct fgd_metric *metric, bool any, struct fgd_text *text)
{
        const struct fgd_metric_rows *rows = &s->rows[metric->of];
        for (uint32_t i = 0; i < rows->count && !s->labels.failed; i++) {
                const struct fgd_metric_row *row = &rows->row[i];
                const char *labels = s->labels.data ? s->labels.data + row->labels : "";
                struct fgd_figure figure = {0};
                if (metric->type != FGD_HISTOGRAM && !metric->get(s, row, metric->which, &figure))
                        continue;
                if (!any)
                        add_head(text, metric, s->is_openmetrics);
                any = true;
                if (metric->type == FGD_HISTOGRAM) {
                        add_histogram(text, metric->name, labels, row->object);
                        continue;
                }
                add_name(text, metric->name, "", labels, "");
                add_figure(text, &figure);
                fgd_text_add(text, "\n");
        }
        return any;
}

/* A series of two kinds of things is two rows of the table, one behind the other. */
void fgd_metrics_write(struct fgd_scrape *s, struct fgd_text *text)
{
        bool any = false;
        text->failed |= s->labels.failed;
        for (size_t i = 0; i < fgd_metric_count; i++) {
                bool goes_on = i > 0 && strcmp(fgd_metric_table[i].name, fgd_metric_table[i - 1].name) == 0;
                any = write_metric(s, &fgd_metric_table[i], goes_on && any, text);
        }
        if (s->is_openmetrics)
                fgd_text_add(text, "# EOF\n");
        else if (!text->size)
                fgd_text_add(text, "\n");
}
