/* SPDX-License-Identifier: Apache-2.0
 * The link is printed and not given to a browser by us: what a program is started with is in everybody's list of processes. */
#include "cli/cli.h"
#include "cli/relay.h"

#include "base/size.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <signal.h>
#include <unistd.h>

enum { KEY_PORT = 'p' };

static const struct argp_option option_table[] = {
        {"port", KEY_PORT, "N", 0, "The port of 127.0.0.1 to be at (any that is free)", 1},
        CLI_OPTION_JSON,
        {0}};

const struct argp cli_dashboard_argp = {
        .options = option_table,
        .parser = cli_action_parse,
        .doc = "Show the dashboard in a browser of this machine, as you, until interrupted. Prints a link that works once; Enter prints another one."};

static void tell(bool as_json, const struct cli_relay *relay)
{
        if (as_json)
                printf("{\"url\": \"http://127.0.0.1:%u/#login=%s\"}\n", relay->port, relay->code);
        else
                printf("http://127.0.0.1:%u/#login=%s\n", relay->port, relay->code);
        fflush(stdout);
}

/* A daemon elsewhere has the page itself, at its own address. */
static int tell_remote(bool as_json, const char *where)
{
        if (as_json)
                printf("{\"url\": \"%s/\"}\n", where);
        else
                printf("%s/\n", where);
        fflush(stdout);
        if (!as_json)
                cli_note("the page asks for a token; \"fastgpu token create\" makes one. Your browser does not know this daemon's certificate unless an "
                         "authority signed it: compare its key with \"fastgpu login\"");
        return CLI_OK;
}

static int catch_signals(void)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Enter: another link. false: nobody types there any more. */
static bool renew(bool as_json, struct cli_relay *relay)
{
        char typed[256];
        if (read(STDIN_FILENO, typed, sizeof typed) <= 0)
                return false;
        if (cli_relay_renew(relay) == 0)
                tell(as_json, relay);
        return true;
}

static int run(bool as_json, struct cli_relay *relay)
{
        bool is_person = isatty(STDIN_FILENO);
        struct pollfd p[] = {{.fd = catch_signals(), .events = POLLIN}, {.fd = relay->fd, .events = POLLIN}, {.fd = is_person ? STDIN_FILENO : -1, .events = POLLIN}};
        tell(as_json, relay);
        if (!as_json && is_person)
                cli_note("open this link in a browser of this machine; it works once. Enter prints another one, Ctrl-C ends");
        for (;;) {
                if (poll(p, 3, -1) < 0 && errno != EINTR)
                        return cli_fail(CLI_FAILED, "cannot wait: %s", strerror(errno));
                if (p[0].revents)
                        return CLI_OK;
                if (p[1].revents)
                        cli_relay_accept(relay);
                if (p[2].revents && !renew(as_json, relay))
                        p[2].fd = -1;
        }
}

int cli_dashboard(int argc, char **argv)
{
        static struct cli_relay relay; /* threads look at it until the process is gone */
        struct cli_words words;
        struct fg_error err = {0};
        uint64_t port = 0;
        cli_autoclient struct fg_client *client = NULL;
        int code = cli_words_few("dashboard", &cli_dashboard_argp, 0, argc, argv, &words);
        if (code == 0 && cli_word(&words, "port") && fg_count_parse("--port", cli_word(&words, "port"), 0, 65535, &port, &err) < 0)
                code = cli_fail(CLI_USAGE, "%s", err.text);
        if (code == 0)
                code = cli_connect(&client);
        if (code)
                return code;
        if (fg_client_is_remote(client))
                return tell_remote(words.json, fg_client_where(client));
        int r = cli_relay_open(&relay, fg_client_where(client), (uint16_t)port);
        if (r < 0)
                return cli_fail(CLI_FAILED, "cannot listen at 127.0.0.1, port %" PRIu64 ": %s; --port takes another one", port, strerror(-r));
        return run(words.json, &relay);
}
