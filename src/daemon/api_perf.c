/* SPDX-License-Identifier: Apache-2.0
 * /v1/perf and /v1/devices/ID/calibration. */
#include "daemon/api_internal.h"

#include "base/size.h"
#include "daemon/api_body.h"
#include "daemon/metering_internal.h"
#include "daemon/tenants.h"

#include <stdio.h>
#include <string.h>

static const char *const window_name[FGD_PERF_WINDOWS] = {"minute", "hour", "day", "life"};

struct reading {
        struct fgd_call *call;
        enum fgd_perf_window window;
        int64_t now; /* unix s */
        unsigned written;
};

static int read_window(struct fgd_call *call, const struct fgd_query *query, struct reading *ret)
{
        *ret = (struct reading){.call = call, .window = FGD_PERF_HOUR, .now = fgd_metering_now(call->manager) / 1000000};
        for (unsigned i = 0; query->is_given && i < FGD_PERF_WINDOWS; i++)
                if (strcmp(query->value, window_name[i]) == 0) {
                        ret->window = (enum fgd_perf_window)i;
                        return 0;
                }
        if (!query->is_given)
                return 0;
        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"window\" is minute, hour, day or life, not \"%.40s\"", query->value);
}

static void write_factor(struct fgd_text *text, const char *name, bool is_known, double value)
{
        if (!is_known)
                return;
        fgd_text_name(text, name);
        fgd_text_addf(text, "%.9g", value);
}

static void add_reason(struct fgd_text *text, const char *factor, const char *reason, bool *any)
{
        fgd_text_addf(text, "%s\"%s\": \"%s\"", *any ? ", " : "", factor, reason);
        *any = true;
}

/* What is not known is not 0 and not 1: it is left out, and why is said. */
static void write_reasons(struct fgd_text *text, const struct fgd_perf_sum *sum, const struct fg_perf *f)
{
        bool any = false;
        fgd_text_name(text, "why_not");
        fgd_text_add(text, "{");
        if (!f->has_s)
                add_reason(text, "s", "nothing was wanted", &any);
        if (!f->has_u)
                add_reason(text, "u", "nothing was held", &any);
        if (!f->has_v)
                add_reason(text, "v", sum->unknown ? "the device is not calibrated (fastgpu bench)" : "nothing ran", &any);
        if (!f->has_alpha)
                add_reason(text, "alpha", sum->unknown ? "V is not known" : "nothing ran", &any);
        if (!f->has_p)
                add_reason(text, "p", "a factor is not known", &any);
        fgd_text_add(text, "}");
}

static void write_counters(struct fgd_text *text, const struct fgd_perf_sum *sum)
{
        const struct fg_perf_counters *c = &sum->counters;
        fgd_text_name(text, "counters_ns");
        fgd_text_add(text, "{");
        fgd_text_number(text, "n0", c->servable);
        fgd_text_number(text, "n1", c->occupied);
        fgd_text_number(text, "n2", c->busy);
        if (!sum->unknown) {
                fgd_text_number(text, "n3", c->native);
                fgd_text_number(text, "n4", c->kept);
        }
        fgd_text_add(text, "}");
}

static void write_row(struct reading *r, const char *kind, const char *name, struct fgd_perf_sum sum)
{
        struct fgd_text *text = &r->call->text;
        struct fg_perf f;
        fgd_perf_evaluate(&sum, &f);
        fgd_text_add(text, r->written++ ? ", {" : "{");
        fgd_text_field(text, "kind", kind);
        fgd_text_field(text, "name", name);
        write_factor(text, "p", f.has_p, f.p);
        write_factor(text, "alpha", f.has_alpha, f.alpha);
        write_factor(text, "u", f.has_u, f.u);
        write_factor(text, "s", f.has_s, f.s);
        write_factor(text, "v", f.has_v, f.v);
        write_counters(text, &sum);
        write_reasons(text, &sum, &f);
        fgd_text_add(text, "}");
}

/* NULL: nothing was metered. */
static struct fgd_perf_sum sum_of(const struct reading *r, struct fgd_perf *perf)
{
        return perf ? fgd_perf_get(perf, r->now, r->window) : (struct fgd_perf_sum){0};
}

static void write_begin(struct reading *r)
{
        fgd_text_add(&r->call->text, "{");
        fgd_text_field(&r->call->text, "window", window_name[r->window]);
        fgd_text_name(&r->call->text, "perf");
        fgd_text_add(&r->call->text, "[");
}

static void write_devices(struct reading *r)
{
        const struct fgd_manager *m = r->call->manager;
        for (uint32_t i = 0; i < m->devices; i++) {
                char name[16];
                snprintf(name, sizeof name, "%u", i);
                write_row(r, "device", name, sum_of(r, &m->metering->device[i].perf));
        }
}

int fgd_handle_perf(struct fgd_call *call)
{
        struct fgd_query query[] = {{"window"}, {"project"}};
        struct fgd_project *only = NULL, *project;
        struct reading r;
        if (fgd_query_read(call, query, 2) < 0 || read_window(call, &query[0], &r) < 0 ||
            (query[1].value[0] && fgd_call_project(call, query[1].value, &only) < 0))
                return -1;
        write_begin(&r);
        if (!only && fgd_is_admin(&call->who))
                write_devices(&r);
        TAILQ_FOREACH(project, &call->manager->tenants->projects, order)
                if (project == only || (!only && fgd_role_in(call->manager, &call->who, project) >= FGD_ROLE_VIEWER))
                        write_row(&r, "project", project->name, sum_of(&r, project->perf));
        fgd_text_add(&call->text, "]}\n");
        return 0;
}

int fgd_handle_perf_vgpu(struct fgd_call *call)
{
        struct fgd_query query[] = {{"window"}, {"project"}};
        struct fgd_set *set;
        struct reading r;
        int64_t index;
        if (fgd_query_read(call, query, 2) < 0 || read_window(call, &query[0], &r) < 0 ||
            fgd_call_target(call, call->argument[0], query[1].value, &set, &index) < 0)
                return -1;
        write_begin(&r);
        for (uint32_t i = 0; i < set->count; i++) {
                char name[80];
                snprintf(name, sizeof name, "%s/%u", set->name, i);
                if (index < 0 || index == i)
                        write_row(&r, "vgpu", name, set->vgpu[i].meter ? fgd_meter_perf(set->vgpu[i].meter, r.now, r.window) : sum_of(&r, NULL));
        }
        fgd_text_add(&call->text, "]}\n");
        return 0;
}

int fgd_handle_calibration(struct fgd_call *call)
{
        static const char *const known[] = {"native_ppm", NULL};
        struct fgd_manager *m = call->manager;
        fgd_autojson json_t *body = NULL;
        struct fg_error err = {0};
        uint64_t id;
        bool given = false;
        int64_t ppm = 0;
        if (fgd_query_none(call) < 0 || fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            fgd_body_number(body, "native_ppm", 0, FGD_NATIVE_MAX, &given, &ppm, &call->problem) < 0)
                return -1;
        if (!given)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"native_ppm\" is missing: millionths of the bare device's speed, 0: not known");
        if (fg_count_parse("device", call->argument[0], 0, FGD_DEVICES_MAX, &id, NULL) < 0 || id >= m->devices)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no device \"%.20s\"; \"fastgpu devices\" shows what there is",
                                       call->argument[0]);
        if (fgd_perf_calibrate(m, m->device[id], (uint32_t)ppm, &err) < 0)
                return fgd_problem_set(&call->problem, FGD_STORAGE, "the calibration was not kept: %s", err.text);
        fgd_text_add(&call->text, "{");
        fgd_text_number(&call->text, "device", id);
        fgd_text_number(&call->text, "native_ppm", (uint64_t)ppm);
        fgd_text_add(&call->text, "}\n");
        return 0;
}
