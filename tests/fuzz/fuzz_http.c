/* SPDX-License-Identifier: Apache-2.0
 * The client's HTTP parser: any bytes, in any pieces, give the same verdict as in one piece. */
#include "client/http.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds `step` bytes at a time; what the parser said last, and how many bytes it took. */
static int feed(struct fg_http_reply *reply, const char *data, size_t size, size_t step, size_t *ret_taken)
{
        int r = 0;
        size_t at = 0;
        fg_http_reply_init(reply);
        while (r == 0 && at < size) {
                size_t used = 0, n = size - at < step ? size - at : step;
                r = fg_http_parse(reply, data + at, n, &used);
                assert(r < 0 || used <= n);
                assert(r != 0 || used == n);
                at += used;
        }
        if (r == 0)
                r = fg_http_parse_end(reply);
        *ret_taken = at;
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct fg_http_reply whole, pieces;
        size_t taken_whole, taken_pieces;
        if (size == 0)
                return 0;
        size_t step = 1 + data[0] % 17;
        data++, size--;
        int a = feed(&whole, (const char *)data, size, size ? size : 1, &taken_whole);
        int b = feed(&pieces, (const char *)data, size, step, &taken_pieces);
        assert(a == b);
        if (a == 1) {
                assert(taken_whole == taken_pieces);
                assert(whole.status >= 200 && whole.status <= 599 && whole.status == pieces.status);
                assert(whole.size == pieces.size && whole.size <= FG_HTTP_BODY_MAX);
                assert(!whole.size || memcmp(whole.body, pieces.body, whole.size) == 0);
                assert(!whole.size || whole.body[whole.size] == '\0');
        }
        fg_http_reply_clear(&whole);
        fg_http_reply_clear(&pieces);
        return 0;
}
