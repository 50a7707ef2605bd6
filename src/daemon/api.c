/* SPDX-License-Identifier: Apache-2.0
 * One request from its beginning to its end: who asks, whether he may, what comes of it, and what is written down. */
#include "daemon/api_internal.h"

#include "base/clock.h"
#include "daemon/metrics.h"
#include "daemon/rate.h"
#include "daemon/store_sync.h"

#include <stdio.h>
#include <string.h>

static bool may_be_anybody(const struct fgd_call *call)
{
        return call->route && call->route->need == FGD_NEED_NOTHING && !call->request->authorization;
}

/* Who it is comes first: to whom nothing is told, not even a path is. */
static int identify(struct fgd_call *call)
{
        struct fgd_problem unknown = {0};
        if (fgd_identify(call->manager, call->request, &call->who, &unknown) == 0)
                return fgd_rate_request(call->manager, &call->who, &call->problem);
        if (may_be_anybody(call) && unknown.type != FGD_RATE_LIMITED)
                return 0;
        call->problem = unknown;
        return -1;
}

static int check_need(struct fgd_call *call)
{
        const struct fgd_principal *who = &call->who;
        switch (call->route->need) {
        case FGD_NEED_NOTHING:
        case FGD_NEED_CALLER:
        case FGD_NEED_VIEWER:
                return 0;
        case FGD_NEED_WRITER:
        case FGD_NEED_MEMBER:
        case FGD_NEED_MANAGER:
                if (who->cap >= FGD_ROLE_MEMBER)
                        return 0;
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "the token %s only reads", who->token->id);
        case FGD_NEED_ADMIN:
                call->is_checked = fgd_is_admin(who);
                if (call->is_checked)
                        return 0;
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "only an admin may do this; %s is none%s", who->actor,
                                       who->token ? " with this token" : "");
        case FGD_NEED_UNSAID:
                break;
        }
        return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "nobody may do this");
}

static int run_handler(struct fgd_call *call)
{
        int64_t user = call->who.user ? call->who.user->id : 0;
        uint64_t begin = fg_now();
        bool before = fgd_store_defer(call->manager->store, call->is_change);
        int r = call->route->handle(call);
        fgd_store_defer(call->manager->store, before);
        uint64_t spent = fg_now() - begin;
        fgd_rate_spent(call->manager, user, spent);
        fgd_metrics_turn(call->manager, spent);
        if (r >= 0 && call->route->need >= FGD_NEED_VIEWER && !call->is_checked)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "it was not looked at whether this is allowed");
        return r;
}

/* To parse a large body takes milliseconds in which nobody else is served, and only the largest sets need one. */
static int check_body(struct fgd_call *call)
{
        uint32_t most = fgd_is_admin(&call->who) ? FGD_BODY_MAX : FGD_BODY_USER;
        /* Nor is a body kept that was too long for him when it began, whatever he may have become meanwhile. */
        if (call->request->body_size <= most && (call->request->body || !call->request->body_size))
                return 0;
        return fgd_problem_set(&call->problem, FGD_TOO_LARGE, "the body has %zu bytes; %u are possible%s", call->request->body_size, most,
                               most < FGD_BODY_MAX ? " for who is no admin" : "");
}

/* What memory says then is not so, and a new daemon is about to begin. */
static int check_store(struct fgd_call *call)
{
        if (!fgd_store_has_failed(call->manager->store))
                return 0;
        if (call->route->effect == FGD_READS)
                return fgd_problem_set(&call->problem, FGD_BUSY, "the disk has failed and the daemon begins anew; ask again in a moment");
        return fgd_problem_set(&call->problem, FGD_STORAGE, "nothing was changed: the disk has failed and the daemon begins anew");
}

static int serve(struct fgd_call *call)
{
        struct fgd_journal *journal = call->manager->journal;
        if (check_body(call) < 0 || check_store(call) < 0)
                return -1;
        call->is_change = call->route->effect != FGD_READS;
        int r = check_need(call);
        if (r == 0)
                r = fgd_key_check(call);
        if (r != 0)
                return r < 0 ? r : 0;
        journal->ready = fgd_key_ready;
        journal->ready_user = call;
        return run_handler(call);
}

static int begin_row(struct fgd_call *call)
{
        const struct fgd_request *request = call->request;
        struct fgd_audit *row = fgd_journal_begin(call->manager);
        if (!row)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        row->status = call->status;
        snprintf(row->actor, sizeof row->actor, "%s", call->who.actor);
        snprintf(row->via, sizeof row->via, "%s", call->who.via);
        snprintf(row->from, sizeof row->from, "%s", request->from ? request->from : "");
        snprintf(row->action, sizeof row->action, "%.8s %s", request->method, call->route ? call->route->path : "?");
        call->audit = row;
        if (call->argument[0][0])
                fgd_journal_target(call->manager, "%s%s%s", call->argument[0], call->argument[1][0] ? "/" : "", call->argument[1]);
        return 0;
}

/* Every request that would change something leaves a row, also one for a path that is none. */
static int open_audit(struct fgd_call *call)
{
        const char *method = call->request->method;
        bool reads = call->route ? call->route->effect == FGD_READS : strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
        return reads ? 0 : begin_row(call);
}

void fgd_api_refused(struct fgd_manager *m, const struct fgd_request *request, unsigned status, const char *type)
{
        struct fgd_call call = {.manager = m, .request = request, .status = status, .who = {.actor = "anonymous", .via = "network"}};
        const char *from = request->from ? request->from : "", *uid = request->remote ? NULL : strstr(from, "uid ");
        fgd_route_match(&call);
        if (!request->remote)
                snprintf(call.who.via, sizeof call.who.via, "%s", uid ? uid : "");
        if (open_audit(&call) < 0 || !call.audit)
                return;
        call.audit->is_flood = true;
        fgd_journal_end(m, call.audit, status, type);
}

static void close_audit(struct fgd_call *call, int result)
{
        struct fgd_journal *journal = call->manager->journal;
        const char *problem = result < 0 ? fgd_problem_type_name(&call->problem) : call->is_replay ? "replay" : "";
        journal->ready = NULL;
        journal->reply = NULL;
        /* One who only reads, beyond his rate: counted, too. */
        if (result < 0 && call->problem.type == FGD_RATE_LIMITED && !call->audit)
                begin_row(call);
        if (call->audit)
                fgd_journal_end(call->manager, call->audit, result < 0 ? fgd_problem_status(&call->problem) : call->status, problem);
        journal->current = NULL;
        fgd_text_clear(&call->kept);
}

static int handle(struct fgd_call *call)
{
        int match = fgd_route_match(call);
        struct fgd_problem mismatch = call->problem;
        int r = identify(call);
        if (open_audit(call) < 0)
                return -1;
        if (r < 0)
                return r;
        if (match < 0) {
                call->problem = mismatch;
                return match;
        }
        return serve(call);
}

int fgd_api_handle(struct fgd_manager *m, const struct fgd_request *request, unsigned *ret_status, char **ret_json)
{
        struct fgd_call call = {.manager = m, .request = request, .status = 200};
        int r = handle(&call);
        fgd_manager_active(m);
        close_audit(&call, r);
        if (r > 0) {
                fgd_text_clear(&call.text);
                return 1;
        }
        if (r < 0) {
                fgd_metrics_refused(m, call.problem.type);
                fgd_text_clear(&call.text);
                fgd_problem_write(&call.problem, &call.text);
                call.status = fgd_problem_status(&call.problem);
                if (request->retry_after && call.problem.retry_after_ms)
                        *request->retry_after = (call.problem.retry_after_ms + 999) / 1000;
        }
        if (call.text.failed) {
                fgd_text_clear(&call.text);
                call.status = 500;
        }
        if (fgd_hold_answer(&call))
                return 1;
        *ret_status = call.status;
        *ret_json = call.text.data;
        return 0;
}
