/* SPDX-License-Identifier: Apache-2.0
 * What was learned of jobs, read back: refused with a sentence, or usable and saved as it was read. */
#include "sched/order.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fg_order *o = NULL, *again = NULL;
        struct fg_error err = {0};
        struct fg_order_kind kind = {1, 2, 3, 1000};
        struct fg_order_prediction p;
        char *text = NULL, *second = NULL, buf[FG_ORDER_EXPLAIN_MAX];
        size_t len, second_len;
        int r = fg_order_restore((const char *)data, size, 16, &o, &err);
        assert(r <= 0 && (r == 0) == (o != NULL) && (r == 0) == (err.text[0] == '\0'));
        if (r < 0)
                return 0;
        assert(fg_order_classes(o) >= 1 && fg_order_classes(o) <= 16);
        assert(fg_order_save(o, &text, &len) == 0);
        assert(fg_order_restore(text, len, 16, &again, NULL) == 0);
        assert(fg_order_save(again, &second, &second_len) == 0);
        assert(len == second_len && memcmp(text, second, len) == 0);
        assert(fg_order_finish(o, &kind, 5000000) == 0);
        fg_order_predict(o, &kind, &p);
        assert(p.mean >= 0 && fg_order_index(&p, 0) > 0 && fg_order_remaining(&p, 1e9) >= 0);
        assert(strlen(fg_order_explain(o, &kind, "x", buf, sizeof(buf))) < sizeof(buf));
        fg_order_free(o);
        fg_order_free(again);
        free(text);
        free(second);
        return 0;
}
