/* SPDX-License-Identifier: Apache-2.0
 * The daemon's metering with clocks of the test's own: what happens to vGPUs against what is reported. */
#include "unit.h"

#include "base/log.h"
#include "bill/sums.h"
#include "daemon/events.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/metering_internal.h"
#include "daemon/pairing.h"
#include "daemon/registry.h"
#include "daemon/tenants.h"
#include "daemon/users.h"
#include "daemon/vgpus.h"

#include <errno.h>
#include <unistd.h>

#define SEC    1000000ll
#define MINUTE (60 * SEC)
#define NOON   1782000000ll /* s, a whole minute */
#define DEVICES 2
#define MEMORY (1ull << 30)

static struct fgd_manager *manager;
static struct fgd_clocks now;
static int failing; /* calls of the sink that are to fail */

/* What was put on record. */
static struct {
        int64_t start[FGD_DEVICES_MAX]; /* of the last window of each device */
        size_t windows, lines, gaps, refused, pieces, half;
        int64_t gap_s, busy, unbilled, wall;
        char reason[16];
        unsigned char minute[600]; /* since NOON, of device 0: in how many windows and gaps each is */
        struct fg_meter_window window;
        struct fg_meter_line line[8];
        struct fgd_meter_who who[8];
        char name[8][80], job[8][64], project[8][64];
        size_t count;
} seen;

static void read_clocks(void *user, struct fgd_clocks *ret)
{
        *ret = now;
}

static void check_line(const struct fgd_meter_report *report, size_t i)
{
        const struct fg_meter_line *l = report->line[i];
        assert_true(l->begin >= 0 && l->end >= l->begin && l->end <= FG_METER_WALL_MAX);
        assert_true(l->busy_us >= 0 && l->busy_cap_us >= 0 && l->busy_us + l->busy_cap_us <= l->end - l->begin);
        assert_true(fg_meter_bill(l) >= 0);
        assert_true(fg_meter_bill(l) <= report->window->wall_us * FG_PPM);
        assert_int_equal(strlen(report->who[i].vgpu), 36);
        seen.busy += l->busy_us + l->busy_cap_us;
        seen.lines++;
        if (i >= 8)
                return;
        seen.line[i] = *l;
        seen.who[i] = report->who[i];
        snprintf(seen.name[i], 80, "%s", report->who[i].name);
        snprintf(seen.job[i], 64, "%s", report->who[i].job);
        snprintf(seen.project[i], 64, "%s", report->who[i].project);
}

static void cover(const struct fgd_device *device, int64_t start, int64_t until)
{
        for (int64_t at = (start - NOON) / 60; (!device || device->id == 0) && at < (until - NOON) / 60; at++)
                if (at >= 0 && at < (int64_t)COUNT_OF(seen.minute))
                        seen.minute[at]++;
}

static int take_window(void *user, const struct fgd_meter_report *report, struct fg_error *err)
{
        if (failing) {
                failing -= failing > 0;
                seen.refused++;
                return fg_error_set(err, -ENOSPC, "no room");
        }
        assert_true(report->here > 0 && report->here <= FGD_METER_PIECE && report->first + report->here <= report->count);
        assert_true(report->first == 0 || report->first == seen.half);
        seen.pieces++;
        seen.half = report->first + report->here;
        if (report->count > FGD_METER_PIECE) { /* as a record it is of its last piece */
                for (size_t i = 0; i < report->here; i++)
                        assert_int_equal(report->who[i].name[0], 'm');
                seen.windows += seen.half == report->count;
                return 0;
        }
        int64_t *last = &seen.start[report->device->id], paid = 0;
        assert_int_equal(report->start % 60, 0);
        assert_true(report->start > *last);
        assert_true(report->count > 0);
        assert_in_range(report->window->wall_us, 1, FG_METER_WALL_MAX);
        *last = report->start;
        cover(report->device, report->start, report->start + 60);
        for (size_t i = 0; i < report->count; i++) {
                check_line(report, i);
                paid += fg_meter_bill(report->line[i]);
        }
        assert_true(report->window->idle >= 0);
        assert_int_equal(paid + report->window->idle, report->window->wall_us * FG_PPM);
        assert_true(report->unbilled_us >= 0);
        seen.unbilled += report->unbilled_us;
        seen.wall += report->window->wall_us;
        seen.window = *report->window;
        seen.count = report->count;
        seen.windows++;
        return 0;
}

static int take_gap(void *user, const struct fgd_meter_gap *gap, struct fg_error *err)
{
        assert_true(gap->until > gap->start);
        seen.half = 0;
        cover(gap->device, gap->start, gap->until);
        snprintf(seen.reason, sizeof seen.reason, "%s", gap->reason);
        seen.gap_s += gap->until - gap->start;
        seen.gaps++;
        return 0;
}

static void pass(int64_t us)
{
        now.real += us, now.boot += us, now.awake += us;
        fgd_metering_now(manager);
}

static void start(int64_t last_end)
{
        struct fg_error err = {0};
        manager->metering->read = read_clocks;
        manager->metering->beta_ppm = 500000;
        fgd_metering_sink(manager, &(struct fgd_meter_sink){take_window, take_gap, NULL});
        assert_int_equal(fgd_metering_begin(manager, last_end, &err), 0);
}

static int set_up(void **state)
{
        struct fg_options options = {0};
        struct fg_paths paths = {.state = "/dev/null/state", .run = "/dev/null/run", .is_private = true};
        struct fg_error err = {0};
        fg_log_set_level(0);
        memset(&seen, 0, sizeof seen);
        failing = 0;
        now = (struct fgd_clocks){.real = NOON * SEC, .boot = 1000 * SEC, .awake = 900 * SEC};
        if (fgd_manager_new(&paths, &options, ":memory:", &manager, &err) < 0)
                return -1;
        for (int i = 0; i < DEVICES; i++) {
                struct fgd_device *device = calloc(1, sizeof *device);
                *device = (struct fgd_device){.id = (uint32_t)i, .memory = MEMORY, .present = true, .model = "unit", .api = "opencl"};
                snprintf(device->key, sizeof device->key, "opencl/unit/%d", i);
                manager->device[manager->devices++] = device;
        }
        return 0;
}

static int tear_down(void **state)
{
        fgd_manager_free(manager);
        return 0;
}

static struct fgd_set *create(const char *name, uint32_t gpus, uint64_t memory, uint32_t share, enum fg_mode mode, int device)
{
        struct fg_sched_want want[1000];
        struct fgd_problem problem = {0};
        struct fgd_set *set;
        for (uint32_t i = 0; i < gpus; i++)
                want[i] = (struct fg_sched_want){.memory = memory, .share = share};
        struct fgd_create wish = {.gpus = gpus, .want = want, .mode = mode, .priority = FG_PRIORITY_NORMAL,
                                  .device = device < 0 ? NULL : manager->device[device], .project = fgd_project_find(manager, "default")};
        snprintf(wish.name, sizeof wish.name, "%s", name);
        return fgd_vgpus_create(manager, &wish, &set, &problem) < 0 ? NULL : set;
}

static bool resize(struct fgd_set *set, uint64_t memory, uint32_t share, int mode)
{
        struct fg_sched_want want[8];
        struct fgd_problem problem = {0};
        for (uint32_t i = 0; i < set->count; i++)
                want[i] = (struct fg_sched_want){.memory = memory, .share = share};
        struct fgd_resize wish = {.set = set, .count = set->count, .want = want, .has_memory = memory, .has_share = share,
                                  .has_mode = mode >= 0, .mode = (enum fg_mode)(mode < 0 ? 0 : mode)};
        return fgd_vgpus_resize(manager, &wish, &problem) == 0;
}

static void delete(struct fgd_set *set)
{
        struct fgd_problem problem = {0};
        assert_int_equal(fgd_vgpus_delete(manager, set, &problem), 0);
}

/* As if the arbiter had charged it. */
static void use(struct fgd_set *set, int64_t us)
{
        set->vgpu[0].live.gpu_ns += (uint64_t)us * 1000;
}

static void a_reserve_is_held_from_the_beginning(void **state)
{
        start(0);
        pass(15 * SEC);
        struct fgd_set *set = create("a", 1, MEMORY / 4, 500, FG_MODE_SHARE, 0);
        pass(30 * SEC);
        assert_true(resize(set, MEMORY, 0, -1));
        pass(15 * SEC);
        assert_int_equal(seen.windows, 1);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.window.wall_us, MINUTE);
        assert_int_equal(seen.line[0].begin, 15 * SEC);
        assert_int_equal(seen.line[0].reserved, 500000 * 30 * SEC + 1000000 * 15 * SEC);
        assert_int_equal(fg_meter_bill(&seen.line[0]), seen.line[0].reserved);
        assert_string_equal(seen.name[0], "a/0");
        assert_string_equal(seen.job[0], "");
        assert_string_equal(seen.project[0], "default");
        pass(MINUTE);
        assert_int_equal(seen.windows, 2);
        assert_int_equal(seen.line[0].begin, 0);
        assert_int_equal(seen.line[0].reserved, 1000000 * MINUTE);
}

static void bill(struct fgd_set *set, struct fgd_project *payer)
{
        struct fgd_problem problem = {0};
        assert_int_equal(fgd_vgpus_bill(manager, set, payer, "", &problem), 0);
}

/* However late it is noticed that a minute is over, it is his who paid in it. */
static void a_payer_has_the_open_minute_and_none_before(void **state)
{
        struct fgd_problem problem = {0};
        start(0);
        assert_int_equal(fgd_project_create(manager, "red", "", -1, &problem), 0);
        struct fgd_project *red = fgd_project_find(manager, "red");
        struct fgd_set *set = create("a", 1, MEMORY / 4, 500, FG_MODE_SHARE, 0);
        now.real += 90 * SEC, now.boot += 90 * SEC, now.awake += 90 * SEC; /* the loop stood still */
        bill(set, red);
        assert_int_equal(seen.windows, 1);
        assert_string_equal(seen.project[0], "default");
        pass(30 * SEC);
        assert_int_equal(seen.windows, 2);
        assert_string_equal(seen.project[0], "red");
        assert_int_equal(seen.who[0].project_id, red->id);
}

static void suspended_it_holds_its_memory(void **state)
{
        start(0);
        struct fgd_set *set = create("a", 1, MEMORY / 4, 500, FG_MODE_SHARE, 0);
        pass(20 * SEC);
        fgd_metering_state(&set->vgpu[0], FG_METER_HOLD);
        pass(30 * SEC);
        fgd_metering_state(&set->vgpu[0], FG_METER_RUN);
        pass(10 * SEC);
        assert_int_equal(seen.line[0].reserved, 500000 * 30 * SEC + 250000 * 30 * SEC);
        fgd_metering_state(&set->vgpu[0], FG_METER_HOLD);
        pass(2 * MINUTE);
        assert_int_equal(seen.line[0].reserved, 250000 * MINUTE); /* beyond the window in which it was said */
}

/* What /metrics tells of a vGPU is what was settled, minute by minute: never less than before, never more than there was time. */
static void totals_are_what_was_settled(void **state)
{
        start(0);
        struct fgd_set *set[2] = {create("a", 1, MEMORY / 4, 250, FG_MODE_SHARE, 0), create("b", 1, MEMORY / 4, 250, FG_MODE_CAP, 0)};
        struct fgd_meter_total want[2] = {0};
        for (int minute = 0; minute < 5; minute++) {
                pass(30 * SEC);
                use(set[0], 50 * SEC); /* together more than there was time for, and more than in half a minute */
                use(set[1], (minute % 2 ? 40 : 5) * SEC);
                const struct fgd_meter_total *total = &set[0]->vgpu[0].meter->total;
                assert_int_equal(total->busy_us, want[0].busy_us); /* the open minute is not in it */
                pass(30 * SEC);
                assert_int_equal(seen.count, 2);
                for (int i = 0; i < 2; i++) {
                        want[i].busy_us += seen.line[i].conserved_us;
                        want[i].reserved += seen.line[i].reserved;
                        want[i].burst += seen.line[i].burst;
                        total = &set[i]->vgpu[0].meter->total;
                        assert_int_equal(total->busy_us, want[i].busy_us);
                        assert_true(total->reserved == want[i].reserved && total->burst == want[i].burst);
                        assert_int_equal(total->busy_last_us, seen.line[i].conserved_us);
                        assert_int_equal(total->last, seen.start[0]);
                }
                assert_true(want[0].busy_us + want[1].busy_us <= seen.wall);
        }
        assert_true(want[0].busy_us > 0 && want[0].burst > 0 && want[1].busy_us > 0);
        struct fg_bill_sums sums = {0};
        struct fg_bill_cell cell = {.busy = 7, .reserved = 5, .burst = 3};
        assert_int_equal(fg_bill_texts_number(&sums.texts, "", &cell.vgpu), 0);
        assert_int_equal(fg_bill_texts_number(&sums.texts, set[0]->vgpu[0].meter->uuid, &cell.vgpu), 0);
        assert_int_equal(fg_bill_sums_reserve(&sums, 1), 0);
        fg_bill_sums_add(&sums, &cell);
        fgd_metering_recall(manager, &sums);
        assert_int_equal(set[0]->vgpu[0].meter->total.busy_us, want[0].busy_us + 7);
        assert_int_equal(set[1]->vgpu[0].meter->total.busy_us, want[1].busy_us);
        fg_bill_sums_clear(&sums);
}

static void what_we_took_is_not_paid(void **state)
{
        start(0);
        create("a", 1, MEMORY / 4, 500, FG_MODE_SHARE, 0);
        pass(20 * SEC);
        manager->device[0]->present = false;
        fgd_registry_audit(manager);
        pass(10 * SEC);
        manager->device[0]->present = true;
        fgd_registry_audit(manager);
        pass(30 * SEC);
        assert_int_equal(seen.window.wall_us, 50 * SEC);
        assert_int_equal(seen.line[0].reserved, 500000 * 50 * SEC);
        manager->device[0]->present = false;
        fgd_registry_audit(manager);
        pass(5 * MINUTE);
        assert_int_equal(seen.windows, 1); /* nothing of it was there */
        assert_int_equal(seen.gaps, 0); /* and that it was away is told once, when it is over */
        manager->device[0]->present = true;
        manager->device[0]->memory = 1000;
        fgd_registry_audit(manager); /* it does not fit any more */
        pass(MINUTE);
        assert_int_equal(seen.windows, 2);
        assert_int_equal(fg_meter_bill(&seen.line[0]), 0);
        assert_int_equal(seen.gaps, 1);
        assert_int_equal(seen.gap_s, 300);
        assert_string_equal(seen.reason, "lost");
}

static void lose(bool is_lost)
{
        manager->device[0]->present = !is_lost;
        fgd_registry_audit(manager);
}

/* Whole minutes of one device, an hour at a time at most, never those that another gap has. */
static void a_device_that_is_away_is_a_gap(void **state)
{
        start(0);
        create("a", 1, MEMORY / 4, 500, FG_MODE_SHARE, 0);
        create("b", 1, MEMORY / 4, 500, FG_MODE_SHARE, 1);
        lose(true);
        for (int i = 0; i < 150; i++)
                pass(MINUTE);
        assert_int_equal(seen.gap_s, 2 * 3600);
        assert_int_equal(seen.gaps, 2);
        assert_int_equal(seen.windows, 150); /* of the other */
        now.real += 3600 * SEC, now.boot += 3600 * SEC; /* asleep */
        pass(0);
        pass(MINUTE);
        lose(false);
        pass(MINUTE);
        lose(true);
        pass(90 * SEC);
        lose(false);
        pass(MINUTE);
        lose(true);
        pass(5 * MINUTE);
        fgd_metering_end(manager);
        assert_string_equal(seen.reason, "lost");
        for (int64_t i = 0; i < seen.start[1] / 60 - NOON / 60; i++)
                if (seen.minute[i] != 1)
                        fail_msg("minute %lld is on record %d times", (long long)i, seen.minute[i]);
        assert_true(seen.start[1] / 60 - NOON / 60 > 210);
}

static void each_mode_gets_its_device_time(void **state)
{
        start(0);
        struct fgd_set *set = create("a", 1, MEMORY / 4, 250, FG_MODE_SHARE, 0);
        use(set, 12 * SEC);
        pass(20 * SEC);
        assert_true(resize(set, 0, 0, FG_MODE_CAP));
        use(set, 5 * SEC);
        pass(40 * SEC);
        assert_int_equal(seen.line[0].busy_us, 12 * SEC);
        assert_int_equal(seen.line[0].busy_cap_us, 5 * SEC);
        assert_int_equal(seen.line[0].burst, 7 * SEC * FG_PPM);
        assert_int_equal(seen.line[0].surcharge, 35 * SEC * FG_PPM / 10);
}

/* Counters that say more than there is time: dear to nobody, not even to who wrote them. */
static void forged_time_is_no_ones_bill(void **state)
{
        start(0);
        struct fgd_set *victim = create("victim", 1, MEMORY / 4, 250, FG_MODE_SHARE, 0);
        use(victim, 20 * SEC);
        pass(MINUTE);
        int64_t honest = fg_meter_bill(&seen.line[0]);
        struct fgd_set *liar = create("liar", 1, MEMORY / 4, 250, FG_MODE_SHARE, 0);
        use(victim, 20 * SEC);
        liar->vgpu[0].live.gpu_ns = UINT64_MAX;
        pass(MINUTE);
        assert_int_equal(seen.count, 2);
        assert_true(fg_meter_bill(&seen.line[0]) <= honest);
        assert_true(seen.line[1].busy_us <= MINUTE);
        assert_true(seen.line[1].burst <= seen.window.wall_us * FG_PPM);
        liar->vgpu[0].live.gpu_ns = 0; /* nor can it be taken back */
        pass(MINUTE);
        assert_int_equal(seen.line[1].busy_us, 0);
}

static void what_is_deleted_is_settled_with_the_others(void **state)
{
        start(0);
        struct fgd_set *set = create("gone", 2, MEMORY / 4, 250, FG_MODE_SHARE, 0);
        use(set, SEC);
        pass(10 * SEC);
        delete(set);
        pass(50 * SEC);
        assert_int_equal(seen.count, 2);
        assert_string_equal(seen.name[1], "gone/1");
        assert_int_equal(seen.line[0].end, 10 * SEC);
        assert_int_equal(seen.line[0].busy_us, SEC);
        pass(MINUTE);
        assert_int_equal(seen.windows, 1);
}

static void a_record_that_cannot_be_written_waits(void **state)
{
        start(0);
        struct fgd_set *set = create("a", 1, MEMORY / 4, 250, FG_MODE_SHARE, 0);
        create("b", 1, MEMORY / 4, 250, FG_MODE_CAP, 1);
        failing = -1;
        use(set, 3 * SEC);
        pass(3 * MINUTE);
        assert_int_equal(seen.windows, 0);
        delete(set);
        failing = 0;
        pass(MINUTE);
        assert_int_equal(seen.windows, 8); /* in the order in which they came, which take_window() looks at */
        assert_int_equal(seen.wall, 8 * MINUTE);
        assert_int_equal(seen.busy, 3 * SEC);
        assert_int_equal(seen.gaps, 0);
}

/* The newer does not overtake what was refused a moment ago. */
static void nothing_overtakes_what_waits(void **state)
{
        start(0);
        create("a", 1, MEMORY / 4, 250, FG_MODE_SHARE, 0);
        failing = 1;
        pass(MINUTE);
        failing = 1;
        pass(MINUTE);
        assert_int_equal(seen.windows, 0);
        pass(MINUTE);
        assert_int_equal(seen.windows, 3);
}

static void what_waits_is_bounded(void **state)
{
        start(0);
        create("a", 1, MEMORY / 4, 250, FG_MODE_SHARE, 0);
        failing = -1;
        pass(100 * MINUTE);
        failing = 0;
        assert_int_equal(seen.gap_s, (100 - (int)FGD_METER_KEPT) * 60);
        assert_string_equal(seen.reason, "storage");
        pass(MINUTE);
        assert_int_equal(seen.windows, FGD_METER_KEPT + 1);
        assert_int_equal(seen.wall, (FGD_METER_KEPT + 1) * MINUTE);
}

static void no_minute_comes_twice(void **state)
{
        now.real += 20 * SEC;
        create("a", 1, MEMORY / 4, 250, FG_MODE_SHARE, 0);
        start(NOON + 60);
        pass(MINUTE);
        assert_int_equal(seen.start[0], NOON + 60);
        assert_int_equal(seen.gaps, 0);
}

static bool turn(void)
{
        return sd_event_run(manager->event, 0) > 0 && fgd_metering_waits(manager);
}

/* A large window goes on record in pieces, turn by turn; what comes between has it begin again; it is there once. */
static void a_large_window_comes_in_pieces(void **state)
{
        const size_t many = 5 * FGD_METER_PIECE + 7;
        start(0);
        create("many", (int)many, 1000, 1, FG_MODE_SHARE, 0);
        pass(MINUTE);
        assert_int_equal(seen.pieces, 0);
        assert_true(fgd_metering_waits(manager));
        while (turn())
                ;
        assert_int_equal(seen.pieces, 6);
        assert_int_equal(seen.windows, 1);
        /* A gap in the middle. */
        pass(MINUTE);
        turn();
        turn();
        fgd_metering_gap(manager->metering, NULL, NOON, NOON + 60, "clock");
        while (turn())
                ;
        assert_int_equal(seen.pieces, 6 + 2 + 6);
        assert_int_equal(seen.windows, 2);
        /* A piece fails: the whole is tried again a minute later, before the next. */
        pass(MINUTE);
        turn();
        failing = 1;
        while (turn() && !seen.refused)
                ;
        assert_int_equal(seen.windows, 2);
        pass(MINUTE);
        while (turn())
                ;
        assert_int_equal(seen.windows, 4);
        /* Whoever cannot wait. */
        pass(MINUTE);
        turn();
        assert_int_equal(fgd_metering_flush(manager), 0);
        assert_int_equal(seen.windows, 5);
        assert_false(fgd_metering_waits(manager));
        pass(30 * SEC);
        fgd_metering_end(manager);
        assert_int_equal(seen.windows, 6);
}

static void time_without_a_daemon_is_a_gap(void **state)
{
        create("a", 1, MEMORY / 4, 250, FG_MODE_SHARE, 0);
        now.real += 30 * SEC;
        start(NOON - 3600);
        assert_string_equal(seen.reason, "down");
        assert_int_equal(seen.gap_s, 3600);
        pass(30 * SEC);
        assert_int_equal(seen.window.wall_us, 30 * SEC);
        assert_int_equal(seen.line[0].begin, 30 * SEC);
        now.real += 7200 * SEC, now.boot += 7200 * SEC;
        fgd_metering_now(manager);
        assert_string_equal(seen.reason, "suspended");
        assert_int_equal(seen.wall, 30 * SEC);
        pass(30 * SEC);
        fgd_metering_end(manager); /* in good order: nothing is lost */
        assert_int_equal(seen.wall, 60 * SEC);
}

static struct fg_perf factors(struct fgd_perf *perf, enum fgd_perf_window window, struct fgd_perf_sum *ret)
{
        struct fg_perf f;
        *ret = fgd_perf_get(perf, fgd_metering_now(manager) / SEC, window);
        fgd_perf_evaluate(ret, &f);
        return f;
}

/* Minutes in which it works so much, in launches of `us`. */
static void work_for(int minutes, struct fgd_set *a, int64_t busy_a, int64_t us_a, struct fgd_set *b, int64_t busy_b, int64_t us_b)
{
        while (minutes--) {
                use(a, busy_a);
                a->vgpu[0].live.launches += (uint64_t)(busy_a / us_a);
                if (b) {
                        use(b, busy_b);
                        b->vgpu[0].live.launches += (uint64_t)(busy_b / us_b);
                }
                pass(MINUTE);
        }
}

/* What launches take alone and next to others is learned by the settled minutes, from then on minded by whoever goes somewhere. */
static void who_slows_whom_is_learned_and_minded(void **state)
{
        char text[FGD_PAIRING_TEXT];
        bool crowded[FGD_DEVICES_MAX];
        uint32_t loss[FGD_DEVICES_MAX];
        start(0);
        struct fgd_project *project = fgd_project_find(manager, "default");
        struct fgd_set *train = create("train-1", 1, MEMORY / 8, 100, FG_MODE_SHARE, 0);
        work_for(3, train, 20 * SEC, 100, NULL, 0, 0);
        struct fgd_set *serve = create("serve-1", 1, MEMORY / 8, 100, FG_MODE_SHARE, 1);
        work_for(3, serve, 15 * SEC, 200, NULL, 0, 0);
        delete(serve);
        serve = create("serve-2", 1, MEMORY / 8, 100, FG_MODE_SHARE, 0);
        fgd_pairing_explain(manager, serve, text);
        assert_string_equal(text, "on device 0 with 1 other: the slowest is predicted to take 1.10 times its time alone, as alone they use 58.3 % together");
        work_for(4, train, 20 * SEC, 190, serve, 15 * SEC, 220);
        fgd_pairing_explain(manager, train, text);
        assert_string_equal(text, "on device 0 with 1 other: the slowest is predicted to take 1.90 times its time alone, measured in 4 minutes");
        delete(train);
        /* serve-2 is on device 0 alone now; another like train would be slowed there, and nobody asked for a limit yet. */
        fgd_pairing_crowded(manager, fgd_pairing_class(project, "train-7"), crowded, loss);
        assert_false(crowded[0]);
        manager->options.value[FG_OPT_SLOWDOWN_LIMIT] = 50;
        fgd_pairing_crowded(manager, fgd_pairing_class(project, "train-7"), crowded, loss);
        assert_true(crowded[0] && !crowded[1]);
        assert_int_equal(loss[0], 900);
        assert_int_equal(loss[1], 0);
        fgd_pairing_crowded(manager, fgd_pairing_class(project, "else-7"), crowded, loss);
        assert_false(crowded[0]);
        assert_null(create("train-7", 1, MEMORY / 8, 100, FG_MODE_SHARE, 0));
        struct fgd_set *made = create("train-7", 1, MEMORY / 8, 100, FG_MODE_SHARE, -1);
        assert_ptr_equal(made->vgpu[0].device, manager->device[1]);
        manager->options.value[FG_OPT_SLOWDOWN_LIMIT] = 100;
        assert_ptr_equal(create("train-8", 1, MEMORY / 8, 100, FG_MODE_SHARE, 0)->vgpu[0].device, manager->device[0]);
        /* Names that were made up say nothing. */
        assert_int_equal(fgd_pairing_class(project, "vgpu-12ab9f"), 0);
        assert_int_equal(fgd_pairing_class(project, "run-12ab9f"), 0);
        assert_int_equal(fgd_pairing_class(project, ""), 0);
        assert_true(fgd_pairing_class(project, "train-1") == fgd_pairing_class(project, "train-22"));
        assert_true(fgd_pairing_class(project, "run-12ab9g") != 0);
}

static void counters_of_the_performance_model(void **state)
{
        struct fgd_perf_sum sum;
        start(0);
        struct fgd_set *set = create("a", 1, MEMORY / 4, 500, FG_MODE_SHARE, 0);
        struct fgd_perf *perf = &manager->metering->device[0].perf;
        fgd_perf_demand(manager->device[0], 100);
        use(set, 15 * SEC);
        pass(30 * SEC);
        fgd_perf_demand(manager->device[0], 0);
        pass(30 * SEC);
        struct fg_perf f = factors(perf, FGD_PERF_MINUTE, &sum);
        assert_int_equal(sum.counters.servable, 33 * SEC * 1000);
        assert_int_equal(sum.counters.occupied, 30 * SEC * 1000);
        assert_int_equal(sum.counters.busy, 15 * SEC * 1000);
        assert_int_equal(sum.unknown, 15 * SEC * 1000);
        assert_true(f.has_s && f.has_u && !f.has_v && !f.has_alpha && !f.has_p); /* not calibrated: absent, not 1 */
        assert_true(f.u == 0.5);

        manager->device[0]->native_ppm = 900000;
        use(set, 10 * SEC);
        pass(MINUTE);
        f = factors(perf, FGD_PERF_MINUTE, &sum);
        assert_int_equal(sum.counters.native, 9000 * SEC);
        assert_int_equal(sum.counters.kept, 9000 * SEC);
        assert_true(f.has_p && f.v == 0.9 && f.p == 0.3);
        assert_false(factors(perf, FGD_PERF_HOUR, &sum).has_v); /* part of it ran before it was calibrated */
        assert_int_equal(sum.counters.busy, 25000 * SEC);
        factors(set->vgpu[0].meter->perf, FGD_PERF_LIFE, &sum);
        assert_int_equal(sum.counters.busy, 25000 * SEC);
        factors(set->project->perf, FGD_PERF_LIFE, &sum);
        assert_int_equal(sum.counters.occupied, 60000 * SEC);
        pass(90 * MINUTE);
        factors(perf, FGD_PERF_HOUR, &sum);
        assert_int_equal(sum.counters.busy, 0);
        factors(perf, FGD_PERF_DAY, &sum);
        assert_int_equal(sum.counters.busy, 25000 * SEC);
        pass(25 * 60 * MINUTE);
        factors(perf, FGD_PERF_DAY, &sum);
        assert_int_equal(sum.counters.busy, 0);
        factors(perf, FGD_PERF_LIFE, &sum);
        assert_int_equal(sum.counters.busy, 25000 * SEC);
}

/* What is done again is taken off where it was counted, and nobody else's. */
static void work_that_was_for_nothing(void **state)
{
        struct fgd_perf_sum sum;
        start(0);
        manager->device[0]->native_ppm = 500000;
        struct fgd_set *kept = create("a", 1, MEMORY / 4, 400, FG_MODE_SHARE, 0), *lost = create("b", 1, MEMORY / 4, 400, FG_MODE_SHARE, 0);
        struct fgd_perf *perf = &manager->metering->device[0].perf, *project;
        use(kept, 20 * SEC), use(lost, 10 * SEC);
        pass(MINUTE);
        pass(15 * MINUTE);
        use(kept, 20 * SEC), use(lost, 8 * SEC);
        pass(MINUTE);
        use(lost, 6 * SEC);
        fgd_perf_discard(&lost->vgpu[0]);
        fgd_perf_discard(&lost->vgpu[0]); /* once */
        project = lost->project->perf;
        factors(perf, FGD_PERF_MINUTE, &sum);
        assert_int_equal(sum.counters.native, 14000 * SEC);
        assert_int_equal(sum.counters.kept, 10000 * SEC);
        factors(perf, FGD_PERF_DAY, &sum);
        assert_int_equal(sum.counters.native, 29000 * SEC);
        assert_int_equal(sum.counters.kept, 20000 * SEC);
        pass(MINUTE); /* the open window's too */
        for (enum fgd_perf_window w = FGD_PERF_DAY; w <= FGD_PERF_LIFE; w++) {
                factors(w == FGD_PERF_DAY ? perf : project, w, &sum);
                assert_int_equal(sum.counters.native, 32000 * SEC);
                assert_int_equal(sum.counters.kept, 20000 * SEC);
        }
        assert_true(factors(kept->vgpu[0].meter->perf, FGD_PERF_LIFE, &sum).alpha == 1);
}

/* A project's S is of its own jobs, whoever has the devices. */
static void what_a_project_waits_for(void **state)
{
        struct fgd_perf_sum sum;
        start(0);
        struct fgd_set *set = create("a", 1, MEMORY / 4, 500, FG_MODE_SHARE, 0);
        fgd_perf_demand_of(manager, set->project, 1500);
        pass(20 * SEC);
        fgd_perf_demand_of(manager, set->project, 500);
        pass(40 * SEC);
        struct fg_perf f = factors(set->project->perf, FGD_PERF_MINUTE, &sum);
        assert_int_equal(sum.counters.occupied, 30000 * SEC);
        assert_int_equal(sum.counters.servable, 30000 * SEC + 30000 * SEC + 20000 * SEC);
        assert_true(f.s == 0.375);
        assert_true(factors(&manager->metering->device[0].perf, FGD_PERF_MINUTE, &sum).s == 1);
        fgd_perf_demand_of(manager, set->project, 0);
        pass(MINUTE);
        assert_true(factors(set->project->perf, FGD_PERF_MINUTE, &sum).s == 1);
}

/* What was added up comes back from the store. */
static void life_sums_are_kept(void **state)
{
        struct fg_error err = {0};
        struct fgd_perf_sum before, sum;
        start(0);
        struct fgd_set *set = create("a", 1, MEMORY / 4, 500, FG_MODE_SHARE, 0);
        assert_int_equal(fgd_perf_calibrate(manager, manager->device[0], 950000, &err), 0);
        use(set, 10 * SEC);
        pass(MINUTE);
        factors(&manager->metering->device[0].perf, FGD_PERF_LIFE, &before);
        assert_int_equal(fgd_perf_save(manager, true), 0);
        struct fgd_perf *all[] = {&manager->metering->device[0].perf, set->vgpu[0].meter->perf, set->project->perf};
        for (size_t i = 0; i < COUNT_OF(all); i += 2)
                *all[i] = (struct fgd_perf){0};
        free(set->vgpu[0].meter->perf);
        set->vgpu[0].meter->perf = NULL;
        manager->device[0]->native_ppm = 0;
        assert_int_equal(fgd_perf_load(manager, &err), 0);
        assert_int_equal(manager->device[0]->native_ppm, 950000);
        all[1] = set->vgpu[0].meter->perf;
        for (size_t i = 0; i < COUNT_OF(all); i++) {
                factors(all[i], FGD_PERF_LIFE, &sum);
                assert_memory_equal(&sum, &before, sizeof sum);
        }
}

static bool is_told(const char *kind)
{
        const struct fgd_event *event;
        TAILQ_FOREACH(event, &manager->journal->noted, order)
                if (strcmp(event->kind, kind) == 0)
                        return true;
        return false;
}

static void a_step_of_the_clock_is_an_event(void **state)
{
        start(0);
        now.real += 30 * SEC;
        pass(2 * MINUTE);
        assert_false(is_told("clock"));
        now.real -= 120 * SEC;
        pass(MINUTE);
        assert_true(is_told("clock"));
        assert_int_equal(manager->journal->noted_count, 1);
        pass(3 * MINUTE);
        assert_int_equal(manager->journal->noted_count, 1); /* once */
}

static int64_t total;

static void do_something(struct fgd_set **set, size_t i, uint64_t *seed)
{
        uint64_t memory = 1 + unit_random(seed) % (MEMORY / 2);
        uint32_t share = 1 + (uint32_t)(unit_random(seed) % 400);
        int64_t us = (int64_t)(unit_random(seed) % (unit_random(seed) % 8 ? SEC : 100 * SEC));
        switch (unit_random(seed) % 8) {
        case 0:
        case 1:
                if (!set[i])
                        set[i] = create("", 1 + (uint32_t)(unit_random(seed) % 3), memory, share, (enum fg_mode)(unit_random(seed) % 2), -1);
                break;
        case 2:
                if (set[i])
                        delete(set[i]);
                set[i] = NULL;
                break;
        case 3:
                if (set[i])
                        resize(set[i], memory, share, (int)(unit_random(seed) % 2));
                break;
        case 4:
                if (set[i])
                        fgd_metering_state(&set[i]->vgpu[0], unit_random(seed) % 2 ? FG_METER_RUN : FG_METER_HOLD);
                break;
        case 5:
                if (set[i])
                        use(set[i], us), total += us;
                break;
        case 6:
                if (unit_random(seed) % 16 == 0) {
                        manager->device[unit_random(seed) % DEVICES]->present ^= true;
                        fgd_registry_audit(manager);
                }
                break;
        default:
                failing = unit_random(seed) % 16 ? 0 : 3;
        }
}

/* Device time is in a line or told as unbilled; take_window() looks at the rest. */
static void a_storm_loses_nothing(void **state)
{
        struct fgd_set *set[12] = {0};
        uint64_t seed = 3;
        total = 0;
        start(0);
        for (int i = 0; i < 32000; i++) {
                do_something(set, unit_random(&seed) % COUNT_OF(set), &seed);
                if (unit_random(&seed) % 2000 == 0)
                        now.real += unit_random(&seed) % 2 ? 40 * MINUTE : -500000 * MINUTE;
                if (unit_random(&seed) % 3000 == 0)
                        now.boot += 1000 * SEC, now.real += 1000 * SEC;
                pass((int64_t)(unit_random(&seed) % (unit_random(&seed) % 100 ? 2 * SEC : 200 * SEC)));
        }
        failing = 0;
        for (int i = 0; i < DEVICES; i++)
                manager->device[i]->present = true;
        fgd_registry_audit(manager);
        if (!set[0])
                set[0] = create("", 2, 1000, 1, FG_MODE_SHARE, -1);
        for (int i = 0; i < DEVICES; i++)
                create("", 1, 1, 1, FG_MODE_SHARE, i);
        pass(2 * MINUTE);
        fgd_metering_end(manager);
        assert_true(seen.windows > 1000);
        assert_true(total > 0 && seen.unbilled > 0 && seen.busy > 0);
        assert_in_range(total - seen.busy - seen.unbilled, 0, (int64_t)seen.lines); /* less than a us of each */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(a_reserve_is_held_from_the_beginning),
                TEST(a_payer_has_the_open_minute_and_none_before),
                TEST(suspended_it_holds_its_memory),
                TEST(what_we_took_is_not_paid),
                TEST(a_device_that_is_away_is_a_gap),
                TEST(totals_are_what_was_settled),
                TEST(each_mode_gets_its_device_time),
                TEST(forged_time_is_no_ones_bill),
                TEST(what_is_deleted_is_settled_with_the_others),
                TEST(a_record_that_cannot_be_written_waits),
                TEST(nothing_overtakes_what_waits),
                TEST(what_waits_is_bounded),
                TEST(no_minute_comes_twice),
                TEST(a_large_window_comes_in_pieces),
                TEST(time_without_a_daemon_is_a_gap),
                TEST(who_slows_whom_is_learned_and_minded),
                TEST(counters_of_the_performance_model),
                TEST(work_that_was_for_nothing),
                TEST(what_a_project_waits_for),
                TEST(life_sums_are_kept),
                TEST(a_step_of_the_clock_is_an_event),
                TEST(a_storm_loses_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
