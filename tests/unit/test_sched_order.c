/* SPDX-License-Identifier: Apache-2.0
 * What is learned of jobs: against a straight line of sums, the index against trying everything, bounds, save and
 * restore. */
#include "unit.h"

#include "sched/order.h"

#include <errno.h>

#define S 1000000u

static const struct fg_order_kind some = {.project = 1, .user = 2, .name = 3, .share = 1000};

static struct fg_order *make(size_t classes)
{
        struct fg_order *o = NULL;
        assert_int_equal(fg_order_new(classes, &o), 0);
        return o;
}

static void near(double a, double b, double relative)
{
        double off = a > b ? a - b : b - a, size = b > 0 ? b : -b;
        if (off > relative * size + 1e-9)
                fail_msg("%.12g is not %.12g", a, b);
}

static void test_buckets(void **state)
{
        assert_int_equal(fg_order_bucket(0), 0);
        assert_int_equal(fg_order_bucket(S - 1), 0);
        assert_int_equal(fg_order_bucket(S), 1);
        assert_int_equal(fg_order_bucket(UINT64_MAX), FG_ORDER_BUCKETS - 1);
        for (unsigned i = 1; i < FG_ORDER_BUCKETS; i++) {
                assert_int_equal(fg_order_bucket((uint64_t)fg_order_edge(i) + 1), i);
                assert_true(fg_order_edge(i + 1) > fg_order_edge(i));
        }
}

/* The same rule, with every finish remembered: the i-th last of a class counts for 0.98^i. */
struct line {
        struct fg_order_kind kind;
        uint64_t ran;
};

static bool alike(const struct fg_order_kind *a, const struct fg_order_kind *b, unsigned level)
{
        return (level < 1 || a->project == b->project) && (level < 2 || a->share == b->share) &&
               (level < 3 || (a->user == b->user && a->name == b->name));
}

static void model(const struct line *line, size_t lines, const struct fg_order_kind *kind, double *ret_weight,
                  double *ret_mean)
{
        static const double prior[] = {0.5, 5, 3, 3};
        *ret_mean = 3600.0 * S;
        for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++)
                ret_weight[i] = 1.0 / FG_ORDER_BUCKETS;
        for (unsigned level = 0; level < 4; level++) {
                double count[FG_ORDER_BUCKETS] = {0}, total = 0, work = 0, each = 1;
                for (size_t i = lines; i-- > 0;) {
                        if (!alike(&line[i].kind, kind, level))
                                continue;
                        count[fg_order_bucket(line[i].ran)] += each;
                        work += each * (double)line[i].ran;
                        total += each;
                        each *= 0.98;
                }
                if (total == 0)
                        continue;
                for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++)
                        ret_weight[i] = (count[i] + prior[level] * ret_weight[i]) / (total + prior[level]);
                *ret_mean = (work + prior[level] * *ret_mean) / (total + prior[level]);
        }
}

static void test_against_a_straight_line(void **state)
{
        static struct line line[3000];
        uint64_t seed = 7;
        struct fg_order *o = make(4096);
        for (size_t n = 0; n < COUNT_OF(line); n++) {
                struct fg_order_kind kind = {1 + unit_random(&seed) % 3, 1 + unit_random(&seed) % 3,
                                             1 + unit_random(&seed) % 3, 1000u << unit_random(&seed) % 2};
                line[n] = (struct line){kind, unit_random(&seed) % (UINT64_C(1) << (10 + unit_random(&seed) % 33))};
                if (n % 50 == 0) {
                        struct fg_order_prediction p;
                        double weight[FG_ORDER_BUCKETS], mean, sum = 0;
                        fg_order_predict(o, &kind, &p);
                        model(line, n, &kind, weight, &mean);
                        near(p.mean, mean, 1e-4);
                        for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++) {
                                assert_true(p.weight[i] - weight[i] < 1e-4 && weight[i] - p.weight[i] < 1e-4);
                                sum += p.weight[i];
                        }
                        near(sum, 1, 1e-6);
                }
                assert_int_equal(fg_order_finish(o, &kind, line[n].ran), 0);
        }
        fg_order_free(o);
}

static double longer_than(const struct fg_order *o, uint64_t us)
{
        struct fg_order_prediction p;
        double sum = 0, all = 0;
        fg_order_predict(o, &some, &p);
        for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++) {
                assert_true(p.weight[i] >= 0);
                all += p.weight[i];
                sum += i > fg_order_bucket(us) ? p.weight[i] : 0;
        }
        near(all, 1, 1e-6);
        return sum;
}

/* As many run for an hour by now as ended after a minute: about half are longer, whatever ended first. */
static void test_running_jobs_count(void **state)
{
        struct fg_order *o = make(64);
        for (int i = 0; i < 20; i++)
                assert_int_equal(fg_order_finish(o, &some, 60 * (uint64_t)S), 0);
        double before = longer_than(o, 60 * (uint64_t)S);
        assert_true(before < 0.05);
        for (int i = 0; i < 20; i++)
                fg_order_running(o, &some, 3600 * (uint64_t)S);
        double half = longer_than(o, 60 * (uint64_t)S);
        assert_true(half > 0.4 && half < 0.6);
        near(longer_than(o, 3000 * (uint64_t)S), half, 0.2);
        fg_order_forget_running(o);
        near(longer_than(o, 60 * (uint64_t)S), before, 1e-9);
        /* Younger ones than what ended say nothing against it. */
        for (int i = 0; i < 20; i++)
                fg_order_running(o, &some, 2 * (uint64_t)S);
        assert_true(longer_than(o, 60 * (uint64_t)S) < 0.06);
        fg_order_free(o);
}

/* Every end of a turn tried, its work summed in small steps. */
static double tried(const struct fg_order_prediction *p, double age)
{
        double best = 0;
        for (unsigned to = 1; to <= FG_ORDER_BUCKETS; to++) {
                double end = fg_order_edge(to), alive = 0, done = 0, work = 0;
                if (end <= age)
                        continue;
                for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++) {
                        double low = fg_order_edge(i), high = fg_order_edge(i + 1);
                        for (unsigned k = 0; k < 1000; k++) { /* equal parts of the bucket */
                                double at = low + (high - low) * (k + 0.5) / 1000, mass = p->weight[i] / 1000;
                                if (at <= age)
                                        continue;
                                alive += mass;
                                done += at <= end ? mass : 0;
                                work += mass * ((at < end ? at : end) - age);
                        }
                }
                if (alive > 0 && work > 0 && done / work > best)
                        best = done / work;
        }
        return best;
}

static void test_index_against_trying_all(void **state)
{
        uint64_t seed = 11;
        for (int round = 0; round < 12; round++) {
                struct fg_order_prediction p = {.mean = 1};
                double total = 0;
                for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++)
                        total += p.weight[i] = unit_random(&seed) % 3 ? 0 : (double)(unit_random(&seed) % 1000 + 1);
                p.weight[FG_ORDER_BUCKETS - 1] += 1;
                for (unsigned i = 0; i < FG_ORDER_BUCKETS; i++)
                        p.weight[i] /= total + 1;
                double age = (double)(unit_random(&seed) % (UINT64_C(1) << (20 + 2 * round)));
                near(fg_order_index(&p, age), tried(&p, age), 0.02);
        }
}

static void test_memory_is_bounded(void **state)
{
        struct fg_order *o = make(64);
        struct fg_order_prediction p;
        for (uint64_t i = 1; i < 5000; i++) {
                struct fg_order_kind kind = {.project = i + 1, .name = i, .share = 500};
                assert_int_equal(fg_order_finish(o, &kind, i * S), 0);
                assert_int_equal(fg_order_finish(o, &some, 60 * S), 0);
                assert_true(fg_order_classes(o) <= 64);
        }
        fg_order_predict(o, &some, &p); /* what is used stays */
        assert_int_equal(p.level, 3);
        assert_int_equal(p.runs, 4999);
        fg_order_predict(o, &(struct fg_order_kind){.project = 2, .name = 1, .share = 500}, &p); /* forgotten */
        assert_int_equal(p.level, 0);
        fg_order_free(o);
        assert_int_equal(fg_order_new(7, &o), -EINVAL);
        assert_int_equal(fg_order_new(FG_ORDER_CLASSES_MAX + 1, &o), -EINVAL);
}

static void test_saved_and_restored(void **state)
{
        struct fg_order *o = make(32), *again = NULL;
        char *text, *second;
        size_t size, second_size;
        uint64_t seed = 3;
        for (uint64_t i = 0; i < 500; i++) {
                struct fg_order_kind kind = {i % 4, i % 3, i % 2, 1000};
                assert_int_equal(fg_order_finish(o, &kind, unit_random(&seed) % (UINT64_C(1) << 40)), 0);
        }
        assert_int_equal(fg_order_save(o, &text, &size), 0);
        assert_int_equal(fg_order_restore(text, size, 32, &again, NULL), 0);
        assert_int_equal(fg_order_save(again, &second, &second_size), 0);
        assert_string_equal(text, second);
        fg_order_free(again);
        /* Cut short anywhere it is refused, and says so. */
        for (size_t cut = 0; cut < size; cut++) {
                struct fg_error err = {0};
                struct fg_order *none = NULL;
                assert_int_equal(fg_order_restore(text, cut, 32, &none, &err), -EINVAL);
                assert_null(none);
                assert_true(err.text[0]);
        }
        text[14] = '2';
        assert_int_equal(fg_order_restore(text, size, 32, &again, NULL), -EINVAL);
        free(text);
        free(second);
        fg_order_free(o);
}

static void test_explained(void **state)
{
        struct fg_order *o = make(32);
        char buf[FG_ORDER_EXPLAIN_MAX];
        assert_string_equal(fg_order_explain(o, &some, "train.py", buf, sizeof(buf)),
                            "no prediction yet: no job has finished");
        for (int i = 0; i < 212; i++)
                assert_int_equal(fg_order_finish(o, &some, 14 * 60 * (uint64_t)S), 0);
        assert_string_equal(fg_order_explain(o, &some, "train.py", buf, sizeof(buf)),
                            "predicted 14 min from 212 earlier runs of `train.py` by this project");
        assert_string_equal(fg_order_explain(o, &(struct fg_order_kind){.project = 9, .share = 1}, "x", buf, sizeof(buf)),
                            "predicted 14 min from 212 earlier runs of all projects");
        fg_order_free(o);
}

static void test_keys(void **state)
{
        struct fg_order *o = make(32);
        const struct fg_order_policy *gittins = fg_order_policy_find("gittins");
        struct fg_order_kind slow = some;
        slow.name = 4;
        for (int i = 0; i < 50; i++) {
                assert_int_equal(fg_order_finish(o, &some, 60 * (uint64_t)S), 0);
                assert_int_equal(fg_order_finish(o, &slow, 86400 * (uint64_t)S), 0);
        }
        struct fg_order_job quick = {.kind = some, .submitted = 2 * (uint64_t)S}, late = {.kind = slow};
        uint64_t key = fg_order_key(o, gittins, &quick);
        assert_true(key < fg_order_key(o, gittins, &late));
        assert_true(key <= FG_ORDER_KEY_MAX);
        late.waited = 30 * 86400 * (uint64_t)S; /* the guard */
        assert_true(fg_order_key(o, gittins, &late) < key);
        struct fg_order_job wide = quick;
        wide.kind.share = 8000;
        assert_true(key < fg_order_key(o, gittins, &wide));
        assert_null(fg_order_policy_find("giddy"));
        fg_order_free(o);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_buckets),
                cmocka_unit_test(test_against_a_straight_line),
                cmocka_unit_test(test_running_jobs_count),
                cmocka_unit_test(test_index_against_trying_all),
                cmocka_unit_test(test_memory_is_bounded),
                cmocka_unit_test(test_saved_and_restored),
                cmocka_unit_test(test_explained),
                cmocka_unit_test(test_keys),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
