/* SPDX-License-Identifier: Apache-2.0
 * A long answer beside other callers: handing 100 kB to the kernel takes a tenth of a millisecond, for which all of them would wait. */
#include "daemon/http_internal.h"

#include "base/clock.h"
#include "daemon/manager.h"
#include "daemon/text.h"

#include <stdlib.h>
#include <string.h>

#define PIECE 16384u

struct answer {
        struct fgd_exchange *exchange; /* there while it is read */
        char *text;
        size_t size;
};

static ssize_t read_piece(void *user, uint64_t position, char *buffer, size_t max)
{
        const struct answer *answer = user;
        size_t left = answer->size - (size_t)position, size = left < max ? left : max;
        if (!fgd_turn_piece(answer->exchange))
                return 0;
        memcpy(buffer, answer->text + position, size);
        fgd_turn_spent(answer->exchange, FGD_SEND_NS);
        return (ssize_t)size;
}

static void forget(void *user)
{
        struct answer *answer = user;
        fgd_text_free(answer->text);
        free(answer);
}

bool fgd_http_is_long(const struct fgd_exchange *e, size_t size)
{
        return size > PIECE && !fgd_fair_is_alone(e->http->manager->fair, fg_now());
}

struct MHD_Response *fgd_http_long(struct fgd_exchange *e, char *text, size_t size)
{
        struct answer *answer = malloc(sizeof *answer);
        if (!answer)
                return NULL;
        *answer = (struct answer){e, text, size};
        struct MHD_Response *response = MHD_create_response_from_callback(size, PIECE, read_piece, answer, forget);
        if (!response)
                free(answer);
        return response;
}
