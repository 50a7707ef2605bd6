/* SPDX-License-Identifier: Apache-2.0
 * The request of the spans that wait, while memory runs out at each place in turn. */
#include "unit.h"

#include "daemon/otlp.h"

#include <stdlib.h>
#include <string.h>

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned left = -1u; /* allocations that succeed */

void *__wrap_realloc(void *old, size_t size)
{
        if (!left)
                return NULL;
        left--;
        return __real_realloc(old, size);
}

static void short_of_memory(void **state)
{
        static struct fgd_otlp_queue queue;
        char span[2001], *body = NULL;
        uint32_t count;
        unsigned n = 0;
        memset(span, 'x', sizeof span - 1);
        span[sizeof span - 1] = '\n';
        for (unsigned i = 0; i < 3; i++)
                fgd_otlp_take(&queue, span, sizeof span);
        for (; !body && n < 100; n++) {
                left = n;
                body = fgd_otlp_body(&queue, &count);
                assert_int_equal(count, 3);
        }
        assert_in_range(n, 3, 99); /* none at all, and then when it has to grow */
        assert_non_null(body);
        assert_non_null(strstr(body, "\"attributes\": [{\"key\": \"service.name\""));
        assert_non_null(strstr(body, "}}, {\"key\": \"service.version\""));
        free(body);
        left = -1u;
        fgd_otlp_drop(&queue, 3);
        assert_null(fgd_otlp_body(&queue, &count));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(short_of_memory)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
