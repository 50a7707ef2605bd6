/* SPDX-License-Identifier: Apache-2.0
 * `nodes` shows what the cluster's engine and this node's daemon know of each other: what fastgpu-kubelet wrote down beside the daemon's socket. */
#include "cli/cli.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define STALE 30 /* s; it writes every 10 */

static const struct argp_option option_table[] = {CLI_OPTION_JSON, {0}};

const struct argp cli_nodes_argp = {.options = option_table,
                                    .parser = cli_action_parse,
                                    .doc = "Show what Kubernetes and this node's daemon know of each other: classes, which pod has which vGPUs, what was "
                                           "refused and why, and where the two disagree. See fastgpu-kubelet(8)."};

static bool is_stale(const char *path)
{
        struct stat st;
        return stat(path, &st) < 0 || time(NULL) - st.st_mtime > STALE;
}

static int read_status(json_t **ret, bool *ret_stale)
{
        cli_autoclient struct fg_client *client = NULL;
        char path[PATH_MAX];
        int code = cli_need_local("nodes");
        if (code == 0)
                code = cli_connect(&client);
        if (code)
                return code;
        snprintf(path, sizeof path, "%s/kubelet.json", fg_client_run_dir(client));
        json_t *status = json_load_file(path, 0, NULL);
        if (!status)
                return cli_fail(CLI_NOT_FOUND, "no fastgpu-kubelet was here: this node is in no cluster, or Kubernetes has not been told of it (%s)", path);
        *ret_stale = is_stale(path);
        json_object_set_new(status, "stale", json_boolean(*ret_stale));
        *ret = status;
        return 0;
}

static void show_resources(const json_t *status)
{
        static const struct cli_column columns[] = {{"RESOURCE"}, {"SLOTS", true}, {"FREE", true}, {"IN-USE", true}, {"KUBELET"}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof *columns);
        const json_t *one;
        size_t i;
        if (!table || json_array_size(json_object_get(status, "resources")) == 0)
                return;
        json_array_foreach(json_object_get(status, "resources"), i, one) {
                if (!json_is_object(one))
                        continue;
                uint64_t healthy = cli_number(one, "healthy"), used = cli_number(one, "used");
                cli_table_add(table, "%s", cli_text(one, "resource"));
                cli_table_add(table, "%llu", (unsigned long long)cli_number(one, "slots"));
                cli_table_add(table, "%llu", (unsigned long long)(healthy > used ? healthy - used : 0));
                cli_table_add(table, "%llu", (unsigned long long)used);
                cli_table_add(table, "%s", json_is_true(json_object_get(one, "registered")) ? "registered" : "does not know it");
        }
        cli_table_print(table, stdout, 0);
}

static void show_sets(const json_t *status)
{
        static const struct cli_column columns[] = {{"VGPUS"}, {"POD"}, {"STATE"}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof *columns);
        const json_t *one;
        size_t i;
        if (!table || json_array_size(json_object_get(status, "sets")) == 0)
                return;
        json_array_foreach(json_object_get(status, "sets"), i, one) {
                if (!json_is_object(one))
                        continue;
                cli_table_add(table, "%s:%s", cli_text(one, "project"), cli_text(one, "set"));
                cli_table_add(table, "%s", *cli_text(one, "pod") ? cli_text(one, "pod") : "-");
                cli_table_add(table, "%s", cli_text(one, "state"));
        }
        cli_table_print(table, stdout, 0);
}

static void show_disagreements(const json_t *status, bool stale)
{
        const json_t *one;
        size_t i;
        if (stale)
                puts("! fastgpu-kubelet has not been heard for a while: is its pod, or its service, running?");
        if (!json_is_true(json_object_get(status, "kubelet")))
                puts("! the kubelet is not there");
        if (*cli_text(status, "slice"))
                cli_say("! the ResourceSlice is not what it should be: %s", cli_text(status, "slice"));
        json_array_foreach(json_object_get(status, "without"), i, one)
                if (json_is_string(one))
                        cli_say("! %s has devices to the kubelet, and no vGPU: it gets one with its container's next start", json_string_value(one));
        json_array_foreach(json_object_get(status, "refusals"), i, one)
                if (json_is_object(one))
                        cli_say("refused %llu s ago: %s", (unsigned long long)(time(NULL) - (time_t)cli_number(one, "time_s")), cli_text(one, "text"));
}

int cli_nodes(int argc, char **argv)
{
        struct cli_words words;
        cli_autojson json_t *status = NULL;
        bool stale;
        int code = cli_words_few("nodes", &cli_nodes_argp, 0, argc, argv, &words);
        if (code == 0)
                code = read_status(&status, &stale);
        if (code)
                return code;
        if (words.json) {
                cli_print_json(status, stdout);
                return 0;
        }
        show_resources(status);
        show_sets(status);
        show_disagreements(status, stale);
        return 0;
}

/* --- why POD --- */

static bool is_of(const char *container, const char *pod)
{
        size_t len = strlen(pod);
        return strncmp(container, pod, len) == 0 && (container[len] == '/' || container[len] == 0);
}

/* Kubernetes calls the claim of a pod's template POD-NAME-…, so what was refused for one tells whose it is. */
static const char *refusal_of(const json_t *status, const char *pod)
{
        const json_t *one;
        size_t i;
        json_array_foreach(json_object_get(status, "refusals"), i, one) {
                const char *text = cli_text(one, "text");
                if (strncmp(text, "claim ", 6) == 0 && strncmp(text + 6, pod, strlen(pod)) == 0 && (text[6 + strlen(pod)] == '-' || text[6 + strlen(pod)] == ':'))
                        return text;
        }
        return NULL;
}

/* What is known on this node, quietly: where no daemon runs, the cluster may still be asked. NULL: nothing. */
static json_t *look_here(const char *pod, bool *ret_stale)
{
        struct fg_client *client;
        struct fg_client_target elsewhere;
        char path[PATH_MAX];
        cli_autojson json_t *status = NULL;
        json_t *answer = NULL;
        const json_t *one;
        size_t i;
        int r = fg_client_target_find(&elsewhere, NULL, 0);
        if (r > 0)
                fg_client_target_clear(&elsewhere);
        if (r != 0 || fg_client_open(FG_CLIENT_BRIEF, &client, NULL, 0) < 0)
                return NULL;
        snprintf(path, sizeof path, "%s/kubelet.json", fg_client_run_dir(client));
        fg_client_close(client);
        status = json_load_file(path, 0, NULL);
        *ret_stale = is_stale(path);
        json_array_foreach(json_object_get(status, "sets"), i, one)
                if (!answer && is_of(cli_text(one, "pod"), pod))
                        answer = json_pack("{s:s, s:s, s:s+++}", "name", pod, "state", "running", "text", "it has the vGPUs ", cli_text(one, "project"), ":", cli_text(one, "set"));
        json_array_foreach(json_object_get(status, "without"), i, one)
                if (!answer && json_is_string(one) && is_of(json_string_value(one), pod))
                        answer = json_pack("{s:s, s:s, s:s, s:s}", "name", pod, "state", "running", "text", "it has devices to the kubelet, and no vGPU: somebody deleted it",
                                           "remedy", "its container gets one with its next start");
        const char *refusal = refusal_of(status, pod);
        if (!answer && refusal)
                answer = json_pack("{s:s, s:s, s:s, s:s}", "name", pod, "state", "waiting", "text", refusal, "remedy", "it is tried again by itself");
        return answer;
}

int cli_nodes_why(const char *pod, bool as_json)
{
        bool stale = false;
        cli_autojson json_t *answer = look_here(pod, &stale);
        int code = answer && !stale ? -1 : cli_why_pod(pod, as_json);
        if (code >= 0)
                return code;
        if (!answer)
                return cli_fail(CLI_NOT_FOUND, "no pod %s has vGPUs of a class here, or was refused a claim (by what fastgpu-kubelet wrote down), and the cluster "
                                "cannot be asked; kubectl describe pod says where it is and what it waits for, fastgpu nodes what was refused here", pod);
        if (stale)
                cli_note("fastgpu-kubelet has not been heard for a while; this is what it wrote last");
        if (as_json) {
                cli_print_json(answer, stdout);
                return 0;
        }
        cli_say("%s is %s: %s.", pod, cli_text(answer, "state"), cli_text(answer, "text"));
        if (*cli_text(answer, "remedy"))
                cli_say("What helps: %s.", cli_text(answer, "remedy"));
        return 0;
}
