/* SPDX-License-Identifier: Apache-2.0
 * From the store into memory. A row that cannot be is left out and named; whatever it would have allowed is not allowed. */
#include "daemon/tenants.h"

#include "base/size.h"
#include "daemon/lease.h"
#include "daemon/manager.h"
#include "daemon/store_tenants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int take_organisation(void *data, bool is_locked)
{
        struct fgd_manager *m = data;
        m->tenants->locked = is_locked;
        return 0;
}

static int take_user(void *data, const struct fgd_user *row)
{
        struct fgd_manager *m = data;
        if (fg_name_check(row->name, NULL) < 0 || (row->uid != FGD_NO_UID && (row->uid < 0 || row->uid >= UINT32_MAX))) {
                fgd_manager_note(m, "the user %lld of the store has no proper name or uid; he is left out", (long long)row->id);
                m->tenants->locked = true;
                return 0;
        }
        struct fgd_user *user = malloc(sizeof *user);
        if (!user || fgd_tenants_reserve(m) < 0) {
                free(user);
                return -ENOMEM;
        }
        *user = *row;
        fgd_user_add(m, user);
        return 0;
}

static int take_project(void *data, const struct fgd_project *row)
{
        struct fgd_manager *m = data;
        if (fg_name_check(row->name, NULL) < 0) {
                fgd_manager_note(m, "the project %lld of the store has no proper name; it is left out", (long long)row->id);
                return 0;
        }
        struct fgd_project *project = malloc(sizeof *project);
        if (!project || fgd_tenants_reserve(m) < 0) {
                free(project);
                return -ENOMEM;
        }
        *project = *row;
        fgd_lease_resolve(m, project);
        fgd_project_add(m, project);
        return 0;
}

static int take_member(void *data, const struct fgd_store_member *row)
{
        struct fgd_manager *m = data;
        struct fgd_user *user = fgd_user_of_id(m, row->user);
        struct fgd_project *project = fgd_project_of_id(m, row->project);
        if (!user || !project || row->role < FGD_ROLE_VIEWER || row->role > FGD_ROLE_MANAGER) {
                fgd_manager_note(m, "a membership of the store (user %lld, project %lld, role %lld) makes no sense and is left out",
                                 (long long)row->user, (long long)row->project, (long long)row->role);
                return 0;
        }
        struct fgd_member *member = fgd_member_get(m, user, project);
        if (!member)
                return -ENOMEM;
        fgd_member_set_role(m, member, (enum fgd_role)row->role);
        return 0;
}

/* Left out is refused: a token that lost its user or project is worth nothing. */
static int take_token(void *data, const struct fgd_store_token *row)
{
        struct fgd_manager *m = data;
        struct fgd_user *user = fgd_user_of_id(m, row->user);
        struct fgd_project *project = row->project ? fgd_project_of_id(m, row->project) : NULL;
        if (!user || (row->project && !project) || !row->hash || !row->id || !row->name || strlen(row->id) != FGD_TOKEN_ID_SIZE - 1 ||
            row->cap < FGD_ROLE_VIEWER || row->cap > FGD_ROLE_ADMIN) {
                fgd_manager_note(m, "the token %lld of the store makes no sense and is left out", (long long)row->number);
                return 0;
        }
        struct fgd_token *token = calloc(1, sizeof *token);
        if (!token || fgd_tenants_reserve(m) < 0) {
                free(token);
                return -ENOMEM;
        }
        *token = (struct fgd_token){.number = row->number, .created = row->created, .expires = row->expires, .user = user,
                                    .project = project, .cap = (enum fgd_role)row->cap, .revoked = row->revoked};
        memcpy(token->id, row->id, sizeof token->id);
        snprintf(token->name, sizeof token->name, "%s", row->name);
        memcpy(token->hash, row->hash, sizeof token->hash);
        fgd_token_add(m, token);
        return 0;
}

static int take_quota(void *data, const struct fgd_store_quota *row)
{
        struct fgd_manager *m = data;
        struct fgd_user *user = fgd_user_of_id(m, row->user);
        struct fgd_project *project = fgd_project_of_id(m, row->project);
        struct fgd_account *account = &m->tenants->organisation;
        if ((row->user && !user) || (row->project && !project) || (row->user && !row->project) || row->key < 0 ||
            row->key >= FGD_QUOTA_KEYS || row->value <= 0) {
                fgd_manager_note(m, "a quota of the store (project %lld, user %lld) makes no sense and is left out", (long long)row->project,
                                 (long long)row->user);
                return 0;
        }
        if (user) {
                struct fgd_member *member = fgd_member_get(m, user, project);
                if (!member)
                        return -ENOMEM;
                account = &member->account;
        } else if (project) {
                account = &project->account;
        }
        account->limit[row->key] = (uint64_t)row->value;
        return 0;
}

/* Everything else relies on it. */
static int restore_standard(struct fgd_manager *m, struct fg_error *err)
{
        struct fgd_project *project = calloc(1, sizeof *project);
        if (!project || fgd_tenants_reserve(m) < 0) {
                free(project);
                return fg_error_set(err, -ENOMEM, "out of memory");
        }
        strcpy(project->name, FGD_DEFAULT_PROJECT);
        int r = fgd_store_add_project(m->store, project, err);
        if (r < 0) {
                free(project);
                return r;
        }
        fgd_manager_note(m, "the store had no project \"" FGD_DEFAULT_PROJECT "\"; it was made anew");
        fgd_project_add(m, project);
        return 0;
}

int fgd_tenants_load(struct fgd_manager *m, struct fg_error *err)
{
        const struct fgd_store_tenants visitor = {take_organisation, take_user, take_project, take_member, take_token, take_quota, m};
        int r = fgd_store_load_tenants(m->store, &visitor, err);
        return r == 0 && !m->tenants->standard ? restore_standard(m, err) : r;
}
