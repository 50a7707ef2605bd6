/* SPDX-License-Identifier: Apache-2.0
 *
 * Who there is: one organisation, its projects, its users, who may do what in which project, tokens. In memory; whoever
 * changes the store calls these afterwards. docs/design/tenancy.md says who may what and why.
 *
 * Equations: project->account.used == sum over its sets; the same per member over the sets that he owns in the project, and
 * per organisation over all. project->sets and user->owned count sets. Owner of everything here: the main thread. */
#ifndef FGD_TENANTS_H
#define FGD_TENANTS_H

#include "base/error.h"
#include "daemon/table.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fgd_manager;

#define FGD_TENANTS_MAX     100000u  /* users, projects, tokens: of each */
#define FGD_MEMBERS_MAX     1000000u
#define FGD_USER_TOKENS_MAX 1000u    /* of one user */
#define FGD_DEFAULT_PROJECT "default"
#define FGD_NO_UID          (-1)

#define FGD_DESCRIPTION_MAX   255u /* characters */
#define FGD_TOKEN_ID_SIZE     13u /* with its NUL */
#define FGD_TOKEN_SECRET_SIZE 65u /* 32 bytes in hex, with its NUL */
#define FGD_TOKEN_HASH_SIZE   32u

enum fgd_role { FGD_ROLE_NONE, FGD_ROLE_VIEWER, FGD_ROLE_MEMBER, FGD_ROLE_MANAGER, FGD_ROLE_ADMIN };

/* WEIGHT is no limit but a project's due in the job queue, kept with them; nothing uses it up. */
enum fgd_quota_key { FGD_QUOTA_VGPUS, FGD_QUOTA_MEMORY, FGD_QUOTA_SHARE, FGD_QUOTA_JOBS, FGD_QUOTA_QUEUED, FGD_QUOTA_WEIGHT, FGD_QUOTA_KEYS };

/* What is used and how much may be; a limit of 0 is none. */
struct fgd_account {
        uint64_t used[FGD_QUOTA_KEYS], limit[FGD_QUOTA_KEYS];
};

struct fgd_member;
TAILQ_HEAD(fgd_member_list, fgd_member);
struct fgd_token;
TAILQ_HEAD(fgd_token_list, fgd_token);

struct fgd_user {
        struct fgd_node by_name, by_uid, by_id;
        TAILQ_ENTRY(fgd_user) order; /* by id */
        int64_t id, created, uid;    /* uid: who he is on this machine; FGD_NO_UID: cannot call from it without a token */
        char name[64];
        char account[33]; /* as which his jobs run; "": as none */
        bool admin, disabled;
        uint32_t owned, tokens;
        int64_t rate_left; /* of the rate limit: thousandths of a request, below 0 when he is in debt; and when that was so */
        uint64_t rate_at;
        struct fgd_member_list members; /* in the order he joined */
        struct fgd_token_list token_list;
};

struct fgd_project {
        struct fgd_node by_name, by_id;
        TAILQ_ENTRY(fgd_project) order;
        int64_t id, created;
        char name[64], description[FGD_DESCRIPTION_MAX * 4 + 1];
        struct fgd_perf *perf; /* NULL: nothing of it was metered */
        struct fgd_project_figures *figures; /* NULL: it has had no job since the start */
        int64_t idle_lease;     /* s, 0: none; FGD_LEASE_DEFAULT: the daemon's */
        uint64_t lease_seconds; /* what holds of the two */
        uint32_t sets, member_count;
        struct fgd_account account;
        struct fgd_member_list members;
};

/* A user in a project. Role none: he only has a quota or owns something there. */
struct fgd_member {
        struct fgd_node by_pair;
        struct fgd_user *user;
        struct fgd_project *project;
        enum fgd_role role;
        int64_t serial; /* in the order they were made, for pages */
        struct fgd_account account;
        TAILQ_ENTRY(fgd_member) of_user;
        TAILQ_ENTRY(fgd_member) of_project;
};

struct fgd_token {
        struct fgd_node by_id;
        TAILQ_ENTRY(fgd_token) order, of_user; /* in the order they were made */
        char id[FGD_TOKEN_ID_SIZE];
        char name[64];
        uint8_t hash[FGD_TOKEN_HASH_SIZE]; /* of the secret, which nobody has but its owner */
        int64_t number, created, expires;  /* number: row in the store */
        struct fgd_user *user;
        struct fgd_project *project; /* NULL: all of the user's */
        enum fgd_role cap;           /* at most this; FGD_ROLE_ADMIN: whatever the user may */
        bool revoked;
};

struct fgd_tenants {
        struct fgd_table user_name, user_uid, user_id, project_name, project_id, member_pair, token_id;
        TAILQ_HEAD(, fgd_user) users;
        TAILQ_HEAD(, fgd_project) projects;
        struct fgd_token_list tokens;
        int64_t member_serial;
        uint32_t user_count, project_count, token_count;
        bool locked; /* there were users, but what was known of them is lost */
        struct fgd_account organisation;
        struct fgd_project *standard; /* "default": always there */
};

int fgd_tenants_new(struct fgd_manager *manager, struct fg_error *err);
void fgd_tenants_free(struct fgd_manager *manager);
/* Takes in what the store holds. */
int fgd_tenants_load(struct fgd_manager *manager, struct fg_error *err);
/* While there is no user (and none was lost), whoever can open the socket is the operator. */
bool fgd_tenants_on(const struct fgd_manager *manager);

struct fgd_user *fgd_user_find(const struct fgd_manager *manager, const char *name);
struct fgd_user *fgd_user_of_uid(const struct fgd_manager *manager, int64_t uid);
struct fgd_user *fgd_user_of_id(const struct fgd_manager *manager, int64_t id);
struct fgd_project *fgd_project_find(const struct fgd_manager *manager, const char *name);
struct fgd_project *fgd_project_of_id(const struct fgd_manager *manager, int64_t id);
struct fgd_token *fgd_token_find(const struct fgd_manager *manager, const char *id);
struct fgd_member *fgd_member_find(const struct fgd_manager *manager, const struct fgd_user *user, const struct fgd_project *project);

/* Room in the tables, so that what follows cannot fail; then in and out. The objects are taken, and freed on removal with all
 * that hangs on them (memberships, tokens). */
int fgd_tenants_reserve(struct fgd_manager *manager);
void fgd_user_add(struct fgd_manager *manager, struct fgd_user *user);
void fgd_user_reindex(struct fgd_manager *manager, struct fgd_user *user, int64_t uid);
void fgd_user_remove(struct fgd_manager *manager, struct fgd_user *user);
void fgd_project_add(struct fgd_manager *manager, struct fgd_project *project);
void fgd_project_remove(struct fgd_manager *manager, struct fgd_project *project);
void fgd_token_add(struct fgd_manager *manager, struct fgd_token *token);
void fgd_token_remove(struct fgd_manager *manager, struct fgd_token *token);
/* The record of a pair; made when there is none. NULL: out of memory. */
struct fgd_member *fgd_member_get(struct fgd_manager *manager, struct fgd_user *user, struct fgd_project *project);
/* Who joins comes last, as in the store. */
void fgd_member_set_role(struct fgd_manager *manager, struct fgd_member *member, enum fgd_role role);
/* Drops a record that says nothing any more. NULL is fine. */
void fgd_member_settle(struct fgd_manager *manager, struct fgd_member *member);

const char *fgd_role_name(enum fgd_role role);
/* "viewer", "member", "manager", "admin"; false: none of these. */
bool fgd_role_parse(const char *text, enum fgd_role *ret);

#endif
