/* SPDX-License-Identifier: Apache-2.0
 * Who there is, and when what is written. */
#include "daemon/history_internal.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_S    600  /* of opening a file that could not be opened */
#define LINGER_S   3600 /* without a minute for so long it is as good as gone */
#define TRIM_EVERY 5    /* minutes */
#define PAGES_MIN  256u /* that hold anything at all */

static const int64_t span[FGD_HISTORY_LEVELS] = {FGD_HISTORY_MINUTES_SPAN, FGD_HISTORY_HOURS_SPAN};
static const int64_t width[FGD_HISTORY_LEVELS] = {FGD_HISTORY_MINUTE, FGD_HISTORY_HOUR};

static uint64_t hash_of(enum fgd_history_kind kind, const char *key)
{
        return fgd_hash_text(key) + kind;
}

struct fgd_history_subject *fgd_history_find(const struct fgd_history *h, enum fgd_history_kind kind, const char *key)
{
        for (struct fgd_node *at = fgd_table_first(&h->table, hash_of(kind, key)); at; at = fgd_table_next(at)) {
                struct fgd_history_subject *s = FGD_OF_NODE(at, struct fgd_history_subject, node);
                if (s->kind == kind && strcmp(s->key, key) == 0)
                        return s;
        }
        return NULL;
}

struct fgd_history_subject *fgd_history_of(struct fgd_history *h, enum fgd_history_kind kind, const char *key)
{
        struct fgd_history_subject *s = fgd_history_find(h, kind, key);
        if (s)
                return s;
        if (fgd_table_reserve(&h->table) < 0 || !(s = calloc(1, sizeof *s)))
                return NULL;
        s->kind = kind;
        snprintf(s->key, sizeof s->key, "%s", key);
        uint64_t hash = hash_of(kind, key);
        s->phase = (uint32_t)(hash >> 32) % 1440;
        fgd_table_add(&h->table, &s->node, hash);
        TAILQ_INSERT_TAIL(&h->subjects, s, order);
        return s;
}

static void drop_subject(struct fgd_history *h, struct fgd_history_subject *s)
{
        fgd_table_remove(&h->table, &s->node);
        TAILQ_REMOVE(&h->subjects, s, order);
        for (int i = 0; i < FGD_HISTORY_LEVELS; i++)
                fgd_history_block_free(&s->block[i]);
        free(s->name);
        free(s->project);
        free(s->user);
        free(s->device);
        free(s->sum);
        free(s);
}

void fgd_history_drop_done(struct fgd_history *h)
{
        struct fgd_history_done *done;
        while ((done = STAILQ_FIRST(&h->done))) {
                STAILQ_REMOVE_HEAD(&h->done, order);
                free(done->data);
                free(done);
        }
}

static bool is_empty(const struct fgd_history_block *block)
{
        return block->start == block->next;
}

/* The block is complete; what cannot be kept is lost. */
static void retire(struct fgd_history *h, struct fgd_history_subject *s, enum fgd_history_level level)
{
        struct fgd_history_block *block = &s->block[level];
        struct fgd_history_done *done = is_empty(block) ? NULL : calloc(1, sizeof *done);
        if (done && fgd_history_block_close(block) == 0) {
                *done = (struct fgd_history_done){.subject = s, .level = level, .start = block->start, .until = block->next, .size = block->size};
                memcpy(done->currency, s->currency, sizeof done->currency);
                done->data = FG_TAKE_PTR(block->data);
                block->room = 0;
                STAILQ_INSERT_TAIL(&h->done, done, order);
        } else {
                free(done);
        }
        fgd_history_block_reset(block);
}

static void add(struct fgd_history *h, struct fgd_history_subject *s, enum fgd_history_level level, int64_t at, const struct fgd_history_row *row)
{
        struct fgd_history_block *block = &s->block[level];
        size_t size = block->size;
        if (!is_empty(block) && (at >= block->start + span[level] || at < block->next))
                retire(h, s, level);
        if (fgd_history_block_add(block, at, width[level], row) == 0)
                s->is_changed |= block->size != size || row->value[FGD_H_BUSY];
}

static void close_hour(struct fgd_history *h, struct fgd_history_subject *s)
{
        if (s->hour_at)
                add(h, s, FGD_HISTORY_HOURS, s->hour_at, &s->hour);
        s->hour_at = 0;
}

void fgd_history_retire(struct fgd_history *h, struct fgd_history_subject *s)
{
        close_hour(h, s);
        for (int i = 0; i < FGD_HISTORY_LEVELS; i++)
                retire(h, s, (enum fgd_history_level)i);
}

/* From us and billionths to what is kept, so that sums are right to the unit. */
static struct fgd_history_row scale(struct fgd_history_subject *s, const struct fgd_history_row *row)
{
        struct fgd_history_row ret = *row;
        for (unsigned i = 0; i < FGD_H_COLUMNS; i++) {
                if (i == FGD_H_REFUSALS || i == FGD_H_ENERGY || fgd_history_fold_of(i) != FGD_FOLD_SUM || row->value[i] > UINT64_MAX - 1000)
                        continue;
                uint64_t whole = row->value[i] + s->carry[i];
                ret.value[i] = whole / 1000;
                s->carry[i] = (uint16_t)(whole % 1000);
        }
        return ret;
}

void fgd_history_commit(struct fgd_history *h, struct fgd_history_subject *s, int64_t start, const struct fgd_history_row *fine)
{
        struct fgd_history_row row = scale(s, fine);
        int64_t hour = start - start % FGD_HISTORY_HOUR;
        if (s->fed && start <= s->fed)
                return;
        if (!s->first)
                s->first = start;
        s->fed = start;
        add(h, s, FGD_HISTORY_MINUTES, start, &row);
        if (s->hour_at != hour)
                close_hour(h, s);
        if (s->hour_at)
                fgd_history_fold(&s->hour, &row);
        else
                s->hour = row;
        s->hour_at = hour;
}

/* Blocks end at a minute, and at an hour, of the subject's own. */
static void retire_due(struct fgd_history *h, struct fgd_history_subject *s)
{
        int64_t minute = h->turned / 60 + s->phase, hour = h->turned / 3600 + s->phase;
        s->is_gone |= h->turned - s->fed >= LINGER_S;
        if (s->is_gone)
                fgd_history_retire(h, s);
        if (minute % 60 == 59)
                retire(h, s, FGD_HISTORY_MINUTES);
        if (minute % 60 == 59 && hour % 24 == 23)
                retire(h, s, FGD_HISTORY_HOURS);
}

/* With the hour so far behind it. */
static int write_hours(struct fgd_history *h, struct fgd_history_subject *s, struct fg_error *err)
{
        struct fgd_history_block block = s->block[FGD_HISTORY_HOURS];
        int r = 0;
        block.data = block.size ? malloc(block.size) : NULL;
        block.room = block.size;
        if (block.size && !block.data)
                return 0;
        if (block.size)
                memcpy(block.data, s->block[FGD_HISTORY_HOURS].data, block.size);
        if (s->hour_at)
                fgd_history_block_add(&block, s->hour_at, FGD_HISTORY_HOUR, &s->hour);
        if (!is_empty(&block) && fgd_history_block_close(&block) == 0)
                r = fgd_history_put_open(h, s, FGD_HISTORY_HOURS, &block, err);
        fgd_history_block_free(&block);
        return r;
}

static int write_open(struct fgd_history *h, struct fgd_history_subject *s, struct fg_error *err)
{
        struct fgd_history_block *block = &s->block[FGD_HISTORY_MINUTES];
        int r = fgd_history_put_subject(h, s, err);
        if (r == 0 && !is_empty(block) && fgd_history_block_close(block) == 0)
                r = fgd_history_put_open(h, s, FGD_HISTORY_MINUTES, block, err);
        return r < 0 ? r : write_hours(h, s, err);
}

int fgd_history_write_done(struct fgd_history *h, struct fg_error *err)
{
        const struct fgd_history_done *done;
        int r = 0;
        STAILQ_FOREACH(done, &h->done, order) {
                if (r == 0)
                        r = fgd_history_put_subject(h, done->subject, err);
                if (r == 0)
                        r = fgd_history_put_done(h, done, err);
        }
        return r;
}

/* What changed within the last ten minutes, of a tenth of all. */
static bool is_due(const struct fgd_history *h, const struct fgd_history_subject *s)
{
        int64_t minute = h->turned / 60 + s->phase;
        return s->is_changed && (minute % FGD_HISTORY_WRITE_EVERY == 0 || minute % 60 == 59); /* with the minutes that are complete, their hour */
}

static int write_all(struct fgd_history *h, bool is_end, struct fg_error *err)
{
        struct fgd_history_subject *s;
        int r = fgd_history_write_done(h, err);
        TAILQ_FOREACH(s, &h->subjects, order)
                if (r == 0 && !s->is_gone && s->fed && (is_end || is_due(h, s)))
                        r = write_open(h, s, err);
        if (r == 0 && h->turned / 60 % TRIM_EVERY == 0)
                r = fgd_history_trim(h, err);
        return r;
}

/* Of a full disk is said once that it is; a damaged file is put aside, and what it had with it. */
static void judge(struct fgd_history *h, int r, const struct fg_error *err)
{
        if (r == 0) {
                h->why[0] = '\0';
                return;
        }
        if (!h->why[0])
                fgd_manager_note(h->manager, "the history could not be written (%s): what happens meanwhile will not be in it", err->text);
        snprintf(h->why, sizeof h->why, "%s", err->text);
        if (r == -EUCLEAN) {
                fgd_history_close(h);
                fgd_history_open(h);
        }
}

static bool is_usable(struct fgd_history *h)
{
        if (h->db)
                return true;
        if (h->turned < h->retry_at)
                return false;
        h->retry_at = h->turned + RETRY_S;
        return fgd_history_open(h) == 0;
}

static void settle(struct fgd_history *h, int r)
{
        struct fgd_history_subject *s, *next;
        fgd_history_drop_done(h);
        FGD_TAILQ_EACH_SAFE(s, &h->subjects, order, next) {
                if (r == 0 && is_due(h, s))
                        s->is_changed = false;
                if (s->is_gone)
                        drop_subject(h, s);
        }
}

static int write_once(struct fgd_history *h, bool is_end, struct fg_error *err)
{
        int r = fgd_history_begin(h, err);
        return r < 0 ? r : fgd_history_end(h, write_all(h, is_end, err), err);
}

/* What is new must not wait for room that only its own transaction would make. */
static int make_room(struct fgd_history *h)
{
        struct fg_error err = {0};
        int r = fgd_history_begin(h, &err);
        return r < 0 ? r : fgd_history_end(h, fgd_history_trim(h, &err), &err);
}

static void save(struct fgd_history *h, bool is_end)
{
        struct fgd_history_subject *s;
        struct fg_error err = {0};
        TAILQ_FOREACH(s, &h->subjects, order)
                retire_due(h, s);
        int r = is_usable(h) ? 0 : -EIO;
        if (r == 0)
                r = write_once(h, is_end, &err);
        if (r == -ENOSPC && make_room(h) == 0) {
                err = (struct fg_error){0};
                r = write_once(h, is_end, &err);
        }
        if (h->db)
                judge(h, r, &err);
        settle(h, r);
}

void fgd_history_save(struct fgd_manager *m)
{
        if (m->history && m->history->turned)
                save(m->history, false);
}

const char *fgd_history_trouble(const struct fgd_manager *m)
{
        if (!m->history)
                return "no history is kept: the option history-size is 0";
        return m->history->db ? "" : m->history->why;
}

int fgd_history_start(struct fgd_manager *m, struct fg_error *err)
{
        uint64_t size = m->options.value[FG_OPT_HISTORY_SIZE];
        struct fgd_history *h = size ? calloc(1, sizeof *h) : NULL;
        if (!size)
                return 0;
        if (!h)
                return fg_error_set(err, -ENOMEM, "out of memory");
        h->manager = m;
        h->pages_max = size / 4096 > PAGES_MIN ? size / 4096 : PAGES_MIN;
        TAILQ_INIT(&h->subjects);
        STAILQ_INIT(&h->done);
        snprintf(h->path, sizeof h->path, "%s/history.db", m->paths.state);
        m->history = h;
        fgd_history_open(h);
        return 0;
}

void fgd_history_free(struct fgd_manager *m)
{
        struct fgd_history *h = m->history;
        struct fgd_history_subject *s;
        if (!h)
                return;
        if (h->turned)
                save(h, true);
        fgd_history_drop_done(h);
        while ((s = TAILQ_FIRST(&h->subjects)))
                drop_subject(h, s);
        fgd_table_clear(&h->table);
        fgd_history_close(h);
        free(h);
        m->history = NULL;
}
