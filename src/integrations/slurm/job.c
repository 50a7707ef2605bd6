/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * A job's vGPUs on a node are one set, "slurm-JOB", of the job's user: his quota and his role in the project say whether he may. When
 * Slurm has started the job again it is another one, "slurm-JOB.RESTARTS": what a node that was lost has left is not mistaken for it. */
#include "integrations/slurm/slurm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "slurm-"

static int exit_code(int status)
{
        switch (status) {
        case 400:
                return FGI_SLURM_USAGE;
        case 404:
                return FGI_SLURM_NOT_FOUND;
        case 401:
        case 403:
                return FGI_SLURM_NO_DAEMON;
        default:
                return FGI_SLURM_NO_CAPACITY;
        }
}

static void name_of(const struct fgi_slurm_job *job, char *ret, size_t len)
{
        if (job->restarts)
                snprintf(ret, len, NAME "%" PRIu32 ".%" PRIu32, job->id, job->restarts);
        else
                snprintf(ret, len, NAME "%" PRIu32, job->id);
}

/* In a request's path: a project's name has no sign that would have to be escaped there. Without a project it is the caller's own. */
static void path_of(const struct fgi_slurm_job *job, char *ret, size_t len)
{
        char name[32];
        const char *project = job->config->project;
        name_of(job, name, sizeof name);
        snprintf(ret, len, "/v1/vgpus/%s%s%s", project, *project ? ":" : "", name);
}

static int unreachable(const struct fgi_slurm_job *job, int r, char *error, size_t len)
{
        snprintf(error, len, "fastgpud on this node does not answer at %s: %s", job->config->socket, strerror(-r));
        return FGI_SLURM_NO_DAEMON;
}

static int refused(const struct fgi_slurm_reply *reply, char *error, size_t len)
{
        if (!fgi_slurm_text(reply->body, "detail", error, len))
                snprintf(error, len, "fastgpud answered %d", reply->status);
        return exit_code(reply->status);
}

static void add(char *to, size_t size, const char *name, const char *value)
{
        size_t at = strlen(to);
        snprintf(to + at, size - at, "%s\"%s\": ", at > 1 ? ", " : "", name);
        fgi_slurm_quote(to, size, value);
}

int fgi_slurm_job_make(const struct fgi_slurm_job *job, const struct fgi_slurm_wish *wish, const char *device, char *error, size_t len)
{
        char body[FGI_SLURM_TEXT] = "{", name[32];
        struct fgi_slurm_reply reply;
        name_of(job, name, sizeof name);
        add(body, sizeof body, "name", name);
        const struct {
                const char *name, *value;
        } rest[] = {{"memory", wish->memory}, {"compute", wish->compute}, {"mode", wish->mode ? wish->mode : ""}, {"device", device}, {"project", job->config->project}};
        for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
                if (*rest[i].value)
                        add(body, sizeof body, rest[i].name, rest[i].value);
        size_t at = strlen(body);
        snprintf(body + at, sizeof body - at, ", \"gpus\": %u}", wish->gpus);
        int r = fgi_slurm_ask(job->config->socket, "POST", "/v1/vgpus", body, &reply);
        if (r < 0)
                return unreachable(job, r, error, len);
        char type[32] = "";
        fgi_slurm_text(reply.body, "type", type, sizeof type);
        /* Another step of the job was first. */
        if (reply.status != 201 && strcmp(type, "exists") != 0)
                r = refused(&reply, error, len);
        free(reply.body);
        return r;
}

int fgi_slurm_job_open(const struct fgi_slurm_job *job, struct fgi_slurm_way *ret, char *error, size_t len)
{
        char body[FGI_SLURM_TEXT], target[128];
        struct fgi_slurm_reply reply;
        *ret = (struct fgi_slurm_way){0};
        path_of(job, target, sizeof target);
        snprintf(body, sizeof body, "{\"target\": ");
        fgi_slurm_quote(body, sizeof body - 1, target + strlen("/v1/vgpus/"));
        strcat(body, "}");
        int r = fgi_slurm_ask(job->config->socket, "POST", "/v1/open", body, &reply);
        if (r < 0)
                return unreachable(job, r, error, len);
        if (reply.status != 200)
                r = refused(&reply, error, len);
        else if (!fgi_slurm_text(reply.body, "attach", ret->attach, sizeof ret->attach)) {
                snprintf(error, len, "fastgpud did not say where to attach; are it and the plugin of one version?");
                r = FGI_SLURM_NO_DAEMON;
        }
        ret->cuda = fgi_slurm_true(reply.body, "cuda");
        fgi_slurm_text(reply.body, "sim", ret->sim, sizeof ret->sim);
        free(reply.body);
        return r;
}

/* 0 with *ret as it stands, 1: the job has none here, negative errno. */
static int use_of(const struct fgi_slurm_job *job, const char *path, struct fgi_slurm_use *ret, char *error, size_t len)
{
        struct fgi_slurm_reply reply;
        int r = fgi_slurm_ask(job->config->socket, "GET", path, NULL, &reply);
        if (r < 0)
                return unreachable(job, r, error, len), r;
        if (reply.status == 200)
                ret->gpu_us = fgi_slurm_sum(reply.body, "gpu_ns", &ret->vgpus) / 1000;
        else if (reply.status == 404)
                r = 1;
        else
                r = (refused(&reply, error, len), -EACCES);
        free(reply.body);
        return r;
}

/* The job whose set this name is; false: it is another name, such as that of a vGPU in one. */
static bool job_of(const char *name, struct fgi_slurm_job *ret)
{
        char own[32];
        ret->id = ret->restarts = 0;
        if (sscanf(name, NAME "%" SCNu32 ".%" SCNu32, &ret->id, &ret->restarts) < 1)
                return false;
        name_of(ret, own, sizeof own);
        return strcmp(own, name) == 0;
}

struct set {
        struct fgi_slurm_job job; /* its number and restarts */
        char project[64], owner[96];
};

/* The next set from *at on that is named as a job's. */
static bool next_set(const char **at, struct set *ret)
{
        char name[96];
        while (fgi_slurm_text(*at, "name", name, sizeof name)) {
                *at = strstr(*at, "\"name\"") + 6;
                if (job_of(name, &ret->job) && fgi_slurm_text(*at, "project", ret->project, sizeof ret->project) &&
                    fgi_slurm_text(*at, "owner", ret->owner, sizeof ret->owner))
                        return true;
        }
        return false;
}

/* Who has the set, as root asks; false: nobody who has jobs. */
static bool uid_of(const struct fgi_slurm_config *config, const char *owner, uint32_t *ret)
{
        char path[128];
        struct fgi_slurm_reply reply;
        unsigned count = 0;
        *ret = FGI_SLURM_ANYONE;
        /* Root, or whoever it is while the daemon has no users. */
        if (strcmp(owner, "operator") == 0)
                return true;
        snprintf(path, sizeof path, "/v1/users/%s", owner);
        if (fgi_slurm_ask(config->socket, "GET", path, NULL, &reply) < 0)
                return false;
        if (reply.status == 200)
                *ret = (uint32_t)fgi_slurm_sum(reply.body, "uid", &count);
        free(reply.body);
        return count && *ret;
}

/* Anybody may name a set of his own after another's job. */
static bool owns(const struct fgi_slurm_job *job, const char *owner)
{
        uint32_t uid;
        return uid_of(job->config, owner, &uid) && (uid == FGI_SLURM_ANYONE || uid == job->uid);
}

typedef int set_fn(const struct fgi_slurm_job *job, void *data, char *error, size_t len);

/* The job's user has made it in his own project, unless plugstack.conf names one; root, who asks now, has another, so it is looked up: in that
 * one as well, where others have sets, too. */
static int with_set(const struct fgi_slurm_job *job, set_fn *what, void *data, char *error, size_t len)
{
        struct fgi_slurm_reply reply;
        struct set set;
        const char *project = job->config->project;
        int r = fgi_slurm_ask(job->config->socket, "GET", "/v1/vgpus", NULL, &reply);
        if (r < 0)
                return unreachable(job, r, error, len), r;
        if (reply.status != 200)
                r = (refused(&reply, error, len), -EACCES);
        const char *at = reply.body;
        while (r == 0 && next_set(&at, &set)) {
                struct fgi_slurm_config its = *job->config;
                struct fgi_slurm_job same = *job;
                if (set.job.id != job->id || set.job.restarts != job->restarts || (*project && strcmp(project, set.project) != 0) || !owns(job, set.owner))
                        continue;
                memcpy(its.project, set.project, sizeof its.project);
                same.config = &its;
                r = what(&same, data, error, len);
        }
        free(reply.body);
        return r;
}

static int tell(const struct fgi_slurm_job *job, void *ret, char *error, size_t len)
{
        char path[160];
        path_of(job, path, sizeof path);
        int r = use_of(job, path, ret, error, len);
        return r < 0 ? r : 0;
}

int fgi_slurm_job_use(const struct fgi_slurm_job *job, struct fgi_slurm_use *ret, char *error, size_t len)
{
        *ret = (struct fgi_slurm_use){0};
        return with_set(job, tell, ret, error, len);
}

struct ending {
        fgi_slurm_left_fn *left;
        void *data;
        bool sweep;
};

/* First its use is written down, then it goes: whoever is ended in between begins again. A sweep ends no programs: what still uses a set is a
 * running job's. An epilog takes the vGPUs away in any case, for the next job is to have them. */
static int end(const struct fgi_slurm_job *job, void *data, char *error, size_t len)
{
        const struct ending *ending = data;
        char path[160], delete[176];
        struct fgi_slurm_reply reply;
        struct fgi_slurm_use use = {0};
        path_of(job, path, sizeof path);
        int r = use_of(job, path, &use, error, len);
        if (r)
                return r < 0 ? r : 0;
        r = ending->left(job, &use, ending->data);
        if (r < 0 && ending->sweep)
                return r;
        snprintf(delete, sizeof delete, "%s%s", path, ending->sweep ? "" : "?force=1");
        r = fgi_slurm_ask(job->config->socket, "DELETE", delete, NULL, &reply);
        if (r < 0)
                return unreachable(job, r, error, len), r;
        if (reply.status != 204)
                r = (refused(&reply, error, len), -EBUSY);
        free(reply.body);
        return r;
}

int fgi_slurm_job_end(const struct fgi_slurm_job *job, fgi_slurm_left_fn *left, void *data, char *error, size_t len)
{
        struct fgi_slurm_job run = *job;
        struct ending ending = {left, data, false};
        int r = 0;
        for (run.restarts = 0; run.restarts <= job->restarts && r == 0; run.restarts++)
                r = with_set(&run, end, &ending, error, len);
        return r;
}

int fgi_slurm_job_sweep(const struct fgi_slurm_config *config, fgi_slurm_left_fn *left, void *data)
{
        char error[FGI_SLURM_TEXT];
        struct fgi_slurm_reply reply;
        struct ending ending = {left, data, true};
        struct set set;
        int r = fgi_slurm_ask(config->socket, "GET", "/v1/vgpus", NULL, &reply);
        if (r < 0)
                return r;
        const char *at = reply.body;
        while (next_set(&at, &set)) {
                struct fgi_slurm_config its = *config;
                memcpy(its.project, set.project, sizeof its.project);
                set.job.config = &its;
                if (uid_of(config, set.owner, &set.job.uid))
                        end(&set.job, &ending, error, sizeof error);
        }
        free(reply.body);
        return 0;
}
