/* SPDX-License-Identifier: Apache-2.0
 * The tree as it grows. A tree of n leaves is a row of full subtrees, one for each bit of n, the largest first: a new
 * leaf carries through them as 1 does through the bits, and the root folds them from the smallest up. Work: O(log n) at
 * worst, one node for a leaf on average.
 *
 * libsodium's SHA-256 is portable code that needs no sodium_init(). */
#include "tlog/tlog.h"

#include <sodium.h>

_Static_assert(crypto_hash_sha256_BYTES == FG_TLOG_HASH, "hashes are SHA-256");

static void hash_tagged(uint8_t tag, const void *a, size_t a_size, const void *b, size_t b_size,
                        struct fg_tlog_hash *ret)
{
        crypto_hash_sha256_state state;
        crypto_hash_sha256_init(&state);
        crypto_hash_sha256_update(&state, &tag, 1);
        crypto_hash_sha256_update(&state, a, a_size);
        crypto_hash_sha256_update(&state, b, b_size);
        crypto_hash_sha256_final(&state, ret->byte);
}

void fg_tlog_leaf(const void *record, size_t size, struct fg_tlog_hash *ret)
{
        hash_tagged(0x00, size ? record : "", size, "", 0, ret);
}

void fg_tlog_node(const struct fg_tlog_hash *left, const struct fg_tlog_hash *right, struct fg_tlog_hash *ret)
{
        hash_tagged(0x01, left->byte, FG_TLOG_HASH, right->byte, FG_TLOG_HASH, ret);
}

/* In bounds for any size, also one that somebody else wrote: an even size has a clear bit, so at most 63 peaks, and an
 * odd one merges its last peak first. */
void fg_tlog_append(struct fg_tlog_tree *tree, const struct fg_tlog_hash *leaf)
{
        struct fg_tlog_hash carry = *leaf;
        unsigned peaks = (unsigned)__builtin_popcountll(tree->size);
        for (uint64_t bits = tree->size; bits & 1; bits >>= 1)
                fg_tlog_node(&tree->peak[--peaks], &carry, &carry);
        tree->peak[peaks] = carry;
        tree->size++;
}

void fg_tlog_root(const struct fg_tlog_tree *tree, struct fg_tlog_hash *ret)
{
        unsigned peaks = (unsigned)__builtin_popcountll(tree->size);
        if (peaks == 0) {
                crypto_hash_sha256(ret->byte, (const uint8_t *)"", 0);
                return;
        }
        struct fg_tlog_hash root = tree->peak[--peaks];
        while (peaks)
                fg_tlog_node(&tree->peak[--peaks], &root, &root);
        *ret = root;
}
