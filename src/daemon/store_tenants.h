/* SPDX-License-Identifier: Apache-2.0
 * Users, projects, memberships, tokens and quotas in the store: each function is one durable transaction. */
#ifndef FGD_STORE_TENANTS_H
#define FGD_STORE_TENANTS_H

#include "daemon/store.h"
#include "daemon/users.h"

int fgd_store_add_user(struct fgd_store *store, struct fgd_user *user, struct fg_error *err); /* assigns user->id */
int fgd_store_change_user(struct fgd_store *store, const struct fgd_user *user, struct fg_error *err);
/* With his memberships, quotas and tokens. */
int fgd_store_delete_user(struct fgd_store *store, const struct fgd_user *user, struct fg_error *err);

int fgd_store_add_project(struct fgd_store *store, struct fgd_project *project, struct fg_error *err); /* assigns project->id */
int fgd_store_describe_project(struct fgd_store *store, const struct fgd_project *project, const char *description, struct fg_error *err);
/* With its memberships, quotas and the tokens bound to it. */
int fgd_store_delete_project(struct fgd_store *store, const struct fgd_project *project, struct fg_error *err);
int fgd_store_put_member(struct fgd_store *store, const struct fgd_member *member, enum fgd_role role, struct fg_error *err);
int fgd_store_delete_member(struct fgd_store *store, const struct fgd_member *member, struct fg_error *err);
int fgd_store_put_quota(struct fgd_store *store, const struct fgd_quota_change *change, struct fg_error *err);

int fgd_store_add_token(struct fgd_store *store, struct fgd_token *token, struct fg_error *err); /* assigns token->number */
int fgd_store_revoke_token(struct fgd_store *store, const struct fgd_token *token, struct fg_error *err);
/* Tokens that expired, or were revoked and made, before `before`. */
int fgd_store_sweep_tokens(struct fgd_store *store, int64_t before, struct fg_error *err);

/* All of it, in the order in which it was made; what refers to something comes after it. Callbacks as in store.h. */
struct fgd_store_member {
        int64_t project, user, role;
};
struct fgd_store_token {
        int64_t number, user, project, cap, created, expires; /* project 0: any */
        const char *id, *name;
        const uint8_t *hash; /* FGD_TOKEN_HASH_SIZE bytes, or NULL */
        bool revoked;
};
struct fgd_store_quota {
        int64_t project, user, key, value; /* 0: none */
};
struct fgd_store_tenants {
        int (*organisation)(void *user, bool is_locked);
        int (*user)(void *user, const struct fgd_user *row);
        int (*project)(void *user, const struct fgd_project *row);
        int (*member)(void *user, const struct fgd_store_member *row);
        int (*token)(void *user, const struct fgd_store_token *row);
        int (*quota)(void *user, const struct fgd_store_quota *row);
        void *user_data;
};
int fgd_store_load_tenants(struct fgd_store *store, const struct fgd_store_tenants *visitor, struct fg_error *err);

#endif
