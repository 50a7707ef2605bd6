/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_view.h"

#include "base/size.h"
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

#define BAR 10

static const struct cli_column columns[] = {{"VGPU", false},       {"MEMORY", false}, {"USED", true},
                                            {"QUOTA", true},       {"SHARE", true},   {"GOT", true},
                                            {"GPU-SECONDS", true}, {"WAITS/S", true}, {"REFUSALS", true},
                                            {"PROCESSES", true},   {"STATE", false}};

static void add_bar(struct cli_table *table, uint64_t used, uint64_t quota)
{
        char bar[BAR + 1];
        /* Anything in use shows, and only a full quota fills the bar. */
        uint64_t full = quota ? (uint64_t)((unsigned __int128)used * BAR / quota) : 0;
        if (full == 0 && used)
                full = 1;
        for (size_t i = 0; i < BAR; i++)
                bar[i] = i < full ? '#' : '.';
        bar[BAR] = '\0';
        cli_table_add(table, "[%s]", bar);
}

/* A real number, or "-" where nothing is known yet. */
static void add_real(struct cli_table *table, const json_t *value, double scale, const char *unit)
{
        if (json_is_real(value))
                cli_table_add(table, "%.1f%s", json_real_value(value) * scale, unit);
        else
                cli_table_add(table, "-");
}

static void add_vgpu(struct cli_table *table, const json_t *v)
{
        uint64_t used = cli_number(v, "memory_used"), quota = cli_number(v, "memory");
        cli_table_add(table, "%s", cli_text(v, "name"));
        add_bar(table, used, quota);
        cli_table_add_size(table, used);
        cli_table_add_size(table, quota);
        cli_table_add_share(table, cli_number(v, "share"));
        add_real(table, json_object_get(v, "got"), 0.1, "%");
        cli_table_add(table, "%.1f", (double)cli_number(v, "gpu_ns") / 1e9);
        add_real(table, json_object_get(v, "waits_per_s"), 1, "");
        cli_table_add(table, "%llu", (unsigned long long)cli_number(v, "refusals"));
        cli_table_add(table, "%llu", (unsigned long long)cli_number(v, "processes"));
        cli_table_add(table, "%s", cli_text(v, "state"));
}

static void print_line(const char *text, FILE *out, size_t width)
{
        for (size_t left = width ? width : SIZE_MAX; *text; text++) {
                bool begins = ((unsigned char)*text & 0xc0) != 0x80;
                if (begins && left-- == 0)
                        break;
                fputc(*text, out);
        }
        fputc('\n', out);
}

void cli_top_head(const json_t *device, char *ret, size_t len)
{
        char used[32], memory[32], busy[32] = "-";
        const json_t *value = json_object_get(device, "busy");
        if (json_is_real(value))
                snprintf(busy, sizeof busy, "%.1f%%", json_real_value(value) / 10);
        snprintf(ret, len, "device %llu: %s  memory %s of %s  busy %s%s%s",
                 (unsigned long long)cli_number(device, "id"), cli_text(device, "model"),
                 fg_size_format(cli_number(device, "memory_used"), used, sizeof used),
                 fg_size_format(cli_number(device, "memory"), memory, sizeof memory), busy,
                 strcmp(cli_text(device, "state"), "ok") == 0 ? "" : "  state ",
                 strcmp(cli_text(device, "state"), "ok") == 0 ? "" : cli_text(device, "state"));
}

static void draw_head(const json_t *device, FILE *out, size_t width)
{
        char line[512];
        cli_top_head(device, line, sizeof line);
        print_line(cli_clean(line), out, width);
}

void cli_top_draw(const json_t *view, FILE *out, size_t width)
{
        size_t i, j;
        const json_t *device, *vgpu;
        json_array_foreach(json_object_get(view, "devices"), i, device)
        {
                cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
                const json_t *vgpus = json_object_get(device, "vgpus");
                if (i)
                        fputc('\n', out);
                draw_head(device, out, width);
                if (!table || json_array_size(vgpus) == 0) {
                        print_line("no vGPUs", out, width);
                        continue;
                }
                json_array_foreach(vgpus, j, vgpu) add_vgpu(table, vgpu);
                cli_table_print(table, out, width);
        }
        if (json_array_size(json_object_get(view, "devices")) == 0)
                print_line("no device; `fastgpu doctor` says what is missing", out, width);
}
