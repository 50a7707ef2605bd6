/* SPDX-License-Identifier: Apache-2.0
 * Charts as inline SVG, coloured by the page's style: days as bars, hours as areas. */
#include "cli/report.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH  560.0
#define HEIGHT 200.0
#define LEFT   58.0
#define RIGHT  8.0
#define TOP    12.0
#define BOTTOM 24.0
#define INNER  (WIDTH - LEFT - RIGHT)
#define LOW    (HEIGHT - BOTTOM)
#define DAYS   31

/* A chart of days: behind, what was held; in front, what was used. */
struct bars {
        const char *title, *about, *behind, *front; /* legend; NULL: there is no such series */
        const char *unit;
        double back[DAYS], value[DAYS];
        double line; /* of the same unit; 0: none */
};

static size_t days_of(const struct cli_report *r)
{
        return (size_t)((r->until_s - r->from_s) / 86400);
}

/* The next of 1, 2, 5 times a power of ten, so that the axis has round numbers. */
static double nice(double top)
{
        static const double steps[] = {1, 2, 2.5, 4, 5, 8, 10};
        double power = 1;
        while (power > top)
                power /= 10;
        while (power * 10 <= top)
                power *= 10;
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
                if (steps[i] * power >= top * 0.999)
                        return steps[i] * power;
        return 10 * power;
}

static double y_of(double value, double top)
{
        return LOW - (LOW - TOP) * (value > top ? 1 : value / top);
}

static void begin_figure(FILE *out, const char *title, const char *about)
{
        fprintf(out, "<figure><figcaption><b>%s</b> <span>%s</span></figcaption>\n", title, about);
}

static void legend(FILE *out, const char *class, const char *text)
{
        if (text)
                fprintf(out, "<span class=\"key %s\">%s</span>", class, text);
}

static void begin_svg(FILE *out, const char *title)
{
        fprintf(out, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n", WIDTH, HEIGHT, title);
}

static void axis(FILE *out, double top, void (*label)(double value, char *buf, size_t len, const char *unit), const char *unit)
{
        for (int i = 0; i <= 4; i += 2) {
                char text[48];
                double y = y_of(top * i / 4, top);
                label(top * i / 4, text, sizeof text, unit);
                fprintf(out, "<line class=\"grid\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT,
                        WIDTH - RIGHT, y, y, LEFT - 8, y + 3.5, text);
        }
}

static void day_labels(FILE *out, size_t days)
{
        for (size_t d = 0; d < days; d++)
                if (d % 5 == 0 && d + 2 < days)
                        fprintf(out, "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%zu</text>", LEFT + INNER * ((double)d + 0.5) / (double)days, HEIGHT - 7, d + 1);
        fputc('\n', out);
}

static void number_label(double value, char *buf, size_t len, const char *unit)
{
        (void)unit;
        snprintf(buf, len, "%g", value);
}

static void bytes_label(double value, char *buf, size_t len, const char *unit)
{
        (void)unit;
        cli_report_bytes(value, buf, len);
}

static void put_bar(FILE *out, const char *class, double x, double width, double value, double top)
{
        double y = y_of(value, top);
        if (value > 0)
                fprintf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"1.5\"/>", class, x, y, width,
                        LOW - y < 0.8 ? 0.8 : LOW - y);
}

static double top_of(const struct bars *b)
{
        double top = b->line;
        for (size_t d = 0; d < DAYS; d++) {
                top = b->back[d] > top ? b->back[d] : top;
                top = b->value[d] > top ? b->value[d] : top;
        }
        return top;
}

static void put_bars(FILE *out, const struct bars *b, size_t days)
{
        double top = top_of(b), step = INNER / (double)days;
        begin_figure(out, b->title, b->about);
        if (top <= 0) {
                fputs("<p class=\"none\">none</p></figure>\n", out);
                return;
        }
        top = nice(top);
        begin_svg(out, b->title);
        axis(out, top, number_label, b->unit);
        for (size_t d = 0; d < days && d < DAYS; d++) {
                double x = LEFT + step * (double)d;
                put_bar(out, "back", x + step * 0.14, step * 0.72, b->back[d], top);
                put_bar(out, "front", x + step * 0.14, step * 0.72, b->value[d], top);
        }
        if (b->line > 0)
                fprintf(out, "<line class=\"limit\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - RIGHT, y_of(b->line, top), y_of(b->line, top));
        day_labels(out, days);
        fputs("</svg><p class=\"legend\">", out);
        legend(out, "front", b->front);
        legend(out, "back", b->behind);
        legend(out, "limit", b->line > 0 ? "the budget of the month" : NULL);
        fputs("</p></figure>\n", out);
}

/* Sums of an hourly series over the days of the month. */
static void by_day(const struct cli_report *r, const char *series, double unit, double ret[DAYS])
{
        int64_t from = (int64_t)json_integer_value(json_object_get(r->course, "from_s"));
        size_t points = json_array_size(json_object_get(json_object_get(r->course, "series"), series));
        double value;
        for (size_t i = 0; i < points; i++) {
                int64_t day = (from + (int64_t)i * 3600 - r->from_s) / 86400;
                if (day >= 0 && day < DAYS && cli_report_at(r, series, i, &value))
                        ret[day] += value / unit;
        }
}

static void use_chart(const struct cli_report *r, FILE *out)
{
        struct bars b = {.title = "GPU time", .about = "GPU-hours a day", .behind = "reserved", .front = "used"};
        by_day(r, "reserved_gpu_seconds", 3600, b.back);
        by_day(r, "gpu_seconds", 3600, b.value);
        put_bars(out, &b, days_of(r));
}

static void refusal_chart(const struct cli_report *r, FILE *out)
{
        struct bars b = {.title = "Memory refused", .about = "allocations a day beyond the quota", .front = "refused"};
        by_day(r, "refusals", 1, b.value);
        put_bars(out, &b, days_of(r));
}

static void wait_chart(const struct cli_report *r, FILE *out)
{
        struct bars b = {.title = "Waiting for the device", .about = "hours a day, of all threads", .front = "waited"};
        by_day(r, "throttled_seconds", 3600, b.value);
        put_bars(out, &b, days_of(r));
}

/* Of one currency: with several, sums would mean nothing. The bill is added up day by day against the budget. */
static void cost_chart(const struct cli_report *r, FILE *out)
{
        const json_t *day, *budget = json_array_get(json_object_get(r->budgets, "budgets"), 0);
        char about[64];
        size_t i;
        const char *currency = cli_text(json_array_get(json_object_get(r->days, "usage"), 0), "currency");
        struct bars b = {.title = "Cost", .about = about, .front = "of the day", .behind = "of the month so far"};
        snprintf(about, sizeof about, "%.3s", currency);
        if (strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(currency))
                return;
        json_array_foreach(json_object_get(r->days, "usage"), i, day)
        {
                int number = atoi(cli_text(day, "day") + (strlen(cli_text(day, "day")) == 10 ? 8 : 0));
                if (number >= 1 && number <= DAYS && strcmp(cli_text(day, "currency"), currency) == 0)
                        b.value[number - 1] += strtod(cli_text(day, "cost"), NULL);
        }
        for (size_t d = 0; d < DAYS; d++)
                b.back[d] = b.value[d] > 0 || d > 0 ? (d ? b.back[d - 1] : 0) + b.value[d] : 0;
        for (size_t d = DAYS; d-- > 0 && b.value[d] <= 0;)
                b.back[d] = 0;
        if (strcmp(cli_text(budget, "currency"), currency) == 0)
                b.line = strtod(cli_text(budget, "amount"), NULL);
        put_bars(out, &b, days_of(r));
}

static double memory_top(const struct cli_report *r, size_t points)
{
        double top = 0, value;
        for (size_t i = 0; i < points; i++) {
                if (cli_report_at(r, "memory_quota_bytes", i, &value) && value > top)
                        top = value;
                if (cli_report_at(r, "memory_used_bytes", i, &value) && value > top)
                        top = value;
        }
        return top;
}

/* Steps of an hour; where nothing is known, nothing is drawn. */
static void put_steps(const struct cli_report *r, FILE *out, const char *series, const char *class, double top, size_t points, bool is_area)
{
        double value, width = INNER * 3600 / (double)(r->until_s - r->from_s);
        bool is_open = false;
        fprintf(out, "<path class=\"%s\" d=\"", class);
        for (size_t i = 0; i <= points; i++) {
                bool is_known = i < points && cli_report_at(r, series, i, &value);
                double x = LEFT + width * (double)i;
                if (!is_known) {
                        if (is_open && is_area)
                                fprintf(out, "V%.1fZ", LOW);
                        is_open = false;
                        continue;
                }
                if (!is_open)
                        fprintf(out, is_area ? "M%.1f %.1fV%.1f" : "M%.1f %.1f", x, is_area ? LOW : y_of(value, top), y_of(value, top));
                else
                        fprintf(out, "V%.1f", y_of(value, top));
                fprintf(out, "H%.1f", x + width);
                is_open = true;
        }
        fputs("\"/>\n", out);
}

static void memory_chart(const struct cli_report *r, FILE *out)
{
        size_t points = json_array_size(json_object_get(json_object_get(r->course, "series"), "memory_used_bytes"));
        double top = memory_top(r, points), unit = 1;
        begin_figure(out, "Memory", "the most of each hour, of all vGPUs");
        if (top <= 0) {
                fputs("<p class=\"none\">none</p></figure>\n", out);
                return;
        }
        for (; top / unit >= 1024; unit *= 1024)
                ;
        top = nice(top / unit) * unit;
        begin_svg(out, "Memory");
        axis(out, top, bytes_label, "");
        put_steps(r, out, "memory_quota_bytes", "quota", top, points, true);
        put_steps(r, out, "memory_used_bytes", "area", top, points, true);
        day_labels(out, days_of(r));
        fputs("</svg><p class=\"legend\">", out);
        legend(out, "front", "used");
        legend(out, "back", "asked for");
        fputs("</p></figure>\n", out);
}

void cli_report_charts(const struct cli_report *r, FILE *out)
{
        fputs("<div class=\"charts\">\n", out);
        if (json_array_size(json_object_get(r->days, "usage")))
                cost_chart(r, out);
        if (!*r->no_history) {
                use_chart(r, out);
                memory_chart(r, out);
                if (cli_report_sum(r, "refusals") > 0)
                        refusal_chart(r, out);
                if (cli_report_sum(r, "throttled_seconds") > 0)
                        wait_chart(r, out);
        }
        fputs("</div>\n", out);
}
