/* SPDX-License-Identifier: Apache-2.0
 * Spans as OTLP has them in JSON, one a line. A trace's id is made of what it is about, so that nothing has to be remembered. */
#include "daemon/trace_internal.h"

#include "daemon/jobs.h"
#include "daemon/manager.h"
#include "daemon/pages.h"
#include "daemon/tenants.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_MAX 16u /* of one vGPU; later ones are left out */

struct fgd_set_trace {
        int64_t made_ms;
        uint32_t count;
        struct {
                int64_t at_ms;
                const char *what;
        } event[EVENTS_MAX];
};

/* --- where to --- */

static bool is_url(const char *text)
{
        const char *rest = strncmp(text, "http://", 7) == 0 ? text + 7 : strncmp(text, "https://", 8) == 0 ? text + 8 : "";
        for (const char *c = text; *c; c++)
                if ((unsigned char)*c <= ' ' || *c == 0x7f)
                        return false;
        return *rest && *rest != '/' && *rest != ':';
}

/* An address for traces is taken as it is; others are those of all signals. Returns what was said; "": nothing. */
static const char *find_url(const struct fgd_manager *m, char *ret, size_t size)
{
        const char *option = m->options.text[FG_OPT_OTLP_ENDPOINT], *exact = getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
                   *base = getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
        if (!*option && exact && *exact) {
                snprintf(ret, size, "%s", exact);
                return exact;
        }
        base = *option ? option : base ? base : "";
        size_t n = strlen(base);
        snprintf(ret, size, "%.*s/v1/traces", (int)(n && base[n - 1] == '/' ? n - 1 : n), base);
        return base;
}

void fgd_trace_start(struct fgd_manager *m)
{
        struct fgd_trace *t = calloc(1, sizeof *t);
        if (!t)
                return;
        t->manager = m;
        gethostname(t->host, sizeof t->host - 1);
        const char *said = find_url(m, t->url, sizeof t->url);
        if (is_url(said) && strlen(said) < sizeof t->url / 2) {
                m->trace = t;
                return;
        }
        if (*said)
                fgd_manager_note(m, "no traces are sent: otlp-endpoint is to be an address such as http://localhost:4318, not \"%.80s\"", said);
        free(t);
}

void fgd_trace_free(struct fgd_manager *m)
{
        if (m->trace)
                fgd_trace_close(m->trace);
        free(m->trace);
        m->trace = NULL;
}

/* --- one span --- */

struct ids {
        char trace[33], span[17];
};

/* `kind` and what it is about make the span's id; `about` alone the trace's. */
static void make_ids(const char *about, const char *kind, uint32_t a, uint32_t b, struct ids *ret)
{
        unsigned char hash[16];
        char text[512];
        crypto_generichash(hash, sizeof hash, (const unsigned char *)about, strlen(about), NULL, 0);
        sodium_bin2hex(ret->trace, sizeof ret->trace, hash, 16);
        snprintf(text, sizeof text, "%s %s %u %u", about, kind, a, b);
        crypto_generichash(hash, sizeof hash, (const unsigned char *)text, strlen(text), NULL, 0);
        sodium_bin2hex(ret->span, sizeof ret->span, hash, 8);
}

static void about_job(const struct fgd_manager *m, int64_t id, int64_t submitted, char *ret, size_t size)
{
        snprintf(ret, size, "%s job %lld %lld", m->trace->host, (long long)id, (long long)submitted);
}

static void add_time(struct fgd_text *text, const char *name, int64_t ms)
{
        char number[32];
        snprintf(number, sizeof number, "%lld000000", (long long)(ms > 0 ? ms : 0));
        fgd_text_word(text, name, ms > 0 ? number : "0");
}

static void begin_span(struct fgd_text *text, const struct ids *ids, const char *parent, const char *name, int64_t from_ms, int64_t until_ms)
{
        fgd_text_add(text, "{");
        fgd_text_word(text, "traceId", ids->trace);
        fgd_text_word(text, "spanId", ids->span);
        if (parent)
                fgd_text_word(text, "parentSpanId", parent);
        fgd_text_word(text, "name", name);
        fgd_text_number(text, "kind", 1);
        add_time(text, "startTimeUnixNano", from_ms);
        add_time(text, "endTimeUnixNano", until_ms > from_ms ? until_ms : from_ms);
        fgd_text_name(text, "attributes");
        fgd_text_add(text, "[");
}

static void begin_attribute(struct fgd_text *text, const char *key)
{
        fgd_text_add(text, text->data[text->size - 1] == '[' ? "{" : ", {");
        fgd_text_word(text, "key", key);
        fgd_text_name(text, "value");
        fgd_text_add(text, "{");
}

static void add_text(struct fgd_text *text, const char *key, const char *value)
{
        begin_attribute(text, key);
        fgd_text_field(text, "stringValue", value);
        fgd_text_add(text, "}}");
}

static void add_number(struct fgd_text *text, const char *key, int64_t value)
{
        char number[24];
        begin_attribute(text, key);
        snprintf(number, sizeof number, "%lld", (long long)value);
        fgd_text_word(text, "intValue", number); /* as 64 bits are in OTLP's JSON */
        fgd_text_add(text, "}}");
}

static void add_owner(struct fgd_text *text, const struct fgd_project *project, const struct fgd_user *user)
{
        add_text(text, "fastgpu.project", project->name);
        if (user)
                add_text(text, "enduser.id", user->name);
}

/* What failed says so; of anything else nothing is known to be wrong. */
static void end_span(struct fgd_manager *m, struct fgd_text *text, bool has_failed, const char *why)
{
        fgd_text_add(text, "]");
        if (has_failed) {
                fgd_text_name(text, "status");
                fgd_text_add(text, "{");
                fgd_text_number(text, "code", 2);
                fgd_text_field(text, "message", why);
                fgd_text_add(text, "}");
        }
        fgd_text_add(text, "}\n");
        fgd_trace_send(m->trace, text);
        fgd_text_clear(text);
}

/* --- jobs --- */

void fgd_trace_job_over(struct fgd_manager *m, const struct fgd_job *job)
{
        struct fgd_text text = {0};
        char about[256];
        struct ids ids;
        enum fgd_job_state state = fgd_job_state_of(job);
        if (!m->trace)
                return;
        about_job(m, job->id, job->submitted, about, sizeof about);
        make_ids(about, "job", 0, 0, &ids);
        begin_span(&text, &ids, NULL, "job", job->submitted, job->ended ? job->ended : fgd_wall_ms());
        add_number(&text, "fastgpu.job.id", job->id);
        add_text(&text, "fastgpu.job.name", job->name);
        add_text(&text, "fastgpu.job.state", fgd_job_state_names[state]);
        add_owner(&text, job->project, job->owner);
        add_number(&text, "fastgpu.job.vgpus", job->gpus);
        add_number(&text, "fastgpu.vgpu.memory", (int64_t)job->memory);
        add_number(&text, "fastgpu.vgpu.share_permille", job->share);
        if (job->is_array)
                add_number(&text, "fastgpu.job.elements", job->count);
        end_span(m, &text, state == FGD_JOB_FAILED, "failed");
}

static void tell_queue(struct fgd_manager *m, const struct fgd_run *run, const char *about, const char *parent, int64_t until)
{
        const struct fgd_job *job = run->job;
        struct fgd_text text = {0};
        struct ids ids;
        int64_t since = job->not_before * 1000 > job->submitted ? job->not_before * 1000 : job->submitted;
        make_ids(about, "queue", run->index, 0, &ids);
        begin_span(&text, &ids, parent, "queue", since, until);
        if (job->is_array)
                add_number(&text, "fastgpu.job.index", job->first + run->index);
        end_span(m, &text, false, "");
}

void fgd_trace_run_over(struct fgd_manager *m, const struct fgd_run *run, const struct fgd_run_result *result)
{
        const struct fgd_job *job = run->job;
        struct fgd_text text = {0};
        char about[256];
        struct ids root, ids;
        if (!m->trace)
                return;
        about_job(m, job->id, job->submitted, about, sizeof about);
        make_ids(about, "job", 0, 0, &root);
        int64_t until = result->ended ? result->ended : fgd_wall_ms(), from = result->started ? result->started : until;
        if (run->attempt == 0)
                tell_queue(m, run, about, root.span, from);
        make_ids(about, "run", run->index, run->attempt, &ids);
        begin_span(&text, &ids, root.span, "run", from, until);
        add_number(&text, "fastgpu.job.attempt", run->attempt);
        if (job->is_array)
                add_number(&text, "fastgpu.job.index", job->first + run->index);
        add_text(&text, "fastgpu.job.state", fgd_job_state_names[result->state]);
        if (result->code >= 0)
                add_number(&text, "process.exit.code", result->code);
        if (result->signal >= 0)
                add_number(&text, "fastgpu.job.signal", result->signal);
        add_number(&text, "fastgpu.gpu_ns", (int64_t)result->gpu_ns);
        end_span(m, &text, result->state == FGD_JOB_FAILED, result->why);
}

/* --- vGPUs --- */

void fgd_trace_set_made(struct fgd_manager *m, struct fgd_set *set)
{
        if (m->trace && !set->trace && (set->trace = calloc(1, sizeof *set->trace)))
                set->trace->made_ms = fgd_wall_ms();
}

void fgd_trace_set_event(struct fgd_manager *m, struct fgd_set *set, const char *event)
{
        struct fgd_set_trace *t;
        if (!m->trace)
                return;
        if (!set->trace && (set->trace = calloc(1, sizeof *set->trace)))
                set->trace->made_ms = set->created * 1000; /* by a daemon before this one */
        t = set->trace;
        if (!t || t->count == EVENTS_MAX)
                return;
        t->event[t->count].at_ms = fgd_wall_ms();
        t->event[t->count++].what = event;
}

void fgd_set_trace_free(struct fgd_set_trace *trace)
{
        free(trace);
}

static void add_events(struct fgd_text *text, const struct fgd_set_trace *t)
{
        fgd_text_add(text, "], \"events\": [");
        for (uint32_t i = 0; t && i < t->count; i++) {
                fgd_text_add(text, i ? ", {" : "{");
                add_time(text, "timeUnixNano", t->event[i].at_ms);
                fgd_text_word(text, "name", t->event[i].what);
                fgd_text_add(text, "}");
        }
}

/* A job's is a part of its run. */
static void ids_of_set(const struct fgd_manager *m, const struct fgd_set *set, struct ids *ids, struct ids *ret_parent)
{
        char about[256], uuid[37];
        fgd_uuid_format(set->vgpu[0].uuid, uuid);
        ret_parent->span[0] = 0;
        snprintf(about, sizeof about, "vgpu %s", uuid);
        if (set->run) {
                about_job(m, set->run->job->id, set->run->job->submitted, about, sizeof about);
                make_ids(about, "run", set->run->index, set->run->attempt, ret_parent);
                make_ids(about, uuid, 0, 0, ids);
        } else {
                make_ids(about, "vgpu", 0, 0, ids);
        }
}

void fgd_trace_set_gone(struct fgd_manager *m, const struct fgd_set *set)
{
        struct fgd_text text = {0};
        struct ids ids, parent;
        if (!m->trace || !set->count)
                return;
        ids_of_set(m, set, &ids, &parent);
        begin_span(&text, &ids, parent.span[0] ? parent.span : NULL, "vgpu", set->trace ? set->trace->made_ms : set->created * 1000, fgd_wall_ms());
        add_text(&text, "fastgpu.vgpu.name", set->name);
        add_owner(&text, set->project, set->owner);
        add_number(&text, "fastgpu.vgpu.count", set->count);
        add_number(&text, "fastgpu.vgpu.memory", (int64_t)set->vgpu[0].memory);
        add_number(&text, "fastgpu.vgpu.share_permille", set->vgpu[0].share);
        if (set->vgpu[0].device)
                add_text(&text, "fastgpu.device.uuid", set->vgpu[0].device->uuid);
        if (set->job)
                add_number(&text, "fastgpu.job.id", set->job);
        add_events(&text, set->trace);
        end_span(m, &text, false, "");
}
