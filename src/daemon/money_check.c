/* SPDX-License-Identifier: Apache-2.0
 * The whole money log is read again behind everybody's back: soon after a start that went on from what was kept, and once a day. It
 * is a process of its own at the lowest priority, fastgpud --check-ledger; what it finds puts the log into safe mode. */
#include "daemon/money_check.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/ledger_check.h"
#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON_USEC  (10ull * 1000000)
#define AGAIN_USEC (86400ull * 1000000)

struct fgd_money_check {
        struct fgd_money *money;
        sd_event_source *timer, *exited;
        pid_t pid; /* 0: none runs */
        int pidfd, output;
};

extern char **environ;

static int spawn(int output, pid_t *ret)
{
        char program[] = "/proc/self/exe", check[] = "--check-ledger", idle[] = "--idle";
        char *argv[] = {program, check, idle, NULL};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, output, 1);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        int r = -posix_spawn(ret, program, &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return r;
}

static void clean_up(struct fgd_money_check *check)
{
        check->exited = sd_event_source_disable_unref(check->exited);
        if (!check->pid)
                return;
        kill(check->pid, SIGKILL);
        waitpid(check->pid, NULL, 0);
        close(check->pidfd);
        close(check->output);
        check->pid = 0;
}

static void conclude(struct fgd_money_check *check, const siginfo_t *info)
{
        struct fgd_money *money = check->money;
        char text[FG_ERROR_MAX / 2], trouble[FG_ERROR_MAX];
        ssize_t n = read(check->output, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        int code = info->si_code == CLD_EXITED ? info->si_status : -1;
        if (code == FGD_LEDGER_FOUND && *text) {
                snprintf(trouble, sizeof trouble, "%s (see fastgpud --check-ledger)", text);
                if (money->log && !*fgd_moneylog_trouble(money->log)) {
                        fgd_moneylog_blame(money->log, trouble);
                        fgd_manager_note(money->manager, "nothing is billed: %s", trouble);
                }
        } else if (code == FGD_LEDGER_HASHES && money->log) {
                fgd_moneylog_forget(money->log);
                fgd_manager_note(money->manager, "the money log is sound, its kept hashes are not: they are made again at the next start");
        } else if (code == EXIT_SUCCESS) {
                fg_log_info("the money log was read again: %s", text);
        } else {
                fg_log_warning("the money log could not be read again (%s %d)", code < 0 ? "signal" : "status", info->si_status);
        }
}

static int on_exit_of(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_money_check *check = user;
        siginfo_t info = {0};
        waitid(P_PIDFD, (id_t)check->pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
        conclude(check, &info);
        clean_up(check);
        return 0;
}

static int start(struct fgd_money_check *check)
{
        int pipe[2];
        if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        int r = spawn(pipe[1], &check->pid);
        close(pipe[1]);
        check->pidfd = r < 0 ? -1 : pidfd_open(check->pid, 0);
        check->output = pipe[0];
        if (r < 0) {
                check->pid = 0;
                close(pipe[0]);
                return r;
        }
        r = check->pidfd < 0 ? -errno : sd_event_add_io(check->money->manager->event, &check->exited, check->pidfd, EPOLLIN, on_exit_of, check);
        if (r < 0)
                clean_up(check);
        return r;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_money_check *check = user;
        struct fgd_moneylog *log = check->money->log;
        int r = check->pid || !log || *fgd_moneylog_trouble(log) ? 0 : start(check);
        if (r < 0)
                fg_log_warning("the money log cannot be read again: %s", strerror(-r));
        sd_event_source_set_time_relative(source, AGAIN_USEC);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

int fgd_money_check_new(struct fgd_money *money)
{
        struct fgd_money_check *check = calloc(1, sizeof *check);
        if (!check)
                return -ENOMEM;
        check->money = money;
        money->check = check;
        uint64_t in = money->log && fgd_moneylog_trusted(money->log) ? SOON_USEC : AGAIN_USEC;
        return sd_event_add_time_relative(money->manager->event, &check->timer, CLOCK_BOOTTIME, in, 1000000, on_timer, check);
}

void fgd_money_check_free(struct fgd_money_check *check)
{
        if (!check)
                return;
        clean_up(check);
        sd_event_source_disable_unref(check->timer);
        free(check);
}
