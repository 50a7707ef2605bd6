/* SPDX-License-Identifier: Apache-2.0
 * POST /v1/vgpus/NAME/suspend and /resume. */
#include "daemon/api_internal.h"

#include "base/cleanup.h"
#include "daemon/api_body.h"
#include "daemon/vgpus.h"

static int suspend(struct fgd_call *call, bool is_suspended)
{
        static const char *const known[] = {NULL};
        struct fgd_query query[] = {{"project"}};
        fgd_autojson json_t *body = NULL;
        struct fgd_set *set;
        int64_t index;
        if (call->request->body_size && fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0)
                return -1;
        if (fgd_query_read(call, query, 1) < 0 || fgd_call_target(call, call->argument[0], query[0].value, &set, &index) < 0)
                return -1;
        if (index >= 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "a single vGPU cannot be %s: name \"%s\" as a whole",
                                       is_suspended ? "suspended" : "resumed", set->name);
        if (fgd_call_owns(call, set) < 0 || fgd_vgpus_suspend(call->manager, set, is_suspended, "", &call->problem) < 0)
                return -1;
        fgd_write_set(set, "", &call->text);
        fgd_text_add(&call->text, "\n");
        return 0;
}

int fgd_handle_suspend(struct fgd_call *call)
{
        return suspend(call, true);
}

int fgd_handle_resume(struct fgd_call *call)
{
        return suspend(call, false);
}
