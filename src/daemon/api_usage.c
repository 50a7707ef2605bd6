/* SPDX-License-Identifier: Apache-2.0
 * /v1/usage/now: the open minute as if it ended now, and the open day. */
#include "daemon/api_internal.h"

#include "base/cleanup.h"
#include "daemon/metering_internal.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const state_name[FG_METER_STATES] = {[FG_METER_RUN] = "run", [FG_METER_HOLD] = "hold", [FG_METER_WAIT] = "wait",
                                                        [FG_METER_PARK] = "park", [FG_METER_DOWN] = "down"};

struct reading {
        struct fgd_call *call;
        const struct fgd_project *only; /* NULL: all that the caller may see */
        bool any;                       /* something stands in the list already */
};

static bool may_see(const struct reading *r, int64_t project_id)
{
        const struct fgd_project *project = fgd_project_of_id(r->call->manager, project_id);
        if (r->only)
                return project == r->only;
        return project ? fgd_role_in(r->call->manager, &r->call->who, project) >= FGD_ROLE_VIEWER : fgd_is_admin(&r->call->who);
}

/* A day of many GPUs is beyond what readers of JSON hold as a number. */
static void write_big(struct fgd_text *text, const char *name, fg_int128 value)
{
        char number[FG_NUMBER_MAX];
        fgd_text_field(text, name, fg_int128_format(value, number, sizeof number));
}

static void write_sum(struct fgd_text *text, const struct fgd_meter_sum *sum)
{
        write_big(text, "busy_us", sum->busy);
        write_big(text, "reserved", sum->reserved);
        write_big(text, "burst", sum->burst);
        write_big(text, "surcharge", sum->surcharge);
        write_big(text, "credit", sum->credit);
        write_big(text, "rebate", sum->rebate);
        write_big(text, "paid", sum->reserved + sum->surcharge - sum->credit - sum->rebate);
}

static void write_line(struct fgd_text *text, const struct fgd_meter *meter, const struct fg_meter_line *line)
{
        const struct fg_meter_segment *last = &line->segment[line->segments - 1];
        const struct fgd_set *set = meter->vgpu ? meter->vgpu->set : NULL;
        const struct fgd_meter_names *names = meter->names;
        fgd_text_add(text, "{");
        fgd_text_field(text, "vgpu", meter->uuid);
        fgd_text_field(text, "name", meter->name ? meter->name : "");
        fgd_text_field(text, "project", set ? fgd_set_payer(set)->name : names ? names->project : "");
        fgd_text_field(text, "user", set ? set->owner ? set->owner->name : "" : names ? names->user : "");
        fgd_text_field(text, "job", meter->job ? meter->job : "");
        fgd_text_field(text, "mode", last->cap ? "cap" : "share");
        fgd_text_field(text, "state", meter->vgpu ? state_name[last->state] : "gone");
        fgd_text_number(text, "segments", line->segments);
        fgd_text_number(text, "begin_us", (uint64_t)line->begin);
        fgd_text_number(text, "end_us", (uint64_t)line->end);
        fgd_text_number(text, "busy_us", (uint64_t)line->conserved_us);
        fgd_text_number(text, "reserved", (uint64_t)line->reserved);
        fgd_text_number(text, "burst", (uint64_t)line->burst);
        fgd_text_number(text, "surcharge", (uint64_t)line->surcharge);
        fgd_text_number(text, "unused", (uint64_t)line->unused);
        fgd_text_number(text, "credit", (uint64_t)line->credit);
        fgd_text_number(text, "rebate", (uint64_t)line->rebate);
        fgd_text_number(text, "paid", (uint64_t)fg_meter_bill(line));
        fgd_text_name(text, "day");
        fgd_text_add(text, "{");
        write_sum(text, &meter->sum);
        fgd_text_add(text, "}}");
}

/* What others leave idle is not everybody's to know. */
static void write_whole(struct fgd_text *text, const struct fgd_meter_device *md, const struct fg_meter_window *window)
{
        fgd_text_number(text, "idle", (uint64_t)window->idle);
        fgd_text_number(text, "unbilled_us", (uint64_t)md->unbilled_us);
        fgd_text_name(text, "day");
        fgd_text_add(text, "{");
        fgd_text_number(text, "windows", md->windows);
        write_big(text, "wall_us", md->day_wall);
        write_sum(text, &md->sum);
        write_big(text, "idle", md->day_idle);
        fgd_text_add(text, "}");
}

static int write_device(struct reading *r, struct fgd_metering *mt, struct fgd_meter_device *md, int64_t at)
{
        struct fgd_text *text = &r->call->text;
        fg_autofree struct fg_meter_line *line = NULL;
        struct fg_meter_window window;
        struct fg_error err = {0};
        struct fgd_meter *meter;
        size_t i = 0;
        bool any = false;
        if (fgd_metering_peek(mt, md, at, &window, &line, &err) < 0)
                return fgd_problem_from(&r->call->problem, FGD_INTERNAL, &err);
        fgd_text_add(text, r->any ? ", {" : "{");
        r->any = true;
        fgd_text_number(text, "device", md->device->id);
        fgd_text_field(text, "uuid", md->device->uuid);
        fgd_text_number(text, "wall_us", (uint64_t)md->wall);
        if (fgd_is_admin(&r->call->who))
                write_whole(text, md, &window);
        fgd_text_name(text, "vgpus");
        fgd_text_add(text, "[");
        TAILQ_FOREACH(meter, &md->lines, order) {
                const struct fg_meter_line *of = &line[i++];
                if (!may_see(r, meter->project_id))
                        continue;
                fgd_text_add(text, any ? ", " : "");
                write_line(text, meter, of);
                any = true;
        }
        fgd_text_add(text, "]}");
        return 0;
}

static void write_accounts(struct reading *r, const struct fgd_metering *mt)
{
        struct fgd_text *text = &r->call->text;
        bool any = false;
        int64_t today = mt->clock.window / 86400000000ll;
        fgd_text_name(text, "accounts");
        fgd_text_add(text, "[");
        for (uint32_t i = 0; i < mt->accounts.size; i++)
                for (const struct fgd_node *at = mt->accounts.bucket[i]; at; at = at->next) {
                        const struct fgd_meter_account *a = FGD_OF_NODE(at, struct fgd_meter_account, node);
                        const struct fgd_project *project = fgd_project_of_id(r->call->manager, a->project_id);
                        const struct fgd_user *user = fgd_user_of_id(r->call->manager, a->user_id);
                        if (a->day != today || !may_see(r, a->project_id))
                                continue;
                        fgd_text_add(text, any ? ", {" : "{");
                        fgd_text_field(text, "project", project ? project->name : "");
                        fgd_text_field(text, "user", user ? user->name : "");
                        write_sum(text, &a->sum);
                        fgd_text_add(text, "}");
                        any = true;
                }
        fgd_text_add(text, "]");
}

int fgd_handle_usage_now(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}};
        struct fgd_project *only = NULL;
        struct fgd_metering *mt = call->manager->metering;
        char date[32];
        if (fgd_query_read(call, query, 1) < 0 || (query[0].value[0] && fgd_call_project(call, query[0].value, &only) < 0))
                return -1;
        struct reading r = {.call = call, .only = only};
        int64_t at = fgd_metering_catch_up(mt);
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "window", fgd_date_format(mt->clock.window / 1000000, date));
        fgd_text_number(&call->text, "time_us", (uint64_t)fgd_billing_time(&mt->clock));
        fgd_text_number(&call->text, "burst_price_ppm", mt->beta_ppm);
        fgd_text_name(&call->text, "devices");
        fgd_text_add(&call->text, "[");
        for (uint32_t i = 0; i < call->manager->devices; i++)
                if (mt->device[i].device && write_device(&r, mt, &mt->device[i], at) < 0)
                        return -1;
        fgd_text_add(&call->text, "]");
        write_accounts(&r, mt);
        fgd_text_add(&call->text, "}\n");
        return 0;
}
