/* SPDX-License-Identifier: Apache-2.0
 * The requests that only read. */
#include "daemon/api_internal.h"

#include "base/clock.h"
#include "daemon/metering.h"
#include "daemon/openapi.h"
#include "daemon/remote.h"
#include "daemon/watchdog.h"

#include <stdlib.h>

/* Whoever is not known learns what it takes to talk to us, and nothing of the machine. */
int fgd_handle_version(struct fgd_call *call)
{
        const struct fgd_manager *m = call->manager;
        if (fgd_query_none(call) < 0)
                return -1;
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "version", FASTGPU_VERSION);
        fgd_text_number(&call->text, "api", 1);
        if (call->who.known) {
                fgd_text_number(&call->text, "pid", (uint64_t)getpid());
                fgd_text_field(&call->text, "run_dir", m->paths.run);
                fgd_text_field(&call->text, "state_dir", m->paths.state);
                fgd_text_number(&call->text, "uptime_ns", fg_now() - m->started);
                fgd_remote_write(m, &call->text);
        }
        fgd_text_add(&call->text, "}\n");
        return 0;
}

int fgd_handle_openapi(struct fgd_call *call)
{
        if (fgd_query_none(call) < 0)
                return -1;
        fgd_text_add(&call->text, fgd_openapi_text);
        return 0;
}

/* What went wrong names vGPUs and programs of anybody: it is for admins. */
static void write_problems(struct fgd_manager *m, struct fgd_text *text)
{
        bool first = true;
        for (uint32_t i = 0; i < m->notes; i++, first = false) {
                fgd_text_add(text, first ? "" : ", ");
                fgd_text_string(text, m->note[i]);
        }
        fgd_inventory_problems(m, &first, text);
        fgd_metering_problems(m, &first, text);
}

static void write_devices(struct fgd_manager *m, bool is_admin, struct fgd_text *text)
{
        fgd_text_add(text, "{");
        fgd_text_name(text, "devices");
        fgd_text_add(text, "[");
        for (uint32_t i = 0; i < m->devices; i++) {
                fgd_text_add(text, i ? ", " : "");
                fgd_write_device(m, m->device[i], text);
        }
        fgd_text_add(text, "]");
        fgd_text_name(text, "problems");
        fgd_text_add(text, "[");
        if (is_admin)
                write_problems(m, text);
        fgd_text_add(text, "]");
        if (is_admin)
                fgd_watchdog_write_findings(m, text);
        else
                fgd_text_add(text, ", \"findings\": []");
        fgd_text_field(text, "sim", m->options.text[FG_OPT_SIM]);
        fgd_text_add(text, "}\n");
}

struct rescan {
        struct fgd_manager *manager;
        struct fgd_later later;
};

static void rescanned(void *user)
{
        struct rescan *rescan = user;
        struct fgd_text text = {0};
        write_devices(rescan->manager, true, &text);
        if (text.failed)
                fgd_text_clear(&text);
        rescan->later.done(rescan->later.user, text.data ? 200 : 500, text.data);
        free(rescan);
}

int fgd_handle_devices(struct fgd_call *call)
{
        bool again;
        struct fg_error err = {0};
        struct fgd_query query[] = {{"rescan"}};
        if (fgd_query_read(call, query, 1) < 0 || fgd_query_flag(call, &query[0], &again) < 0)
                return -1;
        if (again && !fgd_is_admin(&call->who))
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "only an admin has the devices looked at again");
        if (!again || !call->request->later) {
                write_devices(call->manager, fgd_is_admin(&call->who), &call->text);
                return 0;
        }
        struct rescan *rescan = malloc(sizeof *rescan);
        if (!rescan)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        *rescan = (struct rescan){call->manager, *call->request->later};
        if (fgd_inventory_scan(call->manager, rescanned, rescan, &err) < 0) {
                free(rescan);
                return fgd_problem_from(&call->problem, FGD_INTERNAL, &err);
        }
        return 1;
}

bool fgd_call_lists(const struct fgd_call *call, const struct fgd_project *only, const struct fgd_set *set)
{
        if (only)
                return set->project == only;
        return fgd_role_in(call->manager, &call->who, set->project) >= FGD_ROLE_VIEWER;
}

#define PAGE_VGPUS 128u  /* a tenth of a millisecond */
#define PAGE_LOOKS 2048u /* sets of others, of whom nothing is told, included */

struct page_count {
        uint32_t sets, vgpus, looks;
};

/* Everybody else waits while a page is written: a user's ends when it is long, whatever its limit. The operator without one is told all,
 * as there was none before there were pages. */
static bool is_full(const struct fgd_call *call, const struct fgd_page *page, const struct page_count *count)
{
        return (page->limit && count->sets >= page->limit) || (call->who.user && count->vgpus >= PAGE_VGPUS);
}

static void write_sets(struct fgd_call *call, const struct fgd_project *only, const struct fgd_page *page)
{
        struct fgd_set *set;
        struct page_count count = {0};
        int64_t last = page->after;
        bool has_more = false;
        fgd_text_add(&call->text, "{\"sets\": [");
        TAILQ_FOREACH(set, &call->manager->sets, order) {
                if (set->id <= page->after)
                        continue;
                /* There is more only if he may see it; who has looked for long is not told whether there is. */
                bool is_told = fgd_call_lists(call, only, set), is_long = call->who.user && count.looks >= PAGE_LOOKS;
                has_more = is_long || (is_told && is_full(call, page, &count));
                if (has_more)
                        break;
                last = set->id;
                count.looks++;
                if (!is_told)
                        continue;
                fgd_text_add(&call->text, count.sets++ ? ", " : "");
                fgd_write_set(set, "", &call->text);
                count.vgpus += set->count;
        }
        fgd_page_end(&call->text, last, has_more);
        fgd_text_number(&call->text, "now_ns", fg_now());
        fgd_text_add(&call->text, "}\n");
}

int fgd_handle_list(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}, {"limit"}, {"after"}};
        struct fgd_project *only = NULL;
        struct fgd_page page;
        if (fgd_query_read(call, query, 3) < 0 || fgd_query_page(call, &query[1], &query[2], 0, &page) < 0 ||
            (query[0].value[0] && fgd_call_project(call, query[0].value, &only) < 0))
                return -1;
        write_sets(call, only, &page);
        return 0;
}

int fgd_handle_inspect(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}};
        struct fgd_set *set;
        int64_t index;
        if (fgd_query_read(call, query, 1) < 0 || fgd_call_path_target(call, query[0].value, &set, &index) < 0)
                return -1;
        fgd_write_set(set, "", &call->text);
        fgd_text_add(&call->text, "\n");
        return 0;
}
