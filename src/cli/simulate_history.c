/* SPDX-License-Identifier: Apache-2.0
 * The node's jobs that are over, as the daemon tells them to whoever asks: others' do not exist for those who may not see them. What it
 * becomes is a trace like any other, so that it can be kept, read and replayed elsewhere. */
#include "cli/simulate.h"

#include "base/cleanup.h"
#include "simulate/jobs.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct past {
        int64_t submitted, length, id, index; /* s */
        unsigned gpus, milli, busy;
        const char *project, *user, *name; /* of the answers */
};

struct past_list {
        struct past *job;
        size_t count, made;
        uint64_t memory; /* of the largest device */
};

static int64_t seconds(const char *text)
{
        struct tm tm = {0};
        return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) : 0;
}

/* What a vGPU holds of its device is the larger of its two parts. */
static unsigned milli_of(const struct past_list *list, const json_t *job)
{
        uint64_t share = cli_number(job, "share"), memory = cli_number(job, "memory");
        uint64_t part = list->memory ? (memory / 1024 * 1000 + list->memory / 1024 - 1) / (list->memory / 1024) : 0;
        uint64_t milli = share > part ? share : part;
        return milli < 1 ? 1 : milli > FG_JOBS_WHOLE ? FG_JOBS_WHOLE : (unsigned)milli;
}

/* A run that began and is over; `run` is the job itself, or an element of it. */
static int add(struct past_list *list, const json_t *job, const json_t *run)
{
        uint64_t ran = cli_number(run, "ran_ms"), gpus = cli_number(job, "gpus");
        if (!*cli_text(run, "ended") || !*cli_text(run, "started") || gpus < 1 || gpus > FG_JOBS_GPUS_MAX)
                return 0;
        if (list->count == FG_JOBS_MAX)
                return cli_fail(CLI_FAILED, "more than %u jobs; --project takes those of one", FG_JOBS_MAX);
        if (list->count == list->made) {
                size_t made = list->made ? list->made * 2 : 256;
                struct past *more = realloc(list->job, made * sizeof(*more));
                if (!more)
                        return cli_fail(CLI_FAILED, "out of memory");
                list->job = more;
                list->made = made;
        }
        struct past p = {.submitted = seconds(cli_text(job, "submitted")), .length = (int64_t)((ran + 999) / 1000), .id = (int64_t)cli_number(job, "id"),
                         .index = (int64_t)cli_number(run, "index"), .gpus = (unsigned)gpus, .milli = milli_of(list, job),
                         .project = cli_text(job, "project"), .user = cli_text(job, "owner"), .name = cli_text(job, "name")};
        double held = (double)ran * 1e6 * p.gpus * p.milli / FG_JOBS_WHOLE, busy = held > 0 ? (double)cli_number(run, "gpu_ns") / held : 0;
        p.busy = busy < 1 ? (unsigned)(busy * 1000 + 0.5) : 1000;
        list->job[list->count++] = p;
        return 0;
}

static int add_elements(struct past_list *list, struct fg_client *client, const json_t *job)
{
        char path[128], after[32] = "";
        do {
                cli_autojson json_t *page = NULL;
                size_t i;
                const json_t *element;
                snprintf(path, sizeof path, "/v1/jobs/%" PRIu64 "?elements=1&limit=1000%s%s", cli_number(job, "id"), *after ? "&after=" : "", after);
                int code = cli_request(client, "GET", path, NULL, &page);
                json_array_foreach(json_object_get(page, "elements"), i, element)
                        code = code ? code : add(list, job, element);
                if (code)
                        return code;
                snprintf(after, sizeof after, "%s", cli_text(page, "next"));
        } while (*after);
        return 0;
}

static int read_devices(struct fg_client *client, struct past_list *list, unsigned *ret_gpus)
{
        cli_autojson json_t *answer = NULL;
        size_t i;
        const json_t *device;
        int code = cli_request(client, "GET", "/v1/devices", NULL, &answer);
        json_array_foreach(json_object_get(answer, "devices"), i, device)
                list->memory = cli_number(device, "memory") > list->memory ? cli_number(device, "memory") : list->memory;
        *ret_gpus = (unsigned)i;
        return code;
}

static int by_submission(const void *a, const void *b)
{
        const struct past *x = a, *y = b;
        if (x->submitted != y->submitted)
                return x->submitted < y->submitted ? -1 : 1;
        if (x->id != y->id)
                return x->id < y->id ? -1 : 1;
        return x->index < y->index ? -1 : x->index > y->index;
}

/* A field without what would end it. What is learned of names is about all of a kind: train-17 is train, as in the daemon's queue. */
static void put_field(FILE *out, const char *text, bool stem)
{
        size_t len = strlen(text), all = len;
        while (stem && len > 0 && isdigit((unsigned char)text[len - 1]))
                len--;
        while (stem && len > 0 && strchr("-_.", text[len - 1]))
                len--;
        len = len ? len : all;
        for (size_t i = 0; i < len; i++)
                fputc((unsigned char)text[i] < 32 || text[i] == ',' || text[i] == '"' || text[i] == 127 ? '_' : text[i], out);
}

static int write_past(struct past_list *list, char **ret, size_t *ret_len)
{
        FILE *out = open_memstream(ret, ret_len);
        if (!out)
                return cli_fail(CLI_FAILED, "out of memory");
        if (list->count)
                qsort(list->job, list->count, sizeof(*list->job), by_submission);
        fputs("# fastgpu jobs 1\nsubmit_s,duration_s,num_gpus,gpu_milli,busy_permille,project,user,name\n", out);
        for (size_t i = 0; i < list->count; i++) {
                const struct past *p = &list->job[i];
                fprintf(out, "%" PRId64 ",%" PRId64 ",%u,%u,%u,", p->submitted - list->job[0].submitted, p->length, p->gpus, p->milli, p->busy);
                put_field(out, p->project, false);
                fputc(',', out);
                put_field(out, p->user, false);
                fputc(',', out);
                put_field(out, p->name, true);
                fputc('\n', out);
        }
        return fclose(out) == 0 ? 0 : cli_fail(CLI_FAILED, "out of memory");
}

static int read_jobs(struct fg_client *client, struct past_list *list, const json_t *jobs)
{
        size_t i;
        const json_t *job;
        int code = 0;
        json_array_foreach(jobs, i, job)
        {
                code = *cli_text(job, "array") ? add_elements(list, client, job) : add(list, job, job);
                if (code)
                        return code;
        }
        return 0;
}

int cli_sim_history(char **ret, size_t *ret_len, unsigned *ret_gpus)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *jobs = NULL;
        struct past_list list = {0};
        const char *project;
        char path[256];
        int code = cli_project(&project);
        snprintf(path, sizeof path, "/v1/jobs?limit=1000%s%s", code == 0 && project ? "&project=" : "", code == 0 && project ? project : "");
        if (code == 0)
                code = cli_call_all(path, "jobs", &jobs);
        if (code == 0)
                code = cli_connect(&client);
        if (code == 0)
                code = read_devices(client, &list, ret_gpus);
        if (code == 0)
                code = read_jobs(client, &list, jobs);
        if (code == 0 && list.count == 0)
                code = cli_fail(CLI_NOT_FOUND, "no job is over yet, or none that you may see: there is nothing to replay");
        if (code == 0)
                code = write_past(&list, ret, ret_len);
        free(list.job);
        return code;
}
