/* SPDX-License-Identifier: Apache-2.0
 * Slots. A class has as many on a GPU as would fit into it alone. Those that are in use, and as many of the others as fit into what
 * is left, are healthy: so what one class takes, or somebody without Kubernetes, is seen by all. */
#include "integrations/kubernetes/plugin.h"

#include "sched/placement.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t fit(const struct fgi_kube_class *class, uint64_t memory, uint32_t share)
{
        uint64_t by_memory = memory / class->memory, by_share = share / class->share;
        uint64_t slots = by_memory < by_share ? by_memory : by_share;
        return slots < FGI_KUBE_SLOTS_MAX ? (uint32_t)slots : FGI_KUBE_SLOTS_MAX;
}

static void mark_used(const struct fgi_kube_resource *resource, const char *tag, bool used[FGI_KUBE_SLOTS_MAX])
{
        const struct fgi_kube *kube = resource->kube;
        memset(used, 0, FGI_KUBE_SLOTS_MAX * sizeof *used);
        for (uint32_t i = 0; i < kube->helds; i++) {
                const struct fgi_kube_held *held = &kube->held[i];
                if (&kube->resource[held->resource] != resource)
                        continue;
                for (uint32_t j = 0; j < held->ids; j++)
                        if (strcmp(held->id[j].tag, tag) == 0)
                                used[held->id[j].slot] = true;
        }
}

static int add_topology(Fgi__Plugin__Device *device, int numa)
{
        static Fgi__Plugin__Node node[FGI_KUBE_GPUS_MAX];
        static Fgi__Plugin__Node *nodes[FGI_KUBE_GPUS_MAX];
        static Fgi__Plugin__Topology topology[FGI_KUBE_GPUS_MAX];
        if (numa < 0 || numa >= (int)FGI_KUBE_GPUS_MAX)
                return 0;
        fgi__plugin__node__init(&node[numa]);
        node[numa].id = numa;
        nodes[numa] = &node[numa];
        fgi__plugin__topology__init(&topology[numa]);
        topology[numa].nodes = &nodes[numa];
        topology[numa].n_nodes = 1;
        device->topology = &topology[numa];
        return 0;
}

static int add_device(Fgi__Plugin__Devices *list, const struct fgi_kube_gpu *gpu, uint32_t slot, bool healthy)
{
        Fgi__Plugin__Device *device = malloc(sizeof *device);
        if (!device)
                return -ENOMEM;
        fgi__plugin__device__init(device);
        list->devices[list->n_devices++] = device;
        device->health = (char *)(healthy ? "Healthy" : "Unhealthy");
        if (asprintf(&device->id, "%s-%u", gpu->tag, slot) < 0) {
                device->id = NULL;
                return -ENOMEM;
        }
        return add_topology(device, gpu->numa);
}

static int add_gpu(const struct fgi_kube_resource *resource, const struct fgi_kube_gpu *gpu, Fgi__Plugin__Devices *list)
{
        bool used[FGI_KUBE_SLOTS_MAX], alive = gpu->usable && resource->kube->node.is_there;
        uint32_t slots = resource->split ? resource->split : fit(&resource->class, gpu->memory, 1000);
        uint32_t left = resource->split ? resource->split : fit(&resource->class, gpu->memory_free, gpu->share_free);
        mark_used(resource, gpu->tag, used);
        for (uint32_t i = 0; i < FGI_KUBE_SLOTS_MAX; i++) {
                if (i >= slots && !used[i])
                        continue;
                bool healthy = alive && (used[i] || left > 0);
                if (!used[i] && left > 0)
                        left--;
                if (add_device(list, gpu, i, healthy) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int fgi_kube_devices(const struct fgi_kube_resource *resource, Fgi__Plugin__Devices *ret)
{
        const struct fgi_kube_node *node = &resource->kube->node;
        fgi__plugin__devices__init(ret);
        ret->devices = calloc((size_t)node->gpus * FGI_KUBE_SLOTS_MAX + 1, sizeof *ret->devices);
        int r = ret->devices ? 0 : -ENOMEM;
        for (uint32_t i = 0; r == 0 && i < node->gpus; i++)
                r = add_gpu(resource, &node->gpu[i], ret);
        if (r < 0)
                fgi_kube_devices_free(ret);
        return r;
}

void fgi_kube_devices_free(Fgi__Plugin__Devices *devices)
{
        for (size_t i = 0; i < devices->n_devices; i++) {
                if (devices->devices[i]->id != protobuf_c_empty_string)
                        free(devices->devices[i]->id);
                free(devices->devices[i]);
        }
        free(devices->devices);
        devices->devices = NULL;
        devices->n_devices = 0;
}

/* --- preference --- */

static bool is_taken(char **chosen, size_t n, const char *id)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(chosen[i], id) == 0)
                        return true;
        return false;
}

/* One that is available on this GPU (NULL: on any). */
static char *pick(const Fgi__Plugin__PreferredContainer *wanted, const char *tag, char **chosen, size_t n)
{
        struct fgi_kube_id id;
        for (size_t i = 0; i < wanted->n_available; i++) {
                char *text = wanted->available[i];
                if (fgi_kube_id_parse(text, &id) == 0 && (!tag || strcmp(id.tag, tag) == 0) && !is_taken(chosen, n, text))
                        return text;
        }
        return NULL;
}

/* GPUs in the daemon's order of preference for `count` more of this class: ret[i] for the i-th. */
static bool place(const struct fgi_kube_resource *resource, size_t count, uint32_t *ret)
{
        const struct fgi_kube_node *node = &resource->kube->node;
        struct fg_sched_device device[FGI_KUBE_GPUS_MAX];
        struct fg_sched_want want[FGI_KUBE_IDS_MAX];
        struct fg_sched_misfit misfit;
        uint64_t memory[FGI_KUBE_IDS_MAX];
        uint32_t share[FGI_KUBE_IDS_MAX];
        for (uint32_t i = 0; i < node->gpus; i++)
                device[i] = (struct fg_sched_device){node->gpu[i].memory_free, node->gpu[i].share_free, node->gpu[i].usable};
        for (size_t i = 0; i < count; i++)
                want[i] = (struct fg_sched_want){resource->class.memory, resource->class.share};
        return fg_sched_place(device, node->gpus, want, count, ret, memory, share, &misfit) == 0;
}

size_t fgi_kube_prefer(struct fgi_kube_resource *resource, const Fgi__Plugin__PreferredContainer *wanted, char **ret)
{
        uint32_t gpu[FGI_KUBE_IDS_MAX];
        size_t n = 0, count = wanted->count < 0 ? 0 : (size_t)wanted->count;
        if (count > FGI_KUBE_IDS_MAX)
                count = FGI_KUBE_IDS_MAX;
        for (size_t i = 0; n < count && i < wanted->n_must; i++)
                if (!is_taken(ret, n, wanted->must[i]))
                        ret[n++] = wanted->must[i];
        size_t rest = count - n;
        bool placed = rest > 0 && !resource->split && place(resource, rest, gpu);
        for (size_t i = 0; i < rest; i++) {
                char *id = placed ? pick(wanted, resource->kube->node.gpu[gpu[i]].tag, ret, n) : NULL;
                if (!id)
                        id = pick(wanted, NULL, ret, n);
                if (id)
                        ret[n++] = id;
        }
        return n;
}
