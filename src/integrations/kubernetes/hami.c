/* SPDX-License-Identifier: Apache-2.0
 * Pods that were written for HAMi: nvidia.com/gpu vGPUs, each of nvidia.com/gpumem MiB or nvidia.com/gpumem-percentage, and nvidia.com/gpucores
 * percent. A device plugin is told none of that but how many. So nothing is made until a container is about to start: then the kubelet says whose
 * the devices are, and the API server what the pod asks for. */
#include "integrations/kubernetes/dra.h"

#include "base/clock.h"
#include "base/log.h"
#include "podresources.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PATIENCE (10 * FG_NSEC_PER_SEC) /* the kubelet waits for 30 s */
#define AGAIN    (FG_NSEC_PER_SEC / 10)
#define PUBLISH  (60 * FG_NSEC_PER_SEC)
#define PREFIX   "nvidia.com/"

struct fgi_kube_hami_start {
        struct fgi_kube_hami_start *next;
        struct fgi_kube_dra *dra;
        struct fgi_kube_resource *resource;
        struct fgi_grpc_call *call; /* NULL: nobody waits any more */
        struct fgi_kube_ask ask;
        bool is_asking; /* the API server */
        bool is_over;
        uint64_t at, until;
        char container[FGI_KUBE_NAME_MAX];
        uint32_t ids;
        struct fgi_kube_id id[FGI_KUBE_IDS_MAX];
};

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

static void over(struct fgi_kube_hami_start *s, int r, const struct fg_error *err)
{
        Fgi__Plugin__Nothing reply = FGI__PLUGIN__NOTHING__INIT;
        char text[FG_ERROR_MAX];
        s->is_over = true;
        if (!s->call)
                return;
        if (r == 0) {
                fgi_kube_reply(s->call, &reply.base);
        } else {
                snprintf(text, sizeof text, "FastGPU: %.480s", err->text);
                fg_log_warning("refused: %s", text);
                fgi_kube_refused(s->dra->kube, "%s", text);
                fgi_grpc_end(s->call, r == -ENOSPC ? FGI_GRPC_RESOURCE_EXHAUSTED : FGI_GRPC_FAILED_PRECONDITION, text);
        }
        s->call = NULL;
}

/* --- what the pod asks for --- */

struct wish {
        uint64_t memory;  /* bytes; 0: not said */
        uint64_t percent; /* of a GPU's memory; 0: not said */
        uint64_t cores;   /* percent; 0: not said */
};

static int read_one(const json_t *limits, const char *name, uint64_t most, uint64_t *ret, struct fg_error *err)
{
        char key[64], number[32];
        snprintf(key, sizeof key, PREFIX "%s", name);
        const json_t *value = json_object_get(limits, key);
        uint64_t milli = 0;
        *ret = 0;
        if (!value)
                return 0;
        if (json_is_integer(value))
                snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        const char *text = json_is_integer(value) ? number : json_is_string(value) ? json_string_value(value) : "";
        if (fgi_kube_quantity(text, &milli) < 0 || milli % 1000 || milli / 1000 > most)
                return fg_error_set(err, -EINVAL, "%s: \"%.40s\" is no whole number up to %llu", key, text, (unsigned long long)most);
        *ret = milli / 1000;
        return 0;
}

static int read_wish(const json_t *limits, struct wish *ret, struct fg_error *err)
{
        int r = read_one(limits, "gpumem", 1u << 24, &ret->memory, err); /* 16 TiB */
        if (r == 0)
                r = read_one(limits, "gpumem-percentage", 100, &ret->percent, err);
        if (r == 0)
                r = read_one(limits, "gpucores", 100, &ret->cores, err);
        ret->memory <<= 20;
        return r == 0 && ret->memory && ret->percent ? fg_error_set(err, -EINVAL, "a container asks for gpumem or for gpumem-percentage, not for both") : r;
}

static uint64_t memory_on(const struct wish *wish, const struct fgi_kube_gpu *gpu)
{
        return wish->memory ? wish->memory : gpu->memory * (wish->percent ? wish->percent : 100) / 100;
}

/* Without gpucores HAMi has programs share as they come: here each has the part of the time that it has of the memory. */
static uint32_t share_on(const struct wish *wish, const struct fgi_kube_gpu *gpu)
{
        uint64_t permille = wish->cores ? wish->cores * 10 : memory_on(wish, gpu) * 1000 / gpu->memory;
        return permille < 1 ? 1 : permille > 1000 ? 1000 : (uint32_t)permille;
}

/* --- which GPUs it may have --- */

/* Whether a word of a list such as "A100,H100" is in the text. */
static bool lists(const char *list, const char *text, bool whole)
{
        while (*list) {
                size_t len = strcspn(list, ", ");
                char word[128];
                snprintf(word, sizeof word, "%.*s", (int)len, list);
                if (len && (whole ? strcasecmp(word, text) == 0 : strcasestr(text, word) != NULL))
                        return true;
                list += len + (list[len] != 0);
        }
        return false;
}

static bool may_have(const json_t *annotations, const struct fgi_kube_gpu *gpu)
{
        const char *uuid = strncmp(gpu->key, "cuda/", 5) == 0 ? gpu->key + 5 : gpu->uuid;
        const char *use = text_of(annotations, PREFIX "use-gpuuuid"), *not = text_of(annotations, PREFIX "nouse-gpuuuid");
        const char *type = text_of(annotations, PREFIX "use-gputype"), *not_type = text_of(annotations, PREFIX "nouse-gputype");
        return gpu->usable && gpu->memory > 0 && (!*use || lists(use, uuid, true)) && !lists(not, uuid, true) && (!*type || lists(type, gpu->model, false)) &&
               !lists(not_type, gpu->model, false);
}

static bool has_one(const json_t *devices, const struct fgi_kube_gpu *gpu)
{
        const json_t *device;
        size_t i;
        json_array_foreach(devices, i, device)
                if (strcmp(json_string_value(device), gpu->key) == 0)
                        return true;
        return false;
}

/* One that the container has nothing on yet, if there is; of these the one with the most left. */
static struct fgi_kube_gpu *choose(struct fgi_kube_node *node, const json_t *annotations, const struct wish *wish, const json_t *devices)
{
        struct fgi_kube_gpu *best = NULL;
        bool best_is_new = false;
        for (uint32_t i = 0; i < node->gpus; i++) {
                struct fgi_kube_gpu *gpu = &node->gpu[i];
                bool is_new = !has_one(devices, gpu);
                if (!may_have(annotations, gpu) || memory_on(wish, gpu) > gpu->memory_free || share_on(wish, gpu) > gpu->share_free)
                        continue;
                if (best && (is_new == best_is_new ? gpu->memory_free <= best->memory_free : !is_new))
                        continue;
                best = gpu;
                best_is_new = is_new;
        }
        return best;
}

static int no_gpu(const struct wish *wish, struct fg_error *err)
{
        char memory[40] = "all of its memory", compute[40] = "the same part of compute";
        if (wish->memory)
                snprintf(memory, sizeof memory, "%llu MiB", (unsigned long long)wish->memory >> 20);
        else if (wish->percent)
                snprintf(memory, sizeof memory, "%llu %% of its memory", (unsigned long long)wish->percent);
        if (wish->cores)
                snprintf(compute, sizeof compute, "%llu %% of compute", (unsigned long long)wish->cores);
        return fg_error_set(err, -ENOSPC, "no GPU of this node that the pod may have has %s and %s left", memory, compute);
}

static int add_vgpu(struct fgi_kube_node *node, const json_t *annotations, const struct wish *wish, json_t *body, struct fg_error *err)
{
        char share[16];
        struct fgi_kube_gpu *gpu = choose(node, annotations, wish, json_object_get(body, "devices"));
        if (!gpu)
                return no_gpu(wish, err);
        uint64_t memory = memory_on(wish, gpu);
        uint32_t permille = share_on(wish, gpu);
        snprintf(share, sizeof share, "%u.%u", permille / 10, permille % 10);
        gpu->memory_free -= memory;
        gpu->share_free -= permille;
        return json_array_append_new(json_object_get(body, "memory"), json_integer((json_int_t)memory)) < 0 ||
                               json_array_append_new(json_object_get(body, "compute"), json_string(share)) < 0 ||
                               json_array_append_new(json_object_get(body, "devices"), json_string(gpu->key)) < 0 ?
                       fg_error_set(err, -ENOMEM, "out of memory") :
                       0;
}

/* --- making it --- */

static int publish(struct fgi_kube_hami_start *s, const char *set, struct fg_error *err)
{
        struct fgi_kube_node *node = &s->dra->kube->node;
        fgi_kube_autojson json_t *box = NULL;
        char promised[2 * FGI_KUBE_NAME_MAX];
        snprintf(promised, sizeof promised, "%s:%s", node->project, set);
        int r = fgi_kube_node_box(node, node->project, set, &box, err);
        if (r == 0 && strcmp(text_of(box, "device"), promised) != 0)
                r = fg_error_set(err, -EINVAL, "engines know it as \"%s\", and the container was told %s", text_of(box, "device"), promised);
        return r;
}

static int make(struct fgi_kube_hami_start *s, const json_t *annotations, const struct wish *wish, struct fg_error *err)
{
        struct fgi_kube *kube = s->dra->kube;
        char set[FGI_KUBE_NAME_MAX];
        fgi_kube_set_name(s->resource->class.name, s->id, s->ids, set);
        int r = fgi_kube_node_look(&kube->node, err);
        fgi_kube_autojson json_t *body = json_pack("{s:s, s:s, s:i, s:[], s:[], s:[]}", "name", set, "project", kube->node.project, "gpus", (int)s->ids,
                                                   "memory", "compute", "devices");
        for (uint32_t i = 0; r == 0 && i < s->ids; i++)
                r = add_vgpu(&kube->node, annotations, wish, body, err);
        fg_autofree char *text = r == 0 && body ? json_dumps(body, JSON_COMPACT) : NULL;
        if (r == 0)
                r = text ? fgi_kube_node_create(&kube->node, kube->node.project, text, err) : fg_error_set(err, -ENOMEM, "out of memory");
        if (r == -EEXIST)
                r = 0; /* of a process of ours before this one, for the same container */
        if (r == 0)
                r = publish(s, set, err);
        if (r == 0 && !fgi_kube_held_add(kube, (uint32_t)(s->resource - kube->resource), set, s->id, s->ids))
                r = fg_error_set(err, -ENOMEM, "there are too many sets on this node");
        if (r == 0)
                fg_log_info("%s made", set);
        return r;
}

static const json_t *limits_of(const json_t *pod, const char *name)
{
        static const char *const kinds[] = {"containers", "initContainers"};
        const json_t *container;
        size_t i;
        for (unsigned k = 0; k < 2; k++)
                json_array_foreach(json_object_get(json_object_get(pod, "spec"), kinds[k]), i, container)
                        if (strcmp(text_of(container, "name"), name) == 0)
                                return json_object_get(json_object_get(container, "resources"), "limits");
        return NULL;
}

static void on_pod(void *user, long status, const char *body)
{
        struct fgi_kube_hami_start *s = user;
        struct fg_error err = {0};
        struct wish wish = {0};
        fgi_kube_autojson json_t *pod = status == 200 ? json_loads(body, JSON_REJECT_DUPLICATES, NULL) : NULL;
        const json_t *limits = limits_of(pod, s->container);
        s->is_asking = false;
        if (!s->call) {
                s->is_over = true;
                return;
        }
        int r = status == 0   ? fg_error_set(&err, -EAGAIN, "%.400s", body) :
                status == 403 ? fg_error_set(&err, -EACCES, "the API server does not let us read pods: is the ClusterRole there?") :
                !limits       ? fg_error_set(&err, -EPROTO, "the API server does not say what container %s asks for", s->container) :
                                read_wish(limits, &wish, &err);
        if (r == 0)
                r = make(s, json_object_get(json_object_get(pod, "metadata"), "annotations"), &wish, &err);
        over(s, r, &err);
}

/* --- whose the devices are --- */

static bool has_ids(const struct fgi_kube_hami_start *s, const Fgi__Pods__Container *container)
{
        for (size_t i = 0; i < container->n_devices; i++)
                for (size_t j = 0; strcmp(container->devices[i]->resource, s->resource->class.resource) == 0 && j < container->devices[i]->n_ids; j++)
                        for (uint32_t k = 0; k < s->ids; k++) {
                                struct fgi_kube_id id;
                                if (fgi_kube_id_parse(container->devices[i]->ids[j], &id) == 0 && id.slot == s->id[k].slot && strcmp(id.tag, s->id[k].tag) == 0)
                                        return true;
                        }
        return false;
}

static void ask_server(struct fgi_kube_hami_start *s, const Fgi__Pods__Pod *pod, const Fgi__Pods__Container *container)
{
        struct fg_error err = {0};
        char path[512];
        snprintf(s->container, sizeof s->container, "%s", container->name);
        snprintf(path, sizeof path, "/api/v1/namespaces/%.63s/pods/%.253s", pod->namespace_, pod->name);
        s->is_asking = fgi_kube_api_ask(s->dra->api, "GET", path, NULL, on_pod, s) == 0;
        if (!s->is_asking)
                over(s, fg_error_set(&err, -EAGAIN, "too many containers start at once; it is tried again"), &err);
}

static void read_pods(struct fgi_kube_hami_start *s, const uint8_t *answer, size_t size)
{
        fgi_kube_automessage ProtobufCMessage *message = fgi_kube_unpack(&fgi__pods__list_reply__descriptor, answer, size);
        const Fgi__Pods__ListReply *list = (const Fgi__Pods__ListReply *)message;
        for (size_t i = 0; list && i < list->n_pods; i++)
                for (size_t j = 0; j < list->pods[i]->n_containers; j++)
                        if (has_ids(s, list->pods[i]->containers[j])) {
                                ask_server(s, list->pods[i], list->pods[i]->containers[j]);
                                return;
                        }
}

static void go_on(struct fgi_kube_hami_start *s, uint64_t now)
{
        char path[PATH_MAX];
        struct fg_error err = {0};
        Fgi__Pods__ListRequest message = FGI__PODS__LIST_REQUEST__INIT;
        fg_autofree uint8_t *answer = NULL;
        size_t size;
        if (s->is_asking || s->is_over)
                return;
        if (!s->call || now >= s->until) {
                over(s, fg_error_set(&err, -ETIMEDOUT, "the kubelet does not say whose device %s-%u is", s->id[0].tag, s->id[0].slot), &err);
                return;
        }
        if (s->ask.client && fgi_kube_ask_try(&s->ask, &answer, &size, &err) > 0)
                read_pods(s, answer, size);
        if (s->is_asking || s->is_over || s->ask.client || now < s->at)
                return;
        snprintf(path, sizeof path, "%s/pod-resources/kubelet.sock", s->dra->kube->folder);
        s->at = now + AGAIN;
        fgi_kube_ask_start(&s->ask, path, "/v1.PodResourcesLister/List", &message.base, PATIENCE, &err);
}

static void gone(struct fgi_grpc_call *call, void *data)
{
        struct fgi_kube_hami_start *s = data;
        s->call = NULL;
}

void fgi_kube_hami_start(struct fgi_kube_resource *resource, struct fgi_grpc_call *call, const struct fgi_kube_id *id, uint32_t ids)
{
        struct fgi_kube_dra *dra = resource->kube->dra;
        struct fgi_kube_hami_start *s = calloc(1, sizeof *s);
        char set[FGI_KUBE_NAME_MAX];
        struct fg_error err = {0};
        if (!s) {
                fgi_grpc_end(call, FGI_GRPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        *s = (struct fgi_kube_hami_start){.next = dra->starts, .dra = dra, .resource = resource, .call = call, .ids = ids, .until = fg_now() + PATIENCE};
        memcpy(s->id, id, ids * sizeof *id);
        dra->starts = s;
        fgi_grpc_on_close(call, gone, s);
        fgi_kube_set_name(resource->class.name, id, ids, set);
        if (fgi_kube_held_find(resource->kube, set) && publish(s, set, &err) == 0)
                over(s, 0, &err); /* its container starts again */
}

/* --- what the node has, for the scheduler --- */

static void on_published(void *user, long status, const char *body)
{
        struct fgi_kube_dra *dra = user;
        if (status == 200)
                return;
        fgi_kube_autojson json_t *answer = status ? json_loads(body, 0, NULL) : NULL;
        fg_log_warning("the scheduler cannot be told of " PREFIX "gpumem and gpucores: %.200s (%ld)", status ? text_of(answer, "message") : body, status);
        dra->hami_at = fg_now() + AGAIN * 100;
}

/* Sums over the node's GPUs: the scheduler cannot know more of it, so what fits into the sum and onto no GPU is refused when it starts. */
static void tell_scheduler(struct fgi_kube_dra *dra, uint64_t now)
{
        uint64_t mib = 0, percent = 0;
        char path[300], memory[24], part[24];
        for (uint32_t i = 0; i < dra->kube->node.gpus; i++) {
                mib += dra->kube->node.gpu[i].usable ? dra->kube->node.gpu[i].memory >> 20 : 0;
                percent += dra->kube->node.gpu[i].usable ? 100 : 0;
        }
        if (!dra->kube->node.is_there || (now < dra->hami_at && mib == dra->hami_told))
                return;
        dra->hami_at = now + PUBLISH;
        dra->hami_told = mib;
        snprintf(memory, sizeof memory, "%llu", (unsigned long long)mib);
        snprintf(part, sizeof part, "%llu", (unsigned long long)percent);
        fgi_kube_autojson json_t *body = json_pack("{s:{s:{s:s, s:s, s:s}}}", "status", "capacity", PREFIX "gpumem", memory, PREFIX "gpumem-percentage", part,
                                                   PREFIX "gpucores", part);
        fg_autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        snprintf(path, sizeof path, "/api/v1/nodes/%s/status", dra->node);
        if (text)
                fgi_kube_api_ask(dra->api, "PATCH", path, text, on_published, dra);
}

static void start_free(struct fgi_kube_hami_start *s)
{
        fgi_kube_ask_stop(&s->ask);
        free(s);
}

void fgi_kube_hami_close(struct fgi_kube_dra *dra)
{
        struct fgi_kube_hami_start *s;
        while ((s = dra->starts)) {
                dra->starts = s->next;
                start_free(s);
        }
}

void fgi_kube_hami_check(struct fgi_kube_dra *dra, uint64_t now)
{
        if (!dra->is_hami)
                return;
        tell_scheduler(dra, now);
        for (struct fgi_kube_hami_start **at = &dra->starts; *at;) {
                struct fgi_kube_hami_start *s = *at;
                go_on(s, now);
                if (!s->is_over || s->is_asking) {
                        at = &s->next;
                        continue;
                }
                *at = s->next;
                start_free(s);
        }
}
