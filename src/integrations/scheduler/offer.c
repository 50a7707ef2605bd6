/* SPDX-License-Identifier: Apache-2.0
 * Resources that have a domain in their names, be they ours or anybody's: which a pod asks for, and which nodes offer. */
#include "integrations/scheduler/scheduler.h"

#include <stdlib.h>
#include <string.h>

bool fgi_sched_is_our_resource(const char *resource)
{
        static const char domain[] = FGI_KUBE_DOMAIN "/";
        return strncmp(resource, domain, sizeof domain - 1) == 0;
}

static bool is_extended(const char *resource)
{
        const char *slash = strchr(resource, '/');
        static const char own[] = "kubernetes.io";
        size_t len = slash ? (size_t)(slash - resource) : 0, tail = sizeof own - 1;
        return len > 0 && (len < tail || strncmp(slash - tail, own, tail) != 0);
}

static bool is_none(const json_t *amount)
{
        uint64_t milli;
        const char *text = json_string_value(amount);
        return text && fgi_kube_quantity(text, &milli) == 0 && milli == 0;
}

/* A class may stand for a resource: then kube-scheduler makes a claim of it, and no node says anything. */
static bool is_of_class(const struct fgi_sched_view *view, const char *resource)
{
        const json_t *class;
        size_t i;
        json_array_foreach(view->classes, i, class)
                if (strcmp(fgi_sched_text(json_object_get(class, "spec"), "extendedResourceName"), resource) == 0)
                        return true;
        return false;
}

bool fgi_sched_offers(const json_t *node, const char *resource)
{
        return *fgi_sched_text(fgi_sched_at(node, "status", "allocatable", NULL), resource) != 0;
}

static bool any_offers(const struct fgi_sched_view *view, const char *resource)
{
        const json_t *node;
        size_t i;
        json_array_foreach(view->nodes, i, node)
                if (fgi_sched_offers(node, resource))
                        return true;
        return false;
}

const char *fgi_sched_missing(const struct fgi_sched_view *view, const json_t *node, const json_t *pod)
{
        static const char *const kinds[] = {"containers", "initContainers"};
        const json_t *container;
        const char *resource;
        json_t *amount;
        size_t i;
        for (unsigned k = 0; k < 2; k++)
                json_array_foreach(fgi_sched_at(pod, "spec", kinds[k], NULL), i, container)
                        json_object_foreach(fgi_sched_at(container, "resources", "limits", NULL), resource, amount)
                                if (is_extended(resource) && !is_none(amount) && !is_of_class(view, resource) &&
                                    !(node ? fgi_sched_offers(node, resource) : any_offers(view, resource)))
                                        return resource;
        return NULL;
}
