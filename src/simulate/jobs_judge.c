/* SPDX-License-Identifier: Apache-2.0
 * What a replay of jobs came to: its course over time, in a bounded number of stretches that double in length as time goes on, and figures
 * over all jobs. */
#include "base/cleanup.h"
#include "simulate/jobs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void add(struct fg_jobs_stretch *to, const struct fg_jobs_stretch *what)
{
        to->capacity += what->capacity;
        to->demand += what->demand;
        to->held += what->held;
        to->busy += what->busy;
        to->known += what->known;
        to->lost += what->lost;
}

/* The stretch of a moment. */
static struct fg_jobs_stretch *stretch_at(struct fg_jobs_replay *r, int64_t at)
{
        while (at / r->stretch_s >= FG_JOBS_COURSE) {
                for (size_t i = 0; i < FG_JOBS_COURSE / 2; i++) {
                        r->course[i] = r->course[2 * i];
                        add(&r->course[i], &r->course[2 * i + 1]);
                }
                memset(&r->course[FG_JOBS_COURSE / 2], 0, sizeof(r->course) / 2);
                r->stretch_s *= 2;
        }
        return &r->course[at / r->stretch_s];
}

void fg_jobs_pass(struct fg_jobs_replay *r, int64_t to)
{
        double total = r->pool.total, wanted = (double)(r->held + r->waiting) / FG_JOBS_WHOLE;
        while (r->now < to) {
                struct fg_jobs_stretch *s = stretch_at(r, r->now);
                int64_t end = (r->now / r->stretch_s + 1) * r->stretch_s;
                double time = (double)((to < end ? to : end) - r->now), per_milli = time / FG_JOBS_WHOLE;
                struct fg_jobs_stretch more = {.capacity = total * time, .demand = (wanted < total ? wanted : total) * time,
                                               .held = (double)r->held * per_milli, .known = (double)r->known * per_milli,
                                               .busy = (double)r->busy * per_milli / 1000};
                add(s, &more);
                r->now = to < end ? to : end;
        }
}

void fg_jobs_lose(struct fg_jobs_replay *r, int64_t milli_s)
{
        stretch_at(r, r->now)->lost += (double)milli_s / FG_JOBS_WHOLE;
}

struct fg_jobs_factors fg_jobs_factors(const struct fg_jobs_stretch *stretch)
{
        struct fg_jobs_factors f = {1, 1, 1, 1};
        if (stretch->demand > 0)
                f.s = stretch->held < stretch->demand ? stretch->held / stretch->demand : 1;
        if (stretch->known > 0)
                f.u = stretch->busy / stretch->known;
        if (stretch->held > 0)
                f.alpha = stretch->lost < stretch->held ? 1 - stretch->lost / stretch->held : 0;
        f.p = f.alpha * f.u * f.s;
        return f;
}

static int by_value(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return x < y ? -1 : x > y;
}

static unsigned class_of(int64_t length)
{
        static const int64_t upto[FG_JOBS_CLASSES - 1] = {60, 600, 3600, 6 * 3600, FG_JOBS_DAY};
        unsigned class = 0;
        while (class < FG_JOBS_CLASSES - 1 && length >= upto[class])
                class++;
        return class;
}

static void add_job(struct fg_jobs_result *ret, int64_t length, int64_t jct, size_t *shorts, size_t *longs)
{
        unsigned class = class_of(length);
        ret->mean += (double)jct;
        ret->queue += (double)(jct - length);
        ret->wait[class] += (double)(jct - length);
        ret->jobs_of[class]++;
        if (length < 3600 && ++*shorts)
                ret->short_queue += (double)(jct - length);
        if (length >= FG_JOBS_DAY && ++*longs)
                ret->long_slowdown += (double)jct / (double)length;
}

static void set_course(const struct fg_jobs_replay *r, struct fg_jobs_result *ret)
{
        memcpy(ret->course, r->course, sizeof(ret->course));
        ret->stretch_s = r->stretch_s;
        ret->stretches = (size_t)(r->now / r->stretch_s) + 1;
        ret->stretches = ret->stretches < FG_JOBS_COURSE ? ret->stretches : FG_JOBS_COURSE;
        for (size_t i = 0; i < ret->stretches; i++)
                add(&ret->sum, &r->course[i]);
}

int fg_jobs_judge(const struct fg_jobs_replay *r, struct fg_jobs_result *ret)
{
        fg_autofree int64_t *jct = malloc(r->jobs * sizeof(*jct));
        size_t shorts = 0, longs = 0;
        if (!jct)
                return -ENOMEM;
        *ret = (struct fg_jobs_result){.preemptions = r->preemptions, .jobs = r->jobs};
        for (size_t i = 0; i < r->jobs; i++) {
                jct[i] = r->job[i].end - r->job[i].is->submitted;
                add_job(ret, r->job[i].is->length, jct[i], &shorts, &longs);
        }
        qsort(jct, r->jobs, sizeof(*jct), by_value);
        ret->mean /= (double)r->jobs;
        ret->queue /= (double)r->jobs;
        ret->short_queue /= shorts ? (double)shorts : 1;
        ret->long_slowdown /= longs ? (double)longs : 1;
        ret->p99 = jct[r->jobs * 99 / 100];
        for (size_t i = 0; i <= 100; i++)
                ret->quantile[i] = (double)jct[i < 100 ? r->jobs * i / 100 : r->jobs - 1];
        for (size_t i = 0; i < FG_JOBS_CLASSES; i++)
                ret->wait[i] /= ret->jobs_of[i] ? (double)ret->jobs_of[i] : 1;
        set_course(r, ret);
        return 0;
}
