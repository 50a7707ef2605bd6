/* SPDX-License-Identifier: Apache-2.0
 * /v1/…/history and /v1/history: what was used, over time. */
#include "daemon/api_history.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "bill/when.h"
#include "daemon/metering.h"
#include "daemon/tenants.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-id128.h>

#define DAY      86400
#define SET_MAX  64  /* vGPUs of a set that are added up */
#define PAGE_MAX 200 /* rows of the summary */

static int64_t now_of(const struct fgd_call *call)
{
        return fgd_metering_now(call->manager) / 1000000;
}

/* Unix seconds, or as people write it. */
static int read_time(struct fgd_call *call, const struct fgd_query *query, int64_t standard, int64_t *ret)
{
        struct fg_error err = {0};
        uint64_t seconds;
        *ret = standard;
        if (!query->is_given)
                return 0;
        if (strspn(query->value, "0123456789") == strlen(query->value)) {
                if (fg_count_parse(query->name, query->value, 0, 253402300799, &seconds, &err) < 0)
                        return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
                *ret = (int64_t)seconds;
                return 0;
        }
        if (fg_bill_when_parse(query->value, ret, &err) < 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"%s\" is a time such as 1795860000, 2026-11-01 or 2026-11-01T08:30Z, not \"%.40s\"",
                                       query->name, query->value);
        return 0;
}

static int read_span(struct fgd_call *call, const struct fgd_query *from, const struct fgd_query *until, struct fgd_history_range *ret)
{
        char buf[FG_BILL_WHEN_MAX];
        int64_t now = now_of(call);
        if (read_time(call, until, now, &ret->until) < 0 || read_time(call, from, (ret->until < now ? ret->until : now) - DAY, &ret->from) < 0)
                return -1;
        if (ret->from >= ret->until)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"from\" has to be before \"until\"");
        if (ret->from >= now)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"from\" is in the future: here it is %s", fg_bill_when_format(now, buf));
        if (ret->until - ret->from > FGD_HISTORY_DAYS_MAX * (int64_t)DAY)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "these are %lld days; at most %d can be asked for at once, and %d are kept",
                                       (long long)(ret->until - ret->from) / DAY, FGD_HISTORY_DAYS_MAX, FGD_HISTORY_KEEP_S / DAY);
        if (ret->until > now)
                ret->until = now;
        return 0;
}

static void align(struct fgd_history_range *range)
{
        range->from -= range->from % range->step;
        range->until += (range->step - range->until % range->step) % range->step;
}

static int64_t points_of(const struct fgd_history_range *range)
{
        return (range->until - range->from) / range->step;
}

/* As fine as a picture shows; hours where minutes are no more. */
static int64_t choose_step(struct fgd_call *call, const struct fgd_history_range *range)
{
        static const int64_t steps[] = {60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, DAY};
        int64_t least = range->from < fgd_history_minutes_from(call->manager) ? FGD_HISTORY_HOUR : FGD_HISTORY_MINUTE;
        size_t i = 0;
        while (i + 1 < sizeof steps / sizeof *steps && (steps[i] < least || (range->until - range->from) / steps[i] > 720))
                i++;
        return steps[i];
}

static int read_range(struct fgd_call *call, const struct fgd_query query[3], struct fgd_history_range *ret)
{
        uint64_t step;
        if (read_span(call, &query[0], &query[1], ret) < 0 || fgd_query_number(call, &query[2], 60, FGD_HISTORY_DAYS_MAX * (uint64_t)DAY, 0, &step) < 0)
                return -1;
        if (step % 60)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"step\" is in seconds, and a multiple of 60, not %llu", (unsigned long long)step);
        ret->step = step ? (int64_t)step : choose_step(call, ret);
        align(ret);
        if (points_of(ret) > FGD_HISTORY_POINTS)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "these are %lld points; at most %u can be asked for at once: take a \"step\" of %lld",
                                       (long long)points_of(ret), FGD_HISTORY_POINTS, (long long)choose_step(call, ret));
        return 0;
}

static int trouble(struct fgd_call *call, int r, const struct fg_error *err)
{
        if (!call->manager->history)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "%s", err->text);
        return fgd_problem_set(&call->problem, r == -ENOMEM ? FGD_INTERNAL : FGD_STORAGE, "the history cannot be read: %s", err->text);
}

static int get(struct fgd_call *call, enum fgd_history_kind kind, const char *key, const struct fgd_history_range *range,
               struct fgd_history_answer *ret)
{
        struct fg_error err = {0};
        ret->point = calloc((size_t)points_of(range) + 1, sizeof *ret->point);
        if (!ret->point)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        int r = fgd_history_get(call->manager, kind, key, range, ret, &err);
        return r < 0 ? trouble(call, r, &err) : 0;
}

static void clear(struct fgd_history_answer *answer)
{
        free(answer->point);
}

static int answer_one(struct fgd_call *call, const struct fgd_history_subjects_of *about, const char *key, const struct fgd_query query[4])
{
        FG_CLEANUP(clear) struct fgd_history_answer answer = {0};
        struct fgd_history_range range;
        if (read_range(call, query, &range) < 0 || get(call, about->kind, key, &range, &answer) < 0)
                return -1;
        return fgd_history_write(call, about, &range, &answer, query[3].value);
}

int fgd_handle_history_device(struct fgd_call *call)
{
        struct fgd_query query[] = {{"from"}, {"until"}, {"step"}, {"series"}};
        const struct fgd_manager *m = call->manager;
        uint64_t id;
        if (fgd_query_read(call, query, 4) < 0)
                return -1;
        if (fg_count_parse("device", call->argument[0], 0, FGD_DEVICES_MAX, &id, NULL) < 0 || id >= m->devices)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no device \"%.20s\"; \"fastgpu devices\" shows what there is",
                                       call->argument[0]);
        char name[16];
        snprintf(name, sizeof name, "%u", (unsigned)id);
        const struct fgd_history_subjects_of about = {FGD_HISTORY_DEVICE, "device", name, "", m->device[id]->uuid};
        return answer_one(call, &about, m->device[id]->uuid, query);
}

int fgd_handle_history_project(struct fgd_call *call)
{
        struct fgd_query query[] = {{"from"}, {"until"}, {"step"}, {"series"}};
        struct fgd_project *project;
        if (fgd_query_read(call, query, 4) < 0 || fgd_call_project(call, call->argument[0], &project) < 0)
                return -1;
        const struct fgd_history_subjects_of about = {FGD_HISTORY_PROJECT, "project", project->name, project->name, ""};
        return answer_one(call, &about, project->name, query);
}

/* All of a set, added up; a point is known where one of them is. */
static int answer_set(struct fgd_call *call, const struct fgd_set *set, const struct fgd_query query[4])
{
        FG_CLEANUP(clear) struct fgd_history_answer sum = {0};
        struct fgd_history_range range;
        char uuid[37];
        if (set->count > SET_MAX)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"%s\" has %u vGPUs; up to %d are added up: ask for one, such as %s/0", set->name,
                                       set->count, SET_MAX, set->name);
        if (read_range(call, query, &range) < 0)
                return -1;
        for (uint32_t i = 0; i < set->count; i++) {
                FG_CLEANUP(clear) struct fgd_history_answer one = {0};
                if (get(call, FGD_HISTORY_VGPU, fgd_uuid_format(set->vgpu[i].uuid, uuid), &range, i ? &one : &sum) < 0)
                        return -1;
                for (int64_t p = 0; i && p < points_of(&range); p++) {
                        if (!one.point[p].is_known)
                                continue;
                        if (sum.point[p].is_known)
                                fgd_history_add(&sum.point[p].row, &one.point[p].row);
                        else
                                sum.point[p] = one.point[p];
                }
        }
        const struct fgd_history_subjects_of about = {FGD_HISTORY_VGPU, "set", set->name, set->project->name, ""};
        return fgd_history_write(call, &about, &range, &sum, query[3].value);
}

int fgd_handle_history_vgpu(struct fgd_call *call)
{
        struct fgd_query query[] = {{"from"}, {"until"}, {"step"}, {"series"}, {"project"}};
        struct fgd_set *set;
        int64_t index;
        char uuid[37], name[80];
        if (fgd_query_read(call, query, 5) < 0 || fgd_call_path_target(call, query[4].value, &set, &index) < 0)
                return -1;
        if (index < 0)
                return answer_set(call, set, query);
        snprintf(name, sizeof name, "%s/%lld", set->name, (long long)index);
        fgd_uuid_format(set->vgpu[index].uuid, uuid);
        const struct fgd_history_subjects_of about = {FGD_HISTORY_VGPU, "vgpu", name, set->project->name, uuid};
        return answer_one(call, &about, uuid, query);
}

/* Also one that is gone, by whoever may see its project; of one that is gone, too, an admin. */
int fgd_handle_history_uuid(struct fgd_call *call)
{
        struct fgd_query query[] = {{"from"}, {"until"}, {"step"}, {"series"}};
        struct fgd_history_who who;
        struct fg_error err = {0};
        if (fgd_query_read(call, query, 4) < 0)
                return -1;
        int r = fgd_history_who(call->manager, FGD_HISTORY_VGPU, call->argument[0], &who, &err);
        if (r < 0 && r != -ENOENT)
                return trouble(call, r, &err);
        const struct fgd_project *project = r == 0 ? fgd_project_find(call->manager, who.project) : NULL;
        bool is_seen = project ? fgd_role_in(call->manager, &call->who, project) >= FGD_ROLE_VIEWER : r == 0 && fgd_is_admin(&call->who);
        if (!is_seen)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no history of a vGPU \"%.40s\"", call->argument[0]);
        if (project && fgd_call_admit(call, project) < 0)
                return -1;
        call->is_checked = true;
        const struct fgd_history_subjects_of about = {FGD_HISTORY_VGPU, "vgpu", who.name, who.project, who.key};
        return answer_one(call, &about, who.key, query);
}

struct page {
        struct fgd_history_who who[PAGE_MAX + 1];
        size_t count, limit;
};

static int take(void *user, const struct fgd_history_who *who)
{
        struct page *page = user;
        page->who[page->count++] = *who;
        return page->count > page->limit;
}

static bool exists(const struct fgd_manager *m, const char *uuid)
{
        const struct fgd_set *set;
        sd_id128_t id;
        if (sd_id128_from_string(uuid, &id) < 0)
                return false;
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; i < set->count; i++)
                        if (memcmp(set->vgpu[i].uuid, id.bytes, sizeof id.bytes) == 0)
                                return true;
        return false;
}

static int write_page(struct fgd_call *call, const struct page *page, const struct fgd_history_range *range)
{
        for (size_t i = 0; i < page->count && i < page->limit; i++) {
                FG_CLEANUP(clear) struct fgd_history_answer answer = {0};
                if (get(call, FGD_HISTORY_VGPU, page->who[i].key, range, &answer) < 0)
                        return -1;
                fgd_text_add(&call->text, i ? ", " : "");
                fgd_history_write_sum(&call->text, &page->who[i], exists(call->manager, page->who[i].key), range, &answer);
        }
        fgd_page_end(&call->text, page->count ? page->who[(page->count > page->limit ? page->limit : page->count) - 1].id : 0, page->count > page->limit);
        return 0;
}

/* By the minute for two days, by whole hours for longer. */
int fgd_handle_history(struct fgd_call *call)
{
        struct fgd_query query[] = {{"from"}, {"until"}, {"project"}, {"limit"}, {"after"}};
        fg_autofree struct page *page = calloc(1, sizeof *page);
        struct fgd_history_range range;
        struct fgd_project *project;
        struct fg_error err = {0};
        uint64_t limit, after;
        if (!page)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        if (fgd_query_read(call, query, 5) < 0 || fgd_call_project(call, query[2].value, &project) < 0 || read_span(call, &query[0], &query[1], &range) < 0 ||
            fgd_query_number(call, &query[3], 1, PAGE_MAX, 100, &limit) < 0 || fgd_query_number(call, &query[4], 0, INT64_MAX, 0, &after) < 0)
                return -1;
        range.step = range.until - range.from <= 2 * DAY && range.from >= fgd_history_minutes_from(call->manager) ? FGD_HISTORY_MINUTE : FGD_HISTORY_HOUR;
        align(&range);
        page->limit = limit;
        int r = fgd_history_vgpus(call->manager, project->name, &range, (int64_t)after, take, page, &err);
        if (r < 0)
                return trouble(call, r, &err);
        fgd_text_add(&call->text, "{");
        fgd_history_write_range(&call->text, &range);
        fgd_text_field(&call->text, "project", project->name);
        fgd_text_name(&call->text, "vgpus");
        fgd_text_add(&call->text, "[");
        if (write_page(call, page, &range) < 0)
                return -1;
        fgd_text_add(&call->text, "}\n");
        return 0;
}
