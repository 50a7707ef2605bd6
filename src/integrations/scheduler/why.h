/* SPDX-License-Identifier: Apache-2.0
 * Between why.c and why_placed.c. */
#ifndef FGI_SCHEDULER_WHY_H
#define FGI_SCHEDULER_WHY_H

#include "integrations/scheduler/scheduler.h"

struct fgi_sched_asking {
        struct fgi_sched_view *view;
        const json_t *pod;
        const char *said; /* by kube-scheduler; "" */
        struct fgi_sched_wants wants;
        char name[600];
};

/* {"name", "state", "reason", "text", "remedy"?} of a pod that is pending; remedy may be NULL or "". */
__attribute__((format(printf, 4, 5))) json_t *fgi_sched_answer(const struct fgi_sched_asking *a, const char *reason, const char *remedy, const char *format, ...);

/* --- why_placed.c --- */

/* The newest warning that is one of those; NULL: there is none. */
const json_t *fgi_sched_newest(const json_t *events, bool (*is_it)(const json_t *event));
/* Of one that has a node and does not run there yet. */
json_t *fgi_sched_why_placed(const struct fgi_sched_asking *a, const char *node, const json_t *events);
/* Of one that runs, or is over. */
json_t *fgi_sched_why_over(const struct fgi_sched_asking *a, const char *phase, const char *node);

#endif
