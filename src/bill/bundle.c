/* SPDX-License-Identifier: Apache-2.0
 * The form of a bundle, and each record's way up to the signed root. */
#include "bill/bundle_internal.h"
#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_ROOM (FG_TLOG_RECORD_MAX + 2u) /* with newline and NUL */

void fg_bill_bundle_clear(struct fg_bill_bundle *bundle)
{
        free(bundle->text);
        bundle->text = NULL;
}

void fg_bill_opened_say(struct fg_bill_opened *opened, int64_t record, const char *type, const char *format, ...)
{
        char text[FG_ERROR_MAX];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        opened->result.findings++;
        if (opened->found)
                opened->found(opened->user, record, type, text);
}

/* A line without its newline; -EBADMSG: none, or too long, or with a NUL. */
static int take_line(struct fg_bill_opened *opened, char line[LINE_ROOM], size_t *ret_size)
{
        size_t n = 0;
        int c;
        while ((c = getc_unlocked(opened->f)) != EOF && c != '\n') {
                if (n + 1 >= LINE_ROOM || c == '\0')
                        return -EBADMSG;
                line[n++] = (char)c;
        }
        line[n] = '\0';
        *ret_size = n;
        return c == '\n' ? 0 : -EBADMSG;
}

/* "WORD NUMBER NUMBER": strictly, as it is written. */
static int take_head(const char *line, int64_t *ret_number, uint32_t *ret_count)
{
        char again[64];
        if (sscanf(line, "record %" SCNd64 " %" SCNu32, ret_number, ret_count) != 2)
                return -EBADMSG;
        snprintf(again, sizeof(again), "record %" PRId64 " %" PRIu32, *ret_number, *ret_count);
        return strcmp(again, line) == 0 && *ret_number >= 0 && *ret_count <= FG_TLOG_DEPTH ? 0 : -EBADMSG;
}

static int take_note(struct fg_bill_opened *opened, unsigned lines)
{
        char line[LINE_ROOM];
        size_t at = 0, size;
        for (unsigned i = 0; i < lines; i++) {
                int r = take_line(opened, line, &size);
                if (r < 0 || at + size + 2 > sizeof(opened->result.note))
                        return -EBADMSG;
                memcpy(opened->result.note + at, line, size);
                at += size;
                opened->result.note[at++] = '\n';
        }
        opened->result.note[at] = '\0';
        return 0;
}

static int take_front(struct fg_bill_opened *opened, const uint8_t *public, struct fg_error *err)
{
        char line[LINE_ROOM];
        size_t size;
        unsigned lines = 0;
        struct fg_error why = {0};
        if (take_line(opened, line, &size) < 0 || strcmp(line, "fastgpu bundle 1") != 0)
                return fg_error_set(err, -EBADMSG, "it does not begin with \"fastgpu bundle 1\"");
        if (take_line(opened, line, &size) < 0 || strncmp(line, "key ", 4) != 0 ||
            fg_tlog_unbase64(line + 4, size - 4, opened->result.public, 32) < 0)
                return fg_error_set(err, -EBADMSG, "it has no key");
        if (public && memcmp(public, opened->result.public, 32) != 0)
                fg_bill_opened_say(opened, -1, "key", "it is not the key that this node was known by");
        if (take_line(opened, line, &size) < 0 || sscanf(line, "checkpoint %u", &lines) != 1 || lines > 64 || take_note(opened, lines) < 0)
                return fg_error_set(err, -EBADMSG, "it has no checkpoint");
        if (fg_tlog_open(opened->result.note, strlen(opened->result.note), public ? public : opened->result.public,
                         &opened->result.checkpoint, &why) < 0)
                fg_bill_opened_say(opened, -1, "checkpoint", "%s", why.text);
        return 0;
}

static int take_proof(struct fg_bill_opened *opened, uint32_t count, struct fg_tlog_proof *ret)
{
        char line[LINE_ROOM];
        size_t size;
        ret->count = count;
        for (uint32_t i = 0; i < count; i++)
                if (take_line(opened, line, &size) < 0 || fg_tlog_unbase64(line, size, &ret->hash[i], FG_TLOG_HASH) < 0)
                        return -EBADMSG;
        return 0;
}

/* -EBADMSG: the file's form; what is wrong with the record itself is said. */
static int take_record(struct fg_bill_opened *opened, int64_t number, uint32_t count)
{
        char line[LINE_ROOM];
        size_t size;
        struct fg_tlog_proof proof;
        struct fg_tlog_hash leaf;
        struct fg_bill_record record;
        struct fg_error why = {0};
        int r = take_line(opened, line, &size);
        if (r == 0)
                r = take_proof(opened, count, &proof);
        if (r < 0)
                return r;
        opened->result.records++;
        fg_tlog_leaf(line, size, &leaf);
        r = fg_bill_read(line, size, &record, &why);
        const char *type = r == 0 ? fg_bill_type_name(record.type) : "";
        if (fg_tlog_verify(&proof, (uint64_t)number, opened->result.checkpoint.size, &leaf, &opened->result.checkpoint.root) < 0)
                fg_bill_opened_say(opened, number, type, "it is not what was signed");
        if (r < 0) {
                fg_bill_opened_say(opened, number, "", "it is no record: %s", why.text);
                return 0;
        }
        if (record.seq != number)
                fg_bill_opened_say(opened, number, type, "it says that it is number %" PRId64, record.seq);
        if (number <= opened->last)
                fg_bill_opened_say(opened, number, type, "it stands a second time, or behind %" PRId64, opened->last);
        opened->last = number > opened->last ? number : opened->last;
        return fg_bill_opened_take(opened, &record);
}

static int take_all(struct fg_bill_opened *opened, const uint8_t *public, struct fg_error *err)
{
        char line[LINE_ROOM];
        size_t size;
        int64_t number;
        uint32_t count;
        int r = take_front(opened, public, err);
        while (r == 0) {
                if (take_line(opened, line, &size) < 0)
                        return fg_error_set(err, -EBADMSG, "it is cut short behind record %" PRId64, opened->last);
                if (strcmp(line, "end") == 0)
                        break;
                if (take_head(line, &number, &count) < 0)
                        return fg_error_set(err, -EBADMSG, "behind record %" PRId64 " there is no other", opened->last);
                r = take_record(opened, number, count);
                if (r < 0)
                        return fg_error_set(err, r, "record %" PRId64 " %s", number, r == -ENOMEM ? "does not fit into memory" : "is cut short");
        }
        if (r == 0 && getc_unlocked(opened->f) != EOF)
                return fg_error_set(err, -EBADMSG, "there is something behind its end");
        r = r < 0 ? r : fg_bill_opened_end(opened);
        return r == -ENOMEM ? fg_error_set(err, r, "out of memory") : r;
}

int fg_bill_bundle_check(FILE *f, const uint8_t *public, fg_bill_found_t found, void *user, struct fg_bill_bundle *ret,
                         struct fg_error *err)
{
        fg_autofree struct fg_bill_opened *opened = calloc(1, sizeof(*opened));
        if (!opened)
                return fg_error_set(err, -ENOMEM, "out of memory");
        opened->f = f, opened->found = found, opened->user = user;
        opened->last = opened->last_usage = -1;
        int r = take_all(opened, public, err);
        for (size_t i = 0; i < opened->lists; i++)
                fg_bill_prices_clear(&opened->list[i]);
        free(opened->list);
        fg_bill_sums_clear(&opened->sums);
        if (r < 0)
                fg_bill_bundle_clear(&opened->result);
        else
                *ret = opened->result;
        return r;
}

int fg_bill_bundle_head(FILE *f, const char *key, const char *note)
{
        unsigned lines = 0;
        for (const char *s = note; *s; s++)
                lines += *s == '\n';
        return fprintf(f, "fastgpu bundle 1\nkey %s\ncheckpoint %u\n%s", key, lines, note) < 0 ? -EIO : 0;
}

int fg_bill_bundle_record(FILE *f, int64_t number, const char *text, const struct fg_tlog_proof *proof)
{
        char hash[FG_TLOG_BASE64(FG_TLOG_HASH)];
        int r = fprintf(f, "record %" PRId64 " %" PRIu32 "\n%s\n", number, proof->count, text);
        for (uint32_t i = 0; r >= 0 && i < proof->count; i++) {
                fg_tlog_base64(&proof->hash[i], FG_TLOG_HASH, hash, sizeof(hash));
                r = fprintf(f, "%s\n", hash);
        }
        return r < 0 ? -EIO : 0;
}

int fg_bill_bundle_end(FILE *f)
{
        return fputs("end\n", f) < 0 || fflush(f) != 0 ? -EIO : 0;
}
