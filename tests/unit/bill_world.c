/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "bill_world.h"

static const char *const projects[] = {"lab", "vision", "ops"};

static void put(struct world *world, const struct fg_bill_record *record)
{
        struct fg_tlog_record text;
        struct fg_error err = {0};
        if (fg_bill_write(record, &text, &err) < 0)
                fail_msg("record %zu cannot be written: %s", world->count, err.text);
        assert_true(world->count < WORLD_RECORDS);
        world->line[world->count] = strdup(text.text);
        world->type[world->count] = record->type;
        fg_tlog_leaf(text.text, text.size, &world->leaf[world->count]);
        fg_tlog_append(&world->tree, &world->leaf[world->count]);
        world->count++;
}

static int offer(struct world *world, const struct fg_bill_record *record)
{
        struct fg_error err = {0};
        int r = fg_bill_books_offer(world->books, record, &err);
        if (r < 0)
                fail_msg("record %zu: %s", world->count, err.text);
        if (r == 1)
                fg_bill_books_commit(world->books);
        put(world, record);
        return r;
}

void world_add(struct world *world, struct fg_bill_record *record)
{
        record->seq = fg_bill_books_next(world->books);
        assert_int_equal(offer(world, record), 1);
}

void world_begin(struct world *world, uint64_t seed)
{
        uint8_t bytes[32] = {7};
        struct fg_bill_record node = {.type = FG_BILL_NODE, .node = {.time = WORLD_START, .node = "n7", .format = FG_BILL_FORMAT}};
        *world = (struct world){.random = seed};
        fg_tlog_key_from_seed(bytes, &world->key);
        fg_tlog_base64(world->key.public, 32, node.node.key, sizeof(node.node.key));
        assert_int_equal(fg_bill_books_new(&world->books), 0);
        world_add(world, &node);
}

void world_prices(struct world *world, const char *csv, int64_t time)
{
        struct fg_bill_prices prices;
        struct fg_error err = {0};
        if (fg_bill_prices_parse(csv, strlen(csv), &prices, &err) < 0)
                fail_msg("%s", err.text);
        int64_t list = fg_bill_books_prices(world->books)->list + 1;
        for (size_t i = 0; i < prices.count; i++) {
                struct fg_bill_record row = {.type = FG_BILL_PRICE, .price = prices.row[i]};
                row.seq = fg_bill_books_next(world->books);
                row.price.time = time, row.price.list = list;
                assert_int_equal(offer(world, &row), i + 1 == prices.count);
        }
        fg_bill_prices_clear(&prices);
}

static void random_line(struct world *world, struct fg_meter_line *line)
{
        uint32_t share = (uint32_t)(unit_random(&world->random) % 500000), memory = (uint32_t)(unit_random(&world->random) % 500000);
        struct fg_meter_segment first = {0, memory, share, unit_random(&world->random) % 3 == 0, FG_METER_RUN};
        *line = (struct fg_meter_line){.segments = 0};
        fg_meter_change(line, 0, &first);
        for (unsigned i = 0; i < unit_random(&world->random) % 3; i++) {
                first.state = (enum fg_meter_state)(unit_random(&world->random) % FG_METER_STATES);
                first.share_ppm = (uint32_t)(unit_random(&world->random) % 500000);
                fg_meter_change(line, (int64_t)(i + 1) * 10000000 + (int64_t)(unit_random(&world->random) % 1000), &first);
        }
        line->end = FG_METER_WINDOW_US;
        line->busy_us = (int64_t)(unit_random(&world->random) % 40000000);
        line->busy_cap_us = strcmp(fg_bill_mode(line), "cap") == 0 ? line->busy_us : 0;
        line->busy_us -= line->busy_cap_us;
}

static struct fg_bill_record usage_of(const struct world *world, const struct fg_meter_line *line, const char *device, int number)
{
        struct fg_bill_record record = {.type = FG_BILL_USAGE};
        struct fg_bill_usage *u = &record.usage;
        snprintf(u->vgpu, sizeof(u->vgpu), "vgpu-%s-%d", device, number);
        snprintf(u->name, sizeof(u->name), "train%d", number);
        snprintf(u->project, sizeof(u->project), "%s", projects[number % 3]);
        snprintf(u->user, sizeof(u->user), "ada");
        snprintf(u->mode, sizeof(u->mode), "%s", fg_bill_mode(line));
        assert_int_equal(fg_bill_segments_write(line, u->segments), 0);
        u->begin = line->begin, u->end = line->end, u->busy = line->busy_us, u->busy_cap = line->busy_cap_us;
        u->conserved = line->conserved_us, u->conserved_cap = line->conserved_cap_us, u->reserved = line->reserved;
        u->burst = line->burst, u->surcharge = line->surcharge, u->unused = line->unused;
        u->credit = line->credit, u->rebate = line->rebate;
        assert_int_equal(fg_bill_books_place(world->books, u), 0);
        return record;
}

void world_window(struct world *world, const char *device, int64_t start, int vgpus)
{
        struct fg_meter_line line[16], *view[16];
        struct fg_meter_window window = {.wall_us = FG_METER_WINDOW_US, .beta_ppm = 500000};
        struct fg_bill_record head = {.type = FG_BILL_WINDOW, .window = {.start = start, .wall = window.wall_us,
                                      .beta = window.beta_ppm, .lines = vgpus, .model = "Test GPU", .boot = "b"}};
        assert_true(vgpus > 0 && vgpus <= 16);
        for (int i = 0; i < vgpus; i++) {
                random_line(world, &line[i]);
                view[i] = &line[i];
        }
        assert_int_equal(fg_meter_settle(&window, view, (size_t)vgpus, NULL), 0);
        snprintf(head.window.device, sizeof(head.window.device), "%s", device);
        head.window.idle = window.idle;
        head.seq = fg_bill_books_next(world->books);
        assert_int_equal(offer(world, &head), 0);
        for (int i = 0; i < vgpus; i++) {
                struct fg_bill_record usage = usage_of(world, &line[i], device, i);
                assert_int_equal(offer(world, &usage), i + 1 == vgpus);
        }
}

void world_invoice(struct world *world, const char *project, const char *currency, int64_t from, int64_t until, const char *number)
{
        FG_CLEANUP(fg_bill_cleanup_billp) struct fg_bill_bill bill = {0};
        struct fg_bill_record record = {.type = FG_BILL_INVOICE};
        assert_int_equal(fg_bill_make(fg_bill_books_sums(world->books), project, currency, from, until, number, &bill, NULL), 0);
        assert_int_equal(fg_bill_record_of(&bill, &record.invoice), 0);
        record.invoice.time = until;
        world_add(world, &record);
}

void world_november(struct world *world, uint64_t seed)
{
        int64_t end = WORLD_START + 30 * 86400;
        world_begin(world, seed);
        world_prices(world, "device,model,class,from,until,currency,price\n,,,,,EUR,2.00\n,Test GPU,cap,,,EUR,2.40\n", WORLD_START);
        struct fg_bill_record budget = {.type = FG_BILL_BUDGET, .budget = {.time = WORLD_START, .project = "lab", .currency = "EUR",
                                        .amount = 100000000000, .on_limit = "suspend"}};
        world_add(world, &budget);
        for (int day = 0; day < 8; day++) {
                world_window(world, "d0", WORLD_START + day * 86400, 1 + (int)(unit_random(&world->random) % 6));
                world_window(world, "d1", WORLD_START + day * 86400, 1 + (int)(unit_random(&world->random) % 6));
                world_window(world, "d0", WORLD_START + day * 86400 + 60, 3);
                if (day == 4)
                        world_prices(world, "currency,price\nEUR,3.5\n", WORLD_START + 5 * 86400);
        }
        struct fg_bill_record gap = {.type = FG_BILL_GAP, .gap = {.start = end - 600, .until = end - 60, .reason = "down"}};
        world_add(world, &gap);
        for (int i = 0; i < 3; i++) {
                char number[64];
                snprintf(number, sizeof(number), "%s-2026-11-1", projects[i]);
                world_invoice(world, projects[i], "EUR", WORLD_START, end, number);
        }
        world_window(world, "d0", end, 3);
}

void world_end(struct world *world)
{
        for (size_t i = 0; i < world->count; i++)
                free(world->line[i]);
        fg_bill_books_free(world->books);
}

void world_sign(const struct world *world, char ret[FG_TLOG_NOTE_MAX])
{
        struct fg_tlog_checkpoint checkpoint = {.origin = "fastgpu/n7", .size = world->tree.size, .time = WORLD_START};
        fg_tlog_root(&world->tree, &checkpoint.root);
        assert_int_equal(fg_tlog_sign(&checkpoint, &world->key, ret), 0);
}

FILE *world_file(const struct world *world)
{
        FILE *f = tmpfile();
        assert_non_null(f);
        for (size_t i = 0; i < world->count; i++)
                fprintf(f, "%s\n", world->line[i]);
        fflush(f);
        return f;
}

FILE *world_hashes(const struct world *world)
{
        FILE *f = tmpfile();
        assert_non_null(f);
        fwrite(world->leaf, sizeof(world->leaf[0]), world->count, f);
        fflush(f);
        return f;
}
