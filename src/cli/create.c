/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/show.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct options {
        bool json, explain;
        struct cli_wish wish;
};

static const struct argp_option option_table[] = {
        CLI_OPTION_GPUS,
        {"name", CLI_KEY_NAME, "NAME", 0, "Name of the set (generated)", 1},
        CLI_OPTION_MEMORY,
        CLI_OPTION_COMPUTE,
        CLI_OPTION_MODE,
        CLI_OPTION_PRIORITY,
        CLI_OPTION_DEVICE,
        {"explain", 'x', NULL, 0, "Say where they would go and why not elsewhere, and make nothing", 1},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case 'x':
                o->explain = true;
                return 0;
        case CLI_KEY_PROJECT:
                return cli_project_take(arg);
        case ARGP_KEY_ARG:
                cli_fail(0, "create takes no argument, yet \"%s\" was given; did you mean --name %s?", arg, arg);
                return EINVAL;
        default:
                return cli_wish_take(&o->wish, key, arg);
        }
}

const struct argp cli_create_argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Create vGPUs: each is a quota of memory and a share of compute on a physical device. Without --memory "
               "or --compute a vGPU takes an equal part of what its device still has.\v"
               "--memory and --compute take one value for all vGPUs or one for each: --gpus 2 --compute 70,30"};

static void print_device(const json_t *d)
{
        uint64_t share = cli_number(d, "share_free");
        char memory[32] = "0 B";
        if (cli_number(d, "memory_free"))
                fg_size_floor(cli_number(d, "memory_free"), memory, sizeof memory);
        printf("  %s device %llu (%s; free: %s and %llu.%llu %%) %s\n", strcmp(cli_text(d, "fate"), "chosen") == 0 ? "*" : " ",
               (unsigned long long)cli_number(d, "device"), cli_text(d, "model"), memory, (unsigned long long)share / 10,
               (unsigned long long)share % 10, cli_text(d, "why"));
}

/* "&name=value" with all escaped that is no letter or digit. */
static void add_query(FILE *out, const char *name, const char *value)
{
        fprintf(out, "&%s=", name);
        for (; *value; value++)
                fprintf(out, isalnum((unsigned char)*value) ? "%c" : "%%%02X", (unsigned char)*value);
}

static int placement_path(const struct options *o, const json_t *body, char **ret)
{
        const char *project = NULL;
        size_t size;
        FILE *out = open_memstream(ret, &size);
        if (!out)
                return cli_fail(CLI_FAILED, "out of memory");
        fprintf(out, "/v1/placement?gpus=%llu", (unsigned long long)(json_object_get(body, "gpus") ? cli_number(body, "gpus") : 1));
        if (o->wish.memory)
                add_query(out, "memory", o->wish.memory);
        if (o->wish.compute)
                add_query(out, "compute", o->wish.compute);
        if (o->wish.name)
                add_query(out, "name", o->wish.name);
        if (o->wish.device)
                add_query(out, "device", o->wish.device);
        int code = cli_project(&project);
        if (project)
                add_query(out, "project", project);
        fclose(out);
        return code;
}

static int explain(const struct options *o, const json_t *body)
{
        cli_autojson json_t *reply = NULL;
        fg_autofree char *path = NULL;
        size_t i, k;
        const json_t *vgpu, *device;
        int code = placement_path(o, body, &path);
        if (code == 0)
                code = cli_call("GET", path, NULL, NULL, &reply);
        if (code)
                return code;
        if (o->json)
                cli_print_json(reply, stdout);
        else
                json_array_foreach(json_object_get(reply, "vgpus"), i, vgpu) {
                        printf("vGPU %zu, placed by %s:\n", i, cli_text(reply, "policy"));
                        json_array_foreach(json_object_get(vgpu, "devices"), k, device) print_device(device);
                }
        return json_is_true(json_object_get(reply, "fits")) ? 0 : CLI_NO_CAPACITY;
}

int cli_create(int argc, char **argv)
{
        struct options o = {0};
        json_t *body = NULL;
        cli_autojson json_t *set = NULL;
        int code = cli_parse("create", &cli_create_argp, argc, argv, &o);
        if (code == 0)
                code = cli_wish_body(&o.wish, &body);
        if (code == 0)
                code = cli_wish_infer_gpus(body);
        if (code == 0)
                code = cli_project_add(body);
        if (code) {
                json_decref(body);
                return code;
        }
        if (o.explain) {
                code = explain(&o, body);
                json_decref(body);
                return code;
        }
        code = cli_call("POST", "/v1/vgpus", body, NULL, &set);
        if (code)
                return code;
        if (o.json)
                cli_print_json(set, stdout);
        else
                cli_show_made(set);
        return 0;
}
