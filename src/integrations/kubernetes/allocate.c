/* SPDX-License-Identifier: Apache-2.0
 * From devices to a set of vGPUs. The kubelet never gives a device to two containers, so a set that is already there for one of these is of
 * a pod that is gone, and goes first; if programs use it nevertheless, the kubelet is wrong, and the pod is refused. */
#include "integrations/kubernetes/plugin.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool overlaps(const struct fgi_kube_held *held, const struct fgi_kube_id *id, uint32_t ids)
{
        for (uint32_t i = 0; i < held->ids; i++)
                for (uint32_t j = 0; j < ids; j++)
                        if (held->id[i].slot == id[j].slot && strcmp(held->id[i].tag, id[j].tag) == 0)
                                return true;
        return false;
}

static int remove_old(struct fgi_kube_resource *resource, const char *set, const struct fgi_kube_id *id, uint32_t ids, struct fg_error *err)
{
        struct fgi_kube *kube = resource->kube;
        for (uint32_t i = kube->helds; i-- > 0;) {
                struct fgi_kube_held *held = &kube->held[i];
                if (&kube->resource[held->resource] != resource || (!overlaps(held, id, ids) && strcmp(held->set, set) != 0))
                        continue;
                int r = fgi_kube_node_delete(&kube->node, kube->node.project, held->set, err);
                if (r < 0)
                        return fg_error_wrap(err, r, "the kubelet gives these devices anew, but");
                fg_log_info("%s given back: the kubelet gives its devices anew", held->set);
                fgi_kube_held_remove(kube, held);
        }
        return 0;
}

/* The GPU's key if all are on one; "" if the daemon is to choose; NULL: one is gone. */
static const char *device_of(struct fgi_kube_resource *resource, const struct fgi_kube_id *id, uint32_t ids)
{
        const char *key = NULL;
        for (uint32_t i = 0; i < ids; i++) {
                const struct fgi_kube_gpu *gpu = fgi_kube_node_gpu(&resource->kube->node, id[i].tag);
                if (!gpu)
                        return NULL;
                key = i == 0 || (key && strcmp(key, gpu->key) == 0) ? gpu->key : "";
        }
        return key;
}

static char *body_of(const struct fgi_kube_resource *resource, const char *set, const char *device, uint32_t ids)
{
        char share[16];
        const struct fgi_kube_class *class = &resource->class;
        snprintf(share, sizeof share, "%u.%u", class->share / 10, class->share % 10);
        fgi_kube_autojson json_t *body = json_pack("{s:s, s:s, s:i, s:I, s:s}", "name", set, "project", resource->kube->node.project, "gpus", (int)ids,
                                                   "memory", (json_int_t)class->memory, "compute", share);
        if (body && *device)
                json_object_set_new(body, "device", json_string(device));
        return body ? json_dumps(body, JSON_COMPACT) : NULL;
}

static int make(struct fgi_kube_resource *resource, const char *set, const struct fgi_kube_id *id, uint32_t ids, struct fg_error *err)
{
        struct fgi_kube *kube = resource->kube;
        const char *device = device_of(resource, id, ids);
        fg_autofree char *body = device ? body_of(resource, set, device, ids) : NULL;
        if (!device)
                return fg_error_set(err, -ENOENT, "a GPU of this node is gone");
        if (!body)
                return fg_error_set(err, -ENOMEM, "out of memory");
        int r = remove_old(resource, set, id, ids, err);
        if (r == 0)
                r = fgi_kube_node_create(&kube->node, kube->node.project, body, err);
        if (r == -EEXIST) {
                /* Of a process of ours before this one: we did not know of it yet. */
                r = fgi_kube_node_delete(&kube->node, kube->node.project, set, err);
                if (r == 0)
                        r = fgi_kube_node_create(&kube->node, kube->node.project, body, err);
        }
        if (r == 0 && !fgi_kube_held_add(kube, (uint32_t)(resource - kube->resource), set, id, ids)) {
                fgi_kube_node_delete(&kube->node, kube->node.project, set, NULL);
                r = fg_error_set(err, -ENOMEM, "there are too many sets on this node");
        }
        return r;
}

int fgi_kube_allocate(struct fgi_kube_resource *resource, const struct fgi_kube_id *id, uint32_t ids, json_t **ret_box, struct fg_error *err)
{
        struct fgi_kube *kube = resource->kube;
        char set[FGI_KUBE_NAME_MAX];
        fgi_kube_set_name(resource->class.name, id, ids, set);
        int r = kube->knows_sets ? 0 : fgi_kube_held_load(kube, err);
        if (r == 0)
                r = make(resource, set, id, ids, err);
        if (r == 0)
                r = fgi_kube_node_box(&kube->node, kube->node.project, set, ret_box, err);
        if (r < 0)
                return fg_error_wrap(err, r, "FastGPU: %s", resource->class.resource);
        fg_log_info("%s made", set);
        return 0;
}

int fgi_kube_start(struct fgi_kube_resource *resource, const struct fgi_kube_id *id, uint32_t ids, struct fg_error *err)
{
        struct fgi_kube *kube = resource->kube;
        fgi_kube_autojson json_t *box = NULL;
        char set[FGI_KUBE_NAME_MAX];
        fgi_kube_set_name(resource->class.name, id, ids, set);
        struct fgi_kube_held *held = fgi_kube_held_find(kube, set);
        if (held)
                held->since = fg_now();
        int r = fgi_kube_node_box(&kube->node, kube->node.project, set, &box, err);
        if (r == -ENOENT)
                r = fgi_kube_allocate(resource, id, ids, &box, err);
        return r;
}
