/* SPDX-License-Identifier: Apache-2.0
 * GET /v1/placement: where vGPUs would go now, and why not elsewhere. Nothing is made, and no quota is asked. */
#include "daemon/api_internal.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/api_body.h"
#include "daemon/pairing.h"
#include "daemon/placing.h"
#include "sched/placer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const fates[] = {[FG_SCHED_CHOSEN] = "chosen",       [FG_SCHED_UNUSABLE] = "not-usable", [FG_SCHED_CROWDED] = "crowded", [FG_SCHED_NO_MEMORY] = "no-memory",
                                    [FG_SCHED_NO_SHARE] = "no-share",   [FG_SCHED_LAST] = "last",  [FG_SCHED_OF_SET] = "of-set",       [FG_SCHED_LESS] = "less",
                                    [FG_SCHED_SLOWER] = "slower",       [FG_SCHED_TIE] = "tie"};

/* One question and all that was found. */
struct inquiry {
        const struct fgd_create *create;
        struct fg_sched_device device[FGD_DEVICES_MAX];
        struct fg_sched_verdict *verdict; /* of each vGPU, a row of them */
        uint32_t at[FGD_EXPLAIN_MAX];
        struct fg_sched_misfit misfit;
        bool fits;
};

static uint32_t winner(const struct fgd_manager *m, const struct inquiry *q, uint32_t vgpu)
{
        uint32_t d = 0;
        while (d + 1 < m->devices && q->verdict[vgpu * m->devices + d].fate != FG_SCHED_CHOSEN)
                d++;
        return d;
}

static bool is_whole(const struct inquiry *q, uint32_t d, const struct fg_sched_verdict *v)
{
        return v->share == FGD_SHARE_WHOLE && v->memory == q->device[d].memory;
}

static void say_less(const struct fgd_manager *m, const struct inquiry *q, uint32_t vgpu, uint32_t d, const struct fg_sched_verdict *v, char *ret,
                     size_t size)
{
        const struct fg_sched_want *want = &q->create->want[vgpu];
        if (!want->memory || !want->share)
                snprintf(ret, size, "has less free, and an amount that is not said is a part of what is free");
        else if (strcmp(fg_placer_policy(m->placer)->name, "spread") == 0)
                snprintf(ret, size, "has less free");
        else if (is_whole(q, d, v))
                snprintf(ret, size, "is kept whole for who wants all of it");
        else
                snprintf(ret, size, "what it has free is worth more to others");
}

static void say(const struct fgd_manager *m, const struct inquiry *q, uint32_t vgpu, uint32_t d, char *ret, size_t size)
{
        const struct fg_sched_verdict *v = &q->verdict[vgpu * m->devices + d];
        const struct fg_sched_want *want = &q->create->want[vgpu];
        char wanted[32] = "some";
        if (want->memory)
                fg_size_format(want->memory, wanted, sizeof wanted);
        switch (v->fate) {
        case FG_SCHED_CHOSEN:
                snprintf(ret, size, "is where it goes");
                return;
        case FG_SCHED_UNUSABLE:
                snprintf(ret, size, "%s", m->device[d]->present ? "is not the one asked for" : "has vanished");
                return;
        case FG_SCHED_CROWDED:
                snprintf(ret, size, "programs there and this would slow each other by more than slowdown-limit allows");
                return;
        case FG_SCHED_NO_MEMORY:
                snprintf(ret, size, "has too little memory free: it wants %s", wanted);
                return;
        case FG_SCHED_NO_SHARE:
                snprintf(ret, size, want->share ? "has too little compute free: it wants %u.%u %%" : "has no compute free", want->share / 10,
                         want->share % 10);
                return;
        case FG_SCHED_LAST:
                snprintf(ret, size, "is no GPU, and a GPU has room or is only crowded");
                return;
        case FG_SCHED_OF_SET:
                snprintf(ret, size, "has more of this set than another with room");
                return;
        case FG_SCHED_LESS:
                say_less(m, q, vgpu, d, v, ret, size);
                return;
        case FG_SCHED_SLOWER:
                snprintf(ret, size, "is as good, but programs there and this would slow each other more");
                return;
        case FG_SCHED_TIE:
                snprintf(ret, size, "is as good, and device %u comes first", winner(m, q, vgpu));
        }
}

static void write_device(const struct fgd_manager *m, const struct inquiry *q, uint32_t vgpu, uint32_t d, struct fgd_text *text)
{
        const struct fg_sched_verdict *v = &q->verdict[vgpu * m->devices + d];
        char why[160] = "";
        say(m, q, vgpu, d, why, sizeof why);
        fgd_text_add(text, d ? ", {" : "{");
        fgd_text_number(text, "device", d);
        fgd_text_field(text, "model", m->device[d]->model);
        fgd_text_word(text, "fate", fates[v->fate]);
        fgd_text_field(text, "why", why);
        fgd_text_number(text, "memory_free", v->memory);
        fgd_text_number(text, "share_free", v->share);
        fgd_text_add(text, "}");
}

/* Of a set that does not fit, those up to the first that found no place. */
static void write_answer(const struct fgd_manager *m, const struct inquiry *q, struct fgd_text *text)
{
        uint32_t count = q->fits ? q->create->gpus : (uint32_t)q->misfit.failed + 1;
        fgd_text_add(text, "{");
        fgd_text_word(text, "policy", fg_placer_policy(m->placer)->name);
        fgd_text_bool(text, "fits", q->fits);
        fgd_text_name(text, "vgpus");
        fgd_text_add(text, "[");
        for (uint32_t i = 0; i < count; i++) {
                fgd_text_add(text, i ? ", {" : "{");
                if (q->fits)
                        fgd_text_number(text, "device", q->at[i]);
                fgd_text_name(text, "devices");
                fgd_text_add(text, "[");
                for (uint32_t d = 0; d < m->devices; d++)
                        write_device(m, q, i, d, text);
                fgd_text_add(text, "]}");
        }
        fgd_text_add(text, "]}\n");
}

static int explain(struct fgd_call *call, const struct fgd_create *create)
{
        const struct fgd_manager *m = call->manager;
        fg_autofree struct inquiry *q = calloc(1, sizeof *q);
        fg_autofree struct fg_sched_verdict *verdict = calloc((size_t)create->gpus * (m->devices + 1), sizeof *verdict);
        if (!q || !verdict)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        q->create = create;
        q->verdict = verdict;
        if (fgd_placing_devices(call->manager, create->device, fgd_pairing_class(create->project, create->name), q->device, &call->problem) < 0)
                return -1;
        int r = fg_sched_explain(m->placer, q->device, m->devices, create->want, create->gpus, q->at, verdict, &q->misfit);
        if (r == -ENOMEM)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        q->fits = r == 0;
        write_answer(m, q, &call->text);
        return 0;
}

/* "1G,2G" as the list that a body has. */
static json_t *list_of(const char *value)
{
        json_t *list = json_array();
        for (const char *at = value; list; at++) {
                size_t size = strcspn(at, ",");
                json_array_append_new(list, json_stringn(at, size));
                at += size;
                if (!*at)
                        break;
        }
        return list;
}

/* The query as a body, so that both are read alike. */
static json_t *body_of(const struct fgd_query *gpus, const struct fgd_query *memory, const struct fgd_query *compute,
                       const struct fgd_query *device)
{
        json_t *body = json_object();
        if (gpus->is_given && strspn(gpus->value, "0123456789") == strlen(gpus->value) && strlen(gpus->value) < 10)
                json_object_set_new(body, "gpus", json_integer(atoi(gpus->value)));
        else if (gpus->is_given)
                json_object_set_new(body, "gpus", json_string(gpus->value));
        if (memory->is_given)
                json_object_set_new(body, "memory", list_of(memory->value));
        if (compute->is_given)
                json_object_set_new(body, "compute", list_of(compute->value));
        if (device->is_given)
                json_object_set_new(body, "device", json_string(device->value));
        return body;
}

/* JSON has nothing else. */
static int check_text(struct fgd_call *call, const struct fgd_query *query, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                fgd_autojson json_t *text = query[i].is_given ? json_string(query[i].value) : NULL;
                if (query[i].is_given && !text)
                        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"%s\" is not UTF-8 text", query[i].name);
        }
        return 0;
}

int fgd_handle_placement(struct fgd_call *call)
{
        struct fgd_query query[] = {{"gpus"}, {"memory"}, {"compute"}, {"device"}, {"project"}, {"name"}};
        fgd_autojson json_t *body = NULL;
        FG_CLEANUP(fgd_wants_clear) struct fgd_wants w = {0};
        struct fgd_create c = {0};
        struct fg_error err = {0};
        if (fgd_query_read(call, query, 6) < 0 || check_text(call, query, 6) < 0)
                return -1;
        if (query[5].is_given && fg_name_check(query[5].value, &err) < 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"name\": %s", err.text);
        if (fgd_call_project(call, query[4].value, &c.project) < 0)
                return -1;
        body = body_of(&query[0], &query[1], &query[2], &query[3]);
        if (!body)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        if (fgd_body_count(body, &c.gpus, &call->problem) < 0)
                return -1;
        if (c.gpus > FGD_EXPLAIN_MAX)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"gpus\" is %u: of at most %u vGPUs it is said where they would go", c.gpus,
                                       FGD_EXPLAIN_MAX);
        if (fgd_body_device(call, body, &c.device) < 0 || fgd_wants_read(call, body, c.gpus, c.device, NULL, &w) < 0)
                return -1;
        c.want = w.want;
        snprintf(c.name, sizeof c.name, "%s", query[5].value);
        return explain(call, &c);
}
