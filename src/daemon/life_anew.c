/* SPDX-License-Identifier: Apache-2.0
 * After the disk has refused what was done already: a daemon that knows only what is on it. The program is executed anew, and everything but the
 * process and the API's socket is as after a kill. */
#include "daemon/life.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/events.h"
#include "daemon/http.h"
#include "daemon/job_internal.h"
#include "daemon/jobs.h"
#include "daemon/manager.h"
#include "daemon/store_sync.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define SAY_USEC  100000 /* so often is looked whether all who have asked were told, */
#define SAY_TIMES 10u    /* and so many times at most: some never take their answer, or are told more without end */

static void find_program(char ret[PATH_MAX])
{
        ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
        ret[n > 0 ? n : 0] = 0;
        if (access(ret, X_OK) < 0) /* it was replaced */
                snprintf(ret, PATH_MAX, "/proc/self/exe");
}

/* As systemd hands one over. */
static void hand_over(int socket)
{
        char pid[16];
        if (socket < 0)
                return;
        if (socket == SD_LISTEN_FDS_START)
                fcntl(socket, F_SETFD, 0);
        else
                dup2(socket, SD_LISTEN_FDS_START);
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
}

/* Its children stay its children. */
static void each_child(void (*do_it)(struct fgd_manager *m, pid_t pid), struct fgd_manager *m)
{
        DIR *tasks = opendir("/proc/self/task");
        struct dirent *task;
        char path[64];
        while (tasks && (task = readdir(tasks))) {
                int pid;
                snprintf(path, sizeof path, "/proc/self/task/%.20s/children", task->d_name);
                FILE *children = fopen(path, "re");
                while (children && fscanf(children, "%d", &pid) == 1)
                        do_it(m, pid);
                if (children)
                        fclose(children);
        }
        if (tasks)
                closedir(tasks);
}

/* Runners belong to jobs and go on. Helpers end when a daemon does, if they are not stuck in a driver. */
static void end_helper(struct fgd_manager *m, pid_t pid)
{
        char path[64], name[32] = "";
        snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
        if (n > 0 && strncmp(name, "fastgpu-job\n", (size_t)n) != 0)
                kill(pid, SIGKILL);
}

_Noreturn static void begin_anew(struct fgd_manager *m)
{
        static char name[] = "fastgpud", careful[] = "--careful", idle_exit[] = "--idle-exit";
        char *const argv[] = {name, careful, m->idle_exit ? idle_exit : NULL, NULL};
        char path[PATH_MAX];
        find_program(path);
        each_child(end_helper, m);
        hand_over(m->api_socket);
        execv(path, argv);
        fg_log_error("cannot begin anew: %m");
        _exit(EXIT_FAILURE);
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
        static unsigned times;
        struct fgd_manager *m = user;
        if (++times >= SAY_TIMES || !fgd_http_is_asked(m->http))
                begin_anew(m);
        sd_event_source_set_time_relative(source, SAY_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void on_failure(void *user, const struct fg_error *why)
{
        struct fgd_manager *m = user;
        if (m->jobs && m->jobs->worker)
                fgd_worker_pause(m->jobs->worker); /* no runner is being born when helpers are ended */
        fg_log_error("%s; changes that nobody was told of are taken back, and the daemon begins anew", why->text);
        if (!m->http || sd_event_add_time_relative(m->event, NULL, CLOCK_MONOTONIC, SAY_USEC, 0, on_time, m) < 0)
                begin_anew(m);
}

static void on_settled(void *user)
{
        fgd_events_wake(user);
}

int fgd_life_follow_store(struct fgd_manager *m, bool is_careful, struct fg_error *err)
{
        const struct fgd_store_watcher watcher = {on_settled, on_failure, m};
        if (!is_careful)
                return fgd_store_sync_start(m->store, m->event, &watcher, err);
        each_child(fgd_job_bury_later, m);
        fgd_manager_note(m, "each change keeps everybody waiting for the disk until fastgpud is restarted without --careful, which it gives itself "
                         "when the disk did not take some changes: its log says why, and who asked for them was told");
        return 0;
}
