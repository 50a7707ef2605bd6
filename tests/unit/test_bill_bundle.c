/* SPDX-License-Identifier: Apache-2.0
 * An invoice checked from one file: each change to it is found, and the record named. */
#include "unit.h"
#include "bill_world.h"
#include "bill/bundle.h"

#include <errno.h>

struct outcome {
        size_t count;
        int64_t record; /* of the first finding */
        char text[256];
        int r;
        int64_t payable, usages;
};

static void on_found(void *user, int64_t record, const char *type, const char *text)
{
        struct outcome *outcome = user;
        if (outcome->count++ == 0) {
                outcome->record = record;
                snprintf(outcome->text, sizeof(outcome->text), "%s: %s", type, text);
        }
}

static int read_leaf(void *user, uint64_t index, struct fg_tlog_hash *ret)
{
        *ret = ((struct world *)user)->leaf[index];
        return 0;
}

/* Of project lab's invoice: which records are in it. */
static size_t choose(const struct world *world, int64_t ret[WORLD_RECORDS])
{
        size_t count = 0;
        int64_t window = -1;
        for (size_t i = 0; i < world->count; i++) {
                struct fg_bill_record record;
                assert_int_equal(fg_bill_read(world->line[i], strlen(world->line[i]), &record, NULL), 0);
                if (record.type == FG_BILL_WINDOW)
                        window = (int64_t)i;
                if (record.type == FG_BILL_NODE || record.type == FG_BILL_PRICE)
                        ret[count++] = (int64_t)i;
                if (record.type == FG_BILL_USAGE && strcmp(record.usage.project, "lab") == 0) {
                        if (window >= 0)
                                ret[count++] = window;
                        window = -1;
                        ret[count++] = (int64_t)i;
                }
                if (record.type == FG_BILL_INVOICE && strcmp(record.invoice.project, "lab") == 0) {
                        ret[count++] = (int64_t)i;
                        break;
                }
        }
        return count;
}

/* `text` of record number `changed` instead of the true one; without record `left_out`. */
static FILE *write_bundle(struct world *world, int64_t changed, const char *text, int64_t left_out)
{
        int64_t chosen[WORLD_RECORDS];
        size_t count = choose(world, chosen);
        char note[FG_TLOG_NOTE_MAX], key[FG_TLOG_BASE64(32)];
        FILE *f = tmpfile();
        world_sign(world, note);
        fg_tlog_base64(world->key.public, 32, key, sizeof(key));
        assert_int_equal(fg_bill_bundle_head(f, key, note), 0);
        for (size_t i = 0; i < count; i++) {
                struct fg_tlog_proof proof;
                if (chosen[i] == left_out)
                        continue;
                assert_int_equal(fg_tlog_prove(read_leaf, world, (uint64_t)chosen[i], world->count, &proof), 0);
                assert_int_equal(fg_bill_bundle_record(f, chosen[i], chosen[i] == changed ? text : world->line[chosen[i]], &proof), 0);
        }
        assert_int_equal(fg_bill_bundle_end(f), 0);
        rewind(f);
        return f;
}

static struct outcome check(FILE *f, const uint8_t *public)
{
        FG_CLEANUP(fg_bill_cleanup_bundlep) struct fg_bill_bundle bundle = {0};
        struct outcome outcome = {.record = -2};
        struct fg_error err = {0};
        outcome.r = fg_bill_bundle_check(f, public, on_found, &outcome, &bundle, &err);
        outcome.payable = bundle.invoice.payable;
        outcome.usages = bundle.usages;
        fclose(f);
        return outcome;
}

static void test_a_true_bundle(void **state)
{
        struct world world;
        world_november(&world, 11);
        struct outcome outcome = check(write_bundle(&world, -1, NULL, -1), world.key.public);
        assert_int_equal(outcome.r, 0);
        if (outcome.count)
                fail_msg("record %lld %s", (long long)outcome.record, outcome.text);
        assert_true(outcome.payable > 0 && outcome.usages > 20);
        world_end(&world);
}

static void test_another_key_is_said(void **state)
{
        struct world world;
        uint8_t other[32] = {1};
        world_november(&world, 11);
        struct outcome outcome = check(write_bundle(&world, -1, NULL, -1), other);
        assert_true(outcome.r == 0 && outcome.count > 0);
        world_end(&world);
}

static void test_every_edit_is_named(void **state)
{
        struct world world;
        int64_t chosen[WORLD_RECORDS];
        uint64_t random = 9;
        world_november(&world, 11);
        size_t count = choose(&world, chosen);
        for (size_t i = 0; i < count; i++)
                for (int turn = 0; turn < 8; turn++) {
                        char *text = strdup(world.line[chosen[i]]);
                        size_t at = unit_random(&random) % strlen(text);
                        text[at] = (char)(text[at] == '5' ? '6' : '5');
                        struct outcome outcome = check(write_bundle(&world, chosen[i], text, -1), world.key.public);
                        assert_int_equal(outcome.r, 0);
                        assert_true(outcome.count > 0);
                        assert_int_equal(outcome.record, chosen[i]);
                        free(text);
                }
        world_end(&world);
}

static void test_every_omission_is_found(void **state)
{
        struct world world;
        int64_t chosen[WORLD_RECORDS];
        world_november(&world, 11);
        size_t count = choose(&world, chosen);
        for (size_t i = 0; i < count; i++) {
                struct outcome outcome = check(write_bundle(&world, -1, NULL, chosen[i]), world.key.public);
                if (outcome.count == 0)
                        fail_msg("without record %lld nothing is found", (long long)chosen[i]);
        }
        world_end(&world);
}

/* Bytes of the file itself, also cut short: never a crash, never silence. */
static void test_no_byte_can_change(void **state)
{
        struct world world;
        world_november(&world, 11);
        FILE *f = write_bundle(&world, -1, NULL, -1);
        fseek(f, 0, SEEK_END);
        size_t size = (size_t)ftell(f);
        char *bytes = malloc(size);
        rewind(f);
        assert_int_equal(fread(bytes, 1, size, f), size);
        fclose(f);
        uint64_t random = 4;
        for (int i = 0; i < 600; i++) {
                size_t at = unit_random(&random) % size, cut = i % 3 ? size : at;
                char old = bytes[at];
                bytes[at] = (char)(old ^ (1 << unit_random(&random) % 7));
                f = tmpfile();
                assert_int_equal(fwrite(bytes, 1, cut, f), cut);
                rewind(f);
                struct outcome outcome = check(f, world.key.public);
                assert_true(outcome.r == -EBADMSG || outcome.count > 0);
                bytes[at] = old;
        }
        free(bytes);
        world_end(&world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_true_bundle),           cmocka_unit_test(test_another_key_is_said),
                cmocka_unit_test(test_every_edit_is_named),     cmocka_unit_test(test_every_omission_is_found),
                cmocka_unit_test(test_no_byte_can_change),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
