/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_rows.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof array / sizeof array[0])

/* clang-format off */
static const struct cli_top_column vgpu_columns[] = {
        {"VGPU", "name", CLI_TOP_TEXT, 12},          {"GOT-HISTORY", "got", CLI_TOP_SPARK, 12},
        {"GOT", "got", CLI_TOP_SHARE, 6},            {"SHARE", "share", CLI_TOP_SHARE, 6},
        {"MEMORY-HIST", "memory_used", CLI_TOP_SPARK, 12},
        {"USED", "memory_used", CLI_TOP_SIZE, 9},    {"QUOTA", "memory", CLI_TOP_SIZE, 9},
        {"STATE", "state", CLI_TOP_TEXT, 9},         {"WAITS/S", "waits_per_s", CLI_TOP_RATE, 7},
        {"REFUSALS", "refusals", CLI_TOP_COUNT, 8},  {"PROCESSES", "processes", CLI_TOP_COUNT, 9},
        {"GPU-SECONDS", "gpu_ns", CLI_TOP_SECONDS, 11},
        {"PROJECT", "project", CLI_TOP_TEXT, 7},     {"USER", "owner", CLI_TOP_TEXT, 8},
        {"DEVICE", "device", CLI_TOP_COUNT, 6}};

static const struct cli_top_column process_columns[] = {
        {"PID", "pid", CLI_TOP_COUNT, 7},            {"PROGRAM", "program", CLI_TOP_TEXT, 15},
        {"VGPU", "name", CLI_TOP_TEXT, 12},          {"GOT-HISTORY", "got", CLI_TOP_SPARK, 12},
        {"GOT", "got", CLI_TOP_SHARE, 6},            {"USED", "memory_used", CLI_TOP_SIZE, 9},
        {"STATE", "state", CLI_TOP_TEXT, 9},         {"PROJECT", "project", CLI_TOP_TEXT, 7},
        {"USER", "owner", CLI_TOP_TEXT, 8},          {"DEVICE", "device", CLI_TOP_COUNT, 6}};

static const struct cli_top_column tenant_columns[] = {
        {"PROJECT", "project", CLI_TOP_TEXT, 12},    {"USER", "owner", CLI_TOP_TEXT, 10},
        {"VGPUS", "vgpus", CLI_TOP_COUNT, 5},        {"GOT-HISTORY", "got", CLI_TOP_SPARK, 12},
        {"GOT", "got", CLI_TOP_SHARE, 6},            {"SHARE", "share", CLI_TOP_SHARE, 6},
        {"MEMORY-HIST", "memory_used", CLI_TOP_SPARK, 12},
        {"USED", "memory_used", CLI_TOP_SIZE, 9},    {"QUOTA", "memory", CLI_TOP_SIZE, 9},
        {"PROCESSES", "processes", CLI_TOP_COUNT, 9},{"WAITS/S", "waits_per_s", CLI_TOP_RATE, 7},
        {"REFUSALS", "refusals", CLI_TOP_COUNT, 8},  {"GPU-SECONDS", "gpu_ns", CLI_TOP_SECONDS, 11}};

static const struct cli_top_column device_columns[] = {
        {"ID", "id", CLI_TOP_COUNT, 3},              {"MODEL", "model", CLI_TOP_TEXT, 12},
        {"BUSY-HISTORY", "busy", CLI_TOP_SPARK, 12}, {"BUSY", "busy", CLI_TOP_SHARE, 6},
        {"SHARE-FREE", "share_free", CLI_TOP_SHARE, 10},
        {"MEMORY-HIST", "memory_used", CLI_TOP_SPARK, 12},
        {"USED", "memory_used", CLI_TOP_SIZE, 9},    {"MEMORY", "memory", CLI_TOP_SIZE, 9},
        {"FREE", "memory_free", CLI_TOP_SIZE, 9},    {"VGPUS", "vgpus", CLI_TOP_COUNT, 5},
        {"STATE", "state", CLI_TOP_TEXT, 6}};

static const struct cli_top_column job_columns[] = {
        {"ID", "id", CLI_TOP_COUNT, 5},              {"NAME", "name", CLI_TOP_TEXT, 14},
        {"STATE", "state", CLI_TOP_TEXT, 9},         {"TIME", "age", CLI_TOP_AGE, 8},
        {"GPUS", "gpus", CLI_TOP_COUNT, 4},          {"SHARE", "share", CLI_TOP_SHARE, 6},
        {"MEMORY", "memory", CLI_TOP_SIZE, 9},       {"PRIORITY", "priority", CLI_TOP_TEXT, 8},
        {"PROJECT", "project", CLI_TOP_TEXT, 10},    {"USER", "owner", CLI_TOP_TEXT, 8},
        {"ELEMENTS", "elements", CLI_TOP_TEXT, 8}};

const struct cli_top_table cli_top_tables[CLI_TOP_VIEWS] = {
        [CLI_TOP_VGPU] = {"vgpu", "vGPUs", vgpu_columns, COUNT(vgpu_columns), "got"},
        [CLI_TOP_PROCESS] = {"process", "processes", process_columns, COUNT(process_columns), "got"},
        [CLI_TOP_TENANT] = {"tenant", "tenants", tenant_columns, COUNT(tenant_columns), "got"},
        [CLI_TOP_DEVICE] = {"device", "devices", device_columns, COUNT(device_columns), "-id"},
        [CLI_TOP_JOB] = {"job", "jobs", job_columns, COUNT(job_columns), "id"},
};
/* clang-format on */

static void key(json_t *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void key(json_t *row, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        json_object_set_new(row, "key", json_vsprintf(format, args));
        va_end(args);
}

/* What runs under this number, as the kernel says; "" where that cannot be told. */
static void program_of(uint64_t pid, char *ret, size_t len)
{
        char path[40];
        *ret = '\0';
        snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)pid);
        FILE *f = fopen(path, "re");
        if (!f)
                return;
        if (!fgets(ret, (int)len, f))
                *ret = '\0';
        ret[strcspn(ret, "\n")] = '\0';
        fclose(f);
}

static void add_processes(json_t *rows, const json_t *vgpu, bool local)
{
        static const char *const shared[] = {"name", "project", "owner", "state", "got", "memory_used", "device", "target", "job", "uuid"};
        size_t i;
        const json_t *pid;
        json_array_foreach(json_object_get(vgpu, "pids"), i, pid)
        {
                json_t *row = json_object();
                char program[32] = "";
                if (local)
                        program_of((uint64_t)json_integer_value(pid), program, sizeof program);
                json_object_set(row, "pid", (json_t *)pid);
                json_t *name = json_string(program); /* NULL: it is no UTF-8 */
                json_object_set_new(row, "program", name ? name : json_string("?"));
                for (size_t j = 0; j < COUNT(shared); j++)
                        if (json_object_get(vgpu, shared[j]))
                                json_object_set(row, shared[j], json_object_get(vgpu, shared[j]));
                key(row, "%lld %s", (long long)json_integer_value(pid), cli_text(vgpu, "uuid"));
                json_array_append_new(rows, row);
        }
}

static void add_number(json_t *row, const char *field, const json_t *value)
{
        const json_t *had = json_object_get(row, field);
        if (json_is_integer(value))
                json_object_set_new(row, field, json_integer(json_integer_value(had) + json_integer_value(value)));
        else if (json_is_real(value))
                json_object_set_new(row, field, json_real(json_real_value(had) + json_real_value(value)));
        else if (!had)
                json_object_set_new(row, field, json_null());
}

/* One row for each user of each project, in the sum of his vGPUs. */
static void add_to_tenant(json_t *rows, json_t *by_key, const json_t *vgpu)
{
        static const char *const sums[] = {"memory_used", "memory", "share", "got", "processes", "waits_per_s", "refusals", "gpu_ns"};
        json_t *name = json_sprintf("%s\t%s", cli_text(vgpu, "project"), cli_text(vgpu, "owner"));
        json_t *row = json_object_get(by_key, json_string_value(name));
        if (!row) {
                row = json_pack("{s:s, s:s, s:i, s:O}", "project", cli_text(vgpu, "project"), "owner", cli_text(vgpu, "owner"), "vgpus", 0, "key", name);
                json_object_set(by_key, json_string_value(name), row);
                json_array_append_new(rows, row);
        }
        for (size_t i = 0; i < COUNT(sums); i++)
                add_number(row, sums[i], json_object_get(vgpu, sums[i]));
        json_object_set_new(row, "vgpus", json_integer((json_int_t)cli_number(row, "vgpus") + 1));
        json_decref(name);
}

static void add_device(json_t *rows, const json_t *device)
{
        json_t *row = json_copy((json_t *)device);
        json_object_set_new(row, "vgpus", json_integer((json_int_t)json_array_size(json_object_get(device, "vgpus"))));
        key(row, "%llu", (unsigned long long)cli_number(device, "id"));
        json_array_append_new(rows, row);
}

static json_int_t seconds(const char *text)
{
        struct tm tm = {0};
        return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (json_int_t)timegm(&tm) : 0;
}

static json_t *job_rows(const json_t *jobs)
{
        json_t *rows = json_array();
        size_t i;
        const json_t *job;
        json_array_foreach(json_object_get(jobs, "jobs"), i, job)
        {
                json_t *row = json_copy((json_t *)job);
                const json_t *counts = json_object_get(job, "counts");
                json_int_t since = seconds(*cli_text(job, "started") ? cli_text(job, "started") : cli_text(job, "submitted"));
                json_int_t until = *cli_text(job, "ended") ? seconds(cli_text(job, "ended")) : (json_int_t)time(NULL);
                json_object_set_new(row, "age", since && until > since ? json_integer(until - since) : json_null());
                if (counts)
                        json_object_set_new(row, "elements", json_sprintf("%llu queued, %llu running, %llu over", (unsigned long long)cli_number(counts, "queued"),
                                                                          (unsigned long long)cli_number(counts, "running"),
                                                                          (unsigned long long)(cli_number(counts, "done") + cli_number(counts, "failed") +
                                                                                               cli_number(counts, "cancelled"))));
                key(row, "%llu", (unsigned long long)cli_number(job, "id"));
                json_array_append_new(rows, row);
        }
        return rows;
}

json_t *cli_top_rows(enum cli_top_view_id view, const json_t *model, bool local)
{
        json_t *rows = json_array();
        cli_autojson json_t *by_key = json_object();
        size_t i, j;
        const json_t *device, *vgpu;
        if (view == CLI_TOP_JOB) {
                json_decref(rows);
                return job_rows(model);
        }
        json_array_foreach(json_object_get(model, "devices"), i, device)
        {
                if (view == CLI_TOP_DEVICE)
                        add_device(rows, device);
                json_array_foreach(json_object_get(device, "vgpus"), j, vgpu)
                {
                        if (view == CLI_TOP_VGPU)
                                json_array_append(rows, (json_t *)vgpu);
                        else if (view == CLI_TOP_PROCESS)
                                add_processes(rows, vgpu, local);
                        else if (view == CLI_TOP_TENANT)
                                add_to_tenant(rows, by_key, vgpu);
                }
        }
        return rows;
}
