/* SPDX-License-Identifier: Apache-2.0
 * Prints what src/tlog makes of simple inputs, for test_independent.py, which makes the same from the specifications:
 *
 *      root N HASH          path INDEX N HASH...      grow OLD N HASH...
 *      note HEX             record TEXT
 */
#include "tlog/record.h"
#include "tlog/tlog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 70

static int read_leaf(void *user, uint64_t index, struct fg_tlog_hash *ret)
{
        char text[32];
        fg_tlog_leaf(text, (size_t)snprintf(text, sizeof(text), "record %" PRIu64, index), ret);
        return 0;
}

static void print_hex(const void *data, size_t size)
{
        for (size_t i = 0; i < size; i++)
                printf("%02x", ((const uint8_t *)data)[i]);
}

static void print_proof(const char *what, uint64_t first, uint64_t size, const struct fg_tlog_proof *proof)
{
        printf("%s %" PRIu64 " %" PRIu64, what, first, size);
        for (uint32_t i = 0; i < proof->count; i++) {
                putchar(' ');
                print_hex(&proof->hash[i], FG_TLOG_HASH);
        }
        putchar('\n');
}

static void print_trees(void)
{
        struct fg_tlog_tree tree = {0};
        struct fg_tlog_hash hash;
        struct fg_tlog_proof proof;
        for (uint64_t n = 0; n <= MOST; n++) {
                fg_tlog_root(&tree, &hash);
                printf("root %" PRIu64 " ", n);
                print_hex(&hash, FG_TLOG_HASH);
                putchar('\n');
                for (uint64_t i = 0; i < n; i++) {
                        if (fg_tlog_prove(read_leaf, NULL, i, n, &proof) < 0)
                                abort();
                        print_proof("path", i, n, &proof);
                        if (fg_tlog_prove_consistency(read_leaf, NULL, i + 1, n, &proof) < 0)
                                abort();
                        print_proof("grow", i + 1, n, &proof);
                }
                read_leaf(NULL, n, &hash);
                fg_tlog_append(&tree, &hash);
        }
}

static void print_note(uint64_t size, int64_t time)
{
        struct fg_tlog_checkpoint c = {.origin = "fastgpu/node-7", .size = size, .time = time};
        struct fg_tlog_key key;
        char note[FG_TLOG_NOTE_MAX];
        uint8_t seed[32];
        for (uint8_t i = 0; i < 32; i++)
                seed[i] = (uint8_t)(7 * i + 1), c.root.byte[i] = (uint8_t)(200 + i);
        fg_tlog_key_from_seed(seed, &key);
        if (fg_tlog_sign(&c, &key, note) < 0)
                abort();
        printf("note ");
        print_hex(note, strlen(note));
        putchar('\n');
}

static void print_record(void)
{
        static struct fg_tlog_record r;
        fg_tlog_record_begin(&r, "charge");
        fg_tlog_record_add_int(&r, "least", INT64_MIN);
        fg_tlog_record_add_int(&r, "none", 0);
        fg_tlog_record_add_big(&r, "most", "170141183460469231731687303715884105727");
        fg_tlog_record_add_string(&r, "text",
                                  "\"quoted\" \\ Gr\xc3\xbc\xc3\x9f"
                                  "e /<>& \xf0\x9f\x98\x80");
        if (fg_tlog_record_end(&r, NULL) < 0)
                abort();
        printf("record %s\n", r.text);
}

int main(void)
{
        print_trees();
        print_note(0, 0);
        print_note(20852163, 1767225600);
        print_note(FG_TLOG_SIZE_MAX, INT64_MAX);
        print_record();
        return 0;
}
