/* SPDX-License-Identifier: Apache-2.0
 * Events as text/event-stream. Nothing is kept for a reader but the answer that he is just taking: the rest is in the store, and read when
 * he has taken it. So a slow reader costs no memory, and one that is cut off goes on from the number that he saw last. */
#include "daemon/events.h"

#include "base/log.h"
#include "daemon/identity.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/store_journal.h"
#include "daemon/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BEAT_USEC 10000000 /* a line that says nothing, so that either side notices when the other is gone */

struct fgd_stream {
        TAILQ_ENTRY(fgd_stream) order;
        struct fgd_manager *manager; /* NULL: it has ended, and is in no list */
        struct fgd_principal who;
        struct fgd_events_wish wish;
        struct fgd_sink sink;
        struct fgd_text text; /* what is being taken */
        size_t taken;
        bool is_late; /* something was written while it had something to take */
};

struct fgd_streams {
        TAILQ_HEAD(, fgd_stream) list;
        uint32_t count;
        sd_event_source *beat;
};

int fgd_streams_new(struct fgd_manager *m)
{
        m->streams = calloc(1, sizeof *m->streams);
        if (!m->streams)
                return -ENOMEM;
        TAILQ_INIT(&m->streams->list);
        return 0;
}

static void leave(struct fgd_stream *stream)
{
        struct fgd_streams *streams = stream->manager->streams;
        TAILQ_REMOVE(&streams->list, stream, order);
        streams->count--;
        stream->manager = NULL;
}

void fgd_streams_end(struct fgd_manager *m)
{
        struct fgd_stream *stream;
        while (m->streams && (stream = TAILQ_FIRST(&m->streams->list))) {
                leave(stream);
                stream->sink.ready(stream->sink.user);
        }
}

void fgd_streams_free(struct fgd_manager *m)
{
        if (!m->streams)
                return;
        fgd_streams_end(m);
        sd_event_source_disable_unref(m->streams->beat);
        free(m->streams);
        m->streams = NULL;
}

bool fgd_streams_any(const struct fgd_manager *m)
{
        return m->streams && m->streams->count > 0;
}

static bool is_empty(const struct fgd_stream *stream)
{
        return stream->taken >= stream->text.size;
}

/* One message is an answer of GET /v1/events, and its id the number to go on from. */
static void write_message(struct fgd_stream *stream, const char *answer)
{
        fgd_text_addf(&stream->text, "id: %lld\ndata: ", (long long)stream->wish.after);
        fgd_text_add(&stream->text, answer); /* one line, with its end */
        fgd_text_add(&stream->text, "\n");
}

/* Whether there is something to take now. */
static bool fill(struct fgd_stream *stream)
{
        struct fgd_text answer = {0};
        bool any = false;
        int64_t next;
        if (!is_empty(stream))
                return true;
        fgd_text_clear(&stream->text);
        stream->taken = 0;
        stream->is_late = false;
        if (fgd_events_write(stream->manager, &stream->who, &stream->wish, &answer, &any, &next) == 0) {
                stream->wish.after = next;
                if (any)
                        write_message(stream, answer.data ? answer.data : "{}\n");
                stream->is_late = any;
        }
        fgd_text_clear(&answer);
        return !is_empty(stream);
}

static bool has_expired(const struct fgd_stream *stream)
{
        return stream->who.token && stream->who.token->expires <= time(NULL);
}

static void end_if_expired(struct fgd_stream *stream)
{
        if (!has_expired(stream))
                return;
        leave(stream);
        stream->sink.ready(stream->sink.user);
}

void fgd_streams_look(struct fgd_manager *m)
{
        struct fgd_stream *stream, *next;
        if (!m->streams)
                return;
        FGD_TAILQ_EACH_SAFE(stream, &m->streams->list, order, next) {
                stream->is_late = true;
                if (has_expired(stream))
                        end_if_expired(stream);
                else if (is_empty(stream) && fill(stream))
                        stream->sink.ready(stream->sink.user);
        }
}

static int on_beat(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        struct fgd_stream *stream, *next;
        FGD_TAILQ_EACH_SAFE(stream, &m->streams->list, order, next) {
                if (has_expired(stream)) {
                        end_if_expired(stream);
                } else if (is_empty(stream)) {
                        fgd_text_clear(&stream->text);
                        stream->taken = 0;
                        fgd_text_add(&stream->text, ":\n\n");
                        stream->sink.ready(stream->sink.user);
                }
        }
        if (fgd_streams_any(m)) {
                sd_event_source_set_time_relative(source, BEAT_USEC);
                sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        }
        return 0;
}

static int arm(struct fgd_manager *m)
{
        struct fgd_streams *streams = m->streams;
        int enabled = SD_EVENT_OFF;
        if (!streams->beat)
                return sd_event_add_time_relative(m->event, &streams->beat, CLOCK_MONOTONIC, BEAT_USEC, BEAT_USEC / 10, on_beat, m);
        sd_event_source_get_enabled(streams->beat, &enabled);
        if (enabled != SD_EVENT_OFF)
                return 0;
        sd_event_source_set_time_relative(streams->beat, BEAT_USEC);
        return sd_event_source_set_enabled(streams->beat, SD_EVENT_ONESHOT);
}

static uint32_t count_of(const struct fgd_streams *streams, const struct fgd_user *user)
{
        const struct fgd_stream *stream;
        uint32_t count = 0;
        TAILQ_FOREACH(stream, &streams->list, order)
                count += stream->who.user == user;
        return count;
}

int fgd_stream_open(struct fgd_manager *m, const struct fgd_principal *who, const struct fgd_events_wish *wish, const struct fgd_sink *sink,
                    struct fgd_stream **ret)
{
        struct fgd_streams *streams = m->streams;
        if (streams->count >= FGD_STREAMS_MAX || count_of(streams, who->user) >= FGD_STREAMS_USER)
                return -EBUSY;
        struct fgd_stream *stream = malloc(sizeof *stream);
        if (!stream)
                return -ENOMEM;
        *stream = (struct fgd_stream){.manager = m, .who = *who, .wish = *wish, .sink = *sink};
        if (wish->after < 0)
                stream->wish.after = fgd_store_last_event(m->store);
        int r = arm(m);
        if (r < 0) {
                free(stream);
                return r;
        }
        TAILQ_INSERT_TAIL(&streams->list, stream, order);
        streams->count++;
        /* What it starts from is said at once: the reader knows that he is heard. */
        fgd_text_addf(&stream->text, "retry: 2000\nid: %lld\ndata: {\"events\": [], \"next\": %lld}\n\n", (long long)stream->wish.after,
                      (long long)stream->wish.after);
        stream->is_late = true;
        *ret = stream;
        return 0;
}

long fgd_stream_take(struct fgd_stream *stream, char *ret, size_t size)
{
        if (!stream->manager)
                return -1;
        if (is_empty(stream) && stream->is_late)
                fill(stream);
        if (stream->text.failed) {
                leave(stream);
                return -1;
        }
        size_t left = stream->text.size - stream->taken, n = left < size ? left : size;
        if (n)
                memcpy(ret, stream->text.data + stream->taken, n);
        stream->taken += n;
        return (long)n;
}

void fgd_stream_close(struct fgd_stream *stream)
{
        if (!stream)
                return;
        if (stream->manager)
                leave(stream);
        fgd_text_clear(&stream->text);
        free(stream);
}
