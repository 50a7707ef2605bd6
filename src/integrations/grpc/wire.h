/* SPDX-License-Identifier: Apache-2.0
 * What server and client share: messages in their frames, the headers' texts, and the connection. */
#ifndef FGI_GRPC_WIRE_H
#define FGI_GRPC_WIRE_H

#include "integrations/grpc/grpc.h"

#include <nghttp2/nghttp2.h>

/* --- bytes that grow --- */

struct fgi_grpc_bytes {
        uint8_t *data;
        size_t size, room;
};

int fgi_grpc_bytes_add(struct fgi_grpc_bytes *bytes, const void *data, size_t size);
void fgi_grpc_bytes_drop(struct fgi_grpc_bytes *bytes, size_t size); /* the first of them */
void fgi_grpc_bytes_clear(struct fgi_grpc_bytes *bytes);

/* --- frames: a byte that says whether it is compressed, four of length, the message --- */

#define FGI_GRPC_PREFIX 5u

/* Takes as much of the first frame as is there. 1: `bytes` starts with a whole one of *ret_size bytes behind the prefix; 0: not yet;
 * -EMSGSIZE: over `max`; -EPROTONOSUPPORT: compressed. */
int fgi_grpc_frame_first(const struct fgi_grpc_bytes *bytes, size_t max, size_t *ret_size);
int fgi_grpc_frame_add(struct fgi_grpc_bytes *bytes, const uint8_t *message, size_t size);

/* --- texts of headers --- */

/* "100m": at most 8 digits and one of H M S m u n. -EINVAL. */
int fgi_grpc_timeout_parse(const char *text, size_t size, uint64_t *ret_ns);
void fgi_grpc_timeout_format(uint64_t ns, char *ret, size_t len);
/* grpc-message: printable ASCII, the rest as %XX. Decoding leaves alone what is none, and keeps text for people: one line. */
void fgi_grpc_percent_encode(const char *text, char *ret, size_t len);
void fgi_grpc_percent_decode(const char *text, size_t size, char *ret, size_t len);
enum fgi_grpc_code fgi_grpc_code_parse(const char *text, size_t size); /* what is none is UNKNOWN */
const char *fgi_grpc_code_name(enum fgi_grpc_code code);
nghttp2_nv fgi_grpc_header(const char *name, const char *value);

/* --- the connection --- */

struct fgi_grpc_link {
        int fd;
        nghttp2_session *session;
        const uint8_t *out; /* of the session's, valid until it is asked again */
        size_t out_size;
};

/* What is there is read into the session, and what it has to say written. 0; -EAGAIN when the socket is full; -EPIPE when it is over. */
int fgi_grpc_link_read(struct fgi_grpc_link *link);
int fgi_grpc_link_write(struct fgi_grpc_link *link);
bool fgi_grpc_link_is_over(const struct fgi_grpc_link *link);
void fgi_grpc_link_clear(struct fgi_grpc_link *link);

#endif
