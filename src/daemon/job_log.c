/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job_log.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/manager.h"
#include "daemon/store_jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LOOK_USEC 50000 /* between looks at logs that somebody waits for: nothing tells of a file that another process writes */

struct waiter {
        TAILQ_ENTRY(waiter) order;
        struct fgd_log_wish wish;
        struct fgd_later later;
        uint64_t until;
};

struct fgd_log_waits {
        TAILQ_HEAD(, waiter) waiters;
        uint32_t count;
        sd_event_source *look;
};

int fgd_log_new(struct fgd_manager *m)
{
        m->jobs->logs = calloc(1, sizeof *m->jobs->logs);
        if (!m->jobs->logs)
                return -ENOMEM;
        TAILQ_INIT(&m->jobs->logs->waiters);
        return 0;
}

/* The state of the attempt that is read; one of before is over. */
static enum fgd_job_state state_of(struct fgd_manager *m, const struct fgd_log_wish *wish)
{
        const struct fgd_job *job = fgd_job_find(m, wish->job);
        const struct fgd_run *run = job ? fgd_run_find(job, wish->index) : NULL;
        struct fgd_run_result result;
        if (run)
                return run->attempt == wish->attempt ? fgd_run_state(run) : FGD_JOB_FAILED;
        if (fgd_store_get_run(m->store, wish->job, wish->index, &result))
                return result.state;
        return job && !job->is_cancelling ? FGD_JOB_QUEUED : FGD_JOB_CANCELLED;
}

static int read_piece(const struct fgd_log_wish *wish, unsigned char *bytes, size_t *ret_count, uint64_t *ret_size)
{
        char path[PATH_MAX + 8];
        struct stat st;
        snprintf(path, sizeof path, "%s/log", wish->folder);
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        *ret_count = 0;
        *ret_size = 0;
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        *ret_size = (uint64_t)st.st_size;
        if (wish->from >= *ret_size)
                return 0;
        ssize_t n = pread(fd, bytes, wish->piece, (off_t)wish->from);
        *ret_count = n > 0 ? (size_t)n : 0;
        return n < 0 ? -errno : 0;
}

int fgd_log_write(struct fgd_manager *m, const struct fgd_log_wish *wish, struct fgd_text *text, bool *ret_any)
{
        /* The state first: what is written after it was looked at is not missed. */
        enum fgd_job_state state = state_of(m, wish);
        size_t count, room = sodium_base64_encoded_len(wish->piece, sodium_base64_VARIANT_ORIGINAL);
        fg_autofree unsigned char *bytes = malloc(wish->piece);
        fg_autofree char *coded = malloc(room);
        uint64_t size;
        if (!bytes || !coded)
                return -ENOMEM;
        int r = read_piece(wish, bytes, &count, &size);
        if (r < 0)
                return r;
        bool is_over = fgd_job_is_over(state) && wish->from + count >= size;
        *ret_any = count > 0 || is_over;
        fgd_text_add(text, "{");
        fgd_text_number(text, "from", wish->from);
        fgd_text_number(text, "next", wish->from + count);
        fgd_text_number(text, "size", size);
        fgd_text_bool(text, "end", is_over);
        fgd_text_field(text, "state", fgd_job_state_names[state]);
        sodium_bin2base64(coded, room, bytes, count, sodium_base64_VARIANT_ORIGINAL);
        fgd_text_name(text, "data");
        fgd_text_add(text, "\"");
        fgd_text_add(text, coded);
        fgd_text_add(text, "\"}\n");
        return 0;
}

static void answer(struct fgd_manager *m, struct waiter *waiter)
{
        struct fgd_text text = {0};
        bool ignored;
        TAILQ_REMOVE(&m->jobs->logs->waiters, waiter, order);
        m->jobs->logs->count--;
        if (fgd_log_write(m, &waiter->wish, &text, &ignored) < 0 || text.failed)
                fgd_text_clear(&text);
        waiter->later.done(waiter->later.user, text.data ? 200 : 500, text.data);
        free(waiter);
}

void fgd_log_release(struct fgd_manager *m)
{
        while (m->jobs && m->jobs->logs && !TAILQ_EMPTY(&m->jobs->logs->waiters))
                answer(m, TAILQ_FIRST(&m->jobs->logs->waiters));
}

void fgd_log_free(struct fgd_manager *m)
{
        fgd_log_release(m);
        if (!m->jobs->logs)
                return;
        sd_event_source_disable_unref(m->jobs->logs->look);
        free(m->jobs->logs);
        m->jobs->logs = NULL;
}

void fgd_log_ended(struct fgd_manager *m, const struct fgd_job *job)
{
        struct waiter *waiter;
        TAILQ_FOREACH(waiter, &m->jobs->logs->waiters, order)
                if (waiter->wish.job == job->id)
                        waiter->until = 0; /* looked at once the store has it */
}

static bool is_due(struct fgd_manager *m, const struct waiter *waiter)
{
        char path[PATH_MAX + 8];
        struct stat st;
        if (fg_now() >= waiter->until)
                return true;
        snprintf(path, sizeof path, "%s/log", waiter->wish.folder);
        return (stat(path, &st) == 0 && (uint64_t)st.st_size > waiter->wish.from) || fgd_job_is_over(state_of(m, &waiter->wish));
}

static int on_look(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        struct waiter *waiter, *next;
        FGD_TAILQ_EACH_SAFE(waiter, &m->jobs->logs->waiters, order, next)
                if (is_due(m, waiter))
                        answer(m, waiter);
        if (TAILQ_EMPTY(&m->jobs->logs->waiters))
                return 0;
        sd_event_source_set_time_relative(source, LOOK_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static uint32_t waiting_of(const struct fgd_log_waits *logs, int64_t user)
{
        const struct waiter *waiter;
        uint32_t count = 0;
        TAILQ_FOREACH(waiter, &logs->waiters, order)
                count += waiter->wish.user == user;
        return count;
}

static int watch(struct fgd_manager *m, struct fgd_log_waits *logs)
{
        if (!logs->look)
                return sd_event_add_time_relative(m->event, &logs->look, CLOCK_MONOTONIC, LOOK_USEC, LOOK_USEC / 4, on_look, m);
        if (!TAILQ_EMPTY(&logs->waiters))
                return 0;
        sd_event_source_set_time_relative(logs->look, LOOK_USEC);
        return sd_event_source_set_enabled(logs->look, SD_EVENT_ONESHOT);
}

int fgd_log_wait(struct fgd_manager *m, const struct fgd_log_wish *wish, unsigned seconds, const struct fgd_later *later)
{
        struct fgd_log_waits *logs = m->jobs->logs;
        if (logs->count >= FGD_LOG_WAITERS || (wish->user && waiting_of(logs, wish->user) >= FGD_LOG_WAITERS_USER))
                return -EBUSY;
        struct waiter *waiter = malloc(sizeof *waiter);
        if (!waiter)
                return -ENOMEM;
        *waiter = (struct waiter){.wish = *wish, .later = *later, .until = fg_now() + seconds * FG_NSEC_PER_SEC};
        int r = watch(m, logs);
        if (r < 0) {
                free(waiter);
                return r;
        }
        TAILQ_INSERT_TAIL(&logs->waiters, waiter, order);
        logs->count++;
        return 0;
}
