/* SPDX-License-Identifier: Apache-2.0
 * From the runner's fork to the user's command. */
#include "runner/runner.h"

#include "base/cleanup.h"
#include "base/job_group.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS_MAX   256
#define FILES_MAX    1024u    /* soft limit, as programs that use select(2) need it */
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

enum step { ENTER, SESSION, GROUPS, USER, PRIVILEGES, FOLDER, OUTPUT, EXECUTE };
static const char *const step_texts[] = {
        [ENTER] = "the job cannot enter its cgroup",     [SESSION] = "the job gets no session",
        [GROUPS] = "the job gets no groups",             [USER] = "the job cannot become its user",
        [PRIVILEGES] = "the job cannot give up privileges", [FOLDER] = "the job cannot start in the folder",
        [OUTPUT] = "the job's output cannot be set up",
};
struct verdict {
        enum step step;
        int error;
};

struct account {
        char name[64], home[512], shell[256];
        gid_t groups[GROUPS_MAX];
        int count;
        gid_t gid;
};

static int find_account(const struct fg_job_spec *spec, struct account *ret, struct fg_error *err)
{
        char buffer[4096];
        struct passwd entry, *found = NULL;
        int error = getpwuid_r(spec->uid, &entry, buffer, sizeof buffer, &found);
        *ret = (struct account){.home = "/", .shell = "/bin/sh", .gid = spec->uid, .count = GROUPS_MAX - 1};
        if (!found && geteuid() == 0 && spec->uid != 0)
                return fg_error_set(err, error ? -error : -ENOENT, "there is no account with uid %u, so the job has no groups to run with", spec->uid);
        if (!found) {
                ret->gid = getegid();
                ret->count = 0;
                return 0;
        }
        snprintf(ret->name, sizeof ret->name, "%s", entry.pw_name);
        snprintf(ret->home, sizeof ret->home, "%s", entry.pw_dir);
        snprintf(ret->shell, sizeof ret->shell, "%s", entry.pw_shell);
        ret->gid = entry.pw_gid;
        if (getgrouplist(entry.pw_name, entry.pw_gid, ret->groups, &ret->count) < 0)
                return fg_error_set(err, -E2BIG, "%s is in more than %d groups", entry.pw_name, GROUPS_MAX - 1);
        if (spec->gid != (gid_t)-1)
                ret->groups[ret->count++] = spec->gid;
        return 0;
}

_Noreturn static void give_up(int channel, enum step step, int error)
{
        struct verdict verdict = {step, error};
        if (write(channel, &verdict, sizeof verdict) < 0) {
                /* nobody to tell: the runner is gone */
        }
        _exit(error == ENOENT ? 127 : 126);
}

static void put(const char *path, const char *text)
{
        fg_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, text, strlen(text)) < 0)
                return; /* a wish */
}

static void set_limits(const struct fg_job_spec *spec)
{
        struct rlimit files, none = {0, 0};
        struct sched_param idle = {0};
        put("/proc/self/oom_score_adj", "0");
        setrlimit(RLIMIT_CORE, &none);
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max < FILES_MAX ? files.rlim_max : FILES_MAX;
                setrlimit(RLIMIT_NOFILE, &files);
        }
        if (spec->background) {
                put("/proc/self/autogroup", "19");
                sched_setscheduler(0, SCHED_IDLE, &idle);
        }
}

static void become_user(int channel, const struct fg_job_spec *spec, const struct account *account)
{
        if (geteuid() == 0) {
                if (setgroups((size_t)account->count, account->groups) < 0 || setresgid(account->gid, account->gid, account->gid) < 0)
                        give_up(channel, GROUPS, errno);
                if (setresuid(spec->uid, spec->uid, spec->uid) < 0)
                        give_up(channel, USER, errno);
        }
        if (geteuid() != spec->uid || getuid() != spec->uid)
                give_up(channel, USER, EPERM);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                give_up(channel, PRIVILEGES, errno);
}

static void set_environment(const struct fg_job_spec *spec, const struct account *account, char *mark)
{
        const char *const defaults[][2] = {{"HOME", account->home}, {"USER", account->name},    {"LOGNAME", account->name}, {"SHELL", account->shell},
                                           {"PATH", DEFAULT_PATH},  {"LANG", "C.UTF-8"}};
        clearenv();
        for (uint32_t i = 0; i < spec->envc; i++)
                putenv(spec->env[i]);
        for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
                if (defaults[i][1][0])
                        setenv(defaults[i][0], defaults[i][1], 0);
        setenv("FASTGPU_JOB", spec->id, 1);
        putenv(mark);
}

static void set_files(int channel, int output)
{
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 || close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
                give_up(channel, OUTPUT, errno);
}

static void reset_signals(void)
{
        sigset_t none;
        for (int s = 1; s < NSIG; s++)
                signal(s, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void child(struct fgr_runner *r, const struct account *account, int channel, int output, pid_t parent)
{
        const struct fg_job_spec *spec = &r->spec;
        char mark[FG_JOB_MARK_MAX];
        /* First of all: this copy must not make a dead runner look alive. */
        close(r->lock);
        reset_signals();
        int result = fgr_group_enter(&r->status);
        if (result < 0)
                give_up(channel, ENTER, -result);
        if (setsid() < 0)
                give_up(channel, SESSION, errno);
        set_limits(spec);
        become_user(channel, spec, account);
        /* A change of user takes it away, so it comes behind it: a job does not go on without its runner. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(126);
        umask(022);
        if (fg_job_mark(r->dir, mark) < 0)
                give_up(channel, FOLDER, errno);
        set_environment(spec, account, mark);
        if (spec->cwd[0] ? chdir(spec->cwd) < 0 : chdir(account->home) < 0 && chdir("/") < 0)
                give_up(channel, FOLDER, errno);
        set_files(channel, output);
        execvp(spec->argv[0], spec->argv);
        give_up(channel, EXECUTE, errno);
}

/* From here on the command may run, and will never be run again from this folder. */
static int mark_begun(struct fgr_runner *r, struct fg_error *err)
{
        fg_autoclose int fd = openat(r->dir, "begun", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || fsync(fd) < 0 || fsync(r->dir) < 0)
                return fg_error_set(err, -errno, "that the job begins cannot be written down: %m");
        return 0;
}

int fgr_begin(struct fgr_runner *r, struct fg_error *err)
{
        struct account account;
        struct fg_job_process process;
        int output[2], channel[2];
        pid_t parent = getpid();
        int result = find_account(&r->spec, &account, err);
        if (result < 0)
                return result;
        if (pipe2(output, O_CLOEXEC) < 0)
                return fg_error_set(err, -errno, "no pipe for the job's output: %m");
        r->output = output[0];
        fcntl(output[0], F_SETFL, O_NONBLOCK);
        if (pipe2(channel, O_CLOEXEC) < 0) {
                close(output[1]);
                return fg_error_set(err, -errno, "no pipe for the job's start: %m");
        }
        r->verdict = channel[0];
        fcntl(channel[0], F_SETFL, O_NONBLOCK);
        result = mark_begun(r, err);
        pid_t pid = result < 0 ? 0 : fork();
        if (pid == 0 && result == 0)
                child(r, &account, channel[1], output[1], parent);
        if (pid < 0)
                result = fg_error_set(err, -errno, "the job's process cannot be made: %m");
        close(output[1]);
        close(channel[1]);
        if (result < 0)
                return result;
        r->status.pid = pid;
        if (fg_job_process_read(pid, &process) == 0)
                r->status.pid_start = process.start;
        return 0;
}

int fgr_verdict(struct fgr_runner *r)
{
        struct verdict verdict;
        ssize_t n = read(r->verdict, &verdict, sizeof verdict);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return -EAGAIN;
        close(r->verdict);
        r->verdict = -1;
        if (n != (ssize_t)sizeof verdict)
                return 0;
        struct fg_job_status *s = &r->status;
        s->error = verdict.error;
        s->why = verdict.step == EXECUTE ? FG_JOB_WHY_EXEC_FAILED : FG_JOB_WHY_SETUP_FAILED;
        if (verdict.step == EXECUTE)
                snprintf(s->text, sizeof s->text, "%.150s cannot be executed: %s", r->spec.argv[0], strerror(verdict.error));
        else
                snprintf(s->text, sizeof s->text, "%s%s%.150s: %s", step_texts[verdict.step], verdict.step == FOLDER ? " " : "",
                         verdict.step == FOLDER ? r->spec.cwd : "", strerror(verdict.error));
        return -verdict.error;
}
