/* SPDX-License-Identifier: Apache-2.0
 * The client's HTTP parser: every message in one piece and byte by byte. */
#include "client/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK "HTTP/1.1 200 OK\r\n"

struct expectation {
        const char *text;
        int result; /* 1, or the error */
        int status;
        const char *body;
        bool keep_alive;
};

static const struct expectation expectations[] = {
        {OK "Content-Length: 3\r\n\r\nabc", 1, 200, "abc", true},
        {OK "content-length:3 \r\n\r\nabc", 1, 200, "abc", true},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 1, 200, "", true},
        {"HTTP/1.1 204 No Content\r\n\r\n", 1, 204, "", true},
        {"HTTP/1.1 409 Conflict\nContent-Length: 2\n\n{}", 1, 409, "{}", true},
        {OK "Content-Length: 3\r\nConnection: close\r\n\r\nabc", 1, 200, "abc", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 1, 200, "a", false},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", 1, 200, "a", true},
        {"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\na", 1, 200, "a", true},
        {OK "\r\nto the end", 1, 200, "to the end", false},
        {OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 1, 200, "abcde", true},
        {OK "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n", 1, 200, "0123456789", true},
        {OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1, 200, "", true},
        {OK "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 1, 200, "abc", true},
        /* refused */
        {"", -EPROTO},
        {"garbage\r\n\r\n", -EPROTO},
        {"HTTP/2 200 OK\r\n\r\n", -EPROTO},
        {"HTTP/1.1 2000 OK\r\n\r\n", -EPROTO},
        {"HTTP/1.1 099 OK\r\n\r\n", -EPROTO},
        {"HTTP/1.1 600 OK\r\n\r\n", -EPROTO},
        {"HTTP/1.1 101 Switching\r\n\r\n", -EPROTO},
        {"HTTP/1.1 20", -EPROTO},
        {OK "Content-Length: 4\r\n\r\nabc", -EPROTO},
        {OK "Content-Length: -1\r\n\r\n", -EPROTO},
        {OK "Content-Length: 1x\r\n\r\na", -EPROTO},
        {OK "Content-Length:\r\n\r\n", -EPROTO},
        {OK "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", -EPROTO},
        {OK "Content-Length: 67108865\r\n\r\n", -EMSGSIZE},
        {OK "Content-Length: 99999999999999999999999\r\n\r\n", -EMSGSIZE},
        {OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", -EPROTO},
        {OK "Transfer-Encoding: gzip\r\n\r\n", -EPROTO},
        {OK "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", -EPROTO},
        {OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", -EPROTO},
        {OK "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", -EMSGSIZE},
        {OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", -EPROTO},
        {OK "no colon\r\n\r\n", -EPROTO},
        {OK ": no name\r\n\r\n", -EPROTO},
        {OK " folded: line\r\n\r\n", -EPROTO},
        {OK "A: b\rc\r\n\r\n", -EPROTO},
};

static int feed(struct fg_http_reply *reply, const char *data, size_t len, size_t step)
{
        int r = 0;
        fg_http_reply_init(reply);
        for (size_t at = 0; r == 0 && at < len;) {
                size_t used = 0, n = len - at < step ? len - at : step;
                r = fg_http_parse(reply, data + at, n, &used);
                at += used;
        }
        return r ? r : fg_http_parse_end(reply);
}

static void check(const struct expectation *e, size_t step)
{
        struct fg_http_reply reply;
        int r = feed(&reply, e->text, strlen(e->text), step);
        if (r != e->result)
                print_error("%s", e->text);
        assert_int_equal(r, e->result);
        if (r == 1) {
                assert_int_equal(reply.status, e->status);
                assert_int_equal(reply.size, strlen(e->body));
                assert_string_equal(reply.body ? reply.body : "", e->body);
                assert_int_equal(reply.keep_alive, e->keep_alive);
        }
        fg_http_reply_clear(&reply);
}

static void test_expectations(void **state)
{
        for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++)
                for (size_t step = 1; step < 40; step++)
                        check(&expectations[i], step);
}

static void test_leaves_what_follows(void **state)
{
        static const char text[] = OK "Content-Length: 1\r\n\r\naHTTP";
        struct fg_http_reply reply;
        size_t used = 0;
        fg_http_reply_init(&reply);
        assert_int_equal(fg_http_parse(&reply, text, sizeof text - 1, &used), 1);
        assert_int_equal(used, sizeof text - 1 - 4);
        fg_http_reply_clear(&reply);
}

/* A head without end, as one line and as many. */
static void test_bounds(void **state)
{
        struct fg_http_reply reply;
        size_t len = 100000, used;
        char *line = malloc(len), *lines = malloc(len);
        memset(line, 'a', len);
        for (size_t i = 0; i < len; i++)
                lines[i] = "a:b\n"[i % 4];
        for (int many = 0; many < 2; many++) {
                fg_http_reply_init(&reply);
                assert_int_equal(fg_http_parse(&reply, OK, strlen(OK), &used), 0);
                assert_int_equal(fg_http_parse(&reply, many ? lines : line, len, &used), -EMSGSIZE);
                fg_http_reply_clear(&reply);
        }
        free(line);
        free(lines);
}

/* 64 MiB fit and one byte more does not, however they come. */
static void test_body_bound(void **state)
{
        size_t piece = 1 << 20, used;
        char *data = calloc(1, piece);
        struct fg_http_reply reply;
        fg_http_reply_init(&reply);
        assert_int_equal(fg_http_parse(&reply, OK "\r\n", strlen(OK) + 2, &used), 0);
        for (size_t i = 0; i < FG_HTTP_BODY_MAX / piece; i++)
                assert_int_equal(fg_http_parse(&reply, data, piece, &used), 0);
        assert_int_equal(reply.size, FG_HTTP_BODY_MAX);
        assert_int_equal(fg_http_parse(&reply, data, 1, &used), -EMSGSIZE);
        fg_http_reply_clear(&reply);
        free(data);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_expectations),
                                           cmocka_unit_test(test_leaves_what_follows), cmocka_unit_test(test_bounds),
                                           cmocka_unit_test(test_body_bound)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
