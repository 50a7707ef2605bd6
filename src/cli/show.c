/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include "base/size.h"
#include "cli/cli.h"
#include "cli/table.h"

#include <stdio.h>

void cli_show_line(const json_t *v)
{
        char size[32], share[32];
        cli_say("  %s  %s, compute %s (%s), priority %s, device %llu: %s", cli_text(v, "name"),
                fg_size_format(cli_number(v, "memory"), size, sizeof size),
                cli_share_format(cli_number(v, "share"), share, sizeof share), cli_text(v, "mode"),
                cli_text(v, "priority"), (unsigned long long)cli_number(v, "device"), cli_text(v, "device_model"));
}

void cli_show_made(const json_t *set)
{
        size_t i;
        const json_t *vgpu;
        cli_say("%s", cli_text(set, "name"));
        json_array_foreach(json_object_get(set, "vgpus"), i, vgpu) cli_show_line(vgpu);
        if (*cli_text(set, "note"))
                cli_say("note: %s", cli_text(set, "note"));
}

static void show_text(const char *label, const char *text)
{
        cli_say("  %-18s %s", label, text);
}

static void show_size(const char *label, uint64_t bytes)
{
        char buf[32];
        cli_say("  %-18s %s (%llu bytes)", label, fg_size_format(bytes, buf, sizeof buf),
                (unsigned long long)bytes);
}

static void show_count(const char *label, uint64_t count)
{
        cli_say("  %-18s %llu", label, (unsigned long long)count);
}

static void show_time(const char *label, uint64_t ns)
{
        cli_say("  %-18s %.3f s", label, (double)ns / 1e9);
}

static void show_pids(const json_t *pids)
{
        size_t i;
        const json_t *pid;
        printf("  %-18s", "pids");
        json_array_foreach(pids, i, pid) printf(" %lld", (long long)json_integer_value(pid));
        puts(json_array_size(pids) ? "" : " none");
}

static void show_usage(const json_t *u)
{
        show_size("memory used", cli_number(u, "memory_used"));
        show_size("memory peak", cli_number(u, "memory_peak"));
        show_count("processes", cli_number(u, "processes"));
        show_pids(json_object_get(u, "pids"));
        show_time("device time", cli_number(u, "gpu_ns"));
        show_time("granted time", cli_number(u, "granted_ns"));
        show_count("launches", cli_number(u, "launches"));
        show_count("waits", cli_number(u, "waits"));
        show_time("time waited", cli_number(u, "wait_ns"));
        show_count("refusals", cli_number(u, "refusals"));
        show_count("faults", cli_number(u, "faults"));
        show_text("active", json_is_true(json_object_get(u, "active")) ? "yes" : "no");
}

/* What a tier stops is easy to overestimate (docs: fastgpu(1), TIERS). */
static const char *tier_in_words(const char *tier)
{
        if (tier[0] == 's')
                return " (kept by a layer in the program; not a security boundary)";
        return tier[0] == 'h' ? " (kept by the device or its driver)" : "";
}

void cli_show_payer(const json_t *set)
{
        if (*cli_text(set, "payer"))
                show_text("paid by", cli_text(set, "payer"));
        if (*cli_text(set, "workload"))
                show_text("runs for", cli_text(set, "workload"));
}

void cli_show_lease(const json_t *set)
{
        const json_t *lease = json_object_get(set, "idle_lease");
        if (lease)
                cli_say("  %-18s %s at %s unless it is used (lease of %llu s)", "idle lease", cli_text(lease, "then"),
                        cli_text(lease, "ends"), (unsigned long long)cli_number(lease, "seconds"));
}

void cli_show_full(const json_t *v)
{
        char share[32];
        cli_say("%s", cli_text(v, "name"));
        show_text("state", cli_text(v, "state"));
        cli_say("  %-18s %s%s", "tier", cli_text(v, "tier"), tier_in_words(cli_text(v, "tier")));
        show_text("uuid", cli_text(v, "uuid"));
        cli_say("  %-18s %llu: %s (%s)", "device", (unsigned long long)cli_number(v, "device"),
                cli_text(v, "device_model"), cli_text(v, "device_key"));
        show_size("memory", cli_number(v, "memory"));
        show_text("compute", cli_share_format(cli_number(v, "share"), share, sizeof share));
        show_text("mode", cli_text(v, "mode"));
        show_text("priority", cli_text(v, "priority"));
        show_usage(json_object_get(v, "usage"));
}
