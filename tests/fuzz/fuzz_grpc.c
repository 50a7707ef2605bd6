/* SPDX-License-Identifier: Apache-2.0
 * What a gRPC peer may send. The first byte says to whom: 's' the server, whose calls echo, hold or refuse; 'c' the client, which made
 * one; 't' the texts of headers. Every message that comes out is within its bound; every call that a handler held ends. */
#include "integrations/grpc/wire.h"

#include "base/clock.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int held;

static void gone(struct fgi_grpc_call *call, void *data)
{
        held--;
}

static void echo(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *data)
{
        assert(size <= FGI_GRPC_REQUEST_MAX);
        assert(fgi_grpc_send(call, request, size) == 0);
        fgi_grpc_end(call, size & 1 ? FGI_GRPC_OK : FGI_GRPC_NOT_FOUND, "even: 100 %");
}

static void hold(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *data)
{
        held++;
        fgi_grpc_on_close(call, gone, NULL);
        fgi_grpc_send(call, request, size);
}

static void drain(int fd)
{
        uint8_t chunk[65536];
        while (recv(fd, chunk, sizeof chunk, MSG_DONTWAIT) > 0)
                ;
}

static void pair(int fd[2])
{
        assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0);
}

static void try_server(const uint8_t *data, size_t size)
{
        static const struct fgi_grpc_method methods[] = {{"/t.T/Echo", echo}, {"/t.T/Hold", hold}, {0}};
        struct fgi_grpc_server *server;
        int fd[2];
        pair(fd);
        held = 0;
        assert(fgi_grpc_server_new(methods, NULL, &server) == 0);
        assert(fgi_grpc_server_adopt(server, fd[0]) == 0);
        while (size > 0) {
                ssize_t n = send(fd[1], data, size < 4096 ? size : 4096, MSG_NOSIGNAL);
                fgi_grpc_server_dispatch(server);
                drain(fd[1]);
                if (n <= 0)
                        break;
                data += n;
                size -= (size_t)n;
        }
        for (int i = 0; i < 4; i++) {
                fgi_grpc_server_dispatch(server);
                drain(fd[1]);
        }
        close(fd[1]);
        fgi_grpc_server_free(server);
        assert(held == 0);
}

static void try_client(const uint8_t *data, size_t size)
{
        struct fgi_grpc_client *client;
        struct fgi_grpc_status status;
        struct fg_error err = {0};
        uint8_t *reply;
        size_t len;
        int fd[2], r;
        pair(fd);
        assert(fgi_grpc_client_adopt(fd[0], "peer", &client, &err) == 0);
        if (size > 0 && send(fd[1], data, size, MSG_NOSIGNAL) != (ssize_t)size)
                size = 0;
        shutdown(fd[1], SHUT_WR);
        assert(fgi_grpc_client_start(client, "/t.T/Echo", (const uint8_t *)"x", 1, fg_now() + FG_NSEC_PER_SEC, &err) == 0);
        while ((r = fgi_grpc_client_next(client, &reply, &len, &status, &err)) == 1) {
                assert(len <= FGI_GRPC_REPLY_MAX && len <= size);
                free(reply);
        }
        assert(r < 0 ? err.text[0] != 0 : strlen(status.text) < sizeof status.text && status.code <= 16);
        fgi_grpc_client_close(client);
        close(fd[1]);
}

static void try_texts(const char *text, size_t size)
{
        char plain[64], coded[200], again[64];
        uint64_t ns, back;
        if (fgi_grpc_timeout_parse(text, size, &ns) == 0) {
                fgi_grpc_timeout_format(ns, plain, sizeof plain);
                assert(fgi_grpc_timeout_parse(plain, strlen(plain), &back) == 0 && back <= ns);
        }
        fgi_grpc_percent_decode(text, size, plain, sizeof plain);
        fgi_grpc_percent_encode(plain, coded, sizeof coded);
        fgi_grpc_percent_decode(coded, strlen(coded), again, sizeof again);
        assert(strcmp(plain, again) == 0);
        assert(fgi_grpc_code_name(fgi_grpc_code_parse(text, size)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        if (data[0] == 's')
                try_server(data + 1, size - 1);
        else if (data[0] == 'c')
                try_client(data + 1, size - 1);
        else
                try_texts((const char *)data + 1, size - 1);
        return 0;
}
