/* SPDX-License-Identifier: Apache-2.0
 * Opening: the key, the records as they were left, the checkpoint; and a check that changes nothing. */
#include "daemon/moneylog_internal.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void drop_file(FILE **f)
{
        if (*f)
                fclose(*f);
}
#define AUTOFILE FG_CLEANUP(drop_file)

static int open_log(int folder, const char *name, int flags)
{
        int fd = openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? -errno : fd;
}

/* Makes it where there is none: only when there is no log that another one has signed. */
static int load_key(struct fgd_moneylog *log, bool is_new, struct fg_error *err)
{
        char text[64];
        uint8_t seed[32];
        int r = fgd_moneylog_read(log->folder, "key", text, sizeof text);
        if (r == -ENOENT && is_new) {
                randombytes_buf(seed, sizeof seed);
                fg_tlog_base64(seed, sizeof seed, text, sizeof text);
                strcat(text, "\n");
                r = fgd_moneylog_replace(log->folder, "key", text, strlen(text));
                if (r < 0)
                        fg_error_set(err, r, "cannot write the money log's key: %m");
        } else if (r == -ENOENT) {
                snprintf(log->trouble, sizeof log->trouble, "the money log's key is gone: put the file \"key\" back into its folder");
                r = 0;
        } else if (r >= 0 && (r != 45 || text[44] != '\n' || fg_tlog_unbase64(text, 44, seed, sizeof seed) < 0)) {
                snprintf(log->trouble, sizeof log->trouble, "the money log's key is damaged: put the file \"key\" back into its folder");
        } else if (r < 0) {
                fg_error_set(err, r, "cannot read the money log's key: %m");
        }
        if (r >= 0 && !log->trouble[0])
                fg_tlog_key_from_seed(seed, &log->key);
        explicit_bzero(text, sizeof text);
        explicit_bzero(seed, sizeof seed);
        return r < 0 ? r : 0;
}

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

static FILE *stream_of(int fd)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        FILE *f = copy < 0 ? NULL : fdopen(copy, "r");
        if (!f && copy >= 0)
                close(copy);
        return f;
}

static int judge(struct fgd_moneylog *log, struct fg_bill_verdict *ret, struct fg_error *err)
{
        AUTOFILE FILE *records = stream_of(log->records), *hashes = NULL;
        const char *note = log->note;
        struct fg_bill_log view = {.note = &note, .notes = log->note[0] != 0};
        if (!records || !(hashes = stream_of(log->hashes)))
                return fg_error_set(err, -errno, "cannot read the money log: %m");
        view.records = records, view.hashes = hashes;
        view.public = log->trouble[0] ? NULL : log->key.public;
        return fg_bill_check(&view, log->books, on_found, log, ret, err);
}

/* Where each 64th record is. */
static int find_places(struct fgd_moneylog *log, struct fg_error *err)
{
        AUTOFILE FILE *f = stream_of(log->records);
        int64_t at = 0;
        uint64_t number = 0;
        int c;
        if (!f)
                return fg_error_set(err, -errno, "cannot read the money log: %m");
        rewind(f);
        int r = fgd_moneylog_place(log, 0, 0);
        while (r == 0 && at < log->bytes && (c = getc_unlocked(f)) != EOF) {
                at++;
                if (c == '\n')
                        r = fgd_moneylog_place(log, ++number, at);
        }
        return r < 0 ? fg_error_set(err, r, "out of memory") : 0;
}

static int begin_new(struct fgd_moneylog *log, int64_t now, struct fg_error *err)
{
        struct fg_bill_record node = {.type = FG_BILL_NODE, .node = {.time = now > 0 ? now : 0, .format = FG_BILL_FORMAT}};
        uint8_t hash[crypto_hash_sha256_BYTES];
        crypto_hash_sha256(hash, log->key.public, sizeof log->key.public);
        sodium_bin2hex(node.node.node, sizeof node.node.node, hash, 8);
        fg_tlog_base64(log->key.public, sizeof log->key.public, node.node.key, sizeof node.node.key);
        fgd_moneylog_begin(log);
        int r = fgd_moneylog_add(log, &node, err);
        if (r == 0)
                r = fgd_moneylog_end(log, err);
        return r == 0 && fsync(log->folder) < 0 ? fg_error_set(err, -errno, "cannot write the money log: %m") : r;
}

static int load_tree(struct fgd_moneylog *log, struct fg_error *err)
{
        AUTOFILE FILE *f = stream_of(log->hashes);
        struct fg_tlog_hash leaf;
        if (!f)
                return fg_error_set(err, -errno, "cannot read the money log: %m");
        rewind(f);
        for (uint64_t i = 0; i < log->tree.size && fread(&leaf, sizeof leaf, 1, f) == 1; i++)
                fgd_moneylog_grow(log, &leaf);
        return ferror(f) ? fg_error_set(err, -EIO, "cannot read the money log's hashes") : 0;
}

/* After the check: cuts what is torn, makes the hashes again. */
static int take_over(struct fgd_moneylog *log, const struct fg_bill_verdict *verdict, int64_t now, struct fg_error *err)
{
        log->tree = verdict->tree;
        log->bytes = verdict->bytes;
        log->signed_size = verdict->signed_size;
        log->hashed = verdict->are_hashes_stale ? 0 : log->tree.size;
        int r = find_places(log, err);
        if (r < 0 || log->trouble[0])
                return r;
        if (verdict->torn && (ftruncate(log->records, log->bytes) < 0 || fdatasync(log->records) < 0))
                return fg_error_set(err, -errno, "cannot cut the money log's torn end: %m");
        if (verdict->are_hashes_stale && (ftruncate(log->hashes, 0) < 0 || (r = fgd_moneylog_hash_up(log)) < 0))
                return fg_error_set(err, r < 0 ? r : -errno, "cannot write the money log's hashes: %m");
        r = load_tree(log, err);
        if (r < 0)
                return r;
        return log->tree.size == 0 ? begin_new(log, now, err) : 0;
}

static int open_files(struct fgd_moneylog *log, const char *folder, bool *ret_is_new, struct fg_error *err)
{
        struct stat st;
        int r = fg_mkdirs(folder, 0700, err);
        if (r < 0)
                return r;
        log->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (log->folder < 0)
                return fg_error_set(err, -errno, "cannot open %s: %m", folder);
        r = fgd_moneylog_read(log->folder, "checkpoint", log->note, sizeof log->note);
        if (r < 0 && r != -ENOENT && r != -EFBIG && r != -EINVAL)
                return fg_error_set(err, r, "cannot read %s/checkpoint: %m", folder);
        if (r == -EFBIG || r == -EINVAL)
                snprintf(log->trouble, sizeof log->trouble, "the money log's checkpoint is damaged");
        bool is_signed = r != -ENOENT;
        /* What is there can still be shown. */
        bool is_read_only = faccessat(log->folder, "records.log", W_OK, AT_EACCESS) < 0 && errno == EROFS;
        int flags = is_read_only ? O_RDONLY : O_RDWR | O_CREAT;
        if (is_read_only && !log->trouble[0])
                snprintf(log->trouble, sizeof log->trouble, "cannot write %s: %s", folder, strerror(EROFS));
        if ((log->records = open_log(log->folder, "records.log", flags)) < 0)
                return fg_error_set(err, log->records, "cannot open %s/records.log: %m", folder);
        if ((log->hashes = open_log(log->folder, "hashes", flags)) < 0)
                return fg_error_set(err, log->hashes, "cannot open %s/hashes: %m", folder);
        if (fstat(log->records, &st) < 0 || !S_ISREG(st.st_mode))
                return fg_error_set(err, -EINVAL, "%s/records.log is not a file", folder);
        *ret_is_new = st.st_size == 0 && !is_signed;
        return 0;
}

int fgd_moneylog_open(const char *folder, int64_t now, struct fgd_moneylog **ret, struct fg_error *err)
{
        FG_CLEANUP(fgd_cleanup_moneylogp) struct fgd_moneylog *log = calloc(1, sizeof *log);
        struct fg_bill_verdict verdict = {0};
        bool is_new = false;
        if (!log || fg_bill_books_new(&log->books) < 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        log->folder = log->records = log->hashes = -1;
        int r = open_files(log, folder, &is_new, err);
        if (r == 0)
                r = load_key(log, is_new, err);
        if (r == 0)
                r = judge(log, &verdict, err);
        if (r == 0)
                r = take_over(log, &verdict, now, err);
        if (r < 0)
                return r;
        *ret = FG_TAKE_PTR(log);
        return 0;
}

void fgd_moneylog_close(struct fgd_moneylog *log)
{
        if (!log)
                return;
        const int fd[] = {log->folder, log->records, log->hashes};
        for (size_t i = 0; i < sizeof fd / sizeof fd[0]; i++)
                if (fd[i] >= 0)
                        close(fd[i]);
        fg_bill_books_free(log->books);
        for (size_t i = 0; i < sizeof log->level / sizeof log->level[0]; i++)
                free(log->level[i].node);
        free(log->place);
        free(log->text);
        free(log->leaf);
        explicit_bzero(&log->key, sizeof log->key);
        free(log);
}

int fgd_moneylog_check(const char *folder, fg_bill_found_t found, void *user, struct fg_bill_verdict *ret, struct fg_error *err)
{
        FG_CLEANUP(fg_bill_cleanup_booksp) struct fg_bill_books *books = NULL;
        char note[FG_TLOG_NOTE_MAX] = "";
        const char *notes = note;
        fg_autoclose int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (at < 0)
                return fg_error_set(err, -errno, "cannot open %s: %m", folder);
        fg_autoclose int records = open_log(at, "records.log", O_RDONLY);
        fg_autoclose int hashes = open_log(at, "hashes", O_RDONLY);
        if (records < 0)
                return fg_error_set(err, records, "cannot open %s/records.log: %m", folder);
        AUTOFILE FILE *lines = stream_of(records), *kept = hashes < 0 ? NULL : stream_of(hashes);
        if (!lines || fg_bill_books_new(&books) < 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        int r = fgd_moneylog_read(at, "checkpoint", note, sizeof note);
        if (r < 0 && r != -ENOENT)
                return fg_error_set(err, r, "cannot read %s/checkpoint: %m", folder);
        struct fg_bill_log log = {.records = lines, .hashes = kept, .note = &notes, .notes = r > 0};
        return fg_bill_check(&log, books, found, user, ret, err);
}
