/* SPDX-License-Identifier: Apache-2.0
 * gRPC: the texts, and a server and a client of ours over a socket. Other people's peers are in tests/kubernetes. */
#include "unit.h"

#include "base/clock.h"
#include "base/paths.h"
#include "integrations/grpc/wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the texts --- */

static void timeouts(void **state)
{
        uint64_t ns;
        char text[16];
        assert_int_equal(fgi_grpc_timeout_parse("100m", 4, &ns), 0);
        assert_int_equal(ns, 100 * FG_NSEC_PER_MSEC);
        assert_int_equal(fgi_grpc_timeout_parse("99999999H", 9, &ns), 0);
        assert_true(ns == UINT64_MAX);
        assert_int_equal(fgi_grpc_timeout_parse("123456789m", 10, &ns), -EINVAL);
        assert_int_equal(fgi_grpc_timeout_parse("m", 1, &ns), -EINVAL);
        assert_int_equal(fgi_grpc_timeout_parse("1x", 2, &ns), -EINVAL);
        assert_int_equal(fgi_grpc_timeout_parse("-1S", 3, &ns), -EINVAL);
        const uint64_t some[] = {0, 1, 99999999, 100000000, 5 * FG_NSEC_PER_SEC, UINT64_MAX};
        for (size_t i = 0; i < COUNT_OF(some); i++) {
                fgi_grpc_timeout_format(some[i], text, sizeof text);
                assert_int_equal(fgi_grpc_timeout_parse(text, strlen(text), &ns), 0);
                assert_true(ns <= some[i] && some[i] - ns <= some[i] / 100000);
        }
}

static void messages(void **state)
{
        char coded[128], back[128];
        fgi_grpc_percent_encode("100 % of\n\xc3\xa4", coded, sizeof coded);
        assert_string_equal(coded, "100 %25 of%0A%C3%A4");
        fgi_grpc_percent_decode(coded, strlen(coded), back, sizeof back);
        assert_string_equal(back, "100 % of \xc3\xa4");
        fgi_grpc_percent_decode("%4", 2, back, sizeof back);
        assert_string_equal(back, "%4");
        fgi_grpc_percent_decode("%zz%41", 6, back, sizeof back);
        assert_string_equal(back, "%zzA");
        fgi_grpc_percent_encode("\xff\xff\xff", coded, 8);
        assert_string_equal(coded, "%FF%FF");
        assert_int_equal(fgi_grpc_code_parse("14", 2), 14);
        assert_int_equal(fgi_grpc_code_parse("17", 2), FGI_GRPC_UNKNOWN);
        assert_int_equal(fgi_grpc_code_parse("0x", 2), FGI_GRPC_UNKNOWN);
        assert_string_equal(fgi_grpc_code_name(12), "UNIMPLEMENTED");
        assert_string_equal(fgi_grpc_code_name(99), "UNKNOWN");
}

static void frames(void **state)
{
        struct fgi_grpc_bytes bytes = {0};
        size_t size;
        assert_int_equal(fgi_grpc_frame_first(&bytes, 10, &size), 0);
        assert_int_equal(fgi_grpc_frame_add(&bytes, (const uint8_t *)"hello", 5), 0);
        assert_int_equal(fgi_grpc_frame_first(&bytes, 5, &size), 1);
        assert_int_equal(size, 5);
        assert_int_equal(fgi_grpc_frame_first(&bytes, 4, &size), -EMSGSIZE);
        bytes.size--;
        assert_int_equal(fgi_grpc_frame_first(&bytes, 5, &size), 0);
        bytes.data[0] = 1;
        assert_int_equal(fgi_grpc_frame_first(&bytes, 5, &size), -EPROTONOSUPPORT);
        fgi_grpc_bytes_clear(&bytes);
}

/* --- a server in a thread --- */

struct world {
        char folder[64], path[96];
        struct fgi_grpc_server *server;
        pthread_t thread;
        atomic_bool stop;
        atomic_int closed, held;
};

static void echo(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *data)
{
        fgi_grpc_send(call, request, size);
        fgi_grpc_end(call, FGI_GRPC_OK, NULL);
}

static void refuse(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *data)
{
        fgi_grpc_end(call, FGI_GRPC_NOT_FOUND, "no \"x\" here: 100 %\nreally");
}

/* As many answers as bytes in the request, then an error. */
static void many(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *data)
{
        for (size_t i = 0; i < size; i++)
                fgi_grpc_send(call, request, i);
        fgi_grpc_end(call, FGI_GRPC_UNAVAILABLE, "enough");
}

static void gone(struct fgi_grpc_call *call, void *data)
{
        struct world *w = data;
        w->closed++;
}

static void hold(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *data)
{
        struct world *w = data;
        fgi_grpc_on_close(call, gone, w);
        if (size > 0)
                fgi_grpc_send(call, request, size);
        w->held++;
}

static const struct fgi_grpc_method methods[] = {{"/t.T/Echo", echo}, {"/t.T/Refuse", refuse}, {"/t.T/Many", many}, {"/t.T/Hold", hold}, {0}};

static void *serve(void *data)
{
        struct world *w = data;
        while (!w->stop) {
                struct pollfd p = {.fd = fgi_grpc_server_fd(w->server), .events = POLLIN};
                poll(&p, 1, 20);
                fgi_grpc_server_dispatch(w->server);
        }
        return NULL;
}

static int set_up(void **state)
{
        struct world *w = calloc(1, sizeof *w);
        struct fg_error err = {0};
        unit_make_folder(w->folder);
        snprintf(w->path, sizeof w->path, "%s/s", w->folder);
        assert_int_equal(fgi_grpc_server_new(methods, w, &w->server), 0);
        assert_int_equal(fgi_grpc_server_listen(w->server, w->path, 0600, &err), 0);
        assert_int_equal(pthread_create(&w->thread, NULL, serve, w), 0);
        *state = w;
        return 0;
}

static int tear_down(void **state)
{
        struct world *w = *state;
        w->stop = true;
        pthread_join(w->thread, NULL);
        fgi_grpc_server_free(w->server);
        assert_int_equal(access(w->path, F_OK), -1);
        unit_remove_folder(w->folder);
        free(w);
        return 0;
}

static struct fgi_grpc_client *client_of(struct world *w)
{
        struct fgi_grpc_client *client;
        struct fg_error err = {0};
        assert_int_equal(fgi_grpc_client_open(w->path, &client, &err), 0);
        return client;
}

static uint64_t soon(void)
{
        return fg_now() + 20 * FG_NSEC_PER_SEC;
}

static void unary(void **state)
{
        struct fgi_grpc_client *client = client_of(*state);
        struct fg_error err = {0};
        size_t sizes[] = {0, 1, 5, 16384, 100000, FGI_GRPC_REQUEST_MAX}, size;
        uint8_t *big = malloc(FGI_GRPC_REQUEST_MAX + 1), *reply;
        memset(big, 'x', FGI_GRPC_REQUEST_MAX + 1);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
                assert_int_equal(fgi_grpc_client_unary(client, "/t.T/Echo", big, sizes[i], soon(), &reply, &size, &err), 0);
                assert_int_equal(size, sizes[i]);
                assert_memory_equal(reply, big, size);
                free(reply);
        }
        assert_int_equal(fgi_grpc_client_unary(client, "/t.T/Echo", big, FGI_GRPC_REQUEST_MAX + 1, soon(), &reply, &size, &err), -EREMOTEIO);
        assert_non_null(strstr(err.text, "RESOURCE_EXHAUSTED"));
        assert_int_equal(fgi_grpc_client_unary(client, "/t.T/Refuse", big, 1, soon(), &reply, &size, &err), -EREMOTEIO);
        assert_string_equal(err.text, "no \"x\" here: 100 % really (NOT_FOUND)");
        assert_int_equal(fgi_grpc_client_unary(client, "/t.T/Nothing", big, 1, soon(), &reply, &size, &err), -EREMOTEIO);
        assert_non_null(strstr(err.text, "UNIMPLEMENTED"));
        assert_int_equal(fgi_grpc_client_unary(client, "/t.T/Many", big, 1, soon(), &reply, &size, &err), -EREMOTEIO);
        assert_int_equal(fgi_grpc_client_unary(client, "/t.T/Many", big, 3, soon(), &reply, &size, &err), -EPROTO);
        assert_int_equal(fgi_grpc_client_unary(client, "/t.T/Echo", big, 1, soon(), &reply, &size, &err), 0);
        free(reply);
        free(big);
        fgi_grpc_client_close(client);
}

static void stream(void **state)
{
        struct fgi_grpc_client *client = client_of(*state);
        struct fgi_grpc_status status;
        struct fg_error err = {0};
        uint8_t text[2000] = {0}, *reply;
        size_t size, n = 0;
        int r;
        assert_int_equal(fgi_grpc_client_start(client, "/t.T/Many", text, sizeof text, soon(), &err), 0);
        while ((r = fgi_grpc_client_next(client, &reply, &size, &status, &err)) == 1) {
                assert_int_equal(size, n++);
                free(reply);
        }
        assert_int_equal(r, 0);
        assert_int_equal(n, sizeof text);
        assert_int_equal(status.code, FGI_GRPC_UNAVAILABLE);
        assert_string_equal(status.text, "enough");
        assert_int_equal(fgi_grpc_client_next(client, &reply, &size, &status, &err), -EINVAL);
        fgi_grpc_client_close(client);
}

static void wait_for(atomic_int *what, int value)
{
        for (int i = 0; i < 2000 && *what != value; i++)
                usleep(10000);
        assert_int_equal(*what, value);
}

/* Who goes away, cancels or has no time left ends his call and nothing else. */
static void ends(void **state)
{
        struct world *w = *state;
        struct fgi_grpc_client *client = client_of(w), *other = client_of(w);
        struct fgi_grpc_status status;
        struct fg_error err = {0};
        uint8_t *reply;
        size_t size;
        assert_int_equal(fgi_grpc_client_start(client, "/t.T/Hold", (const uint8_t *)"a", 1, UINT64_MAX, &err), 0);
        assert_int_equal(fgi_grpc_client_next(client, &reply, &size, &status, &err), 1);
        free(reply);
        wait_for(&w->held, 1);
        assert_int_equal(fgi_grpc_client_unary(client, "/t.T/Echo", (const uint8_t *)"b", 1, soon(), &reply, &size, &err), 0);
        free(reply);
        wait_for(&w->closed, 1); /* it gave way to the next call */
        int r = fgi_grpc_client_unary(client, "/t.T/Hold", NULL, 0, fg_now() + 50 * FG_NSEC_PER_MSEC, &reply, &size, &err);
        assert_int_equal(r, -ETIMEDOUT);
        wait_for(&w->closed, 2);
        assert_int_equal(fgi_grpc_client_start(other, "/t.T/Hold", (const uint8_t *)"a", 1, UINT64_MAX, &err), 0);
        assert_int_equal(fgi_grpc_client_next(other, &reply, &size, &status, &err), 1);
        free(reply);
        fgi_grpc_client_close(other);
        wait_for(&w->closed, 3);
        assert_int_equal(fgi_grpc_client_unary(client, "/t.T/Echo", (const uint8_t *)"b", 1, soon(), &reply, &size, &err), 0);
        free(reply);
        fgi_grpc_client_close(client);
}

static void crowds(void **state)
{
        struct world *w = *state;
        struct fgi_grpc_client *client[FGI_GRPC_LINKS_MAX];
        struct fg_error err = {0};
        uint8_t *reply;
        size_t size;
        for (size_t i = 0; i < COUNT_OF(client); i++) {
                client[i] = client_of(w);
                assert_int_equal(fgi_grpc_client_unary(client[i], "/t.T/Echo", (const uint8_t *)"b", 1, soon(), &reply, &size, &err), 0);
                free(reply);
        }
        struct fgi_grpc_client *more = client_of(w);
        assert_int_equal(fgi_grpc_client_unary(more, "/t.T/Echo", (const uint8_t *)"b", 1, soon(), &reply, &size, &err), -EPIPE);
        fgi_grpc_client_close(more);
        for (size_t i = 0; i < COUNT_OF(client); i++)
                fgi_grpc_client_close(client[i]);
}

/* What is no HTTP/2 ends its own connection alone. */
static void garbage(void **state)
{
        struct world *w = *state;
        char byte;
        struct fg_error err = {0};
        uint8_t *reply;
        size_t size;
        for (int i = 0; i < 3; i++) {
                static const char *const text[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxx", ""};
                int fd = fg_unix_connect(w->path, SOCK_STREAM);
                assert_true(fd >= 0);
                assert_int_equal(write(fd, text[i], strlen(text[i])), strlen(text[i]));
                shutdown(fd, SHUT_WR);
                while (read(fd, &byte, 1) > 0)
                        ;
                close(fd);
        }
        struct fgi_grpc_client *client = client_of(w);
        assert_int_equal(fgi_grpc_client_unary(client, "/t.T/Echo", (const uint8_t *)"b", 1, soon(), &reply, &size, &err), 0);
        free(reply);
        fgi_grpc_client_close(client);
}

static void nobody(void **state)
{
        struct fgi_grpc_client *client;
        struct fg_error err = {0};
        assert_int_equal(fgi_grpc_client_open("/nowhere/s", &client, &err), -ENOENT);
        assert_non_null(strstr(err.text, "/nowhere/s"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(timeouts),
                cmocka_unit_test(messages),
                cmocka_unit_test(frames),
                cmocka_unit_test(nobody),
                cmocka_unit_test_setup_teardown(unary, set_up, tear_down),
                cmocka_unit_test_setup_teardown(stream, set_up, tear_down),
                cmocka_unit_test_setup_teardown(ends, set_up, tear_down),
                cmocka_unit_test_setup_teardown(crowds, set_up, tear_down),
                cmocka_unit_test_setup_teardown(garbage, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
