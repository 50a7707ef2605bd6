/* SPDX-License-Identifier: Apache-2.0
 * An answer that does not end. Between two messages the connection is suspended and costs nothing; while one is on its way it has the time
 * that every answer has, and no more than one is ever here. */
#include "daemon/http_internal.h"

#include "base/clock.h"
#include "daemon/events.h"

#include <string.h>

#define BLOCK 4096

static ssize_t read_stream(void *user, uint64_t position, char *buffer, size_t max)
{
        struct fgd_exchange *e = user;
        if (!fgd_turn_piece(e))
                return 0;
        uint64_t begin = fg_now();
        long n = fgd_stream_take(e->stream, buffer, max);
        fgd_turn_spent(e, fg_now() - begin);
        if (n > 0) {
                if (e->peer)
                        fgd_peer_enter(e->peer, FGD_PEER_SENDING);
                return n;
        }
        if (n < 0)
                return MHD_CONTENT_READER_END_OF_STREAM;
        if (e->peer)
                fgd_peer_enter(e->peer, FGD_PEER_BUSY);
        e->idle = true;
        MHD_suspend_connection(e->connection);
        return 0;
}

void fgd_http_stream_ready(void *user)
{
        struct fgd_exchange *e = user;
        if (!e->idle)
                return;
        e->idle = false;
        MHD_resume_connection(e->connection);
        fgd_http_wake(e->http);
}

bool fgd_http_wants_stream(const char *accept)
{
        return accept && strstr(accept, "text/event-stream");
}

enum MHD_Result fgd_http_stream(struct fgd_exchange *e)
{
        struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, e, NULL);
        if (!response)
                return MHD_NO;
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        enum MHD_Result r = MHD_queue_response(e->connection, MHD_HTTP_OK, response);
        MHD_destroy_response(response);
        if (e->peer)
                fgd_peer_enter(e->peer, FGD_PEER_SENDING);
        return r;
}
