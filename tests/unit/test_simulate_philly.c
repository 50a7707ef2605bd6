/* SPDX-License-Identifier: Apache-2.0
 * The replay of jobs: a case worked out by hand, an empty cluster, and traces that are refused with line and column. */
#include "unit.h"

#include "simulate/philly.h"

#include <errno.h>
#include <unistd.h>

#define HEADER "job_id,submit_s,vc,num_gpus,duration_s\n"

static int read_text(const char *text, size_t least, struct fg_philly_trace *ret, struct fg_error *err)
{
        char folder[64], path[80];
        unit_make_folder(folder);
        snprintf(path, sizeof(path), "%s/trace.csv", folder);
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        fputs(text, f);
        assert_int_equal(fclose(f), 0);
        int r = fg_philly_read(path, 0, 1000000, least, ret, err);
        unit_remove_folder(folder);
        return r;
}

static struct fg_philly_result run(const struct fg_philly_trace *trace, uint32_t gpus, const char *policy)
{
        struct fg_philly_result ret;
        assert_int_equal(fg_philly_run(trace, gpus, fg_order_policy_find(policy), &ret, NULL), 0);
        return ret;
}

static void test_by_hand(void **state)
{
        struct fg_philly_trace trace = {0};
        struct fg_philly_result result;
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
        static const uint32_t wrong[] = {0, 12, FG_PHILLY_NODES * FG_PHILLY_NODE + 8};
        for (size_t i = 0; i < COUNT_OF(wrong); i++)
                assert_int_equal(fg_philly_run(&trace, wrong[i], fg_order_policies, &result, &err), -EINVAL);
        trace.job[2].gpus = 16;
        assert_int_equal(fg_philly_run(&trace, 8, fg_order_policies, &result, &err), -EINVAL);
        assert_non_null(strstr(err.text, "job 2 wants 16 GPUs of 8"));
        free(trace.job);
}

static void test_refused(void **state)
{
        static const struct {
                const char *text, *says;
        } row[] = {
                {"", "line 1 is not"},
                {"job_id,vc,submit_s,num_gpus,duration_s\n", "line 1 is not"},
                {HEADER "0,0,a,1\n", "line 2 ends before column duration_s"},
                {HEADER "0,0,a,1,5,6\n", "line 2 goes on after"},
                {HEADER "0,0,a,1,5\n1,1,a,1,-5\n", "line 3, column duration_s: '-5'"},
                {HEADER "0,0,a,0,5\n", "line 2, column num_gpus: '0'"},
                {HEADER "0,0,a,2000,5\n", "line 2, column num_gpus: '2000'"},
                {HEADER "0,0,xyz,1,5\n", "line 2, column vc: 'xyz'"},
                {HEADER "0,99999999999999999999,a,1,5\n", "line 2, column submit_s"},
                {HEADER "0,5,a,1,5\n1,4,a,1,5\n", "line 3, column submit_s: earlier"},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_philly_trace trace = {0};
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
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
