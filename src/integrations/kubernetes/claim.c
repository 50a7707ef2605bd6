/* SPDX-License-Identifier: Apache-2.0
 * From a claim's allocation to a set. */
#include "integrations/kubernetes/dra.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

/* What the claim consumes of a capacity, in thousandths; `whole` if it says nothing: then it has the device for itself. */
static int consumed(const json_t *result, const char *name, uint64_t whole, uint64_t *ret, struct fg_error *err)
{
        char qualified[64], number[32];
        const json_t *all = json_object_get(result, "consumedCapacity");
        snprintf(qualified, sizeof qualified, FGI_KUBE_DOMAIN "/%s", name);
        const json_t *value = json_object_get(all, name) ? json_object_get(all, name) : json_object_get(all, qualified);
        *ret = whole;
        if (!value)
                return 0;
        if (json_is_integer(value))
                snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        const char *text = json_is_string(value) ? json_string_value(value) : json_is_integer(value) ? number : "";
        int r = fgi_kube_quantity(text, ret);
        return r < 0 ? fg_error_set(err, r, "consumedCapacity %s: \"%.60s\" is no quantity", name, text) : 0;
}

static int add_result(struct fgi_kube_dra *dra, const json_t *result, json_t *body, json_t *devices, struct fg_error *err)
{
        const char *name = text_of(result, "device");
        const struct fgi_kube_gpu *gpu = strncmp(name, "gpu-", 4) == 0 ? fgi_kube_node_gpu(&dra->kube->node, name + 4) : NULL;
        uint64_t memory, share;
        char percent[24];
        if (strcmp(text_of(result, "pool"), dra->node) != 0)
                return fg_error_set(err, -EINVAL, "device %.80s is of node %.80s, this is %s", name, text_of(result, "pool"), dra->node);
        if (!gpu)
                return fg_error_set(err, -ENOENT, "device %.80s is not on this node any more", name);
        int r = consumed(result, "memory", gpu->memory_free * 1000, &memory, err);
        if (r == 0)
                r = consumed(result, "compute", (uint64_t)gpu->share_free * 100, &share, err);
        if (r < 0)
                return r;
        memory /= 1000;
        share = (share + 99) / 100; /* percent in thousandths -> permille */
        if (memory < 1 || share < 1 || share > 1000)
                return fg_error_set(err, -ERANGE, "device %.80s: %llu bytes and %llu.%llu %% of compute cannot be had", name, (unsigned long long)memory,
                                    (unsigned long long)share / 10, (unsigned long long)share % 10);
        snprintf(percent, sizeof percent, "%u.%u", (unsigned)share / 10, (unsigned)share % 10);
        json_t *device = json_pack("{s:[s], s:s, s:s, s:s}", "requests", text_of(result, "request"), "pool", dra->node, "device", name, "share",
                                   text_of(result, "shareID"));
        if (json_array_append_new(json_object_get(body, "memory"), json_integer((json_int_t)memory)) < 0 ||
            json_array_append_new(json_object_get(body, "compute"), json_string(percent)) < 0 ||
            json_array_append_new(json_object_get(body, "devices"), json_string(gpu->key)) < 0 || json_array_append_new(devices, device) < 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        return 0;
}

static int check_claim(const json_t *claim, const char *uid, struct fg_error *err)
{
        const json_t *metadata = json_object_get(claim, "metadata");
        if (!claim || !metadata)
                return fg_error_set(err, -EPROTO, "the API server's answer is no claim");
        if (strcmp(text_of(metadata, "uid"), uid) != 0)
                return fg_error_set(err, -ESTALE, "claim %.80s was made anew meanwhile", text_of(metadata, "name"));
        if (!json_is_array(json_object_get(json_object_get(json_object_get(json_object_get(claim, "status"), "allocation"), "devices"), "results")))
                return fg_error_set(err, -EINVAL, "claim %.80s is not allocated", text_of(metadata, "name"));
        return 0;
}

static int add_results(struct fgi_kube_dra *dra, const json_t *claim, json_t *body, json_t *devices, struct fg_error *err)
{
        const json_t *results = json_object_get(json_object_get(json_object_get(json_object_get(claim, "status"), "allocation"), "devices"), "results");
        const json_t *result;
        size_t i;
        int r = 0;
        json_array_foreach(results, i, result)
                if (r == 0 && strcmp(text_of(result, "driver"), FGI_KUBE_DOMAIN) == 0)
                        r = json_array_size(devices) == FGI_KUBE_RESULTS_MAX ? fg_error_set(err, -E2BIG, "more than %u devices in a claim", FGI_KUBE_RESULTS_MAX) :
                                                                               add_result(dra, result, body, devices, err);
        if (r == 0 && json_array_size(devices) == 0)
                r = fg_error_set(err, -EINVAL, "the claim has no device of " FGI_KUBE_DOMAIN);
        return r;
}

int fgi_kube_claim_read(struct fgi_kube_dra *dra, const json_t *claim, const char *uid, const char *project, json_t **ret_body, json_t **ret_devices,
                        struct fg_error *err)
{
        char set[FGI_KUBE_NAME_MAX];
        fgi_kube_autojson json_t *devices = json_array();
        snprintf(set, sizeof set, "claim-%.50s", uid);
        fgi_kube_autojson json_t *body = json_pack("{s:s, s:s, s:[], s:[], s:[]}", "name", set, "project", project, "memory", "compute", "devices");
        if (!devices || !body)
                return fg_error_set(err, -ENOMEM, "out of memory");
        int r = check_claim(claim, uid, err);
        if (r == 0)
                r = add_results(dra, claim, body, devices, err);
        if (r < 0)
                return r;
        json_object_set_new(body, "gpus", json_integer((json_int_t)json_array_size(devices)));
        *ret_body = FG_TAKE_PTR(body);
        *ret_devices = FG_TAKE_PTR(devices);
        return 0;
}

/* Whether the set that is there is what the claim was given; it may have been given something else since. */
static bool is_same(const json_t *set, const json_t *body)
{
        const json_t *vgpus = json_object_get(set, "vgpus"), *vgpu;
        char percent[24];
        size_t i;
        if (json_array_size(vgpus) != json_array_size(json_object_get(body, "devices")))
                return false;
        json_array_foreach(vgpus, i, vgpu) {
                unsigned share = (unsigned)json_integer_value(json_object_get(vgpu, "share"));
                snprintf(percent, sizeof percent, "%u.%u", share / 10, share % 10);
                if (json_integer_value(json_object_get(vgpu, "memory")) != json_integer_value(json_array_get(json_object_get(body, "memory"), i)) ||
                    strcmp(percent, json_string_value(json_array_get(json_object_get(body, "compute"), i))) != 0 ||
                    strcmp(text_of(vgpu, "device_key"), json_string_value(json_array_get(json_object_get(body, "devices"), i))) != 0)
                        return false;
        }
        return true;
}

static int keep_or_replace(struct fgi_kube_dra *dra, const char *project, const char *set, const json_t *body, const char *text, struct fg_error *err)
{
        struct fgi_kube_node *node = &dra->kube->node;
        fgi_kube_autojson json_t *found = NULL;
        int r = fgi_kube_node_set(node, project, set, &found, err);
        if (r == 0 && is_same(found, body))
                return 0;
        if (r == 0)
                r = fgi_kube_node_delete(node, project, set, err);
        return r < 0 ? r : fgi_kube_node_create(node, project, text, err);
}

/* The daemon tells engines of what it makes, under a name that says the same; whether it does is seen once. */
static int make(struct fgi_kube_dra *dra, const char *project, const char *set, const json_t *body, char ret_device[2 * FGI_KUBE_NAME_MAX + 1],
                struct fg_error *err)
{
        struct fgi_kube_node *node = &dra->kube->node;
        fg_autofree char *text = json_dumps(body, JSON_COMPACT);
        fgi_kube_autojson json_t *box = NULL;
        int r = text ? fgi_kube_node_create(node, project, text, err) : fg_error_set(err, -ENOMEM, "out of memory");
        if (r == 0 && node->is_plain) {
                snprintf(ret_device, 2 * FGI_KUBE_NAME_MAX + 1, "%s:%s", project, set);
                return 0;
        }
        if (r == -EEXIST)
                r = keep_or_replace(dra, project, set, body, text, err);
        if (r == 0)
                r = fgi_kube_node_box(node, project, set, &box, err);
        if (r < 0)
                return r;
        snprintf(ret_device, 2 * FGI_KUBE_NAME_MAX + 1, "%s", text_of(box, "device"));
        return *ret_device ? 0 : fg_error_set(err, -EINVAL, "container engines are told of no vGPUs by this daemon (option cdi-dir)");
}

int fgi_kube_claim_make(struct fgi_kube_dra *dra, const char *project, json_t *body, json_t *devices, struct fg_error *err)
{
        char cdi[2 * FGI_KUBE_NAME_MAX + 1], name[sizeof cdi + 32];
        json_t *device;
        size_t i;
        int r = make(dra, project, text_of(body, "name"), body, cdi, err);
        if (r < 0)
                return r;
        dra->kube->changed = true;
        /* Which pod has it is known soon, of all claims that come together at once. */
        if (dra->kube->pods_at > fg_now() + FG_NSEC_PER_SEC)
                dra->kube->pods_at = fg_now() + FG_NSEC_PER_SEC;
        snprintf(name, sizeof name, FGI_KUBE_DOMAIN "/vgpu=%s", cdi);
        json_array_foreach(devices, i, device)
                if (json_object_set_new(device, "cdi", json_string(name)) < 0)
                        return fg_error_set(err, -ENOMEM, "out of memory");
        return 0;
}
