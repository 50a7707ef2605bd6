/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>

static const struct argp_option option_table[] = {CLI_OPTION_JSON, {0}};

const struct argp cli_logout_argp = {.options = option_table,
                                     .parser = cli_action_parse,
                                     .doc = "Forget the daemon elsewhere and the token for it: commands use this machine's daemon again. The "
                                            "token itself stays valid until it is revoked."};

int cli_logout(int argc, char **argv)
{
        struct cli_words words;
        struct fg_client_target login = {0};
        char error[FG_ERROR_MAX] = "", url[FG_CLIENT_URL_MAX];
        int code = cli_words_few("logout", &cli_logout_argp, 0, argc, argv, &words);
        if (code)
                return code;
        /* One that is damaged goes too. */
        bool known = fg_client_login_load(&login, NULL, 0) == 0;
        snprintf(url, sizeof url, "%s", login.url);
        fg_client_target_clear(&login);
        int r = fg_client_login_forget(error, sizeof error);
        if (r < 0 && r != -ENOENT)
                return cli_fail(CLI_FAILED, "%s", error);
        if (words.json) {
                cli_autojson json_t *all = json_pack("{s:s?}", "url", known ? url : NULL);
                cli_print_json(all, stdout);
        } else if (r == -ENOENT) {
                puts("there was no login");
        } else {
                printf("logged out%s%s; the token stays valid until it is revoked\n", known ? " of " : "", known ? url : "");
        }
        const char *named = getenv("FASTGPU_URL");
        if (named && *named)
                cli_note("FASTGPU_URL is still set");
        return 0;
}
