/* SPDX-License-Identifier: Apache-2.0
 * /v1/quotas. */
#include "daemon/api_internal.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/api_body.h"
#include "daemon/quota.h"
#include "daemon/users.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_MAX  (1ll << 53) /* what any reader of JSON can hold */
#define WEIGHT_MAX 1000000

static void write_amounts(const char *name, const uint64_t *value, bool with_zero, struct fgd_text *text)
{
        fgd_text_name(text, name);
        fgd_text_add(text, "{");
        for (int i = 0; i < FGD_QUOTA_KEYS; i++)
                if (value[i] || (with_zero && i != FGD_QUOTA_WEIGHT))
                        fgd_text_number(text, fgd_quota_names[i], value[i]);
        fgd_text_add(text, "}");
}

static void write_quota(const struct fgd_call *call, const struct fgd_project *project, const struct fgd_user *user, struct fgd_text *text)
{
        static const struct fgd_account nothing;
        const struct fgd_account *account = fgd_quota_account(call->manager, project, user);
        fgd_text_add(text, "{");
        fgd_text_field(text, "scope", !project ? "organisation" : user ? "user" : "project");
        if (project)
                fgd_text_field(text, "project", project->name);
        if (user)
                fgd_text_field(text, "user", user->name);
        write_amounts("limits", account ? account->limit : nothing.limit, false, text);
        write_amounts("used", account ? account->used : nothing.used, true, text);
        fgd_text_add(text, "}");
}

/* The project's, and those of its members that have one or use something: what a person asks for at once. */
static void write_members(const struct fgd_call *call, const struct fgd_project *project, struct fgd_text *text)
{
        static const struct fgd_account nothing;
        const struct fgd_member *member;
        uint32_t count = 0;
        TAILQ_FOREACH(member, &project->members, of_project) {
                if (memcmp(&member->account, &nothing, sizeof nothing) == 0)
                        continue;
                if (++count > FGD_PAGE_MAX)
                        return;
                fgd_text_add(text, ", ");
                write_quota(call, project, member->user, text);
        }
}

static int no_user(struct fgd_call *call, const char *name)
{
        return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no user \"%.80s\" in this project", name);
}

static int find_user(struct fgd_call *call, const char *name, struct fgd_user **ret)
{
        *ret = name && *name ? fgd_user_find(call->manager, name) : NULL;
        return *ret || !name || !*name ? 0 : no_user(call, name);
}

/* Who only reads does not learn whom there is elsewhere. */
static int check_member(struct fgd_call *call, const struct fgd_user *user, const struct fgd_project *project)
{
        return fgd_member_find(call->manager, user, project) || fgd_is_admin(&call->who) ? 0 : no_user(call, user->name);
}

static int read_organisation(struct fgd_call *call)
{
        if (!fgd_is_admin(&call->who))
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "only an admin sees the organisation's quota");
        call->is_checked = true;
        fgd_text_add(&call->text, "{\"quotas\": [");
        write_quota(call, NULL, NULL, &call->text);
        fgd_text_add(&call->text, "]}\n");
        return 0;
}

int fgd_handle_quotas(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}, {"user"}, {"scope"}};
        struct fgd_project *project;
        struct fgd_user *user;
        if (fgd_query_read(call, query, 3) < 0)
                return -1;
        if (strcmp(query[2].value, "organisation") == 0)
                return read_organisation(call);
        if (query[2].is_given && strcmp(query[2].value, "project") != 0 && strcmp(query[2].value, "user") != 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"scope\" is organisation, project or user, not \"%.40s\"", query[2].value);
        if (fgd_call_project(call, query[0].value, &project) < 0 || find_user(call, query[1].value, &user) < 0 ||
            (user && check_member(call, user, project) < 0))
                return -1;
        fgd_text_add(&call->text, "{\"quotas\": [");
        write_quota(call, project, user, &call->text);
        if (!user)
                write_members(call, project, &call->text);
        fgd_text_add(&call->text, "]}\n");
        return 0;
}

/* A number; memory also as "10G"; null or 0: none. */
static int read_limit(json_t *body, enum fgd_quota_key key, struct fgd_quota_change *ret, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        const char *name = fgd_quota_names[key];
        json_t *value = json_object_get(body, name);
        int64_t number;
        ret->has[key] = value != NULL;
        if (!value || json_is_null(value))
                return 0;
        if (key == FGD_QUOTA_MEMORY && json_is_string(value)) {
                if (fg_size_parse(json_string_value(value), 0, &ret->limit[key], &err) < 0)
                        return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"memory\": %s", err.text);
                return 0;
        }
        int r = fgd_body_number(body, name, 0, key == FGD_QUOTA_WEIGHT ? WEIGHT_MAX : LIMIT_MAX, &ret->has[key], &number, problem);
        ret->limit[key] = (uint64_t)number;
        return r;
}

/* The organisation's and a project's are the admins' to say, a member's the managers'. */
static int read_scope(struct fgd_call *call, json_t *body, struct fgd_quota_change *ret)
{
        const char *scope, *project, *user;
        if (fgd_body_word(body, "scope", &scope, &call->problem) < 0 || fgd_body_word(body, "project", &project, &call->problem) < 0 ||
            fgd_body_word(body, "user", &user, &call->problem) < 0)
                return -1;
        bool of_all = scope && strcmp(scope, "organisation") == 0, of_user = scope && strcmp(scope, "user") == 0;
        if (!scope || (!of_all && !of_user && strcmp(scope, "project") != 0))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"scope\" must be \"organisation\", \"project\" or \"user\"%s%.40s",
                                       scope ? ", not " : "", scope ? scope : "");
        if ((of_all && project) || of_user != (user != NULL))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"project\" belongs to the scopes project and user, \"user\" to the scope user");
        fgd_journal_target(call->manager, "%s %s%s%s", scope, project ? project : "", user ? " " : "", user ? user : "");
        if (!of_all && (fgd_call_project(call, project, &ret->project) < 0 || find_user(call, user, &ret->user) < 0))
                return -1;
        if (!of_user && !fgd_is_admin(&call->who))
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "only an admin sets the quota of %s; a manager sets those of users in it",
                                       of_all ? "the organisation" : "a project");
        call->is_checked = true;
        return 0;
}

int fgd_handle_quota_put(struct fgd_call *call)
{
        static const char *const known[] = {"scope", "project", "user", "vgpus", "memory", "share", "jobs", "queued", "weight", NULL};
        fgd_autojson json_t *body = NULL;
        struct fgd_quota_change change = {0};
        bool any = false;
        if (fgd_query_none(call) < 0 || fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            read_scope(call, body, &change) < 0)
                return -1;
        for (int i = 0; i < FGD_QUOTA_KEYS; i++) {
                if (read_limit(body, (enum fgd_quota_key)i, &change, &call->problem) < 0)
                        return -1;
                any = any || change.has[i];
        }
        if (change.has[FGD_QUOTA_WEIGHT] && (change.user || !change.project))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"weight\" is a project's: give the scope \"project\"");
        if (!any)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "nothing to set: give vgpus, memory, share, jobs, queued or weight; 0 takes a limit away");
        if (fgd_quota_set(call->manager, &change, &call->problem) < 0)
                return -1;
        write_quota(call, change.project, change.user, &call->text);
        fgd_text_add(&call->text, "\n");
        return 0;
}
