/* SPDX-License-Identifier: Apache-2.0
 * Jobs as CSV: Philly's and one's own. */
#include "base/cleanup.h"
#include "simulate/csv.h"
#include "simulate/jobs.h"
#include "simulate/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAR    (INT64_C(1) << 40)
#define LONG   (INT64_C(3650) * FG_JOBS_DAY)
#define FORMAT "# fastgpu jobs "

enum { SUBMIT, DURATION, GPUS, MILLI, PROJECT, USER, NAME, BUSY, COLUMNS };

static const struct fg_csv_column column[COLUMNS] = {
        [SUBMIT] = {"submit_s", -FAR, FAR, false, NULL},
        [DURATION] = {"duration_s", 0, LONG, false, NULL},
        [GPUS] = {"num_gpus", 1, FG_JOBS_GPUS_MAX, false, NULL},
        [MILLI] = {"gpu_milli", 1, FG_JOBS_WHOLE, true, NULL},
        [PROJECT] = {"project", 0, 0, true, "vc"},
        [USER] = {"user", 0, 0, true, NULL},
        [NAME] = {"name", 0, 0, true, NULL},
        [BUSY] = {"busy_permille", 0, 1000, true, NULL},
};

/* FNV-1a; a text that is empty or not there is 0. */
static uint64_t hash(const struct fg_csv_field *f)
{
        uint64_t h = 0xcbf29ce484222325u;
        for (size_t i = 0; f && i < f->len; i++)
                h = (h ^ (unsigned char)f->text[i]) * 0x100000001b3u;
        return f && f->len ? h | 1 : 0;
}

static int read_job(const struct fg_csv *c, int64_t *last, struct fg_job *ret, struct fg_error *err)
{
        char allowed[96];
        const int64_t *value = c->value;
        const struct fg_csv_field *busy = fg_csv_text(c, BUSY);
        if (value[SUBMIT] < *last) {
                snprintf(allowed, sizeof allowed, "earlier than the line before; allowed is %lld or later: sort the jobs by this column",
                         (long long)*last);
                return fg_csv_refuse(c, SUBMIT, allowed, err);
        }
        *last = value[SUBMIT];
        *ret = (struct fg_job){.submitted = value[SUBMIT], .length = value[DURATION], .project = hash(fg_csv_text(c, PROJECT)),
                               .user = hash(fg_csv_text(c, USER)), .name = hash(fg_csv_text(c, NAME)), .gpus = (uint32_t)value[GPUS],
                               .milli = (uint16_t)(fg_csv_text(c, MILLI) ? value[MILLI] : FG_JOBS_WHOLE),
                               .busy = (int16_t)(busy ? value[BUSY] : -1)};
        return 0;
}

static int read_jobs(struct fg_csv *c, const struct fg_jobs_window *window, struct fg_jobs_trace *trace, struct fg_error *err)
{
        int r;
        int64_t last = -FAR;
        while ((r = fg_csv_next(c, err)) == 1) {
                struct fg_job job;
                r = read_job(c, &last, &job, err);
                if (r < 0)
                        return r;
                if (job.submitted < window->from || job.submitted >= window->to) {
                        trace->left_out++;
                        continue;
                }
                if (trace->jobs == FG_JOBS_MAX)
                        return fg_error_set(err, -EINVAL, "%s:%u: more than %u jobs", c->name, c->line, FG_JOBS_MAX);
                if (fg_csv_grow(&trace->job, trace->jobs, sizeof(job)) < 0)
                        return fg_error_set(err, -ENOMEM, "%s: out of memory", c->name);
                trace->job[trace->jobs++] = job;
        }
        return r;
}

static int by_project(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
        return x < y ? -1 : x > y;
}

/* Where a project begins in the sorted list. */
static size_t first_of(const uint64_t *sorted, size_t count, uint64_t project)
{
        size_t low = 0, high = count;
        while (low < high) {
                size_t middle = (low + high) / 2;
                if (sorted[middle] < project)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* Projects with few jobs go. */
static int keep_large(struct fg_jobs_trace *trace, size_t least)
{
        size_t count = trace->jobs, kept = 0;
        fg_autofree uint64_t *sorted = malloc((count + 1) * sizeof(*sorted));
        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                sorted[i] = trace->job[i].project;
        qsort(sorted, count, sizeof(*sorted), by_project);
        for (size_t i = 0; i < count; i++) {
                size_t first = first_of(sorted, count, trace->job[i].project);
                if (least <= 1 || (least <= count - first && sorted[first + least - 1] == trace->job[i].project))
                        trace->job[kept++] = trace->job[i];
        }
        trace->left_out += count - kept;
        trace->jobs = kept;
        return 0;
}

/* A first line "# fastgpu jobs 1" says which format the rest has. */
static int check_format(const char *name, const char *text, size_t len, struct fg_error *err)
{
        size_t words = strlen(FORMAT), end = 0;
        while (end < len && text[end] != '\n' && text[end] != '\r')
                end++;
        if (end < words || memcmp(text, FORMAT, words) != 0 || (end == words + 1 && text[words] == '1'))
                return 0;
        return fg_error_set(err, -EINVAL, "%s:1: column 1: jobs of format \"%.*s\"; allowed is 1: export them again", name,
                            (int)(end - words < 16 ? end - words : 16), text + words);
}

int fg_jobs_parse(const char *name, const char *text, size_t len, const struct fg_jobs_window *window, struct fg_jobs_trace *ret,
                  struct fg_error *err)
{
        struct fg_jobs_trace trace = {0};
        struct fg_csv c;
        int r = check_format(name, text, len, err);
        if (r == 0)
                r = fg_csv_open(&c, name, text, len, column, COLUMNS, err);
        if (r == 0)
                r = read_jobs(&c, window, &trace, err);
        if (r == 0 && keep_large(&trace, window->least) < 0)
                r = fg_error_set(err, -ENOMEM, "%s: out of memory", name);
        if (r == 0 && trace.jobs == 0)
                r = fg_error_set(err, -EINVAL, trace.left_out ? "%s: no jobs are left: all %zu are outside the days asked for, or of projects with too few"
                                                              : "%s: no jobs; each line after the first is one", name, trace.left_out);
        if (r < 0) {
                free(trace.job);
                return r;
        }
        int64_t from = window->from == INT64_MIN ? trace.job[0].submitted : window->from;
        for (size_t i = 0; i < trace.jobs; i++)
                trace.job[i].submitted -= from;
        *ret = trace;
        return 0;
}

int fg_jobs_read(const char *path, const struct fg_jobs_window *window, struct fg_jobs_trace *ret, struct fg_error *err)
{
        fg_autofree char *text = NULL;
        size_t len;
        int r = fg_csv_read_file(path, &text, &len, err);
        return r < 0 ? r : fg_jobs_parse(path, text, len, window, ret, err);
}

int fg_jobs_draw(const struct fg_jobs_trace *from, uint64_t seed, struct fg_jobs_trace *ret)
{
        size_t made = 0;
        fg_autofree uint32_t *times = calloc(from->jobs, sizeof(*times));
        struct fg_job *job = malloc(from->jobs * sizeof(*job));
        if (!times || !job) {
                free(job);
                return -ENOMEM;
        }
        for (size_t i = 0; i < from->jobs; i++)
                times[fg_replay_below(&seed, from->jobs)]++;
        for (size_t i = 0; i < from->jobs; i++)
                for (; times[i]; times[i]--)
                        job[made++] = from->job[i];
        *ret = (struct fg_jobs_trace){.job = job, .jobs = made, .left_out = from->left_out};
        return 0;
}

void fg_jobs_slice(struct fg_jobs_trace *trace, unsigned slices)
{
        for (size_t i = 0; i < trace->jobs; i++) {
                unsigned wanted = trace->job[i].milli * slices, taken = (wanted + FG_JOBS_WHOLE - 1) / FG_JOBS_WHOLE;
                trace->job[i].milli = (uint16_t)(taken * FG_JOBS_WHOLE / slices);
        }
}
