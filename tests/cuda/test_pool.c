/* SPDX-License-Identifier: Apache-2.0
 * A pool's account over a driver that does something else while it is asked, and in several threads. */
#include "../unit/unit.h"

#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/pool.h"

#include <assert.h>
#include <pthread.h>

#define MiB     (UINT64_C(1) << 20)
#define CHUNK   (32 * MiB)
#define THREADS 4
#define ROUNDS  20
#define STEPS   1000
#define SLOTS   8 /* allocations that a thread has at once */

/* The driver's pool: it grows in chunks and keeps what it has. */
struct driver_pool {
        uint64_t used, reserved;
};

struct fgc_driver fgc_real;
__thread unsigned fgc_inside __attribute__((tls_model("initial-exec")));
struct fgc_vgpu *fgc_vgpus;
static struct fgc_vgpu vgpu;
static struct fg_ledger ledger;
static struct driver_pool driver_pool;
static void (*meanwhile)(struct fgc_pool *); /* what happens while the driver is asked, once */
static struct fgc_pool *asked;
static unsigned failures;

struct fgc_vgpu *fgc_vgpu_of_real(CUdevice real)
{
        return &vgpu;
}

CUresult fgc_refusal(int error)
{
        return error ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

int fgc_reserve_quietly(struct fg_ledger *to, uint64_t bytes)
{
        return fg_ledger_reserve(to, bytes);
}

static CUresult get_attribute(CUmemoryPool handle, CUmemPool_attribute which, void *ret)
{
        struct driver_pool *pool = (struct driver_pool *)handle;
        void (*now)(struct fgc_pool *) = meanwhile;

        *(cuuint64_t *)ret = fg_load_relaxed(which == CU_MEMPOOL_ATTR_USED_MEM_CURRENT ? &pool->used : &pool->reserved);
        if (now && which == CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) {
                meanwhile = NULL;
                now(asked);
        }
        return failures ? failures--, CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult trim_to(CUmemoryPool handle, size_t keep)
{
        return CUDA_SUCCESS;
}

static struct fgc_pool *pool_new(struct driver_pool *driver)
{
        fgc_pool_adopt((CUmemoryPool)driver, &vgpu);
        return fgc_pool_of((CUmemoryPool)driver, &vgpu);
}

static void destroy(struct fgc_pool *pool)
{
        struct fgc_alloc entry;

        assert(fgc_alloc_take(&fgc_handles, (uintptr_t)pool->handle, &entry));
        fgc_pool_destroyed(pool, 0);
}

static int set_up(void **state)
{
        struct fg_limits_page *limits = aligned_alloc(64, sizeof(*limits));
        struct fg_usage_page *usage = aligned_alloc(64, sizeof(*usage));

        memset(limits, 0, sizeof(*limits));
        fg_page_init_usage(usage);
        limits->quota = 1024 * MiB;
        memset(&ledger, 0, sizeof(ledger));
        fg_ledger_open(&ledger, limits, usage, 0);
        vgpu.ledger = &ledger;
        fgc_vgpus = &vgpu;
        fgc_real.cuMemPoolGetAttribute = get_attribute;
        fgc_real.cuMemPoolTrimTo = trim_to;
        driver_pool = (struct driver_pool){0};
        asked = pool_new(&driver_pool);
        return asked ? 0 : -1;
}

static int tear_down(void **state)
{
        if (asked)
                destroy(asked);
        assert_int_equal(fg_ledger_used(&ledger), 0);
        free((void *)ledger.limits);
        free(ledger.usage);
        return 0;
}

static CUresult allocate(struct fgc_pool *pool, uint64_t bytes)
{
        struct driver_pool *driver = (struct driver_pool *)pool->handle;
        uint64_t used, reserved;
        bool grows;
        CUresult r = fgc_pool_begin(pool, bytes, &grows);

        if (r != CUDA_SUCCESS)
                return r;
        used = fg_add_relaxed(&driver->used, bytes) + bytes;
        reserved = fg_load_relaxed(&driver->reserved);
        while (reserved < used && !fg_cas_relaxed(&driver->reserved, &reserved, fgc_round_up(used, CHUNK)))
                ;
        return fgc_pool_end(pool, bytes, grows, CUDA_SUCCESS);
}

static void give_back(struct fgc_pool *pool, uint64_t bytes)
{
        fg_add_relaxed(&((struct driver_pool *)pool->handle)->used, -bytes);
        fgc_pool_freed(pool, bytes);
}

/* What is charged is what the driver has, and no free is forgotten. */
static void check_settled(const struct fgc_pool *pool)
{
        fgc_pool_settle_dirty();
        assert_int_equal(pool->live, driver_pool.used);
        assert_int_equal(fg_ledger_used(&ledger), driver_pool.reserved);
}

static void allocate_a_little(struct fgc_pool *pool)
{
        assert_int_equal(allocate(pool, FGC_UNIT), CUDA_SUCCESS);
}

static void free_a_little(struct fgc_pool *pool)
{
        give_back(pool, FGC_UNIT);
}

/* The settling is for nothing then; what was freed before it is found by the next. */
static void an_allocation_while_the_driver_is_asked(void **state)
{
        assert_int_equal(allocate(asked, CHUNK), CUDA_SUCCESS);
        give_back(asked, CHUNK - FGC_UNIT);
        give_back(asked, FGC_UNIT);
        meanwhile = allocate_a_little;
        fgc_pool_settle_dirty();
        assert_null(meanwhile);
        check_settled(asked);
        assert_int_equal(allocate(asked, CHUNK - FGC_UNIT), CUDA_SUCCESS);
        assert_int_equal(fg_ledger_used(&ledger), CHUNK);
}

static void a_free_while_the_driver_is_asked(void **state)
{
        assert_int_equal(allocate(asked, CHUNK), CUDA_SUCCESS);
        give_back(asked, CHUNK - FGC_UNIT);
        meanwhile = free_a_little;
        fgc_pool_settle_dirty();
        assert_null(meanwhile);
        check_settled(asked);
}

static void a_driver_that_does_not_say_is_asked_again(void **state)
{
        for (unsigned i = 1; i <= 2; i++) {
                assert_int_equal(allocate(asked, CHUNK), CUDA_SUCCESS);
                give_back(asked, CHUNK);
                failures = 1;
                fgc_pool_settle_dirty();
                assert_int_equal(failures, 0);
                assert_int_equal(asked->live, CHUNK);
                check_settled(asked);
        }
}

static void destroy_it(struct fgc_pool *pool)
{
        destroy(pool);
        asked = NULL;
}

/* Nobody would ever give back what was charged for it afterwards. */
static void a_pool_that_is_destroyed_while_the_driver_is_asked(void **state)
{
        assert_int_equal(allocate(asked, CHUNK), CUDA_SUCCESS);
        give_back(asked, CHUNK);
        meanwhile = destroy_it;
        fgc_pool_settle_dirty();
        assert_null(meanwhile);
        assert_int_equal(fg_ledger_used(&ledger), 0);
}

/* --- threads --- */

static void work(struct fgc_pool *pool, uint64_t *seed, uint64_t held[SLOTS])
{
        uint64_t *slot = &held[unit_random(seed) % SLOTS];

        if (*slot) {
                give_back(pool, *slot);
                *slot = 0;
                return;
        }
        *slot = (1 + unit_random(seed) % 64) * (FGC_UNIT << unit_random(seed) % 8);
        assert(allocate(pool, *slot) == CUDA_SUCCESS);
}

/* A pool of the thread's own comes and goes, whose struct another thread takes over. */
static void make_and_destroy(struct driver_pool *driver)
{
        struct fgc_pool *pool = pool_new(driver);

        assert(allocate(pool, FGC_UNIT) == CUDA_SUCCESS);
        give_back(pool, FGC_UNIT);
        destroy(pool);
        fg_store_relaxed(&driver->reserved, 0);
}

static void *thread(void *number)
{
        static struct driver_pool own[THREADS];
        uint64_t seed = (uintptr_t)number, held[SLOTS] = {0};

        for (unsigned step = 0; step < STEPS; step++) {
                work(asked, &seed, held);
                if (unit_random(&seed) % 8 == 0)
                        fgc_pool_settle_dirty();
                if (unit_random(&seed) % 32 == 0)
                        make_and_destroy(&own[(uintptr_t)number % THREADS]);
        }
        for (unsigned i = 0; i < SLOTS; i++)
                if (held[i])
                        give_back(asked, held[i]);
        return NULL;
}

static void threads_leave_nothing_behind(void **state)
{
        pthread_t id[THREADS];

        for (uintptr_t round = 0; round < ROUNDS; round++) {
                for (uintptr_t i = 0; i < THREADS; i++)
                        assert_int_equal(pthread_create(&id[i], NULL, thread, (void *)(round * THREADS + i)), 0);
                for (unsigned i = 0; i < THREADS; i++)
                        assert_int_equal(pthread_join(id[i], NULL), 0);
                assert_int_equal(driver_pool.used, 0);
                check_settled(asked);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_allocation_while_the_driver_is_asked),
                TEST(a_free_while_the_driver_is_asked),
                TEST(a_pool_that_is_destroyed_while_the_driver_is_asked),
                TEST(a_driver_that_does_not_say_is_asked_again),
                TEST(threads_leave_nothing_behind),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
