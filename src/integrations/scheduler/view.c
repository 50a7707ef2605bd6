/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/scheduler/scheduler.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *fgi_sched_text(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

json_t *fgi_sched_at(const json_t *object, ...)
{
        json_t *at = (json_t *)object;
        const char *key;
        va_list args;
        va_start(args, object);
        while (at && (key = va_arg(args, const char *)))
                at = json_object_get(at, key);
        va_end(args);
        return at;
}

/* Capacities may be written with the driver's domain before their name. */
static const char *amount_of(const json_t *capacity, const char *name)
{
        char full[64];
        const json_t *value = json_object_get(capacity, name);
        snprintf(full, sizeof full, FGI_KUBE_DOMAIN "/%s", name);
        if (!value)
                value = json_object_get(capacity, full);
        return json_is_object(value) ? fgi_sched_text(value, "value") : json_is_string(value) ? json_string_value(value) : "";
}

static bool amounts_of(const json_t *capacity, uint64_t *ret_memory, uint32_t *ret_share)
{
        uint64_t memory, share;
        if (fgi_kube_quantity(amount_of(capacity, "memory"), &memory) < 0 || fgi_kube_quantity(amount_of(capacity, "compute"), &share) < 0)
                return false;
        *ret_memory = memory / 1000;
        *ret_share = share > 100000 ? 1000 : (uint32_t)(share / 100);
        return true;
}

/* --- nodes and their GPUs --- */

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct fgi_sched_node *)a)->name, ((const struct fgi_sched_node *)b)->name);
}

struct fgi_sched_node *fgi_sched_view_node(const struct fgi_sched_view *view, const char *name)
{
        struct fgi_sched_node key = {.name = name};
        return view->count ? bsearch(&key, view->node, view->count, sizeof key, by_name) : NULL;
}

static bool is_our_slice(const json_t *slice)
{
        const json_t *spec = json_object_get(slice, "spec");
        return strcmp(fgi_sched_text(spec, "driver"), FGI_KUBE_DOMAIN) == 0 && *fgi_sched_text(spec, "nodeName");
}

static int add_names(struct fgi_sched_view *view)
{
        size_t i, n = 0;
        json_t *item;
        view->node = calloc(json_array_size(view->nodes) + json_array_size(view->slices) + 1, sizeof *view->node);
        if (!view->node)
                return -ENOMEM;
        json_array_foreach(view->nodes, i, item) {
                const char *name = fgi_sched_text(json_object_get(item, "metadata"), "name");
                if (*name)
                        view->node[n++] = (struct fgi_sched_node){.name = name, .object = item};
        }
        json_array_foreach(view->slices, i, item)
                if (is_our_slice(item))
                        view->node[n++] = (struct fgi_sched_node){.name = fgi_sched_text(json_object_get(item, "spec"), "nodeName")};
        qsort(view->node, n, sizeof *view->node, by_name);
        for (i = 0; i < n; i++) {
                struct fgi_sched_node *last = view->count ? &view->node[view->count - 1] : NULL;
                if (!last || strcmp(last->name, view->node[i].name) != 0)
                        view->node[view->count++] = view->node[i];
                else if (view->node[i].object)
                        last->object = view->node[i].object;
        }
        return 0;
}

/* A taint that keeps claims away; those that evict do so as well. */
static const char *taint_of(const json_t *device)
{
        const json_t *taint;
        size_t i;
        json_array_foreach(json_object_get(device, "taints"), i, taint)
                if (strncmp(fgi_sched_text(taint, "effect"), "No", 2) == 0)
                        return fgi_sched_text(taint, "key");
        return NULL;
}

static void add_slice(struct fgi_sched_view *view, const json_t *slice)
{
        const json_t *spec = json_object_get(slice, "spec"), *device;
        struct fgi_sched_node *node = is_our_slice(slice) ? fgi_sched_view_node(view, fgi_sched_text(spec, "nodeName")) : NULL;
        size_t i;
        json_array_foreach(json_object_get(spec, "devices"), i, device) {
                struct fgi_sched_gpu gpu = {.name = fgi_sched_text(device, "name"), .taint = taint_of(device)};
                if (!node || !amounts_of(json_object_get(device, "capacity"), &gpu.memory, &gpu.share))
                        continue;
                node->has_more = node->gpus == FG_CLUSTER_GPUS_MAX;
                if (node->has_more)
                        return;
                gpu.model = fgi_sched_text(fgi_sched_at(device, "attributes", "model", NULL), "string");
                json_int_t whole = json_integer_value(fgi_sched_at(device, "attributes", "totalMemory", "int", NULL));
                gpu.whole = whole > 0 && (uint64_t)whole > gpu.memory ? (uint64_t)whole : gpu.memory;
                gpu.memory_free = gpu.memory;
                gpu.share_free = gpu.share;
                node->gpu[node->gpus++] = gpu;
        }
}

static struct fgi_sched_gpu *gpu_of(const struct fgi_sched_view *view, const json_t *result)
{
        struct fgi_sched_node *node = fgi_sched_view_node(view, fgi_sched_text(result, "pool"));
        if (strcmp(fgi_sched_text(result, "driver"), FGI_KUBE_DOMAIN) != 0)
                return NULL;
        for (uint32_t i = 0; node && i < node->gpus; i++)
                if (strcmp(node->gpu[i].name, fgi_sched_text(result, "device")) == 0)
                        return &node->gpu[i];
        return NULL;
}

static void take_claim(const struct fgi_sched_view *view, const json_t *claim)
{
        const json_t *result;
        size_t i;
        json_array_foreach(fgi_sched_at(claim, "status", "allocation", "devices", "results", NULL), i, result) {
                struct fgi_sched_gpu *gpu = gpu_of(view, result);
                uint64_t memory;
                uint32_t share;
                if (!gpu || json_is_true(json_object_get(result, "adminAccess")))
                        continue;
                if (!amounts_of(json_object_get(result, "consumedCapacity"), &memory, &share)) {
                        memory = gpu->memory;
                        share = gpu->share;
                }
                gpu->memory_free -= memory < gpu->memory_free ? memory : gpu->memory_free;
                gpu->share_free -= share < gpu->share_free ? share : gpu->share_free;
        }
}

static int add_claims(struct fgi_sched_view *view)
{
        json_t *claim;
        size_t i;
        view->claim = json_object();
        json_array_foreach(view->claims, i, claim) {
                const json_t *metadata = json_object_get(claim, "metadata");
                char name[600];
                snprintf(name, sizeof name, "%s/%s", fgi_sched_text(metadata, "namespace"), fgi_sched_text(metadata, "name"));
                if (json_object_set(view->claim, name, claim) < 0)
                        return -ENOMEM;
                take_claim(view, claim);
        }
        return view->claim ? 0 : -ENOMEM;
}

/* --- the same for src/sched --- */

struct pairs {
        struct fg_fleet_pair *pair;
        size_t count, room;
};

static void add_pair(struct pairs *p, const char *key, const char *value)
{
        if (p->count < p->room)
                p->pair[p->count++] = (struct fg_fleet_pair){key, value};
}

static size_t pairs_needed(const struct fgi_sched_view *view)
{
        size_t n = 0;
        for (size_t i = 0; i < view->count; i++)
                n += json_object_size(fgi_sched_at(view->node[i].object, "metadata", "labels", NULL)) +
                     json_array_size(fgi_sched_at(view->node[i].object, "spec", "taints", NULL)) + 1;
        return n;
}

static void describe(const struct fgi_sched_node *node, struct pairs *pairs, struct fg_fleet_node *ret)
{
        const char *key;
        json_t *value;
        size_t i;
        *ret = (struct fg_fleet_node){.name = node->name, .gpus = (uint8_t)node->gpus, .model = node->gpus ? node->gpu[0].model : NULL, .label = pairs->pair + pairs->count};
        json_object_foreach(fgi_sched_at(node->object, "metadata", "labels", NULL), key, value)
                add_pair(pairs, key, json_string_value(value));
        ret->labels = (size_t)(pairs->pair + pairs->count - ret->label);
        ret->taint = pairs->pair + pairs->count;
        if (json_is_true(fgi_sched_at(node->object, "spec", "unschedulable", NULL)))
                add_pair(pairs, "node.kubernetes.io/unschedulable", "");
        json_array_foreach(fgi_sched_at(node->object, "spec", "taints", NULL), i, value)
                if (strncmp(fgi_sched_text(value, "effect"), "No", 2) == 0)
                        add_pair(pairs, fgi_sched_text(value, "key"), fgi_sched_text(value, "value"));
        ret->taints = (size_t)(pairs->pair + pairs->count - ret->taint);
}

/* The larger of what is gone of memory and of compute is what another cannot have. */
static unsigned used_milli(const struct fgi_sched_gpu *gpu)
{
        unsigned memory = gpu->memory ? 1000 - (unsigned)((__uint128_t)gpu->memory_free * 1000 / gpu->memory) : 1000, share = 1000 - gpu->share_free;
        return gpu->taint ? 1000 : memory > share ? memory : share;
}

const struct fg_fleet_ask *fgi_sched_view_part(struct fgi_sched_view *view, unsigned milli)
{
        const struct fg_fleet_request request = {.milli = (uint16_t)milli, .gpus = 1};
        if (milli < 1 || milli > FG_CLUSTER_GPU)
                return NULL;
        if (!view->part[milli] && fg_fleet_ask(view->fleet, &request, &view->part[milli], NULL) < 0)
                return NULL;
        return view->part[milli];
}

static int fill_fleet(struct fgi_sched_view *view)
{
        for (uint32_t i = 0; i < view->count; i++)
                for (uint32_t k = 0; k < view->node[i].gpus; k++) {
                        unsigned used = used_milli(&view->node[i].gpu[k]);
                        const struct fg_fleet_ask *part = used ? fgi_sched_view_part(view, used) : NULL;
                        if (used && (!part || fg_fleet_take(view->fleet, part, (struct fg_cluster_place){i, (uint16_t)(1u << k)}) < 0))
                                return -ENOMEM;
                }
        return 0;
}

static int add_fleet(struct fgi_sched_view *view, struct fg_error *err)
{
        struct pairs pairs = {.room = pairs_needed(view)};
        fg_autofree struct fg_fleet_pair *pair = calloc(pairs.room + 1, sizeof *pair);
        fg_autofree struct fg_fleet_node *node = calloc(view->count + 1, sizeof *node);
        if (!pair || !node)
                return -ENOMEM;
        if (view->count == 0)
                return 0;
        pairs.pair = pair;
        for (size_t i = 0; i < view->count; i++)
                describe(&view->node[i], &pairs, &node[i]);
        int r = fg_fleet_new(&view->fleet, node, view->count, &fg_cluster_policy_table[0], NULL, 0, err);
        return r < 0 ? r : fill_fleet(view);
}

int fgi_sched_view_new(json_t *slices, json_t *claims, json_t *classes, json_t *nodes, struct fgi_sched_view **ret, struct fg_error *err)
{
        struct fgi_sched_view *view = calloc(1, sizeof *view);
        const json_t *slice;
        size_t i;
        if (!view) {
                json_decref(slices);
                json_decref(claims);
                json_decref(classes);
                json_decref(nodes);
                return fg_error_set(err, -ENOMEM, "out of memory");
        }
        *view = (struct fgi_sched_view){.slices = slices, .claims = claims, .classes = classes, .nodes = nodes};
        struct fg_error why = {.text = "out of memory"};
        int r = add_names(view);
        json_array_foreach(slices, i, slice)
                if (r == 0)
                        add_slice(view, slice);
        if (r == 0)
                r = add_claims(view);
        if (r == 0)
                r = add_fleet(view, &why);
        if (r == 0) {
                *ret = view;
                return 0;
        }
        fgi_sched_view_free(view);
        return fg_error_set(err, r, "the cluster cannot be taken in: %s", why.text);
}

struct fgi_sched_view *fgi_sched_view_free(struct fgi_sched_view *view)
{
        if (!view)
                return NULL;
        for (size_t i = 0; i <= FG_CLUSTER_GPU; i++)
                fg_fleet_ask_free(view->part[i]);
        fg_fleet_free(view->fleet);
        free(view->node);
        json_decref(view->claim);
        json_decref(view->slices);
        json_decref(view->claims);
        json_decref(view->classes);
        json_decref(view->nodes);
        free(view);
        return NULL;
}

static const json_t *class_called(const struct fgi_sched_view *view, const char *name)
{
        const json_t *item;
        size_t i;
        json_array_foreach(view->classes, i, item)
                if (strcmp(fgi_sched_text(json_object_get(item, "metadata"), "name"), name) == 0)
                        return item;
        return NULL;
}

bool fgi_sched_view_has(const struct fgi_sched_view *view, const char *class)
{
        return class_called(view, class) != NULL;
}

/* CEL is not evaluated here: a class that speaks of the driver is ours. */
bool fgi_sched_view_is_ours(const struct fgi_sched_view *view, const char *class)
{
        const json_t *selector;
        size_t i;
        json_array_foreach(fgi_sched_at(class_called(view, class), "spec", "selectors", NULL), i, selector)
                if (strstr(fgi_sched_text(json_object_get(selector, "cel"), "expression"), FGI_KUBE_DOMAIN))
                        return true;
        return false;
}
