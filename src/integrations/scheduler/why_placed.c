/* SPDX-License-Identifier: Apache-2.0
 * Why a pod that has its node does not run there: the kubelet's word. */
#include "integrations/scheduler/why.h"

#include <string.h>

/* What was said before it was placed is over; all else is the kubelet's, or of what it runs. */
static bool is_of_node(const json_t *event)
{
        const char *reason = fgi_sched_text(event, "reason");
        return strcmp(reason, "FailedScheduling") != 0 && strcmp(reason, "FastGPU") != 0 && strcmp(reason, "FailedResourceClaimCreation") != 0;
}

const json_t *fgi_sched_newest(const json_t *events, bool (*is_it)(const json_t *event))
{
        const json_t *event, *newest = NULL;
        const char *latest = "";
        size_t i;
        json_array_foreach(events, i, event) {
                const char *at = fgi_sched_text(event, "lastTimestamp");
                at = *at ? at : fgi_sched_text(event, "eventTime");
                if (strcmp(fgi_sched_text(event, "type"), "Warning") != 0 || strcmp(at, latest) < 0 || !is_it(event))
                        continue;
                latest = at;
                newest = event;
        }
        return newest;
}

/* Those that go on beside the others are none that these wait for. */
static bool goes_on(const json_t *pod, const char *name)
{
        const json_t *container;
        size_t i;
        json_array_foreach(fgi_sched_at(pod, "spec", "initContainers", NULL), i, container)
                if (strcmp(fgi_sched_text(container, "name"), name) == 0)
                        return strcmp(fgi_sched_text(container, "restartPolicy"), "Always") == 0;
        return false;
}

static const char *running_before(const json_t *pod)
{
        const json_t *status;
        size_t i;
        json_array_foreach(fgi_sched_at(pod, "status", "initContainerStatuses", NULL), i, status)
                if (fgi_sched_at(status, "state", "running", NULL) && !goes_on(pod, fgi_sched_text(status, "name")))
                        return fgi_sched_text(status, "name");
        return NULL;
}

static json_t *say_waiting(const struct fgi_sched_asking *a, const char *node, const char *kind)
{
        const json_t *status, *waiting;
        size_t i;
        json_array_foreach(fgi_sched_at(a->pod, "status", kind, NULL), i, status) {
                waiting = fgi_sched_at(status, "state", "waiting", NULL);
                if (waiting)
                        return fgi_sched_answer(a, "node", "", "node %.250s: container %.100s waits: %.100s %.800s", node, fgi_sched_text(status, "name"),
                                                fgi_sched_text(waiting, "reason"), fgi_sched_text(waiting, "message"));
        }
        return NULL;
}

json_t *fgi_sched_why_placed(const struct fgi_sched_asking *a, const char *node, const json_t *events)
{
        const json_t *event = fgi_sched_newest(events, is_of_node);
        const char *first = running_before(a->pod);
        if (first)
                return fgi_sched_answer(a, "node", "kubectl logs, with -c and its name, shows what it does", "node %.250s: its init container %.100s still runs", node, first);
        if (event)
                return fgi_sched_answer(a, "node", "the kubelet tries it again by itself", "node %.250s: %.1200s (%.60s)", node, fgi_sched_text(event, "message"),
                                        fgi_sched_text(event, "reason"));
        json_t *waits = say_waiting(a, node, "initContainerStatuses");
        if (!waits)
                waits = say_waiting(a, node, "containerStatuses");
        return waits ? waits : fgi_sched_answer(a, "node", "does its kubelet run? kubectl describe node says", "node %.250s has it, and its kubelet has said nothing yet", node);
}

json_t *fgi_sched_why_over(const struct fgi_sched_asking *a, const char *phase, const char *node)
{
        const json_t *status = json_object_get(a->pod, "status");
        bool runs = strcmp(phase, "Running") == 0, failed = strcmp(phase, "Failed") == 0;
        json_t *json = runs   ? fgi_sched_answer(a, "none", "", "it runs on node %.250s", node) :
                       failed ? fgi_sched_answer(a, "failed", "its controller makes it anew, if it has one", "%.200s: %.1200s", fgi_sched_text(status, "reason"), fgi_sched_text(status, "message")) :
                                fgi_sched_answer(a, "none", "", "it has ended well on node %.250s", node);
        json_object_set_new(json, "state", json_string(runs ? "running" : failed ? "failed" : "ended"));
        return json;
}

