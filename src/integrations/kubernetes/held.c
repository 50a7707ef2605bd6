/* SPDX-License-Identifier: Apache-2.0
 * Which sets belong to whom. The daemon has them, the kubelet says which pods still do; whatever neither of them says is not known here,
 * so a restart loses nothing. */
#include "integrations/kubernetes/plugin.h"

#include "base/clock.h"
#include "base/log.h"
#include "podresources.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE   FG_NSEC_PER_SEC /* a pod is listed with its devices only after they were allocated */
#define MISSES  2u
#define SOON    (FG_NSEC_PER_SEC / 4) /* until the next question, when something is missing */
#define YOUNG   (FG_NSEC_PER_SEC / 20) /* the same, when it is not known yet for whom something was made */
#define NUDGE_FIRST 4u
#define NUDGE_EVERY 8u

struct fgi_kube_held *fgi_kube_held_find(struct fgi_kube *kube, const char *set)
{
        for (uint32_t i = 0; i < kube->helds; i++)
                if (strcmp(kube->held[i].set, set) == 0)
                        return &kube->held[i];
        return NULL;
}

struct fgi_kube_held *fgi_kube_held_add(struct fgi_kube *kube, uint32_t resource, const char *set, const struct fgi_kube_id *id, uint32_t ids)
{
        struct fgi_kube_held *held = fgi_kube_held_find(kube, set);
        if (!held && kube->helds == FGI_KUBE_HELD_MAX)
                return NULL;
        if (!held) {
                struct fgi_kube_held *more = realloc(kube->held, (kube->helds + 1) * sizeof *more);
                if (!more)
                        return NULL;
                kube->held = more;
                held = &more[kube->helds++];
        }
        kube->changed = true;
        *held = (struct fgi_kube_held){.resource = resource, .since = fg_now()};
        snprintf(held->set, sizeof held->set, "%s", set);
        for (uint32_t i = 0; i < ids && i < FGI_KUBE_IDS_MAX; i++)
                held->id[held->ids++] = id[i];
        return held;
}

void fgi_kube_held_remove(struct fgi_kube *kube, struct fgi_kube_held *held)
{
        kube->changed = true;
        *held = kube->held[--kube->helds];
}

/* --- what the daemon has --- */

/* Of a class that an earlier process offered: its pods may still run. */
static int retire(struct fgi_kube *kube, const char *set, struct fgi_kube_id id[FGI_KUBE_IDS_MAX], int *ret_ids)
{
        char name[FGI_KUBE_NAME_MAX];
        for (const char *p = strchr(set, '-'); p && kube->resources < FGI_KUBE_CLASSES_MAX + FGI_KUBE_RETIRED_MAX; p = strchr(p + 1, '-')) {
                struct fgi_kube_resource *resource = &kube->resource[kube->resources];
                snprintf(name, sizeof name, "%.*s", (int)(p - set), set);
                *ret_ids = fgi_kube_set_ids(name, set, id, FGI_KUBE_IDS_MAX);
                if (*ret_ids < 0 || *ret_ids > (int)FGI_KUBE_IDS_MAX)
                        continue;
                *resource = (struct fgi_kube_resource){.kube = kube, .is_retired = true};
                snprintf(resource->class.name, sizeof resource->class.name, "%s", name);
                if (strcmp(name, FGI_KUBE_HAMI) == 0)
                        snprintf(resource->class.resource, sizeof resource->class.resource, FGI_KUBE_HAMI_RESOURCE);
                fg_log_info("%s is left of a class that is not offered any more", set);
                return (int)kube->resources++;
        }
        return -ENOENT;
}

static int resource_of_set(struct fgi_kube *kube, const char *set, struct fgi_kube_id id[FGI_KUBE_IDS_MAX], int *ret_ids)
{
        for (uint32_t i = 0; i < kube->resources; i++) {
                *ret_ids = fgi_kube_set_ids(kube->resource[i].class.name, set, id, FGI_KUBE_IDS_MAX);
                if (*ret_ids >= 0 && *ret_ids <= (int)FGI_KUBE_IDS_MAX)
                        return (int)i;
        }
        return retire(kube, set, id, ret_ids);
}

int fgi_kube_held_load(struct fgi_kube *kube, struct fg_error *err)
{
        struct fgi_kube_id id[FGI_KUBE_IDS_MAX];
        fgi_kube_autojson json_t *answer = NULL;
        json_t *set;
        size_t i;
        int ids, r = fgi_kube_node_sets(&kube->node, kube->node.project, &answer, err);
        if (r < 0)
                return r;
        for (uint32_t k = 0; k < kube->helds; k++)
                kube->held[k].listed = false;
        json_array_foreach(json_object_get(answer, "sets"), i, set) {
                const char *name = json_string_value(json_object_get(set, "name"));
                int at = name ? resource_of_set(kube, name, id, &ids) : -ENOENT;
                struct fgi_kube_held *held = at < 0 ? NULL : fgi_kube_held_find(kube, name);
                if (at >= 0 && !held) {
                        held = fgi_kube_held_add(kube, (uint32_t)at, name, id, (uint32_t)ids);
                        if (held)
                                held->since = 0; /* a process before this one made it: its pod is listed by now */
                }
                if (!held)
                        continue;
                const char *told = json_string_value(json_object_get(set, "workload"));
                snprintf(held->told, sizeof held->told, "%s", told ? told : "");
                held->listed = true;
        }
        for (uint32_t k = kube->helds; k-- > 0;)
                if (!kube->held[k].listed)
                        fgi_kube_held_remove(kube, &kube->held[k]);
        kube->knows_sets = true;
        return 0;
}

/* --- what pods have --- */

/* Of a retired one often only the last part of the name is known. */
static bool is_called(const struct fgi_kube_resource *resource, const char *name)
{
        const char *slash = strrchr(name, '/');
        return resource->class.resource[0] ? strcmp(resource->class.resource, name) == 0 : strcmp(resource->class.name, slash ? slash + 1 : name) == 0;
}

static struct fgi_kube_resource *resource_by_name(struct fgi_kube *kube, const char *name)
{
        for (uint32_t i = 0; i < kube->resources; i++)
                if (is_called(&kube->resource[i], name))
                        return &kube->resource[i];
        return NULL;
}

static bool overlaps(const struct fgi_kube_held *held, const struct fgi_kube_id *id, uint32_t ids)
{
        for (uint32_t i = 0; i < held->ids; i++)
                for (uint32_t j = 0; j < ids; j++)
                        if (held->id[i].slot == id[j].slot && strcmp(held->id[i].tag, id[j].tag) == 0)
                                return true;
        return false;
}

/* A pod's containers, one after the other, may have parts of the same devices, so one device is enough. */
static void mark(struct fgi_kube *kube, const struct fgi_kube_resource *resource, const struct fgi_kube_id *id, uint32_t ids, const char *pod,
                 bool as_written)
{
        char set[FGI_KUBE_NAME_MAX];
        if (ids == 0)
                return;
        fgi_kube_set_name(resource->class.name, id, ids, set);
        bool any = false;
        for (uint32_t i = 0; i < kube->helds; i++) {
                struct fgi_kube_held *held = &kube->held[i];
                bool is_same = strcmp(held->set, set) == 0;
                if (&kube->resource[held->resource] != resource || (!is_same && !overlaps(held, id, ids)))
                        continue;
                any = true;
                if (is_same && held->ids == 0) {
                        held->ids = ids;
                        memcpy(held->id, id, ids * sizeof *id);
                        kube->changed = true;
                }
                held->seen = true;
                held->written = held->written || as_written;
                held->listed = held->listed || !as_written;
                if (*pod)
                        snprintf(held->pod, sizeof held->pod, "%s", pod);
        }
        /* Somebody deleted it: the container gets it again with its next start. */
        if (!any && !as_written && json_array_size(kube->without) < FGI_KUBE_WITHOUT)
                json_array_append_new(kube->without, json_string(pod));
}

/* The kubelet splits a container's devices of one resource by their NUMA nodes. */
static void mark_container(struct fgi_kube *kube, const Fgi__Pods__Pod *pod, const Fgi__Pods__Container *container)
{
        char name[FGI_KUBE_WORKLOAD_MAX];
        snprintf(name, sizeof name, "%s/%s/%s", pod->namespace_, pod->name, container->name);
        for (uint32_t k = 0; k < kube->resources; k++) {
                const struct fgi_kube_resource *resource = &kube->resource[k];
                struct fgi_kube_id id[FGI_KUBE_IDS_MAX];
                uint32_t ids = 0;
                for (size_t i = 0; i < container->n_devices; i++) {
                        const Fgi__Pods__Devices *devices = container->devices[i];
                        for (size_t j = 0; is_called(resource, devices->resource) && j < devices->n_ids; j++)
                                if (ids < FGI_KUBE_IDS_MAX && fgi_kube_id_parse(devices->ids[j], &id[ids]) == 0)
                                        ids++;
                }
                mark(kube, resource, id, ids, name, false);
        }
}

/* What the kubelet wrote down of allocations. Its list of pods knows no containers that only prepare a pod; this does, but it is written only
 * now and then. False: it is there and not understood. */
static bool mark_checkpoint(struct fgi_kube *kube)
{
        char path[PATH_MAX];
        json_t *entry, *list, *item;
        const char *numa;
        size_t i, j;
        snprintf(path, sizeof path, "%s/device-plugins/kubelet_internal_checkpoint", kube->folder);
        fgi_kube_autojson json_t *file = json_load_file(path, 0, NULL);
        json_t *entries = json_object_get(json_object_get(file, "Data"), "PodDeviceEntries");
        if (!file)
                return access(path, F_OK) < 0 && errno == ENOENT;
        json_array_foreach(entries, i, entry) {
                const char *name = json_string_value(json_object_get(entry, "ResourceName"));
                const struct fgi_kube_resource *resource = name ? resource_by_name(kube, name) : NULL;
                struct fgi_kube_id id[FGI_KUBE_IDS_MAX];
                uint32_t ids = 0;
                json_object_foreach(json_object_get(entry, "DeviceIDs"), numa, list)
                        json_array_foreach(list, j, item)
                                if (ids < FGI_KUBE_IDS_MAX && json_is_string(item) && fgi_kube_id_parse(json_string_value(item), &id[ids]) == 0)
                                        ids++;
                if (resource)
                        mark(kube, resource, id, ids, "", true);
        }
        return true;
}

static void give_back(struct fgi_kube *kube, struct fgi_kube_held *held)
{
        struct fg_error err = {0};
        int r = fgi_kube_node_delete(&kube->node, kube->node.project, held->set, &err);
        if (r < 0) {
                if (held->missed == MISSES)
                        fg_log_warning("%s is of no pod any more, but stays: %s", held->set, err.text);
                return;
        }
        fg_log_info("%s given back%s%s", held->set, *held->pod ? ": it was of " : "", held->pod);
        fgi_kube_held_remove(kube, held);
}

static void bill_container(struct fgi_kube *kube, const Fgi__Pods__Pod *pod, const Fgi__Pods__Container *container, json_t *told)
{
        char name[FGI_KUBE_WORKLOAD_MAX];
        snprintf(name, sizeof name, "%s/%s/%s", pod->namespace_, pod->name, container->name);
        for (size_t i = 0; i < container->n_claims; i++)
                for (size_t j = 0; j < container->claims[i]->n_devices; j++) {
                        const Fgi__Pods__ClaimDevice *device = container->claims[i]->devices[j];
                        for (size_t k = 0; k < device->n_cdi; k++)
                                fgi_kube_bill_claim(kube, name, device->cdi[k]->name, told);
                }
}

static bool read_pods(struct fgi_kube *kube, const Fgi__Pods__ListReply *list)
{
        bool found = false;
        char name[320];
        json_t *told = json_object();
        for (size_t i = 0; i < list->n_pods; i++) {
                const Fgi__Pods__Pod *pod = list->pods[i];
                snprintf(name, sizeof name, "%s/%s", pod->namespace_, pod->name);
                found = found || strcmp(name, kube->own_pod) == 0;
                for (size_t j = 0; j < pod->n_containers; j++) {
                        mark_container(kube, pod, pod->containers[j]);
                        bill_container(kube, pod, pod->containers[j], told);
                }
        }
        json_decref(kube->billed);
        kube->billed = told;
        json_decref(kube->workloads);
        kube->workloads = NULL;
        fgi_kube_bill_held(kube);
        fgi_kube_labels_keep(kube, list);
        return found;
}

/* Our own pod comes from the same source as all that use vGPUs: if it is there, so are they. Outside of pods, what was written down is all
 * that can tell a kubelet that has just started from one without pods. */
static bool read_answer(struct fgi_kube *kube, const uint8_t *answer, size_t size)
{
        fgi_kube_automessage ProtobufCMessage *message = fgi_kube_unpack(&fgi__pods__list_reply__descriptor, answer, size);
        if (!message) {
                fg_log_warning("the kubelet's list of pods is not understood");
                return false;
        }
        bool found = read_pods(kube, (const Fgi__Pods__ListReply *)message);
        return (found || !kube->own_pod[0]) && mark_checkpoint(kube);
}

/* Every list that it is told has the kubelet write its allocations down anew; two that it writes at once may end as the older one. A container
 * that only prepares its pod is missed for as long as it runs: later that is done less often. */
static void nudge(struct fgi_kube *kube, const struct fgi_kube_held *held)
{
        if (held->missed <= NUDGE_FIRST || held->missed % NUDGE_EVERY == 0)
                fgi_kube_plugin_tell(&kube->resource[held->resource], true);
}

void fgi_kube_held_judge(struct fgi_kube *kube, const uint8_t *answer, size_t size)
{
        uint64_t now = fg_now();
        for (uint32_t i = 0; i < kube->helds; i++)
                kube->held[i].listed = kube->held[i].written = false;
        json_array_clear(kube->without);
        if (!read_answer(kube, answer, size))
                return;
        for (uint32_t i = kube->helds; i-- > 0;) {
                struct fgi_kube_held *held = &kube->held[i];
                bool is_young = !held->seen && now - held->since < GRACE;
                if (is_young)
                        kube->pods_at = now + YOUNG;
                if (held->listed || is_young) {
                        held->missed = 0;
                        continue;
                }
                kube->pods_at = now + SOON;
                if (++held->missed >= MISSES && !held->written)
                        give_back(kube, held);
                else if (held->written)
                        nudge(kube, held);
        }
}
