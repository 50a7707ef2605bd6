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

static json_t *devices_of(struct fgi_kube_resource *resource, const struct fgi_kube_id *id, uint32_t ids)
{
        json_t *list = json_array();
        for (uint32_t i = 0; i < ids; i++) {
                const struct fgi_kube_gpu *gpu = fgi_kube_node_gpu(&resource->kube->node, id[i].tag);
                if (gpu && json_array_append_new(list, json_string(gpu->key)) == 0)
                        continue;
                json_decref(list);
                return NULL;
        }
        return list;
}

static char *body_of(struct fgi_kube_resource *resource, const char *set, const struct fgi_kube_id *id, uint32_t ids)
{
        char share[16];
        const struct fgi_kube_class *class = &resource->class;
        json_t *devices = devices_of(resource, id, ids);
        if (!devices)
                return NULL;
        snprintf(share, sizeof share, "%u.%u", class->share / 10, class->share % 10);
        fgi_kube_autojson json_t *body = json_pack("{s:s, s:s, s:i, s:I, s:s, s:o}", "name", set, "project", resource->kube->node.project, "gpus", (int)ids,
                                                   "memory", (json_int_t)class->memory, "compute", share, "devices", devices);
        return body ? json_dumps(body, JSON_COMPACT) : NULL;
}

static int make(struct fgi_kube_resource *resource, const char *set, const struct fgi_kube_id *id, uint32_t ids, struct fg_error *err)
{
        struct fgi_kube *kube = resource->kube;
        fg_autofree char *body = body_of(resource, set, id, ids);
        if (!body)
                return fg_error_set(err, -ENOENT, "a GPU of this node is gone");
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
                struct fg_error ignored = {0};
                fgi_kube_node_delete(&kube->node, kube->node.project, set, &ignored);
                r = fg_error_set(err, -ENOMEM, "there are too many sets on this node");
        }
        return r;
}

/* How large it is to be is known when its container starts; the name that the container is told is known now. */
static int promise(struct fgi_kube_resource *resource, const char *set, const struct fgi_kube_id *id, uint32_t ids, json_t **ret_box, struct fg_error *err)
{
        char device[2 * FGI_KUBE_NAME_MAX];
        int r = remove_old(resource, set, id, ids, err);
        if (r < 0)
                return fg_error_wrap(err, r, "FastGPU: %s", resource->class.resource);
        snprintf(device, sizeof device, "%s:%s", resource->kube->node.project, set);
        *ret_box = json_pack("{s:s, s:s}", "name", set, "device", device);
        return *ret_box ? 0 : fg_error_set(err, -ENOMEM, "out of memory");
}

int fgi_kube_allocate(struct fgi_kube_resource *resource, const struct fgi_kube_id *id, uint32_t ids, json_t **ret_box, struct fg_error *err)
{
        struct fgi_kube *kube = resource->kube;
        char set[FGI_KUBE_NAME_MAX];
        fgi_kube_set_name(resource->class.name, id, ids, set);
        int r = kube->knows_sets ? 0 : fgi_kube_held_load(kube, err);
        if (r == 0 && resource->split)
                return promise(resource, set, id, ids, ret_box, err);
        if (r == 0)
                r = make(resource, set, id, ids, err);
        if (r == 0)
                r = fgi_kube_node_box(&kube->node, kube->node.project, set, ret_box, err);
        if (r < 0)
                return fg_error_wrap(err, r, "FastGPU: %s", resource->class.resource);
        fg_log_info("%s made", set);
        kube->pods_at = 0; /* for which pod is known soon */
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
