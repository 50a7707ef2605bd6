/* SPDX-License-Identifier: Apache-2.0
 * Refusals as the API tells them (application/problem+json); docs/api.md lists the types. */
#ifndef FGD_PROBLEM_H
#define FGD_PROBLEM_H

#include "base/error.h"
#include "daemon/text.h"

#include <stdbool.h>
#include <stdint.h>

enum fgd_problem_type {
        FGD_BAD_REQUEST,
        FGD_NOT_FOUND,
        FGD_METHOD,
        FGD_EXISTS,
        FGD_IN_USE,
        FGD_NO_CAPACITY,
        FGD_DEVICE_LOST,
        FGD_QUARANTINED,
        FGD_TOO_LARGE,
        FGD_STORAGE,
        FGD_INTERNAL,
        FGD_BUSY,
        FGD_UNAUTHORIZED,
        FGD_FORBIDDEN,
        FGD_QUOTA,
        FGD_NO_ROOM,
        FGD_RATE_LIMITED,
        FGD_MISMATCH,
        FGD_ENDED,
        FGD_BUDGET,
        FGD_PROBLEM_TYPES, /* how many */
};

#define FGD_PROBLEM_PIDS 64u

struct fgd_problem {
        enum fgd_problem_type type;
        char detail[FG_ERROR_MAX];
        /* Only what belongs to the type is written. */
        uint64_t used, available, limit, wanted;
        const char *quota_scope, *quota_key; /* static */
        uint32_t available_share, pid_count;
        unsigned retry_after_ms;
        bool is_crowded; /* of no-capacity: there is room, but for slowdown-limit */
        uint32_t pids[FGD_PROBLEM_PIDS];
};

/* Returns -1, so that refusing is one line. */
__attribute__((format(printf, 3, 4), cold)) int fgd_problem_set(struct fgd_problem *problem, enum fgd_problem_type type,
                                                                const char *format, ...);
/* A refusal from an error of a lower layer. */
int fgd_problem_from(struct fgd_problem *problem, enum fgd_problem_type type, const struct fg_error *err);
const char *fgd_problem_type_name(const struct fgd_problem *problem);
unsigned fgd_problem_status(const struct fgd_problem *problem);
void fgd_problem_write(const struct fgd_problem *problem, struct fgd_text *text);

#endif
