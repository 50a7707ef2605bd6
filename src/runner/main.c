/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-job DIR [LOCK SOCKET]: runs the job that DIR describes. LOCK and SOCKET are descriptors from the daemon: DIR/lock, locked,
 * and the first connection. Exit codes: 0 the status says how it ended; 1 nothing was begun; 2 usage; 3 begun once or running already. */
#include "runner/runner.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LAST_WORDS 1000u  /* ms for those connected to take how it ended */
#define TERM_GRACE 10000u /* ms, when the machine goes down */

enum { SIGNALS, TIMER, LISTENER, OUTPUT, VERDICT, CONNECTION, POLLS = CONNECTION + FGR_CONNECTIONS };

static void arm(struct fgr_runner *r, int64_t ms)
{
        struct itimerspec when = {0};
        if (ms == 0)
                when.it_value.tv_nsec = 1;
        if (ms > 0)
                when.it_value = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 + 1};
        timerfd_settime(r->timer, 0, &when, NULL);
}

static void take_signals(struct fgr_runner *r)
{
        struct signalfd_siginfo info;
        while (read(r->signals, &info, sizeof info) == (ssize_t)sizeof info) {
                if (info.ssi_signo != SIGCHLD)
                        fgr_stop(r, FG_JOB_WHY_STOPPED, TERM_GRACE);
                else if (r->killing)
                        r->next_kill = 0;
        }
        fgr_reap(r);
}

static void poll_once(struct fgr_runner *r, int timeout)
{
        struct pollfd at[POLLS] = {[SIGNALS] = {r->signals, POLLIN, 0},   [TIMER] = {r->timer, POLLIN, 0}, [LISTENER] = {r->listener, POLLIN, 0},
                                   [OUTPUT] = {r->output, POLLIN, 0}, [VERDICT] = {r->verdict, POLLIN, 0}};
        struct fgr_connection *c = r->connection;
        uint64_t ticks;
        for (unsigned i = 0; i < FGR_CONNECTIONS; i++)
                at[CONNECTION + i] = (struct pollfd){c[i].fd, (short)((c[i].answer ? 0 : POLLIN) | (c[i].answer || (c[i].dirty && r->saved) ? POLLOUT : 0)), 0};
        if (poll(at, POLLS, timeout) <= 0)
                return;
        if (at[TIMER].revents && read(r->timer, &ticks, sizeof ticks) < 0)
                ticks = 0;
        if (at[SIGNALS].revents)
                take_signals(r);
        if (at[OUTPUT].revents && !fgr_log_pump(r)) {
                close(r->output);
                r->output = -1;
        }
        for (unsigned i = 0; i < FGR_CONNECTIONS; i++)
                if (at[CONNECTION + i].revents)
                        fgr_control_serve(r, &c[i], at[CONNECTION + i].revents);
        if (at[LISTENER].revents)
                fgr_control_accept(r);
}

static bool is_told(const struct fgr_runner *r)
{
        for (unsigned i = 0; i < FGR_CONNECTIONS; i++)
                if (r->connection[i].fd >= 0 && (r->connection[i].dirty || r->connection[i].answer))
                        return false;
        return true;
}

static void run(struct fgr_runner *r)
{
        uint64_t end = 0;
        while (r->status.state != FG_JOB_ENDED || !r->saved) {
                int64_t next = fgr_turn(r);
                if (r->status.state == FG_JOB_ENDED && r->saved)
                        break;
                arm(r, next);
                poll_once(r, -1);
        }
        for (end = fgr_now() + LAST_WORDS; !is_told(r) && fgr_now() < end;)
                poll_once(r, FGR_TICK);
        unlinkat(r->dir, "control", 0);
}

/* The command was not begun and will not be. */
static void fail(struct fgr_runner *r, const struct fg_error *err)
{
        r->status.why = FG_JOB_WHY_SETUP_FAILED;
        r->status.error = -err->code;
        snprintf(r->status.text, sizeof r->status.text, "%s", err->text);
        fgr_group_end(r);
        r->status.state = FG_JOB_ENDED;
        r->status.ended = fgr_unix_ms();
        fgr_status_save(r);
        /* If it could not be written, the folder still says that nothing has begun. */
        r->saved = true;
        fgr_control_tell(r);
        run(r);
}

static bool take_descriptors(struct fgr_runner *r, char **argv)
{
        struct stat st;
        char *end;
        r->lock = (int)strtol(argv[2], &end, 10);
        int socket = *end ? -1 : (int)strtol(argv[3], &end, 10);
        if (*end || r->lock < 3 || socket < 3 || socket == r->lock || fstat(r->lock, &st) < 0 || fstat(socket, &st) < 0 || !S_ISSOCK(st.st_mode))
                return false;
        fcntl(r->lock, F_SETFD, FD_CLOEXEC);
        fcntl(socket, F_SETFD, FD_CLOEXEC);
        fcntl(socket, F_SETFL, O_NONBLOCK);
        fgr_control_add(r, socket);
        return true;
}

/* What was asked before there is anything to run. */
static void listen_first(struct fgr_runner *r)
{
        fgr_control_tell(r);
        poll_once(r, 0);
}

int main(int argc, char **argv)
{
        /* What it holds, it holds until the end. */
        static struct fgr_runner runner = {.dir = -1, .lock = -1, .listener = -1, .signals = -1, .timer = -1, .output = -1, .log = -1, .verdict = -1,
                                           .status = {.code = -1, .signal = -1}};
        struct fg_error err = {0};
        for (unsigned i = 0; i < FGR_CONNECTIONS; i++)
                runner.connection[i].fd = -1;
        umask(077);
        if ((argc != 2 && argc != 4) || argv[1][0] == '-' || (argc == 4 && !take_descriptors(&runner, argv))) {
                fputs("usage: fastgpu-job DIR [LOCK SOCKET]; fastgpud starts it\n", stderr);
                return 2;
        }
        int r = fgr_start(&runner, argv[1], &err);
        if (r == -EALREADY || r == -EBUSY || runner.signals < 0) {
                fprintf(stderr, "fastgpu-job: %s\n", err.text);
                return r == -EALREADY || r == -EBUSY ? 3 : 1;
        }
        if (r == 0)
                listen_first(&runner);
        if (r == 0 && !runner.stop)
                r = fgr_begin(&runner, &err);
        if (r < 0) {
                fail(&runner, &err);
                return 1;
        }
        runner.status.started = runner.status.pid ? fgr_unix_ms() : 0;
        runner.run_since = runner.status.pid ? fgr_now() : 0;
        runner.killing = !runner.status.pid;
        run(&runner);
        return 0;
}
