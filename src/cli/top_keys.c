/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_screen.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

static void move_to(struct cli_top_screen *s, long to)
{
        if (to < 0)
                to = 0;
        if (to >= (long)s->count)
                to = s->count ? (long)s->count - 1 : 0;
        s->selected = (size_t)to;
        snprintf(s->selected_key, sizeof s->selected_key, "%s", s->count ? cli_text(s->shown[to], "key") : "");
        if (s->view == CLI_TOP_JOB)
                s->due = 0; /* its reason, and those that come into sight */
}

static void sort_by(struct cli_top_screen *s, int step)
{
        const struct cli_top_table *table = &cli_top_tables[s->view];
        int n = (int)table->count, i = s->sort[s->view];
        do
                i = (i + n + step) % n;
        while (table->columns[i].format == CLI_TOP_SPARK);
        s->sort[s->view] = i;
        s->turned[s->view] = false;
        s->first = 0;
        cli_top_arrange(s);
        s->due = 0;
}

static void change_interval(struct cli_top_screen *s, bool longer)
{
        static const uint64_t steps[] = {100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000, 300000, 900000, 3600000};
        const size_t n = sizeof steps / sizeof steps[0];
        size_t i = 0;
        if (longer) {
                while (i < n - 1 && steps[i] <= s->interval)
                        i++;
                s->interval = steps[i];
        } else {
                for (i = n - 1; i > 0 && steps[i] >= s->interval; i--)
                        ;
                s->interval = steps[i];
        }
        s->due = 0;
}

/* --- changes --- */

enum change { SUSPEND, RESUME, KILL };

static void ask_of_job(struct cli_top_screen *s, unsigned long long id, const char *name, enum change change)
{
        static const char *const verb[] = {"suspend", "resume", "cancel"}, *const done[] = {"suspended", "resumed", "cancelled"};
        snprintf(s->change.method, sizeof s->change.method, "%s", change == KILL ? "DELETE" : "POST");
        snprintf(s->change.path, sizeof s->change.path, "/v1/jobs/%llu%s%s", id, change == KILL ? "" : "/", change == KILL ? "" : verb[change]);
        snprintf(s->question, sizeof s->question, "%s job %llu (%.60s)?", verb[change], id, name);
        snprintf(s->done, sizeof s->done, "job %llu %s", id, done[change]);
}

static void ask_of_set(struct cli_top_screen *s, const json_t *row, enum change change)
{
        static const char *const tail[] = {"/suspend", "/resume", "?force=1"};
        static const char *const done[] = {"suspended", "resumed", "deleted"};
        const char *target = cli_text(row, "target");
        snprintf(s->change.method, sizeof s->change.method, "%s", change == KILL ? "DELETE" : "POST");
        snprintf(s->change.path, sizeof s->change.path, "/v1/vgpus/%.200s%s", target, tail[change]);
        if (change == KILL)
                snprintf(s->question, sizeof s->question, "end the programs of %.130s and delete it, all of its vGPUs?", target);
        else
                snprintf(s->question, sizeof s->question, "%s %.130s, all of its vGPUs?", tail[change] + 1, target);
        snprintf(s->done, sizeof s->done, "%.100s %s", target, done[change]);
}

static void propose(struct cli_top_screen *s, enum change change)
{
        const json_t *row = s->selected < s->count ? s->shown[s->selected] : NULL;
        s->change = (struct cli_top_ask){0};
        if (!row || *s->trouble) {
                snprintf(s->message, sizeof s->message, "%s", row ? "not while fastgpud does not answer" : "there is nothing to do it to");
                return;
        }
        if (s->view == CLI_TOP_JOB)
                ask_of_job(s, cli_number(row, "id"), cli_text(row, "name"), change);
        else if (json_object_get(row, "job")) /* a job's vGPUs come and go with it */
                ask_of_job(s, cli_number(row, "job"), cli_text(row, "name"), change);
        else if (*cli_text(row, "target"))
                ask_of_set(s, row, change);
        else {
                snprintf(s->message, sizeof s->message, "this works on vGPUs, processes and jobs: press 1, 2 or 5");
                return;
        }
        s->mode = CLI_TOP_CONFIRM;
}

static void decide(struct cli_top_screen *s, int key)
{
        if (key == CLI_KEY_REDRAW)
                return;
        s->mode = CLI_TOP_LIST;
        if (key == 'y' || key == 'Y')
                s->change_is_due = true;
        snprintf(s->message, sizeof s->message, "%s", s->change_is_due ? "asking fastgpud" : "nothing was changed");
}

/* --- filter --- */

static void type(struct cli_top_screen *s, int key)
{
        size_t len = strlen(s->filter);
        char bytes[16];
        mbstate_t state = {0};
        if (key == '\n' || key == 27) {
                if (key == 27)
                        *s->filter = '\0';
                s->mode = CLI_TOP_LIST;
        } else if (key == CLI_KEY_BACKSPACE) {
                while (len > 0 && ((unsigned char)s->filter[--len] & 0xc0) == 0x80)
                        ;
                s->filter[len] = '\0';
        } else if (key >= ' ' && key < CLI_KEY_TIMEOUT) {
                size_t n = wcrtomb(bytes, (wchar_t)key, &state);
                if (n != (size_t)-1 && len + n < sizeof s->filter) {
                        memcpy(s->filter + len, bytes, n);
                        s->filter[len + n] = '\0';
                }
        }
        s->first = 0;
        cli_top_arrange(s);
        s->due = s->view == CLI_TOP_JOB ? 0 : s->due;
}

static bool move(struct cli_top_screen *s, int key)
{
        long at = (long)s->selected, page = (long)cli_top_page(s);
        const struct {
                int key;
                long to;
        } table[] = {{CLI_KEY_UP, at - 1},           {CLI_KEY_DOWN, at + 1}, {CLI_KEY_PAGE_UP, at - page}, {CLI_KEY_PAGE_DOWN, at + page},
                     {CLI_KEY_HOME, 0},              {CLI_KEY_END, (long)s->count}};
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
                if (table[i].key == key) {
                        move_to(s, table[i].to);
                        return true;
                }
        return false;
}

/* What changes the picture alone. */
static void look_key(struct cli_top_screen *s, int key)
{
        if (key == '\t')
                cli_top_switch(s, (s->view + 1) % CLI_TOP_VIEWS);
        else if (key == CLI_KEY_BACKTAB)
                cli_top_switch(s, (s->view + CLI_TOP_VIEWS - 1) % CLI_TOP_VIEWS);
        else if (key >= '1' && key < '1' + CLI_TOP_VIEWS)
                cli_top_switch(s, (enum cli_top_view_id)(key - '1'));
        else if (key == '<' || key == '>')
                sort_by(s, key == '<' ? -1 : 1);
        else if (key == '+' || key == '-')
                change_interval(s, key == '+');
        else if (key == 'i') {
                s->turned[s->view] = !s->turned[s->view];
                cli_top_arrange(s);
                s->due = 0;
        } else if (key == 'p' || key == ' ') {
                s->paused = !s->paused;
                s->due = 0;
        } else if (key == 12)
                s->term->forget();
}

bool cli_top_key(struct cli_top_screen *s, int key)
{
        if (key == CLI_KEY_HANGUP)
                return false;
        if (s->mode == CLI_TOP_CONFIRM) {
                decide(s, key);
                return true;
        }
        if (s->mode == CLI_TOP_FILTER) {
                type(s, key);
                return true;
        }
        if (s->mode == CLI_TOP_HELP && key != CLI_KEY_REDRAW) {
                s->mode = CLI_TOP_LIST;
                return true; /* any key closes it, and does nothing else */
        }
        if (key == CLI_KEY_REDRAW)
                return true;
        *s->message = '\0';
        if (key == 'q' || key == 'Q' || key == 3)
                return false;
        if (key == 'h' || key == '?')
                s->mode = CLI_TOP_HELP;
        else if (key == '/')
                s->mode = CLI_TOP_FILTER;
        else if (key == 27) {
                *s->filter = '\0';
                cli_top_arrange(s);
        } else if (key == 'k')
                propose(s, KILL);
        else if (key == 's')
                propose(s, SUSPEND);
        else if (key == 'r')
                propose(s, RESUME);
        else if (!move(s, key))
                look_key(s, key);
        return true;
}
