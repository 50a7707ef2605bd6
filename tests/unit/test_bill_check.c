/* SPDX-License-Identifier: Apache-2.0
 * Every way of tampering with a log, at every record: it is found, and the record is named. */
#include "unit.h"
#include "bill_world.h"

#include <errno.h>

struct finding {
        int64_t record;
        char type[24], text[256];
};
struct outcome {
        struct finding first;
        size_t count;
        struct fg_bill_verdict verdict;
};

static void on_found(void *user, int64_t record, const char *type, const char *text)
{
        struct outcome *outcome = user;
        if (outcome->count++ == 0) {
                outcome->first.record = record;
                snprintf(outcome->first.type, sizeof(outcome->first.type), "%s", type);
                snprintf(outcome->first.text, sizeof(outcome->first.text), "%s", text);
        }
}

static struct outcome check(const struct world *world, const struct world *hashes, const char *note, const char *older)
{
        struct outcome outcome = {0};
        const char *notes[2] = {note, older};
        FILE *records = world_file(world), *kept = hashes ? world_hashes(hashes) : NULL;
        struct fg_bill_log log = {.records = records, .hashes = kept, .note = notes, .notes = note ? (older ? 2 : 1) : 0};
        struct fg_bill_books *books = NULL;
        assert_int_equal(fg_bill_books_new(&books), 0);
        assert_int_equal(fg_bill_check(&log, books, on_found, &outcome, &outcome.verdict, NULL), 0);
        assert_int_equal(outcome.count, outcome.verdict.findings);
        fg_bill_books_free(books);
        fclose(records);
        if (kept)
                fclose(kept);
        return outcome;
}

struct log {
        struct world world;
        char note[FG_TLOG_NOTE_MAX];
};

static void log_begin(struct log *log)
{
        world_november(&log->world, 11);
        world_sign(&log->world, log->note);
}

/* A shallow copy, so that lines can be put elsewhere. */
static struct world *copy_of(const struct log *log)
{
        struct world *copy = malloc(sizeof(*copy));
        assert_non_null(copy);
        *copy = log->world;
        return copy;
}

static void assert_names(const struct outcome *outcome, int64_t record)
{
        if (outcome->count == 0 || outcome->first.record != record)
                fail_msg("record %lld: %zu findings, the first of %lld (%s): %s", (long long)record, outcome->count,
                         (long long)outcome->first.record, outcome->first.type, outcome->first.text);
}

static void test_nothing_is_found_in_a_true_log(void **state)
{
        struct log log;
        log_begin(&log);
        struct outcome outcome = check(&log.world, &log.world, log.note, NULL);
        assert_int_equal(outcome.count, 0);
        assert_int_equal(outcome.verdict.records, log.world.count);
        assert_int_equal(outcome.verdict.invoices, 3);
        assert_int_equal(outcome.verdict.torn, 0);
        assert_false(outcome.verdict.are_hashes_stale);
        outcome = check(&log.world, NULL, NULL, NULL);
        assert_int_equal(outcome.count, 0);
        world_end(&log.world);
}

/* Every digit and letter of every record that can be another one. */
static void test_every_edit_is_named(void **state)
{
        struct log log;
        uint64_t random = 5;
        size_t edits = 0;
        log_begin(&log);
        struct world *copy = copy_of(&log);
        for (size_t i = 0; i < copy->count; i++)
                for (int turn = 0; turn < 12; turn++) {
                        char *line = strdup(copy->line[i]), *old = copy->line[i];
                        size_t at = unit_random(&random) % strlen(line);
                        line[at] = (char)(line[at] == '9' ? '8' : line[at] + 1);
                        if (line[at] == '\n' || line[at] == '\0')
                                line[at] = 'x';
                        copy->line[i] = line;
                        struct outcome outcome = check(copy, &log.world, log.note, NULL);
                        /* A changed seq is a record that is missing, and one that is elsewhere. */
                        if (i > 0 && strncmp(strstr(old, "\"seq\""), line + (strstr(old, "\"seq\"") - old), 10) == 0)
                                assert_names(&outcome, (int64_t)i);
                        else
                                assert_true(outcome.count > 0);
                        copy->line[i] = old;
                        free(line);
                        edits++;
                }
        assert_true(edits > 1000);
        free(copy);
        world_end(&log.world);
}

static void test_every_deletion_is_named(void **state)
{
        struct log log;
        log_begin(&log);
        for (size_t i = 1; i < log.world.count; i++) {
                struct world *copy = copy_of(&log);
                memmove(&copy->line[i], &copy->line[i + 1], (copy->count - i - 1) * sizeof(copy->line[0]));
                copy->count--;
                struct outcome outcome = check(copy, &log.world, log.note, NULL);
                assert_names(&outcome, (int64_t)i);
                /* Without hashes as well: by the numbers. */
                outcome = check(copy, NULL, log.note, NULL);
                assert_names(&outcome, (int64_t)i);
                free(copy);
        }
        world_end(&log.world);
}

static void test_every_reorder_is_named(void **state)
{
        struct log log;
        log_begin(&log);
        for (size_t i = 1; i + 1 < log.world.count; i++) {
                struct world *copy = copy_of(&log);
                char *line = copy->line[i];
                copy->line[i] = copy->line[i + 1], copy->line[i + 1] = line;
                struct outcome outcome = check(copy, NULL, log.note, NULL);
                assert_names(&outcome, (int64_t)i);
                free(copy);
        }
        world_end(&log.world);
}

static void test_every_replay_is_named(void **state)
{
        struct log log;
        log_begin(&log);
        for (size_t i = 1; i < log.world.count; i++) {
                struct world *copy = copy_of(&log);
                copy->line[copy->count++] = copy->line[i];
                struct outcome outcome = check(copy, &log.world, log.note, NULL);
                assert_names(&outcome, (int64_t)i);
                free(copy);
        }
        world_end(&log.world);
}

static void test_every_truncation_is_named(void **state)
{
        struct log log;
        log_begin(&log);
        for (size_t i = 1; i < log.world.count; i++) {
                struct world *copy = copy_of(&log);
                copy->count = i;
                struct outcome outcome = check(copy, &log.world, log.note, NULL);
                assert_names(&outcome, (int64_t)i);
                free(copy);
        }
        world_end(&log.world);
}

/* The operator writes another history, which is consistent in itself, and signs it: whoever kept a checkpoint knows. */
static void test_a_fork_is_found_by_an_older_checkpoint(void **state)
{
        struct log log;
        struct world other;
        char note[FG_TLOG_NOTE_MAX];
        log_begin(&log);
        world_november(&other, 12);
        world_sign(&other, note);
        struct outcome outcome = check(&other, &other, note, NULL);
        assert_int_equal(outcome.count, 0);
        outcome = check(&other, &other, note, log.note);
        assert_true(outcome.count > 0);
        assert_string_equal(outcome.first.type, "checkpoint");
        world_end(&other);
        world_end(&log.world);
}

/* A record replayed under a new number, everything behind it made to fit: the books object. */
static void test_a_window_is_billed_once(void **state)
{
        struct log log;
        struct fg_bill_record record;
        struct fg_error err = {0};
        log_begin(&log);
        for (size_t i = 0; i < log.world.count; i++) {
                if (log.world.type[i] == FG_BILL_USAGE || (log.world.type[i] == FG_BILL_PRICE))
                        continue;
                assert_int_equal(fg_bill_read(log.world.line[i], strlen(log.world.line[i]), &record, NULL), 0);
                record.seq = fg_bill_books_next(log.world.books);
                int r = fg_bill_books_offer(log.world.books, &record, &err);
                if (record.type == FG_BILL_GAP || record.type == FG_BILL_BUDGET)
                        assert_int_equal(r, 1);
                else
                        assert_int_equal(r, -EBADMSG);
                fg_bill_books_drop(log.world.books);
        }
        world_end(&log.world);
}

/* Cut at any byte behind what was signed: torn, nothing found, and all whole groups kept. */
static void test_a_torn_tail_is_no_tampering(void **state)
{
        struct log log;
        char small[FG_TLOG_NOTE_MAX];
        world_begin(&log.world, 3);
        world_prices(&log.world, "currency,price\nEUR,1\n", WORLD_START);
        world_window(&log.world, "d0", WORLD_START, 2);
        world_sign(&log.world, small);
        size_t whole = log.world.count;
        world_window(&log.world, "d0", WORLD_START + 60, 4);
        FILE *f = world_file(&log.world);
        fseek(f, 0, SEEK_END);
        long end = ftell(f), start = 0;
        for (size_t i = 0; i < whole; i++)
                start += (long)strlen(log.world.line[i]) + 1;
        for (long cut = start; cut < end; cut++) {
                struct outcome outcome = {0};
                const char *note = small;
                struct fg_bill_books *books = NULL;
                assert_int_equal(ftruncate(fileno(f), end), 0);
                fclose(f);
                f = world_file(&log.world);
                assert_int_equal(ftruncate(fileno(f), cut), 0);
                struct fg_bill_log view = {.records = f, .note = &note, .notes = 1};
                assert_int_equal(fg_bill_books_new(&books), 0);
                assert_int_equal(fg_bill_check(&view, books, on_found, &outcome, &outcome.verdict, NULL), 0);
                if (outcome.count)
                        fail_msg("cut at %ld: %s", cut, outcome.first.text);
                assert_int_equal(outcome.verdict.records, whole);
                assert_int_equal(outcome.verdict.bytes, start);
                assert_int_equal(outcome.verdict.torn, cut - start);
                assert_int_equal(fg_bill_books_next(books), whole);
                fg_bill_books_free(books);
        }
        fclose(f);
        world_end(&log.world);
}

static void test_a_damaged_checkpoint_is_found(void **state)
{
        struct log log;
        log_begin(&log);
        log.note[strlen(log.note) - 5] ^= 1;
        struct outcome outcome = check(&log.world, &log.world, log.note, NULL);
        assert_true(outcome.count > 0);
        assert_string_equal(outcome.first.type, "checkpoint");
        world_end(&log.world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_is_found_in_a_true_log),
                cmocka_unit_test(test_every_edit_is_named),
                cmocka_unit_test(test_every_deletion_is_named),
                cmocka_unit_test(test_every_reorder_is_named),
                cmocka_unit_test(test_every_replay_is_named),
                cmocka_unit_test(test_every_truncation_is_named),
                cmocka_unit_test(test_a_fork_is_found_by_an_older_checkpoint),
                cmocka_unit_test(test_a_window_is_billed_once),
                cmocka_unit_test(test_a_torn_tail_is_no_tampering),
                cmocka_unit_test(test_a_damaged_checkpoint_is_found),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
