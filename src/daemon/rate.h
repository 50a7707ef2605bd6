/* SPDX-License-Identifier: Apache-2.0
 * How many requests a second: of each user, and with bad credentials from each source. */
#ifndef FGD_RATE_H
#define FGD_RATE_H

#include "daemon/identity.h"

#include <stddef.h>

struct fgd_rate;

int fgd_rate_new(struct fgd_manager *manager, struct fg_error *err);
void fgd_rate_free(struct fgd_manager *manager);

/* One more request of this caller. The operator is never limited. */
int fgd_rate_request(struct fgd_manager *manager, const struct fgd_principal *who, struct fgd_problem *problem);
/* One more refused identity from there; `problem` holds the refusal and becomes "rate-limited" beyond the limit. Returns -1. */
int fgd_rate_failure(struct fgd_manager *manager, const char *source, struct fgd_problem *problem);

/* That request of the user with this id (he may have deleted himself) took so long. One that takes more than its part of a second counts as several, so that no user has more than a
 * fifth of the daemon's time for long, whatever he asks for. */
void fgd_rate_spent(struct fgd_manager *manager, int64_t user, uint64_t ns);

/* A bucket of `burst` requests that fills at `rate` a second: whether one may pass at `now` (ns); if not, after how many ms.
 * `*left` is in thousandths; *at 0: it is full. */
bool fgd_bucket_take(int64_t *left, uint64_t *at, uint64_t rate, uint64_t burst, uint64_t now, unsigned *ret_after_ms);
/* Takes for one that took `ns` what it costs beyond the one that was taken before; the debt is bounded. */
void fgd_bucket_charge(int64_t *left, uint64_t rate, uint64_t burst, uint64_t ns);

#endif
