/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WAIT 50 /* s; the client waits for an answer for 60 */

struct options {
        bool json, follow;
        uint64_t after;
};

static const struct argp_option option_table[] = {
        {"follow", 'f', NULL, 0, "Go on with what happens until interrupted", 1},
        {"after", 'a', "N", 0, "Only what came after the event of this number", 1},
        CLI_OPTION_PROJECT,
        {"json", CLI_KEY_JSON, NULL, 0, "Print each event as one line of JSON", 10},
        {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        struct fg_error err = {0};
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case CLI_KEY_PROJECT:
                return cli_project_take(arg);
        case 'f':
                o->follow = true;
                return 0;
        case 'a':
                if (fg_count_parse("--after", arg, 0, INT64_MAX, &o->after, &err) < 0) {
                        cli_fail(0, "%s", err.text);
                        return EINVAL;
                }
                return 0;
        case ARGP_KEY_ARG:
                cli_fail(0, "events takes no argument, yet \"%s\" was given", arg);
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_events_argp = {.options = option_table,
                                     .parser = parse,
                                     .doc = "Show what happened to vGPUs, projects and users, as far as you may see it."};

static void print_event(const struct options *o, const json_t *event)
{
        char line[640], time[20];
        if (o->json) {
                json_dumpf(event, stdout, JSON_COMPACT);
                putchar('\n');
                return;
        }
        snprintf(time, sizeof time, "%.19s", cli_text(event, "time"));
        snprintf(line, sizeof line, "%s  %-12s %-12s %s", time, *cli_text(event, "project") ? cli_text(event, "project") : "-",
                 cli_text(event, "actor"), cli_text(event, "text"));
        puts(cli_clean(line));
}

/* One answer; *ret_next: where the next begins. */
static int read_some(struct fg_client *client, const struct options *o, const char *project, unsigned wait, uint64_t *at, size_t *ret_count)
{
        cli_autojson json_t *reply = NULL;
        char path[192];
        size_t i;
        const json_t *event;
        snprintf(path, sizeof path, "/v1/events?after=%" PRIu64 "&limit=1000%s%s", *at, project ? "&project=" : "", project ? project : "");
        if (wait)
                snprintf(path + strlen(path), sizeof path - strlen(path), "&wait=%u", wait);
        int code = cli_request(client, "GET", path, NULL, &reply);
        if (code)
                return code;
        const json_t *events = json_object_get(reply, "events");
        json_array_foreach(events, i, event) print_event(o, event);
        uint64_t next = cli_number(reply, "next");
        *ret_count = json_array_size(events) + (next != *at);
        *at = next;
        return fflush(stdout) == 0 ? 0 : CLI_FAILED;
}

int cli_events(int argc, char **argv)
{
        struct options o = {0};
        cli_autoclient struct fg_client *client = NULL;
        const char *project = NULL;
        size_t count = 1;
        int code = cli_parse("events", &cli_events_argp, argc, argv, &o);
        if (code == 0)
                code = cli_project(&project);
        if (code == 0)
                code = cli_connect(&client);
        uint64_t at = o.after;
        while (code == 0 && count)
                code = read_some(client, &o, project, 0, &at, &count);
        while (code == 0 && o.follow)
                code = read_some(client, &o, project, WAIT, &at, &count);
        return code;
}
