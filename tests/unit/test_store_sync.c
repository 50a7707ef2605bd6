/* SPDX-License-Identifier: Apache-2.0
 * Commits that wait for the disk elsewhere: what is certain when, and what is there after the disk has failed. */
#include "unit.h"

#include "daemon/store_internal.h"
#include "daemon/store_journal.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <unistd.h>

#define LONG 60000 /* bytes of a text: 15 pages */

static char folder[64], path[PATH_MAX];
static struct fgd_store *store;
static sd_event *event;
static unsigned settled, failed;

/* The kernel tells one descriptor once that it has lost what was written: here the thread, the others' syncs go well. */
int __wrap_fdatasync(int fd);
int __real_fdatasync(int fd);
static _Atomic bool is_lost;
static pthread_t loop;

int __wrap_fdatasync(int fd)
{
        if (pthread_equal(pthread_self(), loop) || !is_lost)
                return __real_fdatasync(fd);
        usleep(100000);
        is_lost = false;
        errno = EIO;
        return -1;
}

static void on_settled(void *user)
{
        settled++;
}

static void on_failed(void *user, const struct fg_error *why)
{
        assert_int_equal(why->code, -EIO);
        failed++;
}

static void open_store(void)
{
        char note[FG_ERROR_MAX];
        const struct fgd_store_watcher watcher = {on_settled, on_failed, NULL};
        assert_int_equal(fgd_store_open(path, &store, note, NULL), 0);
        assert_string_equal(note, "");
        assert_int_equal(sd_event_new(&event), 0);
        assert_int_equal(fgd_store_sync_start(store, event, &watcher, NULL), 0);
        settled = failed = 0;
}

static void close_store(void)
{
        fgd_store_close(store);
        event = sd_event_unref(event);
        store = NULL;
}

static int make(void **state)
{
        loop = pthread_self();
        is_lost = false;
        unit_make_folder(folder);
        snprintf(path, sizeof path, "%s/store.db", folder);
        open_store();
        return 0;
}

static int drop(void **state)
{
        if (store)
                close_store();
        unit_remove_folder(folder);
        return 0;
}

/* One transaction: an event with so long a text. */
static void put(bool is_deferred, size_t size)
{
        static char text[LONG + 1];
        memset(text, 'x', size);
        text[size] = 0;
        fgd_store_defer(store, is_deferred);
        assert_int_equal(fgd_sql_begin(store, NULL), 0);
        int r = fgd_sql_run(store, FGD_SQL_ADD_EVENT, NULL, "irttttt", (int64_t)1, (int64_t)0, "", "", "", "", text);
        store->event = sqlite3_last_insert_rowid(store->db);
        assert_int_equal(fgd_sql_finish(store, r, false, NULL), 0);
        fgd_store_defer(store, false);
}

static int count(void *user, const struct fgd_event_row *row)
{
        ++*(unsigned *)user;
        return 0;
}

static unsigned readable(void)
{
        unsigned n = 0;
        assert_int_equal(fgd_store_read_events(store, 0, 0, count, &n, NULL), 0);
        return n;
}

static void run_until_settled(void)
{
        for (unsigned i = 0; i < 1000 && !fgd_store_is_settled(store); i++)
                assert_true(sd_event_run(event, 100000) >= 0);
        assert_true(fgd_store_is_settled(store));
}

struct wait {
        struct fgd_store_wait wait;
        unsigned done;
        bool is_kept;
};

static void done(struct fgd_store_wait *wait, bool is_kept)
{
        struct wait *w = (struct wait *)wait;
        w->done++;
        w->is_kept = is_kept;
}

static void told_when_it_is_there(void **state)
{
        struct wait first = {.wait.done = done}, second = {.wait.done = done};
        put(true, 10);
        assert_false(fgd_store_is_settled(store));
        fgd_store_wait(store, &first.wait);
        put(true, 10);
        fgd_store_wait(store, &second.wait);
        assert_int_equal(first.done + second.done, 0);
        assert_int_equal(readable(), 0);
        run_until_settled();
        assert_int_equal(first.done, 1);
        assert_int_equal(second.done, 1);
        assert_true(first.is_kept && second.is_kept);
        assert_true(settled >= 1);
        assert_int_equal(readable(), 2);
}

/* Whoever waits where he is waits for all that is before it. */
static void a_commit_that_waits_takes_all_along(void **state)
{
        struct wait w = {.wait.done = done};
        put(true, 10);
        fgd_store_wait(store, &w.wait);
        put(false, 10);
        assert_true(fgd_store_is_settled(store));
        assert_int_equal(readable(), 2);
        assert_int_equal(w.done, 0); /* from the loop, not from where somebody else is */
        while (!w.done)
                assert_true(sd_event_run(event, 1000000) > 0);
        assert_true(w.is_kept);
        put(true, 10);
        assert_int_equal(fgd_store_settle(store, NULL), 0);
        assert_int_equal(readable(), 3);
}

static void the_end_waits(void **state)
{
        struct wait w = {.wait.done = done};
        put(true, 10);
        fgd_store_wait(store, &w.wait);
        fgd_store_sync_stop(store);
        assert_int_equal(w.done, 1);
        assert_true(w.is_kept);
        put(true, 10); /* there is no thread any more */
        assert_true(fgd_store_is_settled(store));
}

static void nothing_after_a_failure(void **state)
{
        struct wait before = {.wait.done = done}, w = {.wait.done = done}, late = {.wait.done = done};
        struct fg_error err = {0};
        put(false, 10);
        fgd_store_wait(store, &before.wait);
        put(true, 10);
        fgd_store_wait(store, &w.wait);
        assert_int_equal(fgd_sync_break(store, -EIO, NULL), -EIO);
        assert_true(fgd_store_has_failed(store));
        assert_int_equal(fgd_sql_begin(store, &err), -EIO);
        assert_non_null(strstr(err.text, "the disk did not take"));
        assert_int_equal(fgd_store_settle(store, NULL), -EIO);
        fgd_store_wait(store, &late.wait);
        while (!failed)
                assert_true(sd_event_run(event, 1000000) > 0);
        assert_true(before.done == 1 && before.is_kept);
        assert_true(w.done == 1 && !w.is_kept);
        assert_true(late.done == 1 && !late.is_kept);
        close_store();
        open_store();
        assert_int_equal(readable(), 1);
}

static void what_the_thread_lost_is_lost(void **state)
{
        enum { BY_SETTLE, BY_COMMIT, BY_END, WAYS };
        for (unsigned way = 0; way < WAYS; way++) {
                struct wait w = {.wait.done = done};
                put(false, 10);
                is_lost = true;
                put(true, 10);
                fgd_store_wait(store, &w.wait);
                if (way == BY_SETTLE)
                        assert_int_equal(fgd_store_settle(store, NULL), -EIO);
                else if (way == BY_COMMIT)
                        put(false, 10); /* SQLite's own descriptor would have been told, too: this one is believed */
                else
                        fgd_store_sync_stop(store);
                for (unsigned i = 0; i < 100 && !(w.done && fgd_store_has_failed(store)); i++)
                        assert_true(sd_event_run(event, 100000) >= 0);
                assert_true(fgd_store_has_failed(store));
                assert_int_equal(w.done, 1);
                assert_int_equal(w.is_kept, way == BY_COMMIT);
                close_store();
                open_store();
                assert_int_equal(readable(), way == BY_SETTLE ? 1 : way == BY_COMMIT ? 4 : 5);
        }
}

/* Random lives, long enough that the log begins anew some times, each ended by a failure: what was certain is there, and nothing else. */
static void what_was_certain_is_there(void **state)
{
        unsigned there = 0, begun_anew = 0;
        uint64_t seed = 7;
        for (unsigned life = 0; life < 40; life++) {
                unsigned steps = (unsigned)(unit_random(&seed) % 400), certain = there, written = there;
                bool is_long = unit_random(&seed) % 2;
                uint64_t round = store->sync.written.round;
                for (unsigned i = 0; i < steps; i++) {
                        put(unit_random(&seed) % 8 != 0, is_long ? (size_t)(unit_random(&seed) % LONG) : 10);
                        written++;
                        if (unit_random(&seed) % 16 == 0)
                                sd_event_run(event, 0);
                        if (unit_random(&seed) % 64 == 0)
                                store->sync.copied = 0; /* as if that had been long ago */
                        if (fgd_store_is_settled(store))
                                certain = written;
                        else
                                certain = written - (unsigned)(store->sync.written.commit - store->sync.durable.commit);
                        begun_anew += store->sync.written.round != round;
                        round = store->sync.written.round;
                }
                assert_int_equal(readable(), certain);
                fgd_sync_break(store, -EIO, NULL);
                close_store();
                open_store();
                assert_int_equal(readable(), certain);
                there = certain;
        }
        assert_true(begun_anew > 10);
        assert_true(there > 1000);
}

/* The log that a daemon leaves that was killed is taken over with its length: a failure takes nothing of it away. */
static void what_was_taken_over_stays(void **state)
{
        char copy[PATH_MAX + 16], command[3 * PATH_MAX];
        for (unsigned i = 0; i < 5; i++)
                put(false, 10);
        snprintf(copy, sizeof copy, "%s/copy.db", folder);
        snprintf(command, sizeof command, "cp %s %s && cp %s-wal %s-wal", path, copy, path, copy);
        assert_int_equal(system(command), 0);
        close_store();
        strcpy(path, copy);
        open_store();
        assert_int_equal(readable(), 5);
        put(true, 10);
        fgd_sync_break(store, -EIO, NULL);
        close_store();
        open_store();
        assert_int_equal(readable(), 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(told_when_it_is_there, make, drop),
                cmocka_unit_test_setup_teardown(a_commit_that_waits_takes_all_along, make, drop),
                cmocka_unit_test_setup_teardown(the_end_waits, make, drop),
                cmocka_unit_test_setup_teardown(nothing_after_a_failure, make, drop),
                cmocka_unit_test_setup_teardown(what_the_thread_lost_is_lost, make, drop),
                cmocka_unit_test_setup_teardown(what_was_certain_is_there, make, drop),
                cmocka_unit_test_setup_teardown(what_was_taken_over_stays, make, drop),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
