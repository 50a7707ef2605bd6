/* SPDX-License-Identifier: Apache-2.0
 * Line by line. The books stop at the first record that is wrong; the order of the numbers and the kept hashes go on to
 * name whatever else was touched. */
#include "bill/check_internal.h"
#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_ (FG_TLOG_RECORD_MAX + 1u) /* with its newline */

void fg_bill_check_say(struct fg_bill_check *check, int64_t record, const char *type, const char *format, ...)
{
        char text[FG_ERROR_MAX];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        check->verdict.findings++;
        if (check->found)
                check->found(check->user, record, type, text);
}

/* A line without its newline: 1; 0 at the end; *ret_whole: it had one, and fitted. What is longer is cut and skipped. */
static int take_line(FILE *f, char line[LINE_MAX_ + 1], size_t *ret_size, int64_t *ret_bytes, bool *ret_whole)
{
        size_t n = 0;
        int64_t bytes = 0;
        int c;
        while ((c = getc_unlocked(f)) != EOF) {
                bytes++;
                if (c == '\n')
                        break;
                if (n < LINE_MAX_)
                        line[n] = (char)c;
                n++;
        }
        *ret_whole = c == '\n' && n <= FG_TLOG_RECORD_MAX;
        *ret_size = n < LINE_MAX_ ? n : LINE_MAX_;
        *ret_bytes = bytes;
        return bytes > 0;
}

static bool begins_group(const struct fg_bill_record *record)
{
        return record->type != FG_BILL_USAGE && (record->type != FG_BILL_PRICE || record->price.row == 0);
}

/* A line that is no record was thought to be the torn end, and something follows: it is none. */
static void settle_tail(struct fg_bill_check *check)
{
        if (check->is_tail_bad)
                fg_bill_check_say(check, check->tail_record, "", "it is no record: %s", check->tail_text);
        check->is_tail_bad = false;
}

/* The numbers: what is missing, what stands twice or elsewhere. */
static bool is_in_place(struct fg_bill_check *check, const struct fg_bill_record *record)
{
        const char *type = fg_bill_type_name(record->type);
        if (record->seq == check->next || check->is_tail_bad) {
                check->next = record->seq + 1;
                return true;
        }
        check->is_stopped = true;
        settle_tail(check);
        if (record->seq > check->next) {
                if (record->seq == check->next + 1)
                        fg_bill_check_say(check, check->next, "", "it is missing: %" PRId64 " stands in its place", record->seq);
                else
                        fg_bill_check_say(check, check->next, "", "it is missing, and all up to %" PRId64, record->seq - 1);
                check->next = record->seq + 1;
                return true;
        }
        fg_bill_check_say(check, record->seq, type, "it stands a second time, or too late: where %" PRId64 " belongs", check->next);
        return false;
}

static void keep_account(struct fg_bill_check *check, const struct fg_bill_record *record)
{
        fg_bill_books_commit(check->books);
        check->verdict.records = fg_bill_books_next(check->books);
        check->verdict.bytes = check->offset;
        check->verdict.tree = check->all;
        check->verdict.invoices += record->type == FG_BILL_INVOICE;
        check->verdict.windows += record->type == FG_BILL_USAGE || record->type == FG_BILL_WINDOW;
}

static int open_notes(struct fg_bill_check *check, const struct fg_bill_node *node, struct fg_error *err)
{
        uint8_t key[32];
        if (fg_tlog_unbase64(node->key, strlen(node->key), key, sizeof(key)) < 0)
                return 0;
        if (check->log->public && memcmp(key, check->log->public, sizeof(key)) != 0)
                fg_bill_check_say(check, 0, "node", "its key is not the one that signs");
        return fg_bill_check_notes(check, check->log->public ? check->log->public : key, node->node, err);
}

static int take_record(struct fg_bill_check *check, const struct fg_bill_record *record, const struct fg_tlog_hash *leaf,
                       struct fg_error *err)
{
        const char *type = fg_bill_type_name(record->type);
        struct fg_tlog_hash kept;
        struct fg_error why = {0};
        int r = 0;
        if (check->all.size == 1 && record->type == FG_BILL_NODE)
                r = open_notes(check, &record->node, err);
        bool is_here = is_in_place(check, record);
        if (r < 0)
                return r;
        if (is_here && fg_bill_check_kept(check, record->seq, &kept) && memcmp(&kept, leaf, sizeof(kept)) != 0) {
                fg_bill_check_say(check, record->seq, type, "it was changed: it is not what was signed");
                check->is_stopped = true;
        }
        if (check->is_stopped || !is_here)
                return 0;
        r = fg_bill_books_offer(check->books, record, &why);
        if (r == -EBADMSG) {
                int64_t blame = fg_bill_books_blame(check->books);
                fg_bill_check_say(check, blame, blame == record->seq ? type : blame < record->seq && record->type == FG_BILL_USAGE ?
                                  (blame == fg_bill_books_next(check->books) ? "window" : "usage") : "", "%s", why.text);
                check->is_stopped = true;
                return 0;
        }
        if (r < 0)
                return fg_error_set(err, r, "%s", why.text);
        if (r == 1)
                keep_account(check, record);
        return 0;
}

static int take(struct fg_bill_check *check, const char *line, size_t size, bool is_whole, struct fg_error *err)
{
        struct fg_bill_record record;
        struct fg_tlog_hash leaf;
        struct fg_error why = {0};
        int r = is_whole ? fg_bill_read(line, size, &record, &why)
                         : fg_error_set(&why, -EBADMSG, size < LINE_MAX_ ? "its line does not end" : "its line is too long");
        fg_tlog_leaf(line, size, &leaf);
        if (r == 0 && begins_group(&record))
                settle_tail(check);
        if (r < 0 && !check->is_tail_bad) {
                check->is_tail_bad = check->is_stopped = true;
                check->tail_record = check->next;
                snprintf(check->tail_text, sizeof(check->tail_text), "%s", why.text);
        }
        check->next += r < 0;
        if (check->all.size < check->verdict.signed_size) /* it was signed: not the torn end */
                settle_tail(check);
        /* The line's leaf counts wherever it stands: what was signed is the order of lines. */
        fg_tlog_append(&check->all, &leaf);
        r = r < 0 ? 0 : take_record(check, &record, &leaf, err);
        fg_bill_check_root(check);
        return r;
}

/* The end: an unfinished group that nobody signed is what a power cut leaves. */
static void judge_end(struct fg_bill_check *check, int64_t bytes)
{
        bool is_open = fg_bill_books_is_open(check->books) || check->is_tail_bad;
        bool is_torn = is_open && check->verdict.findings == 0 && (uint64_t)check->verdict.records >= check->verdict.signed_size;
        fg_bill_books_drop(check->books);
        if (is_torn) {
                check->verdict.torn = bytes - check->verdict.bytes;
                return;
        }
        settle_tail(check);
        fg_bill_check_end(check);
        if (is_open && check->verdict.findings == 0)
                fg_bill_check_say(check, check->next, "", "it is missing: the group before it is not complete");
}

/* Are the kept hashes those of the lines? Where they were signed, the lines were compared on the way. */
static bool are_stale(struct fg_bill_check *check)
{
        struct fg_tlog_tree tree = check->begin;
        struct fg_tlog_hash hash, mine, theirs;
        if (!check->log->hashes || fseeko(check->log->hashes, (off_t)(tree.size * sizeof(hash)), SEEK_SET) < 0)
                return true;
        while (fread(&hash, sizeof(hash), 1, check->log->hashes) == 1)
                fg_tlog_append(&tree, &hash);
        fg_tlog_root(&tree, &theirs);
        fg_tlog_root(&check->verdict.tree, &mine);
        fseeko(check->log->hashes, 0, SEEK_END);
        return tree.size != check->verdict.tree.size || memcmp(&mine, &theirs, sizeof(mine)) != 0 ||
               ftello(check->log->hashes) % (off_t)sizeof(hash) != 0;
}

/* Goes to where the check begins. */
static int begin_at(struct fg_bill_check *check, struct fg_error *err)
{
        const struct fg_bill_point *from = check->log->from;
        rewind(check->log->records);
        if (!from)
                return 0;
        if (fseeko(check->log->records, (off_t)from->bytes, SEEK_SET) < 0)
                return fg_error_set(err, -EIO, "cannot read the records: %m");
        check->begin = check->all = check->verdict.tree = from->tree;
        check->next = check->verdict.records = from->records;
        check->offset = check->verdict.bytes = from->bytes;
        int r = open_notes(check, fg_bill_books_node(check->books), err);
        if (r == 0)
                fg_bill_check_root(check);
        return r;
}

int fg_bill_check(const struct fg_bill_log *log, struct fg_bill_books *books, fg_bill_found_t found, void *user,
                  struct fg_bill_verdict *ret, struct fg_error *err)
{
        fg_autofree struct fg_bill_check *check = calloc(1, sizeof(*check));
        fg_autofree char *line = malloc(LINE_MAX_ + 1);
        size_t size;
        int64_t bytes;
        bool is_whole;
        if (!check || !line)
                return fg_error_set(err, -ENOMEM, "out of memory");
        check->log = log, check->books = books, check->found = found, check->user = user;
        int r = begin_at(check, err);
        if (r < 0)
                return r;
        while (take_line(log->records, line, &size, &bytes, &is_whole)) {
                check->offset += bytes;
                r = take(check, line, size, is_whole, err);
                if (r < 0)
                        return r;
        }
        if (ferror(log->records))
                return fg_error_set(err, -EIO, "cannot read the records: %m");
        if (check->all.size == 0 && log->notes > 0)
                fg_bill_check_say(check, 0, "", "all records are missing: there is a checkpoint of some");
        judge_end(check, check->offset);
        check->verdict.are_hashes_stale = are_stale(check);
        *ret = check->verdict;
        return 0;
}
