/* SPDX-License-Identifier: Apache-2.0
 * Is the log what was signed? And then: bringing what is made of the records up to them. */
#include "daemon/moneylog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define LEAVES 256u /* written at once */

/* The first finding is the trouble; all are in fastgpud --check-ledger. */
static void on_found(void *user, int64_t record, const char *type, const char *text)
{
        struct fgd_moneylog *log = user;
        if (log->trouble[0])
                return;
        if (record < 0)
                snprintf(log->trouble, sizeof log->trouble, "%s: %.300s (see fastgpud --check-ledger)", type, text);
        else
                snprintf(log->trouble, sizeof log->trouble, "record %" PRId64 "%s%s%s: %.300s (see fastgpud --check-ledger)", record,
                         *type ? " (" : "", type, *type ? ")" : "", text);
}

int fgd_moneylog_judge(struct fgd_moneylog *log, const struct fg_bill_point *point, struct fg_bill_verdict *ret, struct fg_error *err)
{
        FGD_AUTOFILE FILE *records = fgd_moneylog_stream(log->records), *hashes = NULL;
        fg_autofree struct fgd_moneylog_notes *notes = NULL;
        if (!records || (log->hashes >= 0 && !(hashes = fgd_moneylog_stream(log->hashes))))
                return fg_error_set(err, -errno, "cannot read the money log: %m");
        if (fgd_moneylog_notes(log->folder, log->note, &notes) < 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        struct fg_bill_log view = {.records = records, .hashes = hashes, .note = notes->note, .notes = notes->count, .from = point};
        view.public = log->has_key ? log->key.public : NULL;
        return fg_bill_check(&view, log->books, on_found, log, ret, err);
}

/* Leaf hashes that are to go to the disk, in their order. */
struct leaves {
        struct fg_tlog_hash leaf[LEAVES];
        size_t count;
};

static int write_leaves(struct fgd_moneylog *log, struct leaves *leaves)
{
        int r = fgd_moneylog_write_all(log->hashes, leaves->leaf, leaves->count * sizeof leaves->leaf[0],
                                       (int64_t)(log->hashed * sizeof leaves->leaf[0]));
        if (r == 0)
                log->hashed += leaves->count;
        leaves->count = 0;
        return r;
}

/* From record `number` at `at` on: the index, the nodes, and the hashes where they are missing. */
static int follow(struct fgd_moneylog *log, uint64_t number, int64_t at)
{
        FGD_AUTOFILE FILE *f = fgd_moneylog_stream(log->records);
        struct leaves leaves = {.count = 0};
        fg_autofree char *line = NULL;
        size_t room = 0;
        ssize_t n = 0;
        int r = 0;
        if (!f || fseeko(f, (off_t)at, SEEK_SET) < 0)
                return -errno;
        for (; r == 0 && at < log->bytes && (n = getline(&line, &room, f)) > 0; number++, at += n) {
                struct fg_tlog_hash leaf;
                fg_tlog_leaf(line, (size_t)n - 1, &leaf);
                r = fgd_moneylog_reserve(log, 1);
                if (r == 0)
                        fgd_moneylog_grow(log, &leaf, at);
                if (log->trouble[0] || number < log->hashed)
                        continue;
                leaves.leaf[leaves.count++] = leaf;
                if (r == 0 && leaves.count == LEAVES)
                        r = write_leaves(log, &leaves);
        }
        if (r == 0 && at < log->bytes)
                r = ferror(f) ? -EIO : -EBADMSG;
        if (r == 0 && leaves.count)
                r = write_leaves(log, &leaves);
        return r;
}

int fgd_moneylog_take_over(struct fgd_moneylog *log, const struct fg_bill_point *point, const struct fg_bill_verdict *verdict,
                           struct fg_error *err)
{
        uint64_t first = point ? (uint64_t)point->records : 0;
        log->tree = verdict->tree;
        log->bytes = verdict->bytes;
        log->signed_size = verdict->signed_size;
        log->hashed = verdict->are_hashes_stale ? first : log->tree.size;
        if (!log->trouble[0]) {
                if (verdict->torn && (ftruncate(log->records, log->bytes) < 0 || fdatasync(log->records) < 0))
                        return fg_error_set(err, -errno, "cannot cut the money log's torn end: %m");
                if ((verdict->are_hashes_stale && ftruncate(log->hashes, (off_t)(first * sizeof(struct fg_tlog_hash))) < 0) ||
                    ftruncate(log->index, (off_t)(log->indexed * sizeof(struct fgd_moneylog_row))) < 0)
                        return fg_error_set(err, -errno, "cannot write the money log's hashes: %m");
        }
        int r = follow(log, first, point ? point->bytes : 0);
        if (r < 0)
                return fg_error_set(err, r, "cannot write the money log's hashes: %m");
        fgd_moneylog_index_up(log);
        return 0;
}

int fgd_moneylog_check(const char *folder, fg_bill_found_t found, void *user, struct fg_bill_verdict *ret, struct fg_error *err)
{
        FG_CLEANUP(fg_bill_cleanup_booksp) struct fg_bill_books *books = NULL;
        fg_autofree struct fgd_moneylog_notes *notes = NULL;
        char newest[FG_TLOG_NOTE_MAX] = "";
        fg_autoclose int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (at < 0)
                return fg_error_set(err, -errno, "cannot open %s: %m", folder);
        /* Checkpoints first: a daemon that runs may add records meanwhile, which are more than was signed. */
        int r = fgd_moneylog_read(at, "checkpoint", newest, sizeof newest);
        if (r < 0 && r != -ENOENT)
                return fg_error_set(err, r, "cannot read %s/checkpoint: %m", folder);
        fg_autoclose int records = fgd_moneylog_open_file(at, "records.log", O_RDONLY);
        fg_autoclose int hashes = fgd_moneylog_open_file(at, "hashes", O_RDONLY);
        if (records < 0)
                return fg_error_set(err, records, "cannot open %s/records.log: %m", folder);
        FGD_AUTOFILE FILE *lines = fgd_moneylog_stream(records), *kept = hashes < 0 ? NULL : fgd_moneylog_stream(hashes);
        if (!lines || fg_bill_books_new(&books) < 0 || fgd_moneylog_notes(at, newest, &notes) < 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        struct fg_bill_log log = {.records = lines, .hashes = kept, .note = notes->note, .notes = notes->count};
        return fg_bill_check(&log, books, found, user, ret, err);
}
