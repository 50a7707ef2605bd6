/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"
#include "cli/cli.h"
#include "cli/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct argp_option option_table[] = {
        {"rescan", 'r', NULL, 0, "Let the daemon look for devices again first", 0}, CLI_OPTION_JSON, {0}};

const struct argp cli_devices_argp = {.options = option_table,
                                      .parser = cli_action_parse,
                                      .doc = "List the physical devices that vGPUs can be made on: memory, what of it "
                                             "is promised and what is free, the "
                                             "share of compute that is free, and how many vGPUs each carries."};

static void add_device(struct cli_table *table, const json_t *d)
{
        uint64_t memory = cli_number(d, "memory"), free = cli_number(d, "memory_free");
        uint64_t kept = cli_number(d, "memory_reserved") + free;
        cli_table_add(table, "%llu", (unsigned long long)cli_number(d, "id"));
        cli_table_add(table, "%s", cli_text(d, "model"));
        cli_table_add_size(table, memory);
        cli_table_add_size(table, memory > kept ? memory - kept : 0);
        cli_table_add_size(table, free);
        cli_table_add_share(table, cli_number(d, "share_free"));
        cli_table_add(table, "%llu", (unsigned long long)cli_number(d, "compute_units"));
        cli_table_add(table, "%s", cli_text(d, "driver"));
        cli_table_add(table, "%llu", (unsigned long long)cli_number(d, "vgpus"));
        cli_table_add(table, "%s", cli_text(d, "state"));
}

/* What the watchdog found: on standard error, as it is not part of the table. */
static void note_finding(const json_t *finding)
{
        char memory[32];
        fg_size_format(cli_number(finding, "memory"), memory, sizeof memory);
        cli_note(strcmp(cli_text(finding, "kind"), "over-quota") == 0
                         ? "%s: process %llu (%s) on device %llu: the vGPU %s is over its quota"
                         : "%s: process %llu (%s) on device %llu is outside any vGPU%s",
                 memory, (unsigned long long)cli_number(finding, "pid"), cli_text(finding, "program"),
                 (unsigned long long)cli_number(finding, "device"), cli_text(finding, "vgpu"));
}

/* The watchdog's figures of a GPU, where they cannot be relied on. */
static void note_watch(const json_t *device)
{
        const json_t *watch = json_object_get(device, "watch"), *age = json_object_get(watch, "age_ms");
        bool stale = json_is_true(json_object_get(watch, "stale"));
        const char *error = cli_text(watch, "error");
        char old[32] = "";
        if (!stale && !*error)
                return;
        if (age)
                snprintf(old, sizeof old, ", %.1f s old", (double)cli_number(watch, "age_ms") / 1000);
        cli_note("device %llu: the driver's own figures are %s%s%s%s%s", (unsigned long long)cli_number(device, "id"),
                 !age ? "not there" : stale ? "stale" : "the last there were", old,
                 *error ? ": NVML says \"" : "", error, *error ? "\"" : "");
}

/* Options are the daemon's, taken at its start. */
static void note_other_sim(const json_t *reply)
{
        const char *wanted = getenv("FASTGPU_SIM");
        if (wanted && *wanted && strcmp(wanted, cli_text(reply, "sim")) != 0)
                cli_note("FASTGPU_SIM=%s has no effect: the daemon that runs was started %s%s; end it first, or set FASTGPU_STATE_DIR for one of your own",
                         wanted, *cli_text(reply, "sim") ? "with " : "without it", cli_text(reply, "sim"));
}

static int print_devices(const json_t *devices)
{
        static const struct cli_column columns[] = {
                {"ID", true},         {"MODEL", false}, {"MEMORY", true},  {"IN-USE", true}, {"FREE", true},
                {"SHARE-FREE", true}, {"UNITS", true},  {"DRIVER", false}, {"VGPUS", true},  {"STATE", false}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *device;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(devices, i, device) add_device(table, device);
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

int cli_devices(int argc, char **argv)
{
        struct cli_words words;
        cli_autojson json_t *reply = NULL;
        size_t i;
        const json_t *one;
        int code = cli_words_few("devices", &cli_devices_argp, 0, argc, argv, &words);
        if (code == 0)
                code = cli_call("GET", cli_word(&words, "rescan") ? "/v1/devices?rescan=1" : "/v1/devices", NULL, NULL, &reply);
        if (code)
                return code;
        if (words.json) {
                cli_print_json(reply, stdout);
                return 0;
        }
        const json_t *devices = json_object_get(reply, "devices");
        if (json_array_size(devices))
                code = print_devices(devices);
        else
                cli_note("no device was found; `fastgpu doctor` says what is missing");
        json_array_foreach(json_object_get(reply, "problems"), i, one)
                cli_note("%s", json_string_value(one) ? json_string_value(one) : "?");
        json_array_foreach(devices, i, one) note_watch(one);
        note_other_sim(reply);
        json_array_foreach(json_object_get(reply, "findings"), i, one) note_finding(one);
        return code;
}
