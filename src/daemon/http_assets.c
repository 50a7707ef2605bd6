/* SPDX-License-Identifier: Apache-2.0
 * The dashboard's files. Whoever can connect may have them: they are the same everywhere and hold nothing of this node; all that they show
 * they ask the API for, with the caller's own token. The page is the one place where names that others chose become what a browser draws,
 * so that it is told to run, load, frame and send nothing but its own (docs/design/dashboard.md). */
#include "daemon/http_internal.h"

#include "daemon/assets.h"

#include <string.h>

#define POLICY                                                                                                                         \
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "                          \
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
#define FOREVER "public, max-age=31536000, immutable" /* the path has the content's hash */

static const char *header(const struct fgd_exchange *e, const char *name)
{
        return MHD_lookup_connection_value(e->connection, MHD_HEADER_KIND, name);
}

/* Whether "gzip" is among what is accepted; who says "gzip;q=0" gets it plain. */
static bool takes_gzip(const char *accepted)
{
        const char *at = accepted ? strstr(accepted, "gzip") : NULL;
        return at && strncmp(at + 4, ";q=0", 4) != 0;
}

static void set_headers(struct MHD_Response *response, const struct fgd_asset *asset, bool is_gzip)
{
        MHD_add_response_header(response, "Content-Security-Policy", POLICY);
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        MHD_add_response_header(response, "X-Frame-Options", "DENY");
        MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
        MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
        MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
        if (!asset)
                return;
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, asset->type);
        MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, asset->etag);
        MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, strcmp(asset->path, "/") == 0 ? "no-cache" : FOREVER);
        if (is_gzip)
                MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
}

static struct MHD_Response *compose(const struct fgd_exchange *e, const struct fgd_asset *asset, unsigned *ret_status)
{
        static char missing[] = "there is no such file\n";
        const char *known = header(e, MHD_HTTP_HEADER_IF_NONE_MATCH);
        bool is_gzip = takes_gzip(header(e, MHD_HTTP_HEADER_ACCEPT_ENCODING)), is_known = asset && known && strstr(known, asset->etag);
        const unsigned char *data = !asset ? (unsigned char *)missing : is_gzip ? asset->gzip : asset->plain;
        size_t size = !asset ? sizeof missing - 1 : is_gzip ? asset->gzip_size : asset->plain_size;
        struct MHD_Response *response = MHD_create_response_from_buffer(is_known ? 0 : size, (void *)data, MHD_RESPMEM_PERSISTENT);
        *ret_status = !asset ? 404 : is_known ? 304 : 200;
        if (response)
                set_headers(response, asset, is_gzip && !is_known);
        return response;
}

bool fgd_http_is_asset(const struct fgd_exchange *e)
{
        return (strcmp(e->method, "GET") == 0 || strcmp(e->method, "HEAD") == 0) && fgd_asset_is_place(e->path);
}

bool fgd_http_asset(struct fgd_exchange *e, enum MHD_Result *ret)
{
        unsigned status;
        if (!fgd_http_is_asset(e))
                return false;
        struct MHD_Response *response = compose(e, fgd_asset_find(e->path), &status);
        *ret = response ? MHD_queue_response(e->connection, status, response) : MHD_NO;
        if (response)
                MHD_destroy_response(response);
        if (e->peer)
                fgd_peer_enter(e->peer, FGD_PEER_SENDING);
        return true;
}
