/* SPDX-License-Identifier: Apache-2.0
 * /v1/jobs. */
#include "daemon/api_jobs.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/api_body.h"
#include "daemon/job_log.h"
#include "daemon/jobs_budget.h"
#include "daemon/money.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_MAX 4000u /* rows looked at for one answer: the rest is for the next */

/* --- which job --- */

static int take_ref(void *user, const struct fgd_store_job *row)
{
        struct fgd_job_ref *ref = user;
        ref->id = row->id;
        ref->owner = row->owner;
        ref->index = row->project; /* until it is known whether there is one */
        ref->is_array = row->is_array != 0;
        ref->first = (uint32_t)row->first;
        ref->count = (uint32_t)row->count;
        snprintf(ref->owner_name, sizeof ref->owner_name, "%s", row->owner_name);
        return 1;
}

static int no_job(struct fgd_call *call, const char *text)
{
        return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no job \"%.40s\"; \"fastgpu jobs\" shows what there is", text);
}

static int find_element(struct fgd_call *call, const char *text, struct fgd_job_ref *ret)
{
        uint64_t index;
        ret->index = -1;
        if (!*text)
                return 0;
        if (fg_count_parse("the index", text, 0, UINT32_MAX, &index, NULL) < 0 || index < ret->first || index - ret->first >= ret->count || !ret->is_array)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "job %lld has no element \"%.20s\"%s", (long long)ret->id, text,
                                       ret->is_array ? "" : ": it is no array");
        ret->index = (int64_t)(index - ret->first);
        return 0;
}

int fgd_call_job(struct fgd_call *call, const char *text, const char *element, struct fgd_job_ref *ret)
{
        char number[24];
        uint64_t id;
        size_t len = strcspn(text, "/");
        *ret = (struct fgd_job_ref){0};
        fgd_journal_target(call->manager, "%.40s%s%.20s", text, *element ? "/" : "", element);
        snprintf(number, sizeof number, "%.*s", (int)(len < sizeof number ? len : sizeof number - 1), text);
        if (len >= sizeof number || fg_count_parse("job", number, 1, INT64_MAX, &id, NULL) < 0)
                return no_job(call, text);
        if (fgd_store_get_job(call->manager->store, (int64_t)id, take_ref, ret, NULL) <= 0)
                return no_job(call, text);
        ret->project = fgd_project_of_id(call->manager, ret->index);
        if (!ret->project || fgd_role_in(call->manager, &call->who, ret->project) < FGD_ROLE_VIEWER)
                return no_job(call, text);
        if (fgd_call_admit(call, ret->project) < 0)
                return -1;
        ret->job = fgd_job_find(call->manager, ret->id);
        return find_element(call, text[len] ? text + len + 1 : element, ret);
}

int fgd_call_owns_job(struct fgd_call *call, const struct fgd_job_ref *ref)
{
        if (ref->owner == (call->who.user ? call->who.user->id : 0) || fgd_role_in(call->manager, &call->who, ref->project) >= FGD_ROLE_MANAGER)
                return 0;
        return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "job %lld is %s's: a member changes only what is his own, a manager of \"%s\" everything",
                               (long long)ref->id, ref->owner_name, ref->project->name);
}

/* --- one job --- */

static int write_row(void *user, const struct fgd_store_job *row)
{
        struct fgd_call *call = user;
        fgd_write_job(call->manager, row, &call->text);
        return 0;
}

static int write_one(struct fgd_call *call, int64_t id)
{
        struct fg_error err = {0};
        if (fgd_store_get_job(call->manager->store, id, write_row, call, &err) > 0)
                return 0;
        return fgd_problem_set(&call->problem, FGD_STORAGE, "job %lld cannot be read: %s", (long long)id, err.code ? err.text : "it is gone");
}

struct elements {
        struct fgd_call *call;
        const struct fgd_job_ref *ref;
        uint32_t at, end, written;
};

/* Those without a row have not begun, or were cancelled with their job. */
static void write_gap(struct elements *e, uint32_t upto)
{
        for (; e->at < upto && e->at < e->end; e->at++) {
                bool waits = e->ref->job && !e->ref->job->is_cancelling;
                const struct fgd_run_result r = {.state = waits ? FGD_JOB_QUEUED : FGD_JOB_CANCELLED, .index = e->at, .code = -1, .signal = -1};
                fgd_text_add(&e->call->text, e->written++ ? ", " : "");
                fgd_write_run(e->call->manager, &r, e->ref->first, &e->call->text);
        }
}

static int take_element(void *user, const struct fgd_run_result *row)
{
        struct elements *e = user;
        const struct fgd_run *run = e->ref->job ? fgd_run_find(e->ref->job, row->index) : NULL;
        struct fgd_run_result result = run && run->active ? run->active->result : *row;
        write_gap(e, row->index);
        if (e->at >= e->end)
                return 1;
        if (run)
                result.state = fgd_run_state(run);
        fgd_text_add(&e->call->text, e->written++ ? ", " : "");
        fgd_write_run(e->call->manager, &result, e->ref->first, &e->call->text);
        e->at++;
        return 0;
}

/* `after` is the last index of the page before; as 0 may be an index, a page begins behind index + 1. */
static int write_elements(struct fgd_call *call, const struct fgd_job_ref *ref, const struct fgd_page *page)
{
        struct elements e = {.call = call, .ref = ref, .at = page->after < ref->count ? (uint32_t)page->after : ref->count};
        struct fg_error err = {0};
        e.end = ref->count - e.at > page->limit ? e.at + page->limit : ref->count;
        fgd_text_name(&call->text, "elements");
        fgd_text_add(&call->text, "[");
        if (fgd_store_read_runs(call->manager->store, ref->id, e.at, take_element, &e, &err) < 0)
                return fgd_problem_set(&call->problem, FGD_STORAGE, "%s", err.text);
        write_gap(&e, e.end);
        fgd_page_end(&call->text, e.at, e.at < ref->count);
        return 0;
}

int fgd_handle_job(struct fgd_call *call)
{
        struct fgd_query q[] = {{"index"}, {"elements"}, {"limit"}, {"after"}};
        struct fgd_job_ref ref;
        struct fgd_page page;
        bool with_elements;
        if (fgd_query_read(call, q, 4) < 0 || fgd_query_flag(call, &q[1], &with_elements) < 0 || fgd_query_page(call, &q[2], &q[3], 100, &page) < 0 ||
            fgd_call_job(call, call->argument[0], q[0].value, &ref) < 0)
                return -1;
        if (ref.index >= 0) {
                page = (struct fgd_page){.limit = 1, .after = ref.index};
                with_elements = true;
        }
        if (write_one(call, ref.id) < 0)
                return -1;
        if (with_elements && ref.is_array) {
                call->text.data[--call->text.size] = 0; /* the closing brace */
                if (write_elements(call, &ref, &page) < 0)
                        return -1;
                fgd_text_add(&call->text, "}");
        }
        fgd_text_add(&call->text, "\n");
        return 0;
}

/* --- many --- */

struct reading {
        struct fgd_call *call;
        const struct fgd_project *only;
        int state;    /* -1: any */
        int64_t mine; /* the owner's id; -1: anybody's */
        struct fgd_page page;
        uint32_t looked, written;
        int64_t last;
        bool has_more;
};

static int take_job(void *user, const struct fgd_store_job *row)
{
        struct reading *r = user;
        const struct fgd_project *project = fgd_project_of_id(r->call->manager, row->project);
        if (r->written >= r->page.limit || r->looked >= SCAN_MAX) {
                r->has_more = true;
                return 1;
        }
        r->looked++;
        r->last = row->id;
        if ((r->only && project != r->only) || !project || (r->mine >= 0 && row->owner != r->mine) ||
            fgd_role_in(r->call->manager, &r->call->who, project) < FGD_ROLE_VIEWER)
                return 0;
        if (r->state == FGD_STORE_LIVE && row->state >= FGD_JOB_DONE)
                return 0;
        if (r->state >= 0 && fgd_job_state_now(r->call->manager, row) != (enum fgd_job_state)r->state)
                return 0;
        fgd_text_add(&r->call->text, r->written++ ? ", " : "");
        fgd_write_job(r->call->manager, row, &r->call->text);
        return 0;
}

static int read_state(struct fgd_call *call, const struct fgd_query *query, int *ret)
{
        *ret = -1;
        if (!query->is_given)
                return 0;
        for (int i = 0; i < FGD_JOB_STATES; i++)
                if (strcmp(fgd_job_state_names[i], query->value) == 0) {
                        *ret = i;
                        return 0;
                }
        if (strcmp(query->value, "unfinished") == 0) {
                *ret = FGD_STORE_LIVE;
                return 0;
        }
        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"state\" is unfinished, queued, starting, running, suspended, stopping, done, failed or cancelled, not "
                               "\"%.40s\"", query->value);
}

/* The store knows of jobs that are not over whether some of it is active, no more. */
static int stored_state(int state)
{
        return state < 0 || state == FGD_JOB_QUEUED || fgd_job_is_over((enum fgd_job_state)state) ? state : (int)FGD_JOB_RUNNING;
}

int fgd_handle_jobs(struct fgd_call *call)
{
        struct fgd_query q[] = {{"project"}, {"state"}, {"mine"}, {"limit"}, {"after"}};
        struct fgd_project *only = NULL;
        struct reading r = {.call = call, .mine = -1};
        struct fg_error err = {0};
        bool mine;
        if (fgd_query_read(call, q, 5) < 0 || fgd_query_flag(call, &q[2], &mine) < 0 || read_state(call, &q[1], &r.state) < 0 ||
            fgd_query_page(call, &q[3], &q[4], 100, &r.page) < 0 || (q[0].value[0] && fgd_call_project(call, q[0].value, &only) < 0))
                return -1;
        r.only = only;
        if (mine)
                r.mine = call->who.user ? call->who.user->id : 0;
        fgd_text_add(&call->text, "{\"jobs\": [");
        if (fgd_store_read_jobs(call->manager->store, r.page.after ? r.page.after : INT64_MAX, only && r.state == -1 ? only->id : 0, stored_state(r.state),
                                take_job, &r, &err) < 0)
                return fgd_problem_set(&call->problem, FGD_STORAGE, "%s", err.text);
        fgd_page_end(&call->text, r.last, r.has_more);
        fgd_text_number(&call->text, "waiting", call->manager->jobs->waiting);
        fgd_text_add(&call->text, "}\n");
        return 0;
}

/* --- submit, cancel, suspend, resume --- */

static void write_submitted(struct fgd_call *call, const void *object)
{
        const struct fgd_job *job = object;
        const struct fgd_submit *s = call->wish;
        const struct fgd_store_job row = {.id = job->id, .project = job->project->id, .owner_name = job->owner ? job->owner->name : "operator",
                                          .name = job->name, .command = s->command, .uid = job->uid, .class = job->class, .gpus = job->gpus,
                                          .memory = (int64_t)job->memory, .share = job->share, .mode = job->mode,
                                          .device = job->device == FG_QUEUE_ANY ? -1 : (int64_t)job->device, .is_array = job->is_array,
                                          .first = job->first, .count = job->count, .at_once = job->at_once, .time_limit = job->time_limit,
                                          .not_before = job->not_before, .retries = job->retries, .submitted = job->submitted};
        fgd_write_job(call->manager, &row, &call->text);
        fgd_text_add(&call->text, "\n");
}

int fgd_handle_submit(struct fgd_call *call)
{
        fgd_autojson json_t *body = NULL;
        fg_autofree char *spec = NULL;
        struct fgd_submit submit = {0};
        struct fgd_job *job;
        if (fgd_query_none(call) < 0 ||
            fgd_body_parse(call->request->body, call->request->body_size, fgd_submit_fields, &body, &call->problem) < 0 ||
            fgd_body_submit(call, body, &submit, &spec) < 0)
                return -1;
        call->write = write_submitted;
        call->wish = &submit;
        int r = fgd_job_submit(call->manager, &submit, &job, &call->problem);
        call->wish = NULL;
        return r;
}

static int has_ended(struct fgd_call *call, const struct fgd_job_ref *ref)
{
        return fgd_problem_set(&call->problem, FGD_ENDED, "job %lld has ended already; \"fastgpu jobs %lld\" shows how", (long long)ref->id,
                               (long long)ref->id);
}

static int for_change(struct fgd_call *call, struct fgd_job_ref *ret)
{
        struct fgd_query q[] = {{"index"}};
        if (fgd_query_read(call, q, 1) < 0 || fgd_call_job(call, call->argument[0], q[0].value, ret) < 0 || fgd_call_owns_job(call, ret) < 0)
                return -1;
        return ret->job ? 0 : has_ended(call, ret);
}

static int answer_job(struct fgd_call *call, int64_t id)
{
        if (write_one(call, id) < 0)
                return -1;
        fgd_text_add(&call->text, "\n");
        return 0;
}

int fgd_handle_job_change(struct fgd_call *call)
{
        static const char *const known[] = {"budget", NULL};
        fgd_autojson json_t *body = NULL;
        struct fgd_job_limit limit;
        struct fgd_job_ref ref;
        bool given;
        if (fgd_query_none(call) < 0 || fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            fgd_call_job(call, call->argument[0], "", &ref) < 0 || fgd_call_owns_job(call, &ref) < 0 || fgd_body_budget(call, body, &given, &limit) < 0)
                return -1;
        if (!given)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "nothing is to be changed: give a \"budget\"");
        if (ref.index >= 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "an array has one budget: name job %lld as a whole", (long long)ref.id);
        if (!ref.job)
                return has_ended(call, &ref);
        if (fgd_job_budget_set(call->manager, ref.job, &limit, &call->problem) < 0)
                return -1;
        fgd_store_defer(call->manager->store, false); /* as of a project's */
        if (call->manager->money)
                fgd_money_tick(call->manager->money);
        return answer_job(call, ref.id);
}

/* What a program is told cannot be taken back: its end, that it stops. */
static void certain_first(struct fgd_call *call, const struct fgd_job *job)
{
        if (job->active)
                fgd_store_defer(call->manager->store, false);
}

int fgd_handle_job_cancel(struct fgd_call *call)
{
        struct fgd_job_ref ref;
        bool is_gone;
        if (for_change(call, &ref) < 0)
                return -1;
        certain_first(call, ref.job);
        if (fgd_job_cancel(call->manager, ref.job, ref.index, &is_gone, &call->problem) < 0)
                return -1;
        return answer_job(call, ref.id);
}

static int hold(struct fgd_call *call, bool is_held)
{
        struct fgd_job_ref ref;
        if (for_change(call, &ref) < 0)
                return -1;
        certain_first(call, ref.job);
        if (fgd_job_hold(call->manager, ref.job, ref.index, is_held, &call->problem) < 0)
                return -1;
        return answer_job(call, ref.id);
}

int fgd_handle_job_suspend(struct fgd_call *call)
{
        return hold(call, true);
}

int fgd_handle_job_resume(struct fgd_call *call)
{
        return hold(call, false);
}

/* --- what it writes --- */

static uint32_t attempt_of(struct fgd_call *call, const struct fgd_job_ref *ref, uint32_t index)
{
        const struct fgd_run *run = ref->job ? fgd_run_find(ref->job, index) : NULL;
        struct fgd_run_result result;
        if (run)
                return run->attempt;
        return fgd_store_get_run(call->manager->store, ref->id, index, &result) ? result.attempt : 0;
}

static int wait_for_more(struct fgd_call *call, const struct fgd_log_wish *wish, uint64_t seconds)
{
        int r = fgd_log_wait(call->manager, wish, (unsigned)seconds, call->request->later);
        if (r == 0)
                return 1;
        call->problem.retry_after_ms = 1000;
        if (r == -EBUSY)
                return fgd_problem_set(&call->problem, FGD_RATE_LIMITED, "too many requests wait for output: at most %u of one user, %u together; ask "
                                       "without \"wait\"", FGD_LOG_WAITERS_USER, FGD_LOG_WAITERS);
        return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
}

int fgd_handle_job_log(struct fgd_call *call)
{
        struct fgd_query q[] = {{"index"}, {"from"}, {"wait"}, {"limit"}};
        struct fgd_log_wish wish = {.user = call->who.user ? call->who.user->id : 0};
        struct fgd_job_ref ref;
        uint64_t seconds, piece;
        bool any;
        if (fgd_query_read(call, q, 4) < 0 || fgd_query_number(call, &q[1], 0, INT64_MAX, 0, &wish.from) < 0 ||
            fgd_query_number(call, &q[2], 0, FGD_LOG_WAIT_MAX, 0, &seconds) < 0 ||
            fgd_query_number(call, &q[3], 1, FGD_LOG_PIECE_MAX, FGD_LOG_PIECE_MAX, &piece) < 0 ||
            fgd_call_job(call, call->argument[0], q[0].value, &ref) < 0)
                return -1;
        if (ref.is_array && ref.index < 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "job %lld is an array: say whose output, %lld/%u or another", (long long)ref.id,
                                       (long long)ref.id, ref.first);
        const struct fgd_job named = {.id = ref.id, .is_array = ref.is_array, .first = ref.first};
        wish.job = ref.id;
        wish.index = ref.index < 0 ? 0 : (uint32_t)ref.index;
        wish.attempt = attempt_of(call, &ref, wish.index);
        wish.piece = (uint32_t)piece;
        fgd_run_folder(call->manager, &named, wish.index, wish.attempt, wish.folder, sizeof wish.folder);
        if (fgd_log_write(call->manager, &wish, &call->text, &any) < 0)
                return fgd_problem_set(&call->problem, FGD_STORAGE, "the output of job %lld cannot be read", (long long)ref.id);
        if (any || !seconds || !call->request->later)
                return 0;
        fgd_text_clear(&call->text);
        return wait_for_more(call, &wish, seconds);
}
