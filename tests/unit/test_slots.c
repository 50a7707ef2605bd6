/* SPDX-License-Identifier: Apache-2.0
 * Slots change hands while the arbiter's thread and a reader, as the NVML drop-in is one, look at them. */
#include "unit.h"

#include "base/atomic.h"
#include "daemon/arbiter.h"
#include "daemon/manager.h"
#include "daemon/slots.h"
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#define ROUNDS 2000

static struct fgd_device device;
static struct fgd_pages pages;
static struct fgd_arbiter_account account;
static struct fgd_set *set;
static struct fgd_process process = {.pid = 4711, .start_time = 12345};
static int pokes[2];
static uint32_t stop;

static struct fgd_use *use_new(void)
{
        struct fgd_use *use = calloc(1, sizeof(*use) + sizeof(use->slot[0]));

        use->process = &process;
        use->set = set;
        use->count = 1;
        return use;
}

static int set_up(void **state)
{
        const struct fgd_arbiter_config config = {.quantum = 1000000, .free_after = 1000000};

        pages.limits = aligned_alloc(64, sizeof(*pages.limits));
        pages.usage = aligned_alloc(64, sizeof(*pages.usage));
        memset(pages.limits, 0, sizeof(*pages.limits));
        fg_page_init_usage(pages.usage);
        set = calloc(1, sizeof(*set) + sizeof(set->vgpu[0]));
        set->vgpu[0].device = &device;
        set->vgpu[0].pages = &pages;
        pages.vgpu = &set->vgpu[0];
        assert_int_equal(pipe2(pokes, O_NONBLOCK), 0);
        assert_int_equal(fgd_arbiter_new(&config, &device.arbiter, NULL), 0);
        return fgd_arbiter_add(device.arbiter, pages.limits, pages.usage, pokes[0], &account, &pages.client);
}

static int tear_down(void **state)
{
        fgd_arbiter_remove(device.arbiter, pages.client);
        fgd_arbiter_free(device.arbiter);
        close(pokes[0]);
        close(pokes[1]);
        free(pages.limits);
        free(pages.usage);
        free(set);
        return 0;
}

static void each_has_one_until_there_is_none(void **state)
{
        struct fgd_use *use[FG_SLOTS + 1];

        for (uint32_t i = 0; i <= FG_SLOTS; i++) {
                use[i] = use_new();
                assert_int_equal(fgd_slots_take(use[i], false), i < FG_SLOTS ? 0 : -ENOSPC);
                assert_int_equal(use[i]->slot[0], i < FG_SLOTS ? i : FGD_NO_SLOT);
        }
        for (uint32_t i = 0; i <= FG_SLOTS; i++) {
                fgd_slots_give_back(use[i]);
                free(use[i]);
        }
}

/* The first slot's owner: pid and start time are both there, or no longer. */
static void *look(void *unused)
{
        const struct fg_slot_owner *owner = &pages.limits->owner[0];
        uintptr_t wrong = 0;

        while (!fg_load_relaxed(&stop)) {
                uint32_t pid = fg_load_acquire(&owner->pid);
                uint64_t start_time = fg_load_relaxed(&owner->start_time);
                wrong += (pid != 0 && pid != process.pid) || (start_time != 0 && start_time != process.start_time);
        }
        return (void *)wrong;
}

static void it_changes_hands_while_it_is_read(void **state)
{
        uint32_t before = pages.limits->owner[0].generation;
        struct fgd_use *use = use_new();
        pthread_t reader;
        void *wrong;

        stop = 0;
        assert_int_equal(pthread_create(&reader, NULL, look, NULL), 0);
        for (uint32_t i = 1; i <= ROUNDS; i++) {
                assert_int_equal(fgd_slots_take(use, false), 0);
                assert_int_equal(use->slot[0], 0);
                assert_int_equal(fg_load_relaxed(&pages.limits->owner[0].generation), before + i);
                fgd_slots_give_back(use);
        }
        fg_store_relaxed(&stop, 1);
        assert_int_equal(pthread_join(reader, &wrong), 0);
        assert_null(wrong);
        free(use);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(each_has_one_until_there_is_none),
                TEST(it_changes_hands_while_it_is_read),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
