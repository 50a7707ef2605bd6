/* SPDX-License-Identifier: Apache-2.0
 * /v1/whoami and /v1/users. */
#include "daemon/api_internal.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/api_body.h"
#include "daemon/users.h"

#include <string.h>

#define UID_MAX_ASKED 4294967294ll

static void write_roles(const struct fgd_call *call, const struct fgd_user *user, const struct fgd_project *only, struct fgd_text *text)
{
        const struct fgd_member *member;
        bool first = true;
        fgd_text_name(text, "projects");
        fgd_text_add(text, "[");
        TAILQ_FOREACH(member, &user->members, of_user) {
                if (member->role == FGD_ROLE_NONE || (only && member->project != only))
                        continue;
                fgd_text_add(text, first ? "{" : ", {");
                first = false;
                fgd_text_field(text, "project", member->project->name);
                fgd_text_field(text, "role", fgd_role_name(member->role));
                fgd_text_add(text, "}");
        }
        fgd_text_add(text, "]");
}

/* A token bound to a project knows of no other. */
static void write_user(const struct fgd_call *call, const struct fgd_user *user, struct fgd_text *text)
{
        char created[32];
        fgd_text_add(text, "{");
        fgd_text_field(text, "name", user->name);
        if (user->uid != FGD_NO_UID)
                fgd_text_number(text, "uid", (uint64_t)user->uid);
        if (user->account[0])
                fgd_text_field(text, "account", user->account);
        fgd_text_bool(text, "admin", user->admin);
        fgd_text_bool(text, "disabled", user->disabled);
        fgd_text_field(text, "created", fgd_date_format(user->created, created));
        write_roles(call, user, call->who.bound, text);
        fgd_text_number(text, "tokens", user->tokens);
        fgd_text_number(text, "sets", user->owned);
        fgd_text_add(text, "}");
}

int fgd_handle_whoami(struct fgd_call *call)
{
        const struct fgd_principal *who = &call->who;
        const struct fgd_project *home = fgd_home_project(call->manager, who);
        struct fgd_text *text = &call->text;
        char expires[32];
        fgd_text_add(text, "{");
        fgd_text_field(text, "name", who->actor);
        fgd_text_bool(text, "operator", who->is_operator);
        fgd_text_bool(text, "admin", fgd_is_admin(who));
        fgd_text_field(text, "via", who->via);
        fgd_text_bool(text, "tenancy", fgd_tenants_on(call->manager));
        if (home)
                fgd_text_field(text, "project", home->name);
        if (home)
                fgd_text_field(text, "role", fgd_role_name(fgd_role_in(call->manager, who, home)));
        if (who->token) {
                fgd_text_field(text, "token", who->token->id);
                fgd_text_field(text, "token_role", fgd_role_name(who->cap));
                fgd_text_field(text, "expires", fgd_date_format(who->token->expires, expires));
        }
        if (who->user)
                write_roles(call, who->user, who->bound, text);
        fgd_text_add(text, "}\n");
        return 0;
}

/* Admins see all, others themselves: who else there is, is in the projects they share. */
static bool is_visible(const struct fgd_call *call, const struct fgd_user *user)
{
        return fgd_is_admin(&call->who) || user == call->who.user;
}

int fgd_handle_users(struct fgd_call *call)
{
        struct fgd_query query[] = {{"limit"}, {"after"}};
        struct fgd_page page;
        const struct fgd_user *user = NULL;
        int64_t last = 0;
        uint32_t count = 0;
        if (fgd_query_read(call, query, 2) < 0 || fgd_query_page(call, &query[0], &query[1], FGD_PAGE_MAX, &page) < 0)
                return -1;
        bool is_admin = fgd_is_admin(&call->who);
        fgd_text_add(&call->text, "{\"users\": [");
        user = is_admin ? TAILQ_FIRST(&call->manager->tenants->users) : call->who.user;
        for (; user && count < page.limit; user = is_admin ? TAILQ_NEXT(user, order) : NULL) {
                if (user->id <= page.after)
                        continue;
                fgd_text_add(&call->text, count++ ? ", " : "");
                write_user(call, user, &call->text);
                last = user->id;
        }
        fgd_page_end(&call->text, last, user != NULL);
        fgd_text_add(&call->text, "}\n");
        return 0;
}

static int find_user(struct fgd_call *call, const char *name, struct fgd_user **ret)
{
        *ret = fgd_user_find(call->manager, name);
        if (*ret && is_visible(call, *ret))
                return 0;
        return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no user \"%.80s\"; \"fastgpu user list\" shows whom you may see", name);
}

int fgd_handle_user(struct fgd_call *call)
{
        struct fgd_user *user;
        if (fgd_query_none(call) < 0 || find_user(call, call->argument[0], &user) < 0)
                return -1;
        write_user(call, user, &call->text);
        fgd_text_add(&call->text, "\n");
        return 0;
}

/* What useradd(8) allows by default; never root. */
static int read_account(json_t *body, struct fgd_user_change *ret, struct fgd_problem *problem)
{
        const char *account, *c;
        if (fgd_body_string(body, "account", &account, problem) < 0)
                return -1;
        ret->has_account = account != NULL;
        if (!account)
                return 0;
        for (c = account; (*c >= 'a' && *c <= 'z') || *c == '_' || (c > account && ((*c >= '0' && *c <= '9') || *c == '-')); c++)
                ;
        if (*c || strlen(account) >= sizeof ret->account || strcmp(account, "root") == 0)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"account\" must be the name of an account of this machine other than root: "
                                       "1 to 32 of a-z 0-9 _ -, not \"%.80s\"", account);
        strcpy(ret->account, account);
        return 0;
}

/* "uid": null takes it away. */
static int read_uid(json_t *body, struct fgd_user_change *ret, struct fgd_problem *problem)
{
        ret->has_uid = json_is_null(json_object_get(body, "uid"));
        ret->uid = FGD_NO_UID;
        return ret->has_uid ? 0 : fgd_body_number(body, "uid", 0, UID_MAX_ASKED, &ret->has_uid, &ret->uid, problem);
}

static int read_change(json_t *body, struct fgd_user_change *ret, struct fgd_problem *problem)
{
        if (read_uid(body, ret, problem) < 0 || read_account(body, ret, problem) < 0 ||
            fgd_body_bool(body, "admin", &ret->has_admin, &ret->admin, problem) < 0 ||
            fgd_body_bool(body, "disabled", &ret->has_disabled, &ret->disabled, problem) < 0)
                return -1;
        return 0;
}

static void write_made(struct fgd_call *call, const void *object)
{
        write_user(call, object, &call->text);
        fgd_text_add(&call->text, "\n");
}

int fgd_handle_user_create(struct fgd_call *call)
{
        static const char *const known[] = {"name", "uid", "account", "admin", "disabled", NULL};
        fgd_autojson json_t *body = NULL;
        struct fgd_user_change change = {0};
        char name[64];
        call->write = write_made;
        if (fgd_query_none(call) < 0 || fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            fgd_body_name(body, name, &call->problem) < 0)
                return -1;
        fgd_journal_target(call->manager, "%s", name);
        if (!name[0])
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"name\" is missing: what the user is to be called");
        return read_change(body, &change, &call->problem) < 0 ? -1 : fgd_user_create(call->manager, name, &change, &call->problem);
}

int fgd_handle_user_change(struct fgd_call *call)
{
        static const char *const known[] = {"uid", "account", "admin", "disabled", NULL};
        fgd_autojson json_t *body = NULL;
        struct fgd_user_change change = {0};
        struct fgd_user *user;
        if (fgd_query_none(call) < 0 || find_user(call, call->argument[0], &user) < 0 ||
            fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0)
                return -1;
        if (json_object_size(body) == 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "nothing to change: give uid, account, admin or disabled");
        if (read_change(body, &change, &call->problem) < 0 || fgd_user_alter(call->manager, user, &change, &call->problem) < 0)
                return -1;
        write_made(call, user);
        return 0;
}

int fgd_handle_user_delete(struct fgd_call *call)
{
        struct fgd_user *user;
        if (fgd_query_none(call) < 0 || find_user(call, call->argument[0], &user) < 0)
                return -1;
        return fgd_user_delete(call->manager, user, &call->problem);
}
