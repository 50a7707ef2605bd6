/* SPDX-License-Identifier: Apache-2.0
 * A log that is opened from what was kept of it, and not read again: what it says then, and what is found by whom when somebody
 * has changed it meanwhile. */
#include "unit.h"
#include "moneylog_make.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINES   20000
#define SAMPLES 12 /* sizes, and records in each, whose proofs are made */

/* What a power cut leaves is test_moneylog.c's; here thousands of groups are written. */
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd)
{
        return 0;
}
int __wrap_fdatasync(int fd)
{
        return 0;
}

static struct fgd_moneylog *open_log(const char *folder)
{
        struct fgd_moneylog *log;
        struct fg_error err = {0};
        if (fgd_moneylog_open(folder, START, &log, &err) < 0)
                fail_msg("%s", err.text);
        return log;
}

static void sound(struct fgd_moneylog *log)
{
        if (*fgd_moneylog_trouble(log))
                fail_msg("%s", fgd_moneylog_trouble(log));
}

/* `windows` of them, with the books kept after `kept` (-1: never), a checkpoint of each day. */
static void make(const char *folder, int windows, int kept)
{
        struct fgd_moneylog *log = open_log(folder);
        struct fg_error err = {0};
        assert_int_equal(prices(log), 0);
        for (int i = 0; i <= windows; i++) {
                if (i == kept && fgd_moneylog_keep(log, START + i * 60, &err) < 0)
                        fail_msg("%s", err.text);
                if (i < windows && window(log, START + i * 60, &err) < 0)
                        fail_msg("%s", err.text);
        }
        assert_int_equal(fgd_moneylog_sign(log, START + windows * 60, NULL), 0);
        fgd_moneylog_close(log);
}

static void run(const char *format, ...)
{
        char command[512];
        va_list args;
        va_start(args, format);
        vsnprintf(command, sizeof command, format, args);
        va_end(args);
        assert_int_equal(system(command), 0);
}

/* Each record, and where it is in the tree, against the file itself. */
static void compare(struct fgd_moneylog *log, const char *folder)
{
        static struct fg_tlog_hash leaf[LINES], root[LINES + 1];
        struct fg_tlog_tree tree = {0};
        struct fg_tlog_proof proof;
        char path[128], line[FG_TLOG_RECORD_MAX + 1], text[FG_TLOG_RECORD_MAX + 2];
        size_t size;
        uint64_t count = 0, step = fgd_moneylog_size(log) / SAMPLES + 1;
        snprintf(path, sizeof path, "%s/records.log", folder);
        FILE *f = fopen(path, "r");
        for (; fgets(text, sizeof text, f); count++) {
                text[strcspn(text, "\n")] = 0;
                assert_int_equal(fgd_moneylog_line(log, count, line, &size), 0);
                assert_string_equal(line, text);
                fg_tlog_leaf(text, size, &leaf[count]);
                fg_tlog_append(&tree, &leaf[count]);
                fg_tlog_root(&tree, &root[count + 1]);
        }
        fclose(f);
        assert_int_equal(count, fgd_moneylog_size(log));
        assert_int_equal(fgd_moneylog_line(log, count, line, &size), -ENOENT);
        for (uint64_t n = count; n > 0; n = n > step ? n - step : 0)
                for (uint64_t i = 0; i < n; i += n / SAMPLES + 1) {
                        assert_int_equal(fgd_moneylog_prove(log, i, n, &proof), 0);
                        assert_int_equal(fg_tlog_verify(&proof, i, n, &leaf[i], &root[n]), 0);
                        assert_int_equal(fgd_moneylog_prove_consistency(log, i + 1, n, &proof), 0);
                        assert_int_equal(fg_tlog_verify_consistency(&proof, i + 1, n, &root[i + 1], &root[n]), 0);
                }
}

static void same_books(const struct fg_bill_books *a, const struct fg_bill_books *b)
{
        const struct fg_bill_sums *x = fg_bill_books_sums(a), *y = fg_bill_books_sums(b);
        char *text[2];
        size_t size[2];
        assert_int_equal(fg_bill_books_next(a), fg_bill_books_next(b));
        assert_int_equal(x->count, y->count);
        for (int i = 0; i < 2; i++) {
                FILE *f = open_memstream(&text[i], &size[i]);
                assert_int_equal(fg_bill_books_save(i ? b : a, f), 0);
                fclose(f);
        }
        assert_int_equal(size[0], size[1]);
        assert_int_equal(x->texts.count, y->texts.count);
        for (uint32_t i = 0; i < x->count; i++) {
                assert_true(fg_bill_cell_cost(&x->cell[i]) == fg_bill_cell_cost(&y->cell[i]));
                assert_int_equal(x->cell[i].records, y->cell[i].records);
                assert_int_equal(x->cell[i].last, y->cell[i].last);
        }
        free(text[0]);
        free(text[1]);
}

static int findings;
static int64_t named;

static void on_found(void *user, int64_t record, const char *type, const char *text)
{
        if (findings++ == 0)
                named = record;
}

static struct fg_bill_verdict check(const char *folder)
{
        struct fg_bill_verdict verdict = {0};
        findings = 0, named = -1;
        assert_int_equal(fgd_moneylog_check(folder, on_found, NULL, &verdict, NULL), 0);
        return verdict;
}

static void test_it_goes_on_from_what_was_kept(void **state)
{
        /* 2 + 4 * windows records: around a block, at its end, more than a node in memory. */
        static const int kept[] = {1, 15, 16, 31, 40, 1100};
        for (size_t i = 0; i < COUNT_OF(kept); i++) {
                char folder[64], other[64];
                unit_make_folder(folder);
                unit_make_folder(other);
                make(folder, kept[i] + 5, kept[i]);
                run("cp -r %s/. %s && rm %s/books", folder, other, other);
                struct fgd_moneylog *log = open_log(folder), *whole = open_log(other);
                sound(log);
                sound(whole);
                assert_int_equal(fgd_moneylog_trusted(log), 2 + 4 * kept[i]);
                assert_int_equal(fgd_moneylog_trusted(whole), 0);
                same_books(fgd_moneylog_books(log), fgd_moneylog_books(whole));
                compare(log, folder);
                for (int more = 0; more < 20; more++)
                        for (int at = 0; at < 2; at++)
                                assert_int_equal(window(at ? whole : log, START + (kept[i] + 5 + more) * 60, NULL), 0);
                assert_int_equal(window(log, START + kept[i] * 60, NULL), -EBADMSG); /* a minute from before */
                same_books(fgd_moneylog_books(log), fgd_moneylog_books(whole));
                compare(log, folder);
                assert_int_equal(fgd_moneylog_invoice(log, "lab", "EUR", START, START + 30 * 86400, START, NULL), 0);
                assert_int_equal(fgd_moneylog_invoice(log, "lab", "EUR", START, START + 30 * 86400, START, NULL), -EBADMSG);
                assert_int_equal(fgd_moneylog_keep(log, START, NULL), 0);
                fgd_moneylog_close(log);
                fgd_moneylog_close(whole);
                log = open_log(folder);
                sound(log);
                assert_int_equal(fgd_moneylog_trusted(log), fgd_moneylog_size(log));
                compare(log, folder);
                fgd_moneylog_close(log);
                assert_int_equal(check(folder).findings, 0);
                unit_remove_folder(folder);
                unit_remove_folder(other);
        }
}

enum tampering { EDIT, REORDER, DELETE, REPLAY, TRUNCATE, TAMPERINGS };

/* Of line `number`; what is moved is moved with its whole line. */
static void tamper(const char *folder, enum tampering how, int number)
{
        char path[128], text[FG_TLOG_RECORD_MAX + 2], held[FG_TLOG_RECORD_MAX + 2] = "", *at;
        char *out;
        size_t size;
        snprintf(path, sizeof path, "%s/records.log", folder);
        FILE *f = fopen(path, "r"), *to = open_memstream(&out, &size);
        for (int i = 0; fgets(text, sizeof text, f) && !(how == TRUNCATE && i == number); i++) {
                if (i == number && how == EDIT) {
                        at = strstr(text, "\"user\":\"ann\"");
                        assert_non_null(at);
                        at[8] = 'e';
                }
                if (i == number && how == DELETE)
                        continue;
                if (i == number && how == REORDER) {
                        strcpy(held, text);
                        continue;
                }
                fputs(text, to);
                if (i == number && how == REPLAY)
                        fputs(text, to);
                fputs(held, to);
                held[0] = 0;
        }
        fclose(f);
        fclose(to);
        f = fopen(path, "w");
        assert_int_equal(fwrite(out, 1, size, f), size);
        fclose(f);
        free(out);
}

/* Records of usage: 5 is in the part that was kept, 4 * 37 + 4 behind it. */
static void test_what_is_found_and_by_whom(void **state)
{
        for (int how = 0; how < TAMPERINGS; how++)
                for (int is_new = 0; is_new < 2; is_new++) {
                        char folder[64];
                        int number = is_new ? 4 * 37 + 4 : 4;
                        unit_make_folder(folder);
                        make(folder, 40, 35);
                        tamper(folder, (enum tampering)how, number);
                        check(folder);
                        assert_true(findings > 0);
                        assert_in_range(named, number, number + 1);
                        struct fgd_moneylog *log = open_log(folder);
                        /* What is as long as it was, in the part that is not read again, is found by the check alone. */
                        bool is_hidden = !is_new && (how == EDIT || how == REORDER);
                        assert_int_equal(!*fgd_moneylog_trouble(log), is_hidden);
                        if (!is_hidden) {
                                char word[32];
                                snprintf(word, sizeof word, "record %lld", (long long)named);
                                assert_non_null(strstr(fgd_moneylog_trouble(log), word));
                        }
                        fgd_moneylog_blame(log, "record 4: found by the check");
                        assert_int_equal(window(log, START + 86400, NULL), -EUCLEAN);
                        assert_int_equal(fgd_moneylog_keep(log, START, NULL), -EUCLEAN);
                        fgd_moneylog_close(log);
                        unit_remove_folder(folder);
                }
}

/* Another history by the same key in its place; or its own of before, with the checkpoint of then. */
static void test_another_log_or_an_older_one(void **state)
{
        for (int how = 0; how < 3; how++)
                for (int kept = 0; kept < 3; kept++) {
                        char folder[64], other[64];
                        unit_make_folder(folder);
                        unit_make_folder(other);
                        make(folder, 20, -1);
                        run("cp -r %s/. %s", folder, other); /* as it was */
                        if (how == 1) {
                                run("rm -r %s/[!k]*", other); /* another one from the beginning, longer than ours */
                                window_user = "eve";
                                make(other, 500, -1);
                                window_user = "ann";
                        } else if (how == 2) {
                                window_user = "eve"; /* another one from then on */
                                struct fgd_moneylog *log = open_log(other);
                                for (int i = 0; i < 100; i++)
                                        assert_int_equal(window(log, START + (20 + i) * 60, NULL), 0);
                                assert_int_equal(fgd_moneylog_sign(log, START + 9 * 3600, NULL), 0);
                                fgd_moneylog_close(log);
                                window_user = "ann";
                        }
                        struct fgd_moneylog *log = open_log(folder);
                        for (int i = 0; i < 60; i++)
                                assert_int_equal(window(log, START + (20 + i) * 60, NULL), 0);
                        assert_int_equal(fgd_moneylog_keep(log, START + 86400, NULL), 0); /* another day */
                        fgd_moneylog_close(log);
                        run("cp %s/records.log %s/hashes %s/index %s/checkpoint %s", other, other, other, other, folder);
                        if (kept == 1)
                                run("rm -r %s/checkpoints", folder); /* what was kept of the books knows */
                        if (kept == 2)
                                run("rm %s/books", folder); /* a day's checkpoint knows */
                        check(folder);
                        assert_true(findings > 0);
                        log = open_log(folder);
                        assert_true(*fgd_moneylog_trouble(log));
                        fgd_moneylog_close(log);
                        unit_remove_folder(folder);
                        unit_remove_folder(other);
                }
}

static void flip(const char *folder, const char *name, long at)
{
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        FILE *f = fopen(path, "r+");
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        int c = fgetc(f);
        assert_int_not_equal(c, EOF);
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        fputc(c ^ 1, f);
        fclose(f);
}

/* What is made of the records is made again, or said to be wrong; it is never believed. */
static void test_what_is_kept_is_damaged(void **state)
{
        struct stat st;
        char folder[64], other[64], path[128];
        unit_make_folder(folder);
        make(folder, 40, 40);
        snprintf(path, sizeof path, "%s/books", folder);
        assert_int_equal(stat(path, &st), 0);
        for (int i = 0; i < 40; i++) {
                unit_make_folder(other);
                run("cp -r %s/. %s", folder, other);
                if (i < 32)
                        flip(other, "books", i * (st.st_size - 1) / 31);
                else if (i < 36)
                        flip(other, "index", (i - 32) * 16 + 3);
                else if (i == 36)
                        run("truncate -s 1000 %s/books", other);
                else if (i == 37)
                        run("truncate -s 0 %s/index", other);
                else if (i == 38)
                        run("rm %s/index %s/hashes", other, other);
                else
                        flip(other, "hashes", 32 * 161);
                struct fgd_moneylog *log = open_log(other);
                sound(log);
                assert_int_equal(fgd_moneylog_trusted(log), 0);
                compare(log, other);
                assert_int_equal(window(log, START + 41 * 60, NULL), 0);
                compare(log, other);
                assert_int_equal(fgd_moneylog_keep(log, START, NULL), 0);
                fgd_moneylog_close(log);
                assert_int_equal(check(other).findings, 0);
                log = open_log(other);
                assert_int_equal(fgd_moneylog_trusted(log), fgd_moneylog_size(log));
                compare(log, other);
                fgd_moneylog_close(log);
                unit_remove_folder(other);
        }
        flip(folder, "hashes", 32 * 3); /* deep in what is not read again */
        assert_true(check(folder).are_hashes_wrong);
        struct fgd_moneylog *log = open_log(folder);
        assert_true(fgd_moneylog_trusted(log) > 0);
        fgd_moneylog_forget(log);
        fgd_moneylog_close(log);
        log = open_log(folder);
        assert_int_equal(fgd_moneylog_trusted(log), 0);
        compare(log, folder);
        fgd_moneylog_close(log);
        assert_false(check(folder).are_hashes_wrong);
        unit_remove_folder(folder);
}

static void test_bytes_that_are_no_books(void **state)
{
        char folder[64], *text;
        size_t size;
        uint64_t seed = 9;
        struct fg_bill_books *books = NULL;
        unit_make_folder(folder);
        make(folder, 3, -1);
        struct fgd_moneylog *log = open_log(folder);
        FILE *f = open_memstream(&text, &size);
        assert_int_equal(fg_bill_books_save(fgd_moneylog_books(log), f), 0);
        fclose(f);
        assert_int_equal(fg_bill_books_load(text, size, &books), 0);
        same_books(books, fgd_moneylog_books(log));
        fg_bill_books_free(books);
        for (size_t i = 0; i < size; i++) {
                char *copy = malloc(i + 1);
                memcpy(copy, text, i);
                assert_int_equal(fg_bill_books_load(copy, i, &books), -EBADMSG);
                free(copy);
        }
        for (int i = 0; i < 5000; i++) {
                size_t at = unit_random(&seed) % size;
                char before = text[at];
                text[at] = (char)unit_random(&seed);
                if (fg_bill_books_load(text, size, &books) == 0)
                        fg_bill_books_free(books); /* another number: what is signed cannot have it */
                text[at] = before;
        }
        free(text);
        fgd_moneylog_close(log);
        unit_remove_folder(folder);
}

static int count_days(const char *folder, char oldest[16])
{
        char path[128];
        int count = 0;
        snprintf(path, sizeof path, "%s/checkpoints", folder);
        DIR *dir = opendir(path);
        strcpy(oldest, "9");
        for (struct dirent *entry; (entry = readdir(dir));) {
                if (entry->d_name[0] == '.')
                        continue;
                if (strcmp(entry->d_name, oldest) < 0)
                        snprintf(oldest, 16, "%.10s", entry->d_name);
                count++;
        }
        closedir(dir);
        return count;
}

/* Each of the last 31 days, the first of each month before that; 60 at most. */
static void test_checkpoints_of_days(void **state)
{
        char folder[64], oldest[16];
        unit_make_folder(folder);
        struct fgd_moneylog *log = open_log(folder);
        for (int day = 0; day < 31 * 40; day++) {
                assert_int_equal(window(log, START + day * 86400ll, NULL), 0);
                assert_int_equal(fgd_moneylog_sign(log, START + day * 86400ll + 60, NULL), 0);
                assert_int_equal(window(log, START + day * 86400ll + 60, NULL), 0);
                assert_int_equal(fgd_moneylog_sign(log, START + day * 86400ll + 120, NULL), 0);
                if (day == 40) {
                        assert_int_equal(count_days(folder, oldest), 31 + 1);
                        assert_string_equal(oldest, "2026-11-01");
                        fgd_moneylog_close(log);
                        log = open_log(folder);
                }
        }
        assert_int_equal(count_days(folder, oldest), 60);
        assert_string_not_equal(oldest, "2026-11-01");
        fgd_moneylog_close(log);
        assert_int_equal(check(folder).findings, 0);
        run("rm %s/checkpoint %s/checkpoints/2029-*", folder, folder); /* what is left is still an honest word */
        assert_int_equal(check(folder).findings, 0);
        run("echo x > %s/checkpoints/2029-01-02", folder);
        assert_true(check(folder).findings > 0);
        unit_remove_folder(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_it_goes_on_from_what_was_kept),
                cmocka_unit_test(test_what_is_found_and_by_whom),
                cmocka_unit_test(test_another_log_or_an_older_one),
                cmocka_unit_test(test_what_is_kept_is_damaged),
                cmocka_unit_test(test_bytes_that_are_no_books),
                cmocka_unit_test(test_checkpoints_of_days),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
