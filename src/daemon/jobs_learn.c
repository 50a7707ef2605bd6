/* SPDX-License-Identifier: Apache-2.0
 * The daemon's side of src/sched/order.h: it learns from each job that ended by itself, whatever the queue's policy, and with the policy
 * "learned" keeps the jobs' keys. docs/design/order.md. */
#include "daemon/jobs.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/manager.h"
#include "daemon/tenants.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLASSES   2048u           /* about 600 bytes each */
#define FILE_MAX  (16u << 20)
#define SAVE_NS   (600 * FG_NSEC_PER_SEC)
#define ROUND_NS  (60 * FG_NSEC_PER_SEC)
#define SOON_NS   FG_NSEC_PER_SEC
#define EACH_NS   20000u          /* of each job, a round later: a tenth of the time at most */
#define AT_ONCE   2000u           /* jobs that one pass looks at: a few ms */

/* --- kinds --- */

/* "train-17" and "train-18" are the same program tried twice. */
static size_t stem_of(const char *name)
{
        size_t n = strlen(name);
        while (n > 0 && isdigit((unsigned char)name[n - 1]))
                n--;
        while (n > 0 && strchr("-_.", name[n - 1]))
                n--;
        return n ? n : strlen(name);
}

static uint64_t hash(const char *text, size_t n)
{
        uint64_t h = 0xcbf29ce484222325u;
        for (size_t i = 0; i < n; i++)
                h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
        return h ? h : 1;
}

uint64_t fgd_learn_name(const char *name)
{
        return hash(name, stem_of(name));
}

static struct fg_order_kind kind_of(const struct fgd_job *job)
{
        return (struct fg_order_kind){.project = (uint64_t)job->project->id + 1,
                                      .user = job->owner ? (uint64_t)job->owner->id + 1 : 1,
                                      .name = hash(job->name, stem_of(job->name)),
                                      .share = job->share * job->gpus};
}

const char *fgd_learn_explain(const struct fgd_manager *m, const struct fgd_job *job, char buf[FGD_LEARN_EXPLAIN])
{
        char name[64];
        struct fg_order_kind kind = kind_of(job);
        struct fg_order_prediction p;
        buf[0] = '\0';
        fg_order_predict(m->jobs->order, &kind, &p);
        snprintf(name, sizeof name, "%.*s", (int)stem_of(job->name), job->name);
        return p.runs ? fg_order_explain(m->jobs->order, &kind, name, buf, FGD_LEARN_EXPLAIN) : buf;
}

void fgd_learn_end(struct fgd_manager *m, const struct fgd_job *job, uint64_t ran_ms)
{
        struct fg_order_kind kind = kind_of(job);
        if (fg_order_finish(m->jobs->order, &kind, ran_ms * 1000) == 0)
                m->jobs->has_learned = m->jobs->has_learned_more = true;
}

/* --- keys --- */

uint64_t fgd_learn_key_of(const void *run)
{
        return ((const struct fgd_run *)run)->job->key;
}

void fgd_learn_key(struct fgd_manager *m, struct fgd_job *job)
{
        int64_t since = job->submitted > job->not_before * 1000 ? job->submitted : job->not_before * 1000, waited = fgd_wall_ms() - since;
        struct fg_order_job view = {.kind = kind_of(job),
                                    .submitted = job->submitted > 0 ? (uint64_t)job->submitted * 1000 : 0,
                                    .waited = waited > 0 ? (uint64_t)waited * 1000 : 0};
        struct fg_order_prediction all;
        fg_order_predict(m->jobs->order, &view.kind, &all);
        /* The queue suspends for higher classes alone, so within a project it is an order without preemption. While nothing is known, not
         * even of other jobs, all are equal and submission decides. */
        job->key = all.runs ? fg_order_key(m->jobs->order, fg_order_policy_find("mean"), &view) : 0;
}

static void rekey(struct fgd_manager *m, struct fgd_job *job)
{
        uint64_t before = job->key;
        struct fgd_run *run;
        fgd_learn_key(m, job);
        if (job->key == before)
                return;
        TAILQ_FOREACH(run, &job->runs, of_job)
                if (run->entry)
                        fg_queue_rekey(m->jobs->queue, run->entry);
}

bool fgd_learn_refresh(struct fgd_manager *m)
{
        struct fgd_jobs *jobs = m->jobs;
        uint64_t now = fg_now(), ago = now - jobs->rekey_at;
        if (strcmp(fg_queue_policies[m->options.value[FG_OPT_QUEUE_POLICY]].name, "learned") != 0)
                return false;
        if (!jobs->rekey) {
                if (ago < SOON_NS + EACH_NS * (uint64_t)jobs->count || (ago < ROUND_NS && !jobs->has_learned_more))
                        return false;
                jobs->rekey = TAILQ_FIRST(&jobs->list);
                jobs->rekey_at = now;
                jobs->has_learned_more = false;
        }
        for (unsigned n = 0; jobs->rekey && n < AT_ONCE; n++) {
                struct fgd_job *job = jobs->rekey;
                jobs->rekey = TAILQ_NEXT(job, order);
                rekey(m, job);
        }
        return jobs->rekey;
}

void fgd_learn_forget(struct fgd_manager *m, const struct fgd_job *job)
{
        if (m->jobs->rekey == job)
                m->jobs->rekey = TAILQ_NEXT(job, order);
}

/* --- kept --- */

static void path_of(const struct fgd_manager *m, const char *name, const char *tail, char ret[PATH_MAX])
{
        snprintf(ret, PATH_MAX, "%.4000s/%s%s", m->paths.state, name, tail);
}

/* -ENOENT: there is none yet. */
static int read_file(const char *path, char **ret, size_t *ret_size, struct fg_error *err)
{
        struct stat st;
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return errno == ENOENT ? -ENOENT : fg_error_set(err, -errno, "cannot open %s: %m", path);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
                return fg_error_set(err, -EINVAL, "%s is no file of at most 16 MiB", path);
        fg_autofree char *text = malloc((size_t)st.st_size + 1);
        if (!text)
                return fg_error_set(err, -ENOMEM, "out of memory");
        ssize_t n = read(fd, text, (size_t)st.st_size);
        if (n != st.st_size)
                return fg_error_set(err, -EIO, "cannot read %s", path);
        text[n] = '\0';
        *ret = FG_TAKE_PTR(text);
        *ret_size = (size_t)n;
        return 0;
}

int fgd_learn_read(const struct fgd_manager *m, const char *name, char **ret, size_t *ret_size, struct fg_error *err)
{
        char path[PATH_MAX];
        path_of(m, name, "", path);
        return read_file(path, ret, ret_size, err);
}

int fgd_learn_load(struct fgd_manager *m)
{
        char path[PATH_MAX];
        fg_autofree char *text = NULL;
        size_t size = 0;
        struct fg_error err = {0};
        path_of(m, "learned", "", path);
        int r = read_file(path, &text, &size, &err);
        if (r == 0)
                r = fg_order_restore(text, size, CLASSES, &m->jobs->order, &err);
        if (r == 0)
                return 0;
        if (r != -ENOENT)
                fgd_manager_note(m, "how long jobs run is learned anew: %s: %s", path, err.text);
        return fg_order_new(CLASSES, &m->jobs->order);
}

int fgd_learn_write(const struct fgd_manager *m, const char *name, const char *text, size_t size)
{
        char part[PATH_MAX], path[PATH_MAX];
        path_of(m, name, ".part", part);
        path_of(m, name, "", path);
        unlink(part);
        fg_autoclose int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        ssize_t n = write(fd, text, size);
        if (n != (ssize_t)size)
                return n < 0 ? -errno : -ENOSPC;
        return rename(part, path) < 0 ? -errno : 0;
}

void fgd_learn_save(struct fgd_manager *m, bool now)
{
        struct fgd_jobs *jobs = m->jobs;
        fg_autofree char *text = NULL;
        size_t size;
        if (!jobs->has_learned || (!now && fg_now() - jobs->learned_at < SAVE_NS))
                return;
        jobs->learned_at = fg_now();
        int r = fg_order_save(jobs->order, &text, &size);
        if (r == 0)
                r = fgd_learn_write(m, "learned", text, size);
        if (r == 0)
                jobs->has_learned = false;
        else
                fg_log_warning("what was learned of jobs could not be written down: %s", strerror(-r));
}
