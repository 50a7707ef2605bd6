/* SPDX-License-Identifier: Apache-2.0
 * A helper of the NVIDIA driver's that goes on and on, a line for each thing it saw. One that ends is started again, later each time;
 * one that is silent hangs in the driver, and is replaced. */
#ifndef FGD_FEED_H
#define FGD_FEED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct fgd_manager;

#define FGD_FEED_LINE (1u << 17)

struct fgd_feed {
        struct fgd_manager *manager;
        const char *what;  /* "watchdog": whose it is, for the log */
        const char *mode;  /* the helper's argument: "--watch" */
        uint64_t interval; /* ms */
        void (*take)(void *user, const char *line); /* anything may be in it: drivers chatter */
        void *user;
        /* Its own. */
        pid_t pid; /* 0: no helper runs */
        int pidfd, output;
        sd_event_source *exited, *readable, *timer;
        uint32_t failures; /* ends of the helper since it last said something */
        uint64_t started_at, heard_at;
        char *line;
        size_t size;
};

/* Starts; the first fields are filled. -ENOMEM. A helper that does not start is tried again. */
int fgd_feed_start(struct fgd_feed *feed);
void fgd_feed_stop(struct fgd_feed *feed); /* one that was never started is fine */

#endif
