/* SPDX-License-Identifier: Apache-2.0
 * What happened, for people and programs: read by sequence number, waited for. */
#ifndef FGD_EVENTS_H
#define FGD_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct fgd_manager;
struct fgd_project;
struct fgd_principal;
struct fgd_later;
struct fgd_text;

#define FGD_EVENTS_WAIT_MAX 60u /* s */
#define FGD_WAITERS_MAX     2048u
#define FGD_WAITERS_USER    32u /* of one user */

struct fgd_event {
        TAILQ_ENTRY(fgd_event) order;
        int64_t time, project;
        char project_name[64], actor[80], kind[24], target[80], text[320];
};
TAILQ_HEAD(fgd_event_list, fgd_event);

/* Of the change that is about to be written: there when it is, and only then. `project` NULL: of the organisation, for admins. */
__attribute__((format(printf, 5, 6))) void fgd_event_stage(struct fgd_manager *manager, const struct fgd_project *project,
                                                           const char *kind, const char *target, const char *format, ...);
/* Of something that is not written to the store itself: there within a second. */
__attribute__((format(printf, 5, 6))) void fgd_event_note(struct fgd_manager *manager, const struct fgd_project *project,
                                                          const char *kind, const char *target, const char *format, ...);

/* What is asked for. */
struct fgd_events_wish {
        int64_t after;
        uint32_t limit;
        const struct fgd_project *only; /* NULL: whatever he may see */
};
/* Writes {"events": […], "next": N}; *ret_any: there were some, or there are more rows to look at; *ret_next: N. */
int fgd_events_write(struct fgd_manager *manager, const struct fgd_principal *who, const struct fgd_events_wish *wish, struct fgd_text *text,
                     bool *ret_any, int64_t *ret_next);

/* --- events_stream.c: a reader to whom everything is told as it comes, over one answer that does not end --- */

#define FGD_STREAMS_MAX  256u
#define FGD_STREAMS_USER 16u /* of one user, or of the operator */

struct fgd_stream;
/* Called when there may be something to take, from the event loop. */
struct fgd_sink {
        void (*ready)(void *user);
        void *user;
};
/* From the event after wish->after; negative: from now. -EBUSY: too many. */
int fgd_stream_open(struct fgd_manager *manager, const struct fgd_principal *who, const struct fgd_events_wish *wish, const struct fgd_sink *sink,
                    struct fgd_stream **ret);
/* Bytes of text/event-stream, at most `size`; 0: nothing now, sink->ready() will be called; negative: it has ended. */
long fgd_stream_take(struct fgd_stream *stream, char *ret, size_t size);
void fgd_stream_close(struct fgd_stream *stream); /* NULL is fine */
/* What they may see has changed, or the daemon ends: all streams end, and who reads one asks again as what he is then. */
void fgd_streams_end(struct fgd_manager *manager);
/* Something was written. */
void fgd_streams_look(struct fgd_manager *manager);
bool fgd_streams_any(const struct fgd_manager *manager);
int fgd_streams_new(struct fgd_manager *manager);
void fgd_streams_free(struct fgd_manager *manager);

struct fgd_events;
int fgd_events_new(struct fgd_manager *manager);
void fgd_events_free(struct fgd_manager *manager);
/* Answers when there is something, or after `seconds`; 0: when what is written now is on the disk, with what there is. -EBUSY: too many wait. */
int fgd_events_wait(struct fgd_manager *manager, const struct fgd_principal *who, const struct fgd_events_wish *wish, unsigned seconds,
                    const struct fgd_later *later);
/* Something was written: looks again, soon. */
void fgd_events_wake(struct fgd_manager *manager);
/* Answers everybody who waits: what they may see has changed, or the daemon ends. */
void fgd_events_release(struct fgd_manager *manager);

#endif
