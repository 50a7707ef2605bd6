/* SPDX-License-Identifier: Apache-2.0
 * History against the metering that feeds it, with clocks of the test's own: what is asked for is what happened, before and
 * after a restart, a kill, a full disk and a damaged file. */
#include "unit.h"

#include "base/log.h"
#include "daemon/api_internal.h"
#include "daemon/history_internal.h"
#include "daemon/manager.h"
#include "daemon/metering_internal.h"
#include "daemon/money.h"
#include "daemon/tenants.h"
#include "daemon/vgpus.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SEC    1000000ll
#define MINUTE (60 * SEC)
#define NOON   1782000000ll /* s, a whole hour */
#define MEMORY (1ull << 30)

static struct fgd_manager *manager;
static struct fgd_clocks now;
static char folder[64], store[96];
static int pair[2];
static uint64_t history_size;
static bool has_money; /* each window of which is written to the disk at once: it takes long */

static void read_clocks(void *user, struct fgd_clocks *ret)
{
        *ret = now;
}

static void begin(void)
{
        struct fg_options options = {0};
        struct fg_paths paths = {.run = "/dev/null/run", .is_private = true};
        struct fg_error err = {0};
        snprintf(paths.state, sizeof paths.state, "%s", folder);
        snprintf(store, sizeof store, "%s/store.db", folder);
        options.value[FG_OPT_HISTORY_SIZE] = history_size;
        options.value[FG_OPT_HISTORY_MINUTES] = 2 * 86400;
        assert_int_equal(fgd_manager_new(&paths, &options, store, &manager, &err), 0);
        if (!manager->devices) {
                struct fgd_device *device = calloc(1, sizeof *device);
                *device = (struct fgd_device){.memory = MEMORY, .model = "unit", .api = "opencl"};
                snprintf(device->key, sizeof device->key, "opencl/unit/0");
                snprintf(device->uuid, sizeof device->uuid, "00000000-0000-4000-8000-000000000000");
                assert_int_equal(fgd_store_put_device(manager->store, device, &err), 0);
                manager->device[manager->devices++] = device;
        }
        manager->device[0]->present = true;
        if (has_money)
                assert_int_equal(fgd_money_start(manager, &err), 0);
        assert_int_equal(fgd_history_start(manager, &err), 0);
        manager->metering->read = read_clocks;
        assert_int_equal(fgd_metering_begin(manager, fgd_money_last_end(manager), &err), 0);
}

static void end(void)
{
        fgd_manager_free(manager);
        manager = NULL;
}

/* As if it were killed: another daemon sees the files as they are now. */
static void killed(void)
{
        char command[256], copy[64];
        unit_make_folder(copy);
        snprintf(command, sizeof command, "cp -r %s/. %s/", folder, copy);
        assert_int_equal(system(command), 0);
        end();
        unit_remove_folder(folder);
        strcpy(folder, copy);
        begin();
}

static int start_all(void)
{
        fg_log_set_level(0);
        history_size = 64 << 20;
        now = (struct fgd_clocks){.real = NOON * SEC, .boot = 1000 * SEC, .awake = 900 * SEC};
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        unit_make_folder(folder);
        begin();
        return 0;
}

static int set_up(void **state)
{
        has_money = false;
        return start_all();
}

static int set_up_money(void **state)
{
        has_money = true;
        return start_all();
}

static int tear_down(void **state)
{
        end();
        unit_remove_folder(folder);
        close(pair[0]);
        close(pair[1]);
        return 0;
}

static void pass(int minutes)
{
        for (int i = 0; i < minutes; i++) {
                now.real += MINUTE, now.boot += MINUTE, now.awake += MINUTE;
                fgd_metering_now(manager);
                fgd_history_save(manager);
        }
}

static struct fgd_set *create(const char *name, uint64_t memory, uint32_t share)
{
        struct fg_sched_want want = {.memory = memory, .share = share};
        struct fgd_problem problem = {0};
        struct fgd_set *set;
        struct fgd_create wish = {.gpus = 1, .want = &want, .mode = FG_MODE_SHARE, .priority = FG_PRIORITY_NORMAL,
                                  .project = fgd_project_find(manager, "default")};
        snprintf(wish.name, sizeof wish.name, "%s", name);
        return fgd_vgpus_create(manager, &wish, &set, &problem) < 0 ? NULL : set;
}

static void use(struct fgd_set *set, int64_t us)
{
        set->vgpu[0].live.gpu_ns += (uint64_t)us * 1000;
}

/* The answer, or NULL when its status is not `status`. */
static json_t *ask(const char *path, const char *query, unsigned status)
{
        struct fgd_request request = {.method = "GET", .path = path, .query = query, .peer = pair[0]};
        unsigned got;
        char *text = NULL;
        assert_int_equal(fgd_api_handle(manager, &request, &got, &text), 0);
        json_t *answer = json_loads(text, 0, NULL);
        assert_non_null(answer);
        free(text);
        if (got == status)
                return answer;
        print_error("%s?%s: %u %s\n", path, query, got, json_string_value(json_object_get(answer, "detail")));
        json_decref(answer);
        return NULL;
}

/* The sum of a series, and how many points are known. */
static double sum_of(const char *path, const char *query, const char *series, size_t *ret_known)
{
        json_t *answer = ask(path, query, 200), *value;
        assert_non_null(answer);
        json_t *list = json_object_get(json_object_get(answer, "series"), series);
        size_t i, known = 0;
        double sum = 0;
        assert_int_equal(json_array_size(list), json_integer_value(json_object_get(answer, "points")));
        json_array_foreach(list, i, value) {
                known += !json_is_null(value);
                sum += json_is_null(value) ? 0 : json_number_value(value);
        }
        json_decref(answer);
        if (ret_known)
                *ret_known = known;
        return sum;
}

static double total(const char *path, const char *series)
{
        char query[96];
        snprintf(query, sizeof query, "from=%lld&until=%lld&step=60", NOON - 3600, NOON + 3600 * 20);
        return sum_of(path, query, series, NULL);
}

static void near(double a, double b)
{
        if (a - b > 1e-6 || b - a > 1e-6)
                fail_msg("%.9f is not %.9f", a, b);
}

static void refused(const char *path, const char *query, const char *word)
{
        json_t *answer = ask(path, query, 400);
        assert_non_null(answer);
        const char *detail = json_string_value(json_object_get(answer, "detail"));
        if (!strstr(detail, word))
                fail_msg("\"%s\" lacks \"%s\"", detail, word);
        json_decref(answer);
}

static void the_price_is(const char *currency)
{
        char body[64];
        unsigned got;
        char *text = NULL;
        snprintf(body, sizeof body, "{\"csv\": \"currency,price\\n%s,3.6\\n\"}", currency);
        struct fgd_request request = {.method = "PUT", .path = "/v1/prices", .body = body, .body_size = strlen(body), .peer = pair[0]};
        assert_int_equal(fgd_api_handle(manager, &request, &got, &text), 0);
        assert_int_equal(got, 200);
        free(text);
}

static void what_happened_is_what_is_told(void **state)
{
        the_price_is("EUR");
        struct fgd_set *a = create("a", MEMORY / 4, 500), *b = create("b", MEMORY / 2, 250);
        uint64_t seed = 3;
        double busy[2] = {0};
        for (int i = 0; i < 130; i++) {
                int64_t us = (int64_t)(unit_random(&seed) % (20 * SEC));
                use(a, us);
                use(b, us / 3);
                busy[0] += (double)us / 1e6;
                busy[1] += (double)(us / 3) / 1e6;
                a->vgpu[0].live.wait_ns += 1234567;
                a->vgpu[0].live.refusals += i % 10 == 0;
                a->vgpu[0].memory_high = (uint64_t)(i + 1) << 20;
                pass(1);
        }
        near(total("/v1/vgpus/a/0/history", "metered_seconds"), 130 * 60);
        assert_true(total("/v1/vgpus/a/0/history", "gpu_seconds") - busy[0] < 0.001);
        assert_true(busy[0] - total("/v1/vgpus/a/0/history", "gpu_seconds") < 0.001); /* what rounding left for the next minute */
        assert_true(busy[1] - total("/v1/vgpus/b/history", "gpu_seconds") < 0.001);
        near(total("/v1/vgpus/a/history", "reserved_gpu_seconds"), 130 * 30);
        near(total("/v1/vgpus/a/history", "refusals"), 13);
        assert_true(total("/v1/vgpus/a/history", "throttled_seconds") > 0.160);
        double both = total("/v1/vgpus/a/history", "gpu_seconds") + total("/v1/vgpus/b/history", "gpu_seconds");
        double project = total("/v1/projects/default/history", "gpu_seconds");
        assert_true(project - both < 0.002 && both - project < 0.002);
        assert_true(total("/v1/devices/0/history", "gpu_seconds") <= 130 * 60);
        near(total("/v1/devices/0/history", "metered_seconds"), 130 * 60);
        near(total("/v1/projects/default/history", "vgpus"), 260);
        /* 3.6 EUR an hour are 0.001 a GPU-second. */
        assert_true(total("/v1/devices/0/history", "cost") > 0.001 * 130 * 60 * 0.9);

        size_t known;
        char query[96];
        snprintf(query, sizeof query, "from=%lld&until=%lld&step=3600&series=gpu_seconds,memory_used_bytes", NOON, NOON + 3 * 3600);
        double hours = sum_of("/v1/vgpus/a/0/history", query, "gpu_seconds", &known);
        assert_int_equal(known, 3);
        near(hours, total("/v1/vgpus/a/0/history", "gpu_seconds"));
        near(sum_of("/v1/vgpus/a/0/history", query, "memory_used_bytes", NULL), (60.0 + 120.0 + 130.0) * (1 << 20)); /* the most of each hour */
}

static void it_is_there_after_a_restart(void **state)
{
        struct fgd_set *a = create("a", MEMORY / 4, 500);
        char uuid[37], path[96];
        fgd_uuid_format(a->vgpu[0].uuid, uuid);
        snprintf(path, sizeof path, "/v1/history/%s", uuid);
        for (int i = 0; i < 75; i++) {
                use(a, SEC);
                pass(1);
        }
        end();
        begin();
        near(total(path, "gpu_seconds"), 75);
        pass(5);
        near(total(path, "metered_seconds"), 80 * 60);
        a = TAILQ_FIRST(&manager->sets);
        use(a, 2 * SEC);
        now.real += MINUTE / 2, now.boot += MINUTE / 2, now.awake += MINUTE / 2;
        struct fgd_problem problem = {0};
        assert_int_equal(fgd_vgpus_delete(manager, a, &problem), 0);
        pass(2);
        near(total(path, "gpu_seconds"), 77); /* also when it is gone, with its last minute */
        json_t *answer = ask("/v1/history", "", 200);
        const json_t *row = json_array_get(json_object_get(answer, "vgpus"), 0);
        assert_int_equal(json_array_size(json_object_get(answer, "vgpus")), 1);
        near(json_number_value(json_object_get(row, "gpu_seconds")), 77);
        assert_string_equal(json_string_value(json_object_get(row, "name")), "a/0");
        assert_true(json_is_false(json_object_get(row, "exists")));
        assert_int_equal(json_integer_value(json_object_get(row, "hours")), 2);
        json_decref(answer);
        pass(70);
        end();
        begin();
        near(total(path, "gpu_seconds"), 77);
}

static void a_kill_costs_minutes(void **state)
{
        char uuid[37], path[96], query[96];
        struct fgd_set *a = create("a", MEMORY / 4, 500);
        fgd_uuid_format(a->vgpu[0].uuid, uuid);
        snprintf(path, sizeof path, "/v1/history/%s", uuid);
        snprintf(query, sizeof query, "from=%lld&until=%lld&step=3600", NOON - 3600, NOON + 3600 * 20);
        for (int i = 0; i < 200; i++) {
                use(a, SEC + i);
                pass(1);
                if (i % 37)
                        continue;
                double before = total(path, "gpu_seconds"), hours = sum_of(path, query, "gpu_seconds", NULL);
                near(before, hours);
                killed();
                double after = total(path, "gpu_seconds");
                assert_true(after <= before + 0.01 && after > before - FGD_HISTORY_WRITE_EVERY - 1.5);
                near(after, sum_of(path, query, "gpu_seconds", NULL));
                a = TAILQ_FIRST(&manager->sets);
        }
}

static void gaps_are_gaps(void **state)
{
        size_t known;
        char query[96];
        create("a", MEMORY / 4, 500);
        pass(10);
        end();
        now.real += 30 * MINUTE, now.boot += 30 * MINUTE, now.awake += 30 * MINUTE;
        begin();
        pass(5);
        snprintf(query, sizeof query, "from=%lld&until=%lld&step=60", NOON - 600, NOON + 46 * 60);
        near(sum_of("/v1/vgpus/a/history", query, "metered_seconds", &known), 15 * 60);
        assert_int_equal(known, 15);
}

static void bad_ranges_are_told(void **state)
{
        char query[96];
        create("a", MEMORY / 4, 500);
        pass(2);
        const char *const path = "/v1/projects/default/history";
        refused(path, "from=2016-01-01&until=2026-01-01", "400 can be asked");
        refused(path, "from=100000&until=90000", "before");
        snprintf(query, sizeof query, "from=%lld", NOON + 86400);
        refused(path, query, "\"from\" has to be before");
        snprintf(query, sizeof query, "from=%lld&until=%lld", NOON + 86400, NOON + 2 * 86400);
        refused(path, query, "here it is 2026-06-21T00:02:00Z");
        refused(path, "step=61", "multiple of 60");
        refused(path, "from=yesterday", "not \"yesterday\"");
        refused(path, "series=gpu_seconds,none", "\"none\"");
        snprintf(query, sizeof query, "from=%lld&step=60", NOON - 30 * 86400);
        refused(path, query, "take a \"step\" of 3600");
        refused(path, "to=5", "\"until=\"");
        json_decref(ask("/v1/history/ffffffff-ffff-4fff-8fff-ffffffffffff", "", 404));
        json_decref(ask("/v1/devices/7/history", "", 404));
        json_decref(ask("/v1/vgpus/none/history", "", 404));
        /* A point for every step, whatever the range. */
        static const int days[] = {1, 2, 7, 31, 366, 399};
        for (size_t i = 0; i < COUNT_OF(days); i++) {
                snprintf(query, sizeof query, "from=%lld", NOON - days[i] * 86400);
                size_t known;
                near(sum_of(path, query, "vgpus", &known), 1);
                assert_int_equal(known, 1);
        }
}

static void another_currency_is_not_added(void **state)
{
        char query[96];
        size_t known;
        create("a", MEMORY / 4, 500);
        pass(3);
        the_price_is("EUR");
        pass(20);
        double euros = total("/v1/vgpus/a/history", "cost");
        near(euros, 20 * 60 * 0.0005);
        the_price_is("USD");
        pass(2);
        snprintf(query, sizeof query, "from=%lld&until=%lld&step=60", NOON, NOON + 25 * 60);
        near(sum_of("/v1/vgpus/a/history", query, "cost", &known), 2 * 60 * 0.0005);
        assert_int_equal(known, 2);
        near(sum_of("/v1/projects/default/history", query, "cost", &known), 2 * 60 * 0.0005);
        near(sum_of("/v1/vgpus/a/history", query, "metered_seconds", &known), 25 * 60);
}

static void a_damaged_file_is_put_aside(void **state)
{
        char path[96], command[256];
        create("a", MEMORY / 4, 500);
        pass(70);
        end();
        snprintf(path, sizeof path, "%s/history.db", folder);
        FILE *f = fopen(path, "r+");
        assert_non_null(f);
        for (int i = 0; i < 4096; i++)
                fputc('x', f);
        fclose(f);
        begin();
        assert_string_equal(fgd_history_trouble(manager), "");
        snprintf(command, sizeof command, "test -e %s/history.db.corrupt-*", folder);
        assert_int_equal(system(command), 0);
        assert_int_equal(manager->notes, 1);
        near(total("/v1/vgpus/a/history", "metered_seconds"), 0);
        pass(3);
        near(total("/v1/vgpus/a/history", "metered_seconds"), 180);
}

/* Also when it happens under the daemon's feet. */
static void damage_while_it_runs(void **state)
{
        create("a", MEMORY / 4, 500);
        pass(12);
        assert_int_equal(sqlite3_exec(manager->history->db, "DROP TABLE minutes", NULL, NULL, NULL), SQLITE_OK);
        pass(70);
        assert_string_equal(fgd_history_trouble(manager), "");
        pass(5);
        assert_true(total("/v1/vgpus/a/history", "metered_seconds") >= 5 * 60);
}

static void a_full_disk_is_said_once(void **state)
{
        create("a", MEMORY / 4, 500);
        pass(12);
        sqlite3_exec(manager->history->db, "PRAGMA query_only=1", NULL, NULL, NULL);
        pass(130);
        assert_int_equal(manager->notes, 1);
        assert_non_null(strstr(manager->note[0], "history"));
        assert_true(manager->history->done.stqh_first == NULL);
        sqlite3_exec(manager->history->db, "PRAGMA query_only=0", NULL, NULL, NULL);
        pass(65);
        assert_int_equal(manager->notes, 1);
        double known = total("/v1/vgpus/a/history", "metered_seconds");
        assert_true(known < 207 * 60 && known >= 65 * 60);
        known = total("/v1/devices/0/history", "metered_seconds");
        assert_true(known < 207 * 60 && known >= 65 * 60);
}

static int64_t pages(void)
{
        char path[96];
        struct stat st;
        snprintf(path, sizeof path, "%s/history.db", folder);
        assert_int_equal(stat(path, &st), 0);
        return st.st_size;
}

/* A hundred that are busy. */
static void fill(int64_t from, int64_t until)
{
        struct fgd_history_row row = {0};
        char key[64];
        uint64_t seed = 5;
        for (int64_t minute = from; minute < until; minute++) {
                for (int i = 0; i < 100; i++) {
                        snprintf(key, sizeof key, "vgpu-%d", i);
                        struct fgd_history_subject *s = fgd_history_of(manager->history, FGD_HISTORY_VGPU, key);
                        row.value[FGD_H_BUSY] = unit_random(&seed) % (60 * SEC);
                        row.value[FGD_H_MEMORY] = unit_random(&seed) % MEMORY;
                        row.value[FGD_H_WALL] = 60 * SEC;
                        fgd_history_commit(manager->history, s, NOON + minute * 60, &row);
                }
                fgd_history_turn(manager, NOON + minute * 60);
                fgd_history_save(manager);
        }
}

/* Nothing fits any more, also not what makes room: the oldest goes by itself, and writing goes on. */
static void what_is_full_is_no_trap(void **state)
{
        char sql[64];
        fill(0, 500);
        struct fgd_history *h = manager->history;
        h->pages_max = (uint64_t)pages() / 4096;
        snprintf(sql, sizeof sql, "PRAGMA max_page_count=%llu", (unsigned long long)h->pages_max);
        assert_int_equal(sqlite3_exec(h->db, sql, NULL, NULL, NULL), SQLITE_OK);
        fill(500, 1000);
        assert_string_equal(h->why, "");
        struct fgd_history_point point[1000] = {0};
        struct fgd_history_answer answer = {.point = point};
        struct fgd_history_range range = {NOON, NOON + 1000 * 60, 60};
        struct fg_error err = {0};
        assert_int_equal(fgd_history_get(manager, FGD_HISTORY_VGPU, "vgpu-7", &range, &answer, &err), 0);
        size_t known = 0;
        for (int i = 700; i < 1000; i++)
                known += point[i].is_known;
        assert_true(known > 250);
}

static void its_size_is_bounded(void **state)
{
        end();
        history_size = 1 << 20;
        begin();
        fill(0, 2000);
        assert_string_equal(fgd_history_trouble(manager), "");
        assert_int_equal(manager->notes, 0);
        assert_true(pages() <= 1 << 20);
        /* What is newest is there, what is oldest is gone. */
        struct fgd_history_point point[2000] = {0};
        struct fgd_history_answer answer = {.point = point};
        struct fgd_history_range range = {NOON, NOON + 2000 * 60, 60};
        struct fg_error err = {0};
        assert_int_equal(fgd_history_get(manager, FGD_HISTORY_VGPU, "vgpu-7", &range, &answer, &err), 0);
        assert_true(point[1999].is_known && point[1900].is_known);
        assert_false(point[0].is_known);
}

static void what_is_old_goes(void **state)
{
        create("a", MEMORY / 4, 500);
        pass(3 * 1440);
        char query[96];
        size_t known;
        snprintf(query, sizeof query, "from=%lld&until=%lld&step=300", NOON, NOON + 86400);
        sum_of("/v1/vgpus/a/history", query, "metered_seconds", &known);
        assert_true(known < 288 / 4); /* minutes for two days, blocks at a time */
        snprintf(query, sizeof query, "from=%lld&until=%lld&step=3600", NOON, NOON + 3 * 86400);
        near(sum_of("/v1/vgpus/a/history", query, "metered_seconds", &known), 3 * 86400);
        assert_int_equal(known, 72);
        snprintf(query, sizeof query, "from=%lld", NOON); /* the standard step reaches back */
        near(sum_of("/v1/vgpus/a/history", query, "metered_seconds", &known), 3 * 86400);
}

static void off_is_off(void **state)
{
        end();
        history_size = 0;
        begin();
        create("a", MEMORY / 4, 500);
        pass(2);
        json_t *answer = ask("/v1/vgpus/a/history", "", 404);
        assert_non_null(strstr(json_string_value(json_object_get(answer, "detail")), "history-size"));
        json_decref(answer);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(what_happened_is_what_is_told, set_up_money, tear_down),
                cmocka_unit_test_setup_teardown(another_currency_is_not_added, set_up_money, tear_down),
                TEST(it_is_there_after_a_restart),
                TEST(a_kill_costs_minutes),
                TEST(gaps_are_gaps),
                TEST(bad_ranges_are_told),
                TEST(a_damaged_file_is_put_aside),
                TEST(damage_while_it_runs),
                TEST(a_full_disk_is_said_once),
                TEST(its_size_is_bounded),
                TEST(what_is_full_is_no_trap),
                TEST(what_is_old_goes),
                TEST(off_is_off),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
