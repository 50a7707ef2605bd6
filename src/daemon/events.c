/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/events.h"

#include "daemon/identity.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/store_journal.h"
#include "daemon/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCAN_MAX  1000u /* rows looked at for one answer: the rest is for the next */
#define NOTED_MAX 4096u

static struct fgd_event *event_new(struct fgd_manager *m, const struct fgd_project *project, const char *kind, const char *target)
{
        const struct fgd_audit *current = m->journal->current;
        struct fgd_event *event = calloc(1, sizeof *event);
        struct timespec now;
        if (!event)
                return NULL;
        clock_gettime(CLOCK_REALTIME, &now);
        event->time = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
        event->project = project ? project->id : 0;
        snprintf(event->project_name, sizeof event->project_name, "%s", project ? project->name : "");
        snprintf(event->actor, sizeof event->actor, "%s", current ? current->actor : "system");
        snprintf(event->kind, sizeof event->kind, "%s", kind);
        snprintf(event->target, sizeof event->target, "%s", target);
        return event;
}

void fgd_event_stage(struct fgd_manager *m, const struct fgd_project *project, const char *kind, const char *target, const char *format, ...)
{
        struct fgd_event *event = event_new(m, project, kind, target);
        va_list args;
        if (!event)
                return;
        va_start(args, format);
        vsnprintf(event->text, sizeof event->text, format, args);
        va_end(args);
        TAILQ_INSERT_TAIL(&m->journal->staged, event, order);
}

void fgd_event_note(struct fgd_manager *m, const struct fgd_project *project, const char *kind, const char *target, const char *format, ...)
{
        struct fgd_event *event = m->journal->noted_count < NOTED_MAX ? event_new(m, project, kind, target) : NULL;
        va_list args;
        if (!event)
                return;
        va_start(args, format);
        vsnprintf(event->text, sizeof event->text, format, args);
        va_end(args);
        TAILQ_INSERT_TAIL(&m->journal->noted, event, order);
        m->journal->noted_count++;
        fgd_journal_soon(m->journal);
}

struct reading {
        const struct fgd_manager *manager;
        const struct fgd_principal *who;
        const struct fgd_events_wish *wish;
        struct fgd_text *text;
        uint32_t looked, written;
        int64_t last;
};

/* What belongs to no project, or to one that is gone, is the admins'. */
static bool may_see(const struct reading *r, int64_t project)
{
        const struct fgd_project *of = project ? fgd_project_of_id(r->manager, project) : NULL;
        return fgd_is_admin(r->who) || (of && fgd_role_in(r->manager, r->who, of) >= FGD_ROLE_VIEWER);
}

static int take(void *user, const struct fgd_event_row *row)
{
        struct reading *r = user;
        r->last = row->seq;
        if (may_see(r, row->project)) {
                char time[32];
                fgd_text_add(r->text, r->written++ ? ", {" : "{");
                fgd_text_number(r->text, "seq", (uint64_t)row->seq);
                fgd_text_field(r->text, "time", fgd_time_format(row->time, time));
                if (row->project_name[0])
                        fgd_text_field(r->text, "project", row->project_name);
                fgd_text_field(r->text, "actor", row->actor);
                fgd_text_field(r->text, "kind", row->kind);
                fgd_text_field(r->text, "target", row->target);
                fgd_text_field(r->text, "text", row->text);
                fgd_text_add(r->text, "}");
        }
        return r->written >= r->wish->limit || ++r->looked >= SCAN_MAX;
}

/* Where he has one project only, its index leads past what is others'. */
static int64_t only_project(const struct fgd_principal *who, const struct fgd_events_wish *wish)
{
        const struct fgd_member *member, *found = NULL;
        if (wish->only || who->bound)
                return wish->only ? wish->only->id : who->bound->id;
        if (!who->user || who->user->admin)
                return 0;
        TAILQ_FOREACH(member, &who->user->members, of_user) {
                if (member->role == FGD_ROLE_NONE)
                        continue;
                if (found)
                        return 0;
                found = member;
        }
        return found ? found->project->id : 0;
}

int fgd_events_write(struct fgd_manager *m, const struct fgd_principal *who, const struct fgd_events_wish *wish, struct fgd_text *text,
                     bool *ret_any, int64_t *ret_next)
{
        struct reading r = {.manager = m, .who = who, .wish = wish, .text = text, .last = wish->after};
        fgd_text_add(text, "{\"events\": [");
        int result = fgd_store_read_events(m->store, wish->after, only_project(who, wish), take, &r, NULL);
        fgd_text_add(text, "]");
        fgd_text_number(text, "next", (uint64_t)r.last);
        fgd_text_add(text, "}\n");
        *ret_next = r.last;
        *ret_any = r.written > 0 || r.looked >= SCAN_MAX;
        return result;
}
