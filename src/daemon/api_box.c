/* SPDX-License-Identifier: Apache-2.0
 * POST /v1/containers: what a container that is about to start gets of a vGPU. */
#include "daemon/api_internal.h"

#include "daemon/api_body.h"
#include "daemon/attach_server.h"
#include "daemon/box.h"
#include "daemon/vgpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse_owned(struct fgd_call *call, const struct fgd_set *set)
{
        if (set->job)
                return fgd_problem_set(&call->problem, FGD_IN_USE, "\"%s\" belongs to job %lld: create a vGPU for the container", set->name,
                                       (long long)set->job);
        if (set->ephemeral)
                return fgd_problem_set(&call->problem, FGD_IN_USE, "\"%s\" was made for one run and goes with it: create a vGPU for the container",
                                       set->name);
        return 0;
}

static int write_box(struct fgd_call *call, const struct fgd_view *view, const struct fgd_set *set, int64_t index, json_t *edits)
{
        char folder[PATH_MAX], device[192], name[96];
        char *text = json_dumps(edits, JSON_COMPACT);
        if (!text)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        if (index < 0)
                snprintf(name, sizeof name, "%s", set->name);
        else
                snprintf(name, sizeof name, "%s/%lld", set->name, (long long)index);
        fgd_attach_box_path(view, folder, sizeof folder);
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "name", name);
        fgd_text_number(&call->text, "vgpus", index < 0 ? set->count : 1);
        if (fgd_box_device(view, device, sizeof device))
                fgd_text_field(&call->text, "device", device);
        fgd_text_field(&call->text, "folder", folder);
        fgd_text_name(&call->text, "edits");
        fgd_text_add(&call->text, text);
        fgd_text_add(&call->text, "}\n");
        free(text);
        return 0;
}

int fgd_handle_container(struct fgd_call *call)
{
        static const char *const known[] = {"target", "project", NULL};
        fgd_autojson json_t *body = NULL;
        fgd_autojson json_t *edits = NULL;
        const char *project, *target;
        struct fgd_view *view;
        struct fgd_set *set;
        int64_t index;
        if (fgd_query_none(call) < 0 ||
            fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            fgd_body_word(body, "project", &project, &call->problem) < 0 || fgd_body_word(body, "target", &target, &call->problem) < 0)
                return -1;
        if (!target)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"target\" must name a vGPU: NAME or NAME/I");
        if (fgd_call_target(call, target, project, &set, &index) < 0)
                return -1;
        if (call->request->remote)
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "containers run on the daemon's own machine: ask there, on its unix socket");
        if (refuse_owned(call, set) < 0 || fgd_vgpus_refuse_state(set, index, &call->problem) < 0 ||
            fgd_box_open(call->manager, set, index, &view, &edits, &call->problem) < 0)
                return -1;
        return write_box(call, view, set, index, edits);
}
