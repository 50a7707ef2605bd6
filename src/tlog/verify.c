/* SPDX-License-Identifier: Apache-2.0
 * Checks of proofs, RFC 9162 2.1.3.2 and 2.1.4.2. The way from a leaf to the root is in the bits of its index; `last`,
 * the index of the last leaf, says where the tree's right edge is, on which a node that has no sibling moves up
 * unchanged. */
#include "tlog/tlog.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>

/* Where the way up is: the index of the node at its level, and of the last one at that level. */
struct climb {
        uint64_t at, last;
};

/* One level up, and on the right edge further up until there is a sibling again. Says whether the proof's next hash is
 * the left one. Equation: last loses a bit with each call, so a proof of more hashes than last has bits is refused. */
static bool step(struct climb *c)
{
        bool is_left = (c->at & 1) || c->at == c->last;
        if (is_left)
                while (c->at && !(c->at & 1))
                        c->at >>= 1, c->last >>= 1;
        c->at >>= 1, c->last >>= 1;
        return is_left;
}

static bool is_same(const struct fg_tlog_hash *a, const struct fg_tlog_hash *b)
{
        return sodium_memcmp(a->byte, b->byte, FG_TLOG_HASH) == 0;
}

int fg_tlog_verify(const struct fg_tlog_proof *proof, uint64_t index, uint64_t size, const struct fg_tlog_hash *leaf,
                   const struct fg_tlog_hash *root)
{
        if (index >= size || size > FG_TLOG_SIZE_MAX || proof->count > FG_TLOG_DEPTH)
                return -EBADMSG;
        struct climb c = {.at = index, .last = size - 1};
        struct fg_tlog_hash hash = *leaf;
        for (uint32_t i = 0; i < proof->count; i++) {
                if (c.last == 0)
                        return -EBADMSG;
                if (step(&c))
                        fg_tlog_node(&proof->hash[i], &hash, &hash);
                else
                        fg_tlog_node(&hash, &proof->hash[i], &hash);
        }
        return c.last == 0 && is_same(&hash, root) ? 0 : -EBADMSG;
}

/* Both roots grow from the subtree that ends where the old tree ended; what is right of it, in the new tree only. */
static int verify_growth(const struct fg_tlog_proof *proof, uint32_t first, struct climb c,
                         const struct fg_tlog_hash *start, const struct fg_tlog_hash *old_root,
                         const struct fg_tlog_hash *root)
{
        struct fg_tlog_hash old_hash = *start, hash = *start;
        for (uint32_t i = first; i < proof->count; i++) {
                if (c.last == 0)
                        return -EBADMSG;
                if (step(&c)) {
                        fg_tlog_node(&proof->hash[i], &old_hash, &old_hash);
                        fg_tlog_node(&proof->hash[i], &hash, &hash);
                } else {
                        fg_tlog_node(&hash, &proof->hash[i], &hash);
                }
        }
        return c.last == 0 && is_same(&old_hash, old_root) && is_same(&hash, root) ? 0 : -EBADMSG;
}

int fg_tlog_verify_consistency(const struct fg_tlog_proof *proof, uint64_t old_size, uint64_t size,
                               const struct fg_tlog_hash *old_root, const struct fg_tlog_hash *root)
{
        if (old_size == 0 || old_size > size || size > FG_TLOG_SIZE_MAX || proof->count > FG_TLOG_DEPTH)
                return -EBADMSG;
        if (old_size == size)
                return proof->count == 0 && is_same(old_root, root) ? 0 : -EBADMSG;
        if (proof->count == 0)
                return -EBADMSG;
        /* The old tree's last full subtree: its index at its own level. A full old tree is it, and not in the proof. */
        struct climb c = {.at = old_size - 1, .last = size - 1};
        while (c.at & 1)
                c.at >>= 1, c.last >>= 1;
        bool is_full = (old_size & (old_size - 1)) == 0;
        return verify_growth(proof, is_full ? 0 : 1, c, is_full ? old_root : &proof->hash[0], old_root, root);
}
