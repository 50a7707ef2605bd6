/* SPDX-License-Identifier: Apache-2.0
 * The daemon of this node. Every request is brief: who waits for it is the kubelet. */
#include "integrations/kubernetes/kube.h"

#include "base/log.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *type;
        int code;
} problem_table[] = {{"exists", -EEXIST}, {"in-use", -EBUSY}, {"no-capacity", -ENOSPC}, {"quota", -ENOSPC}, {"not-found", -ENOENT}};

static int code_of(const char *type)
{
        for (size_t i = 0; i < sizeof problem_table / sizeof *problem_table; i++)
                if (strcmp(type, problem_table[i].type) == 0)
                        return problem_table[i].code;
        return -EINVAL;
}

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

static uint64_t number_of(const json_t *object, const char *key)
{
        json_int_t value = json_integer_value(json_object_get(object, key));
        return value < 0 ? 0 : (uint64_t)value;
}

static int lost(struct fgi_kube_node *node, int r, struct fg_error *err)
{
        const char *why = fg_client_error(node->client);
        node->is_there = false;
        fg_error_set(err, r, "fastgpud at %s: %s", fg_client_where(node->client), *why ? why : strerror(-r));
        fgi_kube_node_close(node);
        return r;
}

static int call(struct fgi_kube_node *node, const char *method, const char *path, const char *body, json_t **ret, struct fg_error *err)
{
        struct fg_client_reply reply;
        node->type[0] = 0;
        if (!node->client) {
                int r = fg_client_open(FG_CLIENT_BRIEF, &node->client, err->text, sizeof err->text);
                if (r < 0) {
                        node->is_there = false;
                        return err->code = r;
                }
        }
        int r = fg_client_request(node->client, method, path, body, &reply);
        if (r < 0)
                return lost(node, r, err);
        node->is_there = true;
        fgi_kube_autojson json_t *answer = reply.size ? json_loadb(reply.body, reply.size, 0, NULL) : NULL;
        int status = reply.status;
        fg_client_reply_clear(&reply);
        if (status >= 400) {
                snprintf(node->type, sizeof node->type, "%s", text_of(answer, "type"));
                const char *detail = text_of(answer, "detail");
                return fg_error_set(err, code_of(node->type), "%s", *detail ? detail : "fastgpud refuses, and does not say why");
        }
        if (ret)
                *ret = answer ? json_incref(answer) : json_object();
        return 0;
}

void fgi_kube_node_close(struct fgi_kube_node *node)
{
        fg_client_close(node->client);
        node->client = NULL;
        node->is_plain = false;
}

/* Errors of the programs on it, which end with them; NVIDIA's own device plugin passes over the same. */
static bool is_of_program(uint32_t xid)
{
        return xid == 13 || xid == 31 || xid == 43 || xid == 45 || xid == 68 || xid == 109;
}

/* The sensors tell the last error only: one that was the GPU's stays, until the GPU has been away. */
static void read_trouble(const json_t *device, struct fgi_kube_gpu *gpu)
{
        const json_t *telemetry = json_object_get(device, "telemetry");
        uint32_t xid = (uint32_t)number_of(telemetry, "xid");
        gpu->is_lost = strcmp(text_of(device, "state"), "ok") != 0;
        if (gpu->is_lost)
                gpu->xid = 0;
        else if (xid && !is_of_program(xid))
                gpu->xid = xid;
        gpu->trouble[0] = 0;
        if (gpu->is_lost)
                snprintf(gpu->trouble, sizeof gpu->trouble, "the driver does not show it any more");
        else if (gpu->xid)
                snprintf(gpu->trouble, sizeof gpu->trouble, "the driver reported error XID %u", gpu->xid);
        else if (number_of(telemetry, "remap_failed"))
                snprintf(gpu->trouble, sizeof gpu->trouble, "rows of its memory are broken and could not be replaced");
        gpu->usable = !gpu->trouble[0];
}

static void read_gpu(const json_t *device, struct fgi_kube_gpu *gpu)
{
        uint64_t memory = number_of(device, "memory"), reserved = number_of(device, "memory_reserved");
        bool is_known = strcmp(gpu->key, text_of(device, "key")) == 0 && strcmp(gpu->uuid, text_of(device, "uuid")) == 0;
        if (!is_known)
                gpu->xid = 0;
        snprintf(gpu->key, sizeof gpu->key, "%s", text_of(device, "key"));
        snprintf(gpu->uuid, sizeof gpu->uuid, "%s", text_of(device, "uuid"));
        snprintf(gpu->model, sizeof gpu->model, "%s", text_of(device, "model"));
        snprintf(gpu->driver, sizeof gpu->driver, "%s", text_of(device, "driver"));
        snprintf(gpu->api, sizeof gpu->api, "%s", text_of(device, "api"));
        fgi_kube_tag(gpu->key, gpu->tag);
        gpu->memory = memory > reserved ? memory - reserved : 0;
        gpu->memory_free = number_of(device, "memory_free");
        gpu->share_free = (uint32_t)number_of(device, "share_free");
        read_trouble(device, gpu);
        if (!is_known)
                gpu->numa = fgi_kube_numa("", gpu->uuid);
}

/* Processors are devices for OpenCL as well: they are offered where there is no GPU. */
static bool has_gpus(const json_t *devices)
{
        const json_t *device;
        size_t i;
        json_array_foreach(devices, i, device)
                if (strcmp(text_of(device, "type"), "gpu") == 0)
                        return true;
        return false;
}

int fgi_kube_node_look(struct fgi_kube_node *node, struct fg_error *err)
{
        fgi_kube_autojson json_t *answer = NULL;
        json_t *device;
        size_t i;
        int r = call(node, "GET", "/v1/devices", NULL, &answer, err);
        if (r < 0)
                return r;
        const json_t *devices = json_object_get(answer, "devices");
        bool only_gpus = has_gpus(devices);
        node->gpus = 0;
        json_array_foreach(devices, i, device) {
                struct fgi_kube_gpu *gpu = &node->gpu[node->gpus];
                if (node->gpus == FGI_KUBE_GPUS_MAX)
                        break;
                if (only_gpus && strcmp(text_of(device, "type"), "gpu") != 0)
                        continue;
                read_gpu(device, gpu);
                /* One in two million; both behind one name would be worse than one missing. */
                if (fgi_kube_node_gpu(node, gpu->tag))
                        fg_log_error("device %s has the tag of another and is left out", gpu->key);
                else
                        node->gpus++;
        }
        return 0;
}

struct fgi_kube_gpu *fgi_kube_node_gpu(struct fgi_kube_node *node, const char *tag)
{
        for (uint32_t i = 0; i < node->gpus; i++)
                if (strcmp(node->gpu[i].tag, tag) == 0)
                        return &node->gpu[i];
        return NULL;
}

int fgi_kube_node_project(struct fgi_kube_node *node, const char *project, struct fg_error *err)
{
        char body[128];
        snprintf(body, sizeof body, "{\"name\": \"%s\", \"idle_lease\": 0}", project);
        int r = call(node, "POST", "/v1/projects", body, NULL, err);
        return r == -EEXIST ? 0 : r; /* its lease is what somebody made it */
}

int fgi_kube_node_create(struct fgi_kube_node *node, const char *project, const char *body, struct fg_error *err)
{
        int r = call(node, "POST", "/v1/vgpus", body, NULL, err);
        if (r != -ENOENT)
                return r;
        /* The project's first. */
        r = fgi_kube_node_project(node, project, err);
        return r < 0 ? r : call(node, "POST", "/v1/vgpus", body, NULL, err);
}

int fgi_kube_node_delete(struct fgi_kube_node *node, const char *project, const char *set, struct fg_error *err)
{
        char path[256];
        snprintf(path, sizeof path, "/v1/vgpus/%s?project=%s", set, project);
        int r = call(node, "DELETE", path, NULL, NULL, err);
        return r == -ENOENT ? 0 : r;
}

int fgi_kube_node_bill(struct fgi_kube_node *node, const char *project, const char *set, const char *payer, const char *workload, struct fg_error *err)
{
        char path[256];
        snprintf(path, sizeof path, "/v1/vgpus/%s/payer?project=%s", set, project);
        fgi_kube_autojson json_t *body = json_pack("{s:s}", "project", payer);
        if (*workload)
                json_object_set_new(body, "workload", json_string(workload));
        fg_autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        int r = text ? call(node, "PUT", path, text, NULL, err) : fg_error_set(err, -ENOMEM, "out of memory");
        if (r != -ENOENT)
                return r;
        /* Its first. */
        r = fgi_kube_node_project(node, payer, err);
        return r < 0 ? r : call(node, "PUT", path, text, NULL, err);
}

int fgi_kube_node_box(struct fgi_kube_node *node, const char *project, const char *set, json_t **ret, struct fg_error *err)
{
        char body[256];
        snprintf(body, sizeof body, "{\"target\": \"%s\", \"project\": \"%s\"}", set, project);
        int r = call(node, "POST", "/v1/containers", body, ret, err);
        snprintf(body, sizeof body, "%s:%s", project, set);
        node->is_plain = r == 0 && strcmp(text_of(*ret, "device"), body) == 0;
        return r;
}

int fgi_kube_node_sets(struct fgi_kube_node *node, const char *project, json_t **ret, struct fg_error *err)
{
        char path[128];
        snprintf(path, sizeof path, "/v1/vgpus?project=%s", project);
        int r = call(node, "GET", path, NULL, ret, err);
        if (r == -ENOENT) {
                *ret = json_object();
                return 0;
        }
        return r;
}

int fgi_kube_node_set(struct fgi_kube_node *node, const char *project, const char *set, json_t **ret, struct fg_error *err)
{
        char path[256];
        snprintf(path, sizeof path, "/v1/vgpus/%s?project=%s", set, project);
        return call(node, "GET", path, NULL, ret, err);
}

int fgi_kube_node_workloads(struct fgi_kube_node *node, json_t **ret, struct fg_error *err)
{
        fgi_kube_autojson json_t *answer = NULL;
        char name[2 * FGI_KUBE_NAME_MAX + 1];
        json_t *set;
        size_t i;
        int r = call(node, "GET", "/v1/vgpus", NULL, &answer, err);
        if (r < 0)
                return r;
        *ret = json_object();
        json_array_foreach(json_object_get(answer, "sets"), i, set) {
                snprintf(name, sizeof name, "%s:%s", text_of(set, "project"), text_of(set, "name"));
                if (*text_of(set, "workload"))
                        json_object_set_new(*ret, name, json_string(text_of(set, "workload")));
        }
        return 0;
}

static void add_claimed(struct fgi_kube_node *node, const json_t *vgpu)
{
        const char *key = text_of(vgpu, "device_key");
        for (uint32_t i = 0; i < node->gpus; i++)
                if (strcmp(node->gpu[i].key, key) == 0) {
                        node->gpu[i].claimed_memory += number_of(vgpu, "memory");
                        node->gpu[i].claimed_share += (uint32_t)number_of(vgpu, "share");
                }
}

/* Tenants name their sets as they like. */
static bool is_claim(const json_t *set, const char *prefix)
{
        static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
        const char *uid = text_of(set, "name");
        if (strncmp(uid, "claim-", 6) != 0 || strncmp(text_of(set, "project"), prefix, strlen(prefix)) != 0)
                return false;
        uid += 6;
        for (size_t i = 0; i < sizeof form - 1; i++)
                if (form[i] == 'x' ? !isxdigit((unsigned char)uid[i]) : uid[i] != '-')
                        return false;
        return uid[sizeof form - 1] == 0;
}

int fgi_kube_node_claimed(struct fgi_kube_node *node, const char *prefix, struct fg_error *err)
{
        fgi_kube_autojson json_t *answer = NULL;
        json_t *set, *vgpu;
        size_t i, j;
        int r = call(node, "GET", "/v1/vgpus", NULL, &answer, err);
        if (r == 0)
                r = fgi_kube_node_look(node, err);
        if (r < 0)
                return r;
        for (uint32_t k = 0; k < node->gpus; k++)
                node->gpu[k].claimed_memory = node->gpu[k].claimed_share = 0;
        json_array_foreach(json_object_get(answer, "sets"), i, set)
                if (is_claim(set, prefix))
                        json_array_foreach(json_object_get(set, "vgpus"), j, vgpu)
                                add_claimed(node, vgpu);
        return 0;
}

/* /proc/driver/nvidia/gpus/0000:01:00.0/information names the UUID; the folder is the PCI address. */
static bool has_uuid(const char *path, const char *uuid)
{
        char line[256], found[80] = "";
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof line, file))
                sscanf(line, "GPU UUID: %79s", found);
        if (file)
                fclose(file);
        return strcmp(found, uuid) == 0;
}

int fgi_kube_numa(const char *root, const char *uuid)
{
        char folder[PATH_MAX], path[PATH_MAX + 300];
        struct dirent *entry;
        int numa = -1;
        snprintf(folder, sizeof folder, "%s/proc/driver/nvidia/gpus", root);
        DIR *dir = opendir(folder);
        while (dir && (entry = readdir(dir))) {
                snprintf(path, sizeof path, "%s/%s/information", folder, entry->d_name);
                if (entry->d_name[0] == '.' || !has_uuid(path, uuid))
                        continue;
                snprintf(path, sizeof path, "%s/sys/bus/pci/devices/%s/numa_node", root, entry->d_name);
                FILE *file = fopen(path, "re");
                if (file && fscanf(file, "%d", &numa) != 1)
                        numa = -1;
                if (file)
                        fclose(file);
                break;
        }
        if (dir)
                closedir(dir);
        return numa;
}
