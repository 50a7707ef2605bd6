/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/identity.h"

#include "daemon/api.h"
#include "daemon/manager.h"
#include "daemon/rate.h"
#include "daemon/tokens.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void set_user(struct fgd_principal *ret, struct fgd_user *user)
{
        ret->known = true;
        ret->user = user;
        snprintf(ret->actor, sizeof ret->actor, "%s", user->name);
}

static void set_operator(struct fgd_principal *ret)
{
        ret->known = ret->is_operator = true;
        snprintf(ret->actor, sizeof ret->actor, "operator");
}

static int refuse_disabled(const struct fgd_user *user, struct fgd_problem *problem)
{
        return fgd_problem_set(problem, FGD_FORBIDDEN, "the user \"%s\" is disabled; an admin can enable him again", user->name);
}

static int by_token(struct fgd_manager *m, const struct fgd_request *request, struct fgd_principal *ret, struct fgd_problem *problem)
{
        const struct fgd_token *token;
        if (fgd_token_verify(m, request->authorization, time(NULL), &token, problem) < 0)
                return fgd_rate_failure(m, request->from, problem);
        snprintf(ret->via, sizeof ret->via, "token %s", token->id);
        if (token->user->disabled) {
                snprintf(ret->actor, sizeof ret->actor, "%s", token->user->name);
                return refuse_disabled(token->user, problem);
        }
        set_user(ret, token->user);
        ret->token = token;
        ret->bound = token->project;
        ret->cap = token->cap;
        return 0;
}

/* Before there are users the socket's mode decides, as for a daemon of one person. */
static int by_socket(struct fgd_manager *m, const struct fgd_request *request, struct fgd_principal *ret, struct fgd_problem *problem)
{
        struct ucred who = {.uid = (uid_t)-1};
        socklen_t size = sizeof who;
        bool is_known = request->peer >= 0 && getsockopt(request->peer, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid != (uid_t)-1;
        if (is_known) {
                snprintf(ret->via, sizeof ret->via, "uid %u", who.uid);
                snprintf(ret->actor, sizeof ret->actor, "uid %u", who.uid);
        }
        if (!fgd_tenants_on(m) || (is_known && (who.uid == 0 || who.uid == geteuid()))) {
                set_operator(ret);
                return 0;
        }
        struct fgd_user *user = is_known ? fgd_user_of_uid(m, who.uid) : NULL;
        if (user && user->disabled)
                return refuse_disabled(user, problem);
        if (user) {
                set_user(ret, user);
                return 0;
        }
        if (is_known)
                fgd_problem_set(problem, FGD_FORBIDDEN, "no user has the uid %u; an admin lets it in with: fastgpu user create NAME --uid %u",
                                who.uid, who.uid);
        else
                fgd_problem_set(problem, FGD_UNAUTHORIZED, "it cannot be told who is calling; send a token");
        return fgd_rate_failure(m, ret->via, problem);
}

int fgd_identify(struct fgd_manager *m, const struct fgd_request *request, struct fgd_principal *ret, struct fgd_problem *problem)
{
        *ret = (struct fgd_principal){.cap = FGD_ROLE_ADMIN, .actor = "anonymous", .via = "network"};
        if (request->authorization)
                return by_token(m, request, ret, problem);
        if (!request->remote)
                return by_socket(m, request, ret, problem);
        fgd_problem_set(problem, FGD_UNAUTHORIZED, "a request over the network needs a token: Authorization: Bearer fgt_ID_SECRET; "
                        "\"fastgpu token create\" makes one");
        return fgd_rate_failure(m, request->from, problem);
}

/* What stands in front of a number, so that a user's is no address. */
enum { KEY_OPERATOR = 1, KEY_USER, KEY_UID, KEY_PLACE };
#define KEY(kind, number) ((uint64_t)(kind) << 60 | ((uint64_t)(number) & (UINT64_MAX >> 4)))

bool fgd_identity_is_user(uint64_t key)
{
        return key >> 60 == KEY_USER;
}

uint64_t fgd_identity_key(struct fgd_manager *m, const char *authorization, uid_t uid, uint64_t place, bool *ret_is_admin)
{
        struct fgd_problem ignored;
        const struct fgd_token *token;
        bool is_local = uid != (uid_t)-1;
        uint64_t elsewhere = is_local ? KEY(KEY_UID, uid) : KEY(KEY_PLACE, place);
        *ret_is_admin = false;
        if (authorization) {
                if (fgd_token_verify(m, authorization, time(NULL), &token, &ignored) < 0)
                        return elsewhere;
                *ret_is_admin = token->user->admin && token->cap == FGD_ROLE_ADMIN && !token->project;
                return KEY(KEY_USER, token->user->id);
        }
        if (is_local && (!fgd_tenants_on(m) || uid == 0 || uid == geteuid())) {
                *ret_is_admin = true;
                return KEY(KEY_OPERATOR, 0);
        }
        const struct fgd_user *user = is_local ? fgd_user_of_uid(m, uid) : NULL;
        *ret_is_admin = user && user->admin;
        return user ? KEY(KEY_USER, user->id) : elsewhere;
}

enum fgd_role fgd_role_in(const struct fgd_manager *m, const struct fgd_principal *who, const struct fgd_project *project)
{
        enum fgd_role role = FGD_ROLE_NONE;
        const struct fgd_member *member;
        if (!who->known || (who->bound && who->bound != project))
                return FGD_ROLE_NONE;
        if (who->is_operator || who->user->admin)
                role = FGD_ROLE_ADMIN;
        else if ((member = fgd_member_find(m, who->user, project)))
                role = member->role;
        return role < who->cap ? role : who->cap;
}

bool fgd_is_admin(const struct fgd_principal *who)
{
        return who->known && (who->is_operator || who->user->admin) && who->cap == FGD_ROLE_ADMIN && !who->bound;
}

struct fgd_project *fgd_home_project(const struct fgd_manager *m, const struct fgd_principal *who)
{
        const struct fgd_member *member;
        if (who->bound)
                return who->bound;
        if (who->user)
                TAILQ_FOREACH(member, &who->user->members, of_user)
                        if (member->role != FGD_ROLE_NONE)
                                return member->project;
        return who->is_operator || (who->user && who->user->admin) ? m->tenants->standard : NULL;
}
