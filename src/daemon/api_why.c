/* SPDX-License-Identifier: Apache-2.0
 * /v1/why: why something waits, in one sentence, what would let it go, and when that will be, where it can be told. */
#include "daemon/api_jobs.h"

#include "base/size.h"
#include "daemon/jobs_budget.h"
#include "daemon/pairing.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct answer {
        const char *reason; /* stable */
        char text[400], remedy[256], prediction[FGD_LEARN_EXPLAIN];
        uint64_t start; /* us of the queue's clock; FG_QUEUE_UNKNOWN */
};

const char *const fgd_why_names[FGD_WHY_NAMES] = {
        [FG_QUEUE_GOES] = "goes",
        [FG_QUEUE_RUNS] = "runs",
        [FG_QUEUE_LEAVES] = "makes-room",
        [FG_QUEUE_HELD] = "held",
        [FG_QUEUE_NOT_BEFORE] = "not-before",
        [FG_QUEUE_QUOTA_JOBS] = "quota-jobs",
        [FG_QUEUE_QUOTA_VGPUS] = "quota-vgpus",
        [FG_QUEUE_QUOTA_MEMORY] = "quota-memory",
        [FG_QUEUE_QUOTA_SHARE] = "quota-share",
        [FG_QUEUE_NO_DEVICE] = "no-device",
        [FG_QUEUE_TOO_LARGE] = "too-large",
        [FG_QUEUE_NO_MEMORY] = "no-memory",
        [FG_QUEUE_NO_SHARE] = "no-share",
        [FG_QUEUE_BEHIND_CLASS] = "behind-class",
        [FG_QUEUE_BEHIND_SHARE] = "behind-share",
        [FG_QUEUE_BEHIND_OWN] = "behind-own",
        [FG_QUEUE_RESERVED] = "reserved",
        [FG_QUEUE_PREEMPTING] = "preempting",
        [FG_QUEUE_PASS_FULL] = "pass-full",
};

static char *share_format(uint64_t permille, char buf[32])
{
        snprintf(buf, 32, permille % 10 ? "%llu.%llu %%" : "%llu %%", (unsigned long long)permille / 10, (unsigned long long)permille % 10);
        return buf;
}

/* Others' jobs have names for those alone who may see them. */
static void name_other(const struct fgd_call *call, const struct fgd_run *run, char *ret, size_t size)
{
        char id[FGD_JOB_ID_SIZE];
        if (run && fgd_role_in(call->manager, &call->who, run->job->project) >= FGD_ROLE_VIEWER)
                snprintf(ret, size, "job %s (%s)", fgd_job_id(run->job, run->index, id), run->job->name);
        else
                snprintf(ret, size, "another job");
}

static void say_budget(struct fgd_call *call, const struct fgd_job *job, struct answer *a)
{
        const struct fgd_job_limit *limit = &job->budget->limit;
        char amount[64], spent[64];
        a->reason = "budget";
        snprintf(a->text, sizeof a->text, "its budget of %s is used up: %s were spent", fgd_job_limit_format(limit->amount, limit, amount, sizeof amount),
                 fgd_job_limit_format(fgd_job_spent(call->manager, job->id, limit), limit, spent, sizeof spent));
        snprintf(a->remedy, sizeof a->remedy, "raise it: fastgpu budget set %lld AMOUNT", (long long)job->id);
}

static void say_held(struct fgd_call *call, const struct fgd_run *run, struct answer *a)
{
        switch ((enum fgd_job_hold)run->hold) {
        case FGD_HOLD_OWNER:
                a->reason = "owner";
                snprintf(a->text, sizeof a->text, "its owner is disabled, or no longer a member of the project \"%s\"", run->job->project->name);
                snprintf(a->remedy, sizeof a->remedy, "a manager of the project can let him in again, or cancel the job");
                break;
        case FGD_HOLD_ORGANISATION:
                a->reason = "quota-organisation";
                snprintf(a->text, sizeof a->text, "a quota of the organisation is used up");
                snprintf(a->remedy, sizeof a->remedy, "it is tried again every minute, and starts when vGPUs are deleted or the quota is raised");
                break;
        case FGD_HOLD_FAILED:
                a->reason = "start-failed";
                snprintf(a->text, sizeof a->text, "it could not be started just now; the daemon's log says why");
                snprintf(a->remedy, sizeof a->remedy, "it is tried again within a minute");
                break;
        case FGD_HOLD_CROWDED:
                a->reason = "crowded";
                snprintf(a->text, sizeof a->text, "there is room, but only where programs would slow each other by more than slowdown-limit allows");
                snprintf(a->remedy, sizeof a->remedy, "it is tried again every minute, and starts when others have gone");
                break;
        case FGD_HOLD_BUDGET:
                if (run->job->budget)
                        return say_budget(call, run->job, a);
                break;
        default:
                snprintf(a->text, sizeof a->text, "it was suspended by a person");
                snprintf(a->remedy, sizeof a->remedy, "type: fastgpu resume %lld", (long long)run->job->id);
        }
}

static void say_quota(const struct fgd_run *run, const struct fg_queue_why *why, struct answer *a)
{
        static const char *const of[] = {"concurrent jobs", "vGPUs", "memory", "share"};
        char wanted[32], available[32], whose[160];
        unsigned key = (unsigned)why->reason - FG_QUEUE_QUOTA_JOBS;
        if (why->reason == FG_QUEUE_QUOTA_MEMORY) {
                fg_size_format(why->wanted, wanted, sizeof wanted);
                if (why->available)
                        fg_size_format(why->available, available, sizeof available);
                else
                        strcpy(available, "nothing");
        } else if (why->reason == FG_QUEUE_QUOTA_SHARE) {
                share_format(why->wanted, wanted);
                share_format(why->available, available);
        } else {
                snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)why->wanted);
                snprintf(available, sizeof available, "%llu", (unsigned long long)why->available);
        }
        if (why->of_user)
                snprintf(whose, sizeof whose, "\"%s\" in the project \"%s\"", run->job->owner ? run->job->owner->name : "operator", run->job->project->name);
        else
                snprintf(whose, sizeof whose, "the project \"%s\"", run->job->project->name);
        snprintf(a->text, sizeof a->text, "the quota of %s leaves %s of %s, and it needs %s", whose, available, of[key], wanted);
        snprintf(a->remedy, sizeof a->remedy, "it starts when other jobs of %s end or vGPUs are deleted, or when the quota is raised",
                 why->of_user ? "its owner" : "the project");
}

static void say_room(const struct fgd_run *run, const struct fg_queue_why *why, struct answer *a)
{
        const struct fgd_job *job = run->job;
        char wanted[32], available[32] = "nothing", missing[32];
        bool is_memory = why->reason == FG_QUEUE_NO_MEMORY;
        if (is_memory) {
                fg_size_format(why->wanted, wanted, sizeof wanted);
                if (why->available)
                        fg_size_format(why->available, available, sizeof available);
                fg_size_format(why->missing_memory ? why->missing_memory : 1, missing, sizeof missing);
        } else {
                share_format(why->wanted, wanted);
                share_format(why->available, available);
                share_format(why->missing_share, missing);
        }
        if (job->gpus > 1)
                snprintf(a->text, sizeof a->text, "%u of its %u vGPUs would fit now; the next needs %s of %s, and device %u has %s free", why->fits, job->gpus,
                         wanted, is_memory ? "memory" : "share", why->device, available);
        else
                snprintf(a->text, sizeof a->text, "it needs %s of %s, and the best device, %u, has %s free", wanted, is_memory ? "memory" : "share", why->device,
                         available);
        snprintf(a->remedy, sizeof a->remedy, "%s more must become free on device %u: a job ends there, vGPUs are deleted or made smaller, or it asks for "
                 "less", missing, why->device);
}

static void say_reason(struct fgd_call *call, const struct fgd_run *run, const struct fg_queue_why *why, struct answer *a)
{
        char other[128], when[32];
        name_other(call, why->other, other, sizeof other);
        int64_t ahead = ((int64_t)why->wanted - (int64_t)fgd_jobs_now(call->manager->jobs)) / 1000000;
        switch (why->reason) {
        case FG_QUEUE_GOES:
                snprintf(a->text, sizeof a->text, "it starts now");
                break;
        case FG_QUEUE_RUNS:
                snprintf(a->text, sizeof a->text, "%s", fgd_run_state(run) == FGD_JOB_STARTING ? "it is being started" : "it runs; it waits for nothing");
                break;
        case FG_QUEUE_LEAVES:
                snprintf(a->text, sizeof a->text, "it makes room for %s", other);
                break;
        case FG_QUEUE_HELD:
                say_held(call, run, a);
                break;
        case FG_QUEUE_NOT_BEFORE:
                snprintf(a->text, sizeof a->text, "it was submitted to start not before %s", fgd_date_format(fgd_wall_ms() / 1000 + ahead, when));
                break;
        case FG_QUEUE_QUOTA_JOBS:
        case FG_QUEUE_QUOTA_VGPUS:
        case FG_QUEUE_QUOTA_MEMORY:
        case FG_QUEUE_QUOTA_SHARE:
                say_quota(run, why, a);
                break;
        case FG_QUEUE_NO_DEVICE:
                snprintf(a->text, sizeof a->text, "the device it asks for is not there");
                snprintf(a->remedy, sizeof a->remedy, "\"fastgpu devices\" shows what is there, \"fastgpu doctor\" why something is not");
                break;
        case FG_QUEUE_TOO_LARGE:
                snprintf(a->text, sizeof a->text, "it does not fit, even if nothing else ran: %u vGPU%s of this size are more than the devices can carry", run->job->gpus,
                         run->job->gpus == 1 ? "" : "s");
                snprintf(a->remedy, sizeof a->remedy, "cancel it and ask for less");
                break;
        case FG_QUEUE_NO_MEMORY:
        case FG_QUEUE_NO_SHARE:
                say_room(run, why, a);
                break;
        case FG_QUEUE_BEHIND_CLASS:
                snprintf(a->text, sizeof a->text, "the room goes to %s, which has a higher priority", other);
                break;
        case FG_QUEUE_BEHIND_SHARE:
                snprintf(a->text, sizeof a->text, "the room goes to %s: its project has used less of what is its due", other);
                break;
        case FG_QUEUE_BEHIND_OWN:
                snprintf(a->text, sizeof a->text, "the room goes to jobs of its own project that come before it, %s first", other);
                break;
        case FG_QUEUE_RESERVED:
                snprintf(a->text, sizeof a->text, "there is room, and it is kept for %s, which has waited for longer and needs more", other);
                snprintf(a->remedy, sizeof a->remedy, "with a time limit that ends before that one starts, it could go first: --time-limit");
                break;
        case FG_QUEUE_PREEMPTING:
                snprintf(a->text, sizeof a->text, "jobs of a lower priority are being suspended for it");
                break;
        case FG_QUEUE_PASS_FULL:
                snprintf(a->text, sizeof a->text, "many jobs start just now; it is looked at in a moment");
                break;
        }
}

static int ask_queue(struct fgd_call *call, const struct fgd_run *run, struct answer *a)
{
        struct fg_queue_device device[FGD_DEVICES_MAX];
        struct fg_queue_scene scene;
        struct fg_queue_why why;
        fgd_jobs_settle_accounts(call->manager);
        fgd_jobs_scene(call->manager, device, &scene);
        if (fg_queue_why(call->manager->jobs->queue, &scene, run->entry, &why) < 0)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        a->reason = fgd_why_names[why.reason];
        a->start = why.start;
        say_reason(call, run, &why, a);
        return 0;
}

/* Of an array: the first that waits speaks for those behind it. */
static const struct fgd_run *pick(const struct fgd_job_ref *ref)
{
        const struct fgd_run *run;
        if (ref->index >= 0)
                return fgd_run_find(ref->job, (uint32_t)ref->index);
        TAILQ_FOREACH(run, &ref->job->runs, of_job)
                if (!run->active)
                        return run;
        return TAILQ_FIRST(&ref->job->runs);
}

static void say_stands_behind(const struct fgd_job *job, struct answer *a)
{
        if (job->at_once && job->queued + job->active >= job->at_once) {
                a->reason = "at-once";
                snprintf(a->text, sizeof a->text, "its array runs at most %u elements at once, and %u of them run or come first", job->at_once,
                         job->active + job->queued);
                snprintf(a->remedy, sizeof a->remedy, "it starts when elements before it end");
        } else {
                a->reason = "behind-own";
                snprintf(a->text, sizeof a->text, "elements of its array come first");
        }
}

static int explain_live(struct fgd_call *call, const struct fgd_job_ref *ref, struct answer *a)
{
        const struct fgd_run *run = pick(ref);
        struct fgd_run_result result;
        if (run && run->entry && !ref->job->is_cancelling)
                return ask_queue(call, run, a);
        if (ref->job->is_cancelling || run) {
                a->reason = "stopping";
                snprintf(a->text, sizeof a->text, "it is being ended");
        } else if (ref->index >= 0 && fgd_store_get_run(call->manager->store, ref->id, (uint32_t)ref->index, &result)) {
                a->reason = fgd_job_state_names[result.state];
                snprintf(a->text, sizeof a->text, "it is over: %s%s%s", fgd_job_state_names[result.state], result.why[0] ? ": " : "", result.why);
        } else {
                say_stands_behind(ref->job, a);
        }
        return 0;
}

static void explain_over(struct fgd_call *call, const struct fgd_job_ref *ref, struct answer *a)
{
        struct fgd_run_result result = {.state = FGD_JOB_CANCELLED};
        fgd_store_get_run(call->manager->store, ref->id, ref->index < 0 ? 0 : (uint32_t)ref->index, &result);
        a->reason = "ended";
        if (ref->is_array && ref->index < 0)
                snprintf(a->text, sizeof a->text, "it is over; \"fastgpu jobs %lld\" shows how each element ended", (long long)ref->id);
        else
                snprintf(a->text, sizeof a->text, "it is over: %s%s%s", fgd_job_state_names[result.state], result.why[0] ? ": " : "", result.why);
}

static void write_answer(struct fgd_call *call, const char *name, const char *state, const struct answer *a)
{
        const struct fgd_jobs *jobs = call->manager->jobs;
        char when[32];
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "name", name);
        fgd_text_field(&call->text, "state", state);
        fgd_text_field(&call->text, "reason", a->reason);
        fgd_text_field(&call->text, "text", a->text);
        if (a->remedy[0])
                fgd_text_field(&call->text, "remedy", a->remedy);
        if (a->prediction[0])
                fgd_text_field(&call->text, "prediction", a->prediction);
        if (a->start != FG_QUEUE_UNKNOWN) {
                int64_t ahead = (int64_t)(a->start - fgd_jobs_now(jobs)) / 1000;
                fgd_text_field(&call->text, "start", fgd_time_format(fgd_wall_ms() + ahead, when));
        }
        fgd_text_add(&call->text, "}\n");
}

static int state_row(void *user, const struct fgd_store_job *row)
{
        struct fgd_call *call = user;
        call->wish = fgd_job_state_names[fgd_job_state_now(call->manager, row)];
        return 0;
}

/* Of an array of which some run, the element that speaks is told of by its own name: all of it neither waits nor only runs, unless all is being ended. */
static struct fgd_job_ref whom(const struct fgd_job_ref *asked)
{
        struct fgd_job_ref ref = *asked;
        const struct fgd_run *run = ref.is_array && ref.index < 0 && ref.job && ref.job->active && !ref.job->is_cancelling ? pick(&ref) : NULL;
        if (run && !run->active)
                ref.index = run->index;
        return ref;
}

static int why_job(struct fgd_call *call, const struct fgd_job_ref *asked)
{
        const struct fgd_job_ref whose = whom(asked), *ref = &whose;
        struct answer a = {.start = FG_QUEUE_UNKNOWN, .reason = "runs"};
        const struct fgd_run *run = ref->job && ref->index >= 0 ? fgd_run_find(ref->job, (uint32_t)ref->index) : NULL;
        char name[FGD_JOB_ID_SIZE];
        if (ref->job && explain_live(call, ref, &a) < 0)
                return -1;
        if (ref->job)
                fgd_learn_explain(call->manager, ref->job, a.prediction);
        else
                explain_over(call, ref, &a);
        if (ref->index >= 0)
                snprintf(name, sizeof name, "%lld/%lld", (long long)ref->id, (long long)(ref->first + ref->index));
        else
                snprintf(name, sizeof name, "%lld", (long long)ref->id);
        call->wish = "queued";
        fgd_store_get_job(call->manager->store, ref->id, state_row, call, NULL);
        const char *state = run ? fgd_job_state_names[fgd_run_state(run)] : call->wish;
        call->wish = NULL;
        write_answer(call, name, state, &a);
        return 0;
}

static int why_set(struct fgd_call *call, const struct fgd_set *set)
{
        struct answer a = {.start = FG_QUEUE_UNKNOWN, .reason = "ready"};
        uint32_t quarantined = 0, lost = 0;
        for (uint32_t i = 0; i < set->count; i++) {
                quarantined += set->vgpu[i].quarantined;
                lost += set->vgpu[i].device && !set->vgpu[i].device->present;
        }
        if (quarantined) {
                a.reason = "quarantined";
                snprintf(a.text, sizeof a.text, "%u of its vGPUs are quarantined: the store was damaged, or they no longer fit their device", quarantined);
                snprintf(a.remedy, sizeof a.remedy, "\"fastgpu doctor\" says why; delete \"%s\" and create it again", set->name);
        } else if (lost) {
                a.reason = "lost";
                snprintf(a.text, sizeof a.text, "the device under it has vanished");
                snprintf(a.remedy, sizeof a.remedy, "\"fastgpu devices\" shows what is there");
        } else if (set->is_paused) {
                a.reason = "suspended";
                snprintf(a.text, sizeof a.text, "%s suspended: its memory is kept, its share is free for others", set->job ? "its job is" : "it is");
                if (!set->job)
                        snprintf(a.remedy, sizeof a.remedy, "fastgpu resume %s", set->name);
        } else {
                snprintf(a.text, sizeof a.text, "it waits for nothing: programs can run in it");
                fgd_pairing_explain(call->manager, set, a.prediction);
        }
        write_answer(call, set->name, a.reason, &a);
        return 0;
}

int fgd_handle_why(struct fgd_call *call)
{
        struct fgd_query q[] = {{"project"}};
        struct fgd_job_ref ref;
        struct fgd_set *set;
        const char *name = call->argument[0];
        int64_t index;
        if (fgd_query_read(call, q, 1) < 0)
                return -1;
        if (isdigit((unsigned char)*name) && strspn(name, "0123456789/") == strlen(name) && fgd_call_job(call, name, "", &ref) == 0)
                return why_job(call, &ref);
        struct fgd_problem no_job = call->problem;
        if (fgd_call_target(call, name, q[0].value, &set, &index) == 0)
                return why_set(call, set);
        if (no_job.type == FGD_NOT_FOUND && no_job.detail[0])
                call->problem = no_job;
        return -1;
}
