/* SPDX-License-Identifier: Apache-2.0
 * What the books held, in the file "books": a head, the books, and the log's key's signature over both. A start goes on from
 * there instead of reading a log of years. It is only ever written after the records, hashes and index that it speaks of are on
 * the disk and signed; where it is missing, of another build or not ours, the whole log is read. */
#include "daemon/moneylog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME  "books"
#define MAGIC "fastgpu books 1\n"

struct head {
        char magic[16];
        char note[FG_TLOG_NOTE_MAX]; /* the checkpoint of that moment */
        int64_t records, bytes, block_at;
        struct fg_tlog_tree tree;
};

struct signed_text {
        char magic[16];
        uint8_t hash[crypto_hash_sha256_BYTES];
};

static struct signed_text digest(const void *data, size_t size)
{
        struct signed_text text;
        memcpy(text.magic, MAGIC, sizeof text.magic);
        crypto_hash_sha256(text.hash, data, size);
        return text;
}

/* All of the file, allocated. */
static int read_whole(int folder, char **ret, size_t *ret_size)
{
        struct stat st;
        size_t done = 0;
        fg_autoclose int fd = fgd_moneylog_open_file(folder, NAME, O_RDONLY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return fd < 0 ? fd : -EINVAL;
        fg_autofree char *data = malloc((size_t)st.st_size + 1);
        if (!data)
                return -ENOMEM;
        while (done < (size_t)st.st_size) {
                ssize_t n = pread(fd, data + done, (size_t)st.st_size - done, (off_t)done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                done += (size_t)n;
        }
        *ret_size = done;
        *ret = FG_TAKE_PTR(data);
        return 0;
}

/* The line before the point ends there. */
static bool fits_records(const struct fgd_moneylog *log, const struct head *head)
{
        char last = 0;
        return head->bytes > 0 && head->records > 0 && head->tree.size == (uint64_t)head->records && head->block_at >= 0 &&
               head->block_at <= head->bytes && pread(log->records, &last, 1, (off_t)(head->bytes - 1)) == 1 && last == '\n';
}

int fgd_moneylog_recall(struct fgd_moneylog *log, struct fg_bill_point *ret, struct fg_bill_books **ret_books)
{
        FG_CLEANUP(fg_bill_cleanup_booksp) struct fg_bill_books *books = NULL;
        fg_autofree char *data = NULL;
        struct head head;
        uint8_t key[32];
        size_t size = 0;
        if (!log->has_key || read_whole(log->folder, &data, &size) < 0 || size < sizeof head + crypto_sign_BYTES)
                return 0;
        size -= crypto_sign_BYTES;
        struct signed_text text = digest(data, size);
        memcpy(&head, data, sizeof head);
        if (memcmp(head.magic, MAGIC, sizeof head.magic) != 0 ||
            crypto_sign_verify_detached((const uint8_t *)data + size, (const uint8_t *)&text, sizeof text, log->key.public) != 0 ||
            !fits_records(log, &head) || fg_bill_books_load(data + sizeof head, size - sizeof head, &books) < 0)
                return 0;
        const struct fg_bill_node *node = fg_bill_books_node(books);
        if (fg_bill_books_next(books) != head.records || fg_tlog_unbase64(node->key, strlen(node->key), key, sizeof key) < 0 ||
            memcmp(key, log->key.public, sizeof key) != 0)
                return 0;
        *ret = (struct fg_bill_point){.records = head.records, .bytes = head.bytes, .tree = head.tree};
        if (fgd_moneylog_tree_load(log, ret, head.block_at) < 0)
                return 0;
        *ret_books = FG_TAKE_PTR(books);
        return 1;
}

void fgd_moneylog_recall_note(int folder, char ret[FG_TLOG_NOTE_MAX])
{
        struct head head;
        ret[0] = '\0';
        fg_autoclose int fd = fgd_moneylog_open_file(folder, NAME, O_RDONLY | O_NONBLOCK);
        if (fd < 0 || pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head || memcmp(head.magic, MAGIC, sizeof head.magic) != 0)
                return;
        snprintf(ret, FG_TLOG_NOTE_MAX, "%.*s", (int)(FG_TLOG_NOTE_MAX - 1), head.note);
}

static int write_text(struct fgd_moneylog *log, char **ret, size_t *ret_size)
{
        struct head head = {.records = (int64_t)log->tree.size, .bytes = log->bytes, .block_at = log->block_at, .tree = log->tree};
        FILE *f = open_memstream(ret, ret_size);
        if (!f)
                return -ENOMEM;
        memcpy(head.magic, MAGIC, sizeof head.magic);
        memcpy(head.note, log->note, sizeof head.note);
        fwrite(&head, sizeof head, 1, f);
        int r = fg_bill_books_save(log->books, f);
        if (fclose(f) != 0 && r == 0)
                r = -ENOMEM;
        return r;
}

int fgd_moneylog_keep(struct fgd_moneylog *log, int64_t now, struct fg_error *err)
{
        fg_autofree char *data = NULL;
        uint8_t signature[crypto_sign_BYTES];
        size_t size;
        if (log->is_forgotten)
                return 0;
        fgd_moneylog_begin(log);
        int r = fgd_moneylog_sign(log, now, err);
        if (r < 0)
                return r;
        if (log->hashed < log->tree.size)
                r = fgd_moneylog_hash_up(log);
        if (r == 0)
                r = fgd_moneylog_index_up(log);
        if (r == 0 && (fdatasync(log->hashes) < 0 || fdatasync(log->index) < 0))
                r = -errno;
        if (r == 0)
                r = write_text(log, &data, &size);
        if (r == 0) {
                struct signed_text text = digest(data, size);
                crypto_sign_detached(signature, NULL, (const uint8_t *)&text, sizeof text, log->key.secret);
                char *more = realloc(data, size + sizeof signature);
                r = more ? 0 : -ENOMEM;
                data = more ? more : data;
        }
        if (r == 0) {
                memcpy(data + size, signature, sizeof signature);
                r = fgd_moneylog_replace(log->folder, NAME, data, size + sizeof signature);
        }
        if (r < 0)
                return fg_error_set(err, r, "cannot keep the books of the money log: %m");
        log->kept = log->tree.size;
        return 0;
}

void fgd_moneylog_forget(struct fgd_moneylog *log)
{
        unlinkat(log->folder, NAME, 0);
        log->kept = 0;
        log->is_forgotten = true;
}
