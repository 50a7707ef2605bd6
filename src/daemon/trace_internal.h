/* SPDX-License-Identifier: Apache-2.0
 * trace.c (what is told), trace_pipe.c (to whom). */
#ifndef FGD_TRACE_INTERNAL_H
#define FGD_TRACE_INTERNAL_H

#include "daemon/text.h"
#include "daemon/trace.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#define FGD_SPAN_MAX PIPE_BUF /* bytes of a line: the kernel takes all of it or nothing */

struct fgd_trace {
        struct fgd_manager *manager;
        char url[1024], host[65];
        /* The helper, which posts what it is sent line by line; pid 0: none runs. */
        pid_t pid;
        int pidfd, input;
        sd_event_source *exited;
        uint64_t started_at;
        uint64_t dropped;
        bool is_told; /* that something was dropped */
};

/* One line, with its newline. */
void fgd_trace_send(struct fgd_trace *trace, const struct fgd_text *line);
void fgd_trace_close(struct fgd_trace *trace);

#endif
