/* SPDX-License-Identifier: Apache-2.0
 * `discover` says what there is in the words of engines that give out devices by an address: Spark, Flink. */
#include "cli/cli.h"

#include "base/size.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AMOUNT_MAX 10000

struct options {
        const char *target, *format, *amount, *resource, *memory, *compute, *device;
};

enum { KEY_FORMAT = 'f', KEY_AMOUNT = 'a', KEY_RESOURCE = 0x180 };

static const struct argp_option option_table[] = {
        {"format", KEY_FORMAT, "spark|flink", 0, "In whose words (a table for people)", 1},
        {"amount", KEY_AMOUNT, "N", 0, "So many of them, or none and exit status 5", 1},
        {"resource", KEY_RESOURCE, "NAME", 0, "What Spark calls it (gpu)", 1},
        {"memory", CLI_KEY_MEMORY, "SIZE", 0, "Without NAME: how often vGPUs of that size fit", 2},
        {"compute", CLI_KEY_COMPUTE, "PERCENT", 0, "The same for a share of the time", 2},
        {"device", CLI_KEY_DEVICE, "ID", 0, "On this device only", 2},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

const struct argp cli_discover_argp = {
        .options = option_table,
        .parser = cli_action_parse,
        .args_doc = "[NAME]",
        .doc = "Say which vGPUs there are as a discovery script does: those of NAME; with --memory or --compute how many more of that size fit, "
               "which a program can be given with `fastgpu run --memory … --compute …`; else the whole devices. "
               "Spark and Flink call this by the scripts in share/fastgpu."};

/* One address, of `what` for people. */
static void found(json_t *list, const char *address, const char *what)
{
        json_array_append_new(list, json_pack("{s:s, s:s}", "address", address, "what", what));
}

/* Spark has addresses of any form, and hands them to whoever asks for the task's; they are names to `fastgpu run`. Flink's are numbers of
 * the devices that a program in the set sees. */
static int of_set(const struct options *o, bool numbers, json_t *list)
{
        cli_autojson json_t *set = NULL;
        char path[256], address[96], what[160], memory[32], share[16];
        const json_t *vgpu;
        int64_t index;
        size_t i;
        int code = cli_vgpu_path(o->target, path, sizeof path, &index);
        if (code == 0)
                code = cli_call("GET", path, NULL, o->target, &set);
        if (code)
                return code;
        json_array_foreach(json_object_get(set, "vgpus"), i, vgpu) {
                if (index >= 0 && cli_number(vgpu, "index") != (uint64_t)index)
                        continue;
                /* A program in NAME/I sees one device, its first. */
                snprintf(address, sizeof address, "%llu", (unsigned long long)(index >= 0 ? 0 : i));
                snprintf(what, sizeof what, "%s, %s, %s", cli_text(vgpu, "name"), fg_size_format(cli_number(vgpu, "memory"), memory, sizeof memory),
                         cli_share_format(cli_number(vgpu, "share"), share, sizeof share));
                found(list, numbers ? address : cli_text(vgpu, "name"), what);
        }
        return 0;
}

/* How many more of the wish fit on the device; without a wish a device is one. */
static int fits(const struct options *o, const json_t *device, uint64_t *ret)
{
        struct fg_error err = {0};
        uint64_t bytes = 0, times = UINT64_MAX;
        uint32_t permille = 0;
        if (o->memory && fg_size_parse(o->memory, cli_number(device, "memory"), &bytes, &err) < 0)
                return cli_fail(CLI_USAGE, "--memory: %s", err.text);
        if (o->compute && fg_share_parse(o->compute, &permille, &err) < 0)
                return cli_fail(CLI_USAGE, "--compute: %s", err.text);
        if (bytes)
                times = cli_number(device, "memory_free") / bytes;
        if (permille && cli_number(device, "share_free") / permille < times)
                times = cli_number(device, "share_free") / permille;
        *ret = strcmp(cli_text(device, "state"), "ok") != 0 ? 0 : times == UINT64_MAX ? 1 : times;
        return 0;
}

static int of_devices(const struct options *o, json_t *list)
{
        cli_autojson json_t *reply = NULL;
        const json_t *device;
        char address[24], id[24];
        uint64_t times = 0;
        size_t i;
        bool slots = o->memory || o->compute;
        int code = cli_call("GET", "/v1/devices", NULL, NULL, &reply);
        json_array_foreach(json_object_get(reply, "devices"), i, device) {
                snprintf(id, sizeof id, "%llu", (unsigned long long)cli_number(device, "id"));
                if (o->device && strcmp(o->device, id) != 0)
                        continue;
                code = fits(o, device, &times);
                if (code)
                        return code;
                for (uint64_t k = 0; k < times && json_array_size(list) < AMOUNT_MAX; k++) {
                        snprintf(address, sizeof address, "%zu", json_array_size(list));
                        found(list, slots ? address : id, cli_text(device, "model"));
                }
        }
        return code;
}

static int take_amount(const struct options *o, json_t *list)
{
        struct fg_error err = {0};
        uint64_t wanted;
        if (!o->amount)
                return 0;
        if (fg_count_parse("--amount", o->amount, 1, AMOUNT_MAX, &wanted, &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        if (json_array_size(list) < wanted)
                return cli_fail(CLI_NO_CAPACITY, "--amount %s: there are %zu %s%s", o->amount, json_array_size(list), o->target ? "in " : "that fit",
                                o->target ? o->target : "");
        while (json_array_size(list) > wanted)
                json_array_remove(list, json_array_size(list) - 1);
        return 0;
}

static void print_spark(const struct options *o, const json_t *list)
{
        cli_autojson json_t *out = json_pack("{s:s, s:[]}", "name", o->resource ? o->resource : "gpu", "addresses");
        const json_t *one;
        size_t i;
        json_array_foreach(list, i, one) json_array_append_new(json_object_get(out, "addresses"), json_string(cli_text(one, "address")));
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
}

static void print_flink(const struct options *o, const json_t *list)
{
        const json_t *one;
        size_t i;
        json_array_foreach(list, i, one) printf("%s%s", i ? "," : "", cli_text(one, "address"));
        putchar('\n');
}

static int print_table(const json_t *list)
{
        static const struct cli_column columns[] = {{"ADDRESS", false}, {"WHAT", false}};
        cli_autotable struct cli_table *table = cli_table_new(columns, 2);
        const json_t *one;
        size_t i;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(list, i, one) {
                cli_table_add(table, "%s", cli_text(one, "address"));
                cli_table_add(table, "%s", cli_text(one, "what"));
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

static const struct {
        const char *name;
        void (*print)(const struct options *o, const json_t *list);
        bool numbers;
} format_table[] = {{"spark", print_spark, false}, {"flink", print_flink, true}};

int cli_discover(int argc, char **argv)
{
        struct cli_words words;
        cli_autojson json_t *list = json_array();
        size_t at = 0, formats = sizeof format_table / sizeof *format_table;
        int code = cli_words_few("discover", &cli_discover_argp, 1, argc, argv, &words);
        if (code)
                return code;
        const struct options o = {.target = words.count ? words.args[0] : NULL, .format = cli_word(&words, "format"), .amount = cli_word(&words, "amount"),
                                  .resource = cli_word(&words, "resource"), .memory = cli_word(&words, "memory"),
                                  .compute = cli_word(&words, "compute"), .device = cli_word(&words, "device")};
        while (o.format && at < formats && strcmp(format_table[at].name, o.format) != 0)
                at++;
        if (at == formats)
                return cli_fail(CLI_USAGE, "--format \"%.40s\": there are spark and flink", o.format);
        if (o.target && (o.memory || o.compute || o.device))
                return cli_fail(CLI_USAGE, "%s has its limits already; leave it out to see how many vGPUs of that size fit", o.target);
        code = o.target ? of_set(&o, o.format && format_table[at].numbers, list) : of_devices(&o, list);
        if (code == 0)
                code = take_amount(&o, list);
        if (code)
                return code;
        if (words.json)
                cli_print_json(list, stdout);
        else if (o.format)
                format_table[at].print(&o, list);
        else
                code = print_table(list);
        return code;
}
