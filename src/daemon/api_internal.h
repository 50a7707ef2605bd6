/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGD_API_INTERNAL_H
#define FGD_API_INTERNAL_H

#include "daemon/api.h"
#include "daemon/api_write.h"
#include "daemon/identity.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/problem.h"
#include "daemon/registry.h"

#include <jansson.h>

struct fgd_call;

/* What a request needs. A row of the table that says nothing is refused to everybody. */
enum fgd_need {
        FGD_NEED_UNSAID,
        FGD_NEED_NOTHING, /* whoever asks */
        FGD_NEED_CALLER,  /* somebody known; he sees only what is his */
        FGD_NEED_WRITER,  /* somebody known, not by a token that only reads */
        FGD_NEED_VIEWER,  /* these roles in the project at hand: fgd_call_project() and fgd_call_target() look */
        FGD_NEED_MEMBER,
        FGD_NEED_MANAGER,
        FGD_NEED_ADMIN,
};

enum fgd_effect {
        FGD_READS,
        FGD_CHANGES, /* leaves a row in the audit */
        FGD_CREATES, /* the same, and takes an Idempotency-Key */
};

/* One row per request. In a path "*" is one argument, and a "**" at its end the rest. */
struct fgd_route {
        const char *method, *path;
        int (*handle)(struct fgd_call *call);
        enum fgd_need need;
        unsigned status; /* when it succeeds */
        enum fgd_effect effect;
};

#define FGD_ARGUMENTS 2

/* One request on its way. A handler returns 0 with `text` and `status` filled, -1 with `problem` filled, or 1: answered later. */
struct fgd_call {
        struct fgd_manager *manager;
        const struct fgd_request *request;
        const struct fgd_route *route;
        struct fgd_principal who;
        char argument[FGD_ARGUMENTS][256]; /* what stands for the route's asterisks, decoded */
        bool is_checked;                   /* the project at hand admits it */
        bool is_change;                    /* it was looked at, and may have changed something, or says what another has changed */
        bool is_replay;
        unsigned status;
        struct fgd_text text;
        struct fgd_problem problem;
        struct fgd_audit *audit; /* of a request that changes something; a handler that answers later takes it */
        struct fgd_reply reply;  /* what its key will stand for */
        /* Composes the answer of what is about to be created: `text`, and in `kept` what is remembered if that is less. */
        void (*write)(struct fgd_call *call, const void *object);
        const void *wish; /* for write() */
        struct fgd_text kept;
};

extern const struct fgd_route fgd_routes[];
extern const size_t fgd_route_count;
/* Finds the row and decodes the arguments. */
int fgd_route_match(struct fgd_call *call);

/* --- api_key.c --- */

/* 0: go on; 1: the answer is the one given before; -1: refused. */
int fgd_key_check(struct fgd_call *call);
/* The object is complete: the answer is composed, and kept if the request has a key. */
void fgd_key_ready(void *call, const void *object);

/* --- api_hold.c --- */

/* Whether the answer waits until what was changed is on the disk; taken and given later then. */
bool fgd_hold_answer(struct fgd_call *call);

/* --- api_call.c: what a request is about, and whether it may --- */

/* The project at hand: `name`, or where the caller works when that is NULL or "". Not visible is not there. */
int fgd_call_project(struct fgd_call *call, const char *name, struct fgd_project **ret);
/* Whether the role there is enough for the request. */
int fgd_call_admit(struct fgd_call *call, const struct fgd_project *project);
/* The set, and the index in it (-1: none given), that "[PROJECT:]NAME[/I]" names; `project` as above. */
int fgd_call_target(struct fgd_call *call, const char *target, const char *project, struct fgd_set **ret, int64_t *ret_index);
/* The same of what the path names, as NAME or NAME/I. */
int fgd_call_path_target(struct fgd_call *call, const char *project, struct fgd_set **ret, int64_t *ret_index);
/* A member changes only what is his. */
int fgd_call_owns(struct fgd_call *call, const struct fgd_set *set);

/* --- api_query.c --- */

struct fgd_query {
        const char *name;
        bool is_given;
        char value[128]; /* decoded; "" when not given */
};
/* Nothing but these may be in the query, each at most once and with a value. */
int fgd_query_read(struct fgd_call *call, struct fgd_query *known, size_t count);
int fgd_query_none(struct fgd_call *call);
/* "0" or "1"; not given: false. */
int fgd_query_flag(struct fgd_call *call, const struct fgd_query *query, bool *ret);
int fgd_query_number(struct fgd_call *call, const struct fgd_query *query, uint64_t min, uint64_t max, uint64_t standard, uint64_t *ret);

#define FGD_PAGE_MAX 1000u
/* A page of a list: `after` is the last thing of the page before. */
struct fgd_page {
        uint32_t limit;
        int64_t after;
};
int fgd_query_page(struct fgd_call *call, const struct fgd_query *limit, const struct fgd_query *after, uint32_t standard, struct fgd_page *ret);
/* Closes a list: "]", and "next" if there is more behind `last`. */
void fgd_page_end(struct fgd_text *text, int64_t last, bool has_more);

/* Percent-decodes `len` bytes; false when it does not fit, is cut short or holds a NUL. */
bool fgd_decode(const char *text, size_t len, char *ret, size_t size);

/* Whether a list that this request asks for has the set: all that he may see, or one project's. */
bool fgd_call_lists(const struct fgd_call *call, const struct fgd_project *only, const struct fgd_set *set);

/* --- the handlers --- */

int fgd_handle_version(struct fgd_call *call);
int fgd_handle_openapi(struct fgd_call *call);
int fgd_handle_devices(struct fgd_call *call);
int fgd_handle_metrics(struct fgd_call *call);
int fgd_handle_list(struct fgd_call *call);
int fgd_handle_figures(struct fgd_call *call);
int fgd_handle_inspect(struct fgd_call *call);
int fgd_handle_create(struct fgd_call *call);
int fgd_handle_placement(struct fgd_call *call);
int fgd_handle_resize(struct fgd_call *call);
int fgd_handle_delete(struct fgd_call *call);
int fgd_handle_suspend(struct fgd_call *call);
int fgd_handle_resume(struct fgd_call *call);
int fgd_handle_payer(struct fgd_call *call);
int fgd_handle_open(struct fgd_call *call);
int fgd_handle_container(struct fgd_call *call);
int fgd_handle_whoami(struct fgd_call *call);
int fgd_handle_users(struct fgd_call *call);
int fgd_handle_user(struct fgd_call *call);
int fgd_handle_user_create(struct fgd_call *call);
int fgd_handle_user_change(struct fgd_call *call);
int fgd_handle_user_delete(struct fgd_call *call);
int fgd_handle_projects(struct fgd_call *call);
int fgd_handle_project(struct fgd_call *call);
int fgd_handle_project_create(struct fgd_call *call);
int fgd_handle_project_change(struct fgd_call *call);
int fgd_handle_project_delete(struct fgd_call *call);
int fgd_handle_members(struct fgd_call *call);
int fgd_handle_member_put(struct fgd_call *call);
int fgd_handle_member_delete(struct fgd_call *call);
int fgd_handle_tokens(struct fgd_call *call);
int fgd_handle_token_create(struct fgd_call *call);
int fgd_handle_token_revoke(struct fgd_call *call);
int fgd_handle_quotas(struct fgd_call *call);
int fgd_handle_quota_put(struct fgd_call *call);
int fgd_handle_audit(struct fgd_call *call);
int fgd_handle_events(struct fgd_call *call);
int fgd_handle_prices(struct fgd_call *call);
int fgd_handle_price_put(struct fgd_call *call);
int fgd_handle_usage(struct fgd_call *call);
int fgd_handle_invoices(struct fgd_call *call);
int fgd_handle_export(struct fgd_call *call);
int fgd_handle_budgets(struct fgd_call *call);
int fgd_handle_budget_put(struct fgd_call *call);
int fgd_handle_checkpoint(struct fgd_call *call);
int fgd_handle_consistency(struct fgd_call *call);
int fgd_handle_records(struct fgd_call *call);
int fgd_handle_usage_now(struct fgd_call *call);
int fgd_handle_perf(struct fgd_call *call);
int fgd_handle_perf_vgpu(struct fgd_call *call);
int fgd_handle_calibration(struct fgd_call *call);
int fgd_handle_history(struct fgd_call *call);
int fgd_handle_history_uuid(struct fgd_call *call);
int fgd_handle_history_vgpu(struct fgd_call *call);
int fgd_handle_history_project(struct fgd_call *call);
int fgd_handle_history_device(struct fgd_call *call);
int fgd_handle_jobs(struct fgd_call *call);
int fgd_handle_job(struct fgd_call *call);
int fgd_handle_submit(struct fgd_call *call);
int fgd_handle_job_change(struct fgd_call *call);
int fgd_handle_job_cancel(struct fgd_call *call);
int fgd_handle_job_suspend(struct fgd_call *call);
int fgd_handle_job_resume(struct fgd_call *call);
int fgd_handle_job_log(struct fgd_call *call);
int fgd_handle_why(struct fgd_call *call);

static inline void fgd_drop_json(json_t **json)
{
        json_decref(*json);
}
#define fgd_autojson FG_CLEANUP(fgd_drop_json)

#endif
