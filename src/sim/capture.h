/* SPDX-License-Identifier: Apache-2.0
 * Captures: streams that write down what they are asked for instead of doing it. All with the lock, except where
 * noted. */
#ifndef FGSIM_CAPTURE_H
#define FGSIM_CAPTURE_H

#include "sim/exec_task.h"

struct fgsim_capture {
        uint64_t number;
        CUstreamCaptureMode mode;
        pthread_t thread;
        bool is_invalid, into_given_graph;
        struct fgsim_stream *origin, *streams; /* streams: all of them, by `fellow` */
        struct fgsim_graph *graph;
        struct fgsim_capture *next;
};

/* The stream's capture takes the task, or must not: true, and *ret. False: the stream does not capture. */
bool fgsim_capture_task(struct fgsim_stream *stream, const struct fgsim_task *task, CUresult *ret);
/* For calls that ask for or wait for the stream itself: SUCCESS while that is legal. */
CUresult fgsim_capture_forbids(struct fgsim_stream *stream);
/* Graphs that nobody will have are handed out, to be freed without the lock: user objects call the program. */
struct fgsim_graph *fgsim_capture_stream_gone(struct fgsim_stream *stream);
/* Without the lock. True: a capture had to do with it, and *ret. */
bool fgsim_capture_event_record(CUstream stream, CUevent event, CUresult *ret);
bool fgsim_capture_event_wait(CUstream stream, CUevent event, CUresult *ret);

CUresult fgsim_capture_begin(struct fgsim_stream *stream, CUstreamCaptureMode mode, struct fgsim_graph *graph);
CUresult fgsim_capture_end(struct fgsim_stream *stream, struct fgsim_graph **ret, struct fgsim_graph **ret_garbage);
/* Adds or replaces what the stream's next captured operation depends on. */
bool fgsim_tips_set(struct fgsim_stream *stream, struct fgsim_node *const *nodes, size_t count);
bool fgsim_tips_add(struct fgsim_stream *stream, struct fgsim_node *const *nodes, size_t count);

#endif
