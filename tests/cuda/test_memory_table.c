/* SPDX-License-Identifier: Apache-2.0
 * The table of allocations against a plain array, at random and from several threads; what arrays take. No driver. */
#include "../unit/unit.h"

#include "shim/cuda/alloc.h"
#include "shim/cuda/array.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS    20000
#define THREADS 4

static struct fgc_alloc_table table;

/* Addresses as drivers give them: some close together, some far apart. */
static uint64_t key_of(uint64_t i)
{
        return 0x7f0000000000 + (i % 3 == 0 ? i << 21 : i * 512 + 0x10000000000);
}

static bool any(const struct fgc_alloc *entry, const void *unused)
{
        return true;
}

static void test_random(void **state)
{
        static uint64_t bytes[KEYS]; /* 0: not in the table */
        uint64_t seed = 1;

        for (int round = 0; round < 400000; round++) {
                uint64_t i = unit_random(&seed) % KEYS;
                struct fgc_alloc entry = {key_of(i), &table, 1 + i, FGC_ALLOC_DEVICE}, found;
                if (unit_random(&seed) % 3) {
                        int r = fgc_alloc_enter(&table, entry, &found);
                        assert_int_equal(r, bytes[i] != 0);
                        bytes[i] = 1 + i;
                } else {
                        assert_int_equal(fgc_alloc_take(&table, key_of(i), &found), bytes[i] != 0);
                        if (bytes[i])
                                assert_int_equal(found.bytes, bytes[i]);
                        bytes[i] = 0;
                }
        }
        for (uint64_t i = 0; i < KEYS; i++) {
                struct fgc_alloc found;
                assert_int_equal(fgc_alloc_find(&table, key_of(i), &found), bytes[i] != 0);
                if (bytes[i])
                        assert_true(fgc_alloc_take(&table, key_of(i), &found));
        }
        assert_int_equal(fgc_alloc_list(&table, any, NULL, NULL, 0), 0);
}

static void test_same(void **state)
{
        struct fgc_alloc first = {512, &table, 100, FGC_ALLOC_DEVICE}, second = {512, &table, 200, FGC_ALLOC_DEVICE},
                         found;

        assert_int_equal(fgc_alloc_enter(&table, first, &found), 0);
        assert_int_equal(fgc_alloc_enter(&table, second, &found), 1);
        assert_int_equal(found.bytes, 100);
        assert_false(fgc_alloc_take_same(&table, first));
        assert_true(fgc_alloc_take_same(&table, second));
        assert_false(fgc_alloc_take(&table, 512, &found));
        fgc_alloc_put_back(&table, first);
        assert_true(fgc_alloc_take(&table, 512, &found));
}

/* Each thread has keys of its own, all share the stripes. */
static void *churn(void *arg)
{
        uintptr_t thread = (uintptr_t)arg, bad = 0;
        struct fgc_alloc found;

        for (int round = 0; round < 20; round++) {
                for (uint64_t i = thread; i < KEYS; i += THREADS)
                        bad += fgc_alloc_enter(&table, (struct fgc_alloc){key_of(i), &table, i + 1, FGC_ALLOC_DEVICE},
                                               &found) != 0;
                for (uint64_t i = thread; i < KEYS; i += THREADS)
                        bad += !fgc_alloc_take(&table, key_of(i), &found) || found.bytes != i + 1;
        }
        return (void *)bad;
}

static void test_threads(void **state)
{
        pthread_t threads[THREADS];
        void *bad;

        for (uintptr_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)i), 0);
        for (int i = 0; i < THREADS; i++) {
                pthread_join(threads[i], &bad);
                assert_null(bad);
        }
}

/* A child of fork() finds an empty table and no lock held, whatever its parent's threads were doing. */
static void test_fork(void **state)
{
        pthread_t threads[THREADS];
        struct fgc_alloc found;
        int status;

        assert_int_equal(fgc_alloc_enter(&fgc_pointers, (struct fgc_alloc){512, &table, 1, FGC_ALLOC_DEVICE}, &found),
                         0);
        for (uintptr_t i = 0; i < THREADS; i++)
                pthread_create(&threads[i], NULL, churn, (void *)i);
        for (int i = 0; i < 20; i++) {
                pid_t child = fork();
                if (child == 0) {
                        alarm(20);
                        _exit(fgc_alloc_take(&fgc_pointers, 512, &found) ? 1 : 0);
                }
                assert_int_equal(waitpid(child, &status, 0), child);
                assert_int_equal(status, 0);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_true(fgc_alloc_take(&fgc_pointers, 512, &found));
}

static uint64_t size(size_t w, size_t h, size_t d, int format, unsigned channels, unsigned flags, unsigned levels)
{
        CUDA_ARRAY3D_DESCRIPTOR descriptor = {w, h, d, (CUarray_format)format, channels, flags};

        return fgc_array_bytes(&descriptor, levels);
}

static void test_array_sizes(void **state)
{
        assert_int_equal(size(100, 0, 0, CU_AD_FORMAT_FLOAT, 4, 0, 1), 1600);
        assert_int_equal(size(100, 50, 0, CU_AD_FORMAT_HALF, 2, 0, 1), 20000);
        assert_int_equal(size(8, 8, 8, CU_AD_FORMAT_SIGNED_INT8, 1, 0, 1), 512);
        assert_int_equal(size(100, 0, 7, CU_AD_FORMAT_UNSIGNED_INT32, 1, CUDA_ARRAY3D_LAYERED, 1), 2800);
        assert_int_equal(size(16, 16, 6, CU_AD_FORMAT_UNSIGNED_INT8, 4, CUDA_ARRAY3D_CUBEMAP, 1), 6144);
        assert_int_equal(size(10, 10, 0, CU_AD_FORMAT_BC1_UNORM, 4, 0, 1), 12 * 12 / 2);
        assert_int_equal(size(10, 10, 0, CU_AD_FORMAT_BC7_UNORM, 4, 0, 1), 12 * 12);
        assert_int_equal(size(64, 64, 0, CU_AD_FORMAT_NV12, 3, 0, 1), 64 * 64 * 3 / 2);
        assert_int_equal(size(4, 4, 0, CU_AD_FORMAT_UNORM_INT16X4, 4, 0, 1), 128);
        assert_int_equal(size(4, 4, 0, 0x7777, 2, 0, 1), 128); /* unknown: at most this */
        /* levels: 3D shrinks in all directions, layers do not, and there are no levels below 1 x 1 */
        assert_int_equal(size(8, 8, 8, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0, 2), 512 + 64);
        assert_int_equal(size(8, 8, 8, CU_AD_FORMAT_UNSIGNED_INT8, 1, CUDA_ARRAY3D_LAYERED, 2), 512 + 128);
        assert_int_equal(size(8, 4, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0, 99), 32 + 8 + 2 + 1);
        assert_int_equal(size(8, 0, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0, 0), 8);
        assert_true(size(SIZE_MAX, SIZE_MAX, 2, CU_AD_FORMAT_FLOAT, 4, 0, 3) == UINT64_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random), cmocka_unit_test(test_same),        cmocka_unit_test(test_threads),
                cmocka_unit_test(test_fork),   cmocka_unit_test(test_array_sizes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
