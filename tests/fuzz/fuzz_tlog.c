/* SPDX-License-Identifier: Apache-2.0
 * What comes from a log that may lie: checkpoints, proofs, records.
 *
 * The first byte says what the rest is: 'c' a checkpoint, 'r' a record, 'p' a proof as it comes (index, size, old size,
 * count, hashes), 't' changes to true proofs (leaf, size, then bytes to be put over the proof); anything else is tried
 * as all of them. */
#include "tlog/note.h"
#include "tlog/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define LEAVES 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct fg_error *err, int r)
{
        assert(r <= 0 && err->code == r && (r == 0) == (err->text[0] == '\0'));
}

static struct fg_tlog_key fuzz_key(void)
{
        uint8_t seed[32];
        struct fg_tlog_key key;
        for (uint8_t i = 0; i < 32; i++)
                seed[i] = i;
        fg_tlog_key_from_seed(seed, &key);
        return key;
}

/* Ed25519 signs the same way every time: what opens has to hold the very line that our signing of its text gives. */
static void check_opened(const char *note, size_t size, const struct fg_tlog_checkpoint *c,
                         const struct fg_tlog_key *key)
{
        char text[FG_TLOG_NOTE_MAX], again[FG_TLOG_NOTE_MAX];
        size_t end = 0;
        assert(fg_tlog_note_parse(note, size, &end, NULL) == 0);
        memcpy(text, note, end);
        text[end] = '\0';
        assert(fg_tlog_note_sign(text, c->origin, key, again) == 0);
        const char *line = again + end + 1;
        bool found = false;
        for (size_t at = end + 1; at + strlen(line) <= size && !found; at++)
                found = memcmp(note + at, line, strlen(line)) == 0;
        assert(found);
}

static void try_checkpoint(const char *note, size_t size)
{
        struct fg_tlog_key key = fuzz_key();
        struct fg_tlog_checkpoint c = {0}, opened = {0}, back = {0};
        struct fg_error err = {0}, open_err = {0};
        char again[FG_TLOG_NOTE_MAX];
        int r = fg_tlog_parse(note, size, &c, &err), o = fg_tlog_open(note, size, key.public, &opened, &open_err);
        check_error(&err, r);
        check_error(&open_err, o);
        assert(r == 0 || (r == -EBADMSG && o == -EBADMSG));
        if (r < 0)
                return;
        assert(c.size <= FG_TLOG_SIZE_MAX && c.time >= 0 && c.origin[0] && memchr(c.origin, '\0', sizeof(c.origin)));
        assert(fg_tlog_sign(&c, &key, again) == 0);
        assert(fg_tlog_open(again, strlen(again), key.public, &back, NULL) == 0 && memcmp(&back, &c, sizeof(c)) == 0);
        assert(o == 0 || o == -EBADMSG || o == -EKEYREJECTED);
        if (o == 0) {
                assert(memcmp(&opened, &c, sizeof(c)) == 0);
                check_opened(note, size, &c, &key);
        }
}

/* Every field put into a new record makes the same text. */
static void try_record(const char *text, size_t size)
{
        static struct fg_tlog_record r, again;
        struct fg_error err = {0};
        char key[FG_TLOG_KEY_MAX + 1], value[FG_TLOG_RECORD_MAX + 1];
        int64_t number;
        int result = fg_tlog_record_parse(text, size, &r, &err);
        check_error(&err, result);
        assert(result == 0 || result == -EBADMSG);
        for (uint32_t i = 0; result == 0 && i < r.fields; i++) {
                assert(r.field[i].key_size <= FG_TLOG_KEY_MAX);
                memcpy(key, r.text + r.field[i].key, r.field[i].key_size);
                key[r.field[i].key_size] = '\0';
                bool is_string = fg_tlog_record_get_string(&r, key, value, sizeof(value)) == 0;
                assert(is_string || (i > 0 && fg_tlog_record_get_int(&r, key, &number) == 0));
                if (i == 0)
                        fg_tlog_record_begin(&again, value);
                else if (is_string)
                        fg_tlog_record_add_string(&again, key, value);
                else
                        fg_tlog_record_add_int(&again, key, number);
        }
        if (result == 0) {
                assert(fg_tlog_record_end(&again, NULL) == 0);
                assert(again.size == size && memcmp(again.text, text, size) == 0);
                for (size_t i = 0; i < size; i++)
                        assert((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
        }
}

static size_t take(const uint8_t **data, size_t *size, void *ret, size_t want)
{
        size_t n = *size < want ? *size : want;
        memcpy(ret, *data, n);
        *data += n, *size -= n;
        return n;
}

/* Any numbers: it ends, and says yes only to what has no proof to give. */
static void try_raw_proof(const uint8_t *data, size_t size)
{
        uint64_t number[3] = {0};
        struct fg_tlog_proof proof = {0};
        struct fg_tlog_hash leaf = {{1}}, root = {{2}};
        take(&data, &size, number, sizeof(number));
        take(&data, &size, &proof.count, sizeof(proof.count));
        take(&data, &size, proof.hash, sizeof(proof.hash));
        assert(fg_tlog_verify(&proof, number[0], number[1], &leaf, &root) == -EBADMSG);
        assert(fg_tlog_verify_consistency(&proof, number[2], number[1], &leaf, &root) == -EBADMSG);
        int r = fg_tlog_verify(&proof, number[0], number[1], &leaf, &leaf);
        assert(r == -EBADMSG || (r == 0 && number[1] == 1 && proof.count == 0));
        r = fg_tlog_verify_consistency(&proof, number[2], number[1], &leaf, &leaf);
        assert(r == -EBADMSG || (r == 0 && number[1] == number[2] && proof.count == 0));
}

static int read_leaf(void *user, uint64_t index, struct fg_tlog_hash *ret)
{
        fg_tlog_leaf(&index, sizeof(index), ret);
        return 0;
}

static struct fg_tlog_hash root_of(uint64_t size)
{
        struct fg_tlog_tree tree = {0};
        struct fg_tlog_hash leaf, root;
        for (uint64_t i = 0; i < size; i++) {
                read_leaf(NULL, i, &leaf);
                fg_tlog_append(&tree, &leaf);
        }
        fg_tlog_root(&tree, &root);
        return root;
}

/* A true proof with bytes changed holds exactly if it is still the same proof. */
static void try_changed_proof(const uint8_t *data, size_t size)
{
        uint8_t head[3] = {0};
        struct fg_tlog_proof proof = {0}, grown = {0}, changed;
        struct fg_tlog_hash leaf;
        take(&data, &size, head, sizeof(head));
        uint64_t n = head[1] % LEAVES + 1, i = head[0] % n;
        struct fg_tlog_hash root = root_of(n), old_root = root_of(i + 1);
        assert(fg_tlog_prove(read_leaf, NULL, i, n, &proof) == 0);
        assert(fg_tlog_prove_consistency(read_leaf, NULL, i + 1, n, &grown) == 0);
        read_leaf(NULL, i, &leaf);
        for (int which = 0; which < 2; which++) {
                const struct fg_tlog_proof *right = which ? &grown : &proof;
                const uint8_t *from = data;
                size_t left = size;
                changed = *right;
                take(&from, &left, (uint8_t *)changed.hash + head[2], sizeof(changed.hash) - head[2]);
                bool same = memcmp(changed.hash, right->hash, right->count * sizeof(leaf)) == 0;
                int r = which ? fg_tlog_verify_consistency(&changed, i + 1, n, &old_root, &root)
                              : fg_tlog_verify(&changed, i, n, &leaf, &root);
                assert(r == (same ? 0 : -EBADMSG));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        bool is_any = !memchr("crpt", data[0], 4);
        if (is_any || data[0] == 'c')
                try_checkpoint((const char *)data + 1, size - 1);
        if (is_any || data[0] == 'r')
                try_record((const char *)data + 1, size - 1);
        if (is_any || data[0] == 'p')
                try_raw_proof(data + 1, size - 1);
        if (is_any || data[0] == 't')
                try_changed_proof(data + 1, size - 1);
        return 0;
}
