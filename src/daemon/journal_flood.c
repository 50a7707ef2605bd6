/* SPDX-License-Identifier: Apache-2.0
 * What is refused before it is looked at (no HTTP, too large, nobody's, beyond the rate) costs whoever sends it nothing. It must be seen and
 * must not fill the audit: a caller has one row a minute of each refusal, with a count, and all those beyond FGD_AUDIT_FLOODS share one. */
#include "daemon/journal.h"

#include "base/clock.h"
#include "daemon/manager.h"
#include "daemon/store_journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE     (60 * FG_NSEC_PER_SEC)
#define SLACK_USEC 1000000

static bool is_over(const struct fgd_audit *row, uint64_t now)
{
        return now - row->began >= MINUTE;
}

/* A process of this machine has another number each time, and `via` says whose it is; elsewhere the address is what there is. */
static bool is_same(const struct fgd_audit *a, const struct fgd_audit *b)
{
        return a->status == b->status && strcmp(a->problem, b->problem) == 0 && strcmp(a->actor, b->actor) == 0 && strcmp(a->via, b->via) == 0 &&
               ((strncmp(a->from, "pid ", 4) == 0 && strncmp(b->from, "pid ", 4) == 0) || strcmp(a->from, b->from) == 0);
}

static struct fgd_audit *find(struct fgd_journal *j, const struct fgd_audit *row)
{
        struct fgd_audit *other;
        TAILQ_FOREACH(other, &j->floods, order)
                if (!is_over(other, row->began) && is_same(other, row))
                        return other;
        return NULL;
}

/* There are too many for each to have its own. */
static void make_anybodys(struct fgd_audit *row)
{
        snprintf(row->actor, sizeof row->actor, "many");
        snprintf(row->action, sizeof row->action, "*");
        row->via[0] = row->from[0] = row->target[0] = row->project_name[0] = 0;
        row->project = 0;
        row->status = 429;
        snprintf(row->problem, sizeof row->problem, "rate-limited");
}

static int on_minute(sd_event_source *source, uint64_t usec, void *user);

static void arm(struct fgd_journal *j)
{
        if (j->flood_timer || !j->manager->event ||
            sd_event_add_time_relative(j->manager->event, &j->flood_timer, CLOCK_MONOTONIC, 0, SLACK_USEC, on_minute, j) >= 0) {
                sd_event_source_set_time_relative(j->flood_timer, MINUTE / FG_NSEC_PER_USEC);
                sd_event_source_set_enabled(j->flood_timer, SD_EVENT_ONESHOT);
        }
}

/* What was counted since a row was written is not worth a transaction of its own before its minute is over. */
static int on_minute(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_journal *j = user;
        fgd_journal_flush(j->manager);
        fgd_flood_settle(j, !j->is_flood_dirty);
        if (!TAILQ_EMPTY(&j->floods))
                arm(j);
        return 0;
}

void fgd_flood_add(struct fgd_journal *j, struct fgd_audit *row)
{
        row->began = fg_now();
        struct fgd_audit *other = find(j, row);
        if (!other && j->flood_count >= FGD_AUDIT_FLOODS) {
                make_anybodys(row);
                other = find(j, row);
        }
        j->is_flood_dirty = true;
        if (other) {
                other->count++;
                other->is_dirty = true;
                free(row);
                return;
        }
        if (TAILQ_EMPTY(&j->floods))
                arm(j);
        TAILQ_INSERT_TAIL(&j->floods, row, order);
        j->flood_count++;
        fgd_journal_soon(j);
}

int fgd_flood_write(struct fgd_journal *j, struct fg_error *err)
{
        struct fgd_audit *row;
        int r = 0;
        TAILQ_FOREACH(row, &j->floods, order) {
                if (r < 0 || (row->seq && !row->is_dirty))
                        continue;
                row->is_put = !row->seq;
                r = row->seq ? fgd_store_amend_audit(j->manager->store, row, err) : fgd_store_put_audit(j->manager->store, row, &row->seq, err);
        }
        return r;
}

void fgd_flood_settle(struct fgd_journal *j, bool is_committed)
{
        struct fgd_audit *row, *next;
        uint64_t now = fg_now();
        FGD_TAILQ_EACH_SAFE(row, &j->floods, order, next) {
                if (!is_committed && row->is_put)
                        row->seq = 0;
                row->is_put = false;
                if (!is_committed)
                        continue;
                row->is_dirty = false;
                if (is_over(row, now)) {
                        TAILQ_REMOVE(&j->floods, row, order);
                        j->flood_count--;
                        free(row);
                }
        }
        j->is_flood_dirty = j->is_flood_dirty && !is_committed;
}

void fgd_journal_malformed(struct fgd_manager *m, uid_t local, const char *from, unsigned status)
{
        struct fgd_audit *row = fgd_journal_begin(m);
        if (!row)
                return;
        row->is_flood = true;
        snprintf(row->actor, sizeof row->actor, "anonymous");
        if (local == (uid_t)-1)
                snprintf(row->via, sizeof row->via, "network");
        else
                snprintf(row->via, sizeof row->via, "uid %u", local);
        snprintf(row->from, sizeof row->from, "%s", from);
        snprintf(row->action, sizeof row->action, "?");
        fgd_journal_end(m, row, status, "bad-request");
}
