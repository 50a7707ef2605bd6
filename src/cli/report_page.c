/* SPDX-License-Identifier: Apache-2.0
 * The page: one file, no script, nothing to fetch. Amounts stand in it as on the bill, and beside that exactly (<data>). */
#include "cli/report.h"
#include "cli/report_style.h"

#include "sched/money.h"

#include <string.h>
#include <time.h>

static double field(const json_t *row, const char *name)
{
        return json_number_value(json_object_get(row, name));
}

static void put_head(const struct cli_report *r, FILE *out)
{
        char month[32];
        time_t from = (time_t)r->from_s;
        struct tm tm;
        gmtime_r(&from, &tm);
        strftime(month, sizeof month, "%B %Y", &tm);
        fprintf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<meta name=\"generator\" content=\"fastgpu " FASTGPU_VERSION "\">\n"
                     "<title>FastGPU report %s</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n<header>\n<h1>",
                r->month, cli_report_style);
        cli_report_put(out, r->project);
        fprintf(out, " · %s</h1>\n<p>GPU use and cost of the project, <time datetime=\"%s\">%.10s</time> up to <time datetime=\"%s\">%.10s</time> (UTC). "
                     "Made <time datetime=\"%s\">%.10s %.5s</time>.</p>\n</header>\n", month, r->from, r->from, r->until, r->until, r->made, r->made, r->made + 11);
}

static void put_cost_tiles(const struct cli_report *r, FILE *out)
{
        size_t i;
        const json_t *invoice, *invoices = json_object_get(r->invoices, "invoices");
        json_array_foreach(invoices, i, invoice)
        {
                bool is_draft = json_is_true(json_object_get(invoice, "draft"));
                fputs("<div class=\"tile\"><span>Cost</span><b class=\"payable\">", out);
                cli_report_put_money(out, cli_text(invoice, "payable"), cli_text(invoice, "currency"));
                fputs("</b><small>", out);
                if (is_draft)
                        fputs("so far; the invoice is made when the month is over", out);
                else
                        fputs("invoice ", out), cli_report_put(out, cli_text(invoice, "number"));
                fputs("</small></div>\n", out);
        }
        if (i == 0)
                fputs("<div class=\"tile\"><span>Cost</span><b>–</b><small>no price was in force, or nothing was used</small></div>\n", out);
}

/* What could be saved in a month: of one currency, that of the first. */
static void put_savings_tile(const struct cli_report *r, FILE *out)
{
        int64_t saves = 0;
        size_t count = 0;
        const char *currency = "";
        char amount[64], exact[64];
        for (size_t i = 0; i < r->rows; i++) {
                const struct cli_report_row *row = &r->row[i];
                if (!cli_report_is_advised(row) || row->advice.saves <= 0)
                        continue;
                if (!*currency)
                        currency = row->currency;
                if (strcmp(currency, row->currency) == 0)
                        saves += row->advice.saves, count++;
        }
        if (!count)
                return;
        fprintf(out, "<div class=\"tile\"><span>Could be saved</span><b><data class=\"money\" value=\"%s\">%s</data> ",
                fg_money_format(saves, 2, exact, sizeof exact), cli_report_nano(saves, currency, amount, sizeof amount));
        cli_report_put(out, currency);
        fprintf(out, "</b><small>a month, by %zu recommendation%s</small></div>\n", count, count == 1 ? "" : "s");
}

static void put_tiles(const struct cli_report *r, FILE *out)
{
        double used = cli_report_sum(r, "gpu_seconds") / 3600, held = cli_report_sum(r, "reserved_gpu_seconds") / 3600;
        fputs("<div class=\"tiles\">\n", out);
        put_cost_tiles(r, out);
        put_savings_tile(r, out);
        if (!*r->no_history) {
                fprintf(out, "<div class=\"tile\"><span>GPU time used</span><b>%.1f h</b><small>of %.1f h reserved", used, held);
                if (held > 0)
                        fprintf(out, ", %.0f %%", used / held * 100);
                fprintf(out, "</small></div>\n<div class=\"tile\"><span>Memory refused</span><b>%.0f</b><small>allocations beyond a quota</small></div>\n",
                        cli_report_sum(r, "refusals"));
        }
        fprintf(out, "<div class=\"tile\"><span>vGPUs</span><b>%zu</b><small>in this month</small></div>\n</div>\n", r->rows);
}

static void put_advice(const struct cli_report *r, FILE *out)
{
        bool any = false;
        fputs("<section id=\"recommendations\">\n<h2>Recommendations</h2>\n<div class=\"advice\">\n", out);
        for (size_t i = 0; i < r->rows; i++) {
                const struct cli_report_row *row = &r->row[i];
                bool is_more = row->advice.kind == FG_ADVICE_MORE_MEMORY || row->advice.kind == FG_ADVICE_MORE_SHARE;
                int64_t saves = row->advice.saves;
                char text[512], amount[64];
                if (!cli_report_is_advised(row))
                        continue;
                any = true;
                fprintf(out, "<div class=\"card%s\"><p class=\"head\"><b>", is_more ? " more" : "");
                cli_report_put(out, cli_report_name(row));
                fputs("</b>", out);
                if (*row->currency && saves) {
                        fprintf(out, "<span class=\"saves\">%s %s ", saves > 0 ? "saves" : "costs", cli_report_nano(saves > 0 ? saves : -saves, row->currency, amount, sizeof amount));
                        cli_report_put(out, row->currency);
                        fputs(" a month</span>", out);
                }
                fputs("</p><p>It ", out);
                cli_report_reason(row, text, sizeof text);
                cli_report_put(out, text);
                fputs(".</p><p><code>", out);
                cli_report_command(r, row, text, sizeof text);
                cli_report_put(out, text);
                fputs("</code></p></div>\n", out);
        }
        fputs("</div>\n", out);
        if (!any)
                fprintf(out, "<p class=\"dim\">Nothing to recommend: what there is, is used, or has been there for less than %d hours.</p>\n", FG_ADVICE_HOURS);
        fputs("</section>\n", out);
}

static void put_factor(FILE *out, const char *sign, const char *about, bool has, double value, const char *why_not)
{
        fprintf(out, "<div><span>%s</span><b>", sign);
        if (has)
                fprintf(out, "%.3f", value);
        else
                fputs("–", out);
        fprintf(out, "</b><span>%s</span></div>\n", has ? about : why_not);
}

static void put_efficiency(const struct cli_report *r, FILE *out)
{
        const struct fg_perf *f = &r->factors;
        const char *not_run = "nothing ran", *no_v = r->is_calibrated ? not_run : "the device is not calibrated";
        if (*r->no_history)
                return;
        fputs("<section id=\"efficiency\">\n<h2>Efficiency: P = α · U · S · V</h2>\n<div class=\"equation\">\n", out);
        put_factor(out, "P", "of what was wanted, useful work", f->has_p, f->p, no_v);
        put_factor(out, "α", "of the work, kept", f->has_alpha, f->alpha, no_v);
        put_factor(out, "U", "of what was held, busy", f->has_u, f->u, "nothing was held");
        put_factor(out, "S", "of what was wanted, held", f->has_s, f->s, "nothing was wanted");
        put_factor(out, "V", "of the bare device's speed", f->has_v, f->v, no_v);
        fputs("</div>\n</section>\n", out);
}

/* Use against what was asked for, as a bar. */
static void put_part(FILE *out, double part)
{
        fprintf(out, "<span class=\"bar\"><i style=\"width:%.0f%%\"></i></span>", part > 1 ? 100 : part * 100);
}

static void put_did(const json_t *h, FILE *out)
{
        char used[32], quota[32];
        double metered = field(h, "metered_seconds"), peak = field(h, "memory_peak_bytes"), asked = field(h, "memory_quota_bytes");
        if (!h) {
                fputs("<td>–</td><td>–</td><td>–</td><td>–</td><td>–</td>", out);
                return;
        }
        fprintf(out, "<td>%s / %s", cli_report_bytes(peak, used, sizeof used), cli_report_bytes(asked, quota, sizeof quota));
        put_part(out, asked > 0 ? peak / asked : 0);
        fprintf(out, "</td><td>%.1f / %g %%", metered > 0 ? field(h, "gpu_seconds") / metered * 100 : 0, field(h, "share") / 10);
        put_part(out, metered > 0 && field(h, "share") > 0 ? field(h, "gpu_seconds") / metered / (field(h, "share") / 1000) : 0);
        fprintf(out, "</td><td>%.1f %%</td><td>%.1f</td><td>%.0f</td>", field(h, "busiest_hour_share") / 10, field(h, "throttled_seconds") / 3600, field(h, "refusals"));
}

static void put_row(const struct cli_report_row *row, FILE *out)
{
        const char *user = cli_text(row->history, "user");
        fputs("<tr><td>", out);
        cli_report_put(out, cli_report_name(row));
        if (!row->vgpu)
                fputs(" <span class=\"gone\">gone</span>", out);
        fputs("</td><td class=\"text\">", out);
        cli_report_put(out, *user ? user : row->history ? "operator" : "–");
        fputs("</td>", out);
        put_did(row->history, out);
        const char *hours = row->usage ? cli_text(row->usage, "billed_gpu_hours") : "";
        bool is_number = hours[strspn(hours, "0123456789.")] == 0;
        fprintf(out, "<td><data class=\"hours\" value=\"%s\">%.3f</data></td><td>", is_number ? hours : "", is_number ? strtod(hours, NULL) : 0);
        if (row->usage && *cli_text(row->usage, "currency"))
                cli_report_put_money(out, cli_text(row->usage, "cost"), cli_text(row->usage, "currency"));
        else
                fputs("–", out);
        fputs("</td></tr>\n", out);
}

static void put_table(const struct cli_report *r, FILE *out)
{
        fputs("<section id=\"vgpus\">\n<h2>vGPUs: asked for and got</h2>\n<div class=\"table\"><table>\n<thead><tr><th>vGPU</th><th class=\"text\">User</th>"
              "<th>Memory<br>most used / asked</th><th>Share<br>mean / asked</th><th>Busiest<br>hour</th><th>Waited<br>h</th><th>Memory<br>refused</th>"
              "<th>Billed<br>GPU-h</th><th>Cost</th></tr></thead>\n<tbody>\n", out);
        for (size_t i = 0; i < r->rows; i++)
                put_row(&r->row[i], out);
        fputs("</tbody></table></div>\n", out);
        if (!r->rows)
                fputs("<p class=\"dim\">There was none in this month.</p>\n", out);
        fputs("</section>\n", out);
}

static void put_invoice(const json_t *invoice, FILE *out)
{
        size_t i;
        const json_t *line;
        const char *currency = cli_text(invoice, "currency");
        fprintf(out, "<section class=\"invoice\">\n<h2>%s ", json_is_true(json_object_get(invoice, "draft")) ? "The bill so far, in" : "Invoice, in");
        cli_report_put(out, currency);
        fputs("</h2>\n<div class=\"table\"><table>\n<thead><tr><th>vGPU</th><th class=\"text\">For</th><th>GPU-h</th><th>Price</th><th>Amount</th></tr></thead>\n<tbody>\n", out);
        json_array_foreach(json_object_get(invoice, "lines"), i, line)
        {
                fputs("<tr><td>", out);
                cli_report_put(out, cli_text(line, "name"));
                fputs("</td><td class=\"text\">", out);
                cli_report_put(out, cli_text(line, "kind"));
                fprintf(out, "</td><td>%.3f</td><td>", strtod(cli_text(line, "gpu_hours"), NULL));
                if (*cli_text(line, "price"))
                        cli_report_put_money(out, cli_text(line, "price"), currency);
                fputs("</td><td>", out);
                cli_report_put_money(out, cli_text(line, "amount"), currency);
                fputs("</td></tr>\n", out);
        }
        fputs("</tbody>\n<tfoot><tr><td>To be paid</td><td></td><td></td><td></td><td>", out);
        cli_report_put_money(out, cli_text(invoice, "payable"), currency);
        fputs("</td></tr></tfoot>\n</table></div>\n</section>\n", out);
}

static void put_foot(const struct cli_report *r, FILE *out)
{
        fputs("<footer>\n", out);
        if (*r->no_history)
                fputs("<p>No history: ", out), cli_report_put(out, r->no_history), fputs("</p>\n", out);
        fprintf(out, "<p>Costs are those of the node's signed log of records; <code>fastgpu invoice %s --verify</code> checks them. Use over time comes from its history, "
                     "which is kept by the hour and is no part of the bill.</p>\n", r->month);
        fputs("<p>Recommendations are about vGPUs that there are now and that existed in at least 24 hours of the month. One that never used its device: delete it. "
              "One that was refused memory and used at least 90 % of its own: a quarter more. One that waited for a tenth of its time and used at least 80 % of its share "
              "in its busiest hour: half as much share again. Else it needs the most memory that it used at once and a quarter more, up to the next 64 MiB, and the share of "
              "its busiest hour and a quarter more, up to the next whole percent; what was refused needs all of its memory, what waited all of its share. It is to be resized where that "
              "makes what it holds, the larger part of the device of the two, at least 5 % cheaper. A month has 730 hours, at the price in force now.</p>\n</footer>\n", out);
}

void cli_report_page(const struct cli_report *r, FILE *out)
{
        size_t i;
        const json_t *invoice;
        put_head(r, out);
        put_tiles(r, out);
        put_advice(r, out);
        fputs("<section id=\"use\">\n<h2>The month</h2>\n", out);
        cli_report_charts(r, out);
        fputs("</section>\n", out);
        put_efficiency(r, out);
        put_table(r, out);
        json_array_foreach(json_object_get(r->invoices, "invoices"), i, invoice) put_invoice(invoice, out);
        put_foot(r, out);
        fputs("</main>\n</body>\n</html>\n", out);
}
