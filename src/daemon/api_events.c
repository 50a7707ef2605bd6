/* SPDX-License-Identifier: Apache-2.0
 * /v1/events: what happened after a number, or what happens next. */
#include "daemon/api_internal.h"

#include "base/size.h"
#include "daemon/store_sync.h"

#include <errno.h>

static int wait_for_more(struct fgd_call *call, const struct fgd_events_wish *wish, uint64_t seconds)
{
        int r = fgd_events_wait(call->manager, &call->who, wish, (unsigned)seconds, call->request->later);
        if (r == 0)
                return 1;
        call->problem.retry_after_ms = 1000;
        if (r == -EBUSY)
                return fgd_problem_set(&call->problem, FGD_RATE_LIMITED, "too many requests wait for events: at most %u of one user, %u together; "
                                       "ask without \"wait\"", FGD_WAITERS_USER, FGD_WAITERS_MAX);
        return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
}

/* Where a reader was before he was cut off: of a number that is none of ours he is not heard to have said anything. */
static void resume_after(const struct fgd_call *call, struct fgd_events_wish *wish)
{
        struct fg_error ignored = {0};
        uint64_t seq;
        const char *id = call->request->last_event_id;
        if (id && fg_count_parse("Last-Event-ID", id, 0, INT64_MAX, &seq, &ignored) == 0)
                wish->after = (int64_t)seq;
}

static int stream(struct fgd_call *call, struct fgd_events_wish *wish, bool is_after_given)
{
        if (!is_after_given)
                wish->after = -1;
        resume_after(call, wish);
        int r = fgd_stream_open(call->manager, &call->who, wish, call->request->sink, call->request->stream);
        if (r == 0)
                return 0;
        call->problem.retry_after_ms = 5000;
        if (r == -EBUSY)
                return fgd_problem_set(&call->problem, FGD_RATE_LIMITED, "too many streams of events: at most %u of one user, %u together; close one, or "
                                       "ask with \"wait\"", FGD_STREAMS_USER, FGD_STREAMS_MAX);
        return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
}

int fgd_handle_events(struct fgd_call *call)
{
        struct fgd_query q[] = {{"after"}, {"limit"}, {"wait"}, {"project"}};
        struct fgd_project *only = NULL;
        struct fgd_page page;
        uint64_t seconds;
        bool any;
        int64_t next;
        if (fgd_query_read(call, q, sizeof q / sizeof *q) < 0 || fgd_query_page(call, &q[1], &q[0], 100, &page) < 0 ||
            fgd_query_number(call, &q[2], 0, FGD_EVENTS_WAIT_MAX, 0, &seconds) < 0 ||
            (q[3].value[0] && fgd_call_project(call, q[3].value, &only) < 0))
                return -1;
        struct fgd_events_wish wish = {.after = page.after, .limit = page.limit, .only = only};
        fgd_journal_flush(call->manager);
        if (call->request->sink)
                return stream(call, &wish, q[0].is_given);
        /* What he has seen elsewhere he finds here as well. */
        if (call->request->later && !fgd_store_is_settled(call->manager->store) &&
            fgd_events_wait(call->manager, &call->who, &wish, (unsigned)seconds, call->request->later) == 0)
                return 1;
        if (fgd_events_write(call->manager, &call->who, &wish, &call->text, &any, &next) < 0)
                return fgd_problem_set(&call->problem, FGD_STORAGE, "the events cannot be read");
        if (any || !seconds || !call->request->later)
                return 0;
        fgd_text_clear(&call->text);
        wish.after = next;
        return wait_for_more(call, &wish, seconds);
}
