/* SPDX-License-Identifier: Apache-2.0
 * What the watchdog's files share: watchdog.c (when it runs, what it says), watchdog_judge.c (what a line means). */
#ifndef FGD_WATCHDOG_INTERNAL_H
#define FGD_WATCHDOG_INTERNAL_H

#include "daemon/feed.h"
#include "daemon/model.h"
#include "daemon/watchdog.h"

#include <jansson.h>

#define FGD_WATCH_PROCESSES 1024u
#define FGD_WATCH_FINDINGS  64u
#define FGD_WATCH_NAME      64u
#define FGD_WATCH_FORGET    (10 * FG_NSEC_PER_SEC) /* findings that were not seen again */

struct fgd_watch_process {
        uint32_t pid; /* in the driver's PID namespace, which must be the daemon's */
        int64_t memory; /* bytes; -1: the driver does not tell */
};

/* What the driver last said of one device. */
struct fgd_look {
        uint64_t seen_at; /* 0: never */
        uint64_t used;
        int utilization;  /* percent; -1: not known */
        char error[FGD_WATCH_NAME];
        uint32_t processes;
        struct fgd_watch_process process[FGD_WATCH_PROCESSES];
};

enum fgd_finding_kind { FGD_OVER_QUOTA, FGD_STRANGER };

/* One per process and device; told once it was seen in two looks running. */
struct fgd_finding {
        enum fgd_finding_kind kind;
        uint32_t pid, device;
        uint64_t start_time;
        uint64_t memory; /* bytes, of the process or, over quota, of its vGPU */
        uint64_t seen_at;
        uint32_t looks;
        bool killed;
        char program[FGD_WATCH_NAME], cgroup[2 * FGD_WATCH_NAME], vgpu[FG_NAME_MAX];
};

struct fgd_watchdog {
        struct fgd_manager *manager;
        struct fgd_feed feed;
        struct fgd_look *look[FGD_DEVICES_MAX]; /* by id; NULL: not watched */
        struct fgd_finding finding[FGD_WATCH_FINDINGS];
        uint32_t findings;
};

/* One line of the helper. Anything may be in it. */
void fgd_watchdog_take(struct fgd_watchdog *watchdog, const char *line);
bool fgd_watchdog_is_stale(const struct fgd_watchdog *watchdog, const struct fgd_look *look);

#endif
