/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tenants.h"

#include "daemon/events.h"
#include "daemon/manager.h"
#include "daemon/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fgd_tenants_new(struct fgd_manager *m, struct fg_error *err)
{
        m->tenants = calloc(1, sizeof *m->tenants);
        if (!m->tenants)
                return fg_error_set(err, -ENOMEM, "out of memory");
        TAILQ_INIT(&m->tenants->users);
        TAILQ_INIT(&m->tenants->projects);
        TAILQ_INIT(&m->tenants->tokens);
        return 0;
}

void fgd_tenants_free(struct fgd_manager *m)
{
        struct fgd_tenants *t = m->tenants;
        if (!t)
                return;
        while (!TAILQ_EMPTY(&t->users))
                fgd_user_remove(m, TAILQ_FIRST(&t->users));
        while (!TAILQ_EMPTY(&t->projects))
                fgd_project_remove(m, TAILQ_FIRST(&t->projects));
        struct fgd_table *const all[] = {&t->user_name, &t->user_uid, &t->user_id, &t->project_name,
                                         &t->project_id, &t->member_pair, &t->token_id};
        for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
                fgd_table_clear(all[i]);
        free(t);
        m->tenants = NULL;
}

bool fgd_tenants_on(const struct fgd_manager *m)
{
        return m->tenants->user_count > 0 || m->tenants->locked;
}

#define FIND(table, hash, type, node, condition)                                                         \
        for (struct fgd_node *at = fgd_table_first(&m->tenants->table, hash); at; at = fgd_table_next(at)) { \
                type *found = FGD_OF_NODE(at, type, node);                                               \
                if (condition)                                                                           \
                        return found;                                                                    \
        }                                                                                                \
        return NULL

struct fgd_user *fgd_user_find(const struct fgd_manager *m, const char *name)
{
        FIND(user_name, fgd_hash_text(name), struct fgd_user, by_name, strcmp(found->name, name) == 0);
}

struct fgd_user *fgd_user_of_uid(const struct fgd_manager *m, int64_t uid)
{
        FIND(user_uid, fgd_hash_number((uint64_t)uid), struct fgd_user, by_uid, found->uid == uid && uid != FGD_NO_UID);
}

struct fgd_user *fgd_user_of_id(const struct fgd_manager *m, int64_t id)
{
        FIND(user_id, fgd_hash_number((uint64_t)id), struct fgd_user, by_id, found->id == id);
}

struct fgd_project *fgd_project_find(const struct fgd_manager *m, const char *name)
{
        FIND(project_name, fgd_hash_text(name), struct fgd_project, by_name, strcmp(found->name, name) == 0);
}

struct fgd_project *fgd_project_of_id(const struct fgd_manager *m, int64_t id)
{
        FIND(project_id, fgd_hash_number((uint64_t)id), struct fgd_project, by_id, found->id == id);
}

struct fgd_token *fgd_token_find(const struct fgd_manager *m, const char *id)
{
        FIND(token_id, fgd_hash_text(id), struct fgd_token, by_id, strcmp(found->id, id) == 0);
}

static uint64_t hash_pair(const struct fgd_user *user, const struct fgd_project *project)
{
        const int64_t pair[2] = {user->id, project->id};
        return fgd_hash(pair, sizeof pair);
}

struct fgd_member *fgd_member_find(const struct fgd_manager *m, const struct fgd_user *user, const struct fgd_project *project)
{
        FIND(member_pair, hash_pair(user, project), struct fgd_member, by_pair, found->user == user && found->project == project);
}

int fgd_tenants_reserve(struct fgd_manager *m)
{
        struct fgd_tenants *t = m->tenants;
        struct fgd_table *const all[] = {&t->user_name, &t->user_uid, &t->user_id, &t->project_name, &t->project_id, &t->token_id};
        for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
                if (fgd_table_reserve(all[i]) < 0)
                        return -ENOMEM;
        return 0;
}

void fgd_user_add(struct fgd_manager *m, struct fgd_user *user)
{
        struct fgd_tenants *t = m->tenants;
        TAILQ_INIT(&user->members);
        TAILQ_INIT(&user->token_list);
        fgd_table_add(&t->user_name, &user->by_name, fgd_hash_text(user->name));
        fgd_table_add(&t->user_id, &user->by_id, fgd_hash_number((uint64_t)user->id));
        if (user->uid != FGD_NO_UID)
                fgd_table_add(&t->user_uid, &user->by_uid, fgd_hash_number((uint64_t)user->uid));
        TAILQ_INSERT_TAIL(&t->users, user, order);
        t->user_count++;
}

void fgd_user_reindex(struct fgd_manager *m, struct fgd_user *user, int64_t uid)
{
        struct fgd_tenants *t = m->tenants;
        if (user->uid != FGD_NO_UID)
                fgd_table_remove(&t->user_uid, &user->by_uid);
        user->uid = uid;
        if (uid != FGD_NO_UID)
                fgd_table_add(&t->user_uid, &user->by_uid, fgd_hash_number((uint64_t)uid));
}

static void member_free(struct fgd_manager *m, struct fgd_member *member)
{
        fgd_member_set_role(m, member, FGD_ROLE_NONE);
        fgd_table_remove(&m->tenants->member_pair, &member->by_pair);
        TAILQ_REMOVE(&member->user->members, member, of_user);
        TAILQ_REMOVE(&member->project->members, member, of_project);
        free(member);
}

static void remove_tokens_of_project(struct fgd_manager *m, const struct fgd_project *project)
{
        struct fgd_token *token, *next;
        FGD_TAILQ_EACH_SAFE(token, &m->tenants->tokens, order, next)
                if (token->project == project)
                        fgd_token_remove(m, token);
}

void fgd_user_remove(struct fgd_manager *m, struct fgd_user *user)
{
        struct fgd_tenants *t = m->tenants;
        fgd_events_release(m);
        while (!TAILQ_EMPTY(&user->token_list))
                fgd_token_remove(m, TAILQ_FIRST(&user->token_list));
        while (!TAILQ_EMPTY(&user->members))
                member_free(m, TAILQ_FIRST(&user->members));
        fgd_user_reindex(m, user, FGD_NO_UID);
        fgd_table_remove(&t->user_name, &user->by_name);
        fgd_table_remove(&t->user_id, &user->by_id);
        TAILQ_REMOVE(&t->users, user, order);
        t->user_count--;
        free(user);
}

void fgd_project_add(struct fgd_manager *m, struct fgd_project *project)
{
        struct fgd_tenants *t = m->tenants;
        TAILQ_INIT(&project->members);
        fgd_table_add(&t->project_name, &project->by_name, fgd_hash_text(project->name));
        fgd_table_add(&t->project_id, &project->by_id, fgd_hash_number((uint64_t)project->id));
        TAILQ_INSERT_TAIL(&t->projects, project, order);
        t->project_count++;
        if (strcmp(project->name, FGD_DEFAULT_PROJECT) == 0)
                t->standard = project;
        fgd_metrics_projects_changed(m);
}

void fgd_project_remove(struct fgd_manager *m, struct fgd_project *project)
{
        struct fgd_tenants *t = m->tenants;
        fgd_events_release(m);
        remove_tokens_of_project(m, project);
        while (!TAILQ_EMPTY(&project->members))
                member_free(m, TAILQ_FIRST(&project->members));
        fgd_table_remove(&t->project_name, &project->by_name);
        fgd_table_remove(&t->project_id, &project->by_id);
        TAILQ_REMOVE(&t->projects, project, order);
        t->project_count--;
        free(project->perf);
        fgd_project_figures_free(project->figures);
        fgd_metrics_projects_changed(m);
        free(project);
}

void fgd_token_add(struct fgd_manager *m, struct fgd_token *token)
{
        fgd_table_add(&m->tenants->token_id, &token->by_id, fgd_hash_text(token->id));
        TAILQ_INSERT_TAIL(&m->tenants->tokens, token, order);
        TAILQ_INSERT_TAIL(&token->user->token_list, token, of_user);
        m->tenants->token_count++;
        token->user->tokens++;
}

void fgd_token_remove(struct fgd_manager *m, struct fgd_token *token)
{
        fgd_events_release(m); /* waiting readers know users, projects and tokens by address */
        fgd_table_remove(&m->tenants->token_id, &token->by_id);
        TAILQ_REMOVE(&token->user->token_list, token, of_user);
        TAILQ_REMOVE(&m->tenants->tokens, token, order);
        m->tenants->token_count--;
        token->user->tokens--;
        free(token);
}

struct fgd_member *fgd_member_get(struct fgd_manager *m, struct fgd_user *user, struct fgd_project *project)
{
        struct fgd_member *member = fgd_member_find(m, user, project);
        if (member)
                return member;
        if (m->tenants->member_pair.count >= FGD_MEMBERS_MAX || fgd_table_reserve(&m->tenants->member_pair) < 0)
                return NULL;
        member = calloc(1, sizeof *member);
        if (!member)
                return NULL;
        member->user = user;
        member->project = project;
        member->serial = ++m->tenants->member_serial;
        fgd_table_add(&m->tenants->member_pair, &member->by_pair, hash_pair(user, project));
        TAILQ_INSERT_TAIL(&user->members, member, of_user);
        TAILQ_INSERT_TAIL(&project->members, member, of_project);
        return member;
}

void fgd_member_set_role(struct fgd_manager *m, struct fgd_member *member, enum fgd_role role)
{
        if (member->role == FGD_ROLE_NONE && role != FGD_ROLE_NONE) {
                TAILQ_REMOVE(&member->user->members, member, of_user);
                TAILQ_INSERT_TAIL(&member->user->members, member, of_user);
                TAILQ_REMOVE(&member->project->members, member, of_project);
                TAILQ_INSERT_TAIL(&member->project->members, member, of_project);
                member->serial = ++m->tenants->member_serial;
        }
        member->project->member_count -= member->role != FGD_ROLE_NONE;
        member->role = role;
        member->project->member_count += role != FGD_ROLE_NONE;
}

void fgd_member_settle(struct fgd_manager *m, struct fgd_member *member)
{
        static const struct fgd_account nothing;
        if (member && member->role == FGD_ROLE_NONE && memcmp(&member->account, &nothing, sizeof nothing) == 0)
                member_free(m, member);
}

static const char *const role_names[] = {[FGD_ROLE_NONE] = "none", [FGD_ROLE_VIEWER] = "viewer", [FGD_ROLE_MEMBER] = "member",
                                         [FGD_ROLE_MANAGER] = "manager", [FGD_ROLE_ADMIN] = "admin"};

const char *fgd_role_name(enum fgd_role role)
{
        return role_names[role];
}

bool fgd_role_parse(const char *text, enum fgd_role *ret)
{
        for (int i = FGD_ROLE_VIEWER; i <= FGD_ROLE_ADMIN; i++)
                if (strcmp(text, role_names[i]) == 0) {
                        *ret = (enum fgd_role)i;
                        return true;
                }
        return false;
}
