/* SPDX-License-Identifier: Apache-2.0
 * How much a project, a user in it and the organisation may have. Use is kept in counters; nothing is summed up to check. */
#ifndef FGD_QUOTA_H
#define FGD_QUOTA_H

#include "daemon/model.h"
#include "daemon/problem.h"
#include "daemon/tenants.h"

/* What a change adds (or, negative, gives back), by enum fgd_quota_key. */
struct fgd_demand {
        int64_t more[FGD_QUOTA_KEYS];
};

extern const char *const fgd_quota_names[FGD_QUOTA_KEYS];

/* Whether it fits: what grows must stay within every limit, what shrinks always may. `user` NULL: the operator's. */
int fgd_quota_check(const struct fgd_manager *manager, struct fgd_project *project, struct fgd_user *user,
                    const struct fgd_demand *demand, struct fgd_problem *problem);
/* Whether it could ever fit, were nothing else used. */
int fgd_quota_possible(const struct fgd_manager *manager, struct fgd_project *project, struct fgd_user *user,
                       const struct fgd_demand *demand, struct fgd_problem *problem);
/* Books it. For a user's there must be a member record (fgd_member_get()). */
void fgd_quota_book(struct fgd_manager *manager, struct fgd_project *project, struct fgd_user *user, const struct fgd_demand *demand);

/* What a set takes, as it is now. Rows that make no sense count as vGPUs only. */
void fgd_quota_of_set(const struct fgd_set *set, struct fgd_demand *ret);
static inline void fgd_quota_negate(struct fgd_demand *demand)
{
        for (int i = 0; i < FGD_QUOTA_KEYS; i++)
                demand->more[i] = -demand->more[i];
}

#endif
