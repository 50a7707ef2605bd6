/* SPDX-License-Identifier: Apache-2.0
 * Reading what a job has written, and waiting for more of it. */
#ifndef FGD_JOB_LOG_H
#define FGD_JOB_LOG_H

#include "daemon/api.h"
#include "daemon/jobs.h"
#include "daemon/text.h"

#define FGD_LOG_WAIT_MAX  60u  /* s */
#define FGD_LOG_PIECE_MAX (256u << 10)
#define FGD_LOG_WAITERS   2048u
#define FGD_LOG_WAITERS_USER 64u

/* Of which attempt, from which byte, and how much at most. `user`: who waits; 0: the operator. */
struct fgd_log_wish {
        int64_t job, user;
        uint32_t index, attempt, piece; /* piece: bytes */
        uint64_t from;
        char folder[PATH_MAX];
};

int fgd_log_new(struct fgd_manager *manager);
void fgd_log_free(struct fgd_manager *manager);
/* Everybody who waits is answered with what there is. */
void fgd_log_release(struct fgd_manager *manager);
/* The job, or its element, has ended: who waits for its output is answered. */
void fgd_log_ended(struct fgd_manager *manager, const struct fgd_job *job);

/* {"from", "next", "size", "end", "state", "data"}: *ret_any: there was something, or there never will be. */
int fgd_log_write(struct fgd_manager *manager, const struct fgd_log_wish *wish, struct fgd_text *text, bool *ret_any);
/* -EBUSY: too many wait. */
int fgd_log_wait(struct fgd_manager *manager, const struct fgd_log_wish *wish, unsigned seconds, const struct fgd_later *later);

#endif
