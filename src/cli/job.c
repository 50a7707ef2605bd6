/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/job.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT  30 /* s; the client waits for an answer for 60 */
#define TRIES 30 /* s that a daemon may be away */

bool cli_job_is_id(const char *text)
{
        size_t id = strspn(text, "0123456789");
        return id > 0 && id < 20 && (!text[id] || (text[id] == '/' && text[id + 1] && strspn(text + id + 1, "0123456789") == strlen(text + id + 1)));
}

int cli_job_path(const char *id, const char *tail, const char *query, char *ret, size_t len)
{
        size_t n = strcspn(id, "/");
        if (!cli_job_is_id(id))
                return cli_fail(CLI_USAGE, "\"%.80s\" is not a job: it is a number like 17, or 17/3 for an element of an array; `fastgpu jobs` shows them", id);
        snprintf(ret, len, "/v1/jobs/%.*s%s%s%.20s%s%s", (int)n, id, tail, id[n] || *query ? "?" : "", id[n] ? "index=" : "", id[n] ? id + n + 1 : "",
                 *query && id[n] ? "&" : "");
        if (strlen(ret) + strlen(query) < len)
                strcat(ret, query);
        return 0;
}

/* --- Ctrl-C --- */

static char farewell[256];

static void on_interrupt(int signo)
{
        ssize_t ignored = write(STDERR_FILENO, farewell, strlen(farewell));
        (void)ignored;
        _exit(0);
}

static void detach_on_interrupt(const char *id)
{
        struct sigaction action = {.sa_handler = on_interrupt};
        snprintf(farewell, sizeof farewell, "\nfastgpu: note: job %.24s goes on; `fastgpu logs -f %.24s` comes back to it, `fastgpu cancel %.24s` ends it\n", id, id, id);
        sigaction(SIGINT, &action, NULL);
}

/* --- what it writes --- */

static int digit(char c)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *at = c ? strchr(digits, c) : NULL;
        return at ? (int)(at - digits) : -1;
}

/* Base64, as the daemon writes it. */
static void write_data(const char *text)
{
        uint32_t bits = 0;
        int count = 0;
        for (; digit(*text) >= 0; text++) {
                bits = bits << 6 | (uint32_t)digit(*text);
                if ((count += 6) >= 8)
                        putchar((int)(bits >> (count -= 8) & 0xff));
        }
}

/* A daemon that is away for a moment, as one that is being updated, is waited for. */
static int ask(struct fg_client **client, const char *path, json_t **ret)
{
        for (unsigned i = 0;; i++) {
                cli_autojson json_t *problem = NULL;
                int code = *client ? cli_ask(*client, "GET", path, NULL, ret, &problem) : cli_connect(client);
                if (code == 0 && *ret)
                        return 0;
                if (code && *client && strcmp(cli_text(problem, "type"), "no-answer") != 0) {
                        cli_say_problem(*client, problem, NULL);
                        return code;
                }
                if (code && i >= TRIES) {
                        if (*client)
                                cli_say_problem(*client, problem, NULL);
                        return code;
                }
                if (!code)
                        continue;
                fg_client_close(*client);
                *client = NULL;
                sleep(1);
        }
}

int cli_job_follow(struct fg_client **client, const char *id, bool follow)
{
        uint64_t at = 0;
        char path[160], query[64];
        if (follow)
                detach_on_interrupt(id);
        for (;;) {
                cli_autojson json_t *piece = NULL;
                snprintf(query, sizeof query, "from=%" PRIu64, at);
                if (follow)
                        snprintf(query + strlen(query), sizeof query - strlen(query), "&wait=%d", WAIT);
                int code = cli_job_path(id, "/log", query, path, sizeof path);
                if (code == 0)
                        code = ask(client, path, &piece);
                if (code)
                        return code;
                write_data(cli_text(piece, "data"));
                if (fflush(stdout) != 0)
                        return cli_flush(0);
                uint64_t next = cli_number(piece, "next");
                if (json_is_true(json_object_get(piece, "end")) || (!follow && next >= cli_number(piece, "size")))
                        return 0;
                at = next;
        }
}

/* --- its end --- */

static bool is_over(const char *state)
{
        return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

int cli_job_wait(struct fg_client **client, const char *id, json_t **ret)
{
        char path[160];
        detach_on_interrupt(id);
        int code = cli_job_path(id, "", "", path, sizeof path);
        while (code == 0) {
                json_t *job = NULL;
                code = ask(client, path, &job);
                if (code == 0 && is_over(cli_text(job, "state"))) {
                        *ret = job;
                        return 0;
                }
                json_decref(job);
                if (code == 0)
                        sleep(1);
        }
        return code;
}

int cli_job_exit(const json_t *job)
{
        const json_t *code = json_object_get(job, "exit_code"), *signal = json_object_get(job, "signal");
        const char *state = cli_text(job, "state");
        unsigned long long id = cli_number(job, "id");
        if (strcmp(state, "done") == 0)
                return 0;
        if (*cli_text(job, "reason"))
                cli_fail(0, "job %llu %s: %s", id, strcmp(state, "cancelled") == 0 ? "was cancelled" : "failed", cli_text(job, "reason"));
        else
                cli_fail(0, "job %llu %s", id, strcmp(state, "cancelled") == 0 ? "was cancelled" : "failed");
        if (json_is_integer(code) && json_integer_value(code) > 0)
                return (int)json_integer_value(code) & 0xff;
        return json_is_integer(signal) ? 128 + ((int)json_integer_value(signal) & 0x7f) : CLI_FAILED;
}
