/* SPDX-License-Identifier: Apache-2.0
 * Whose request it is: by its token, else by the socket's credentials. A bad token is refused and never falls back. */
#ifndef FGD_IDENTITY_H
#define FGD_IDENTITY_H

#include "daemon/problem.h"
#include "daemon/tenants.h"

#include <sys/types.h>

struct fgd_request;

struct fgd_principal {
        bool known;    /* false: only what anybody may see */
        bool is_operator;
        struct fgd_user *user;         /* NULL: the operator, or nobody */
        const struct fgd_token *token; /* NULL: local */
        struct fgd_project *bound;     /* the token's project; NULL: any */
        enum fgd_role cap;             /* the token's; FGD_ROLE_ADMIN: none */
        char actor[80];                /* a user's name, "operator", "uid 1000" or "anonymous" */
        char via[40];                  /* "token ID", "uid 1000" or "network" */
};

/* Fills `ret` as far as it goes also when it refuses, so that the refusal can be audited. */
int fgd_identify(struct fgd_manager *manager, const struct fgd_request *request, struct fgd_principal *ret, struct fgd_problem *problem);

/* Who is served in whose turn (fair.h): a user by whatever token, the operator, else where he calls from: `place`, which is not 0. Whether it
 * is an admin, too. No more than a look: nothing is written down, and nobody is refused. */
uint64_t fgd_identity_key(struct fgd_manager *manager, const char *authorization, uid_t uid, uint64_t place, bool *ret_is_admin);

/* That key is a user's. */
bool fgd_identity_is_user(uint64_t key);

/* The role in a project: the user's at this moment, at most the token's. NONE: it does not exist for him. */
enum fgd_role fgd_role_in(const struct fgd_manager *manager, const struct fgd_principal *who, const struct fgd_project *project);
/* May do everything, everywhere. */
bool fgd_is_admin(const struct fgd_principal *who);
/* Where he works unless he says otherwise: NULL: nowhere. */
struct fgd_project *fgd_home_project(const struct fgd_manager *manager, const struct fgd_principal *who);

#endif
