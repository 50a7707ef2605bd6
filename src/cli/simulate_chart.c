/* SPDX-License-Identifier: Apache-2.0
 * Charts of the report as inline SVG: a line for each row, coloured by the page's style. */
#include "cli/simulate.h"

#include <math.h>
#include <string.h>

#define WIDTH  560.0
#define HEIGHT 310.0
#define LEFT   58.0
#define RIGHT  30.0
#define TOP    26.0
#define BOTTOM 44.0
#define DRAWN  16u /* rows: eight colours, twice */
#define INNER  (WIDTH - LEFT - RIGHT)
#define LOW    (HEIGHT - BOTTOM)

struct scale {
        enum cli_sim_axis axis;
        double low, high, step; /* of what is drawn: the logarithm of times */
};

/* Times are drawn by their logarithm; all below a second is at its foot. */
static double drawn(enum cli_sim_axis axis, double value)
{
        return axis == CLI_SIM_LOG_TIME ? log10(value > 1 ? value : 1) : value;
}

static double nice_step(double range)
{
        static const double steps[] = {1, 2, 2.5, 5, 10};
        double power = pow(10, floor(log10(range / 6)));
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
                if (steps[i] * power >= range / 6 * 0.999)
                        return steps[i] * power;
        return 10 * power;
}

static void widen(struct scale *s, double value)
{
        s->low = value < s->low ? value : s->low;
        s->high = value > s->high ? value : s->high;
}

/* Marks on an axis of times. */
static const struct {
        double s;
        const char *text;
} time_mark[] = {{1, "1 s"}, {10, "10 s"}, {60, "1 min"}, {600, "10 min"}, {3600, "1 h"}, {86400, "1 day"}, {864000, "10 days"},
                 {8640000, "100 days"}, {86400000, "1000 days"}};
#define TIME_MARKS (sizeof time_mark / sizeof *time_mark)

/* From the last mark below all to the first above. */
static void set_time_scale(struct scale *s)
{
        double low = 0, high = log10(time_mark[TIME_MARKS - 1].s);
        for (size_t i = 0; i < TIME_MARKS; i++) {
                double mark = log10(time_mark[i].s), back = log10(time_mark[TIME_MARKS - 1 - i].s);
                low = mark <= s->low ? mark : low;
                high = back >= s->high ? back : high;
        }
        s->low = low;
        s->high = high > low ? high : low + 1;
}

/* From what is there: percent begin at 0, unless the chart is of a part. */
static void set_scale(const struct cli_sim *sim, size_t chart, bool x, struct scale *ret)
{
        const struct cli_sim_chart *c = &sim->chart[chart];
        *ret = (struct scale){.axis = x ? c->x : c->y, .low = INFINITY, .high = -INFINITY, .step = 1};
        for (size_t i = 0; i < sim->rows && i < DRAWN; i++)
                for (size_t k = 0; k < sim->row[i].curve[chart]->points; k++)
                        widen(ret, drawn(ret->axis, x ? sim->row[i].curve[chart]->x[k] : sim->row[i].curve[chart]->y[k]));
        if (ret->axis == CLI_SIM_LABELS) {
                ret->low -= 0.5;
                ret->high += 0.5;
                return;
        }
        if (ret->axis == CLI_SIM_LOG_TIME) {
                set_time_scale(ret);
                return;
        }
        if (c->from <= 0 && (x || !c->tight))
                widen(ret, 0);
        if (ret->high - ret->low < 1e-9)
                widen(ret, ret->high >= 1 && !x ? ret->high - 1 : ret->high + 1);
        ret->step = nice_step(ret->high - ret->low);
        if (!x) {
                ret->low = floor(ret->low / ret->step + 1e-6) * ret->step;
                ret->high = ceil(ret->high / ret->step - 1e-6) * ret->step;
        }
}

static double x_of(const struct scale *s, double value)
{
        return LEFT + INNER * (drawn(s->axis, value) - s->low) / (s->high - s->low);
}

static double y_of(const struct scale *s, double value)
{
        return LOW - (LOW - TOP) * (drawn(s->axis, value) - s->low) / (s->high - s->low);
}

static size_t marks_of(const struct scale *s)
{
        return s->axis == CLI_SIM_LOG_TIME ? TIME_MARKS : (size_t)((s->high - s->low) / s->step + 1e-6) + 1;
}

/* The i-th mark; false: outside. */
static bool mark_at(const struct scale *s, const struct cli_sim_chart *chart, size_t i, double *ret_part, char *text, size_t len)
{
        double first = s->axis == CLI_SIM_LABELS ? 0 : ceil(s->low / s->step - 1e-6) * s->step, at = first + (double)i * s->step;
        if (s->axis == CLI_SIM_LOG_TIME) {
                at = log10(time_mark[i].s);
                snprintf(text, len, "%s", time_mark[i].text);
        } else if (s->axis != CLI_SIM_LABELS) {
                snprintf(text, len, "%g", fabs(at) < 1e-9 ? 0 : at);
        } else if (at < s->high) {
                snprintf(text, len, "%s", chart->label[(size_t)at]);
        }
        *ret_part = (at - s->low) / (s->high - s->low);
        return *ret_part >= -1e-6 && *ret_part <= 1 + 1e-6;
}

static void put_axes(const struct cli_sim_chart *chart, const struct scale *x, const struct scale *y, FILE *out)
{
        char text[48];
        double part;
        fprintf(out, "<text x=\"%g\" y=\"11\">%s</text>\n", LEFT, chart->y_title);
        for (size_t i = 0; i < marks_of(y); i++) {
                if (!mark_at(y, chart, i, &part, text, sizeof text))
                        continue;
                double place = LOW - (LOW - TOP) * part;
                fprintf(out, "<line class=\"grid\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">", LEFT,
                        WIDTH - RIGHT, place, place, LEFT - 8, place + 3.5);
                cli_sim_put(out, text);
                fputs("</text>", out);
        }
        fputc('\n', out);
        for (size_t i = 0; i < marks_of(x); i++) {
                if (!mark_at(x, chart, i, &part, text, sizeof text))
                        continue;
                fprintf(out, "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">", LEFT + INNER * part, LOW + 18);
                cli_sim_put(out, text);
                fputs("</text>", out);
        }
        fprintf(out, "<text class=\"axis\" x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>\n", LEFT + INNER / 2, HEIGHT - 6, chart->x_title);
}

static void put_line(const struct cli_sim_curve *curve, const struct scale *x, const struct scale *y, size_t colour, bool dots, FILE *out)
{
        fprintf(out, "<path class=\"line c%zu%s\" d=\"", colour % 8, colour >= 8 ? " dashed" : "");
        for (size_t i = 0; i < curve->points; i++)
                fprintf(out, "%c%.1f %.1f", i ? 'L' : 'M', x_of(x, curve->x[i]), y_of(y, curve->y[i]));
        fputs("\"/>", out);
        for (size_t i = 0; dots && i < curve->points; i++)
                fprintf(out, "<circle class=\"dot c%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\"/>", colour % 8, x_of(x, curve->x[i]), y_of(y, curve->y[i]));
        fputc('\n', out);
}

static size_t drawn_rows(const struct cli_sim *sim)
{
        return sim->rows < DRAWN ? sim->rows : DRAWN;
}

static size_t points_of(const struct cli_sim *sim, size_t chart)
{
        size_t points = 0;
        for (size_t i = 0; i < drawn_rows(sim); i++)
                points += sim->row[i].curve[chart]->points;
        return points;
}

void cli_sim_put_chart(const struct cli_sim *sim, size_t chart, FILE *out)
{
        const struct cli_sim_chart *c = &sim->chart[chart];
        struct scale x, y;
        char name[128];
        fprintf(out, "<figure id=\"%s\"><figcaption><b>%s</b> <span>%s</span></figcaption>\n", c->key, c->title, c->about);
        if (points_of(sim, chart) == 0) {
                fputs("<p class=\"none\">none</p></figure>\n", out);
                return;
        }
        set_scale(sim, chart, true, &x);
        set_scale(sim, chart, false, &y);
        fprintf(out, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n", WIDTH, HEIGHT, c->title);
        put_axes(c, &x, &y, out);
        for (size_t i = drawn_rows(sim); i-- > 0;)
                put_line(sim->row[i].curve[chart], &x, &y, i, c->x == CLI_SIM_LABELS, out);
        fputs("</svg><p class=\"legend\">", out);
        for (size_t i = 0; i < drawn_rows(sim); i++) {
                fprintf(out, "<span class=\"row c%zu%s\">", i % 8, i >= 8 ? " dashed" : "");
                cli_sim_put(out, cli_sim_row_name(sim, &sim->row[i], name, sizeof name));
                fputs("</span>", out);
        }
        if (sim->rows > DRAWN)
                fprintf(out, "<span>the first %u of %zu; the table has all</span>", DRAWN, sim->rows);
        fputs("</p></figure>\n", out);
}
