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
