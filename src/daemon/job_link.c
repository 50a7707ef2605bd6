/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job_link.h"

#include "base/cleanup.h"
#include "daemon/job_internal.h"
#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RETRY_FIRST 10000u /* us */
#define RETRY_MAX   1000000u

enum request { SUSPEND, RESUME, STOP, STATUS, REQUESTS };

/* A request stays asked until the state shows that it was heard, so that a connection that breaks loses none. */
struct fgd_job_link {
        struct fgd_manager *manager;
        const struct fgd_job_events *events;
        void *user;
        int dir, socket;
        int lock;               /* ours: the runner is gone */
        sd_event_source *io, *timer;
        uint64_t retry;         /* us */
        pid_t runner;
        bool asked[REQUESTS], sent[REQUESTS];
        uint64_t grace;
        bool ended;
        struct fg_job_status status;
};

static void again(struct fgd_job_link *link, uint64_t us)
{
        sd_event_source_set_time_relative(link->timer, us);
        sd_event_source_set_enabled(link->timer, SD_EVENT_ONESHOT);
}

static void again_later(struct fgd_job_link *link)
{
        again(link, link->retry);
        link->retry = 2 * link->retry < RETRY_MAX ? 2 * link->retry : RETRY_MAX;
}

static void disconnect(struct fgd_job_link *link)
{
        link->io = sd_event_source_disable_unref(link->io);
        if (link->socket >= 0)
                close(link->socket);
        link->socket = -1;
        memset(link->sent, 0, sizeof link->sent);
}

/* The callback may free the link: the last thing that is done with it. */
static void deliver(struct fgd_job_link *link)
{
        struct fg_job_status status = link->status;
        if (status.state == FG_JOB_ENDED) {
                link->ended = true;
                disconnect(link);
                sd_event_source_set_enabled(link->timer, SD_EVENT_OFF);
        }
        link->events->on_change(link->user, &status);
}

static void heard(struct fgd_job_link *link)
{
        enum fg_job_state state = link->status.state;
        if (state == FG_JOB_SUSPENDED || state >= FG_JOB_STOPPING)
                link->asked[SUSPEND] = false;
        if (state == FG_JOB_RUNNING || state >= FG_JOB_STOPPING)
                link->asked[RESUME] = false;
        if (state >= FG_JOB_STOPPING)
                link->asked[STOP] = false;
}

static void flush(struct fgd_job_link *link)
{
        static const char *const words[] = {[SUSPEND] = "suspend", [RESUME] = "resume", [STATUS] = "status"};
        bool left = false;
        char text[64];
        for (enum request i = 0; link->socket >= 0 && i < REQUESTS; i++) {
                if (!link->asked[i] || link->sent[i])
                        continue;
                if (i == STOP)
                        snprintf(text, sizeof text, "stop %" PRIu64, link->grace);
                else
                        snprintf(text, sizeof text, "%s", words[i]);
                link->sent[i] = send(link->socket, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
                left = left || !link->sent[i];
                if (link->sent[i] && i == STATUS)
                        link->asked[i] = link->sent[i] = false;
        }
        if (link->io)
                sd_event_source_set_io_events(link->io, left ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* False: the link may be gone. */
static bool take(struct fgd_job_link *link, const char *text, size_t size)
{
        if (size > 7 && memcmp(text, "status\n", 7) == 0) {
                if (fg_job_status_read(text + 7, size - 7, &link->status) < 0)
                        return true;
                heard(link);
                deliver(link);
                return false;
        }
        if (size > 6 && memcmp(text, "error ", 6) == 0) {
                link->asked[SUSPEND] = link->asked[RESUME] = false;
                if (link->events->on_refused) {
                        link->events->on_refused(link->user, text + 6);
                        return false;
                }
        }
        return true;
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_job_link *link = user;
        char text[FG_JOB_STATUS_MAX + 64];
        ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                flush(link);
                return 0;
        }
        if (n <= 0) {
                disconnect(link);
                again(link, 0);
                return 0;
        }
        text[n] = 0;
        link->retry = RETRY_FIRST;
        /* One message a turn: what comes next, the loop says, and the callback may have freed the link. */
        if (take(link, text, (size_t)n))
                flush(link);
        return 0;
}

static int watch(struct fgd_job_link *link)
{
        int r = sd_event_add_io(link->manager->event, &link->io, link->socket, EPOLLIN, on_socket, link);
        if (r == 0)
                flush(link);
        return r;
}

/* Through the folder's descriptor, whatever the length of its path. */
static int reach(struct fgd_job_link *link)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct ucred who;
        socklen_t size = sizeof who;
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control", link->dir);
        fg_autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
                return -errno;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid > 0)
                link->runner = who.pid;
        link->socket = FG_TAKE_FD(fd);
        int r = watch(link);
        if (r < 0)
                disconnect(link);
        return r;
}

/* The runner is gone and the lock is ours: what the folder says is final, or is made so. */
static void settle(struct fgd_job_link *link)
{
        struct fg_job_status status;
        if (fgd_job_read_status(link->dir, &status) < 0)
                status = (struct fg_job_status){.code = -1, .signal = -1};
        if (status.state != FG_JOB_ENDED) {
                bool begun = fgd_job_has(link->dir, "begun");
                char text[FG_JOB_STATUS_MAX];
                if (fgd_job_sweep(link->dir, &status) < 0) {
                        again_later(link);
                        return;
                }
                status.state = FG_JOB_ENDED;
                status.why = begun ? FG_JOB_WHY_LOST : FG_JOB_WHY_SETUP_FAILED;
                status.ended = (int64_t)time(NULL) * 1000;
                snprintf(status.text, sizeof status.text, "%s", begun ? "the job's runner was killed, or the machine went down"
                                                                       : "the job's runner ended before the job began");
                int r = fg_job_file_put(link->dir, "status", text, fg_job_status_write(&status, text));
                if (r < 0 && r != -ENOENT) {
                        again_later(link);
                        return;
                }
        }
        link->status = status;
        deliver(link);
}

/* Without a connection: is there a runner? */
static int on_timer(sd_event_source *source, uint64_t now, void *user)
{
        struct fgd_job_link *link = user;
        if (link->socket >= 0)
                return 0;
        int r = link->lock >= 0 ? 0 : fgd_job_lock(link->dir, &link->lock);
        if (r == 0)
                settle(link);
        else if (reach(link) < 0)
                again_later(link);
        return 0;
}

/* Takes the folder's descriptor; below 0: -errno. */
static int new_link(struct fgd_manager *m, int dir, const struct fgd_job_events *events, void *user, struct fgd_job_link **ret)
{
        struct fgd_job_link *link = calloc(1, sizeof *link);
        if (!link || dir < 0) {
                if (dir >= 0)
                        close(dir);
                free(link);
                return dir < 0 ? dir : -ENOMEM;
        }
        *link = (struct fgd_job_link){.manager = m, .events = events, .user = user, .socket = -1, .lock = -1, .retry = RETRY_FIRST,
                                      .status = {.code = -1, .signal = -1}};
        link->dir = dir;
        int r = sd_event_add_time_relative(m->event, &link->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, link);
        if (r < 0) {
                fgd_job_link_free(link);
                return r;
        }
        sd_event_source_set_enabled(link->timer, SD_EVENT_OFF);
        *ret = link;
        return 0;
}

static int open_folder(const char *dir)
{
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

int fgd_job_start(const char *path, struct fgd_job_started *ret, struct fg_error *err)
{
        struct fg_job_status status;
        fg_autoclose int lock = -1;
        fg_autoclose int dir = open_folder(path);
        if (dir < 0)
                return fg_error_set(err, dir, "cannot start the job in %s: %m", path);
        int r = fgd_job_lock(dir, &lock);
        bool ended = fgd_job_read_status(dir, &status) == 0 && status.state == FG_JOB_ENDED;
        if (r < 0 && !ended)
                return fg_error_set(err, r, r == -EBUSY ? "the job in %s is running" : "cannot lock %s: %m", path);
        if (ended || fgd_job_has(dir, "begun"))
                return fg_error_set(err, -EALREADY, "the job in %s has begun once", path);
        r = fgd_job_spawn(path, lock, &ret->socket, &ret->runner, err);
        if (r == 0)
                ret->dir = FG_TAKE_FD(dir);
        return r;
}

void fgd_job_leave(const struct fgd_job_started *started)
{
        close(started->dir);
        close(started->socket);
}

int fgd_job_follow(struct fgd_manager *m, const struct fgd_job_started *started, const struct fgd_job_events *events, void *user,
                   struct fgd_job_link **ret, struct fg_error *err)
{
        struct fgd_job_link *link;
        fgd_job_bury_later(m, started->runner);
        int r = new_link(m, started->dir, events, user, &link);
        if (r < 0) {
                close(started->socket);
                return fg_error_set(err, r, "cannot follow the job that runner %d has: %m", (int)started->runner);
        }
        link->socket = started->socket;
        link->runner = started->runner;
        /* It runs, also when it cannot be watched at the moment. */
        if (watch(link) < 0) {
                disconnect(link);
                again_later(link);
        }
        *ret = link;
        return 0;
}

int fgd_job_adopt(struct fgd_manager *m, const char *dir, const struct fgd_job_events *events, void *user, enum fgd_job_found *ret_found,
                  struct fg_job_status *ret_status, struct fgd_job_link **ret, struct fg_error *err)
{
        struct fgd_job_link *link;
        int r = new_link(m, open_folder(dir), events, user, &link);
        if (r < 0)
                return fg_error_set(err, r, "cannot open the job in %s: %m", dir);
        if (!fgd_job_has(link->dir, "spec"))
                r = -ENOENT;
        if (r == 0)
                r = fgd_job_lock(link->dir, &link->lock);
        if (r < 0 && r != -EBUSY) {
                fgd_job_link_free(link);
                return fg_error_set(err, r, "there is no complete job in %s: %m", dir);
        }
        bool ended = fgd_job_read_status(link->dir, &link->status) == 0 && link->status.state == FG_JOB_ENDED;
        if (ended || (r == 0 && !fgd_job_has(link->dir, "begun"))) {
                *ret_found = ended ? FGD_JOB_ENDED : FGD_JOB_NEVER_BEGAN;
                *ret_status = link->status;
                fgd_job_link_free(link);
                return 0;
        }
        again(link, 0);
        *ret_found = FGD_JOB_LIVES;
        *ret = link;
        return 0;
}

static int ask(struct fgd_job_link *link, enum request request)
{
        if (link->ended)
                return -ESHUTDOWN;
        link->asked[request] = true;
        link->sent[request] = false;
        flush(link);
        return 0;
}

int fgd_job_suspend(struct fgd_job_link *link)
{
        link->asked[RESUME] = false;
        return ask(link, SUSPEND);
}

int fgd_job_resume(struct fgd_job_link *link)
{
        link->asked[SUSPEND] = false;
        return ask(link, RESUME);
}

int fgd_job_stop(struct fgd_job_link *link, uint64_t grace)
{
        link->grace = link->asked[STOP] && link->grace < grace ? link->grace : grace;
        return ask(link, STOP);
}

int fgd_job_ask(struct fgd_job_link *link)
{
        return ask(link, STATUS);
}

const struct fg_job_status *fgd_job_link_status(const struct fgd_job_link *link)
{
        return &link->status;
}

pid_t fgd_job_link_runner(const struct fgd_job_link *link)
{
        return link->runner;
}

void fgd_job_link_free(struct fgd_job_link *link)
{
        if (!link)
                return;
        disconnect(link);
        sd_event_source_disable_unref(link->timer);
        if (link->lock >= 0)
                close(link->lock);
        if (link->dir >= 0)
                close(link->dir);
        free(link);
}
