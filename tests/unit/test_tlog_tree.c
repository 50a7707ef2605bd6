/* SPDX-License-Identifier: Apache-2.0 */
#include "tlog.h"

static void leaf_and_node(void **state)
{
        struct fg_tlog_hash leaf[2], node;
        fg_tlog_leaf(NULL, 0, &leaf[0]);
        fg_tlog_leaf("\0", 1, &leaf[1]);
        fg_tlog_node(&leaf[0], &leaf[1], &node);
        assert_memory_equal(&leaf[0], (&(struct fg_tlog_hash[]){hash_from_hex(known_root[1])}[0]), FG_TLOG_HASH);
        assert_memory_equal(&node, (&(struct fg_tlog_hash[]){hash_from_hex(known_root[2])}[0]), FG_TLOG_HASH);
        /* The result may be written over an operand. */
        fg_tlog_node(&leaf[0], &leaf[1], &leaf[0]);
        assert_true(is_same_hash(&leaf[0], &node));
}

static void known_roots(void **state)
{
        struct fg_tlog_hash leaf[8], root, known;
        struct fg_tlog_tree tree = {0};
        make_known_leaves(leaf);
        for (size_t n = 0; n <= 8; n++) {
                known = hash_from_hex(known_root[n]);
                fg_tlog_root(&tree, &root);
                assert_true(is_same_hash(&root, &known));
                root = naive_root(leaf, n);
                assert_true(is_same_hash(&root, &known));
                if (n < 8)
                        fg_tlog_append(&tree, &leaf[n]);
        }
}

static void roots_of_all_sizes(void **state)
{
        static struct fg_tlog_hash leaf[1100];
        struct fg_tlog_tree tree = {0};
        make_leaves(leaf, COUNT_OF(leaf));
        for (size_t n = 0; n <= COUNT_OF(leaf); n++) {
                struct fg_tlog_hash root, naive;
                assert_int_equal(tree.size, n);
                if (n <= MOST || n % 97 == 0 || n >= 1020) {
                        fg_tlog_root(&tree, &root);
                        naive = naive_root(leaf, n);
                        assert_true(is_same_hash(&root, &naive));
                }
                if (n < COUNT_OF(leaf))
                        fg_tlog_append(&tree, &leaf[n]);
        }
}

/* The largest subtree first, one for each bit of the size: what is stored can be read by another version. */
static void peaks(void **state)
{
        struct fg_tlog_hash leaf[MOST];
        struct fg_tlog_tree tree = {0};
        make_leaves(leaf, MOST);
        for (uint64_t n = 0; n < MOST; fg_tlog_append(&tree, &leaf[n++])) {
                uint64_t first = 0;
                unsigned k = 0;
                for (int bit = 63; bit >= 0; bit--)
                        if (n >> bit & 1) {
                                struct fg_tlog_hash naive = naive_root(leaf + first, 1ull << bit);
                                assert_true(is_same_hash(&tree.peak[k++], &naive));
                                first += 1ull << bit;
                        }
        }
}

/* A state that somebody else wrote: nonsense in, nonsense out, but nothing outside of it is touched. */
static void any_size_stays_inside(void **state)
{
        struct fg_tlog_hash leaf = {{1}}, root;
        struct {
                struct fg_tlog_tree tree;
                uint8_t guard[64];
        } box;
        uint64_t seed = 7;
        for (int i = 0; i < 1000; i++) {
                memset(&box, 0x5a, sizeof(box));
                box.tree.size = i == 0 ? UINT64_MAX : i == 1 ? UINT64_MAX - 1 : unit_random(&seed) | unit_random(&seed);
                uint64_t size = box.tree.size;
                fg_tlog_append(&box.tree, &leaf);
                fg_tlog_root(&box.tree, &root);
                assert_int_equal(box.tree.size, size + 1);
                for (size_t k = 0; k < sizeof(box.guard); k++)
                        assert_int_equal(box.guard[k], 0x5a);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(leaf_and_node),         cmocka_unit_test(known_roots),
                cmocka_unit_test(roots_of_all_sizes),    cmocka_unit_test(peaks),
                cmocka_unit_test(any_size_stays_inside),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
