/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>

static const struct argp_option option_table[] = {CLI_OPTION_JSON, {0}};

const struct argp cli_version_argp = {
        .options = option_table,
        .parser = cli_action_parse,
        .doc = "Show the versions of this command and of the daemon that answers, if one does; none is started."};

static void print_remote_access(const json_t *daemon)
{
        const json_t *tls = json_object_get(daemon, "tls");
        if (!tls)
                return;
        if (*cli_text(tls, "fingerprint"))
                printf("remote access at %s, fingerprint %s\n", cli_text(tls, "listen"), cli_text(tls, "fingerprint"));
        else
                printf("remote access is off: %s\n", cli_text(tls, "error"));
}

static void print_daemon(const struct fg_client *client, const json_t *daemon, const char *error)
{
        if (!daemon)
                printf("fastgpud: %s\n", *error ? error : "none runs; it is started when needed");
        else if (fg_client_is_remote(client))
                printf("fastgpud %s, API %llu, at %s\n", cli_text(daemon, "version"), (unsigned long long)cli_number(daemon, "api"),
                       fg_client_where(client));
        else if (!json_object_get(daemon, "pid"))
                printf("fastgpud %s, API %llu; it does not know you (`fastgpu whoami` says why)\n", cli_text(daemon, "version"),
                       (unsigned long long)cli_number(daemon, "api"));
        else
                printf("fastgpud %s, API %llu, pid %llu, in %s\n", cli_text(daemon, "version"),
                       (unsigned long long)cli_number(daemon, "api"), (unsigned long long)cli_number(daemon, "pid"),
                       cli_text(daemon, "run_dir"));
        if (daemon)
                print_remote_access(daemon);
}

int cli_version(int argc, char **argv)
{
        struct cli_words words;
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *daemon = NULL;
        cli_autojson json_t *problem = NULL;
        char error[FG_ERROR_MAX] = "";
        int code = cli_words_few("version", &cli_version_argp, 0, argc, argv, &words);
        if (code)
                return code;
        int r = fg_client_open(0, &client, error, sizeof error);
        if (r == -ECONNREFUSED)
                error[0] = '\0'; /* none runs here, which is nothing to complain of */
        if (r == 0 && cli_ask(client, "GET", "/v1/version", NULL, &daemon, &problem))
                snprintf(error, sizeof error, "%s", cli_text(problem, "detail"));
        if (words.json) {
                cli_autojson json_t *all = json_pack("{s:s, s:O?}", "version", FASTGPU_VERSION, "daemon", daemon);
                if (!daemon)
                        json_object_set_new(all, "daemon", json_null());
                cli_print_json(all, stdout);
                return 0;
        }
        puts("fastgpu " FASTGPU_VERSION);
        print_daemon(client, daemon, cli_clean(error));
        return 0;
}
