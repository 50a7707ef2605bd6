/* SPDX-License-Identifier: Apache-2.0
 * /v1/figures: what changes all the time, and nothing else, of many vGPUs at once. By columns: a thousand of them are tens of kilobytes, and
 * who shows them every second need not be told their names every second. */
#include "daemon/api_internal.h"

#include "base/clock.h"
#include "daemon/usage.h"

#include <stdlib.h>

#define VGPUS_MAX 1000u  /* more only where one set has more */
#define LOOKS_MAX 20000u /* sets of others, of whom nothing is told, included */

struct row {
        const struct fgd_vgpu *vgpu;
        struct fgd_figures figures;
};

struct rows {
        struct row *row;
        size_t count, room;
};

static void drop_rows(struct rows *rows)
{
        free(rows->row);
}

static bool add(struct rows *rows, struct fgd_set *set)
{
        if (rows->count + set->count > rows->room) {
                size_t room = 2 * rows->room + set->count;
                struct row *more = realloc(rows->row, room * sizeof *more);
                if (!more)
                        return false;
                rows->row = more;
                rows->room = room;
        }
        for (uint32_t i = 0; i < set->count; i++) {
                struct row *row = &rows->row[rows->count++];
                row->vgpu = &set->vgpu[i];
                fgd_usage_figures(&set->vgpu[i], &row->figures);
        }
        return true;
}

static void open_column(struct fgd_text *text, const char *name)
{
        fgd_text_name(text, name);
        fgd_text_add(text, "[");
}

static void write_uuids(const struct rows *rows, struct fgd_text *text)
{
        char uuid[37];
        open_column(text, "uuid");
        for (size_t i = 0; i < rows->count; i++)
                fgd_text_addf(text, "%s\"%s\"", i ? "," : "", fgd_uuid_format(rows->row[i].vgpu->uuid, uuid));
        fgd_text_add(text, "]");
}

static void write_states(const struct rows *rows, struct fgd_text *text)
{
        open_column(text, "state");
        for (size_t i = 0; i < rows->count; i++) {
                fgd_text_add(text, i ? ",\"" : "\"");
                fgd_text_add(text, fgd_vgpu_state(rows->row[i].vgpu));
                fgd_text_add(text, "\"");
        }
        fgd_text_add(text, "]");
}

/* clang-format off */
#define COLUMN(name) \
        static uint64_t get_##name(const struct fgd_figures *figures) { return figures->name; }
COLUMN(memory_used) COLUMN(gpu_ns) COLUMN(waits) COLUMN(wait_ns) COLUMN(refusals) COLUMN(processes) COLUMN(active)
static const struct {
        const char *name;
        uint64_t (*get)(const struct fgd_figures *figures);
} columns[] = {{"memory_used", get_memory_used}, {"gpu_ns", get_gpu_ns}, {"waits", get_waits}, {"wait_ns", get_wait_ns},
               {"refusals", get_refusals}, {"processes", get_processes}, {"active", get_active}};
/* clang-format on */

static void write_columns(const struct rows *rows, struct fgd_text *text)
{
        write_uuids(rows, text);
        write_states(rows, text);
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
                open_column(text, columns[c].name);
                for (size_t i = 0; i < rows->count; i++) {
                        fgd_text_add(text, i ? "," : "");
                        fgd_text_digits(text, columns[c].get(&rows->row[i].figures));
                }
                fgd_text_add(text, "]");
        }
}

int fgd_handle_figures(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}, {"after"}, {"limit"}};
        FG_CLEANUP(drop_rows) struct rows rows = {0};
        struct fgd_project *only = NULL;
        struct fgd_page page;
        struct fgd_set *set;
        uint32_t looks = 0;
        bool has_more = false;
        if (fgd_query_read(call, query, 3) < 0 || fgd_query_page(call, &query[2], &query[1], VGPUS_MAX, &page) < 0 ||
            (query[0].value[0] && fgd_call_project(call, query[0].value, &only) < 0))
                return -1;
        int64_t last = page.after;
        TAILQ_FOREACH(set, &call->manager->sets, order) {
                if (set->id <= page.after)
                        continue;
                /* There is more only if he may see it. */
                bool is_told = fgd_call_lists(call, only, set);
                has_more = looks >= LOOKS_MAX || (is_told && rows.count >= page.limit);
                if (has_more)
                        break;
                last = set->id;
                looks++;
                if (is_told && !add(&rows, set))
                        return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        }
        fgd_text_add(&call->text, "{");
        fgd_text_number(&call->text, "now_ns", fg_now());
        write_columns(&rows, &call->text);
        if (has_more)
                fgd_text_addf(&call->text, ", \"next\": \"%lld\"", (long long)last);
        fgd_text_add(&call->text, "}\n");
        return 0;
}
