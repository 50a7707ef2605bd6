/* SPDX-License-Identifier: Apache-2.0
 * Proofs are found from the root down (RFC 6962 2.1.1 and 2.1.2, without recursion) and written from the leaf up. */
#include "tlog/tlog.h"

#include <errno.h>
#include <stdbool.h>

struct prover {
        fg_tlog_read_t read;
        void *user;
        uint64_t first, end; /* the subtree that is looked at: leaves first..end-1 */
        struct fg_tlog_proof proof;
};

/* Adds the hash of leaves first..end-1. Equation: count <= 63 levels of a tree of at most 2^63 leaves, plus one. */
static int add_subtree(struct prover *p, uint64_t first, uint64_t end)
{
        struct fg_tlog_tree tree = {.size = 0};
        if (p->proof.count >= FG_TLOG_DEPTH)
                return -EINVAL;
        for (uint64_t i = first; i < end; i++) {
                struct fg_tlog_hash leaf;
                int r = p->read(p->user, i, &leaf);
                if (r < 0)
                        return r;
                fg_tlog_append(&tree, &leaf);
        }
        fg_tlog_root(&tree, &p->proof.hash[p->proof.count++]);
        return 0;
}

/* Where a tree of n > 1 leaves divides: after the largest power of two below n. */
static uint64_t split(uint64_t n)
{
        return 1ull << (63 - __builtin_clzll(n - 1));
}

/* One level down, to the left or the right half; the other half's hash is part of the proof. */
static int descend(struct prover *p, bool left)
{
        uint64_t middle = p->first + split(p->end - p->first);
        int r = left ? add_subtree(p, middle, p->end) : add_subtree(p, p->first, middle);
        if (left)
                p->end = middle;
        else
                p->first = middle;
        return r;
}

static void turn_round(const struct fg_tlog_proof *proof, struct fg_tlog_proof *ret)
{
        ret->count = proof->count;
        for (uint32_t i = 0; i < proof->count; i++)
                ret->hash[i] = proof->hash[proof->count - 1 - i];
}

int fg_tlog_prove(fg_tlog_read_t read, void *user, uint64_t index, uint64_t size, struct fg_tlog_proof *ret)
{
        struct prover p = {.read = read, .user = user, .end = size};
        int r = 0;
        if (index >= size || size > FG_TLOG_SIZE_MAX)
                return -EINVAL;
        while (r == 0 && p.end - p.first > 1)
                r = descend(&p, index - p.first < split(p.end - p.first));
        if (r == 0)
                turn_round(&p.proof, ret);
        return r;
}

/* Down to the subtree that ends where the old tree ended. Its hash is known to who has the old root if that is it,
 * which is so when the way never led to the right. */
int fg_tlog_prove_consistency(fg_tlog_read_t read, void *user, uint64_t old_size, uint64_t size,
                              struct fg_tlog_proof *ret)
{
        struct prover p = {.read = read, .user = user, .end = size};
        int r = 0;
        if (old_size == 0 || old_size > size || size > FG_TLOG_SIZE_MAX)
                return -EINVAL;
        while (r == 0 && p.end != old_size)
                r = descend(&p, old_size - p.first <= split(p.end - p.first));
        if (r == 0 && p.first != 0)
                r = add_subtree(&p, p.first, p.end);
        if (r == 0)
                turn_round(&p.proof, ret);
        return r;
}
