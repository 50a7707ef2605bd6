/* SPDX-License-Identifier: Apache-2.0
 * The replay of jobs: a case worked out by hand, an empty cluster, and traces that are refused with line and column. */
#include "unit.h"

#include "simulate/jobs.h"
#include "simulate/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "job_id,submit_s,vc,num_gpus,duration_s\n"

static int read_text(const char *text, size_t least, struct fg_jobs_trace *ret, struct fg_error *err)
{
        const struct fg_jobs_window window = {0, 1000000, least};
        return fg_jobs_parse("trace.csv", text, strlen(text), &window, ret, err);
}

static int run_on(const struct fg_jobs_trace *trace, uint32_t gpus, const struct fg_order_policy *policy, struct fg_jobs_result *ret,
                  struct fg_error *err)
{
        static uint8_t node[FG_JOBS_NODES_MAX];
        memset(node, 8, sizeof(node));
        node[gpus / 8] = (uint8_t)(gpus % 8);
        const struct fg_jobs_pool_size pool = {node, gpus / 8 + (gpus % 8 > 0)};
        return fg_jobs_run(trace, &pool, policy, ret, err);
}

static struct fg_jobs_result run(const struct fg_jobs_trace *trace, uint32_t gpus, const char *policy)
{
        struct fg_jobs_result ret;
        assert_int_equal(run_on(trace, gpus, fg_order_policy_find(policy), &ret, NULL), 0);
        return ret;
}

static void test_by_hand(void **state)
{
        struct fg_jobs_trace trace = {0};
        struct fg_jobs_result result;
        assert_int_equal(read_text(HEADER "0,0,a,8,100\n1,1,a,8,1000\n2,2,a,8,10\n3,3,b,1,5\n4,4,c,1,1\n", 2, &trace, NULL), 0);
        assert_int_equal(trace.jobs, 3); /* b and c have one job each */
        free(trace.job);
        assert_int_equal(read_text(HEADER "0,0,a,8,100\n1,1,a,8,1000\n2,2,a,8,10\n3,3,b,1,5\n", 1, &trace, NULL), 0);
        assert_true(run(&trace, 8, "fifo").mean == 854.75);
        assert_true(run(&trace, 8, "sjf").mean == 357.25);
        for (const struct fg_order_policy *p = fg_order_policies; p->name; p++) {
                result = run(&trace, 32, p->name); /* room for all: only rounds are waited for */
                assert_true(p->preempts ? result.queue < 60 : result.queue == 0);
                assert_int_equal(result.preemptions, 0);
        }
        struct fg_error err = {0};
        assert_int_equal(run_on(&trace, 0, fg_order_policies, &result, &err), -EINVAL);
        assert_non_null(strstr(err.text, "without GPUs"));
        trace.job[2].gpus = 16;
        assert_int_equal(run_on(&trace, 12, fg_order_policies, &result, &err), -EINVAL);
        assert_non_null(strstr(err.text, "job 3 wants 16 GPUs"));
        free(trace.job);
}

static bool is_near(double a, double b)
{
        return a - b < 1e-9 && b - a < 1e-9;
}

/* Parts of GPUs share them, whole ones do not; what is counted over time adds up to what was done. */
static void test_parts(void **state)
{
        struct fg_jobs_trace trace = {0};
        assert_int_equal(read_text("num_gpus,submit_s,gpu_milli,duration_s,busy_permille\n1,0,400,100,500\n2,0,300,100,500\n1,0,300,100,500\n"
                                   "1,0,1000,100,500\n", 1, &trace, NULL), 0);
        struct fg_jobs_result result = run(&trace, 2, "fifo-skip"); /* 400 + 300 + 300 on one GPU, 300 on the other until 100 s */
        assert_true(result.mean == (100 + 100 + 100 + 200) / 4.);
        assert_true(is_near(result.sum.held, 100 * (0.4 + 0.6 + 0.3 + 1)) && is_near(result.sum.busy, result.sum.held / 2));
        assert_true(is_near(result.sum.known, result.sum.held) && result.sum.lost == 0 && result.sum.capacity == 400);
        struct fg_jobs_factors f = fg_jobs_factors(&result.sum);
        assert_true(is_near(f.u, 0.5) && f.alpha == 1 && is_near(f.p, f.s / 2) && is_near(f.s, result.sum.held / (200 + 100)));
        assert_true(run(&trace, 3, "fifo-skip").queue == 0);
        fg_jobs_slice(&trace, 2);
        assert_int_equal(trace.job[0].milli, 500);
        assert_int_equal(trace.job[3].milli, 1000);
        assert_true(run(&trace, 3, "fifo-skip").queue == 0); /* four halves and a whole one */
        fg_jobs_slice(&trace, 1);
        assert_true(run(&trace, 5, "fifo-skip").queue == 0 && run(&trace, 4, "fifo-skip").queue > 0);
        free(trace.job);
}

/* Whatever is suspended and resumed: nobody is lost, no GPU is held twice, the course adds up. */
static void test_at_random(void **state)
{
        uint64_t random = 7;
        for (unsigned round = 0; round < 40; round++) {
                struct fg_job job[60];
                struct fg_jobs_trace trace = {.job = job, .jobs = COUNT_OF(job)};
                int64_t at = 0;
                double work = 0;
                for (size_t i = 0; i < COUNT_OF(job); i++) {
                        bool part = fg_replay_below(&random, 2);
                        job[i] = (struct fg_job){.submitted = at += (int64_t)fg_replay_below(&random, 300), .length = (int64_t)fg_replay_below(&random, 5000),
                                                 .project = fg_replay_below(&random, 3), .gpus = 1 + (uint32_t)fg_replay_below(&random, part ? 3 : 12),
                                                 .milli = (uint16_t)(part ? 1 + fg_replay_below(&random, 999) : 1000), .busy = -1};
                        work += (double)job[i].length * job[i].gpus * job[i].milli / 1000;
                }
                for (const struct fg_order_policy *p = fg_order_policies; p->name; p++) {
                        struct fg_jobs_result r = run(&trace, 20, p->name);
                        assert_true(r.queue >= 0 && r.sum.held <= r.sum.capacity + 1e-6 && r.sum.demand <= r.sum.capacity + 1e-6);
                        /* Rounds keep GPUs for up to a minute after the end, at each suspension the cost of it. */
                        double most = work + r.sum.lost + (p->preempts ? 60. * 12 * (60 + (double)r.preemptions) : 0);
                        assert_true(r.sum.held >= work + r.sum.lost - 1e-3 && r.sum.held <= most + 1e-3);
                }
        }
}

/* What is drawn has as many jobs, in order, and the same from the same seed. */
static void test_drawn(void **state)
{
        struct fg_jobs_trace trace = {0}, a, b, c;
        assert_int_equal(read_text(HEADER "0,0,a,8,100\n1,1,a,8,1000\n2,2,a,8,10\n3,3,b,1,5\n", 1, &trace, NULL), 0);
        assert_int_equal(fg_jobs_draw(&trace, 5, &a), 0);
        assert_int_equal(fg_jobs_draw(&trace, 5, &b), 0);
        assert_int_equal(fg_jobs_draw(&trace, 6, &c), 0);
        assert_int_equal(a.jobs, trace.jobs);
        assert_memory_equal(a.job, b.job, a.jobs * sizeof(*a.job));
        assert_memory_not_equal(a.job, c.job, a.jobs * sizeof(*a.job));
        for (size_t i = 1; i < a.jobs; i++)
                assert_true(a.job[i - 1].submitted <= a.job[i].submitted);
        free(trace.job);
        free(a.job);
        free(b.job);
        free(c.job);
}

static void test_refused(void **state)
{
        static const struct {
                const char *text, *says;
        } row[] = {
                {"", "trace.csv: empty"},
                {"job_id,submit,vc,num_gpus,duration_s\n", "trace.csv:1: no column \"submit_s\"; the first line, which begins with \"job_id\""},
                {"submit_s,submit_s,num_gpus,duration_s\n", "trace.csv:1: columns 1 and 2 are both submit_s"},
                {"0,0,a,1,5\n", "trace.csv:1: no column \"submit_s\""},
                {HEADER, "trace.csv: no jobs"},
                {HEADER "0,2000000,a,1,5\n", "all 1 are outside"},
                {HEADER "0,0,a,1\n", "trace.csv:2: 4 columns, so that \"duration_s\", column 5, is missing"},
                {HEADER "0,0,a,1,5\n1,1,a,1,-5\n", "trace.csv:3: column 5 (duration_s): \"-5\"; allowed is a whole number from 0 to"},
                {HEADER "0,0,a,0,5\n", "trace.csv:2: column 4 (num_gpus): \"0\"; allowed is a whole number from 1 to 1024"},
                {HEADER "0,0,a,2000,5\n", "column 4 (num_gpus): \"2000\""},
                {HEADER "0,a,0,1,5\n", "trace.csv:2: column 2 (submit_s): \"a\""},
                {HEADER "0,99999999999999999999,a,1,5\n", "column 2 (submit_s): \"99999999999999999999\""},
                {HEADER "0,1.5,a,1,5\n", "column 2 (submit_s): \"1.5\""},
                {HEADER "0,,a,1,5\n", "column 2 (submit_s): \"\""},
                {HEADER "0,5,a,1,5\n1,4,a,1,5\n", "trace.csv:3: column 2 (submit_s): \"4\"; earlier than the line before; allowed is 5 or later"},
                {"submit_s,duration_s,num_gpus,gpu_milli\n0,5,1,1001\n", "trace.csv:2: column 4 (gpu_milli): \"1001\"; allowed is a whole number from 1 to 1000"},
                {"# fastgpu jobs 2\nsubmit_s,duration_s,num_gpus\n0,5,1\n", "trace.csv:1: column 1: jobs of format \"2\"; allowed is 1"},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_jobs_trace trace = {0};
                struct fg_error err = {0};
                assert_int_equal(read_text(row[i].text, 1, &trace, &err), -EINVAL);
                assert_null(trace.job);
                if (!strstr(err.text, row[i].says))
                        fail_msg("row %zu says: %s", i, err.text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_by_hand),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_parts),
                cmocka_unit_test(test_at_random),
                cmocka_unit_test(test_drawn),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
