/* SPDX-License-Identifier: Apache-2.0
 * Opening: the key, the files, and the records as they were left. */
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

int fgd_moneylog_open_file(int folder, const char *name, int flags)
{
        int fd = openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? -errno : fd;
}

FILE *fgd_moneylog_stream(int fd)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        FILE *f = copy < 0 ? NULL : fdopen(copy, "r");
        if (!f && copy >= 0)
                close(copy);
        return f;
}

/* Makes it where there is none: only when there is no log that another one has signed. */
static int load_key(struct fgd_moneylog *log, bool is_new, struct fg_error *err)
{
        char text[64];
        uint8_t seed[32];
        int r = fgd_moneylog_read(log->folder, "key", text, sizeof text);
        log->has_key = true;
        if (r == -ENOENT && is_new) {
                randombytes_buf(seed, sizeof seed);
                fg_tlog_base64(seed, sizeof seed, text, sizeof text);
                strcat(text, "\n");
                r = fgd_moneylog_replace(log->folder, "key", text, strlen(text));
                if (r < 0)
                        fg_error_set(err, r, "cannot write the money log's key: %m");
        } else if (r == -ENOENT) {
                snprintf(log->trouble, sizeof log->trouble, "the money log's key is gone: put the file \"key\" back into its folder");
                log->has_key = false;
                r = 0;
        } else if (r >= 0 && (r != 45 || text[44] != '\n' || fg_tlog_unbase64(text, 44, seed, sizeof seed) < 0)) {
                snprintf(log->trouble, sizeof log->trouble, "the money log's key is damaged: put the file \"key\" back into its folder");
                log->has_key = false;
        } else if (r < 0) {
                fg_error_set(err, r, "cannot read the money log's key: %m");
        }
        log->has_key = log->has_key && r >= 0;
        if (log->has_key)
                fg_tlog_key_from_seed(seed, &log->key);
        explicit_bzero(text, sizeof text);
        explicit_bzero(seed, sizeof seed);
        return r < 0 ? r : 0;
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
        bool is_signed = r != -ENOENT || fgd_moneylog_note_day(log->folder) >= 0;
        /* What is there can still be shown. */
        bool is_read_only = faccessat(log->folder, "records.log", W_OK, AT_EACCESS) < 0 && errno == EROFS;
        int flags = is_read_only ? O_RDONLY : O_RDWR | O_CREAT;
        if (is_read_only && !log->trouble[0])
                snprintf(log->trouble, sizeof log->trouble, "cannot write %s: %s", folder, strerror(EROFS));
        const struct {
                const char *name;
                int *fd;
        } file[] = {{"records.log", &log->records}, {"hashes", &log->hashes}, {"index", &log->index}};
        for (size_t i = 0; i < sizeof file / sizeof file[0]; i++)
                if ((*file[i].fd = fgd_moneylog_open_file(log->folder, file[i].name, flags)) < 0 && !(is_read_only && i > 0))
                        return fg_error_set(err, *file[i].fd, "cannot open %s/%s: %m", folder, file[i].name);
        if (fstat(log->records, &st) < 0 || !S_ISREG(st.st_mode))
                return fg_error_set(err, -EINVAL, "%s/records.log is not a file", folder);
        *ret_is_new = st.st_size == 0 && !is_signed;
        log->day = fgd_moneylog_note_day(log->folder);
        return 0;
}

/* From what was kept on; where that does not lead to a sound log, all of it, which tells what is wrong. */
static int read_log(struct fgd_moneylog *log, struct fg_error *err)
{
        struct fg_bill_point point;
        struct fg_bill_books *books = NULL;
        struct fg_bill_verdict verdict = {0};
        char before[sizeof log->trouble];
        memcpy(before, log->trouble, sizeof before);
        bool is_kept = fgd_moneylog_recall(log, &point, &books) == 1;
        if (is_kept) {
                fg_bill_books_free(log->books);
                log->books = books;
                int r = fgd_moneylog_judge(log, &point, &verdict, err);
                if (r < 0)
                        return r;
                is_kept = verdict.findings == 0;
        }
        if (!is_kept) {
                memcpy(log->trouble, before, sizeof before);
                fgd_moneylog_tree_clear(log);
                fg_bill_books_free(log->books);
                log->books = NULL;
                if (fg_bill_books_new(&log->books) < 0)
                        return fg_error_set(err, -ENOMEM, "out of memory");
                int r = fgd_moneylog_judge(log, NULL, &verdict, err);
                if (r < 0)
                        return r;
        }
        log->kept = log->trusted = is_kept ? (uint64_t)point.records : 0;
        return fgd_moneylog_take_over(log, is_kept ? &point : NULL, &verdict, err);
}

int fgd_moneylog_open(const char *folder, int64_t now, struct fgd_moneylog **ret, struct fg_error *err)
{
        FG_CLEANUP(fgd_cleanup_moneylogp) struct fgd_moneylog *log = calloc(1, sizeof *log);
        bool is_new = false;
        if (!log)
                return fg_error_set(err, -ENOMEM, "out of memory");
        log->folder = log->records = log->hashes = log->index = -1;
        int r = open_files(log, folder, &is_new, err);
        if (r == 0)
                r = load_key(log, is_new, err);
        if (r == 0)
                r = read_log(log, err);
        if (r == 0 && !log->trouble[0] && log->tree.size == 0)
                r = begin_new(log, now, err);
        if (r < 0)
                return r;
        *ret = FG_TAKE_PTR(log);
        return 0;
}

void fgd_moneylog_close(struct fgd_moneylog *log)
{
        if (!log)
                return;
        const int fd[] = {log->folder, log->records, log->hashes, log->index};
        for (size_t i = 0; i < sizeof fd / sizeof fd[0]; i++)
                if (fd[i] >= 0)
                        close(fd[i]);
        fg_bill_books_free(log->books);
        for (size_t i = 0; i < sizeof log->level / sizeof log->level[0]; i++)
                free(log->level[i].node);
        free(log->fresh);
        free(log->text);
        free(log->leaf);
        explicit_bzero(&log->key, sizeof log->key);
        free(log);
}
