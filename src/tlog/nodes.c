/* SPDX-License-Identifier: Apache-2.0
 * Proofs from the hashes of full subtrees, for a log that keeps some: a proof then costs its own length. */
#include "tlog/tlog.h"

#include <errno.h>
#include <string.h>

struct source {
        fg_tlog_node_t read;
        void *user;
};

/* The largest power of two below n; n > 1. */
static uint64_t split_of(uint64_t n)
{
        return 1ull << (63 - __builtin_clzll(n - 1));
}

/* Root of the leaves from `start`, a multiple of every power of two up to the largest in n. */
static int hash_range(const struct source *source, uint64_t start, uint64_t n, struct fg_tlog_hash *ret)
{
        struct fg_tlog_hash right;
        if ((n & (n - 1)) == 0) {
                unsigned level = (unsigned)__builtin_ctzll(n);
                return source->read(source->user, level, start >> level, ret);
        }
        uint64_t k = split_of(n);
        int r = hash_range(source, start, k, ret);
        if (r == 0)
                r = hash_range(source, start + k, n - k, &right);
        if (r == 0)
                fg_tlog_node(ret, &right, ret);
        return r;
}

static int push(const struct source *source, uint64_t start, uint64_t n, struct fg_tlog_proof *proof)
{
        if (proof->count == FG_TLOG_DEPTH)
                return -EINVAL;
        int r = hash_range(source, start, n, &proof->hash[proof->count]);
        proof->count += r == 0;
        return r;
}

static void reverse(struct fg_tlog_proof *proof)
{
        for (uint32_t i = 0; i < proof->count / 2; i++) {
                struct fg_tlog_hash hash = proof->hash[i];
                proof->hash[i] = proof->hash[proof->count - 1 - i];
                proof->hash[proof->count - 1 - i] = hash;
        }
}

int fg_tlog_prove_nodes(fg_tlog_node_t read, void *user, uint64_t index, uint64_t size, struct fg_tlog_proof *ret)
{
        const struct source source = {read, user};
        struct fg_tlog_proof proof = {0};
        uint64_t start = 0, n = size;
        if (index >= size || size > FG_TLOG_SIZE_MAX)
                return -EINVAL;
        while (n > 1) {
                uint64_t k = split_of(n);
                bool is_left = index < start + k;
                int r = is_left ? push(&source, start + k, n - k, &proof) : push(&source, start, k, &proof);
                if (r < 0)
                        return r;
                start += is_left ? 0 : k;
                n = is_left ? k : n - k;
        }
        reverse(&proof);
        *ret = proof;
        return 0;
}

int fg_tlog_prove_consistency_nodes(fg_tlog_node_t read, void *user, uint64_t old_size, uint64_t size, struct fg_tlog_proof *ret)
{
        const struct source source = {read, user};
        struct fg_tlog_proof proof = {0};
        uint64_t start = 0, m = old_size, n = size;
        bool is_known = true; /* the old root itself, which the reader has */
        if (old_size == 0 || old_size > size || size > FG_TLOG_SIZE_MAX)
                return -EINVAL;
        while (m < n) {
                uint64_t k = split_of(n);
                bool is_left = m <= k;
                int r = is_left ? push(&source, start + k, n - k, &proof) : push(&source, start, k, &proof);
                if (r < 0)
                        return r;
                start += is_left ? 0 : k;
                m -= is_left ? 0 : k;
                n = is_left ? k : n - k;
                is_known = is_known && is_left;
        }
        int r = is_known ? 0 : push(&source, start, m, &proof);
        if (r < 0)
                return r;
        reverse(&proof);
        *ret = proof;
        return 0;
}
