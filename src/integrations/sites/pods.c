/* SPDX-License-Identifier: Apache-2.0
 * What the cluster's API server says, by kubectl: which pods wait for vGPUs and how large they are, which nodes there are and which are used. */
#include "integrations/sites/sites.h"

#include "base/size.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASS      "fastgpu.dev/vgpu-"      /* resources of fastgpu-kubelet's classes: …8g-25 */
#define ANSWER_MAX (64u << 20)
#define PATIENCE   60
#define COUNT_MAX  4096 /* more than any node has room for */

__attribute__((sentinel)) static int kubectl(const char *config, json_t **ret, struct fg_error *err, ...)
{
        fgi_sites_autowords struct fgi_sites_words w = {.answer_max = ANSWER_MAX};
        struct fgi_sites_offer cluster = {.provider = "cluster-api", .timeout = PATIENCE};
        const char *word;
        va_list rest;
        snprintf(cluster.credentials, sizeof cluster.credentials, "%s", config ? config : "");
        fgi_sites_add(&w, "kubectl");
        va_start(rest, err);
        while ((word = va_arg(rest, const char *)))
                fgi_sites_add(&w, "%s", word);
        va_end(rest);
        return fgi_sites_provider_ask(&cluster, &w, ret, err);
}

static int list(const char *config, const char *what, json_t **ret, struct fg_error *err)
{
        json_t *answer = NULL;
        int r = kubectl(config, &answer, err, "get", what, "--all-namespaces", "--output", "json", NULL);
        *ret = r == 0 ? json_incref(json_object_get(answer, "items")) : NULL;
        json_decref(answer);
        if (r == 0 && !json_is_array(*ret))
                r = fg_error_set(err, -EPROTO, "kubectl answered no list of %s", what);
        return r < 0 ? fg_error_wrap(err, r, "asking the cluster for its %s", what) : 0;
}

int fgi_sites_cluster_read(const char *config, struct fgi_sites_cluster *ret, struct fg_error *err)
{
        json_t *pod;
        size_t i;
        bool claims = false;
        *ret = (struct fgi_sites_cluster){.config = config};
        int r = list(config, "pods", &ret->pods, err);
        if (r == 0)
                r = list(config, "nodes", &ret->nodes, err);
        /* Clusters before 1.34 have none, and no pods that name some. */
        json_array_foreach(ret->pods, i, pod) claims |= json_array_size(fgi_sites_at(pod, "spec/resourceClaims")) > 0;
        if (r == 0 && claims)
                r = list(config, "resourceclaims", &ret->claims, err);
        return r;
}

void fgi_sites_cluster_clear(struct fgi_sites_cluster *cluster)
{
        json_decref(cluster->pods);
        json_decref(cluster->nodes);
        json_decref(cluster->claims);
}

const char *fgi_sites_name_of(json_t *object)
{
        return fgi_sites_text(json_object_get(object, "metadata"), "name");
}

const char *fgi_sites_space_of(json_t *object)
{
        return fgi_sites_text(json_object_get(object, "metadata"), "namespace");
}

/* The scheduler has found no node for it. */
bool fgi_sites_pod_waits(json_t *pod)
{
        json_t *one;
        size_t i;
        if (strcmp(fgi_sites_text(json_object_get(pod, "status"), "phase"), "Pending") != 0 || *fgi_sites_text(json_object_get(pod, "spec"), "nodeName") ||
            fgi_sites_at(pod, "metadata/deletionTimestamp"))
                return false;
        json_array_foreach(fgi_sites_at(pod, "status/conditions"), i, one) if (strcmp(fgi_sites_text(one, "type"), "PodScheduled") == 0)
                return strcmp(fgi_sites_text(one, "reason"), "Unschedulable") == 0;
        return false;
}

/* Several sizes in one pod count as so many of the largest. */
static void add(struct fgi_sites_wish *wish, uint64_t count, uint64_t memory, uint32_t permille)
{
        wish->gpus += count;
        wish->memory = memory > wish->memory ? memory : wish->memory;
        wish->permille = permille > wish->permille ? permille : wish->permille;
}

static uint64_t count_of(const json_t *value)
{
        uint64_t count = 0;
        if (json_is_integer(value) && json_integer_value(value) > 0)
                return json_integer_value(value) < COUNT_MAX ? (uint64_t)json_integer_value(value) : COUNT_MAX;
        return json_is_string(value) && fg_count_parse("count", json_string_value(value), 1, COUNT_MAX, &count, NULL) == 0 ? count : 0;
}

/* "fastgpu.dev/vgpu-8g-25" by its name; classes with names of the operator's own are not known here. */
static void add_slices(json_t *container, struct fgi_sites_wish *wish)
{
        const char *name;
        json_t *value;
        json_object_foreach(fgi_sites_at(container, "resources/limits"), name, value)
        {
                char size[64];
                uint64_t memory = 0;
                uint32_t permille = 0;
                if (strncmp(name, CLASS, strlen(CLASS)) != 0)
                        continue;
                snprintf(size, sizeof size, "%s", name + strlen(CLASS));
                char *share = strrchr(size, '-');
                if (!share)
                        continue;
                *share++ = '\0';
                if (fg_size_parse(size, 0, &memory, NULL) == 0 && fg_share_parse(share, &permille, NULL) == 0)
                        add(wish, count_of(value), memory, permille);
        }
}

/* A quantity of Kubernetes: "12Gi", "12G" (a thousand thousand thousands), "8e9", "8589934592000m". 0: none that could be meant. */
static uint64_t bytes_of(const char *text)
{
        static const char units[] = "kMGTP";
        char *end;
        double value = *text >= '0' && *text <= '9' ? strtod(text, &end) : 0;
        if (value <= 0)
                return 0;
        const char *unit = *end ? strchr(units, *end == 'K' ? 'k' : *end) : NULL;
        bool binary = unit && end[1] == 'i';
        for (const char *u = units; unit && u <= unit; u++)
                value *= binary ? 1024 : 1000;
        if (*end == 'm' && !end[1])
                value /= 1000;
        else if (*end && (!unit || end[1 + binary]))
                return 0;
        return value < 1e18 ? (uint64_t)value : 0;
}

static void add_claim(json_t *claim, struct fgi_sites_wish *wish)
{
        json_t *request;
        size_t i;
        json_array_foreach(fgi_sites_at(claim, "spec/devices/requests"), i, request)
        {
                json_t *exactly = json_object_get(request, "exactly"), *wants = fgi_sites_at(exactly, "capacity/requests");
                uint64_t count = count_of(json_object_get(exactly, "count"));
                uint32_t permille = 0;
                if (!strstr(fgi_sites_text(exactly, "deviceClassName"), "fastgpu.dev"))
                        continue;
                uint64_t memory = bytes_of(fgi_sites_text(wants, "memory"));
                fg_share_parse(fgi_sites_text(wants, "compute"), &permille, NULL);
                /* What a claim does not say it has all of, and then nobody else is on that GPU. */
                add(wish, count ? count : 1, memory, memory && permille ? permille : 1000);
        }
}

/* The name of the claim that was made for a pod's `resourceClaims` entry. */
static const char *claim_of(json_t *pod, json_t *entry)
{
        json_t *one;
        size_t i;
        if (*fgi_sites_text(entry, "resourceClaimName"))
                return fgi_sites_text(entry, "resourceClaimName");
        json_array_foreach(fgi_sites_at(pod, "status/resourceClaimStatuses"), i, one) if (strcmp(fgi_sites_text(one, "name"), fgi_sites_text(entry, "name")) == 0)
                return fgi_sites_text(one, "resourceClaimName");
        return "";
}

static void add_claims(const struct fgi_sites_cluster *cluster, json_t *pod, struct fgi_sites_wish *wish)
{
        json_t *entry, *claim;
        size_t i, k;
        json_array_foreach(fgi_sites_at(pod, "spec/resourceClaims"), i, entry)
        {
                const char *name = claim_of(pod, entry);
                json_array_foreach(cluster->claims, k, claim) if (strcmp(fgi_sites_name_of(claim), name) == 0 && strcmp(fgi_sites_space_of(claim), fgi_sites_space_of(pod)) == 0)
                        add_claim(claim, wish);
        }
}

bool fgi_sites_pod_wish(const struct fgi_sites_cluster *cluster, json_t *pod, struct fgi_sites_wish *ret)
{
        json_t *container;
        size_t i;
        *ret = (struct fgi_sites_wish){.left_micro = -1, .currency = ""};
        json_array_foreach(fgi_sites_at(pod, "spec/containers"), i, container) add_slices(container, ret);
        add_claims(cluster, pod, ret);
        json_int_t deadline = json_integer_value(fgi_sites_at(pod, "spec/activeDeadlineSeconds"));
        ret->seconds = deadline > 0 ? (uint64_t)deadline : 0;
        return ret->gpus > 0;
}

/* --- nodes --- */

/* Instances are named by the end of providerID (aws:///eu-central-1a/i-1), Cluster API's by an annotation, others as the node. */
json_t *fgi_sites_node_of(const struct fgi_sites_cluster *cluster, const char *machine)
{
        json_t *node;
        size_t i;
        json_array_foreach(cluster->nodes, i, node)
        {
                const char *end = strrchr(fgi_sites_text(json_object_get(node, "spec"), "providerID"), '/');
                const json_t *notes = fgi_sites_at(node, "metadata/annotations");
                if (strcmp(fgi_sites_name_of(node), machine) == 0 || (end && strcmp(end + 1, machine) == 0) ||
                    strcmp(fgi_sites_text(notes, "cluster.x-k8s.io/machine"), machine) == 0)
                        return node;
        }
        return NULL;
}

static bool is_of_node(json_t *pod)
{
        json_t *owner;
        size_t i;
        if (json_object_get(fgi_sites_at(pod, "metadata/annotations"), "kubernetes.io/config.mirror"))
                return true;
        json_array_foreach(fgi_sites_at(pod, "metadata/ownerReferences"), i, owner) if (strcmp(fgi_sites_text(owner, "kind"), "DaemonSet") == 0)
                return true;
        return false;
}

bool fgi_sites_node_is_used(const struct fgi_sites_cluster *cluster, const char *node)
{
        json_t *pod;
        size_t i;
        json_array_foreach(cluster->pods, i, pod)
        {
                const char *phase = fgi_sites_text(json_object_get(pod, "status"), "phase");
                if (strcmp(fgi_sites_text(json_object_get(pod, "spec"), "nodeName"), node) == 0 && strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0 &&
                    !is_of_node(pod))
                        return true;
        }
        return false;
}

/* --- what is said to the cluster --- */

int fgi_sites_cordon(const struct fgi_sites_cluster *cluster, const char *node, bool cordon, struct fg_error *err)
{
        return kubectl(cluster->config, NULL, err, cordon ? "cordon" : "uncordon", node, NULL);
}

void fgi_sites_pod_note(const struct fgi_sites_cluster *cluster, json_t *pod, const char *text)
{
        char note[700];
        if (strcmp(fgi_sites_text(fgi_sites_at(pod, "metadata/annotations"), FGI_SITES_NOTE), text) == 0)
                return;
        snprintf(note, sizeof note, FGI_SITES_NOTE "=%s", text);
        kubectl(cluster->config, NULL, NULL, "annotate", "pod", fgi_sites_name_of(pod), "--namespace", fgi_sites_space_of(pod), "--overwrite", note, NULL);
}
