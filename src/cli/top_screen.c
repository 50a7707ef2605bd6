/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_screen.h"

#include "base/clock.h"
#include "cli/top_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE_MS 3000 /* an answer that takes longer is trouble */

/* Several views come from one answer. */
static bool needs_jobs(enum cli_top_view_id view)
{
        return view == CLI_TOP_JOB;
}

static void select_row(struct cli_top_screen *s, size_t i)
{
        s->selected = i;
        snprintf(s->selected_key, sizeof s->selected_key, "%s", i < s->count ? cli_text(s->shown[i], "key") : "");
}

void cli_top_arrange(struct cli_top_screen *s)
{
        const struct cli_top_table *table = &cli_top_tables[s->view];
        size_t i, all = json_array_size(s->rows);
        const json_t *row;
        free(s->shown);
        s->shown = calloc(all ? all : 1, sizeof *s->shown);
        s->count = 0;
        json_array_foreach(s->rows, i, row)
                if (s->shown && cli_top_matches(table, row, s->filter))
                        s->shown[s->count++] = row;
        cli_top_sort(s->shown, s->count, &table->columns[s->sort[s->view]], s->turned[s->view]);
        for (i = 0; i < s->count && strcmp(cli_text(s->shown[i], "key"), s->selected_key) != 0; i++)
                ;
        /* What was selected is gone: its neighbour is. A key that changes something asks first, by name. */
        if (i == s->count)
                i = s->selected < s->count ? s->selected : s->count ? s->count - 1 : 0;
        select_row(s, i);
}

static void make_rows(struct cli_top_screen *s)
{
        const json_t *source = needs_jobs(s->view) ? s->jobs : s->model;
        json_decref(s->rows);
        s->rows = source ? cli_top_rows(s->view, source, s->local) : NULL;
        cli_top_arrange(s);
}

void cli_top_switch(struct cli_top_screen *s, enum cli_top_view_id view)
{
        s->view = view;
        s->first = s->selected = 0;
        *s->selected_key = '\0';
        make_rows(s);
        s->due = 0;
}

static void remember(struct cli_top_screen *s)
{
        static const enum cli_top_view_id views[] = {CLI_TOP_VGPU, CLI_TOP_TENANT, CLI_TOP_DEVICE};
        for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
                cli_autojson json_t *rows = cli_top_rows(views[i], s->model, s->local);
                cli_top_history_add(s->history, views[i], rows);
        }
}

static void fail(struct cli_top_screen *s, const char *why)
{
        snprintf(s->trouble, sizeof s->trouble, "%s", *why ? why : "fastgpud refused without a reason");
        cli_top_history_gap(s->history);
}

static void take_change(struct cli_top_screen *s, const struct cli_top_answer *answer)
{
        if (answer->code)
                snprintf(s->message, sizeof s->message, "refused: %s", cli_text(answer->problem, "detail"));
        else
                snprintf(s->message, sizeof s->message, "%s", s->done);
        s->due = 0; /* see what it did */
}

static void take_look(struct cli_top_screen *s, struct cli_top_answer *answer)
{
        if (answer->code) {
                fail(s, cli_text(answer->problem, "detail"));
                return;
        }
        if (*s->trouble)
                *s->message = '\0'; /* it was about that */
        *s->trouble = '\0';
        s->answered_at = fg_now();
        if (answer->sets) {
                json_decref(s->model);
                s->model = cli_top_view(answer->devices, s->before, answer->sets);
                json_decref(s->before);
                s->before = json_incref(answer->sets);
                remember(s);
        }
        if (answer->jobs) {
                json_decref(s->jobs);
                s->jobs = json_incref(answer->jobs);
        }
        json_decref(s->why);
        s->why = json_incref(answer->why);
        make_rows(s);
}

static void take(struct cli_top_screen *s)
{
        struct cli_top_answer answer;
        if (!cli_top_fetch_take(s->fetch, &answer))
                return;
        s->asked_at = 0;
        if (answer.changed)
                take_change(s, &answer);
        else
                take_look(s, &answer);
        cli_top_answer_clear(&answer);
}

/* Of jobs only those that the screen has room for; all when they are searched or in another order than they come in. */
static void ask_jobs(struct cli_top_screen *s, struct cli_top_ask *ask)
{
        const struct cli_top_column *by = &cli_top_tables[s->view].columns[s->sort[s->view]];
        size_t limit = s->first + cli_top_page(s) + 1;
        if (*s->filter || strcmp(by->field, "id") != 0 || s->turned[s->view] || limit > 1000)
                limit = 1000;
        snprintf(ask->jobs, sizeof ask->jobs, "/v1/jobs?state=unfinished&limit=%zu%s%.200s", limit, s->project ? "&project=" : "",
                 s->project ? s->project : "");
        const json_t *row = s->selected < s->count ? s->shown[s->selected] : NULL;
        if (row && strcmp(cli_text(row, "state"), "queued") == 0)
                ask->why = cli_number(row, "id");
}

static void ask(struct cli_top_screen *s)
{
        struct cli_top_ask next = {.sets = !needs_jobs(s->view)};
        uint64_t now = fg_now();
        if (s->asked_at)
                return;
        if (s->change_is_due) {
                next = s->change;
                s->change_is_due = false;
        } else if (now < s->due || (s->paused && s->rows)) {
                return;
        } else {
                if (needs_jobs(s->view))
                        ask_jobs(s, &next);
                s->due = now + s->interval * FG_NSEC_PER_MSEC;
        }
        if (cli_top_fetch_ask(s->fetch, &next))
                s->asked_at = now;
}

/* One that is there and says nothing is as good as gone. */
static void watch_silence(struct cli_top_screen *s)
{
        uint64_t waited = s->asked_at ? (fg_now() - s->asked_at) / FG_NSEC_PER_MSEC : 0;
        if (waited > SILENCE_MS)
                snprintf(s->trouble, sizeof s->trouble, "fastgpud has not answered for %llu s", (unsigned long long)waited / 1000);
}

static int wait_ms(const struct cli_top_screen *s)
{
        uint64_t now = fg_now(), ms = 1000; /* the age of stale figures is told every second */
        if (!s->asked_at && !(s->paused && s->rows)) {
                uint64_t left = s->due > now ? (s->due - now) / FG_NSEC_PER_MSEC + 1 : 0;
                ms = left < ms ? left : ms;
        }
        return (int)ms;
}

int cli_top_screen(struct cli_top_screen *s)
{
        const char *plain = getenv("NO_COLOR");
        int r = s->term->enter(!plain || !*plain);
        if (r < 0)
                return r;
        for (bool go = true; go;) {
                ask(s);
                watch_silence(s);
                cli_top_paint(s);
                int key = s->term->key(wait_ms(s), cli_top_fetch_fd(s->fetch));
                if (key == CLI_KEY_WAKE)
                        take(s);
                else if (key != CLI_KEY_TIMEOUT)
                        go = cli_top_key(s, key);
        }
        s->term->leave();
        return 0;
}
