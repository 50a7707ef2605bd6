/* SPDX-License-Identifier: Apache-2.0
 * /v1/tokens. */
#include "daemon/api_internal.h"

#include "base/cleanup.h"
#include "daemon/api_body.h"
#include "daemon/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY          86400
#define EXPIRES_DAYS 90
#define EXPIRES_MAX  (3650ll * DAY)

static void write_token(const struct fgd_token *token, const char *secret, struct fgd_text *text)
{
        char created[32], expires[32];
        const char *state = token->revoked ? "revoked" : token->expires <= time(NULL) ? "expired" : "active";
        fgd_text_add(text, "{");
        fgd_text_field(text, "id", token->id);
        fgd_text_field(text, "user", token->user->name);
        if (token->name[0])
                fgd_text_field(text, "name", token->name);
        if (token->project)
                fgd_text_field(text, "project", token->project->name);
        fgd_text_field(text, "role", fgd_role_name(token->cap));
        fgd_text_field(text, "created", fgd_date_format(token->created, created));
        fgd_text_field(text, "expires", fgd_date_format(token->expires, expires));
        fgd_text_field(text, "state", state);
        if (secret) {
                fgd_text_name(text, "secret");
                fgd_text_addf(text, "\"" FGD_TOKEN_PREFIX "%s_%s\"", token->id, secret);
        }
        fgd_text_add(text, "}");
}

/* One's own; with a token that is bound to a project, those bound to it as well. Admins see and revoke everybody's. */
static bool is_visible(const struct fgd_call *call, const struct fgd_token *token)
{
        const struct fgd_principal *who = &call->who;
        return fgd_is_admin(who) || (token->user == who->user && (!who->bound || token->project == who->bound));
}

static const struct fgd_token *next_token(const struct fgd_token *token, bool of_all)
{
        return of_all ? TAILQ_NEXT(token, order) : TAILQ_NEXT(token, of_user);
}

static void write_tokens(struct fgd_call *call, const struct fgd_user *of, const struct fgd_page *page)
{
        const struct fgd_token *token = of ? TAILQ_FIRST(&of->token_list) : TAILQ_FIRST(&call->manager->tenants->tokens);
        int64_t last = 0;
        uint32_t count = 0;
        fgd_text_add(&call->text, "{\"tokens\": [");
        for (; token && count < page->limit; token = next_token(token, !of)) {
                if (token->number <= page->after || !is_visible(call, token))
                        continue;
                fgd_text_add(&call->text, count++ ? ", " : "");
                write_token(token, NULL, &call->text);
                last = token->number;
        }
        fgd_page_end(&call->text, last, token != NULL);
        fgd_text_add(&call->text, "}\n");
}

/* Whose token it is about: the caller's own unless an admin names somebody. */
static int find_user(struct fgd_call *call, const char *name, struct fgd_user **ret)
{
        *ret = name && *name ? fgd_user_find(call->manager, name) : call->who.user;
        if (!name || !*name || (*ret && (*ret == call->who.user || fgd_is_admin(&call->who))))
                return 0;
        if (!fgd_is_admin(&call->who))
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "only an admin may speak of another user's tokens");
        return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no user \"%.80s\"; \"fastgpu user list\" shows whom there is", name);
}

int fgd_handle_tokens(struct fgd_call *call)
{
        struct fgd_query query[] = {{"user"}, {"limit"}, {"after"}};
        struct fgd_page page;
        struct fgd_user *user;
        if (fgd_query_read(call, query, 3) < 0 || fgd_query_page(call, &query[1], &query[2], FGD_PAGE_MAX, &page) < 0 ||
            find_user(call, query[0].value, &user) < 0)
                return -1;
        bool of_all = fgd_is_admin(&call->who) && !query[0].value[0];
        write_tokens(call, of_all ? NULL : user, &page);
        return 0;
}

/* "30d", "12h", "10m" or seconds. */
static int read_expiry(struct fgd_call *call, json_t *body, int64_t *ret)
{
        static const struct {
                char unit;
                int64_t seconds;
        } units[] = {{'d', DAY}, {'h', 3600}, {'m', 60}, {'s', 1}, {0, 1}};
        char quoted[96], *end = NULL;
        json_t *value = json_object_get(body, "expires");
        const char *text = json_string_value(value);
        int64_t amount = 0;
        fgd_body_integer(value, &amount);
        *ret = time(NULL) + EXPIRES_DAYS * DAY;
        if (!value)
                return 0;
        if (text && *text >= '0' && *text <= '9' && strlen(text) < 12)
                amount = strtoll(text, &end, 10);
        for (unsigned i = 0; end && i < sizeof units / sizeof *units; i++)
                if (*end == units[i].unit && (!*end || !end[1])) {
                        amount *= units[i].seconds;
                        end = NULL;
                }
        if (end || amount < 1 || amount > EXPIRES_MAX)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"expires\" must be a time from now, up to 3650 days: \"30d\", \"12h\", \"10m\" "
                                       "or a number of seconds, not %s", fgd_body_quote(value, quoted, sizeof quoted));
        *ret = time(NULL) + amount;
        return 0;
}

/* A token makes none that may more, or for longer, than itself. */
static int check_own_token(struct fgd_call *call, const struct fgd_token_wish *wish)
{
        const struct fgd_token *own = call->who.token;
        if (!own)
                return 0;
        if (wish->cap > own->cap)
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "the token %s is limited to the role %s and makes none for more; give "
                                       "\"role\"", own->id, fgd_role_name(own->cap));
        if (own->project && wish->project != own->project)
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "the token %s is for the project \"%s\" and makes none for more; give "
                                       "\"project\"", own->id, own->project->name);
        if (wish->expires > own->expires)
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "the token %s expires before that; give \"expires\"", own->id);
        return 0;
}

static int read_project(struct fgd_call *call, json_t *body, struct fgd_project **ret)
{
        const char *name;
        if (fgd_body_word(body, "project", &name, &call->problem) < 0)
                return -1;
        return name ? fgd_call_project(call, name, ret) : 0;
}

static int read_wish(struct fgd_call *call, json_t *body, struct fgd_token_wish *ret)
{
        const char *user;
        bool is_given;
        if (fgd_body_word(body, "user", &user, &call->problem) < 0 || find_user(call, user, &ret->user) < 0)
                return -1;
        fgd_journal_target(call->manager, "%s", ret->user ? ret->user->name : "");
        if (!ret->user)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"user\" is missing: a token is a user's; \"fastgpu user create\" makes one");
        if (read_project(call, body, &ret->project) < 0 || fgd_body_role(body, true, &is_given, &ret->cap, &call->problem) < 0 ||
            fgd_body_name(body, ret->name, &call->problem) < 0 || read_expiry(call, body, &ret->expires) < 0)
                return -1;
        if (!is_given)
                ret->cap = FGD_ROLE_ADMIN;
        return check_own_token(call, ret);
}

static void write_made(struct fgd_call *call, const void *object)
{
        const struct fgd_token_made *made = object;
        write_token(made->token, made->secret, &call->text);
        fgd_text_add(&call->text, "\n");
        write_token(made->token, NULL, &call->kept);
        fgd_text_add(&call->kept, "\n");
}

int fgd_handle_token_create(struct fgd_call *call)
{
        static const char *const known[] = {"user", "project", "role", "name", "expires", NULL};
        fgd_autojson json_t *body = NULL;
        struct fgd_token_wish wish = {0};
        call->write = write_made;
        if (fgd_query_none(call) < 0 || fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            read_wish(call, body, &wish) < 0)
                return -1;
        return fgd_token_make(call->manager, &wish, &call->problem);
}

int fgd_handle_token_revoke(struct fgd_call *call)
{
        struct fgd_token *token = fgd_token_find(call->manager, call->argument[0]);
        if (fgd_query_none(call) < 0)
                return -1;
        if (!token || !is_visible(call, token))
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no token \"%.40s\"; \"fastgpu token list\" shows those there are",
                                       call->argument[0]);
        return fgd_token_revoke(call->manager, token, &call->problem);
}
