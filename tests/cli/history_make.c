/* SPDX-License-Identifier: Apache-2.0
 * A daemon's state folder with a past: its metering, run with clocks of our own over minutes that pass at once.
 *
 *      history-make FOLDER START MINUTES         vGPUs of every kind that the report has something to say about, with a bill
 *      history-make --many N FOLDER START MINUTES  N vGPUs that are busy all the time, without; prints what it took, as JSON
 *
 * START is in unix seconds. */
#include "base/clock.h"
#include "base/log.h"
#include "daemon/api.h"
#include "daemon/history.h"
#include "daemon/manager.h"
#include "daemon/metering_internal.h"
#include "daemon/money.h"
#include "daemon/tenants.h"
#include "daemon/vgpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define MINUTE 60000000ll
#define SEC    1000000ll
#define MIB    (1ull << 20)

static struct fgd_clocks now;
static struct fgd_manager *manager;
static uint64_t seed = 1;

static void die(const char *what, const char *why)
{
        fprintf(stderr, "history-make: %s: %s\n", what, why);
        exit(1);
}

static uint64_t roll(uint64_t below)
{
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        return seed % below;
}

static void read_clocks(void *user, struct fgd_clocks *ret)
{
        *ret = now;
}

static void begin(const char *folder, int64_t start, uint64_t memory, bool has_money)
{
        struct fg_options options = {0};
        struct fg_paths paths = {.run = "/dev/null/run", .is_private = true};
        struct fg_error err = {0};
        char store[256];
        snprintf(paths.state, sizeof paths.state, "%s", folder);
        snprintf(store, sizeof store, "%s/store.db", folder);
        mkdir(folder, 0700);
        if (fg_options_load(&options, NULL, &err) < 0 || fgd_manager_new(&paths, &options, store, &manager, &err) < 0)
                die(folder, err.text);
        struct fgd_device *device = calloc(1, sizeof *device);
        *device = (struct fgd_device){.memory = memory, .present = true, .model = "Fake", .api = "opencl", .type = "gpu"};
        snprintf(device->key, sizeof device->key, "opencl/Fake/0");
        snprintf(device->uuid, sizeof device->uuid, "00000000-0000-4000-8000-000000000000");
        fgd_store_put_device(manager->store, device, &err);
        manager->device[manager->devices++] = device;
        now = (struct fgd_clocks){.real = start * SEC, .boot = 1000 * SEC, .awake = 1000 * SEC};
        manager->metering->read = read_clocks;
        if ((has_money && fgd_money_start(manager, &err) < 0) || fgd_history_start(manager, &err) < 0 || fgd_metering_begin(manager, 0, &err) < 0)
                die(folder, err.text);
}

static struct fgd_set *create(const char *name, uint32_t gpus, uint64_t memory, uint32_t share, enum fg_mode mode)
{
        struct fg_sched_want *want = calloc(gpus, sizeof *want);
        struct fgd_problem problem = {0};
        struct fgd_set *set;
        for (uint32_t i = 0; i < gpus; i++)
                want[i] = (struct fg_sched_want){.memory = memory, .share = share};
        struct fgd_create wish = {.gpus = gpus, .want = want, .mode = mode, .priority = FG_PRIORITY_NORMAL,
                                  .project = fgd_project_find(manager, "default")};
        snprintf(wish.name, sizeof wish.name, "%s", name);
        if (fgd_vgpus_create(manager, &wish, &set, &problem) < 0)
                die(name, problem.detail);
        free(want);
        return set;
}

static void pass(void)
{
        now.real += MINUTE, now.boot += MINUTE, now.awake += MINUTE;
        fgd_metering_now(manager);
        fgd_history_save(manager);
}

static void use(struct fgd_vgpu *vgpu, uint64_t us, uint64_t memory, uint64_t wait_us, uint64_t refusals)
{
        vgpu->live.gpu_ns += us * 1000;
        vgpu->live.wait_ns += wait_us * 1000;
        vgpu->live.refusals += refusals;
        vgpu->memory_high = memory;
}

static void ask(const char *method, const char *path, const char *query, const char *body, size_t *ret_size)
{
        int pair[2];
        char *text = NULL;
        unsigned status = 0;
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
                die(path, "no sockets");
        struct fgd_request request = {.method = method, .path = path, .query = query, .body = body, .body_size = body ? strlen(body) : 0, .peer = pair[0]};
        if (fgd_api_handle(manager, &request, &status, &text) < 0 || status != 200)
                die(path, text ? text : "no answer");
        if (ret_size)
                *ret_size = strlen(text);
        free(text);
        close(pair[0]);
        close(pair[1]);
}

/* Held 480 MiB and never used more than 100; idle; refused; throttled; as it should be; gone by half the time. */
static void make_all_kinds(int64_t minutes)
{
        struct fgd_problem problem = {0};
        ask("PUT", "/v1/prices", NULL, "{\"csv\": \"currency,price\\nEUR,2.00\\n\"}", NULL);
        ask("PUT", "/v1/devices/0/calibration", NULL, "{\"native_ppm\": 965000}", NULL);
        struct fgd_set *wide = create("wide", 1, 480 * MIB, 100, FG_MODE_SHARE), *idle = create("idle", 1, 64 * MIB, 50, FG_MODE_SHARE);
        struct fgd_set *full = create("full", 1, 128 * MIB, 120, FG_MODE_SHARE), *slow = create("slow", 1, 64 * MIB, 200, FG_MODE_CAP);
        struct fgd_set *good = create("good", 1, 192 * MIB, 200, FG_MODE_SHARE), *gone = create("gone", 1, 32 * MIB, 100, FG_MODE_SHARE);
        for (int64_t i = 0; i < minutes; i++) {
                uint64_t day = (uint64_t)(i % 1440), at_work = day > 480 && day < 1200 ? 1 : 0;
                use(&wide->vgpu[0], at_work * (1 + roll(4)) * SEC, (60 + at_work * roll(41)) * MIB, 0, 0);
                use(&full->vgpu[0], (3 + roll(4)) * SEC, (118 + roll(8)) * MIB, 0, at_work * (roll(20) == 0));
                use(&slow->vgpu[0], 11 * SEC, 40 * MIB, (10 + roll(10)) * SEC, 0);
                use(&good->vgpu[0], (8 + at_work * roll(4)) * SEC, (150 + roll(20)) * MIB, roll(100) * 1000, 0);
                if (gone)
                        use(&gone->vgpu[0], roll(5) * SEC, 20 * MIB, 0, 0);
                pass();
                if (gone && i == minutes / 2 && fgd_vgpus_delete(manager, gone, &problem) == 0)
                        gone = NULL;
        }
        (void)idle;
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return x < y ? -1 : x > y;
}

/* ms, the median. */
static double chart(const char *path, const char *query, size_t *ret_size)
{
        double ms[31];
        for (int i = 0; i < 31; i++) {
                uint64_t start = fg_now();
                ask("GET", path, query, NULL, ret_size);
                ms[i] = (double)(fg_now() - start) / 1e6;
        }
        qsort(ms, 31, sizeof ms[0], by_value);
        return ms[15];
}

/* Once the daemon has ended. */
static double bytes_of(const char *folder)
{
        char path[256];
        struct stat st = {0};
        snprintf(path, sizeof path, "%s/history.db", folder);
        stat(path, &st);
        return (double)st.st_size;
}

/* Every figure of every vGPU differs in every minute: the worst that there can be. */
static void make_many(uint32_t count, int64_t minutes)
{
        struct fgd_set *set = create("many", count, 1ull << 30, 1, FG_MODE_SHARE);
        uint64_t feed = 0, save = 0, worst = 0;
        size_t size;
        ask("PUT", "/v1/devices/0/calibration", NULL, "{\"native_ppm\": 965000}", NULL);
        for (int64_t i = 0; i < minutes; i++) {
                for (uint32_t v = 0; v < count; v++)
                        use(&set->vgpu[v], roll(60000000 / count * 2), (1 + roll(1u << 18)) << 12, roll(MINUTE), roll(30) == 0);
                uint64_t start = fg_now();
                now.real += MINUTE, now.boot += MINUTE, now.awake += MINUTE;
                fgd_metering_now(manager);
                uint64_t settled = fg_now();
                fgd_history_save(manager);
                feed += settled - start;
                save += fg_now() - settled;
                worst = fg_now() - start > worst ? fg_now() - start : worst;
        }
        double vgpu = chart("/v1/vgpus/many/0/history", NULL, &size), fine = chart("/v1/vgpus/many/0/history", "step=60", NULL);
        double project = chart("/v1/projects/default/history", NULL, NULL), rows = chart("/v1/history", "limit=100", NULL);
        printf("{\"vgpus\": %u, \"minutes\": %lld, \"minute_ms\": %.3f, \"save_ms\": %.3f, \"worst_ms\": %.3f, \"chart_ms\": %.3f, "
               "\"chart_by_the_minute_ms\": %.3f, \"project_chart_ms\": %.3f, \"rows_ms\": %.3f, \"chart_bytes\": %zu, ",
               count, (long long)minutes, (double)feed / (double)minutes / 1e6, (double)save / (double)minutes / 1e6, (double)worst / 1e6,
               vgpu, fine, project, rows, size);
}

int main(int argc, char **argv)
{
        bool is_many = argc == 6 && strcmp(argv[1], "--many") == 0;
        if (!is_many && argc != 4)
                die("usage", "history-make [--many N] FOLDER START MINUTES");
        char **args = argv + (is_many ? 3 : 1);
        fg_log_set_level(0);
        fgd_hash_start();
        begin(args[0], atoll(args[1]), is_many ? 1ull << 42 : 1ull << 30, !is_many);
        if (is_many)
                make_many((uint32_t)atoi(argv[2]), atoll(args[2]));
        else
                make_all_kinds(atoll(args[2]));
        fgd_manager_free(manager);
        if (is_many)
                printf("\"bytes\": %.0f}\n", bytes_of(args[0]));
        return 0;
}
