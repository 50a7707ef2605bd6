/* SPDX-License-Identifier: Apache-2.0
 * `top` on a full screen: what is shown, and what keys do to it. */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include "cli/term.h"
#include "cli/top_fetch.h"
#include "cli/top_history.h"
#include "cli/top_rows.h"

struct cli_top_screen {
        const struct cli_term_ops *term;
        struct cli_top_fetch *fetch;
        const char *project; /* --project; NULL */
        bool local;

        enum cli_top_view_id view;
        int sort[CLI_TOP_VIEWS];
        bool turned[CLI_TOP_VIEWS];
        char filter[64];
        uint64_t interval; /* ms */
        bool paused;

        enum { CLI_TOP_LIST, CLI_TOP_HELP, CLI_TOP_FILTER, CLI_TOP_CONFIRM } mode;
        struct cli_top_ask change; /* asked for, and sent when the thread is free */
        bool change_is_due;
        char question[256], message[256], done[128];

        json_t *before, *model, *jobs, *why; /* answers */
        json_t *rows;                        /* of the view; NULL: not yet answered */
        const json_t **shown;                /* those that pass the filter, in order */
        size_t count, first, selected;
        char selected_key[160];
        struct cli_top_history *history;

        char trouble[256];   /* why the figures are stale; "": they are not */
        uint64_t asked_at;   /* ns; 0: nothing is under way */
        uint64_t answered_at, due;
};

/* Until it is quit. 0, or -ENOTSUP: this terminal has no full screen; nothing was done then. */
int cli_top_screen(struct cli_top_screen *screen);

/* --- top_paint.c --- */
void cli_top_paint(struct cli_top_screen *screen);
/* Rows of the table that fit. */
size_t cli_top_page(const struct cli_top_screen *screen);

/* --- top_keys.c --- */
/* false: quit. */
bool cli_top_key(struct cli_top_screen *screen, int key);

/* --- top_screen.c --- */
/* Filters and sorts the rows again, and keeps the selection on its row. */
void cli_top_arrange(struct cli_top_screen *screen);
/* Makes the rows of another view, of what is there already. */
void cli_top_switch(struct cli_top_screen *screen, enum cli_top_view_id view);

#endif
