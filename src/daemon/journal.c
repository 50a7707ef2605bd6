/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/journal.h"

#include "base/log.h"
#include "daemon/manager.h"
#include "daemon/store_journal.h"
#include "daemon/store_sync.h"
#include "daemon/tokens.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOON_USEC 500000

static int write_rows(struct fgd_journal *j, struct fg_error *err)
{
        const struct fgd_audit *row;
        int64_t ignored;
        int r = 0;
        TAILQ_FOREACH(row, &j->pending, order)
                if (r == 0)
                        r = fgd_store_put_audit(j->manager->store, row, &ignored, err);
        TAILQ_FOREACH(row, &j->amended, order)
                if (r == 0)
                        r = fgd_store_amend_audit(j->manager->store, row, err);
        return r < 0 ? r : fgd_flood_write(j, err);
}

static int write_events(struct fgd_journal *j, const struct fgd_event_list *list, struct fg_error *err)
{
        const struct fgd_event *event;
        int r = 0;
        TAILQ_FOREACH(event, list, order) {
                if (r == 0)
                        r = fgd_store_put_event(j->manager->store, event, err);
                j->events_written = true;
        }
        return r;
}

/* The request's own row and the answer that its key stands for. */
static int write_request(struct fgd_journal *j, struct fg_error *err)
{
        int r = 0;
        if (!j->current || j->current->seq)
                return 0;
        j->is_written = true;
        r = fgd_store_put_audit(j->manager->store, j->current, &j->current->seq, err);
        if (r == 0 && j->reply)
                r = fgd_store_put_reply(j->manager->store, j->reply, err);
        return r;
}

static int ride(void *user, bool is_change, struct fg_error *err)
{
        struct fgd_journal *j = user;
        j->is_written = j->events_written = false;
        int r = write_rows(j, err);
        if (r == 0)
                r = write_events(j, &j->noted, err);
        if (r == 0 && is_change)
                r = write_request(j, err);
        if (r == 0 && is_change)
                r = write_events(j, &j->staged, err);
        return r;
}

static void clear_rows(struct fgd_audit_list *list)
{
        struct fgd_audit *row;
        while ((row = TAILQ_FIRST(list))) {
                TAILQ_REMOVE(list, row, order);
                free(row);
        }
}

static void clear_events(struct fgd_event_list *list)
{
        struct fgd_event *event;
        while ((event = TAILQ_FIRST(list))) {
                TAILQ_REMOVE(list, event, order);
                free(event);
        }
}

static void settle(void *user, bool is_committed)
{
        struct fgd_journal *j = user;
        clear_events(&j->staged);
        fgd_flood_settle(j, is_committed);
        if (!is_committed) {
                if (j->current && j->is_written)
                        j->current->seq = 0;
                return;
        }
        clear_rows(&j->pending);
        clear_rows(&j->amended);
        clear_events(&j->noted);
        j->pending_count = j->noted_count = 0;
        j->failed = false;
        if (j->events_written)
                fgd_events_wake(j->manager);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_journal *j = user;
        if (fgd_journal_flush(j->manager) < 0)
                fgd_journal_soon(j);
        return 0;
}

void fgd_journal_soon(struct fgd_journal *j)
{
        int enabled = SD_EVENT_OFF;
        if (!j->timer && sd_event_add_time_relative(j->manager->event, &j->timer, CLOCK_MONOTONIC, SOON_USEC, SOON_USEC / 4, on_timer, j) >= 0)
                return;
        sd_event_source_get_enabled(j->timer, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        sd_event_source_set_time_relative(j->timer, SOON_USEC);
        sd_event_source_set_enabled(j->timer, SD_EVENT_ONESHOT);
}

int fgd_journal_flush(struct fgd_manager *m)
{
        struct fgd_journal *j = m->journal;
        struct fg_error err = {0};
        if (TAILQ_EMPTY(&j->pending) && TAILQ_EMPTY(&j->amended) && TAILQ_EMPTY(&j->noted) && !j->is_flood_dirty)
                return 0;
        bool before = fgd_store_defer(m->store, true); /* nobody waits for it: who reads events waits himself */
        int r = fgd_store_flush(m->store, &err);
        fgd_store_defer(m->store, before);
        if (r < 0 && !j->failed)
                fg_log_warning("cannot write to the audit (%s): tried again", err.text);
        j->failed = r < 0;
        return r;
}

int fgd_journal_new(struct fgd_manager *m, struct fg_error *err)
{
        struct fgd_journal *j = calloc(1, sizeof *j);
        if (!j)
                return fg_error_set(err, -ENOMEM, "out of memory");
        j->manager = m;
        TAILQ_INIT(&j->pending);
        TAILQ_INIT(&j->amended);
        TAILQ_INIT(&j->floods);
        TAILQ_INIT(&j->staged);
        TAILQ_INIT(&j->noted);
        m->journal = j;
        fgd_store_keep(m->store, (int64_t)m->options.value[FG_OPT_AUDIT_KEEP], (int64_t)m->options.value[FG_OPT_EVENTS_KEEP]);
        fgd_store_ride(m->store, &(struct fgd_store_rider){ride, settle, j});
        return 0;
}

void fgd_journal_free(struct fgd_manager *m)
{
        struct fgd_journal *j = m->journal;
        if (!j)
                return;
        fgd_journal_flush(m);
        fgd_store_ride(m->store, &(struct fgd_store_rider){0});
        sd_event_source_disable_unref(j->timer);
        clear_rows(&j->pending);
        clear_rows(&j->amended);
        clear_rows(&j->floods);
        sd_event_source_disable_unref(j->flood_timer);
        clear_events(&j->staged);
        clear_events(&j->noted);
        free(j);
        m->journal = NULL;
}

struct fgd_audit *fgd_journal_begin(struct fgd_manager *m)
{
        struct fgd_audit *row = calloc(1, sizeof *row);
        struct timespec now;
        if (!row)
                return NULL;
        clock_gettime(CLOCK_REALTIME, &now);
        row->time = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
        row->count = 1;
        m->journal->current = row;
        return row;
}

static void wait_for_write(struct fgd_journal *j, struct fgd_audit *row)
{
        if (row->is_flood || row->status == 429) {
                fgd_flood_add(j, row);
                return;
        }
        TAILQ_INSERT_TAIL(&j->pending, row, order);
        if (++j->pending_count >= FGD_AUDIT_PENDING_MAX && fgd_journal_flush(j->manager) < 0) {
                row = TAILQ_FIRST(&j->pending);
                TAILQ_REMOVE(&j->pending, row, order);
                j->pending_count--;
                free(row);
        }
        fgd_journal_soon(j);
}

void fgd_journal_end(struct fgd_manager *m, struct fgd_audit *row, unsigned status, const char *problem)
{
        struct fgd_journal *j = m->journal;
        if (j->current == row)
                j->current = NULL;
        clear_events(&j->staged);
        bool is_as_written = row->seq && row->status == status;
        row->status = status;
        snprintf(row->problem, sizeof row->problem, "%s", problem);
        if (is_as_written) {
                free(row);
        } else if (row->seq) {
                TAILQ_INSERT_TAIL(&j->amended, row, order);
                fgd_journal_soon(j);
        } else {
                wait_for_write(j, row);
        }
}

void fgd_journal_project(struct fgd_manager *m, const struct fgd_project *project)
{
        struct fgd_audit *row = m->journal->current;
        if (!row || !project)
                return;
        row->project = project->id;
        memcpy(row->project_name, project->name, sizeof row->project_name);
}

void fgd_journal_target(struct fgd_manager *m, const char *format, ...)
{
        struct fgd_audit *row = m->journal->current;
        va_list args;
        if (!row)
                return;
        va_start(args, format);
        vsnprintf(row->target, sizeof row->target, format, args);
        va_end(args);
        fgd_token_scrub(row->target);
}

void fgd_journal_ready(struct fgd_manager *m, const void *object)
{
        struct fgd_journal *j = m->journal;
        if (j->ready)
                j->ready(j->ready_user, object);
}
