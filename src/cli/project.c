/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/each.h"
#include "cli/quota.h"
#include "cli/table.h"

#include "base/size.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LEASE_MAX (10ull * 366 * 86400) /* s */

static const struct argp_option option_table[] = {
        {"description", 'd', "TEXT", 0, "create, change: what it is for", 1},
        {"idle-lease", 'i', "TIME", 0, "set: when unused vGPUs are deleted or suspended: 2h, 0 for never, default for the daemon's", 1},
        {"role", 'r', "viewer|member|manager", 0, "add: what the user may there (member)", 1},
        {"user", 'u', "USER", 0, "quota: of this user in the project", 2},
        {"organisation", 'o', NULL, 0, "quota: of all projects together, instead of PROJECT", 2},
        {"vgpus", 'v', "N", 0, "quota: number of vGPUs; 0: no limit", 2},
        {"memory", 'm', "SIZE", 0, "quota: memory of all vGPUs together", 2},
        {"share", 's', "PERCENT", 0, "quota: share of all vGPUs together; 150 is one and a half devices", 2},
        {"jobs", 'J', "N", 0, "quota: jobs that run at the same time", 2},
        {"queued", 'q', "N", 0, "quota: jobs that wait", 2},
        {"weight", 'w', "N", 0, "quota: the project's due in the job queue, compared with others' (1)", 2},
        CLI_OPTION_JSON,
        {0}};

static int project_path(const struct cli_words *words, char *ret, size_t size)
{
        struct fg_error err = {0};
        if (fg_name_check(words->args[0], &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        snprintf(ret, size, "/v1/projects/%s", words->args[0]);
        return 0;
}

static int member_path(const struct cli_words *words, char *ret, size_t size)
{
        struct fg_error err = {0};
        int code = project_path(words, ret, size);
        if (code == 0 && fg_name_check(words->args[1], &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        size_t at = strlen(ret);
        snprintf(ret + at, size - at, "/members/%s", words->args[1]);
        return code;
}

static void print_lease(const json_t *project)
{
        uint64_t seconds = cli_number(project, "idle_lease");
        const char *whose = json_is_true(json_object_get(project, "idle_lease_default")) ? " (the daemon's)" : "";
        if (seconds)
                printf("  idle lease   %llu s%s\n", (unsigned long long)seconds, whose);
        else
                printf("  idle lease   none%s\n", whose);
}

static void show(const json_t *project)
{
        size_t i;
        const json_t *member;
        printf("%s\n", cli_text(project, "name"));
        if (*cli_text(project, "description"))
                printf("  description  %s\n", cli_text(project, "description"));
        printf("  created      %s\n  your role    %s\n  sets         %llu\n  members      %llu\n", cli_text(project, "created"),
               cli_text(project, "role"), (unsigned long long)cli_number(project, "sets"),
               (unsigned long long)cli_number(project, "members"));
        if (json_object_get(project, "idle_lease"))
                print_lease(project);
        json_array_foreach(json_object_get(project, "member_list"), i, member)
                printf("    %s (%s)\n", cli_text(member, "user"), cli_text(member, "role"));
}

static int send(const struct cli_words *words, const char *method, const char *path, json_t *body)
{
        cli_autojson json_t *reply = NULL;
        int code = cli_call(method, path, body, NULL, &reply);
        if (code)
                return code;
        if (words->json && reply)
                cli_print_json(reply, stdout);
        else if (words->json)
                puts("{}");
        else if (json_object_get(reply, "name"))
                show(reply);
        return 0;
}

static json_t *description_body(const struct cli_words *words)
{
        json_t *body = json_object();
        if (cli_word(words, "description"))
                json_object_set_new(body, "description", json_string(cli_word(words, "description")));
        return body;
}

static int create(const struct cli_words *words)
{
        cli_autojson json_t *body = description_body(words);
        char path[96];
        int code = project_path(words, path, sizeof path);
        json_object_set_new(body, "name", json_string(words->args[0]));
        return code ? code : send(words, "POST", "/v1/projects", json_incref(body));
}

static int change(const struct cli_words *words)
{
        cli_autojson json_t *body = description_body(words);
        char path[96];
        int code = project_path(words, path, sizeof path);
        if (code == 0 && json_object_size(body) == 0)
                code = cli_fail(CLI_USAGE, "nothing to change in %s; add --description", words->args[0]);
        return code ? code : send(words, "PATCH", path, json_incref(body));
}

static int set(const struct cli_words *words)
{
        const char *lease = cli_word(words, "idle-lease");
        struct fg_error err = {0};
        char path[96];
        uint64_t seconds;
        int code = project_path(words, path, sizeof path);
        if (code)
                return code;
        if (!lease)
                return cli_fail(CLI_USAGE, "nothing to set for %s; add --idle-lease", words->args[0]);
        if (strcmp(lease, "default") == 0)
                return send(words, "PATCH", path, json_pack("{s:n}", "idle_lease"));
        if (fg_duration_parse("--idle-lease", lease, LEASE_MAX, &seconds, &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        return send(words, "PATCH", path, json_pack("{s:I}", "idle_lease", (json_int_t)seconds));
}

static int show_one(const struct cli_words *words)
{
        char path[96];
        int code = project_path(words, path, sizeof path);
        return code ? code : send(words, "GET", path, NULL);
}

static int delete(const struct cli_words *words)
{
        char path[96];
        int code = project_path(words, path, sizeof path);
        return code ? code : send(words, "DELETE", path, NULL);
}

static int add(const struct cli_words *words)
{
        const char *role = cli_word(words, "role");
        char path[192];
        int code = member_path(words, path, sizeof path);
        return code ? code : send(words, "PUT", path, json_pack("{s:s}", "role", role ? role : "member"));
}

static int expel(const struct cli_words *words)
{
        char path[192];
        int code = member_path(words, path, sizeof path);
        return code ? code : send(words, "DELETE", path, NULL);
}

/* What it runs for in a cluster stays as it is said. */
static int pay(const struct cli_words *words)
{
        cli_autojson json_t *set = NULL;
        cli_autojson json_t *reply = NULL;
        struct fg_error err = {0};
        char path[192 + sizeof "/payer"];
        if (fg_name_check(words->args[0], &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        int code = cli_set_path("project pay PROJECT", words->args[1], path, 192);
        if (code == 0)
                code = cli_call("GET", path, NULL, words->args[1], &set);
        if (code)
                return code;
        json_t *body = json_pack("{s:s}", "project", words->args[0]);
        if (*cli_text(set, "workload"))
                json_object_set_new(body, "workload", json_string(cli_text(set, "workload")));
        code = cli_call("PUT", strcat(path, "/payer"), body, words->args[1], &reply);
        if (code)
                return code;
        if (words->json)
                cli_print_json(reply, stdout);
        else
                printf("%s pays for %s\n", words->args[0], words->args[1]);
        return 0;
}

static int print_projects(const json_t *projects)
{
        static const struct cli_column columns[] = {
                {"NAME", false}, {"ROLE", false}, {"MEMBERS", true}, {"SETS", true}, {"DESCRIPTION", false}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *project;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(projects, i, project)
        {
                cli_table_add(table, "%s", cli_text(project, "name"));
                cli_table_add(table, "%s", cli_text(project, "role"));
                cli_table_add(table, "%llu", (unsigned long long)cli_number(project, "members"));
                cli_table_add(table, "%llu", (unsigned long long)cli_number(project, "sets"));
                cli_table_add(table, "%s", cli_text(project, "description"));
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

static int list(const struct cli_words *words)
{
        cli_autojson json_t *projects = NULL;
        int code = cli_call_all("/v1/projects?limit=1000", "projects", &projects);
        if (code)
                return code;
        if (words->json) {
                cli_autojson json_t *all = json_pack("{s:O}", "projects", projects);
                cli_print_json(all, stdout);
                return 0;
        }
        if (json_array_size(projects))
                return print_projects(projects);
        cli_note("you are in no project yet; an admin lets you in with `fastgpu project add PROJECT USER`");
        return 0;
}

const struct cli_action cli_project_actions[] = {
        {"create", 1, 1, "NAME [--description TEXT]", "description", create},
        {"list", 0, 0, "", "", list},
        {"show", 1, 1, "NAME", "", show_one},
        {"change", 1, 1, "NAME --description TEXT", "description", change},
        {"set", 1, 1, "NAME --idle-lease TIME|0|default", "idle-lease", set},
        {"add", 2, 2, "PROJECT USER [--role viewer|member|manager]", "role", add},
        {"remove", 2, 2, "PROJECT USER", "", expel},
        {"quota", 0, 1, "PROJECT [--user USER] [--vgpus N] [--memory SIZE] …", "user organisation vgpus memory share jobs queued weight",
         cli_quota},
        {"pay", 2, 2, "PROJECT NAME", "", pay},
        {"delete", 1, 1, "NAME", "", delete},
        {0},
};

const struct argp cli_project_argp = {
        .options = option_table,
        .parser = cli_action_parse,
        .args_doc = "create NAME\nlist\nshow NAME\nchange NAME\nset NAME\nadd PROJECT USER\nremove PROJECT USER\nquota PROJECT\npay PROJECT NAME\ndelete NAME",
        .doc = "Manage projects: what one owns, nobody outside of it sees. A viewer reads, a member makes vGPUs and changes "
               "his own, a manager everything in the project, an admin everything."};

int cli_project_verb(int argc, char **argv)
{
        return cli_action_run("project", &cli_project_argp, cli_project_actions, argc, argv);
}
