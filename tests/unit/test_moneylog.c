/* SPDX-License-Identifier: Apache-2.0
 * The log of money on a disk that fails and under a daemon that is killed: at every call that changes a file. */
#include "unit.h"
#include "moneylog_make.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOWS 2

/* What the next calls do. */
static struct {
        int left; /* calls until it happens; below 0: never */
        int code; /* this error, after half of the bytes; 0: the process dies */
        bool goes_on; /* and at every call after it */
        bool has_struck;
} fault = {.left = -1};

static bool strikes(void)
{
        if (fault.left < 0)
                return false;
        if (fault.left > 0) {
                fault.left--;
                return false;
        }
        fault.has_struck = true;
        if (!fault.goes_on)
                fault.left = -1;
        return true;
}

static int strike(void)
{
        if (fault.code == 0)
                raise(SIGKILL);
        errno = fault.code;
        return -1;
}

ssize_t __real_pwrite64(int fd, const void *data, size_t size, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t at)
{
        if (!strikes())
                return __real_pwrite64(fd, data, size, at);
        if (size > 1 && __real_pwrite64(fd, data, size / 2, at) < 0)
                return -1;
        return strike();
}

#define WRAP(name, parameters, arguments)  \
        int __real_##name parameters;      \
        int __wrap_##name parameters;      \
        int __wrap_##name parameters       \
        {                                  \
                if (strikes())             \
                        return strike();     \
                return __real_##name arguments; \
        }
/* Who is killed leaves what he wrote, on the disk or not: there is nothing to wait for. */
#define WRAP_SYNC(name)              \
        int __wrap_##name(int fd);   \
        int __wrap_##name(int fd)    \
        {                            \
                return strikes() ? strike() : 0; \
        }
WRAP_SYNC(fsync)
WRAP_SYNC(fdatasync)
WRAP(ftruncate64, (int fd, off_t size), (fd, size))
WRAP(renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))

/* Whatever is not on record yet, in order; says in *acknowledged how many groups were. 0: all is done. */
static int story(const char *folder, volatile int *acknowledged)
{
        struct fgd_moneylog *log = NULL;
        size_t invoices;
        int r = fgd_moneylog_open(folder, START, &log, NULL);
        if (r < 0)
                return r;
        assert_string_equal(fgd_moneylog_trouble(log), "");
        if ((r = prices(log)) == 0)
                *acknowledged = *acknowledged > 1 ? *acknowledged : 1;
        for (int i = 0; r == 0 && i < WINDOWS; i++) {
                if (fg_bill_books_last_window(fgd_moneylog_books(log), "d0") >= START + i * 60)
                        continue;
                r = window(log, START + i * 60, NULL);
                if (r == 0)
                        *acknowledged = i + 2;
                if (r == 0)
                        r = fgd_moneylog_sign(log, START, NULL);
                if (r == 0 && i == 0)
                        r = fgd_moneylog_keep(log, START, NULL);
        }
        fg_bill_books_invoices(fgd_moneylog_books(log), &invoices);
        if (r == 0 && invoices == 0)
                r = fgd_moneylog_invoice(log, "lab", "EUR", START, START + 30 * 86400, START, NULL);
        if (r == 0)
                r = fgd_moneylog_sign(log, START, NULL);
        if (r == 0)
                r = fgd_moneylog_keep(log, START, NULL);
        fgd_moneylog_close(log);
        return r;
}

static void on_found(void *user, int64_t record, const char *type, const char *text)
{
        fail_msg("record %lld (%s): %s", (long long)record, type, text);
}

static struct fg_bill_verdict verdict_of(const char *folder)
{
        struct fg_bill_verdict verdict = {0};
        struct fg_error err = {0};
        if (fgd_moneylog_check(folder, on_found, NULL, &verdict, &err) < 0)
                fail_msg("%s", err.text);
        return verdict;
}

static void check_finished(const char *folder)
{
        struct fg_bill_verdict verdict = verdict_of(folder);
        assert_int_equal(verdict.records, 1 + 1 + WINDOWS * (VGPUS + 1) + 1);
        assert_int_equal(verdict.invoices, 1);
        assert_int_equal(verdict.signed_size, verdict.records);
        assert_int_equal(verdict.torn, 0);
        assert_false(verdict.are_hashes_stale);
}

static void test_killed_at_every_call(void **state)
{
        volatile int *acknowledged = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int kills = 0;
        for (int at = 0;; at++) {
                char folder[64];
                int status;
                unit_make_folder(folder);
                *acknowledged = 0;
                pid_t child = fork();
                if (child == 0) {
                        fault.left = at, fault.code = 0;
                        _exit(story(folder, acknowledged) == 0 ? 0 : 1);
                }
                assert_int_equal(waitpid(child, &status, 0), child);
                bool is_done = WIFEXITED(status);
                if (is_done)
                        assert_int_equal(WEXITSTATUS(status), 0);
                else
                        kills++;
                /* All that was acknowledged is there, and at most the one group at hand besides. */
                int before = *acknowledged;
                struct fgd_moneylog *log = NULL;
                assert_int_equal(fgd_moneylog_open(folder, START, &log, NULL), 0);
                assert_string_equal(fgd_moneylog_trouble(log), "");
                int64_t last = fg_bill_books_last_window(fgd_moneylog_books(log), "d0");
                int windows = last < 0 ? 0 : (int)((last - START) / 60) + 1;
                assert_true(windows >= before - 1 && windows <= (before > 1 ? before : 1));
                uint64_t size = fgd_moneylog_size(log);
                fgd_moneylog_close(log);
                /* Opening again changes nothing. */
                assert_int_equal(fgd_moneylog_open(folder, START, &log, NULL), 0);
                assert_int_equal(fgd_moneylog_size(log), size);
                fgd_moneylog_close(log);
                assert_int_equal(story(folder, acknowledged), 0);
                check_finished(folder);
                unit_remove_folder(folder);
                if (is_done)
                        break;
        }
        assert_true(kills > 20);
}

/* Each call fails once, or from then on, with each error; when the disk is well again, all is written once. */
static void test_a_disk_that_fails(void **state)
{
        static const int codes[] = {ENOSPC, EIO};
        int acknowledged;
        for (unsigned i = 0; i < 2 * COUNT_OF(codes); i++)
                for (int at = 0;; at++) {
                        char folder[64];
                        unit_make_folder(folder);
                        fault.left = at, fault.code = codes[i / 2], fault.goes_on = i % 2, fault.has_struck = false;
                        story(folder, &acknowledged);
                        bool is_over = !fault.has_struck;
                        fault.left = -1;
                        assert_int_equal(story(folder, &acknowledged), 0);
                        check_finished(folder);
                        unit_remove_folder(folder);
                        if (is_over)
                                break;
                        assert_true(at < 200);
                }
}

/* The daemon that goes on living: what failed is offered again to the same log. */
static void test_a_group_is_offered_again(void **state)
{
        for (int at = 0; at < 12; at++)
                for (int goes_on = 0; goes_on < 2; goes_on++) {
                        char folder[64];
                        struct fgd_moneylog *log;
                        int acknowledged = 0;
                        unit_make_folder(folder);
                        assert_int_equal(fgd_moneylog_open(folder, START, &log, NULL), 0);
                        assert_int_equal(prices(log), 0);
                        fault.left = at, fault.code = ENOSPC, fault.goes_on = goes_on;
                        int r = window(log, START, NULL);
                        fault.left = -1;
                        if (r < 0)
                                assert_int_equal(window(log, START, NULL), 0);
                        else
                                assert_int_equal(window(log, START, NULL), -EBADMSG);
                        assert_int_equal(fgd_moneylog_size(log), 2 + VGPUS + 1);
                        fgd_moneylog_close(log);
                        assert_int_equal(story(folder, &acknowledged), 0);
                        check_finished(folder);
                        unit_remove_folder(folder);
                }
}

static void edit(const char *folder, const char *name, long at, int byte)
{
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        FILE *f = fopen(path, "r+");
        assert_non_null(f);
        assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
        fputc(byte, f);
        fclose(f);
}

static void gone(const char *folder, const char *name)
{
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        assert_int_equal(unlink(path), 0);
}

static void expect_trouble(const char *folder, const char *trouble)
{
        struct fgd_moneylog *log;
        struct fg_error err = {0};
        assert_int_equal(fgd_moneylog_open(folder, START, &log, NULL), 0);
        if (!strstr(fgd_moneylog_trouble(log), trouble))
                fail_msg("\"%s\" is not in \"%s\"", trouble, fgd_moneylog_trouble(log));
        if (*trouble) {
                assert_int_equal(window(log, START + 3600, &err), -EUCLEAN);
                assert_int_equal(fgd_moneylog_sign(log, START, &err), -EUCLEAN);
        }
        fgd_moneylog_close(log);
}

static void test_damage_is_said_and_nothing_is_written(void **state)
{
        int acknowledged = 0;
        char folder[64], path[128];
        struct stat before, after;
        for (int kind = 0; kind < 7; kind++) {
                unit_make_folder(folder);
                assert_int_equal(story(folder, &acknowledged), 0);
                snprintf(path, sizeof path, "%s/records.log", folder);
                switch (kind) {
                case 0: edit(folder, "records.log", 700, 'Q'), gone(folder, "books"); break;
                case 1: gone(folder, "records.log"); break;
                case 2: gone(folder, "key"); break;
                case 3: edit(folder, "key", 3, '!'); break;
                case 4: edit(folder, "checkpoint", -4, '~'); break;
                case 5: assert_int_equal(truncate(path, 1500), 0); break;
                case 6: edit(folder, "hashes", 40, 'x'); break;
                }
                bool is_there = stat(path, &before) == 0;
                expect_trouble(folder, ((const char *[]){"record ", "missing", "key is gone", "key is damaged", "checkpoint", "record 5", ""})[kind]);
                assert_int_equal(stat(path, &after), 0);
                assert_int_equal(after.st_size, is_there ? before.st_size : 0);
                unit_remove_folder(folder);
        }
}

/* Every record, every size, against what the checkpoint of that size would sign. */
static void test_proofs_of_a_log_that_was_opened_again(void **state)
{
        static struct fg_tlog_hash root[400], leaf[400];
        char folder[64], line[FG_TLOG_RECORD_MAX + 1];
        struct fgd_moneylog *log;
        struct fg_tlog_tree tree = {0};
        struct fg_tlog_proof proof;
        unit_make_folder(folder);
        assert_int_equal(fgd_moneylog_open(folder, START, &log, NULL), 0);
        for (int i = 0; i < 80; i++) {
                if (i == 40) {
                        fgd_moneylog_close(log);
                        assert_int_equal(fgd_moneylog_open(folder, START, &log, NULL), 0);
                }
                assert_int_equal(window(log, START + i * 60, NULL), 0);
        }
        uint64_t size = fgd_moneylog_size(log);
        assert_int_equal(size, 1 + 80 * (VGPUS + 1));
        for (uint64_t i = 0; i < size; i++) {
                size_t bytes;
                assert_int_equal(fgd_moneylog_line(log, i, line, &bytes), 0);
                fg_tlog_leaf(line, bytes, &leaf[i]);
                fg_tlog_append(&tree, &leaf[i]);
                fg_tlog_root(&tree, &root[i + 1]);
        }
        for (uint64_t n = 1; n <= size; n += 7)
                for (uint64_t i = 0; i < n; i++) {
                        assert_int_equal(fgd_moneylog_prove(log, i, n, &proof), 0);
                        assert_int_equal(fg_tlog_verify(&proof, i, n, &leaf[i], &root[n]), 0);
                        assert_int_equal(fgd_moneylog_prove_consistency(log, i + 1, n, &proof), 0);
                        assert_int_equal(fg_tlog_verify_consistency(&proof, i + 1, n, &root[i + 1], &root[n]), 0);
                }
        assert_int_equal(fgd_moneylog_prove(log, size, size, &proof), -EINVAL);
        assert_int_equal(fgd_moneylog_prove(log, 0, size + 1, &proof), -EINVAL);
        fgd_moneylog_close(log);
        unit_remove_folder(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_killed_at_every_call),
                cmocka_unit_test(test_a_disk_that_fails),
                cmocka_unit_test(test_a_group_is_offered_again),
                cmocka_unit_test(test_damage_is_said_and_nothing_is_written),
                cmocka_unit_test(test_proofs_of_a_log_that_was_opened_again),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
