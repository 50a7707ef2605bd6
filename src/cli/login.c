/* SPDX-License-Identifier: Apache-2.0
 * `login` first makes sure who is at the other end, and only then asks for the token and sends it there. */
#include "cli/cli.h"
#include "cli/login_ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct options {
        bool json;
        const char *url, *fingerprint, *token_file, *ca;
};

enum { KEY_FINGERPRINT = 0x100, KEY_TOKEN_FILE, KEY_CA, KEY_TOKEN };

static const struct argp_option option_table[] = {
        {"fingerprint", KEY_FINGERPRINT, "HEX", 0, "What the daemon's fingerprint must be; without it you are asked", 1},
        {"token-file", KEY_TOKEN_FILE, "FILE|-", 0, "Read the token from FILE or standard input; without it you are asked", 1},
        {"ca", KEY_CA, "system", 0, "Know the daemon by a certificate that this system trusts, and pin none", 1},
        /* What is typed is in everybody's list of processes; as a beginning of --token-file it would be taken for a file's name and shown. */
        {"token", KEY_TOKEN, "TOKEN", OPTION_HIDDEN, NULL, 1},
        CLI_OPTION_JSON,
        {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case KEY_FINGERPRINT:
                o->fingerprint = arg;
                return 0;
        case KEY_TOKEN_FILE:
                o->token_file = arg;
                return 0;
        case KEY_CA:
                o->ca = arg;
                return 0;
        case KEY_TOKEN:
                cli_fail(0, "a token is not typed on a command line, where others can read it: --token-file FILE, or - for standard input; revoke "
                            "this one");
                return EINVAL;
        case ARGP_KEY_ARG:
                if (o->url) {
                        cli_fail(0, "login takes one URL, yet more was given after \"%s\"; a token is not typed here, see --token-file", o->url);
                        return EINVAL;
                }
                o->url = arg;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_login_argp = {
        .options = option_table,
        .parser = parse,
        .args_doc = "[URL]",
        .doc = "Use the daemon at https://HOST:PORT from now on, with a token that its operator gave out. Shows the daemon's fingerprint, which "
               "`fastgpu version` on its machine shows too; from then on no other is talked to. Without URL, say which daemon is used and as whom."};

static int check_options(const struct options *o, struct fg_client_target *target)
{
        char error[FG_ERROR_MAX] = "";
        if (!o->url)
                return o->fingerprint || o->token_file || o->ca ? cli_fail(CLI_USAGE, "login where? Type: fastgpu login https://HOST:PORT") : 0;
        if (o->ca && strcmp(o->ca, "system") != 0)
                return cli_fail(CLI_USAGE, "--ca \"%s\" is not known; there is \"system\"", o->ca);
        if (o->ca && o->fingerprint)
                return cli_fail(CLI_USAGE, "--ca and --fingerprint are two ways to know a daemon; choose one");
        if (fg_client_target_url(target, o->url, error, sizeof error) < 0 ||
            (o->fingerprint && fg_client_target_fingerprint(target, o->fingerprint, error, sizeof error) < 0))
                return cli_fail(CLI_USAGE, "%s", error);
        return 0;
}

/* Shows the fingerprint to the person at the terminal, who may know it. */
static int ask_fingerprint(const struct fg_client_target *target, const char *shown, const char *known, bool trusted)
{
        char question[1024], answer[128] = "";
        snprintf(question, sizeof question, "%s%s%sThe daemon at %s has the fingerprint\n  %s\n%sIs it the one that `fastgpu version` on its machine shows? [yes/no] ",
                 *known ? "CAREFUL: until now it was\n  " : "", known, *known ? "\n" : "", target->url, shown,
                 trusted ? "This system trusts its certificate; with --ca system it need not be pinned.\n" : "");
        int r = cli_ask_line(question, answer, sizeof answer);
        if (r == -ENOTTY)
                return cli_fail(CLI_USAGE, "there is no terminal to ask at; compare the fingerprint %s with what `fastgpu version` on the daemon's machine "
                                           "shows and add --fingerprint HEX", shown);
        if (r == 0 && (strcmp(answer, "yes") == 0 || strcmp(answer, "y") == 0 || strcmp(answer, shown) == 0))
                return 0;
        return cli_fail(CLI_FAILED, "not logged in: the fingerprint was not confirmed");
}

/* A pin that is stored already needs no second question. */
static void known_fingerprint(const char *url, char ret[FG_CLIENT_FINGERPRINT_MAX])
{
        struct fg_client_target login = {0};
        ret[0] = '\0';
        if (fg_client_login_load(&login, NULL, 0) == 0 && strcmp(login.url, url) == 0)
                strcpy(ret, login.fingerprint);
        fg_client_target_clear(&login);
}

static int know_daemon(const struct options *o, struct fg_client_target *target)
{
        char shown[FG_CLIENT_FINGERPRINT_MAX], known[FG_CLIENT_FINGERPRINT_MAX], error[FG_ERROR_MAX] = "";
        bool trusted = false;
        if (fg_client_certificate(target, shown, &trusted, error, sizeof error) < 0)
                return cli_fail(CLI_NO_DAEMON, "%s", error);
        if (o->ca)
                return trusted ? 0
                               : cli_fail(CLI_NO_DAEMON, "this system does not trust the certificate of %s (fingerprint %s); leave out --ca to pin it",
                                          target->url, shown);
        if (o->fingerprint)
                return strcmp(shown, target->fingerprint) == 0
                               ? 0
                               : cli_fail(CLI_NO_DAEMON, "what answers at %s has the fingerprint %s and not %s; nothing was sent to it", target->url, shown,
                                          target->fingerprint);
        known_fingerprint(target->url, known);
        int code = strcmp(shown, known) == 0 ? 0 : ask_fingerprint(target, shown, known, trusted);
        if (code == 0)
                strcpy(target->fingerprint, shown);
        return code;
}

static int take_token(const struct options *o, struct fg_client_target *target)
{
        char token[FG_CLIENT_TOKEN_MAX] = "", error[FG_ERROR_MAX] = "";
        int r;
        if (o->token_file) {
                r = fg_client_target_token_file(target, o->token_file, error, sizeof error);
        } else {
                r = cli_ask_secret("Token: ", token, sizeof token);
                if (r == -ENOTTY)
                        return cli_fail(CLI_USAGE, "there is no terminal to ask for the token at; add --token-file FILE, or - for standard input");
                if (r < 0)
                        return cli_fail(CLI_FAILED, "not logged in: no token was typed");
                r = fg_client_target_token(target, token, error, sizeof error);
                explicit_bzero(token, sizeof token);
        }
        return r < 0 ? cli_fail(CLI_USAGE, "%s", error) : 0;
}

/* Who the daemon says we are; a daemon without users only says what it is. */
static int ask_who(const struct fg_client_target *target, json_t **ret)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *problem = NULL;
        cli_autojson json_t *again = NULL;
        char error[FG_ERROR_MAX] = "";
        int r = fg_client_open_target(target, 0, &client, error, sizeof error);
        if (r < 0)
                return cli_fail(CLI_NO_DAEMON, "%s", *error ? error : strerror(-r));
        int code = cli_ask(client, "GET", "/v1/whoami", NULL, ret, &problem);
        if (code == CLI_NOT_FOUND) {
                code = cli_ask(client, "GET", "/v1/version", NULL, ret, &again);
                if (code)
                        cli_say_problem(client, again, NULL);
        } else if (code) {
                cli_say_problem(client, problem, NULL);
        }
        if (code == 0 && !json_is_object(*ret))
                code = cli_fail(CLI_NO_DAEMON, "what answers at %s is not fastgpud", target->url);
        return code;
}

static void print_who(const struct options *o, const struct fg_client_target *target, json_t *who, const char *say)
{
        bool pin = target->fingerprint[0];
        const char *user = *cli_text(who, "user") ? cli_text(who, "user") : cli_text(who, "name");
        if (o->json) {
                cli_autojson json_t *all = json_pack("{s:s, s:s, s:O}", "url", target->url, pin ? "fingerprint" : "ca",
                                                     pin ? target->fingerprint : "system", "whoami", who);
                cli_print_json(all, stdout);
                return;
        }
        printf("%s %s%s%s\n", say, target->url, *user ? " as " : "", user);
        if (pin)
                printf("its fingerprint is %s\n", target->fingerprint);
        else
                puts("its certificate is one that this system trusts");
}

static int show(const struct options *o)
{
        struct fg_client_target target = {0};
        cli_autojson json_t *who = NULL;
        char error[FG_ERROR_MAX] = "";
        int r = fg_client_target_find(&target, error, sizeof error);
        if (r < 0)
                return cli_fail(CLI_NO_DAEMON, "%s", error);
        if (r == 0) {
                puts(o->json ? "{\"url\": null}" : "not logged in: commands use this machine's daemon");
                return 0;
        }
        const char *url = getenv("FASTGPU_URL");
        int code = ask_who(&target, &who);
        if (code == 0)
                print_who(o, &target, who, url && *url ? "FASTGPU_URL names" : "logged in to");
        fg_client_target_clear(&target);
        return code;
}

static int log_in(const struct options *o, struct fg_client_target *target)
{
        cli_autojson json_t *who = NULL;
        char error[FG_ERROR_MAX] = "";
        int code = know_daemon(o, target);
        if (code == 0)
                code = take_token(o, target);
        if (code == 0)
                code = ask_who(target, &who);
        if (code)
                return code;
        if (fg_client_login_store(target, error, sizeof error) < 0)
                return cli_fail(CLI_FAILED, "%s", error);
        print_who(o, target, who, "logged in to");
        const char *url = getenv("FASTGPU_URL"), *state = getenv("FASTGPU_STATE_DIR");
        if ((url && *url) || (state && *state))
                cli_note("%s is set and goes before the login", state && *state ? "FASTGPU_STATE_DIR" : "FASTGPU_URL");
        return 0;
}

int cli_login(int argc, char **argv)
{
        struct options o = {0};
        struct fg_client_target target = {0};
        int code = cli_parse("login", &cli_login_argp, argc, argv, &o);
        if (code == 0)
                code = check_options(&o, &target);
        if (code == 0)
                code = o.url ? log_in(&o, &target) : show(&o);
        fg_client_target_clear(&target);
        return code;
}
