/* SPDX-License-Identifier: Apache-2.0
 * Nothing is decoded before its length is known, and a note has at most FG_TLOG_NOTE_MAX - 1 bytes: that bounds the
 * lines, the signatures and the work. */
#include "tlog/note.h"
#include "base/utf8.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define EM_DASH   "\xe2\x80\x94 " /* and the space behind it */
#define ED25519   0x01            /* signed-note's type of signature */
#define ID_SIZE   4u
#define BLOB_SIZE (ID_SIZE + crypto_sign_BYTES)

struct signature {
        const char *name;
        size_t name_size;
        size_t blob_size; /* key id and signature */
        uint8_t blob[FG_TLOG_NOTE_MAX];
};

bool fg_tlog_note_is_name(const char *name, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (name[i] <= ' ' || name[i] > '~' || name[i] == '+')
                        return false;
        return size > 0 && size < FG_TLOG_NAME_MAX;
}

static void key_id(const char *name, const uint8_t public[32], uint8_t ret[ID_SIZE])
{
        static const uint8_t between[2] = {'\n', ED25519};
        struct fg_tlog_hash hash;
        crypto_hash_sha256_state state;
        crypto_hash_sha256_init(&state);
        crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
        crypto_hash_sha256_update(&state, between, sizeof(between));
        crypto_hash_sha256_update(&state, public, crypto_sign_PUBLICKEYBYTES);
        crypto_hash_sha256_final(&state, hash.byte);
        memcpy(ret, hash.byte, ID_SIZE);
}

int fg_tlog_note_sign(const char *text, const char *name, const struct fg_tlog_key *key, char ret[FG_TLOG_NOTE_MAX])
{
        uint8_t blob[BLOB_SIZE];
        char encoded[FG_TLOG_BASE64(BLOB_SIZE)];
        size_t size = strlen(text), name_size = strnlen(name, FG_TLOG_NAME_MAX);
        if (size == 0 || text[size - 1] != '\n' || !fg_tlog_note_is_name(name, name_size))
                return -EINVAL;
        if (size + strlen("\n" EM_DASH " \n") + name_size + sizeof(encoded) > FG_TLOG_NOTE_MAX)
                return -EINVAL;
        if (sodium_init() < 0)
                return -EIO;
        key_id(name, key->public, blob);
        crypto_sign_detached(blob + ID_SIZE, NULL, (const uint8_t *)text, size, key->secret);
        fg_tlog_base64(blob, sizeof(blob), encoded, sizeof(encoded));
        snprintf(ret, FG_TLOG_NOTE_MAX, "%s\n" EM_DASH "%s %s\n", text, name, encoded);
        return 0;
}

static int check_characters(const char *note, size_t size, struct fg_error *err)
{
        uint32_t code = 0;
        for (size_t i = 0, len; i < size; i += len) {
                len = fg_utf8_decode(note + i, size - i, &code);
                if (len == 0)
                        return fg_error_set(err, -EBADMSG, "byte %zu is not UTF-8", i);
                if (code < 0x20 && code != '\n')
                        return fg_error_set(err, -EBADMSG, "byte %zu is a control character", i);
        }
        return 0;
}

/* Reads one line of a signature, without its newline. */
static int parse_signature(const char *line, size_t size, struct signature *ret)
{
        size_t dash = strlen(EM_DASH);
        if (size < dash || memcmp(line, EM_DASH, dash) != 0)
                return -EBADMSG;
        line += dash, size -= dash;
        const char *space = memchr(line, ' ', size);
        if (!space || space == line || memchr(line, '+', (size_t)(space - line)))
                return -EBADMSG;
        const char *blob = space + 1;
        size_t encoded = size - (size_t)(blob - line);
        if (encoded < 4 || encoded % 4)
                return -EBADMSG;
        ret->name = line;
        ret->name_size = (size_t)(space - line);
        ret->blob_size = encoded / 4 * 3 - (blob[encoded - 1] == '=') - (blob[encoded - 2] == '=');
        return ret->blob_size > ID_SIZE ? fg_tlog_unbase64(blob, encoded, ret->blob, ret->blob_size) : -EBADMSG;
}

/* The text goes up to the last empty line. */
static int find_text(const char *note, size_t size, size_t *ret_text)
{
        for (size_t i = size; i >= 2; i--)
                if (note[i - 1] == '\n' && note[i - 2] == '\n') {
                        *ret_text = i - 1;
                        return i < size ? 0 : -EBADMSG;
                }
        return -EBADMSG;
}

int fg_tlog_note_parse(const char *note, size_t size, size_t *ret_text, struct fg_error *err)
{
        size_t text = 0;
        if (size >= FG_TLOG_NOTE_MAX)
                return fg_error_set(err, -EBADMSG, "longer than %u bytes", FG_TLOG_NOTE_MAX - 1);
        if (size == 0 || note[size - 1] != '\n')
                return fg_error_set(err, -EBADMSG, "it does not end with a newline");
        int r = check_characters(note, size, err);
        if (r < 0)
                return r;
        if (find_text(note, size, &text) < 0)
                return fg_error_set(err, -EBADMSG, "no signature after an empty line");
        for (size_t at = text + 1; at < size;) {
                struct signature signature;
                size_t line = (size_t)((const char *)memchr(note + at, '\n', size - at) - (note + at));
                if (parse_signature(note + at, line, &signature) < 0)
                        return fg_error_set(err, -EBADMSG, "byte %zu is not the beginning of a signature", at);
                at += line + 1;
        }
        *ret_text = text;
        return 0;
}

static bool is_by(const struct signature *signature, const char *name, const uint8_t id[ID_SIZE])
{
        return signature->name_size == strlen(name) && memcmp(signature->name, name, signature->name_size) == 0 &&
               memcmp(signature->blob, id, ID_SIZE) == 0;
}

/* Every signature that says it is by this key has to be right: signed-note wants the whole note refused otherwise. */
int fg_tlog_note_check(const char *note, size_t size, size_t text, const char *name, const uint8_t public[32],
                       struct fg_error *err)
{
        struct signature s;
        uint8_t id[ID_SIZE];
        bool found = false;
        if (sodium_init() < 0)
                return fg_error_set(err, -EIO, "libsodium does not start");
        key_id(name, public, id);
        for (size_t at = text + 1, line; at < size; at += line + 1) {
                line = (size_t)((const char *)memchr(note + at, '\n', size - at) - (note + at));
                if (parse_signature(note + at, line, &s) < 0)
                        return fg_error_set(err, -EBADMSG, "byte %zu is not the beginning of a signature", at);
                if (!is_by(&s, name, id))
                        continue;
                if (s.blob_size != BLOB_SIZE ||
                    crypto_sign_verify_detached(s.blob + ID_SIZE, (const uint8_t *)note, text, public))
                        return fg_error_set(err, -EBADMSG, "the signature of %s does not fit the text", name);
                found = true;
        }
        if (!found)
                return fg_error_set(err, -EKEYREJECTED, "not signed by %s with key %02x%02x%02x%02x", name, id[0],
                                    id[1], id[2], id[3]);
        return 0;
}
