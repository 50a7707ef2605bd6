/* SPDX-License-Identifier: Apache-2.0
 * What is known of a span of time: from the file, and of those that there are now from memory. */
#include "daemon/history_internal.h"

#include "base/cleanup.h"
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One answer in the making. */
struct getting {
        const struct fgd_history_range *range;
        struct fgd_history_answer *answer;
        bool has_begun; /* a block was there, in answer->currency */
};

/* What was counted in another currency is not added to this one. */
static void change_currency(struct getting *g, int64_t at, const char *currency)
{
        size_t i = 0, until = at > g->range->from ? (size_t)((at - g->range->from) / g->range->step) : 0;
        bool is_other = strcmp(g->answer->currency, currency) != 0, had = g->has_begun;
        g->has_begun = true;
        if (!is_other)
                return;
        for (; i <= until && i < (size_t)((g->range->until - g->range->from) / g->range->step); i++)
                g->answer->point[i].row.value[FGD_H_COST] = 0;
        if (had)
                g->answer->cost_from = at;
        snprintf(g->answer->currency, sizeof g->answer->currency, "%s", currency);
}

static void take(struct getting *g, int64_t at, const struct fgd_history_row *row)
{
        if (at < g->range->from || at >= g->range->until)
                return;
        struct fgd_history_point *point = &g->answer->point[(at - g->range->from) / g->range->step];
        if (point->is_known)
                fgd_history_fold(&point->row, row);
        else
                point->row = *row;
        point->is_known = true;
}

static void take_block(struct getting *g, const void *data, size_t size, int64_t start, int64_t width, const char *currency)
{
        struct fgd_history_reader reader;
        int64_t at;
        change_currency(g, start, currency);
        fgd_history_read(&reader, data, size, start, width, g->range->until);
        while (fgd_history_next(&reader, &at))
                take(g, at, &reader.row);
}

static void take_live(struct getting *g, const struct fgd_history_subject *s, enum fgd_history_level level)
{
        const struct fgd_history_block *block = &s->block[level];
        int64_t width = level == FGD_HISTORY_MINUTES ? FGD_HISTORY_MINUTE : FGD_HISTORY_HOUR;
        /* Of an empty block the currency says nothing of what is older. */
        int64_t start = block->start != block->next ? block->start : level == FGD_HISTORY_HOURS ? s->hour_at : 0;
        if (!start)
                return;
        take_block(g, block->data, block->size, start, width, s->currency);
        for (uint32_t i = block->repeats; i > 0; i--)
                take(g, block->next - (int64_t)i * width, &block->last);
        if (level == FGD_HISTORY_HOURS && s->hour_at)
                take(g, s->hour_at, &s->hour);
}

static int take_file(struct fgd_history *h, struct getting *g, int64_t id, bool has_open, enum fgd_history_level level, struct fg_error *err)
{
        sqlite3_stmt *q = h->statement[level == FGD_HISTORY_MINUTES ? FGD_HQ_READ_MINUTES : FGD_HQ_READ_HOURS];
        int64_t span = level == FGD_HISTORY_MINUTES ? FGD_HISTORY_MINUTES_SPAN : FGD_HISTORY_HOURS_SPAN;
        int code;
        sqlite3_bind_int64(q, 1, id);
        sqlite3_bind_int64(q, 2, g->range->until);
        sqlite3_bind_int64(q, 3, g->range->from - span);
        sqlite3_bind_int64(q, 4, has_open ? id * 2 + level : -1);
        while ((code = sqlite3_step(q)) == SQLITE_ROW) {
                const char *currency = (const char *)sqlite3_column_text(q, 1);
                const void *data = sqlite3_column_blob(q, 2);
                take_block(g, data, (size_t)sqlite3_column_bytes(q, 2), sqlite3_column_int64(q, 0),
                           level == FGD_HISTORY_MINUTES ? FGD_HISTORY_MINUTE : FGD_HISTORY_HOUR, currency ? currency : "");
        }
        int r = code == SQLITE_DONE ? 0 : fgd_history_error(h, code, err);
        sqlite3_reset(q);
        return r;
}

static void read_who(sqlite3_stmt *q, struct fgd_history_who *ret)
{
        char *const text[] = {ret->key, ret->name, ret->project, ret->user, ret->device};
        const size_t size[] = {sizeof ret->key, sizeof ret->name, sizeof ret->project, sizeof ret->user, sizeof ret->device};
        ret->id = sqlite3_column_int64(q, 0);
        for (int i = 0; i < 5; i++)
                snprintf(text[i], size[i], "%s", (const char *)sqlite3_column_text(q, i + 1));
        ret->first = sqlite3_column_int64(q, 6);
        ret->last = sqlite3_column_int64(q, 7);
}

static void add_live(const struct fgd_history_subject *s, struct fgd_history_who *who)
{
        if (s && s->fed > who->last)
                who->last = s->fed;
}

static int refuse(const struct fgd_manager *m, struct fg_error *err)
{
        const char *why = fgd_history_trouble(m);
        return *why ? fg_error_set(err, -EIO, "%s", why) : 0;
}

/* What waits for its number is written first, as are blocks that are complete. */
static int number_all(struct fgd_history *h, struct fg_error *err)
{
        struct fgd_history_subject *s;
        bool any = !STAILQ_EMPTY(&h->done);
        TAILQ_FOREACH(s, &h->subjects, order)
                any |= s->fed && !s->id;
        if (!any)
                return 0;
        int r = fgd_history_begin(h, err);
        if (r < 0)
                return r;
        TAILQ_FOREACH(s, &h->subjects, order)
                if (r == 0 && s->fed && !s->id)
                        r = fgd_history_put_subject(h, s, err);
        if (r == 0)
                r = fgd_history_write_done(h, err);
        r = fgd_history_end(h, r, err);
        if (r == 0)
                fgd_history_drop_done(h);
        return r;
}

int fgd_history_who(struct fgd_manager *m, enum fgd_history_kind kind, const char *key, struct fgd_history_who *ret, struct fg_error *err)
{
        struct fgd_history *h = m->history;
        int r = refuse(m, err);
        if (r == 0)
                r = number_all(h, err);
        if (r < 0)
                return r;
        sqlite3_stmt *q = h->statement[FGD_HQ_FIND_SUBJECT];
        sqlite3_bind_int64(q, 1, kind);
        sqlite3_bind_text(q, 2, key, -1, SQLITE_STATIC);
        *ret = (struct fgd_history_who){0};
        int code = sqlite3_step(q);
        if (code == SQLITE_ROW)
                read_who(q, ret);
        r = code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? -ENOENT : fgd_history_error(h, code, err);
        sqlite3_reset(q);
        sqlite3_clear_bindings(q);
        if (r == 0)
                add_live(fgd_history_find(h, kind, key), ret);
        return r;
}

int fgd_history_get(struct fgd_manager *m, enum fgd_history_kind kind, const char *key, const struct fgd_history_range *range,
                    struct fgd_history_answer *ret, struct fg_error *err)
{
        enum fgd_history_level level = range->step % FGD_HISTORY_HOUR == 0 ? FGD_HISTORY_HOURS : FGD_HISTORY_MINUTES;
        struct getting g = {.range = range, .answer = ret};
        struct fgd_history_who who;
        ret->currency[0] = '\0';
        ret->cost_from = 0;
        int r = fgd_history_who(m, kind, key, &who, err);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        const struct fgd_history_subject *live = fgd_history_find(m->history, kind, key);
        r = take_file(m->history, &g, who.id, !live, level, err);
        if (r == 0 && live)
                take_live(&g, live, level);
        return r;
}

int fgd_history_vgpus(struct fgd_manager *m, const char *project, const struct fgd_history_range *range, int64_t after,
                      int (*each)(void *user, const struct fgd_history_who *who), void *user, struct fg_error *err)
{
        struct fgd_history *h = m->history;
        struct fgd_history_who who;
        int r = refuse(m, err), code = SQLITE_DONE;
        if (r == 0)
                r = number_all(h, err);
        if (r < 0)
                return r;
        sqlite3_stmt *q = h->statement[project ? FGD_HQ_LIST_OF : FGD_HQ_LIST];
        sqlite3_bind_int64(q, 1, after);
        sqlite3_bind_int64(q, 2, range->until);
        sqlite3_bind_int64(q, 3, range->from - FGD_HISTORY_MINUTES_SPAN - FGD_HISTORY_MINUTE); /* the row may be an hour behind */
        if (project)
                sqlite3_bind_text(q, 4, project, -1, SQLITE_STATIC);
        while (r == 0 && (code = sqlite3_step(q)) == SQLITE_ROW) {
                read_who(q, &who);
                add_live(fgd_history_find(h, FGD_HISTORY_VGPU, who.key), &who);
                if (who.last >= range->from)
                        r = each(user, &who);
        }
        if (r == 0 && code != SQLITE_DONE)
                r = fgd_history_error(h, code, err);
        sqlite3_reset(q);
        if (project)
                sqlite3_clear_bindings(q);
        return r;
}

int64_t fgd_history_minutes_from(struct fgd_manager *m)
{
        int64_t from = m->history ? m->history->turned - (int64_t)m->options.value[FG_OPT_HISTORY_MINUTES] : 0;
        return from > 0 ? from - from % 60 : 0;
}
