/* SPDX-License-Identifier: Apache-2.0 */
#include "burn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NSEC 1000000000.0

/* SIGTERM and SIGINT end the measurement early; what was measured is still printed. */
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
        stop = number;
}

static bool before(uint64_t until)
{
        return !stop && burn_now() < until;
}

static void sleep_until(uint64_t when)
{
        struct timespec ts = {.tv_sec = (time_t)(when / 1000000000u), .tv_nsec = (long)(when % 1000000000u)};

        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR && !stop)
                ;
}

/* `n` launches have just been seen to be complete. */
static void completed(struct burn *b, struct burn_result *r, unsigned n)
{
        uint64_t now = burn_now();

        if (r->done && now - r->end > r->longest_gap)
                r->longest_gap = now - r->end;
        r->end = now;
        r->done += n;
        if (b->options.report_ms) {
                uint64_t bin = (now - r->start) / (b->options.report_ms * 1000000ull);

                if (bin < r->bins)
                        r->bin[bin] += n;
        }
}

/* What the driver says the launch took on the device. */
static void book_device_time(struct burn *b, struct burn_result *r, cl_event event)
{
        uint64_t bin = (burn_now() - r->start) / (b->options.report_ms * 1000000ull);
        cl_ulong start = 0, end = 0;

        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof(start), &start, NULL);
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(end), &end, NULL);
        if (bin < r->bins && end > start)
                r->device_ns[bin] += (uint32_t)(end - start);
}

static int wait_for(struct burn *b, struct burn_result *r, cl_event *event)
{
        int rc = cl_failed("clWaitForEvents", clWaitForEvents(1, event));

        if (rc == 0 && r->device_ns)
                book_device_time(b, r, *event);
        clReleaseEvent(*event);
        return rc;
}

/* Keeps `depth` launches in flight. */
static int run_pipeline(struct burn *b, struct burn_result *r, uint64_t until)
{
        unsigned depth = b->options.depth;
        uint64_t launched = 0;
        cl_event *ring = calloc(depth, sizeof(*ring));
        int rc = ring ? 0 : -1;

        while (rc == 0 && before(until)) {
                if (launched - r->done == depth) {
                        rc = wait_for(b, r, &ring[r->done % depth]);
                        completed(b, r, 1);
                }
                if (rc == 0)
                        rc = burn_launch(b, &ring[launched++ % depth]);
        }
        while (rc == 0 && r->done < launched) {
                rc = wait_for(b, r, &ring[r->done % depth]);
                completed(b, r, 1);
        }
        free(ring);
        return rc;
}

static int batch(struct burn *b, struct burn_result *r)
{
        for (unsigned i = 0; i < b->options.batch; i++)
                if (burn_launch(b, NULL) < 0)
                        return -1;
        if (cl_failed("clFinish", clFinish(b->queue)))
                return -1;
        completed(b, r, b->options.batch);
        return 0;
}

static int run_batches(struct burn *b, struct burn_result *r, uint64_t until)
{
        while (before(until))
                if (batch(b, r) < 0)
                        return -1;
        return 0;
}

/* A batch at fixed instants, like requests that arrive: one that comes late does not shift the next. */
static int run_periodic(struct burn *b, struct burn_result *r, uint64_t until)
{
        uint64_t period = b->options.every_ms * 1000000ull;
        unsigned room = (unsigned)((until - r->start) / period) + 1;

        r->latency = calloc(room, sizeof(double));
        if (!r->latency)
                return -1;
        for (uint64_t due = r->start; due < until && r->latencies < room && !stop; due += period) {
                uint64_t begun;

                sleep_until(due);
                begun = burn_now();
                if (batch(b, r) < 0)
                        return -1;
                r->latency[r->latencies++] = (double)(burn_now() - begun) / 1000;
        }
        return 0;
}

static int run_churn(struct burn *b, struct burn_result *r, uint64_t until)
{
        while (before(until)) {
                cl_int rc;
                cl_mem buffer = clCreateBuffer(b->context, CL_MEM_READ_WRITE, b->options.churn, NULL, &rc);

                if (cl_failed("clCreateBuffer", rc))
                        return -1;
                clReleaseMemObject(buffer);
                completed(b, r, 1);
        }
        return 0;
}

/* The first launches compile and fault pages in: not part of any figure. */
static int warm_up(struct burn *b)
{
        cl_uint iterations = b->iterations;

        if (cl_failed("clSetKernelArg", clSetKernelArg(b->kernel, 1, sizeof(iterations), &iterations)))
                return -1;
        for (int i = 0; i < 4; i++)
                if (burn_launch(b, NULL) < 0)
                        return -1;
        return cl_failed("clFinish", clFinish(b->queue));
}

int burn_run(struct burn *b, struct burn_result *r)
{
        const struct burn_options *o = &b->options;
        uint64_t until;

        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        if (b->kernel && warm_up(b) < 0)
                return -1;
        if (o->report_ms) {
                r->bins = (unsigned)(o->seconds * 1000 / o->report_ms) + 1;
                r->bin = calloc(r->bins, sizeof(*r->bin));
                r->device_ns = o->profile ? calloc(r->bins, sizeof(*r->device_ns)) : NULL;
                if (!r->bin || (o->profile && !r->device_ns))
                        return -1;
        }
        if (o->start_at)
                sleep_until(o->start_at);
        r->start = r->end = o->start_at ? o->start_at : burn_now();
        until = r->start + (uint64_t)(o->seconds * NSEC);
        if (o->hold) {
                sleep_until(until);
                return 0;
        }
        if (o->churn)
                return run_churn(b, r, until);
        if (o->every_ms)
                return run_periodic(b, r, until);
        return o->batch ? run_batches(b, r, until) : run_pipeline(b, r, until);
}

static int compare_double(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static void print_bins(const char *name, const uint32_t *bin, unsigned bins)
{
        printf(", \"%s\": [", name);
        for (unsigned i = 0; i < bins; i++)
                printf("%s%u", i ? ", " : "", bin[i]);
        putchar(']');
}

static void print_latency(const struct burn_result *r)
{
        unsigned n = r->latencies;

        qsort(r->latency, n, sizeof(double), compare_double);
        printf(", \"batches\": %u, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"latency_us\": [", n,
               r->latency[n / 2], r->latency[(n * 99) / 100], r->latency[n - 1]);
        for (unsigned i = 0; i < n; i++)
                printf("%s%.1f", i ? ", " : "", r->latency[i]);
        putchar(']');
}

void burn_print(const struct burn *b, const struct burn_result *r)
{
        double seconds = (double)(r->end - r->start) / NSEC;

        printf("{\"iterations\": %u, \"calibrated_us\": %.2f, \"start_ns\": %llu, \"end_ns\": %llu, \"done\": %llu, "
               "\"rate\": %.3f, \"longest_gap_us\": %.1f",
               b->iterations, b->calibrated_us, (unsigned long long)r->start, (unsigned long long)r->end,
               (unsigned long long)r->done, seconds > 0 ? (double)r->done / seconds : 0,
               (double)r->longest_gap / 1000);
        if (r->latencies)
                print_latency(r);
        if (r->bin) {
                printf(", \"report_ms\": %u", b->options.report_ms);
                print_bins("bins", r->bin, r->bins);
        }
        if (r->device_ns)
                print_bins("device_ns", r->device_ns, r->bins);
        puts("}");
}

void burn_result_clear(struct burn_result *r)
{
        free(r->bin);
        free(r->device_ns);
        free(r->latency);
}
