/* SPDX-License-Identifier: Apache-2.0
 * Where remote connections come from: what one address has open and holds is counted, so that it cannot take the others' part. Of IPv6 a
 * whole /64 is one source: that is what one customer of a provider has at least. */
#ifndef FGD_HTTP_SOURCE_H
#define FGD_HTTP_SOURCE_H

#include "daemon/http_internal.h"

#include <netinet/in.h>

#define FGD_FROM_MAX INET6_ADDRSTRLEN

struct fgd_source {
        unsigned char key[16];
        unsigned count;         /* connections */
        size_t bodies, replies; /* bytes, as of the whole */
        struct fgd_peer_list silent; /* oldest first */
        struct fgd_peer_list ready;  /* in the lobby and waiting for their turn */
        TAILQ_ENTRY(fgd_source) order; /* while `ready` is not empty */
};

TAILQ_HEAD(fgd_source_list, fgd_source);

struct fgd_sources {
        void *tree;
};

/* The source of an address, made when it is new; counts one connection more. NULL: out of memory. */
struct fgd_source *fgd_source_take(struct fgd_sources *sources, const struct sockaddr_storage *address);
/* One connection less; the last one frees it. */
void fgd_source_drop(struct fgd_sources *sources, struct fgd_source *source);
/* How many it has open; 0: not known. */
unsigned fgd_source_count(const struct fgd_sources *sources, const struct sockaddr_storage *address, struct fgd_source **ret);
/* "192.0.2.1"; an IPv4 address that came through an IPv6 socket is one. */
void fgd_source_print(const struct sockaddr_storage *address, char ret[FGD_FROM_MAX]);
/* The same of a source: of IPv6 the /64. */
void fgd_source_name(const struct fgd_source *source, char ret[FGD_FROM_MAX]);

#endif
