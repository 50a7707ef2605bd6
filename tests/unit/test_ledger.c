/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/atomic.h"
#include "ledger/counter.h"
#include "ledger/ledger.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct pages {
        struct fg_limits_page limits;
        struct fg_usage_page usage;
        struct fg_ledger ledger;
};

static struct pages *pages_new(uint64_t quota)
{
        struct pages *p = aligned_alloc(64, sizeof(*p));

        memset(p, 0, sizeof(*p));
        fg_page_init_usage(&p->usage);
        p->limits.quota = quota;
        fg_ledger_open(&p->ledger, &p->limits, &p->usage, 5);
        return p;
}

static void test_quota_is_exact_to_the_byte(void **state)
{
        struct pages *p = pages_new(1000);

        assert_int_equal(fg_ledger_reserve(&p->ledger, 1001), -ENOMEM);
        assert_int_equal(fg_ledger_reserve(&p->ledger, 999), 0);
        assert_int_equal(fg_ledger_reserve(&p->ledger, 2), -ENOMEM);
        assert_int_equal(fg_ledger_reserve(&p->ledger, 1), 0);
        assert_int_equal(fg_ledger_reserve(&p->ledger, 1), -ENOMEM);
        assert_int_equal(fg_ledger_used(&p->ledger), 1000);
        fg_ledger_refund(&p->ledger, 1);
        assert_int_equal(fg_ledger_reserve(&p->ledger, 1), 0);
        assert_int_equal(p->usage.slot[5].refusals, 3);
        assert_int_equal(p->usage.peak, 1000);
        assert_int_equal(fg_ledger_check(&p->limits, &p->usage, NULL), 0);
        free(p);
}

static void test_sizes_near_the_end_of_the_number_do_not_wrap(void **state)
{
        struct pages *p = pages_new(1000);

        assert_int_equal(fg_ledger_reserve(&p->ledger, 10), 0);
        assert_int_equal(fg_ledger_reserve(&p->ledger, UINT64_MAX), -ENOMEM);
        assert_int_equal(fg_ledger_reserve(&p->ledger, UINT64_MAX - 9), -ENOMEM);
        assert_int_equal(fg_ledger_used(&p->ledger), 10);
        free(p);
}

static void test_closed_refuses_and_still_takes_back(void **state)
{
        struct pages *p = pages_new(1000);

        assert_int_equal(fg_ledger_reserve(&p->ledger, 10), 0);
        p->limits.closed = 1;
        assert_int_equal(fg_ledger_reserve(&p->ledger, 10), -EACCES);
        fg_ledger_refund(&p->ledger, 10);
        assert_int_equal(fg_ledger_used(&p->ledger), 0);
        free(p);
}

static void test_quota_changes_under_use(void **state)
{
        struct pages *p = pages_new(1000);
        uint64_t used = 0;

        assert_int_equal(fg_ledger_reserve(&p->ledger, 600), 0);
        assert_int_equal(fg_ledger_set_quota(&p->limits, &p->usage, 599, &used), -EBUSY);
        assert_int_equal(used, 600);
        assert_int_equal(fg_ledger_quota(&p->ledger), 1000);
        assert_int_equal(fg_ledger_set_quota(&p->limits, &p->usage, 600, &used), 0);
        assert_int_equal(fg_ledger_reserve(&p->ledger, 1), -ENOMEM);
        assert_int_equal(fg_ledger_set_quota(&p->limits, &p->usage, 700, &used), 0);
        assert_int_equal(fg_ledger_reserve(&p->ledger, 100), 0);
        assert_int_equal(fg_ledger_check(&p->limits, &p->usage, NULL), 0);
        free(p);
}

/* A reservation that decided by the old quota must not slip in after a shrink: the counter's tag moved on. */
static void test_shrink_defeats_a_late_swap(void **state)
{
        struct pages *p = pages_new(1000);
        struct fg_counter before = fg_counter_load(&p->usage.counter);
        uint64_t used;

        assert_int_equal(fg_ledger_set_quota(&p->limits, &p->usage, 10, &used), 0);
        assert_false(fg_counter_cas(&p->usage.counter, before, (struct fg_counter){.used = 900, .tag = fg_tag_make(20, 1)}));
        free(p);
}

/* --- death at every step of an operation, by hand --- */

enum step { ANNOUNCED, SWAPPED, SWAPPED_AND_OVERWRITTEN, DONE };

/* Brings slot 5, lane 0 to `step` of reserving 100 bytes on top of 40 it holds; slot 6 holds 7. */
static struct pages *die_at(enum step step)
{
        struct pages *p = pages_new(1000);
        struct fg_lane *lane = &p->usage.slot[5].lane[0];
        struct fg_ledger other;
        struct fg_counter now;
        uint64_t id = 5 * FG_LANES, seq;

        fg_ledger_open(&other, &p->limits, &p->usage, 6);
        assert_int_equal(fg_ledger_reserve(&p->ledger, 40), 0);
        lane = fg_lane_at(&p->usage, p->usage.counter.tag >> FG_SEQ_BITS);
        id = p->usage.counter.tag >> FG_SEQ_BITS;
        assert_int_equal(fg_ledger_reserve(&other, 7), 0);
        seq = lane->done + 1;
        lane->held[seq & 1] = 140;
        lane->seq = seq;
        if (step == ANNOUNCED)
                return p;
        now = fg_counter_load(&p->usage.counter);
        fg_record_applied(&p->usage, now.tag, id);
        assert_true(fg_counter_cas(&p->usage.counter, now, (struct fg_counter){now.used + 100, fg_tag_make(id, seq)}));
        if (step == SWAPPED_AND_OVERWRITTEN) {
                assert_int_equal(fg_ledger_reserve(&other, 1), 0);
                fg_ledger_refund(&other, 1);
        }
        if (step == DONE)
                lane->done = seq;
        return p;
}

static void test_death_gives_back_exactly(void **state)
{
        static const struct {
                enum step step;
                uint64_t held;
        } rows[] = {{ANNOUNCED, 40}, {SWAPPED, 140}, {SWAPPED_AND_OVERWRITTEN, 140}, {DONE, 140}};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct pages *p = die_at(rows[i].step);

                assert_int_equal(fg_ledger_check(&p->limits, &p->usage, NULL), 0);
                assert_int_equal(fg_ledger_reap(&p->usage, 5), rows[i].held);
                assert_int_equal(p->usage.counter.used, 7);
                assert_int_equal(fg_ledger_slot_held(&p->usage, 5), 0);
                assert_int_equal(fg_ledger_check(&p->limits, &p->usage, NULL), 0);
                /* The next process in that slot starts from nothing. */
                assert_int_equal(fg_ledger_reserve(&p->ledger, 993), 0);
                assert_int_equal(fg_ledger_reap(&p->usage, 5), 993);
                free(p);
        }
}

/* The daemon dies while it reaps: before its swap, after it, after another writer went over it. */
static void test_a_reap_is_completed_by_the_next_daemon(void **state)
{
        for (int after = 0; after < 3; after++) {
                struct pages *p = die_at(SWAPPED);
                struct fg_ledger other;
                struct fg_counter now;
                uint64_t seq = p->usage.reaper.done + 1;

                fg_ledger_open(&other, &p->limits, &p->usage, 6);
                p->usage.reaper.slot = 5;
                p->usage.reaper.amount = 140;
                p->usage.reaper.seq = seq;
                if (after >= 1) {
                        now = fg_counter_load(&p->usage.counter);
                        fg_record_applied(&p->usage, now.tag, FG_LANE_REAPER);
                        assert_true(fg_counter_cas(&p->usage.counter, now,
                                                   (struct fg_counter){now.used - 140, fg_tag_make(FG_LANE_REAPER, seq)}));
                }
                if (after == 2)
                        assert_int_equal(fg_ledger_reserve(&other, 3), 0);
                fg_ledger_recover(&p->usage);
                fg_ledger_reap(&p->usage, 5);
                assert_int_equal(p->usage.counter.used, after == 2 ? 10 : 7);
                assert_int_equal(fg_ledger_check(&p->limits, &p->usage, NULL), 0);
                free(p);
        }
}

/* Killed between the swap and the end of a refund to nothing: the slot holds 0 and is not clean all the same. */
static void test_a_slot_that_holds_nothing_still_needs_its_reap(void **state)
{
        struct pages *p = pages_new(1000);
        struct fg_lane *lane;
        struct fg_counter now;
        uint64_t id, seq;

        assert_int_equal(fg_ledger_reserve(&p->ledger, 100), 0);
        id = p->usage.counter.tag >> FG_SEQ_BITS;
        lane = fg_lane_at(&p->usage, id);
        seq = lane->done + 1;
        lane->held[seq & 1] = 0;
        lane->seq = seq;
        now = fg_counter_load(&p->usage.counter);
        assert_true(fg_counter_cas(&p->usage.counter, now, (struct fg_counter){0, fg_tag_make(id, seq)}));
        p->usage.slot[5].waiting = 1;
        assert_int_equal(fg_ledger_slot_held(&p->usage, 5), 0);
        fg_ledger_reap(&p->usage, 5);
        assert_int_equal(p->usage.slot[5].waiting, 0);
        assert_int_equal(fg_ledger_reserve(&p->ledger, 50), 0);
        assert_int_equal(fg_ledger_check(&p->limits, &p->usage, NULL), 0);
        assert_int_equal(fg_ledger_reap(&p->usage, 5), 50);
        free(p);
}

static void test_a_lying_page_cannot_make_the_counter_wrap(void **state)
{
        struct pages *p = pages_new(1000);

        assert_int_equal(fg_ledger_reserve(&p->ledger, 10), 0);
        memset(&p->usage.slot[9], 0xee, sizeof(p->usage.slot[9]));
        fg_ledger_reap(&p->usage, 9);
        assert_true(p->usage.counter.used <= 10);
        assert_int_equal(fg_ledger_slot_held(&p->usage, 9), 0);
        p->usage.counter.tag = UINT64_MAX - 5; /* names no lane */
        assert_int_equal(fg_ledger_reserve(&p->ledger, 1), 0);
        free(p);
}

static void test_check_sees_a_wrong_sum(void **state)
{
        struct pages *p = pages_new(1000);
        struct fg_error err = {0};

        assert_int_equal(fg_ledger_reserve(&p->ledger, 10), 0);
        p->usage.counter.used = 11;
        assert_int_equal(fg_ledger_check(&p->limits, &p->usage, &err), -EUCLEAN);
        assert_non_null(strstr(err.text, "11"));
        free(p);
}

static void test_damaged_pages_are_refused(void **state)
{
        struct pages *p = pages_new(1000);
        uint8_t boot[16] = {1, 2, 3};
        struct fg_limits_page *l = &p->limits, good;

        *l = (struct fg_limits_page){.magic = FG_LIMITS_MAGIC, .version = FG_PAGE_VERSION, .size = sizeof(*l), .name = "a/0",
                                     .device_key = "opencl/x/0", .share_permille = 1000};
        memcpy(l->boot_id, boot, 16);
        good = *l;
        assert_int_equal(fg_page_check_limits(l, sizeof(*l), boot, NULL), 0);
        assert_int_equal(fg_page_check_limits(l, sizeof(*l) - 1, boot, NULL), -EUCLEAN);
        l->magic++;
        assert_int_equal(fg_page_check_limits(l, sizeof(*l), boot, NULL), -EUCLEAN);
        *l = good, l->version++;
        assert_int_equal(fg_page_check_limits(l, sizeof(*l), boot, NULL), -EPROTO);
        *l = good, l->boot_id[0]++;
        assert_int_equal(fg_page_check_limits(l, sizeof(*l), boot, NULL), -ESTALE);
        *l = good, memset(l->name, 'x', sizeof(l->name));
        assert_int_equal(fg_page_check_limits(l, sizeof(*l), boot, NULL), -EUCLEAN);
        *l = good, l->share_permille = 1001;
        assert_int_equal(fg_page_check_limits(l, sizeof(*l), boot, NULL), -EUCLEAN);
        *l = good, l->mode = 2;
        assert_int_equal(fg_page_check_limits(l, sizeof(*l), boot, NULL), -EUCLEAN);
        assert_int_equal(fg_page_check_usage(&p->usage, sizeof(p->usage), NULL), 0);
        p->usage.slots = 1;
        assert_int_equal(fg_page_check_usage(&p->usage, sizeof(p->usage), NULL), -EUCLEAN);
        free(p);
}

static void *churn(void *arg)
{
        struct pages *p = arg;

        for (uint64_t i = 1; i <= 20000; i++)
                if (fg_ledger_reserve(&p->ledger, i % 97 + 1) == 0)
                        fg_ledger_refund(&p->ledger, i % 97 + 1);
        return NULL;
}

/* More threads than lanes. */
static void test_threads_share_the_lanes(void **state)
{
        struct pages *p = pages_new(300);
        pthread_t thread[7];

        for (int i = 0; i < 7; i++)
                assert_int_equal(pthread_create(&thread[i], NULL, churn, p), 0);
        for (int i = 0; i < 7; i++)
                pthread_join(thread[i], NULL);
        assert_int_equal(fg_ledger_used(&p->ledger), 0);
        assert_int_equal(fg_ledger_check(&p->limits, &p->usage, NULL), 0);
        free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_quota_is_exact_to_the_byte),
                cmocka_unit_test(test_sizes_near_the_end_of_the_number_do_not_wrap),
                cmocka_unit_test(test_closed_refuses_and_still_takes_back),
                cmocka_unit_test(test_quota_changes_under_use),
                cmocka_unit_test(test_shrink_defeats_a_late_swap),
                cmocka_unit_test(test_death_gives_back_exactly),
                cmocka_unit_test(test_a_reap_is_completed_by_the_next_daemon),
                cmocka_unit_test(test_a_slot_that_holds_nothing_still_needs_its_reap),
                cmocka_unit_test(test_a_lying_page_cannot_make_the_counter_wrap),
                cmocka_unit_test(test_check_sees_a_wrong_sum),
                cmocka_unit_test(test_damaged_pages_are_refused),
                cmocka_unit_test(test_threads_share_the_lanes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
