/* SPDX-License-Identifier: Apache-2.0
 * The text of a checkpoint (C2SP tlog-checkpoint): origin, size, root, and extension lines, of which we know one, the
 * time. Others are signed like everything, and skipped: a later version may have more to say. */
#include "tlog/note.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define TIME "time "

struct line {
        const char *text;
        size_t size;
};

/* Arithmetic only: nothing that sodium_init() would have to find first. */
void fg_tlog_key_from_seed(const uint8_t seed[32], struct fg_tlog_key *ret)
{
        _Static_assert(sizeof(ret->seed) == crypto_sign_SEEDBYTES &&
                               sizeof(ret->secret) == crypto_sign_SECRETKEYBYTES &&
                               sizeof(ret->public) == crypto_sign_PUBLICKEYBYTES,
                       "keys are Ed25519's");
        memcpy(ret->seed, seed, sizeof(ret->seed));
        crypto_sign_seed_keypair(ret->public, ret->secret, ret->seed);
}

int fg_tlog_sign(const struct fg_tlog_checkpoint *checkpoint, const struct fg_tlog_key *key, char ret[FG_TLOG_NOTE_MAX])
{
        char root[FG_TLOG_BASE64(FG_TLOG_HASH)], text[512], time[32] = "";
        if (checkpoint->size > FG_TLOG_SIZE_MAX || checkpoint->time < 0 ||
            !fg_tlog_note_is_name(checkpoint->origin, strnlen(checkpoint->origin, FG_TLOG_NAME_MAX)))
                return -EINVAL;
        fg_tlog_base64(checkpoint->root.byte, FG_TLOG_HASH, root, sizeof(root));
        if (checkpoint->time)
                snprintf(time, sizeof(time), TIME "%" PRId64 "\n", checkpoint->time);
        snprintf(text, sizeof(text), "%s\n%" PRIu64 "\n%s\n%s", checkpoint->origin, checkpoint->size, root, time);
        return fg_tlog_note_sign(text, checkpoint->origin, key, ret);
}

/* Takes the next line, without its newline, off a text of whole lines. */
static struct line next_line(const char **text, const char *end)
{
        const char *newline = memchr(*text, '\n', (size_t)(end - *text));
        struct line line = {.text = *text, .size = newline ? (size_t)(newline - *text) : 0};
        *text = newline ? newline + 1 : end;
        return line;
}

/* A number of at most FG_TLOG_SIZE_MAX in its one form: no sign, no leading zero. */
static int parse_number(struct line line, uint64_t *ret)
{
        uint64_t value = 0;
        if (line.size == 0 || line.size > 19 || (line.size > 1 && line.text[0] == '0'))
                return -EBADMSG;
        for (size_t i = 0; i < line.size; i++) {
                if (line.text[i] < '0' || line.text[i] > '9')
                        return -EBADMSG;
                value = value * 10 + (uint64_t)(line.text[i] - '0'); /* 19 digits fit */
        }
        if (value > FG_TLOG_SIZE_MAX)
                return -EBADMSG;
        *ret = value;
        return 0;
}

static int parse_extension(struct line line, struct fg_tlog_checkpoint *ret, struct fg_error *err)
{
        size_t known = strlen(TIME);
        uint64_t time = 0;
        if (line.size == 0)
                return fg_error_set(err, -EBADMSG, "an extension line is empty");
        if (line.size < known || memcmp(line.text, TIME, known) != 0)
                return 0;
        if (ret->time)
                return fg_error_set(err, -EBADMSG, "it has two times");
        if (parse_number((struct line){line.text + known, line.size - known}, &time) < 0 || time == 0)
                return fg_error_set(err, -EBADMSG, "its time is not a number of seconds");
        ret->time = (int64_t)time;
        return 0;
}

static int parse_text(const char *text, size_t size, struct fg_tlog_checkpoint *ret, struct fg_error *err)
{
        const char *end = text + size;
        struct line origin = next_line(&text, end), leaves = next_line(&text, end), root = next_line(&text, end);
        int r = 0;
        if (!fg_tlog_note_is_name(origin.text, origin.size))
                return fg_error_set(err, -EBADMSG, "line 1 is not an origin");
        memcpy(ret->origin, origin.text, origin.size);
        if (parse_number(leaves, &ret->size) < 0)
                return fg_error_set(err, -EBADMSG, "line 2 is not the size of a tree");
        if (fg_tlog_unbase64(root.text, root.size, ret->root.byte, FG_TLOG_HASH) < 0)
                return fg_error_set(err, -EBADMSG, "line 3 is not the base64 of a hash");
        while (r == 0 && text < end)
                r = parse_extension(next_line(&text, end), ret, err);
        return r;
}

static int parse(const char *note, size_t size, struct fg_tlog_checkpoint *ret, size_t *ret_text, struct fg_error *err)
{
        int r = fg_tlog_note_parse(note, size, ret_text, err);
        return r < 0 ? r : parse_text(note, *ret_text, ret, err);
}

int fg_tlog_parse(const char *note, size_t size, struct fg_tlog_checkpoint *ret, struct fg_error *err)
{
        struct fg_tlog_checkpoint checkpoint = {0};
        size_t text = 0;
        int r = parse(note, size, &checkpoint, &text, err);
        if (r < 0)
                return fg_error_wrap(err, r, "checkpoint");
        *ret = checkpoint;
        return 0;
}

int fg_tlog_open(const char *note, size_t size, const uint8_t public[32], struct fg_tlog_checkpoint *ret,
                 struct fg_error *err)
{
        struct fg_tlog_checkpoint checkpoint = {0};
        size_t text = 0;
        int r = parse(note, size, &checkpoint, &text, err);
        if (r == 0)
                r = fg_tlog_note_check(note, size, text, checkpoint.origin, public, err);
        if (r < 0)
                return fg_error_wrap(err, r, "checkpoint");
        *ret = checkpoint;
        return 0;
}
