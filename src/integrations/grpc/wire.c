/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/grpc/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int fgi_grpc_bytes_add(struct fgi_grpc_bytes *bytes, const void *data, size_t size)
{
        if (size > bytes->room - bytes->size) {
                size_t room = bytes->room ? bytes->room : 256;
                while (room - bytes->size < size)
                        room *= 2;
                uint8_t *larger = realloc(bytes->data, room);
                if (!larger)
                        return -ENOMEM;
                bytes->data = larger;
                bytes->room = room;
        }
        if (size > 0)
                memcpy(bytes->data + bytes->size, data, size);
        bytes->size += size;
        return 0;
}

void fgi_grpc_bytes_drop(struct fgi_grpc_bytes *bytes, size_t size)
{
        bytes->size -= size;
        if (bytes->size > 0)
                memmove(bytes->data, bytes->data + size, bytes->size);
        else
                fgi_grpc_bytes_clear(bytes);
}

void fgi_grpc_bytes_clear(struct fgi_grpc_bytes *bytes)
{
        free(bytes->data);
        *bytes = (struct fgi_grpc_bytes){0};
}

int fgi_grpc_frame_first(const struct fgi_grpc_bytes *bytes, size_t max, size_t *ret_size)
{
        const uint8_t *p = bytes->data;
        if (bytes->size < 1)
                return 0;
        if (p[0] != 0)
                return -EPROTONOSUPPORT;
        if (bytes->size < FGI_GRPC_PREFIX)
                return 0;
        size_t size = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        if (size > max)
                return -EMSGSIZE;
        if (bytes->size - FGI_GRPC_PREFIX < size)
                return 0;
        *ret_size = size;
        return 1;
}

int fgi_grpc_frame_add(struct fgi_grpc_bytes *bytes, const uint8_t *message, size_t size)
{
        const uint8_t prefix[FGI_GRPC_PREFIX] = {0, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};
        size_t before = bytes->size;
        int r = size > UINT32_MAX ? -EMSGSIZE : fgi_grpc_bytes_add(bytes, prefix, sizeof prefix);
        if (r == 0)
                r = fgi_grpc_bytes_add(bytes, message, size);
        if (r < 0)
                bytes->size = before;
        return r;
}

nghttp2_nv fgi_grpc_header(const char *name, const char *value)
{
        return (nghttp2_nv){.name = (uint8_t *)name, .value = (uint8_t *)value, .namelen = strlen(name), .valuelen = strlen(value)};
}

/* One piece at a time: other connections are to have their turn. */
int fgi_grpc_link_read(struct fgi_grpc_link *link)
{
        uint8_t chunk[16384];
        ssize_t n;
        do
                n = recv(link->fd, chunk, sizeof chunk, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return 0;
        return n > 0 && nghttp2_session_mem_recv(link->session, chunk, (size_t)n) == n ? 0 : -EPIPE;
}

int fgi_grpc_link_write(struct fgi_grpc_link *link)
{
        for (;;) {
                if (link->out_size == 0) {
                        ssize_t n = nghttp2_session_mem_send(link->session, &link->out);
                        if (n < 0)
                                return -EPIPE;
                        if (n == 0)
                                return 0;
                        link->out_size = (size_t)n;
                }
                ssize_t n = send(link->fd, link->out, link->out_size, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? -EAGAIN : -EPIPE;
                link->out += n;
                link->out_size -= (size_t)n;
        }
}

bool fgi_grpc_link_is_over(const struct fgi_grpc_link *link)
{
        return link->out_size == 0 && !nghttp2_session_want_read(link->session) && !nghttp2_session_want_write(link->session);
}

void fgi_grpc_link_clear(struct fgi_grpc_link *link)
{
        nghttp2_session_del(link->session);
        link->session = NULL;
        if (link->fd >= 0)
                close(link->fd);
        link->fd = -1;
}
