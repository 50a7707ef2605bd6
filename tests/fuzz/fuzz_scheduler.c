/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-scheduler's input, one JSON object: what an API server says (slices, claims, classes, nodes) and what is asked (Pod, NodeNames or Nodes).
 * Each node that is asked for is in one of the three answers, or fits; scores are those that kube-scheduler allows; what is said is said whole. */
#include "integrations/scheduler/scheduler.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_filter(struct fgi_sched_view *view, const json_t *question)
{
        struct fg_error err = {0};
        size_t refused = 0;
        fgi_kube_autojson json_t *reply = fgi_sched_filter(view, NULL, 0, question, &refused, &err);
        if (!reply) {
                assert(err.text[0]);
                return;
        }
        const json_t *nodes = json_object_get(reply, "Nodes"), *fit = nodes ? json_object_get(nodes, "items") : json_object_get(reply, "NodeNames");
        assert(json_is_array(fit));
        assert(refused == json_object_size(json_object_get(reply, "FailedNodes")) + json_object_size(json_object_get(reply, "FailedAndUnresolvableNodes")));
}

static void try_priorities(struct fgi_sched_view *view, const json_t *question)
{
        struct fg_error err = {0};
        fgi_kube_autojson json_t *reply = fgi_sched_prioritize(view, NULL, 0, question, &err);
        const json_t *item;
        size_t i;
        assert(reply || err.text[0]);
        json_array_foreach(reply, i, item) {
                json_int_t score = json_integer_value(json_object_get(item, "Score"));
                assert(json_is_string(json_object_get(item, "Host")) && score >= 0 && score <= 10);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fgi_kube_autojson json_t *json = json_loadb((const char *)data, size, 0, NULL);
        struct fgi_sched_view *view;
        struct fg_error err = {0};
        if (!json_is_object(json))
                return 0;
        int r = fgi_sched_view_new(json_incref(json_object_get(json, "slices")), json_incref(json_object_get(json, "claims")), json_incref(json_object_get(json, "classes")),
                                   json_incref(json_object_get(json, "nodes")), &view, &err);
        if (r < 0) {
                assert(err.text[0]);
                return 0;
        }
        for (size_t i = 0; i < view->count; i++)
                for (uint32_t k = 0; k < view->node[i].gpus; k++) {
                        const struct fgi_sched_gpu *gpu = &view->node[i].gpu[k];
                        assert(gpu->memory_free <= gpu->memory && gpu->share_free <= gpu->share && gpu->share <= 1000);
                }
        try_filter(view, json);
        try_priorities(view, json);
        fgi_kube_autojson json_t *why = fgi_sched_why(view, NULL, 0, json_object_get(json, "Pod"), json_object_get(json, "events"));
        assert(why && *fgi_sched_text(why, "reason") && *fgi_sched_text(why, "text"));
        fgi_sched_view_free(view);
        return 0;
}
