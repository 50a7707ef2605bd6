/* SPDX-License-Identifier: Apache-2.0
 * Our side of conversations with other people's gRPC.
 *
 *   grpc-peer serve SOCKET              /t.T/Echo, Many (as many answers as bytes), Refuse, Hold (until the caller goes; says so)
 *   grpc-peer call SOCKET METHOD TEXT MS    prints each answer's size and text, then the status */
#include "integrations/grpc/grpc.h"

#include "base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static void echo(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *data)
{
        fgi_grpc_send(call, request, size);
        fgi_grpc_end(call, FGI_GRPC_OK, NULL);
}

static void many(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *data)
{
        for (size_t i = 0; i < size; i++)
                fgi_grpc_send(call, request, i);
        fgi_grpc_end(call, FGI_GRPC_OK, NULL);
}

static void refuse(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *data)
{
        fgi_grpc_end(call, FGI_GRPC_FAILED_PRECONDITION, "100 % of \"it\"\nis gone: \xc3\xa4");
}

static void gone(struct fgi_grpc_call *call, void *data)
{
        puts("gone");
        fflush(stdout);
}

static void hold(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *data)
{
        fgi_grpc_on_close(call, gone, NULL);
        fgi_grpc_send(call, request, size);
}

static int serve(const char *path)
{
        static const struct fgi_grpc_method methods[] = {{"/t.T/Echo", echo}, {"/t.T/Many", many}, {"/t.T/Refuse", refuse}, {"/t.T/Hold", hold}, {0}};
        struct fgi_grpc_server *server;
        struct fg_error err = {0};
        if (fgi_grpc_server_new(methods, NULL, &server) < 0 || fgi_grpc_server_listen(server, path, 0600, &err) < 0)
                return 1;
        puts("ready");
        fflush(stdout);
        for (;;) {
                struct pollfd p[] = {{.fd = fgi_grpc_server_fd(server), .events = POLLIN}, {.fd = 0, .events = POLLIN}};
                poll(p, 2, -1);
                if (p[1].revents)
                        break;
                fgi_grpc_server_dispatch(server);
        }
        fgi_grpc_server_free(server);
        return 0;
}

static int call(const char *path, const char *method, const char *text, unsigned ms)
{
        struct fgi_grpc_client *client = NULL;
        struct fgi_grpc_status status;
        struct fg_error err = {0};
        uint8_t *answer;
        size_t size;
        int r = fgi_grpc_client_open(path, &client, &err);
        if (r == 0)
                r = fgi_grpc_client_start(client, method, (const uint8_t *)text, strlen(text), fg_now() + ms * FG_NSEC_PER_MSEC, &err);
        while (r >= 0 && (r = fgi_grpc_client_next(client, &answer, &size, &status, &err)) == 1) {
                printf("%zu %.*s\n", size, size < 20 ? (int)size : 20, (char *)answer);
                free(answer);
        }
        if (r < 0)
                printf("error %d %s\n", r, err.text);
        else
                printf("status %d %s\n", status.code, status.text);
        fgi_grpc_client_close(client);
        return 0;
}

int main(int argc, char **argv)
{
        if (argc == 3 && strcmp(argv[1], "serve") == 0)
                return serve(argv[2]);
        return argc == 6 ? call(argv[2], argv[3], argv[4], (unsigned)atoi(argv[5])) : 2;
}
