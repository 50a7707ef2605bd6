/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/size.h"
#include "daemon/access.h"
#include "daemon/adopt.h"
#include "daemon/history.h"
#include "daemon/http.h"
#include "daemon/jobs.h"
#include "daemon/life.h"
#include "daemon/ledger_check.h"
#include "daemon/manager.h"
#include "daemon/metering.h"
#include "daemon/money.h"
#include "daemon/remote.h"
#include "daemon/trace.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#define BACKLOG 4096

/* glibc looks for it by name: hidden, as everything else is by default, there would be no --version. */
__attribute__((visibility("default"))) const char *argp_program_version = "fastgpud " FASTGPU_VERSION;

struct arguments {
        bool dump_config, idle_exit, check_ledger, is_idle, is_careful;
        int ready_fd;
};

enum { KEY_DUMP = 256, KEY_CAREFUL, KEY_CHECK, KEY_FOREGROUND, KEY_IDLE, KEY_IDLE_EXIT, KEY_READY };

static const struct argp_option argp_options[] = {
        {"careful", KEY_CAREFUL, NULL, 0, "Wait for the disk at each change, and keep everybody waiting. A daemon whose disk has failed goes on so", 0},
        {"dump-config", KEY_DUMP, NULL, 0, "Print every option with its value and where that comes from", 0},
        {"check-ledger", KEY_CHECK, NULL, 0, "Check the whole log of money as it lies on the disk, name what is wrong in it, and end", 0},
        {"foreground", KEY_FOREGROUND, NULL, 0, "Do not detach (it never does)", 0},
        {"idle", KEY_IDLE, NULL, 0, "With --check-ledger: take only time that nobody else wants, and end with the process that asked", 0},
        {"idle-exit", KEY_IDLE_EXIT, NULL, 0, "End after the time of the option idle-exit without anything to do", 0},
        {"ready-fd", KEY_READY, "N", 0, "Write one byte to descriptor N once requests are answered", 0},
        {0},
};

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
        struct arguments *arguments = state->input;
        struct fg_error err = {0};
        uint64_t fd;
        switch (key) {
        case KEY_DUMP:
                arguments->dump_config = true;
                return 0;
        case KEY_CAREFUL:
                arguments->is_careful = true;
                return 0;
        case KEY_CHECK:
                arguments->check_ledger = true;
                return 0;
        case KEY_FOREGROUND:
                return 0;
        case KEY_IDLE:
                arguments->is_idle = true;
                return 0;
        case KEY_IDLE_EXIT:
                arguments->idle_exit = true;
                return 0;
        case KEY_READY:
                if (fg_count_parse("ready-fd", value, 0, 1 << 20, &fd, &err) < 0 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
                        argp_error(state, "%s", err.code ? err.text : "--ready-fd is not an open descriptor");
                arguments->ready_fd = (int)fd;
                return 0;
        case ARGP_KEY_ARG:
                argp_error(state, "there are no arguments, only options; \"%s\" is not understood", value);
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static int load_options(const struct fg_paths *paths, struct fg_options *ret, struct fg_error *err)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/fastgpu.conf", paths->is_private || geteuid() != 0 ? paths->state : "/etc/fastgpu");
        return fg_options_load(ret, path, err);
}

/* The socket systemd listens on for us, or our own. */
static int api_socket(const struct fgd_manager *m, struct fg_error *err)
{
        char path[PATH_MAX];
        int count = sd_listen_fds(1);
        if (count > 1)
                return fg_error_set(err, -EINVAL, "systemd handed over %d sockets instead of one", count);
        if (count == 1 && sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0)
                return fg_error_set(err, -EINVAL, "systemd handed over something that is not a listening unix socket");
        if (count == 1) {
                fcntl(SD_LISTEN_FDS_START, F_SETFL, O_NONBLOCK);
                return SD_LISTEN_FDS_START;
        }
        snprintf(path, sizeof path, "%s/api.sock", m->paths.run);
        int fd = fg_unix_listen(path, SOCK_STREAM, BACKLOG, 0600);
        if (fd < 0)
                return fg_error_set(err, fd, "cannot listen on %s: %m", path);
        fgd_access_grant(m, path, 0660);
        return fd;
}

struct starter {
        struct fgd_manager *manager;
        int ready_fd;
};

/* The devices are known: from here on requests are answered. */
static void on_first_scan(void *user)
{
        struct starter *starter = user;
        struct fgd_manager *m = starter->manager;
        struct fg_error err = {0};
        int r = fgd_money_start(m, &err);
        if (r == 0)
                r = fgd_history_start(m, &err);
        if (r == 0)
                r = fgd_metering_begin(m, fgd_money_last_end(m), &err);
        if (r == 0)
                fgd_money_tick(m->money);
        int fd = r < 0 ? -1 : api_socket(m, &err);
        if (fd < 0 || fgd_http_new(m, fd, &err) < 0) {
                fg_log_error("%s", err.text);
                sd_event_exit(m->event, EXIT_FAILURE);
                return;
        }
        m->api_socket = fd;
        fgd_trace_start(m);
        fgd_jobs_adopt(m);
        fgd_remote_new(m);
        fgd_manager_active(m);
        sd_notify(0, "READY=1");
        if (starter->ready_fd >= 0) {
                if (write(starter->ready_fd, "1", 1) < 0)
                        fg_log_debug("nobody waits for readiness: %m");
                close(starter->ready_fd);
        }
        fg_log_info("ready: %u device%s, %u vGPU%s in %s", m->devices, m->devices == 1 ? "" : "s", m->vgpu_count,
                    m->vgpu_count == 1 ? "" : "s", m->paths.state);
}

static void open_folders(const struct fgd_manager *m)
{
        char path[PATH_MAX];
        fgd_access_grant(m, m->paths.run, 0750);
        snprintf(path, sizeof path, "%s/attach", m->paths.run);
        fgd_access_grant(m, path, 0750);
}

static int serve(struct fgd_manager *m, const struct arguments *arguments, struct fg_error *err)
{
        struct starter starter = {m, arguments->ready_fd};
        sd_listen_fds(0); /* a socket that was handed over is no child's */
        m->idle_exit = arguments->idle_exit;
        int r = fgd_life_watch(m, err);
        if (r == 0)
                r = fgd_life_follow_store(m, arguments->is_careful, err);
        if (r < 0)
                return r;
        open_folders(m);
        fgd_adopt(m);
        if ((r = fgd_jobs_watch(m)) < 0)
                return fg_error_set(err, r, "cannot set up the event loop: %m");
        r = fgd_inventory_scan(m, on_first_scan, &starter, err);
        if (r == 0 && (r = fgd_inventory_watch(m)) < 0)
                fg_error_set(err, r, "cannot set up the event loop: %m");
        if (r < 0)
                return r;
        r = sd_event_loop(m->event);
        sd_notify(0, "STOPPING=1");
        return r < 0 ? fg_error_set(err, r, "the event loop failed: %m") : r;
}

static int run(const struct arguments *arguments, struct fg_error *err)
{
        FG_CLEANUP(fgd_cleanup_managerp) struct fgd_manager *m = NULL;
        struct fg_paths paths;
        struct fg_options options;
        char store[PATH_MAX];
        int r = fg_paths_find(&paths, err);
        if (r == 0)
                r = load_options(&paths, &options, err);
        if (r < 0)
                return r;
        if (arguments->dump_config) {
                fg_options_dump(&options, stdout);
                return 0;
        }
        if (arguments->check_ledger)
                return fgd_check_ledger(&paths, arguments->is_idle, err);
        fg_log_set_level((int)options.value[FG_OPT_LOG_LEVEL]);
        fgd_life_limits();
        r = fgd_life_prepare(&paths, err);
        if (r < 0)
                return r;
        snprintf(store, sizeof store, "%s/store.db", paths.state);
        r = fgd_manager_new(&paths, &options, store, &m, err);
        return r < 0 ? r : serve(m, arguments, err);
}

int main(int argc, char **argv)
{
        static const struct argp parser = {argp_options, parse_argument, NULL,
                                           "The node daemon of FastGPU: keeps the vGPUs, serves fastgpu(1), divides the devices.", NULL, NULL, NULL};
        struct arguments arguments = {.ready_fd = -1};
        struct fg_error err = {0};
        umask(077);
        mallopt(M_MMAP_THRESHOLD, 128 << 10); /* what is large goes back to the kernel, also after one was larger */
        argp_parse(&parser, argc, argv, 0, NULL, &arguments);
        int r = run(&arguments, &err);
        if (r < 0)
                fg_log_error("%s", err.text);
        return r < 0 ? EXIT_FAILURE : r;
}
