/* SPDX-License-Identifier: Apache-2.0
 * PUT /v1/vgpus/NAME/payer. */
#include "daemon/api_internal.h"

#include "base/cleanup.h"
#include "daemon/api_body.h"
#include "daemon/vgpus.h"

#include <stdio.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

/* "NAMESPACE/POD/CONTAINER", as a cluster has them. */
static bool is_workload(const char *text)
{
        static const size_t most[] = {63, 253, 63};
        for (unsigned i = 0; i < 3; i++) {
                size_t len = strspn(text, LETTERS);
                if (len < 1 || len > most[i] || text[len] != (i < 2 ? '/' : 0))
                        return false;
                text += len + 1;
        }
        return true;
}

static int find_payer(struct fgd_call *call, const struct fgd_set *set, const char *name, struct fgd_project **ret)
{
        *ret = name ? fgd_project_find(call->manager, name) : set->project;
        enum fgd_role role = *ret ? fgd_role_in(call->manager, &call->who, *ret) : FGD_ROLE_NONE;
        if (role < FGD_ROLE_VIEWER)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no project \"%.80s\"; \"fastgpu project list\" shows yours", name);
        if (role < FGD_ROLE_MEMBER)
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "\"%s\" pays only for what its members make; you are %s there", (*ret)->name,
                                       fgd_role_name(role));
        return 0;
}

int fgd_handle_payer(struct fgd_call *call)
{
        static const char *const known[] = {"project", "workload", NULL};
        struct fgd_query query[] = {{"project"}};
        fgd_autojson json_t *body = NULL;
        struct fgd_project *payer;
        struct fgd_set *set;
        const char *name, *workload;
        int64_t index;
        if (fgd_query_read(call, query, 1) < 0 || fgd_call_target(call, call->argument[0], query[0].value, &set, &index) < 0 || fgd_call_owns(call, set) < 0 ||
            fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            fgd_body_word(body, "project", &name, &call->problem) < 0 || fgd_body_word(body, "workload", &workload, &call->problem) < 0)
                return -1;
        if (index >= 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "a single vGPU has no payer of its own: name \"%s\" as a whole", set->name);
        if (workload && !is_workload(workload))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"workload\" must be NAMESPACE/POD/CONTAINER, not \"%.80s\"", workload);
        /* Who says only who pays does not say for whom it runs. */
        if (!workload)
                workload = set->workload ? set->workload : "";
        if (find_payer(call, set, name, &payer) < 0 || fgd_vgpus_bill(call->manager, set, payer, workload, &call->problem) < 0)
                return -1;
        fgd_write_set(set, "", &call->text);
        fgd_text_add(&call->text, "\n");
        return 0;
}
