/* SPDX-License-Identifier: Apache-2.0
 * RFC 6962 as it is written there, recursive and slow: what src/tlog is compared with. */
#ifndef FG_TESTS_TLOG_H
#define FG_TESTS_TLOG_H

#include "unit.h"
#include "tlog/tlog.h"

#define MOST 130 /* leaves */

static inline uint64_t naive_split(uint64_t n)
{
        uint64_t k = 1;
        while (2 * k < n)
                k *= 2;
        return k;
}

/* MTH(D[n]) */
static inline struct fg_tlog_hash naive_root(const struct fg_tlog_hash *leaf, uint64_t n)
{
        struct fg_tlog_hash ret = {0};
        if (n == 0) {
                fg_tlog_root(&(struct fg_tlog_tree){0}, &ret);
        } else if (n == 1) {
                ret = leaf[0];
        } else {
                uint64_t k = naive_split(n);
                struct fg_tlog_hash left = naive_root(leaf, k), right = naive_root(leaf + k, n - k);
                fg_tlog_node(&left, &right, &ret);
        }
        return ret;
}

static inline void naive_add(struct fg_tlog_proof *proof, struct fg_tlog_hash hash)
{
        assert_true(proof->count < FG_TLOG_DEPTH);
        proof->hash[proof->count++] = hash;
}

/* PATH(m, D[n]) */
static inline void naive_path(const struct fg_tlog_hash *leaf, uint64_t m, uint64_t n, struct fg_tlog_proof *proof)
{
        uint64_t k = naive_split(n);
        if (n == 1)
                return;
        if (m < k) {
                naive_path(leaf, m, k, proof);
                naive_add(proof, naive_root(leaf + k, n - k));
        } else {
                naive_path(leaf + k, m - k, n - k, proof);
                naive_add(proof, naive_root(leaf, k));
        }
}

/* SUBPROOF(m, D[n], b) */
static inline void naive_subproof(const struct fg_tlog_hash *leaf, uint64_t m, uint64_t n, bool b,
                                  struct fg_tlog_proof *proof)
{
        uint64_t k = naive_split(n);
        if (m == n) {
                if (!b)
                        naive_add(proof, naive_root(leaf, n));
        } else if (m <= k) {
                naive_subproof(leaf, m, k, b, proof);
                naive_add(proof, naive_root(leaf + k, n - k));
        } else {
                naive_subproof(leaf + k, m - k, n - k, false, proof);
                naive_add(proof, naive_root(leaf, k));
        }
}

/* The root that PATH's shape makes of a leaf and a proof; false when the proof has another length. */
static inline bool naive_climb(const struct fg_tlog_proof *proof, uint32_t count, uint64_t m, uint64_t n,
                               struct fg_tlog_hash *hash)
{
        uint64_t k = naive_split(n);
        if (n == 1)
                return count == 0;
        if (count == 0 || !naive_climb(proof, count - 1, m < k ? m : m - k, m < k ? k : n - k, hash))
                return false;
        if (m < k)
                fg_tlog_node(hash, &proof->hash[count - 1], hash);
        else
                fg_tlog_node(&proof->hash[count - 1], hash, hash);
        return true;
}

/* The same of SUBPROOF's: old and new root from an old root that may be needed. */
static inline bool naive_grow(const struct fg_tlog_proof *proof, uint32_t count, uint64_t m, uint64_t n, bool b,
                              const struct fg_tlog_hash *old_root, struct fg_tlog_hash *old_hash,
                              struct fg_tlog_hash *hash)
{
        uint64_t k = naive_split(n);
        if (m == n) {
                if (count != (b ? 0u : 1u))
                        return false;
                *old_hash = *hash = b ? *old_root : proof->hash[0];
                return true;
        }
        if (count == 0 || !naive_grow(proof, count - 1, m <= k ? m : m - k, m <= k ? k : n - k, b && m <= k, old_root,
                                      old_hash, hash))
                return false;
        const struct fg_tlog_hash *other = &proof->hash[count - 1];
        if (m <= k) {
                fg_tlog_node(hash, other, hash);
        } else {
                fg_tlog_node(other, old_hash, old_hash);
                fg_tlog_node(other, hash, hash);
        }
        return true;
}

static inline bool is_same_hash(const struct fg_tlog_hash *a, const struct fg_tlog_hash *b)
{
        return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool is_same_proof(const struct fg_tlog_proof *a, const struct fg_tlog_proof *b)
{
        return a->count == b->count && memcmp(a->hash, b->hash, a->count * sizeof(a->hash[0])) == 0;
}

static inline struct fg_tlog_hash hash_from_hex(const char *hex)
{
        struct fg_tlog_hash ret;
        assert_int_equal(strlen(hex), 64);
        for (size_t i = 0; i < FG_TLOG_HASH; i++)
                assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &ret.byte[i]), 1);
        return ret;
}

/* Leaves of the records "0", "1", ... */
static inline void make_leaves(struct fg_tlog_hash *ret, size_t count)
{
        char text[32];
        for (size_t i = 0; i < count; i++)
                fg_tlog_leaf(text, (size_t)snprintf(text, sizeof(text), "%zu", i), &ret[i]);
}

/* A reader over an array; `fails_at` makes it fail. */
struct array {
        const struct fg_tlog_hash *leaf;
        uint64_t count, reads, fails_at;
};

static inline int read_array(void *user, uint64_t index, struct fg_tlog_hash *ret)
{
        struct array *array = user;
        assert_true(index < array->count);
        array->reads++;
        if (index == array->fails_at)
                return -5;
        *ret = array->leaf[index];
        return 0;
}

/* What certificate-transparency and its descendants test with: records, and the roots of the first 0..8 of them. */
struct known_record {
        const char *bytes;
        size_t size;
};
static const struct known_record known_record[8] = {
        {"", 0},
        {"\x00", 1},
        {"\x10", 1},
        {"\x20\x21", 2},
        {"\x30\x31", 2},
        {"\x40\x41\x42\x43", 4},
        {"\x50\x51\x52\x53\x54\x55\x56\x57", 8},
        {"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16},
};
static const char *const known_root[9] = {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static inline void make_known_leaves(struct fg_tlog_hash ret[8])
{
        for (size_t i = 0; i < 8; i++)
                fg_tlog_leaf(known_record[i].bytes, known_record[i].size, &ret[i]);
}

#endif
