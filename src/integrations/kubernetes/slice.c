/* SPDX-License-Identifier: Apache-2.0
 * This node's ResourceSlice: one, as a node has no more than 64 GPUs. The capacities are what claims can have: what somebody else has of a
 * GPU, be it another class or a person, is not part of them. What it has in all is an attribute. */
#include "integrations/kubernetes/dra.h"

#include "base/clock.h"
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK  (10 * FG_NSEC_PER_SEC) /* the kubelet removes slices of drivers that it thinks are gone */
#define NEW   FG_NSEC_PER_SEC        /* the same, of a kubelet that has just started: it does so as late as the API server lets it */
#define NEW_LOOKS 30u
#define AGAIN FG_NSEC_PER_SEC
#define PATH  "/apis/resource.k8s.io/v1/resourceslices"

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

/* --- devices --- */

/* Attributes are at most 64 characters. */
static void set_text(json_t *attributes, const char *name, const char *value)
{
        char text[65];
        snprintf(text, sizeof text, "%s", value);
        if (*text)
                json_object_set_new(attributes, name, json_pack("{s:s}", "string", text));
}

/* Versions have to be semantic ones to be compared: "575.57.08" is not, for its zero. */
static void set_version(json_t *attributes, const char *text)
{
        unsigned part[3] = {0};
        char version[64];
        if (sscanf(text, "%u.%u.%u", &part[0], &part[1], &part[2]) < 1)
                return;
        snprintf(version, sizeof version, "%u.%u.%u", part[0], part[1], part[2]);
        json_object_set_new(attributes, "driverVersion", json_pack("{s:s}", "version", version));
}

/* The API server takes no capacity that is less than the smallest part and a step more: a GPU that has less left is full. */
#define LEAST 2u

/* Given in steps; who asks for nothing gets all. */
static json_t *capacity(const char *value, const char *least, const char *step)
{
        return json_pack("{s:s, s:{s:s, s:{s:s, s:s}}}", "value", value, "requestPolicy", "default", value, "validRange", "min", least, "step", step);
}

/* Whoever runs on it stays: a DeviceTaintRule of the cluster's own can be harder. */
static const char *trouble_of(const struct fgi_kube_gpu *gpu)
{
        return gpu->is_lost ? FGI_KUBE_DOMAIN "/lost" : FGI_KUBE_DOMAIN "/failing";
}

static json_t *device_of(const struct fgi_kube_dra *dra, const struct fgi_kube_gpu *gpu)
{
        char name[16], memory[32], compute[32];
        uint64_t mib = (gpu->memory_free + gpu->claimed_memory) >> 20, percent = (gpu->share_free + gpu->claimed_share) / 10;
        snprintf(name, sizeof name, "gpu-%s", gpu->tag);
        snprintf(memory, sizeof memory, "%lluMi", (unsigned long long)(mib < LEAST ? LEAST : mib));
        snprintf(compute, sizeof compute, "%llu", (unsigned long long)(percent < LEAST ? LEAST : percent));
        json_t *attributes = json_object();
        set_text(attributes, "model", gpu->model);
        set_text(attributes, "uuid", gpu->uuid);
        set_text(attributes, "api", gpu->api);
        set_text(attributes, "tier", "soft");
        set_version(attributes, gpu->driver);
        json_object_set_new(attributes, "totalMemory", json_pack("{s:I}", "int", (json_int_t)gpu->memory));
        if (gpu->numa >= 0)
                json_object_set_new(attributes, "numaNode", json_pack("{s:i}", "int", gpu->numa));
        json_t *device = json_pack("{s:s, s:o, s:b, s:{s:o, s:o}}", "name", name, "attributes", attributes, "allowMultipleAllocations", 1, "capacity",
                                   "memory", capacity(memory, "1Mi", "1Mi"), "compute", capacity(compute, "1", "1"));
        bool full = mib < LEAST || percent < LEAST;
        if (device && (!gpu->usable || full))
                json_object_set_new(device, "taints", json_pack("[{s:s, s:s}]", "key", !gpu->usable ? trouble_of(gpu) : FGI_KUBE_DOMAIN "/full", "effect",
                                                                "NoSchedule"));
        return device;
}

json_t *fgi_kube_slice_devices(const struct fgi_kube_dra *dra)
{
        const struct fgi_kube_node *node = &dra->kube->node;
        json_t *list = json_array();
        for (uint32_t i = 0; list && i < node->gpus; i++)
                if (json_array_append_new(list, device_of(dra, &node->gpu[i])) < 0) {
                        json_decref(list);
                        return NULL;
                }
        return list;
}

/* --- publishing: look, then write what differs --- */

static void slice_name(const struct fgi_kube_dra *dra, char ret[300])
{
        snprintf(ret, 300, "%.240s-" FGI_KUBE_DOMAIN, dra->node);
}

static void over(struct fgi_kube_dra *dra, uint64_t delay)
{
        dra->slice.asking = false;
        dra->slice.at = fg_now() + (dra->slice.again ? 0 : delay);
        dra->slice.again = false;
}

/* It is there as it should be. */
static void done(struct fgi_kube_dra *dra)
{
        bool is_new = dra->slice.looks > 0;
        dra->slice.problem[0] = 0;
        if (is_new)
                dra->slice.looks--;
        over(dra, is_new ? NEW : LOOK);
}

void fgi_kube_slice_registered(struct fgi_kube_dra *dra)
{
        dra->slice.looks = NEW_LOOKS;
        dra->slice.at = 0;
        dra->slice.again = true;
}

static void fail(struct fgi_kube_dra *dra, const char *what, long status, const char *body)
{
        fgi_kube_autojson json_t *answer = status ? json_loads(body, 0, NULL) : NULL;
        const char *message = status ? text_of(answer, "message") : body;
        char problem[sizeof dra->slice.problem];
        snprintf(problem, sizeof problem, "it cannot be %s: %.180s (%ld)", what, message, status);
        fgi_kube_characters(problem);
        /* It is tried again each second: what is as it was is not said again. */
        if (strcmp(problem, dra->slice.problem) != 0)
                fg_log_warning("the ResourceSlice cannot be %s: %s (%ld)", what, message, status);
        memcpy(dra->slice.problem, problem, sizeof problem);
        over(dra, AGAIN);
}

static void on_written(void *user, long status, const char *body)
{
        struct fgi_kube_dra *dra = user;
        if (status == 200 || status == 201) {
                fg_log_info("ResourceSlice published, with %u GPUs", dra->kube->node.gpus);
                done(dra);
                return;
        }
        free(dra->slice.devices);
        dra->slice.devices = NULL;
        fail(dra, "written", status, body);
}

static void write_slice(struct fgi_kube_dra *dra, const json_t *old, json_t *devices)
{
        char name[300], path[400];
        json_int_t generation = json_integer_value(json_object_get(json_object_get(json_object_get(old, "spec"), "pool"), "generation"));
        slice_name(dra, name);
        snprintf(path, sizeof path, old ? PATH "/%s" : PATH, name);
        fgi_kube_autojson json_t *slice = json_pack(
                "{s:s, s:s, s:{s:s, s:[{s:s, s:s, s:s, s:s, s:b}]}, s:{s:s, s:s, s:{s:s, s:I, s:i}, s:O}}", "apiVersion", "resource.k8s.io/v1", "kind", "ResourceSlice",
                "metadata", "name", name, "ownerReferences", "apiVersion", "v1", "kind", "Node", "name", dra->node, "uid", dra->slice.node_uid, "controller", 1,
                "spec", "driver", FGI_KUBE_DOMAIN, "nodeName", dra->node, "pool", "name", dra->node, "generation", generation + 1, "resourceSliceCount", 1,
                "devices", devices);
        if (slice && old)
                json_object_set_new(json_object_get(slice, "metadata"), "resourceVersion",
                                    json_string(text_of(json_object_get(old, "metadata"), "resourceVersion")));
        fg_autofree char *text = slice ? json_dumps(slice, JSON_COMPACT) : NULL;
        if (!text || fgi_kube_api_ask(dra->api, old ? "PUT" : "POST", path, text, on_written, dra) < 0)
                over(dra, AGAIN);
}

static void on_slice(void *user, long status, const char *body)
{
        struct fgi_kube_dra *dra = user;
        fgi_kube_autojson json_t *old = status == 200 ? json_loads(body, 0, NULL) : NULL;
        if (!old && status != 404) {
                fail(dra, "read", status, body);
                return;
        }
        struct fg_error err = {0};
        if (fgi_kube_node_claimed(&dra->kube->node, dra->kube->payers.prefix, &err) < 0) {
                fail(dra, "written", 0, err.text);
                return;
        }
        fgi_kube_autojson json_t *devices = fgi_kube_slice_devices(dra);
        char *text = devices ? json_dumps(devices, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        fgi_kube_autojson json_t *published = json_object_get(json_object_get(old, "spec"), "devices");
        json_incref(published);
        fg_autofree char *there = published ? json_dumps(published, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        /* A server that does not know a field drops it; what was written by us is not written again for that. */
        bool same = text && there && (strcmp(text, there) == 0 || (dra->slice.devices && strcmp(text, dra->slice.devices) == 0));
        free(dra->slice.devices);
        dra->slice.devices = text;
        if (same)
                done(dra);
        else if (!text)
                over(dra, LOOK);
        else
                write_slice(dra, old, devices);
}

static void ask_slice(struct fgi_kube_dra *dra)
{
        char name[300], path[400];
        slice_name(dra, name);
        snprintf(path, sizeof path, PATH "/%s", name);
        if (fgi_kube_api_ask(dra->api, "GET", path, NULL, on_slice, dra) < 0)
                over(dra, AGAIN);
}

static void on_node(void *user, long status, const char *body)
{
        struct fgi_kube_dra *dra = user;
        fgi_kube_autojson json_t *node = status == 200 ? json_loads(body, 0, NULL) : NULL;
        snprintf(dra->slice.node_uid, sizeof dra->slice.node_uid, "%s", text_of(json_object_get(node, "metadata"), "uid"));
        if (dra->slice.node_uid[0])
                ask_slice(dra);
        else
                fail(dra, "written: the node cannot be read", status, body);
}

void fgi_kube_slice_check(struct fgi_kube_dra *dra, uint64_t now)
{
        char path[300];
        struct fgi_kube_slice *slice = &dra->slice;
        if (now < slice->at || slice->asking || !dra->kube->node.is_there)
                return;
        slice->asking = true;
        if (slice->node_uid[0]) {
                ask_slice(dra);
                return;
        }
        snprintf(path, sizeof path, "/api/v1/nodes/%s", dra->node);
        if (fgi_kube_api_ask(dra->api, "GET", path, NULL, on_node, dra) < 0)
                over(dra, AGAIN);
}
