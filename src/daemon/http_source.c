/* SPDX-License-Identifier: Apache-2.0
 * A balanced tree and no hash: nobody can choose addresses that collide. */
#include "daemon/http_source.h"

#include <arpa/inet.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

/* The address as IPv6. */
static void take_address(const struct sockaddr_storage *address, unsigned char ret[16])
{
        memset(ret, 0, 16);
        if (address->ss_family == AF_INET6) {
                memcpy(ret, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
        } else if (address->ss_family == AF_INET) {
                memcpy(ret, mapped, sizeof mapped);
                memcpy(ret + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
        }
}

static void take_key(const struct sockaddr_storage *address, unsigned char ret[16])
{
        take_address(address, ret);
        if (memcmp(ret, mapped, sizeof mapped) != 0)
                memset(ret + 8, 0, 8);
}

static int compare(const void *a, const void *b)
{
        return memcmp(((const struct fgd_source *)a)->key, ((const struct fgd_source *)b)->key, 16);
}

unsigned fgd_source_count(const struct fgd_sources *sources, const struct sockaddr_storage *address, struct fgd_source **ret)
{
        struct fgd_source wanted, **found;
        take_key(address, wanted.key);
        found = tfind(&wanted, &sources->tree, compare);
        *ret = found ? *found : NULL;
        return found ? (*found)->count : 0;
}

struct fgd_source *fgd_source_take(struct fgd_sources *sources, const struct sockaddr_storage *address)
{
        struct fgd_source *source;
        fgd_source_count(sources, address, &source);
        if (!source) {
                source = calloc(1, sizeof *source);
                if (!source)
                        return NULL;
                take_key(address, source->key);
                TAILQ_INIT(&source->silent);
                TAILQ_INIT(&source->ready);
                if (!tsearch(source, &sources->tree, compare)) {
                        free(source);
                        return NULL;
                }
        }
        source->count++;
        return source;
}

void fgd_source_drop(struct fgd_sources *sources, struct fgd_source *source)
{
        if (--source->count > 0)
                return;
        tdelete(source, &sources->tree, compare);
        free(source);
}

static void print(const unsigned char bytes[16], char ret[FGD_FROM_MAX])
{
        bool v4 = memcmp(bytes, mapped, sizeof mapped) == 0;
        ret[0] = 0;
        inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? bytes + 12 : bytes, ret, FGD_FROM_MAX);
}

void fgd_source_print(const struct sockaddr_storage *address, char ret[FGD_FROM_MAX])
{
        unsigned char bytes[16];
        take_address(address, bytes);
        print(bytes, ret);
}

void fgd_source_name(const struct fgd_source *source, char ret[FGD_FROM_MAX])
{
        print(source->key, ret);
}
