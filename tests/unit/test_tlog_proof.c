/* SPDX-License-Identifier: Apache-2.0 */
#include "tlog.h"

#include <errno.h>

static struct fg_tlog_hash leaf[MOST], root[MOST + 1];

static int setup(void **state)
{
        make_leaves(leaf, MOST);
        for (size_t n = 0; n <= MOST; n++)
                root[n] = naive_root(leaf, n);
        return 0;
}

static int read_node(void *user, unsigned level, uint64_t index, struct fg_tlog_hash *ret)
{
        const struct array *array = user;
        assert_true(((index + 1) << level) <= array->count);
        *ret = naive_root(leaf + (index << level), 1ull << level);
        return 0;
}

static struct fg_tlog_proof prove(uint64_t index, uint64_t size)
{
        struct array array = {.leaf = leaf, .count = size, .fails_at = UINT64_MAX};
        struct fg_tlog_proof proof, other;
        assert_int_equal(fg_tlog_prove(read_array, &array, index, size, &proof), 0);
        assert_int_equal(fg_tlog_prove_nodes(read_node, &array, index, size, &other), 0);
        assert_int_equal(other.count, proof.count);
        assert_memory_equal(other.hash, proof.hash, proof.count * sizeof(proof.hash[0]));
        assert_int_equal(array.reads, size - 1);
        return proof;
}

static struct fg_tlog_proof prove_consistency(uint64_t old_size, uint64_t size)
{
        struct array array = {.leaf = leaf, .count = size, .fails_at = UINT64_MAX};
        struct fg_tlog_proof proof, other;
        assert_int_equal(fg_tlog_prove_consistency(read_array, &array, old_size, size, &proof), 0);
        assert_int_equal(fg_tlog_prove_consistency_nodes(read_node, &array, old_size, size, &other), 0);
        assert_int_equal(other.count, proof.count);
        assert_memory_equal(other.hash, proof.hash, proof.count * sizeof(proof.hash[0]));
        assert_true(array.reads <= size);
        return proof;
}

struct known_proof {
        uint64_t first, size;
        const char *hash[3];
};

static void check_known(const struct known_proof *known, const struct fg_tlog_proof *proof)
{
        uint32_t count = 0;
        for (; count < 3 && known->hash[count]; count++) {
                struct fg_tlog_hash hash = hash_from_hex(known->hash[count]);
                assert_true(count < proof->count && is_same_hash(&proof->hash[count], &hash));
        }
        assert_int_equal(proof->count, count);
}

#define H_1    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
#define H_23   "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
#define H_4567 "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
#define H_4    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
#define H_45   "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
#define H_67   "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
#define H_0123 "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
#define H_01   "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
#define H_0    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"

/* certificate-transparency's, over its eight records. */
static void known_proofs(void **state)
{
        static const struct known_proof inclusion[] = {
                {0, 1, {NULL}}, {0, 8, {H_1, H_23, H_4567}}, {5, 8, {H_4, H_67, H_0123}},
                {2, 3, {H_01}}, {1, 5, {H_0, H_23, H_4}},
        };
        static const struct known_proof consistency[] = {
                {1, 1, {NULL}},
                {1, 8, {H_1, H_23, H_4567}},
                {6, 8, {H_45, H_67, H_0123}},
                {2, 5, {H_23, H_4}},
        };
        struct fg_tlog_hash known_leaf[8], old_root, new_root;
        struct array array = {.leaf = known_leaf, .count = 8, .fails_at = UINT64_MAX};
        struct fg_tlog_proof proof;
        make_known_leaves(known_leaf);
        for (size_t i = 0; i < COUNT_OF(inclusion); i++) {
                const struct known_proof *k = &inclusion[i];
                new_root = hash_from_hex(known_root[k->size]);
                assert_int_equal(fg_tlog_prove(read_array, &array, k->first, k->size, &proof), 0);
                check_known(k, &proof);
                assert_int_equal(fg_tlog_verify(&proof, k->first, k->size, &known_leaf[k->first], &new_root), 0);
        }
        for (size_t i = 0; i < COUNT_OF(consistency); i++) {
                const struct known_proof *k = &consistency[i];
                old_root = hash_from_hex(known_root[k->first]);
                new_root = hash_from_hex(known_root[k->size]);
                assert_int_equal(fg_tlog_prove_consistency(read_array, &array, k->first, k->size, &proof), 0);
                check_known(k, &proof);
                assert_int_equal(fg_tlog_verify_consistency(&proof, k->first, k->size, &old_root, &new_root), 0);
        }
}

static void all_inclusions(void **state)
{
        for (uint64_t n = 1; n <= MOST; n++)
                for (uint64_t i = 0; i < n; i++) {
                        struct fg_tlog_proof proof = prove(i, n), naive = {0};
                        naive_path(leaf, i, n, &naive);
                        assert_true(is_same_proof(&proof, &naive));
                        if (fg_tlog_verify(&proof, i, n, &leaf[i], &root[n]) != 0)
                                fail_msg("leaf %d of %d", (int)i, (int)n);
                }
}

static void all_consistencies(void **state)
{
        for (uint64_t n = 1; n <= MOST; n++)
                for (uint64_t m = 1; m <= n; m++) {
                        struct fg_tlog_proof proof = prove_consistency(m, n), naive = {0};
                        naive_subproof(leaf, m, n, true, &naive);
                        assert_true(is_same_proof(&proof, &naive));
                        if (fg_tlog_verify_consistency(&proof, m, n, &root[m], &root[n]) != 0)
                                fail_msg("%d to %d", (int)m, (int)n);
                }
}

/* Every bit of every hash in small trees, one bit of every hash in all. */
static void mutated_inclusions(void **state)
{
        uint64_t seed = 3;
        for (uint64_t n = 1; n <= MOST; n++)
                for (uint64_t i = 0; i < n; i++) {
                        struct fg_tlog_proof proof = prove(i, n);
                        unsigned step = n <= 13 || n == 33 ? 1 : 256;
                        for (unsigned bit = step == 1 ? 0 : (unsigned)(unit_random(&seed) % 256);
                             bit < proof.count * 256; bit += step) {
                                uint8_t *byte = &proof.hash[bit / 256].byte[bit / 8 % 32];
                                *byte ^= (uint8_t)(1u << bit % 8);
                                assert_int_equal(fg_tlog_verify(&proof, i, n, &leaf[i], &root[n]), -EBADMSG);
                                *byte ^= (uint8_t)(1u << bit % 8);
                        }
                        assert_int_equal(fg_tlog_verify(&proof, i, n, &leaf[i], &root[n]), 0);
                }
}

static void mutated_consistencies(void **state)
{
        uint64_t seed = 4;
        for (uint64_t n = 1; n <= MOST; n++)
                for (uint64_t m = 1; m < n; m++) {
                        struct fg_tlog_proof proof = prove_consistency(m, n);
                        unsigned step = n <= 13 || n == 33 ? 1 : 256;
                        for (unsigned bit = step == 1 ? 0 : (unsigned)(unit_random(&seed) % 256);
                             bit < proof.count * 256; bit += step) {
                                uint8_t *byte = &proof.hash[bit / 256].byte[bit / 8 % 32];
                                *byte ^= (uint8_t)(1u << bit % 8);
                                assert_int_equal(fg_tlog_verify_consistency(&proof, m, n, &root[m], &root[n]),
                                                 -EBADMSG);
                                *byte ^= (uint8_t)(1u << bit % 8);
                        }
                        assert_int_equal(fg_tlog_verify_consistency(&proof, m, n, &root[m], &root[n]), 0);
                }
}

/* Hashes dropped, doubled, swapped and added. Fits both kinds of proof. */
static void change_shape(struct fg_tlog_proof *proof, unsigned way, uint32_t at)
{
        struct fg_tlog_hash hash = proof->hash[at];
        if (way == 0) { /* drop */
                memmove(&proof->hash[at], &proof->hash[at + 1], (proof->count - at - 1) * sizeof(hash));
                proof->count--;
        } else if (way == 1) { /* double */
                memmove(&proof->hash[at + 1], &proof->hash[at], (proof->count - at) * sizeof(hash));
                proof->count++;
        } else if (way == 2) { /* swap with the next */
                proof->hash[at] = proof->hash[(at + 1) % proof->count];
                proof->hash[(at + 1) % proof->count] = hash;
        } else { /* one more at the end */
                proof->hash[proof->count++] = hash;
        }
}

static void reshaped_proofs(void **state)
{
        for (uint64_t n = 2; n <= 40; n++)
                for (uint64_t i = 0; i < n; i++) {
                        const struct fg_tlog_proof inclusion = prove(i, n), consistency = prove_consistency(i + 1, n);
                        for (unsigned k = 0; k < 4 * inclusion.count; k++) {
                                struct fg_tlog_proof proof = inclusion;
                                change_shape(&proof, k % 4, k / 4);
                                if (!is_same_proof(&proof, &inclusion))
                                        assert_int_equal(fg_tlog_verify(&proof, i, n, &leaf[i], &root[n]), -EBADMSG);
                        }
                        for (unsigned k = 0; k < 4 * consistency.count; k++) {
                                struct fg_tlog_proof proof = consistency;
                                change_shape(&proof, k % 4, k / 4);
                                if (!is_same_proof(&proof, &consistency))
                                        assert_int_equal(
                                                fg_tlog_verify_consistency(&proof, i + 1, n, &root[i + 1], &root[n]),
                                                -EBADMSG);
                        }
                }
}

/* Every other index is refused. Every other size is too, unless the way up is the same one there: then it is the same
 * statement about the same root, and which size belongs to that root is the checkpoint's word. */
static void wrong_index_or_size(void **state)
{
        unsigned long same_way = 0;
        for (uint64_t n = 1; n <= 40; n++)
                for (uint64_t i = 0; i < n; i++) {
                        struct fg_tlog_proof proof = prove(i, n);
                        for (uint64_t k = 0; k <= 80; k++)
                                if (k != i)
                                        assert_int_equal(fg_tlog_verify(&proof, k, n, &leaf[i], &root[n]), -EBADMSG);
                        for (uint64_t k = 0; k <= 80; k++) {
                                struct fg_tlog_hash hash = leaf[i];
                                bool fits = i < k && naive_climb(&proof, proof.count, i, k, &hash) &&
                                            is_same_hash(&hash, &root[n]);
                                assert_int_equal(fg_tlog_verify(&proof, i, k, &leaf[i], &root[n]), fits ? 0 : -EBADMSG);
                                same_way += fits && k != n;
                                if (k > 0 && k <= MOST && k != n)
                                        assert_int_equal(fg_tlog_verify(&proof, i, k, &leaf[i], &root[k]), -EBADMSG);
                        }
                }
        assert_true(same_way > 0);
}

static void wrong_sizes_of_consistency(void **state)
{
        for (uint64_t n = 1; n <= 24; n++)
                for (uint64_t m = 1; m <= n; m++) {
                        struct fg_tlog_proof proof = prove_consistency(m, n);
                        for (uint64_t b = 0; b <= 50; b++)
                                for (uint64_t a = 0; a <= 50; a++) {
                                        struct fg_tlog_hash old_hash, hash;
                                        bool fits = a > 0 && a <= b &&
                                                    naive_grow(&proof, proof.count, a, b, true, &root[m], &old_hash,
                                                               &hash) &&
                                                    is_same_hash(&old_hash, &root[m]) && is_same_hash(&hash, &root[n]);
                                        int r = fg_tlog_verify_consistency(&proof, a, b, &root[m], &root[n]);
                                        if (r != (fits ? 0 : -EBADMSG))
                                                fail_msg("%d to %d as %d to %d: %d", (int)m, (int)n, (int)a, (int)b, r);
                                        if (a > 0 && b > 0 && a <= b && (a != m || b != n) &&
                                            fg_tlog_verify_consistency(&proof, a, b, &root[a], &root[b]) == 0)
                                                assert_true(a == b && m == n);
                                }
                }
}

static void wrong_leaf_or_root(void **state)
{
        for (uint64_t n = 1; n <= 40; n++)
                for (uint64_t i = 0; i < n; i++) {
                        struct fg_tlog_proof proof = prove(i, n), grown = prove_consistency(i + 1, n);
                        for (uint64_t k = 0; k <= 40; k++) {
                                assert_int_equal(fg_tlog_verify(&proof, i, n, &leaf[k], &root[n]),
                                                 k == i ? 0 : -EBADMSG);
                                assert_int_equal(fg_tlog_verify(&proof, i, n, &leaf[i], &root[k]),
                                                 k == n ? 0 : -EBADMSG);
                                assert_int_equal(fg_tlog_verify_consistency(&grown, i + 1, n, &root[k], &root[n]),
                                                 k == i + 1 ? 0 : -EBADMSG);
                                assert_int_equal(fg_tlog_verify_consistency(&grown, i + 1, n, &root[i + 1], &root[k]),
                                                 k == n ? 0 : -EBADMSG);
                        }
                }
}

/* Somebody changes one record of the past and recomputes the whole tree: no proof from the old root leads there. */
static void rewritten_past(void **state)
{
        const uint64_t n = 45, m = 21;
        struct fg_tlog_hash other[MOST], other_root;
        for (uint64_t i = 0; i < m; i++) {
                struct array array = {.leaf = other, .count = n, .fails_at = UINT64_MAX};
                struct fg_tlog_proof proof;
                memcpy(other, leaf, sizeof(other));
                fg_tlog_leaf("charged nothing", 15, &other[i]);
                other_root = naive_root(other, n);
                assert_int_equal(fg_tlog_prove_consistency(read_array, &array, m, n, &proof), 0);
                assert_int_equal(fg_tlog_verify_consistency(&proof, m, n, &root[m], &other_root), -EBADMSG);
                proof = prove_consistency(m, n);
                assert_int_equal(fg_tlog_verify_consistency(&proof, m, n, &root[m], &other_root), -EBADMSG);
        }
}

static void refused_questions(void **state)
{
        struct array array = {.leaf = leaf, .count = MOST, .fails_at = UINT64_MAX};
        struct fg_tlog_proof proof = {.count = 77};
        uint64_t beyond = (uint64_t)FG_TLOG_SIZE_MAX + 1;
        assert_int_equal(fg_tlog_prove(read_array, &array, 0, 0, &proof), -EINVAL);
        assert_int_equal(fg_tlog_prove(read_array, &array, 5, 5, &proof), -EINVAL);
        assert_int_equal(fg_tlog_prove(read_array, &array, UINT64_MAX, 5, &proof), -EINVAL);
        assert_int_equal(fg_tlog_prove(read_array, &array, 0, beyond, &proof), -EINVAL);
        assert_int_equal(fg_tlog_prove_consistency(read_array, &array, 0, 5, &proof), -EINVAL);
        assert_int_equal(fg_tlog_prove_consistency(read_array, &array, 6, 5, &proof), -EINVAL);
        assert_int_equal(fg_tlog_prove_consistency(read_array, &array, 1, beyond, &proof), -EINVAL);
        assert_int_equal(array.reads, 0);
        array.fails_at = 3;
        assert_int_equal(fg_tlog_prove(read_array, &array, 0, 9, &proof), -5);
        assert_int_equal(fg_tlog_prove_consistency(read_array, &array, 2, 9, &proof), -5);
        assert_int_equal(proof.count, 77);
}

static void refused_proofs(void **state)
{
        static const uint64_t beyond = (uint64_t)FG_TLOG_SIZE_MAX + 1;
        struct fg_tlog_proof proof = {.count = FG_TLOG_DEPTH + 1};
        assert_int_equal(fg_tlog_verify(&proof, 0, beyond - 1, &leaf[0], &root[1]), -EBADMSG);
        assert_int_equal(fg_tlog_verify_consistency(&proof, 1, beyond - 1, &root[1], &root[2]), -EBADMSG);
        proof.count = UINT32_MAX;
        assert_int_equal(fg_tlog_verify(&proof, 0, 1, &leaf[0], &leaf[0]), -EBADMSG);
        assert_int_equal(fg_tlog_verify_consistency(&proof, 1, 1, &root[1], &root[1]), -EBADMSG);
        for (proof.count = 0; proof.count <= FG_TLOG_DEPTH; proof.count++) {
                assert_int_equal(fg_tlog_verify(&proof, 0, 0, &leaf[0], &root[0]), -EBADMSG);
                assert_int_equal(fg_tlog_verify(&proof, 0, beyond, &leaf[0], &root[1]), -EBADMSG);
                assert_int_equal(fg_tlog_verify(&proof, UINT64_MAX, UINT64_MAX, &leaf[0], &root[1]), -EBADMSG);
                assert_int_equal(fg_tlog_verify_consistency(&proof, 0, 0, &root[0], &root[0]), -EBADMSG);
                assert_int_equal(fg_tlog_verify_consistency(&proof, 0, 9, &root[0], &root[9]), -EBADMSG);
                assert_int_equal(fg_tlog_verify_consistency(&proof, 9, 8, &root[9], &root[8]), -EBADMSG);
                assert_int_equal(fg_tlog_verify_consistency(&proof, 1, UINT64_MAX, &root[1], &root[2]), -EBADMSG);
                assert_int_equal(fg_tlog_verify_consistency(&proof, 9, 9, &root[9], &root[9]),
                                 proof.count ? -EBADMSG : 0);
        }
        proof.count = 0;
        assert_int_equal(fg_tlog_verify_consistency(&proof, 9, 9, &root[9], &root[8]), -EBADMSG);
}

/* Trees too large to build: the proof's hashes are made up, the root follows from them. */
static void huge_trees(void **state)
{
        uint64_t seed = 11;
        uint32_t deepest = 0, longest = 0;
        for (int round = 0; round < 3000; round++) {
                uint64_t n = round % 3 ? 2 + (unit_random(&seed) >> (1 + unit_random(&seed) % 62)) % (INT64_MAX - 2)
                                       : INT64_MAX;
                uint64_t i = round % 4 ? unit_random(&seed) % n : n - 1 - (uint64_t)round % 2, m = i + 1;
                struct fg_tlog_proof proof;
                struct fg_tlog_hash hash, old_hash, old_root = {{9}};
                for (size_t k = 0; k < sizeof(proof.hash); k++)
                        ((uint8_t *)proof.hash)[k] = (uint8_t)unit_random(&seed);
                for (proof.count = 0, hash = leaf[0]; !naive_climb(&proof, proof.count, i, n, &hash); hash = leaf[0])
                        assert_true(++proof.count <= FG_TLOG_DEPTH);
                assert_int_equal(fg_tlog_verify(&proof, i, n, &leaf[0], &hash), 0);
                deepest = proof.count > deepest ? proof.count : deepest;
                for (uint32_t count = 0, right = proof.count; count <= FG_TLOG_DEPTH; count++) {
                        proof.count = count;
                        assert_int_equal(fg_tlog_verify(&proof, i, n, &leaf[0], &hash), count == right ? 0 : -EBADMSG);
                }
                proof.count = 0;
                while (!naive_grow(&proof, proof.count, m, n, true, &old_root, &old_hash, &hash))
                        assert_true(++proof.count <= FG_TLOG_DEPTH);
                if ((m & (m - 1)) == 0)
                        old_hash = old_root;
                assert_int_equal(fg_tlog_verify_consistency(&proof, m, n, &old_hash, &hash), 0);
                longest = proof.count > longest ? proof.count : longest;
        }
        assert_int_equal(deepest, 63);
        assert_int_equal(longest, 64);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_proofs),
                cmocka_unit_test(all_inclusions),
                cmocka_unit_test(all_consistencies),
                cmocka_unit_test(mutated_inclusions),
                cmocka_unit_test(mutated_consistencies),
                cmocka_unit_test(reshaped_proofs),
                cmocka_unit_test(wrong_index_or_size),
                cmocka_unit_test(wrong_sizes_of_consistency),
                cmocka_unit_test(wrong_leaf_or_root),
                cmocka_unit_test(rewritten_past),
                cmocka_unit_test(refused_questions),
                cmocka_unit_test(refused_proofs),
                cmocka_unit_test(huge_trees),
        };
        return cmocka_run_group_tests(tests, setup, NULL);
}
