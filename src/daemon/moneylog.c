/* SPDX-License-Identifier: Apache-2.0
 * Appending: a group is judged by the books, written, made durable, and only then in the books. */
#include "daemon/moneylog_internal.h"

#include "base/cleanup.h"
#include "bill/when.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_KEPT (256u << 10) /* bytes of a group that is over */

const char *fgd_moneylog_trouble(const struct fgd_moneylog *log)
{
        return log->trouble;
}

const struct fg_bill_books *fgd_moneylog_books(const struct fgd_moneylog *log)
{
        return log->books;
}

const char *fgd_moneylog_note(const struct fgd_moneylog *log)
{
        return log->note;
}

uint64_t fgd_moneylog_size(const struct fgd_moneylog *log)
{
        return log->tree.size;
}

uint64_t fgd_moneylog_signed(const struct fgd_moneylog *log)
{
        return log->signed_size;
}

uint64_t fgd_moneylog_kept(const struct fgd_moneylog *log)
{
        return log->kept;
}

uint64_t fgd_moneylog_trusted(const struct fgd_moneylog *log)
{
        return log->trusted;
}

void fgd_moneylog_blame(struct fgd_moneylog *log, const char *trouble)
{
        if (!log->trouble[0])
                snprintf(log->trouble, sizeof log->trouble, "%s", trouble);
}

void fgd_moneylog_begin(struct fgd_moneylog *log)
{
        fg_bill_books_drop(log->books);
        log->text_size = log->group = 0;
        log->is_complete = false;
        if (log->text_room > TEXT_KEPT) {
                free(log->text);
                log->text = NULL;
                log->text_room = 0;
        }
}

static int make_room(struct fgd_moneylog *log)
{
        if (log->text_room - log->text_size < FG_TLOG_RECORD_MAX + 1u) {
                size_t room = 2 * log->text_room + 4 * (FG_TLOG_RECORD_MAX + 1u);
                char *more = realloc(log->text, room);
                if (!more)
                        return -ENOMEM;
                log->text = more;
                log->text_room = room;
        }
        if (log->group == log->leaf_room) {
                size_t room = log->leaf_room ? 2 * log->leaf_room : 16;
                struct fg_tlog_hash *more = reallocarray(log->leaf, room, sizeof *more);
                if (!more)
                        return -ENOMEM;
                log->leaf = more;
                log->leaf_room = room;
        }
        return fgd_moneylog_reserve(log, log->group + 1);
}

static int add(struct fgd_moneylog *log, struct fg_bill_record *record, struct fg_error *err)
{
        struct fg_tlog_record text;
        if (log->trouble[0])
                return fg_error_set(err, -EUCLEAN, "nothing is billed: %s", log->trouble);
        record->seq = fg_bill_books_next(log->books);
        int r = fg_bill_write(record, &text, err);
        if (r == 0 && make_room(log) < 0)
                r = fg_error_set(err, -ENOMEM, "out of memory");
        if (r == 0)
                r = fg_bill_books_offer(log->books, record, err);
        if (r < 0)
                return r;
        log->is_complete = r == 1;
        memcpy(log->text + log->text_size, text.text, text.size);
        fg_tlog_leaf(text.text, text.size, &log->leaf[log->group++]);
        log->text_size += text.size;
        log->text[log->text_size++] = '\n';
        return 0;
}

int fgd_moneylog_add(struct fgd_moneylog *log, struct fg_bill_record *record, struct fg_error *err)
{
        int r = add(log, record, err);
        if (r < 0)
                fgd_moneylog_begin(log);
        return r;
}

/* What was written and is not acknowledged goes again, now or before the next attempt. */
static int take_back(struct fgd_moneylog *log)
{
        log->is_dirty = ftruncate(log->records, log->bytes) < 0 || fdatasync(log->records) < 0;
        return log->is_dirty ? -errno : 0;
}

static int put(struct fgd_moneylog *log)
{
        int r = log->is_dirty ? take_back(log) : 0;
        if (r < 0)
                return r;
        r = fgd_moneylog_write_all(log->records, log->text, log->text_size, log->bytes);
        if (r == 0 && fdatasync(log->records) < 0)
                r = -errno;
        if (r < 0)
                take_back(log);
        return r;
}

/* Without them there are no proofs; they are made again from the records whenever that is possible. */
static void put_hashes(struct fgd_moneylog *log)
{
        uint64_t before = log->tree.size - log->group;
        if (log->hashed == before && fgd_moneylog_write_all(log->hashes, log->leaf, log->group * sizeof *log->leaf,
                                                            (int64_t)(before * sizeof *log->leaf)) == 0)
                log->hashed = log->tree.size;
        else
                fgd_moneylog_hash_up(log);
}

void fgd_moneylog_follow(struct fgd_moneylog *log, int (*before)(void *user), void *user)
{
        log->before = before;
        log->before_user = user;
}

int fgd_moneylog_end(struct fgd_moneylog *log, struct fg_error *err)
{
        int r = !log->is_complete ? -EINVAL : log->before ? log->before(log->before_user) : 0;
        if (r == 0)
                r = put(log);
        if (r < 0) {
                fgd_moneylog_begin(log);
                return fg_error_set(err, r, r == -EINVAL ? "a group of records is not complete" : "cannot write the money log: %m");
        }
        fg_bill_books_commit(log->books);
        const char *at = log->text;
        for (size_t i = 0; i < log->group; i++) {
                fg_tlog_append(&log->tree, &log->leaf[i]);
                fgd_moneylog_grow(log, &log->leaf[i], log->bytes + (at - log->text));
                at = memchr(at, '\n', log->text_size - (size_t)(at - log->text));
                at++;
        }
        log->bytes += (int64_t)log->text_size;
        put_hashes(log);
        fgd_moneylog_index_up(log);
        fgd_moneylog_begin(log);
        return 0;
}

int fgd_moneylog_sign(struct fgd_moneylog *log, int64_t now, struct fg_error *err)
{
        struct fg_tlog_checkpoint checkpoint = {.size = log->tree.size, .time = now > 0 ? now : 0};
        char note[FG_TLOG_NOTE_MAX];
        if (log->trouble[0])
                return fg_error_set(err, -EUCLEAN, "nothing is signed: %s", log->trouble);
        if (log->signed_size == log->tree.size)
                return 0;
        snprintf(checkpoint.origin, sizeof checkpoint.origin, "fastgpu/%.100s", fg_bill_books_node(log->books)->node);
        fg_tlog_root(&log->tree, &checkpoint.root);
        int r = fg_tlog_sign(&checkpoint, &log->key, note);
        if (r == 0)
                r = fgd_moneylog_replace(log->folder, "checkpoint", note, strlen(note));
        if (r < 0)
                return fg_error_set(err, r, "cannot write the checkpoint of the money log: %m");
        memcpy(log->note, note, sizeof note);
        log->signed_size = checkpoint.size;
        r = fgd_moneylog_note_keep(log, now, note);
        return r < 0 ? fg_error_set(err, r, "cannot keep the day's checkpoint of the money log: %m") : 0;
}

int fgd_moneylog_prices(struct fgd_moneylog *log, const struct fg_bill_prices *prices, int64_t now, struct fg_error *err)
{
        int64_t list = fg_bill_books_prices(log->books)->list + 1;
        int r = prices->count ? 0 : fg_error_set(err, -EINVAL, "a price list has at least one row");
        fgd_moneylog_begin(log);
        for (size_t i = 0; r == 0 && i < prices->count; i++) {
                struct fg_bill_record record = {.type = FG_BILL_PRICE, .price = prices->row[i]};
                record.price.time = now, record.price.list = list;
                record.price.row = (int64_t)i, record.price.rows = (int64_t)prices->count;
                r = fgd_moneylog_add(log, &record, err);
        }
        return r < 0 ? r : fgd_moneylog_end(log, err);
}

int fgd_moneylog_invoice(struct fgd_moneylog *log, const char *project, const char *currency, int64_t from, int64_t until,
                         int64_t now, struct fg_error *err)
{
        FG_CLEANUP(fg_bill_cleanup_billp) struct fg_bill_bill bill = {0};
        struct fg_bill_record record = {.type = FG_BILL_INVOICE};
        char number[FG_BILL_NAME_MAX], month[FG_BILL_WHEN_MAX];
        size_t count, serial = 1;
        const struct fg_bill_invoice *invoice = fg_bill_books_invoices(log->books, &count);
        for (size_t i = 0; i < count; i++)
                serial += strcmp(invoice[i].project, project) == 0 && invoice[i].from == from;
        snprintf(number, sizeof number, "%.100s-%s-%zu", project, fg_bill_month_format(from, month), serial);
        int r = fg_bill_make(fg_bill_books_sums(log->books), project, currency, from, until, number, &bill, err);
        if (r == 0 && bill.records == 0)
                r = fg_error_set(err, -ENODATA, "project %s has used nothing then", project);
        if (r == 0 && fg_bill_record_of(&bill, &record.invoice) < 0)
                r = fg_error_set(err, -ENOMEM, "out of memory");
        if (r < 0)
                return r;
        record.invoice.time = now;
        fgd_moneylog_begin(log);
        r = fgd_moneylog_add(log, &record, err);
        if (r == 0)
                r = fgd_moneylog_end(log, err);
        return r < 0 ? r : fgd_moneylog_sign(log, now, err);
}
