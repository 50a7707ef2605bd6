/* SPDX-License-Identifier: Apache-2.0
 * /v1/audit: admins read all of it, managers what happened in their project. */
#include "daemon/api_internal.h"

#include "daemon/store_journal.h"

#include <string.h>

#define WORD_MAX 100   /* of what is looked for */
#define SCAN_MAX 4000u /* rows looked at for one answer: the rest is for the next */

struct reading {
        struct fgd_call *call;
        const char *actor, *action, *target, *via;
        uint64_t status, since, until; /* unix s; 0: any */
        uint32_t limit, looked, written;
        int64_t last;
        bool is_over;
};

static bool is_wanted(const struct reading *r, const struct fgd_audit_row *row)
{
        return (!*r->actor || strcmp(r->actor, row->actor) == 0) && (!*r->action || strstr(row->action, r->action)) &&
               (!*r->target || strcmp(r->target, row->target) == 0) && (!*r->via || strcmp(r->via, row->via) == 0) &&
               (!r->status || r->status == row->status) && (!r->until || row->time < (int64_t)r->until * 1000);
}

static void write_row(const struct fgd_audit_row *row, struct fgd_text *text)
{
        char time[32];
        fgd_text_number(text, "seq", (uint64_t)row->seq);
        fgd_text_field(text, "time", fgd_time_format(row->time, time));
        fgd_text_field(text, "actor", row->actor);
        fgd_text_field(text, "via", row->via);
        fgd_text_field(text, "from", row->origin);
        fgd_text_field(text, "action", row->action);
        fgd_text_field(text, "target", row->target);
        if (row->project_name[0])
                fgd_text_field(text, "project", row->project_name);
        fgd_text_number(text, "status", row->status);
        if (row->problem[0])
                fgd_text_field(text, "problem", row->problem);
        if (row->count > 1)
                fgd_text_number(text, "count", row->count);
        fgd_text_add(text, "}");
}

static int take(void *user, const struct fgd_audit_row *row)
{
        struct reading *r = user;
        struct fgd_text *text = &r->call->text;
        if (r->since && row->time < (int64_t)r->since * 1000)
                return 1; /* the older ones come behind */
        if (r->written >= r->limit || r->looked >= SCAN_MAX) {
                r->is_over = true;
                return 1;
        }
        r->looked++;
        r->last = row->seq;
        if (!is_wanted(r, row))
                return 0;
        fgd_text_add(text, r->written++ ? ", {" : "{");
        write_row(row, text);
        return 0;
}

static int read_rows(struct fgd_call *call, struct reading *r, int64_t before, const struct fgd_project *project)
{
        struct fg_error err = {0};
        fgd_journal_flush(call->manager); /* whoever looks sees also what was refused a moment ago */
        fgd_text_add(&call->text, "{\"audit\": [");
        if (fgd_store_read_audit(call->manager->store, before ? before : INT64_MAX, project ? project->id : 0, take, r, &err) < 0)
                return fgd_problem_set(&call->problem, FGD_STORAGE, "%s", err.text);
        fgd_page_end(&call->text, r->last, r->is_over);
        fgd_text_add(&call->text, "}\n");
        return 0;
}

/* What rows hold: anything else is a mistake of whoever asks, not a question with no answer. */
static int check_words(struct fgd_call *call, const struct fgd_query *query, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                const char *c = query[i].value;
                while (*c >= ' ' && *c <= '~')
                        c++;
                if (*c || c - query[i].value > WORD_MAX)
                        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"%s\" must be at most %d letters, digits and signs of ASCII",
                                               query[i].name, WORD_MAX);
        }
        return 0;
}

int fgd_handle_audit(struct fgd_call *call)
{
        struct fgd_query q[] = {{"project"}, {"actor"}, {"action"}, {"target"}, {"via"}, {"status"}, {"since"}, {"until"}, {"limit"}, {"after"}};
        struct fgd_project *project = NULL;
        struct fgd_page page;
        struct reading r = {.call = call};
        if (fgd_query_read(call, q, sizeof q / sizeof *q) < 0 || fgd_query_page(call, &q[8], &q[9], 100, &page) < 0 ||
            check_words(call, &q[1], 4) < 0 || fgd_query_number(call, &q[5], 100, 599, 0, &r.status) < 0 || fgd_query_number(call, &q[6], 0, 1ull << 40, 0, &r.since) < 0 ||
            fgd_query_number(call, &q[7], 0, 1ull << 40, 0, &r.until) < 0)
                return -1;
        if ((q[0].value[0] || !fgd_is_admin(&call->who)) && fgd_call_project(call, q[0].value, &project) < 0)
                return -1;
        call->is_checked = true;
        r.actor = q[1].value;
        r.action = q[2].value;
        r.target = q[3].value;
        r.via = q[4].value;
        r.limit = page.limit;
        return read_rows(call, &r, page.after, project);
}
