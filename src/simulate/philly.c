/* SPDX-License-Identifier: Apache-2.0
 * Reads the trace. */
#include "simulate/philly.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 256
#define HEADER         "job_id,submit_s,vc,num_gpus,duration_s"
#define FAR            (INT64_C(1) << 40)

static const char *const column[] = {"job_id", "submit_s", "vc", "num_gpus", "duration_s"};

static bool whole(const char *text, int base, int64_t low, int64_t high, int64_t *ret)
{
        char *end;
        errno = 0;
        *ret = strtoll(text, &end, base);
        return *text && *text != ' ' && !*end && errno == 0 && *ret >= low && *ret <= high;
}

static int read_line(char *line, size_t number, struct fg_philly_job *ret, struct fg_error *err)
{
        static const int64_t low[] = {0, -FAR, 0, 1, 0}, high[] = {FAR, FAR, FAR, FG_PHILLY_GPUS_MAX, FAR};
        int64_t value[5];
        char *rest = line;
        line[strcspn(line, "\r\n")] = '\0';
        for (size_t i = 0; i < 5; i++) {
                char *field = strsep(&rest, ",");
                if (!field)
                        return fg_error_set(err, -EINVAL, "line %zu ends before column %s", number, column[i]);
                if (!whole(field, i == 2 ? 16 : 10, low[i], high[i], &value[i]))
                        return fg_error_set(err, -EINVAL, "line %zu, column %s: '%.40s' is not a number from %lld to %lld",
                                            number, column[i], field, (long long)low[i], (long long)high[i]);
        }
        if (rest)
                return fg_error_set(err, -EINVAL, "line %zu goes on after column duration_s", number);
        *ret = (struct fg_philly_job){value[1], value[4], (uint64_t)value[2], (uint32_t)value[3]};
        return 0;
}

static int read_lines(FILE *f, int64_t from, int64_t to, struct fg_philly_trace *trace, struct fg_error *err)
{
        char line[LINE_MAX_BYTES];
        size_t number = 1, made = 0;
        int64_t last = -FAR;
        if (!fgets(line, sizeof(line), f) || strcspn(line, "\r\n") != strlen(HEADER) ||
            strncmp(line, HEADER, strlen(HEADER)) != 0)
                return fg_error_set(err, -EINVAL, "line 1 is not '" HEADER "'");
        while (fgets(line, sizeof(line), f)) {
                struct fg_philly_job job;
                int r = read_line(line, ++number, &job, err);
                if (r < 0)
                        return r;
                if (job.submitted < last)
                        return fg_error_set(err, -EINVAL, "line %zu, column submit_s: earlier than the line before",
                                            number);
                last = job.submitted;
                if (job.submitted < from || job.submitted >= to)
                        continue;
                if (trace->jobs == FG_PHILLY_JOBS_MAX)
                        return fg_error_set(err, -E2BIG, "line %zu: more than %u jobs", number, FG_PHILLY_JOBS_MAX);
                if (trace->jobs == made) {
                        made = made ? made * 2 : 1024;
                        struct fg_philly_job *more = realloc(trace->job, made * sizeof(*more));
                        if (!more)
                                return fg_error_set(err, -ENOMEM, "no memory for %zu jobs", made);
                        trace->job = more;
                }
                job.submitted -= from;
                trace->job[trace->jobs++] = job;
        }
        return ferror(f) ? fg_error_set(err, -EIO, "cannot read it: %m") : 0;
}

/* Projects with few jobs go; few projects, so looking at each job's is fine. */
static int keep_large(struct fg_philly_trace *trace, size_t least)
{
        size_t projects = 0, kept = 0, i;
        struct {
                uint64_t project;
                size_t jobs;
        } *seen = calloc(trace->jobs + 1, sizeof(*seen));
        if (!seen)
                return -ENOMEM;
        for (size_t j = 0; j < trace->jobs; j++) {
                for (i = 0; i < projects && seen[i].project != trace->job[j].project; i++)
                        ;
                projects += i == projects;
                seen[i].project = trace->job[j].project;
                seen[i].jobs++;
        }
        for (size_t j = 0; j < trace->jobs; j++) {
                for (i = 0; seen[i].project != trace->job[j].project; i++)
                        ;
                if (seen[i].jobs >= least)
                        trace->job[kept++] = trace->job[j];
        }
        trace->jobs = kept;
        free(seen);
        return 0;
}

int fg_philly_read(const char *path, int64_t from, int64_t to, size_t least, struct fg_philly_trace *ret,
                   struct fg_error *err)
{
        struct fg_philly_trace trace = {0};
        FILE *f = fopen(path, "re");
        if (!f)
                return fg_error_set(err, -errno, "cannot open %s: %m", path);
        int r = read_lines(f, from, to, &trace, err);
        fclose(f);
        if (r == 0)
                r = keep_large(&trace, least);
        if (r < 0) {
                free(trace.job);
                return fg_error_wrap(err, r, "%s", path);
        }
        *ret = trace;
        return 0;
}
