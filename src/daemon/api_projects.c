/* SPDX-License-Identifier: Apache-2.0
 * /v1/projects. */
#include "daemon/api_internal.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/api_body.h"
#include "daemon/lease.h"
#include "daemon/users.h"

#include <stdio.h>
#include <string.h>

static void write_project(const struct fgd_call *call, const struct fgd_project *project, struct fgd_text *text)
{
        char created[32];
        fgd_text_add(text, "{");
        fgd_text_field(text, "name", project->name);
        fgd_text_field(text, "description", project->description);
        fgd_text_field(text, "created", fgd_date_format(project->created, created));
        fgd_text_field(text, "role", fgd_role_name(fgd_role_in(call->manager, &call->who, project)));
        fgd_text_number(text, "sets", project->sets);
        fgd_text_number(text, "members", project->member_count);
        fgd_text_number(text, "idle_lease", project->lease_seconds);
        fgd_text_bool(text, "idle_lease_default", project->idle_lease == FGD_LEASE_DEFAULT);
}

/* Returns whether there are more. */
static bool write_members(struct fgd_call *call, const struct fgd_project *project, const struct fgd_page *page, int64_t *ret_last)
{
        const struct fgd_member *member;
        uint32_t count = 0;
        fgd_text_add(&call->text, "[");
        TAILQ_FOREACH(member, &project->members, of_project) {
                if (member->role == FGD_ROLE_NONE || member->serial <= page->after)
                        continue;
                if (count == page->limit)
                        return true;
                fgd_text_add(&call->text, count++ ? ", {" : "{");
                fgd_text_field(&call->text, "user", member->user->name);
                fgd_text_field(&call->text, "role", fgd_role_name(member->role));
                fgd_text_add(&call->text, "}");
                *ret_last = member->serial;
        }
        return false;
}

struct walk {
        const struct fgd_project *project;
        const struct fgd_member *member; /* NULL: over all projects */
};

/* Admins walk over all projects, others over their own. */
static struct walk walk_begin(const struct fgd_call *call)
{
        const struct fgd_principal *who = &call->who;
        if (who->bound)
                return (struct walk){who->bound, NULL};
        if (who->is_operator || who->user->admin)
                return (struct walk){TAILQ_FIRST(&call->manager->tenants->projects), NULL};
        const struct fgd_member *member = TAILQ_FIRST(&who->user->members);
        return (struct walk){member ? member->project : NULL, member};
}

static struct walk walk_next(const struct fgd_call *call, struct walk at)
{
        const struct fgd_member *member = at.member ? TAILQ_NEXT(at.member, of_user) : NULL;
        if (call->who.bound)
                return (struct walk){0};
        return at.member ? (struct walk){member ? member->project : NULL, member} : (struct walk){TAILQ_NEXT(at.project, order), NULL};
}

/* What a page's cursor names: a user's own come in the order in which he joined. */
static int64_t walk_key(const struct walk *at)
{
        return at->member ? at->member->serial : at->project->id;
}

int fgd_handle_projects(struct fgd_call *call)
{
        struct fgd_query query[] = {{"limit"}, {"after"}};
        struct fgd_page page;
        int64_t last = 0;
        uint32_t count = 0;
        if (fgd_query_read(call, query, 2) < 0 || fgd_query_page(call, &query[0], &query[1], FGD_PAGE_MAX, &page) < 0)
                return -1;
        struct walk at = walk_begin(call);
        fgd_text_add(&call->text, "{\"projects\": [");
        for (; at.project && count < page.limit; at = walk_next(call, at)) {
                if (walk_key(&at) <= page.after || fgd_role_in(call->manager, &call->who, at.project) < FGD_ROLE_VIEWER)
                        continue;
                fgd_text_add(&call->text, count++ ? ", " : "");
                write_project(call, at.project, &call->text);
                fgd_text_add(&call->text, "}");
                last = walk_key(&at);
        }
        fgd_page_end(&call->text, last, at.project != NULL);
        fgd_text_add(&call->text, "}\n");
        return 0;
}

int fgd_handle_project(struct fgd_call *call)
{
        struct fgd_project *project;
        if (fgd_query_none(call) < 0 || fgd_call_project(call, call->argument[0], &project) < 0)
                return -1;
        const struct fgd_page first = {.limit = FGD_PAGE_MAX};
        int64_t ignored;
        write_project(call, project, &call->text);
        fgd_text_name(&call->text, "member_list");
        write_members(call, project, &first, &ignored);
        fgd_text_add(&call->text, "]}\n");
        return 0;
}

int fgd_handle_members(struct fgd_call *call)
{
        struct fgd_query query[] = {{"limit"}, {"after"}};
        struct fgd_page page;
        struct fgd_project *project;
        int64_t last = 0;
        if (fgd_query_read(call, query, 2) < 0 || fgd_query_page(call, &query[0], &query[1], FGD_PAGE_MAX, &page) < 0 ||
            fgd_call_project(call, call->argument[0], &project) < 0)
                return -1;
        fgd_text_add(&call->text, "{\"members\": ");
        bool has_more = write_members(call, project, &page, &last);
        fgd_page_end(&call->text, last, has_more);
        fgd_text_add(&call->text, "}\n");
        return 0;
}

static void write_made(struct fgd_call *call, const void *object)
{
        write_project(call, object, &call->text);
        fgd_text_add(&call->text, "}\n");
}

/* A time, 0 for none, null for the daemon's own. */
static int read_lease(struct fgd_call *call, json_t *body, bool *ret_given, int64_t *ret)
{
        json_t *value = json_object_get(body, "idle_lease");
        int64_t whole = 0;
        struct fg_error err = {0};
        char quoted[96];
        uint64_t seconds = 0;
        *ret_given = value != NULL;
        *ret = FGD_LEASE_DEFAULT;
        if (!value || json_is_null(value))
                return 0;
        if (json_is_string(value) && fg_duration_parse("\"idle_lease\"", json_string_value(value), FGD_LEASE_MAX, &seconds, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        if (fgd_body_integer(value, &whole) && whole >= 0 && whole <= FGD_LEASE_MAX)
                seconds = (uint64_t)whole;
        else if (!json_is_string(value))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"idle_lease\" must be a time (\"90s\", \"30m\", \"12h\", \"2d\" or a number of "
                                       "seconds), 0 for none or null for the daemon's own, not %s", fgd_body_quote(value, quoted, sizeof quoted));
        *ret = (int64_t)seconds;
        return 0;
}

static int read_description(struct fgd_call *call, json_t *body, const char **ret)
{
        if (fgd_body_string(body, "description", ret, &call->problem) < 0)
                return -1;
        size_t characters = 0;
        for (const char *c = *ret; c && *c; c++)
                characters += ((unsigned char)*c & 0xc0) != 0x80;
        if (characters <= FGD_DESCRIPTION_MAX)
                return 0;
        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"description\" has %zu characters; %u are possible", characters,
                               FGD_DESCRIPTION_MAX);
}

int fgd_handle_project_create(struct fgd_call *call)
{
        static const char *const known[] = {"name", "description", "idle_lease", NULL};
        fgd_autojson json_t *body = NULL;
        const char *description;
        int64_t lease;
        bool has_lease;
        char name[64];
        call->write = write_made;
        if (fgd_query_none(call) < 0 || fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            fgd_body_name(body, name, &call->problem) < 0)
                return -1;
        fgd_journal_target(call->manager, "%s", name);
        if (!name[0])
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"name\" is missing: what the project is to be called");
        if (read_description(call, body, &description) < 0 || read_lease(call, body, &has_lease, &lease) < 0)
                return -1;
        return fgd_project_create(call->manager, name, description ? description : "", lease, &call->problem);
}

int fgd_handle_project_change(struct fgd_call *call)
{
        static const char *const known[] = {"description", "idle_lease", NULL};
        fgd_autojson json_t *body = NULL;
        const char *description;
        struct fgd_project *project;
        int64_t lease;
        bool has_lease;
        if (fgd_query_none(call) < 0 || fgd_call_project(call, call->argument[0], &project) < 0 ||
            fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            read_description(call, body, &description) < 0 || read_lease(call, body, &has_lease, &lease) < 0)
                return -1;
        if (!description == !has_lease)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "give one of description and idle_lease to change");
        if (description ? fgd_project_describe(call->manager, project, description, &call->problem) < 0
                        : fgd_project_lease(call->manager, project, lease, &call->problem) < 0)
                return -1;
        write_made(call, project);
        return 0;
}

int fgd_handle_project_delete(struct fgd_call *call)
{
        struct fgd_project *project;
        if (fgd_query_none(call) < 0 || fgd_call_project(call, call->argument[0], &project) < 0)
                return -1;
        return fgd_project_delete(call->manager, project, &call->problem);
}

/* A manager names whom he adds, so he may learn whether there is such a user. */
static int find_member(struct fgd_call *call, struct fgd_project **ret_project, struct fgd_user **ret_user)
{
        if (fgd_query_none(call) < 0 || fgd_call_project(call, call->argument[0], ret_project) < 0)
                return -1;
        *ret_user = fgd_user_find(call->manager, call->argument[1]);
        if (!*ret_user)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no user \"%.80s\"; an admin makes one with: fastgpu user create "
                                       "NAME", call->argument[1]);
        return 0;
}

int fgd_handle_member_put(struct fgd_call *call)
{
        static const char *const known[] = {"role", NULL};
        fgd_autojson json_t *body = NULL;
        struct fgd_project *project;
        struct fgd_user *user;
        enum fgd_role role;
        bool is_given;
        if (find_member(call, &project, &user) < 0 ||
            fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            fgd_body_role(body, false, &is_given, &role, &call->problem) < 0)
                return -1;
        if (!is_given)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"role\" is missing: viewer, member or manager");
        if (fgd_project_admit(call->manager, project, user, role, &call->problem) < 0)
                return -1;
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "project", project->name);
        fgd_text_field(&call->text, "user", user->name);
        fgd_text_field(&call->text, "role", fgd_role_name(role));
        fgd_text_add(&call->text, "}\n");
        return 0;
}

int fgd_handle_member_delete(struct fgd_call *call)
{
        struct fgd_project *project;
        struct fgd_user *user;
        if (find_member(call, &project, &user) < 0)
                return -1;
        return fgd_project_admit(call->manager, project, user, FGD_ROLE_NONE, &call->problem);
}
