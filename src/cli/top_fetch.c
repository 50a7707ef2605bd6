/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct cli_top_fetch {
        struct fg_client *client;
        const char *project;
        int done; /* eventfd */
        pthread_mutex_t lock;
        pthread_cond_t asked;
        enum { IDLE, ASKED, ANSWERED } state;
        struct cli_top_ask ask;
        struct cli_top_answer answer;
};

void cli_top_answer_clear(struct cli_top_answer *answer)
{
        json_decref(answer->problem);
        json_decref(answer->devices);
        json_decref(answer->sets);
        json_decref(answer->jobs);
        json_decref(answer->why);
        *answer = (struct cli_top_answer){0};
}

void cli_top_ask(struct fg_client *client, const char *project, const struct cli_top_ask *ask, struct cli_top_answer *ret)
{
        cli_autojson json_t *ignored = NULL;
        char path[128];
        *ret = (struct cli_top_answer){.changed = *ask->method};
        if (*ask->method) {
                json_t *reply = NULL;
                ret->code = cli_ask(client, ask->method, ask->path, NULL, &reply, &ret->problem);
                json_decref(reply);
                return;
        }
        if (ask->sets) {
                snprintf(path, sizeof path, "/v1/vgpus%s%s", project ? "?project=" : "", project ? project : "");
                ret->code = cli_ask(client, "GET", "/v1/devices", NULL, &ret->devices, &ret->problem);
                if (ret->code == 0)
                        ret->code = cli_ask_sets(client, path, &ret->sets, &ret->problem);
        }
        if (*ask->jobs && ret->code == 0)
                ret->code = cli_ask(client, "GET", ask->jobs, NULL, &ret->jobs, &ret->problem);
        if (ask->why && ret->code == 0) {
                snprintf(path, sizeof path, "/v1/why/%" PRIu64, ask->why);
                cli_ask(client, "GET", path, NULL, &ret->why, &ignored); /* it may have ended meanwhile */
        }
}

static void *answer(void *user)
{
        struct cli_top_fetch *f = user;
        for (;;) {
                struct cli_top_answer reply;
                pthread_mutex_lock(&f->lock);
                while (f->state != ASKED)
                        pthread_cond_wait(&f->asked, &f->lock);
                struct cli_top_ask ask = f->ask;
                pthread_mutex_unlock(&f->lock);
                cli_top_ask(f->client, f->project, &ask, &reply);
                pthread_mutex_lock(&f->lock);
                f->answer = reply;
                f->state = ANSWERED;
                eventfd_write(f->done, 1); /* under the lock: taking the answer clears it */
                pthread_mutex_unlock(&f->lock);
        }
        return NULL;
}

struct cli_top_fetch *cli_top_fetch_new(struct fg_client *client, const char *project)
{
        struct cli_top_fetch *f = calloc(1, sizeof *f);
        pthread_t thread;
        sigset_t all, old;
        if (!f)
                return NULL;
        *f = (struct cli_top_fetch){.client = client, .project = project, .done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->asked, NULL);
        /* Signals are for the thread that has the screen. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        int r = f->done < 0 ? EMFILE : pthread_create(&thread, NULL, answer, f);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r == 0) {
                pthread_detach(thread);
                return f;
        }
        if (f->done >= 0)
                close(f->done);
        free(f);
        return NULL;
}

int cli_top_fetch_fd(const struct cli_top_fetch *fetch)
{
        return fetch->done;
}

bool cli_top_fetch_ask(struct cli_top_fetch *fetch, const struct cli_top_ask *ask)
{
        pthread_mutex_lock(&fetch->lock);
        bool free_now = fetch->state == IDLE;
        if (free_now) {
                fetch->ask = *ask;
                fetch->state = ASKED;
                pthread_cond_signal(&fetch->asked);
        }
        pthread_mutex_unlock(&fetch->lock);
        return free_now;
}

bool cli_top_fetch_take(struct cli_top_fetch *fetch, struct cli_top_answer *ret)
{
        eventfd_t n;
        pthread_mutex_lock(&fetch->lock);
        bool there = fetch->state == ANSWERED;
        if (there) {
                eventfd_read(fetch->done, &n);
                *ret = fetch->answer;
                fetch->state = IDLE;
        }
        pthread_mutex_unlock(&fetch->lock);
        return there;
}
