/* SPDX-License-Identifier: Apache-2.0
 * The daemon's end of a job's runner, without the daemon: commands on standard input, a line for each answer and each event.
 * usage: drive JOBS ID */
#include "base/cleanup.h"
#include "daemon/job_link.h"
#include "daemon/manager.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fgd_manager manager;
static struct fgd_job_link *job;
static const char *jobs, *id;
static char dir[PATH_MAX];

static void say_status(const char *what, const struct fg_job_status *s)
{
        printf("%s %s %s %d %d %d %s\n", what, fg_job_state_names[s->state], fg_job_why_names[s->why], s->code, s->signal, s->pid, s->text);
        fflush(stdout);
}

static void on_change(void *user, const struct fg_job_status *status)
{
        say_status("event", status);
        if (status->state == FG_JOB_ENDED) {
                fgd_job_link_free(job);
                job = NULL;
        }
}

static void on_refused(void *user, const char *text)
{
        printf("refused %s\n", text);
        fflush(stdout);
}

static const struct fgd_job_events events = {on_change, on_refused};

static int make(char *script, struct fg_error *err)
{
        char sh[] = "sh", c[] = "-c";
        char *argv[] = {sh, c, script};
        const char *group = getenv("DRIVE_GROUP");
        struct fg_job_spec spec = {.uid = geteuid(), .gid = (gid_t)-1, .cwd = "", .argv = argv, .argc = 3, .grace = 500, .log_max = 1 << 20,
                                   .group = group ? (enum fg_job_group)atoi(group) : FG_JOB_GROUP_AUTO};
        snprintf(spec.id, sizeof spec.id, "%s", id);
        fg_autofree char *bytes = NULL;
        size_t size;
        int r = fg_job_spec_write(&spec, &bytes, &size, err);
        return r < 0 ? r : fgd_job_dir_make(jobs, id, bytes, size, err);
}

static int start(struct fg_error *err)
{
        struct fgd_job_started started;
        int r = fgd_job_start(dir, &started, err);
        return r < 0 ? r : fgd_job_follow(&manager, &started, &events, NULL, &job, err);
}

static int adopt(struct fg_error *err)
{
        static const char *const found_names[] = {"never-began", "lives", "ended"};
        struct fg_job_status status = {0};
        enum fgd_job_found found;
        int r = fgd_job_adopt(&manager, dir, &events, NULL, &found, &status, &job, err);
        if (r == 0)
                say_status(found_names[found], &status);
        return r;
}

static int obey(char *line, struct fg_error *err)
{
        unsigned long long grace;
        if (strncmp(line, "make ", 5) == 0)
                return make(line + 5, err);
        if (strcmp(line, "start") == 0)
                return start(err);
        if (strcmp(line, "adopt") == 0)
                return adopt(err);
        if (strcmp(line, "remove") == 0)
                return fgd_job_dir_remove(dir, err);
        if (!job)
                return -ESRCH;
        if (strcmp(line, "suspend") == 0)
                return fgd_job_suspend(job);
        if (strcmp(line, "resume") == 0)
                return fgd_job_resume(job);
        if (strcmp(line, "ask") == 0)
                return fgd_job_ask(job);
        if (sscanf(line, "stop %llu", &grace) == 1)
                return fgd_job_stop(job, grace);
        if (strcmp(line, "runner") == 0)
                return fgd_job_link_runner(job);
        return -EINVAL;
}

static int on_line(sd_event_source *source, int fd, uint32_t revents, void *user)
{
        char line[1024];
        if (!fgets(line, sizeof line, stdin))
                return sd_event_exit(manager.event, 0);
        struct fg_error err = {0};
        line[strcspn(line, "\n")] = 0;
        int r = obey(line, &err);
        printf("answer %d %s\n", r, err.text);
        fflush(stdout);
        return 0;
}

int main(int argc, char **argv)
{
        jobs = argv[1];
        id = argv[2];
        snprintf(dir, sizeof dir, "%s/%s", jobs, id);
        setvbuf(stdin, NULL, _IONBF, 0);
        if (sd_event_new(&manager.event) < 0 || sd_event_add_io(manager.event, NULL, 0, EPOLLIN, on_line, NULL) < 0)
                return 1;
        int r = sd_event_loop(manager.event);
        fgd_job_link_free(job);
        sd_event_unref(manager.event);
        return r;
}
