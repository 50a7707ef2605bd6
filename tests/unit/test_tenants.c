/* SPDX-License-Identifier: Apache-2.0
 * The pure parts of tenancy: hash tables, buckets of requests, what is taken out of texts. */
#include "unit.h"

#include "base/clock.h"
#include "base/size.h"
#include "daemon/api_internal.h"
#include "daemon/rate.h"
#include "daemon/table.h"
#include "daemon/tokens.h"

struct thing {
        uint64_t key;
        struct fgd_node node;
        bool is_in;
};

static struct thing *find(const struct fgd_table *table, uint64_t key)
{
        for (struct fgd_node *at = fgd_table_first(table, fgd_hash_number(key)); at; at = fgd_table_next(at))
                if (FGD_OF_NODE(at, struct thing, node)->key == key)
                        return FGD_OF_NODE(at, struct thing, node);
        return NULL;
}

/* Against an array, with as many of the same hash as there may be. */
static void tables(void **state)
{
        static struct thing thing[500];
        struct fgd_table table = {0};
        uint64_t seed = 1;
        assert_int_equal(fgd_hash_start(), 0);
        assert_null(find(&table, 1));
        for (size_t i = 0; i < COUNT_OF(thing); i++)
                thing[i].key = i;
        for (int step = 0; step < 20000; step++) {
                struct thing *t = &thing[unit_random(&seed) % COUNT_OF(thing)];
                assert_ptr_equal(find(&table, t->key), t->is_in ? t : NULL);
                if (t->is_in) {
                        fgd_table_remove(&table, &t->node);
                } else {
                        assert_int_equal(fgd_table_reserve(&table), 0);
                        fgd_table_add(&table, &t->node, fgd_hash_number(t->key));
                }
                t->is_in = !t->is_in;
        }
        unsigned count = 0;
        for (size_t i = 0; i < COUNT_OF(thing); i++)
                count += thing[i].is_in;
        assert_int_equal(table.count, count);
        fgd_table_clear(&table);
}

static void the_same_hash(void **state)
{
        struct thing a = {.key = 1}, b = {.key = 2}, c = {.key = 3};
        struct fgd_table table = {0};
        assert_int_equal(fgd_table_reserve(&table), 0);
        fgd_table_add(&table, &a.node, 7);
        fgd_table_add(&table, &b.node, 7 + 16);
        fgd_table_add(&table, &c.node, 7);
        assert_ptr_equal(fgd_table_first(&table, 7), &c.node);
        assert_ptr_equal(fgd_table_next(&c.node), &a.node);
        assert_null(fgd_table_next(&a.node));
        fgd_table_remove(&table, &c.node);
        assert_ptr_equal(fgd_table_first(&table, 7), &a.node);
        assert_ptr_equal(fgd_table_first(&table, 23), &b.node);
        fgd_table_clear(&table);
}

/* Never more than the burst and what has flowed in since; never less after a pause. */
static void buckets(void **state)
{
        static const uint64_t rates[] = {1, 3, 10, 500, 1000000};
        for (size_t i = 0; i < COUNT_OF(rates); i++) {
                int64_t left = 0;
                uint64_t at = 0, seed = i, now = 5 * FG_NSEC_PER_SEC, start = now, passed = 0, rate = rates[i];
                unsigned after = 0;
                for (int step = 0; step < 20000; step++) {
                        bool ok = fgd_bucket_take(&left, &at, rate, 2 * rate, now, &after);
                        passed += ok;
                        if (!ok)
                                assert_true(after >= 1 && after <= 1001);
                        assert_true(passed <= 2 * rate + (now - start) * rate / FG_NSEC_PER_SEC + 1);
                        now += unit_random(&seed) % (2 * FG_NSEC_PER_SEC / rate);
                }
                now += 10 * FG_NSEC_PER_SEC;
                for (uint64_t n = 0; n < 2 * rate && n < 1000; n++)
                        assert_true(fgd_bucket_take(&left, &at, rate, 2 * rate, now, &after));
        }
}

/* Requests that take long: over any time a user has a fifth of it, and what he may do at once. */
static void long_requests(void **state)
{
        static const uint64_t rates[] = {1, 10, 500, 1000000}, lengths[] = {50000, 1000000, 20000000, 900000000};
        for (size_t i = 0; i < COUNT_OF(rates) * COUNT_OF(lengths); i++) {
                uint64_t rate = rates[i / COUNT_OF(lengths)], length = lengths[i % COUNT_OF(lengths)];
                uint64_t at = 0, now = FG_NSEC_PER_SEC, start = now, spent = 0;
                int64_t left = 0;
                unsigned after = 0;
                for (int step = 0; step < 3000; step++) {
                        if (!fgd_bucket_take(&left, &at, rate, 2 * rate, now, &after)) {
                                now += FG_NSEC_PER_MSEC;
                                continue;
                        }
                        fgd_bucket_charge(&left, rate, 2 * rate, length);
                        now += length;
                        spent += length;
                        assert_true(left >= -(int64_t)(2 * rate * 1000));
                }
                /* Two seconds' worth at once, as much of debt that was forgiven for each that took longer than that. */
                if (length <= 20000000)
                        assert_true(spent <= (now - start) / 5 + 2 * FG_NSEC_PER_SEC / 5 + FG_NSEC_PER_SEC / rate + length + FG_NSEC_PER_MSEC);
        }
}

/* Who waits as long as he is told gets through. */
static void waiting_as_told(void **state)
{
        int64_t left = 0;
        uint64_t at = 0, now = FG_NSEC_PER_SEC;
        unsigned after = 0;
        for (int step = 0; step < 1000; step++)
                if (!fgd_bucket_take(&left, &at, 7, 14, now, &after)) {
                        now += after * FG_NSEC_PER_MSEC;
                        assert_true(fgd_bucket_take(&left, &at, 7, 14, now, &after));
                }
}

static void secrets_are_taken_out(void **state)
{
        static const struct {
                const char *in, *out;
        } row[] = {
                {"", ""},
                {"train", "train"},
                {"fgt_abcdefghijkl_0123456789abcdef", "fgt_abcdefghijkl_****************"},
                {"x/fgt_ab_12/fgt_cd_ABC", "x/fgt_ab_**/fgt_cd_***"},
                {"fgt_", "fgt_"},
                {"fgt_abc", "fgt_abc"},
                {"fgt_abc_", "fgt_abc_"},
                {"fgt_fgt_ab_12", "fgt_fgt_**_**"},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                char text[96];
                strcpy(text, row[i].in);
                fgd_token_scrub(text);
                assert_string_equal(text, row[i].out);
        }
}

static void decoding(void **state)
{
        char out[8];
        static const struct {
                const char *in, *out;
        } row[] = {{"", ""},         {"abc", "abc"},       {"%41%2f", "A/"},     {"1234567", "1234567"}, {"12345678", NULL},
                   {"%", NULL},      {"%4", NULL},         {"%zz", NULL},        {"%00", NULL},          {"a%4", NULL},
                   {"%41%41%41%41%41%41%41", "AAAAAAA"}, {"%41%41%41%41%41%41%41%41", NULL}};
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                bool ok = fgd_decode(row[i].in, strlen(row[i].in), out, sizeof out);
                assert_int_equal(ok, row[i].out != NULL);
                if (ok)
                        assert_string_equal(out, row[i].out);
        }
        assert_true(fgd_decode("abc%41", 3, out, sizeof out));
        assert_false(fgd_decode("ab%41", 4, out, sizeof out)); /* cut in the middle */
}

static void targets(void **state)
{
        static const struct {
                const char *text, *project, *name;
                int64_t index;
        } row[] = {{"a", "", "a", -1}, {"a/3", "", "a", 3}, {"p:a", "p", "a", -1}, {"p:a/0", "p", "a", 0}, {":a", NULL, NULL, 0}, {"p:", NULL, NULL, 0},
                   {"p:q:a", NULL, NULL, 0}, {"p/1:a", NULL, NULL, 0}, {"", NULL, NULL, 0}, {"p:a/x", NULL, NULL, 0}, {"-p:a", NULL, NULL, 0}};
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                char project[64] = "before", name[64] = "before";
                int64_t index = 77;
                struct fg_error err = {0};
                int r = fg_target_split(row[i].text, project, name, &index, &err);
                assert_int_equal(r == 0, row[i].name != NULL);
                assert_string_equal(project, row[i].name ? row[i].project : "before");
                assert_string_equal(name, row[i].name ? row[i].name : "before");
                assert_int_equal(index, row[i].name ? row[i].index : 77);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tables),          cmocka_unit_test(the_same_hash),         cmocka_unit_test(buckets),
                cmocka_unit_test(long_requests),   cmocka_unit_test(waiting_as_told), cmocka_unit_test(secrets_are_taken_out), cmocka_unit_test(decoding),
                cmocka_unit_test(targets),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
