/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_sync.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/store_internal.h"
#include "daemon/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The log's format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log */
#define LOG_HEADER  32
#define LOG_FRAME   24
#define LOG_ROUND   12 /* where in the header the number of its round and the salt are: other ones each time that it is begun anew */

#define LOG_PAGES      1000u                 /* so long it becomes before its pages are copied into the database, */
#define LOG_PAGES_MOST 8000u                 /* or so long, when that was done */
#define LOG_SPAN       (5 * FG_NSEC_PER_SEC) /* less than this ago (the loop waits for the disk meanwhile), */
#define LOG_ROOM       16u                   /* and the disk has room for so many of the longest */

static void tell_loop(struct fgd_store_sync *s)
{
        uint64_t one = 1;
        if (s->told >= 0 && write(s->told, &one, sizeof one) < 0)
                fg_log_debug("the loop is told already: %m");
}

static void *sync_thread(void *user)
{
        struct fgd_store_sync *s = user;
        prctl(PR_SET_NAME, "store");
        pthread_mutex_lock(&s->lock);
        for (;;) {
                while (!s->is_wanted && !s->is_ending)
                        pthread_cond_wait(&s->has_work, &s->lock);
                if (!s->is_wanted)
                        break;
                pthread_mutex_unlock(&s->lock);
                int r = fdatasync(s->log) < 0 ? -errno : 0;
                pthread_mutex_lock(&s->lock);
                s->is_wanted = false;
                s->result = r;
                pthread_cond_signal(&s->ended);
                tell_loop(s);
        }
        pthread_mutex_unlock(&s->lock);
        return NULL;
}

static void ask(struct fgd_store_sync *s)
{
        s->asked = s->written;
        s->is_asked = true;
        pthread_mutex_lock(&s->lock);
        s->is_wanted = true;
        pthread_cond_signal(&s->has_work);
        pthread_mutex_unlock(&s->lock);
}

void fgd_sync_settled(struct fgd_store *store)
{
        struct fgd_store_sync *s = &store->sync;
        bool anybody = s->durable.commit != s->written.commit && !TAILQ_EMPTY(&s->waits);
        s->durable = s->written;
        if (anybody)
                tell_loop(s);
}

/* What is not on the disk goes, as it would with the power: so it is not there after a kill either. SQLite is not asked any more; its own view
 * of the log ends with this process. */
static void cut_back(struct fgd_store *store)
{
        struct fgd_store_sync *s = &store->sync;
        int64_t size = LOG_HEADER + (int64_t)s->durable.pages * (LOG_FRAME + store->page_size);
        if (s->durable.round != s->written.round || !s->durable.pages)
                size = 0;
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        s->is_uncertain = ftruncate(s->log, size) < 0;
        if (s->is_uncertain || fdatasync(s->log) < 0)
                fg_log_warning("the store: what was refused just now may be there all the same: %m");
}

int fgd_sync_break(struct fgd_store *store, int code, struct fg_error *err)
{
        struct fgd_store_sync *s = &store->sync;
        if (!s->why.code) {
                fg_error_set(&s->why, code, "the store: the disk did not take what was written: %s", strerror(-code));
                cut_back(store);
                tell_loop(s);
        }
        return fg_error_set(err, s->why.code, "%s", s->why.text);
}

/* On a small disk a long log is what fills it. */
static bool has_room(const struct fgd_store *store)
{
        struct statvfs disk;
        return fstatvfs(store->sync.log, &disk) == 0 && disk.f_bavail * disk.f_frsize / LOG_PAGES_MOST / LOG_ROOM > (unsigned)store->page_size;
}

static bool is_long(const struct fgd_store *store, uint64_t now)
{
        const struct fgd_store_sync *s = &store->sync;
        return s->written.pages >= LOG_PAGES && (s->written.pages >= LOG_PAGES_MOST || now - s->copied >= LOG_SPAN || !has_room(store));
}

static void copy_into_database(struct fgd_store *store)
{
        struct fgd_store_sync *s = &store->sync;
        uint64_t now = fg_now();
        /* Not before it is certain: a page that was copied cannot be taken back. */
        if (!is_long(store, now) || (store->is_deferred && fgd_store_settle(store, NULL) < 0))
                return;
        s->copied = now;
        int code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        if (code != SQLITE_OK && !s->has_complained)
                fg_log_warning("the store's log grows: it cannot be copied into its database (%s)", sqlite3_errmsg(store->db));
        s->has_complained = code != SQLITE_OK;
}

/* 0: there is none. */
static uint64_t log_round(const struct fgd_store_sync *s)
{
        uint64_t round = 0;
        return pread(s->log, &round, sizeof round, LOG_ROUND) == sizeof round ? round : 0;
}

static int committed(void *user, sqlite3 *db, const char *name, int pages)
{
        struct fgd_store *store = user;
        struct fgd_store_sync *s = &store->sync;
        s->written.commit++;
        s->written.pages = (uint32_t)pages;
        s->written.event = store->event;
        s->written.round = log_round(s);
        if (!store->is_deferred)
                fgd_sync_settled(store);
        copy_into_database(store);
        if (store->is_deferred && !s->is_asked && !s->why.code && !fgd_store_is_settled(store))
                ask(s);
        return SQLITE_OK;
}

void fgd_sync_new(struct fgd_store *store)
{
        struct fgd_store_sync *s = &store->sync;
        s->log = s->told = -1;
        TAILQ_INIT(&s->waits);
        pthread_mutex_init(&s->lock, NULL);
        pthread_cond_init(&s->has_work, NULL);
        pthread_cond_init(&s->ended, NULL);
}

void fgd_sync_free(struct fgd_store *store)
{
        struct fgd_store_sync *s = &store->sync;
        fgd_store_sync_stop(store);
        if (s->log >= 0)
                close(s->log);
        pthread_cond_destroy(&s->has_work);
        pthread_cond_destroy(&s->ended);
        pthread_mutex_destroy(&s->lock);
}

int fgd_sync_open(struct fgd_store *store, const char *path, struct fg_error *err)
{
        struct fgd_store_sync *s = &store->sync;
        char log[PATH_MAX + 8], number[16];
        int pages = -1;
        int r = fgd_sql_word(store, "PRAGMA page_size", number, sizeof number, err);
        if (r < 0)
                return r;
        store->page_size = (int)strtol(number, NULL, 10);
        sqlite3_stmt *last = fgd_sql_bind(store, FGD_SQL_LAST_EVENT, "");
        store->event = s->written.event = sqlite3_step(last) == SQLITE_ROW ? sqlite3_column_int64(last, 0) : 0;
        sqlite3_reset(last);
        snprintf(log, sizeof log, "%s-wal", path);
        s->log = open(log, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        /* In memory, or where SQLite keeps no such log: then nothing is deferred. */
        if (s->log < 0 && errno == ENOENT)
                return 0;
        if (s->log < 0)
                return fg_error_set(err, -errno, "%s: %m", log);
        sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, NULL);
        s->is_known = pages >= 0;
        s->written.pages = s->is_known ? (uint32_t)pages : 0;
        s->written.round = log_round(s);
        s->durable = s->written;
        sqlite3_wal_hook(store->db, committed, store);
        return 0;
}

int fgd_sync_inherit(struct fgd_store *store, struct fg_error *err)
{
        if (store->sync.log < 0 || fdatasync(store->sync.log) == 0)
                return 0;
        return fg_error_set(err, -errno, "the store's log does not reach the disk: %m");
}

static void tell_waiting(struct fgd_store_sync *s)
{
        struct fgd_store_wait *wait;
        while ((wait = TAILQ_FIRST(&s->waits)) && (wait->commit <= s->durable.commit || s->why.code)) {
                TAILQ_REMOVE(&s->waits, wait, order);
                wait->done(wait, wait->commit <= s->durable.commit);
        }
}

/* What became of what the thread was asked for. The kernel tells a failure once to each descriptor, and this is the thread's: it must be heard,
 * even if another sync has gone well since. */
static int hear_thread(struct fgd_store *store, bool must_wait)
{
        struct fgd_store_sync *s = &store->sync;
        if (!s->is_asked)
                return 0;
        pthread_mutex_lock(&s->lock);
        while (s->is_wanted && must_wait)
                pthread_cond_wait(&s->ended, &s->lock);
        bool is_done = !s->is_wanted;
        int r = s->result;
        pthread_mutex_unlock(&s->lock);
        if (!is_done)
                return 0;
        s->is_asked = false;
        if (s->why.code) /* the log was cut back since */
                return s->why.code;
        if (r < 0)
                return fgd_sync_break(store, r, NULL);
        if (s->asked.commit > s->durable.commit)
                s->durable = s->asked;
        return 0;
}

static int on_told(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_store *store = user;
        struct fgd_store_sync *s = &store->sync;
        uint64_t count;
        if (read(fd, &count, sizeof count) < 0)
                return 0;
        if (hear_thread(store, false) == 0 && !s->is_asked && !fgd_store_is_settled(store))
                ask(s);
        tell_waiting(s);
        if (!s->why.code) {
                s->watcher.settled(s->watcher.user);
        } else if (!s->is_reported) {
                s->is_reported = true;
                s->watcher.failed(s->watcher.user, &s->why);
        }
        return 0;
}

int fgd_store_sync_start(struct fgd_store *store, sd_event *event, const struct fgd_store_watcher *watcher, struct fg_error *err)
{
        struct fgd_store_sync *s = &store->sync;
        s->watcher = *watcher;
        s->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        int r = s->told < 0 ? -errno : sd_event_add_io(event, &s->source, s->told, EPOLLIN, on_told, store);
        if (r >= 0) {
                sd_event_source_set_io_fd_own(s->source, true);
                r = fgd_thread_start(&s->thread, sync_thread, s);
        }
        if (r < 0)
                return fg_error_set(err, r, "no thread for the store: %m");
        s->is_running = true;
        return 0;
}

void fgd_store_sync_stop(struct fgd_store *store)
{
        struct fgd_store_sync *s = &store->sync;
        if (!s->is_running)
                return;
        fgd_store_settle(store, NULL);
        hear_thread(store, true);
        pthread_mutex_lock(&s->lock);
        s->is_ending = true;
        pthread_cond_signal(&s->has_work);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
        s->is_running = s->is_asked = store->is_deferred = false;
        tell_waiting(s);
        s->source = sd_event_source_disable_unref(s->source);
        s->told = -1;
}

bool fgd_store_defer(struct fgd_store *store, bool is_deferred)
{
        bool before = store->is_deferred;
        store->is_deferred = is_deferred && store->sync.is_running && store->sync.is_known;
        return before;
}

bool fgd_store_is_deferred(const struct fgd_store *store)
{
        return store->is_deferred;
}

bool fgd_store_is_settled(const struct fgd_store *store)
{
        return store->sync.durable.commit == store->sync.written.commit;
}

bool fgd_store_is_uncertain(const struct fgd_store *store)
{
        return store->sync.is_uncertain;
}

bool fgd_store_has_failed(const struct fgd_store *store)
{
        return store->sync.why.code != 0;
}

int fgd_store_settle(struct fgd_store *store, struct fg_error *err)
{
        struct fgd_store_sync *s = &store->sync;
        if (s->why.code)
                return fg_error_set(err, s->why.code, "%s", s->why.text);
        if (fgd_store_is_settled(store))
                return 0;
        int r = hear_thread(store, true);
        if (r == 0 && !fgd_store_is_settled(store) && fdatasync(s->log) < 0)
                r = -errno;
        if (r < 0)
                return fgd_sync_break(store, r, err);
        fgd_sync_settled(store);
        return 0;
}

void fgd_store_wait(struct fgd_store *store, struct fgd_store_wait *wait)
{
        wait->commit = store->sync.written.commit;
        TAILQ_INSERT_TAIL(&store->sync.waits, wait, order);
        if (fgd_store_is_settled(store) || store->sync.why.code)
                tell_loop(&store->sync);
}

void fgd_store_leave(struct fgd_store *store, struct fgd_store_wait *wait)
{
        TAILQ_REMOVE(&store->sync.waits, wait, order);
}
