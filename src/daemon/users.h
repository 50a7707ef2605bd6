/* SPDX-License-Identifier: Apache-2.0
 * Users, projects, memberships and quotas: each change is durable when it returns 0, and otherwise nothing has changed. */
#ifndef FGD_USERS_H
#define FGD_USERS_H

#include "daemon/problem.h"
#include "daemon/tenants.h"

struct fgd_user_change {
        bool has_uid, has_account, has_admin, has_disabled; /* what is left out stays */
        int64_t uid;
        char account[33];
        bool admin, disabled;
};
int fgd_user_create(struct fgd_manager *manager, const char *name, const struct fgd_user_change *change, struct fgd_problem *problem);
int fgd_user_alter(struct fgd_manager *manager, struct fgd_user *user, const struct fgd_user_change *change, struct fgd_problem *problem);
int fgd_user_delete(struct fgd_manager *manager, struct fgd_user *user, struct fgd_problem *problem);

/* lease: FGD_LEASE_DEFAULT, seconds, 0 for none. */
int fgd_project_create(struct fgd_manager *manager, const char *name, const char *description, int64_t lease, struct fgd_problem *problem);
int fgd_project_describe(struct fgd_manager *manager, struct fgd_project *project, const char *description, struct fgd_problem *problem);
/* seconds: FGD_LEASE_DEFAULT, 0 for none. */
int fgd_project_lease(struct fgd_manager *manager, struct fgd_project *project, int64_t seconds, struct fgd_problem *problem);
int fgd_project_delete(struct fgd_manager *manager, struct fgd_project *project, struct fgd_problem *problem);
/* FGD_ROLE_NONE: he leaves, with his quota there. */
int fgd_project_admit(struct fgd_manager *manager, struct fgd_project *project, struct fgd_user *user, enum fgd_role role,
                      struct fgd_problem *problem);

/* `project` NULL: the organisation's; `user` NULL: the project's. */
struct fgd_quota_change {
        struct fgd_project *project;
        struct fgd_user *user;
        bool has[FGD_QUOTA_KEYS];
        uint64_t limit[FGD_QUOTA_KEYS]; /* 0: none */
};
int fgd_quota_set(struct fgd_manager *manager, const struct fgd_quota_change *change, struct fgd_problem *problem);
/* What a quota is kept in; NULL: nothing was ever said or used there. */
const struct fgd_account *fgd_quota_account(const struct fgd_manager *manager, const struct fgd_project *project, const struct fgd_user *user);

#endif
