/* SPDX-License-Identifier: Apache-2.0
 * The report: one HTML file, no script, nothing to fetch, no time of day: the same replay gives the same bytes. */
#include "cli/simulate.h"

#include "base/cleanup.h"
#include "cli/report_style.h"

#include <stdlib.h>
#include <string.h>

/* Eight colours that can be told apart, also by those who see few, on light and dark ground; what comes after them is dashed. */
static const char style[] =
        ":root{--c0:#2f6fed;--c1:#d1495b;--c2:#0f8a6d;--c3:#b7791f;--c4:#7b4fd0;--c5:#0891b2;--c6:#b8418f;--c7:#64748b}"
        "@media(prefers-color-scheme:dark){:root{--c0:#6ea0ff;--c1:#ff7d8e;--c2:#45d0a8;--c3:#f0b35a;--c4:#b79bff;--c5:#4fd0ea;--c6:#f089c9;--c7:#9fb0c6}}"
        "@media print{:root{--c0:#2f6fed;--c1:#d1495b;--c2:#0f8a6d;--c3:#b7791f;--c4:#7b4fd0;--c5:#0891b2;--c6:#b8418f;--c7:#64748b}}"
        ".line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.line.dashed{stroke-dasharray:6 4}"
        ".c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{--c:var(--c5)}.c6{--c:var(--c6)}.c7{--c:var(--c7)}"
        ".line{stroke:var(--c)}.dot{fill:var(--c)}.legend{flex-wrap:wrap;gap:4px 14px}"
        ".row::before{content:\"\";display:inline-block;width:16px;border-top:3px solid var(--c);vertical-align:3px;margin-right:6px}"
        ".row.dashed::before{border-top-style:dashed}td.best{font-weight:650;color:var(--good)}td small{color:var(--dim)}"
        "tbody td:first-child{white-space:nowrap;max-width:none}dl{margin-bottom:12px!important;display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;margin:0}dt{font-weight:600;color:var(--ink)}"
        "dd{margin:0}footer code{display:block;padding:8px 12px;max-width:none}footer code span{display:inline-block;margin-right:1ch}footer{max-width:none}.tile b small{font-size:14px;font-weight:500}";

void cli_sim_put(FILE *out, const char *text)
{
        for (; *text; text++)
                switch (*text) {
                case '<': fputs("&lt;", out); break;
                case '>': fputs("&gt;", out); break;
                case '&': fputs("&amp;", out); break;
                case '"': fputs("&quot;", out); break;
                default: fputc((unsigned char)*text < 32 || *text == 127 ? '?' : *text, out);
                }
}

/* "15 848": thousands apart, so that long numbers can be read. */
static const char *number_text(double value, int decimals, char *buf, size_t len)
{
        char plain[64];
        size_t n = 0;
        snprintf(plain, sizeof plain, "%.*f", decimals, value);
        size_t whole = strcspn(plain, ".");
        for (size_t i = 0; plain[i] && n + 4 < len; i++) {
                if (i > 0 && i < whole && (whole - i) % 3 == 0 && plain[i - 1] != '-' && whole > 4) {
                        memcpy(buf + n, "\u202f", 3);
                        n += 3;
                }
                buf[n++] = plain[i];
        }
        buf[n] = '\0';
        return buf;
}

static const char *file_name(const char *path)
{
        return strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

static void put_head(const struct cli_sim *sim, FILE *out)
{
        const char *what = sim->from_history ? "this node's past" : file_name(sim->jobs ? sim->jobs : sim->trace);
        fprintf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<meta name=\"generator\" content=\"fastgpu " FASTGPU_VERSION "\">\n"
                     "<title>FastGPU replay: ");
        cli_sim_put(out, what);
        fprintf(out, "</title>\n<style>%s%s</style>\n</head>\n<body>\n<main>\n<header>\n<h1>Replay of ", cli_report_style, style);
        cli_sim_put(out, what);
        fputs("</h1>\n<p>", out);
        cli_sim_put(out, sim->about);
        if (sim->last > sim->first)
                fprintf(out, " Means over the seeds %llu to %llu.", (unsigned long long)sim->first, (unsigned long long)sim->last);
        fputs("</p>\n</header>\n", out);
}

/* The best of each main figure, and by how much it is better than the first row. */
static void put_tiles(const struct cli_sim *sim, FILE *out)
{
        char text[64], name[128];
        fputs("<div class=\"tiles\">\n", out);
        for (size_t m = 0; m < sim->measures; m++) {
                const struct cli_sim_row *best = sim->measure[m].is_main ? cli_sim_best(sim, m) : NULL, *first = &sim->row[0];
                if (!best)
                        continue;
                const char *unit = sim->measure[m].unit;
                double value = cli_sim_shown(sim, best, m), than = cli_sim_shown(sim, first, m);
                fputs("<div class=\"tile\"><span>", out);
                cli_sim_put(out, sim->measure[m].title);
                fprintf(out, "</span><b>%s%s%s%s</b><small>", number_text(value, sim->measure[m].decimals, text, sizeof text), *unit ? " <small>" : "", unit,
                        *unit ? "</small>" : "");
                cli_sim_put(out, cli_sim_row_name(sim, best, name, sizeof name));
                if (best != first) {
                        fprintf(out, "; %s with ", number_text(than, sim->measure[m].decimals, text, sizeof text));
                        cli_sim_put(out, cli_sim_row_name(sim, first, name, sizeof name));
                }
                fputs("</small></div>\n", out);
        }
        fputs("</div>\n", out);
}

static void put_cell(const struct cli_sim *sim, const struct cli_sim_row *row, size_t m, const struct cli_sim_row *best, FILE *out)
{
        char text[64];
        const struct cli_sim_measure *measure = &sim->measure[m];
        bool is_best = best && measure->better && !sim->kind->is_oracle(row->policy_at) && cli_sim_shown(sim, row, m) == cli_sim_shown(sim, best, m);
        fprintf(out, "<td%s><data value=\"%.10g\">%s</data>", is_best ? " class=\"best\"" : "", cli_sim_shown(sim, row, m),
                number_text(cli_sim_shown(sim, row, m), measure->decimals, text, sizeof text));
        if (row->seeds > 1 && !measure->is_sum)
                fprintf(out, " <small>± %s</small>", number_text(cli_sim_deviation(row, m), measure->decimals, text, sizeof text));
        fputs("</td>", out);
}

static void put_table(const struct cli_sim *sim, FILE *out)
{
        char name[128];
        fputs("<section id=\"table\">\n<h2>Compared</h2>\n<div class=\"table\"><table>\n<thead><tr><th>Policy</th>", out);
        for (size_t m = 0; m < sim->measures; m++) {
                fputs("<th>", out);
                cli_sim_put(out, sim->measure[m].title);
                fputs("</th>", out);
        }
        fputs("</tr></thead>\n<tbody>\n", out);
        for (size_t i = 0; i < sim->rows; i++) {
                fprintf(out, "<tr><td><span class=\"row c%zu%s\">", i % 8, i >= 8 ? " dashed" : "");
                cli_sim_put(out, cli_sim_row_name(sim, &sim->row[i], name, sizeof name));
                fputs("</span></td>", out);
                for (size_t m = 0; m < sim->measures; m++)
                        put_cell(sim, &sim->row[i], m, cli_sim_best(sim, m), out);
                fputs("</tr>\n", out);
        }
        fputs("</tbody></table></div>\n</section>\n", out);
}

/* In one piece, so that no option is broken at its dashes. */
static void put_word(FILE *out, const char *option, const char *value)
{
        if (!value || !*value)
                return;
        fprintf(out, "<span>%s</span><span>", option);
        cli_sim_put(out, value);
        fputs("</span>", out);
}

static void put_numbers(FILE *out, const char *option, const unsigned *value, unsigned count)
{
        char text[128] = "";
        size_t len = 0;
        for (unsigned i = 0; i < count; i++)
                len += (size_t)snprintf(text + len, sizeof text - len, "%s%u", i ? "," : "", value[i]);
        if (count > 1 || (count && value[0]))
                put_word(out, option, text);
}

/* What makes the same figures, in one order, and without where they are written. */
static void put_command(const struct cli_sim *sim, FILE *out)
{
        char policies[512] = "", seeds[48], days[48];
        size_t len = 0;
        fputs("<code><span>fastgpu</span><span>simulate</span>", out);
        if (sim->from_history)
                fputs("<span>--from-history</span>", out);
        put_word(out, "--jobs", sim->jobs);
        put_word(out, "--nodes", sim->nodes);
        put_word(out, "--trace", sim->trace);
        put_numbers(out, "--gpus", &sim->gpus, 1);
        put_numbers(out, "--node-gpus", &sim->node_gpus, 1);
        snprintf(days, sizeof days, "%lld-%lld", (long long)sim->from_day, (long long)sim->until_day);
        put_word(out, "--days", sim->until_day ? days : NULL);
        put_numbers(out, "--least-jobs", &sim->least, 1);
        for (unsigned i = 0; i < sim->policy_count; i++)
                len += (size_t)snprintf(policies + len, sizeof policies - len, "%s%s", i ? "," : "", sim->kind->policy_name(NULL, sim->policy[i]));
        put_word(out, "--policy", policies);
        snprintf(seeds, sizeof seeds, "%llu-%llu", (unsigned long long)sim->first, (unsigned long long)sim->last);
        put_word(out, "--seeds", sim->kind == &cli_sim_pods || sim->seeds_given ? seeds : NULL);
        put_word(out, "--ties", sim->any_tie ? "random" : NULL);
        put_numbers(out, "--churn", sim->loads, sim->load_count);
        put_numbers(out, "--repack", &sim->repack, sim->repack != 0);
        put_numbers(out, "--add-nodes", sim->add_nodes, sim->adds);
        put_numbers(out, "--slices", sim->slices, sim->cuts);
        fputs("</code>\n", out);
}

static void put_foot(const struct cli_sim *sim, FILE *out)
{
        fputs("<footer>\n<h2>What the figures are</h2>\n<dl>\n", out);
        for (size_t m = 0; m < sim->measures; m++) {
                fputs("<dt>", out);
                cli_sim_put(out, sim->measure[m].title);
                fprintf(out, "</dt><dd>%s%s</dd>\n", sim->measure[m].about, sim->measure[m].is_sum && sim->last > sim->first ? ", of all seeds together" : "");
        }
        fputs("</dl>\n", out);
        if (sim->last > sim->first)
                fputs("<p>± is the standard deviation over the seeds. Curves over time are those of the first seed.</p>\n", out);
        for (size_t i = 0; i < sim->rows; i++)
                if (sim->kind->is_oracle(sim->row[i].policy_at)) {
                        fputs("<p>An oracle knows how long each job will run, which nobody does: it says what could be had, and is not marked as the best.</p>\n", out);
                        break;
                }
        if (sim->adds > 1 || sim->add_nodes[0])
                fputs("<p>Nodes that were added are drawn from those there are, for each seed anew.</p>\n", out);
        if (sim->cuts > 1 || sim->slices[0])
                fputs("<p>With slices, a part of a GPU counts as the slices that it takes.</p>\n", out);
        fputs("<p>Made by</p>\n", out);
        put_command(sim, out);
        fputs("</footer>\n", out);
}

int cli_sim_page(const struct cli_sim *sim)
{
        fg_autofree char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        if (!out)
                return cli_fail(CLI_FAILED, "out of memory");
        put_head(sim, out);
        put_tiles(sim, out);
        fputs("<section id=\"charts\">\n<h2>Course</h2>\n<div class=\"charts\">\n", out);
        for (size_t k = 0; k < sim->charts; k++)
                if (!sim->chart[k].only_csv)
                        cli_sim_put_chart(sim, k, out);
        fputs("</div>\n</section>\n", out);
        put_table(sim, out);
        put_foot(sim, out);
        fputs("</main>\n</body>\n</html>\n", out);
        if (fclose(out) != 0)
                return cli_fail(CLI_FAILED, "out of memory");
        return cli_sim_write_file(sim->report, text, len);
}
