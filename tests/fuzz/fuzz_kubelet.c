/* SPDX-License-Identifier: Apache-2.0
 * What others tell fastgpu-kubelet between its calls. The first byte says which: 'h' a pod of HAMi's as the API server has it, 'l' the object that
 * has the labels, 'c' the kubelet's checkpoint, 'p' its list of pods. The daemon, the API server and the kubelet are the stand-ins below; what is asked of the daemon is
 * complete and fits its GPUs, every call is answered once, and nothing is given back that the checkpoint names, or by a list without our own pod. */
#include "integrations/kubernetes/dra.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GPU_MEMORY ((uint64_t)80 << 30)
#define OWN_SPACE  "kube-system"
#define OWN_NAME   "fastgpu"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *text;                  /* of the input, to its end */
#define ASKED_MAX 64u
static struct {
        fgi_kube_api_done *done;
        void *user;
} asked[ASKED_MAX]; /* of the API server */
static unsigned askeds;
static int answered;                /* calls that ended or were replied to */
static struct fgi_grpc_call *const call = (struct fgi_grpc_call *)&answered; /* only ever compared */
static struct fgi_kube kube;
static struct fgi_kube_dra dra;

/* --- the API server --- */

int __wrap_fgi_kube_api_ask(struct fgi_kube_api *api, const char *method, const char *path, const char *body, fgi_kube_api_done *done, void *user);
int __wrap_fgi_kube_api_ask(struct fgi_kube_api *api, const char *method, const char *path, const char *body, fgi_kube_api_done *done, void *user)
{
        assert(strncmp(path, "/api/v1/n", 9) == 0);
        if (strcmp(method, "GET") != 0)
                return 0; /* the scheduler is told: no answer is awaited */
        if (askeds == ASKED_MAX)
                return -EAGAIN;
        asked[askeds].done = done;
        asked[askeds++].user = user;
        return 0;
}

/* Answers with the input, also what is asked because of that. */
static void answer_all(void)
{
        while (askeds > 0) {
                askeds--;
                asked[askeds].done(asked[askeds].user, 200, text);
        }
}

/* --- the kubelet --- */

int __wrap_fgi_kube_ask_start(struct fgi_kube_ask *ask, const char *path, const char *method, const ProtobufCMessage *message, uint64_t patience, struct fg_error *err);
int __wrap_fgi_kube_ask_start(struct fgi_kube_ask *ask, const char *path, const char *method, const ProtobufCMessage *message, uint64_t patience, struct fg_error *err)
{
        ask->client = (struct fgi_grpc_client *)&answered; /* only ever compared */
        return 0;
}

/* A container with the devices of `resource`, and our own pod. */
static uint8_t *pods(const char *resource, size_t *ret_size)
{
        char one[] = "00ff00-1", two[] = "00ff00-2", name[] = "c", pod_name[] = "p", space[] = "n", own_name[] = OWN_NAME, own_space[] = OWN_SPACE, *ids[] = {one, two};
        Fgi__Pods__Devices devices = FGI__PODS__DEVICES__INIT, *devices_list = &devices;
        Fgi__Pods__Container container = FGI__PODS__CONTAINER__INIT, *containers = &container;
        Fgi__Pods__Pod pod = FGI__PODS__POD__INIT, own = FGI__PODS__POD__INIT, *list[] = {&pod, &own};
        Fgi__Pods__ListReply reply = FGI__PODS__LIST_REPLY__INIT;
        devices.resource = (char *)resource;
        devices.ids = ids;
        devices.n_ids = 2;
        container.name = name;
        container.devices = &devices_list;
        container.n_devices = 1;
        pod.name = pod_name;
        pod.namespace_ = space;
        pod.containers = &containers;
        pod.n_containers = 1;
        own.name = own_name;
        own.namespace_ = own_space;
        reply.pods = list;
        reply.n_pods = 2;
        return fgi_kube_pack(&reply.base, ret_size);
}

int __wrap_fgi_kube_ask_try(struct fgi_kube_ask *ask, uint8_t **ret, size_t *ret_size, struct fg_error *err);
int __wrap_fgi_kube_ask_try(struct fgi_kube_ask *ask, uint8_t **ret, size_t *ret_size, struct fg_error *err)
{
        ask->client = NULL;
        *ret = pods(FGI_KUBE_HAMI_RESOURCE, ret_size);
        assert(*ret);
        return 1;
}

void __wrap_fgi_grpc_on_close(struct fgi_grpc_call *of, void (*on_close)(struct fgi_grpc_call *call, void *data), void *data);
void __wrap_fgi_grpc_on_close(struct fgi_grpc_call *of, void (*on_close)(struct fgi_grpc_call *call, void *data), void *data)
{
        assert(of == call);
}

void __wrap_fgi_grpc_end(struct fgi_grpc_call *of, enum fgi_grpc_code code, const char *why);
void __wrap_fgi_grpc_end(struct fgi_grpc_call *of, enum fgi_grpc_code code, const char *why)
{
        assert(of == call && strncmp(why, "FastGPU: ", 9) == 0 && why[9]);
        answered++;
}

void __wrap_fgi_kube_reply(struct fgi_grpc_call *of, const ProtobufCMessage *message);
void __wrap_fgi_kube_reply(struct fgi_grpc_call *of, const ProtobufCMessage *message)
{
        assert(of == call);
        answered++;
}

/* It is the input that "was written down". */
json_t *__wrap_json_load_file(const char *path, size_t flags, json_error_t *error);
json_t *__wrap_json_load_file(const char *path, size_t flags, json_error_t *error)
{
        return json_loads(text, flags, error);
}

int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
        return 0;
}

/* --- the daemon --- */

int __wrap_fgi_kube_node_look(struct fgi_kube_node *node, struct fg_error *err);
int __wrap_fgi_kube_node_look(struct fgi_kube_node *node, struct fg_error *err)
{
        node->gpus = 2;
        node->gpu[0] = (struct fgi_kube_gpu){.tag = "00ff00", .key = "cuda/GPU-1", .uuid = "GPU-1", .model = "NVIDIA A100", .memory = GPU_MEMORY,
                                             .memory_free = GPU_MEMORY, .share_free = 1000, .usable = true};
        node->gpu[1] = (struct fgi_kube_gpu){.tag = "00ff01", .key = "opencl/2", .uuid = "GPU-2", .model = "NVIDIA H100", .memory = GPU_MEMORY,
                                             .memory_free = GPU_MEMORY / 2, .share_free = 500, .usable = true};
        return 0;
}

int __wrap_fgi_kube_node_create(struct fgi_kube_node *node, const char *project, const char *body, struct fg_error *err);
int __wrap_fgi_kube_node_create(struct fgi_kube_node *node, const char *project, const char *body, struct fg_error *err)
{
        json_t *set = json_loads(body, 0, NULL), *one;
        size_t i, n = (size_t)json_integer_value(json_object_get(set, "gpus"));
        uint64_t memory = 0;
        assert(n == 2 && json_array_size(json_object_get(set, "memory")) == n && json_array_size(json_object_get(set, "compute")) == n &&
               json_array_size(json_object_get(set, "devices")) == n);
        json_array_foreach(json_object_get(set, "memory"), i, one) memory += (uint64_t)json_integer_value(one);
        assert(memory > 0 && memory <= GPU_MEMORY + GPU_MEMORY / 2);
        json_array_foreach(json_object_get(set, "compute"), i, one) assert(atof(json_string_value(one)) > 0 && atof(json_string_value(one)) <= 100);
        json_decref(set);
        return 0;
}

int __wrap_fgi_kube_node_box(struct fgi_kube_node *node, const char *project, const char *set, json_t **ret, struct fg_error *err);
int __wrap_fgi_kube_node_box(struct fgi_kube_node *node, const char *project, const char *set, json_t **ret, struct fg_error *err)
{
        *ret = json_pack("{s:s++}", "device", project, ":", set);
        return 0;
}

static json_t *given_back;

int __wrap_fgi_kube_node_delete(struct fgi_kube_node *node, const char *project, const char *set, struct fg_error *err);
int __wrap_fgi_kube_node_delete(struct fgi_kube_node *node, const char *project, const char *set, struct fg_error *err)
{
        json_array_append_new(given_back, json_string(set));
        return 0;
}

int __wrap_fgi_kube_node_bill(struct fgi_kube_node *node, const char *project, const char *set, const char *payer, const char *workload, struct fg_error *err);
int __wrap_fgi_kube_node_bill(struct fgi_kube_node *node, const char *project, const char *set, const char *payer, const char *workload, struct fg_error *err)
{
        assert(fgi_kube_is_project(payer) && *workload);
        return 0;
}

int __wrap_fgi_kube_node_set(struct fgi_kube_node *node, const char *project, const char *set, json_t **ret, struct fg_error *err);
int __wrap_fgi_kube_node_set(struct fgi_kube_node *node, const char *project, const char *set, json_t **ret, struct fg_error *err)
{
        return -ENOENT;
}

/* --- what is tried --- */

static void begin(const char *class, const char *resource)
{
        fg_log_set_level(FG_LOG_ERROR);
        answered = 0;
        kube = (struct fgi_kube){.own_pod = OWN_SPACE "/" OWN_NAME, .label = "example.com/project", .dra = &dra, .resources = 1};
        dra = (struct fgi_kube_dra){.kube = &kube, .is_hami = true};
        snprintf(kube.node.project, sizeof kube.node.project, "kubernetes");
        snprintf(kube.payers.prefix, sizeof kube.payers.prefix, "k8s-");
        kube.labels = json_object();
        kube.without = json_array();
        given_back = json_array();
        kube.resource[0] = (struct fgi_kube_resource){.kube = &kube};
        snprintf(kube.resource[0].class.name, sizeof kube.resource[0].class.name, "%s", class);
        snprintf(kube.resource[0].class.resource, sizeof kube.resource[0].class.resource, "%s", resource);
}

static void end(void)
{
        json_decref(kube.labels);
        json_decref(kube.without);
        json_decref(kube.billed);
        json_decref(given_back);
        free(kube.held);
        free(kube.resource[0].told);
}

static void try_hami(void)
{
        const struct fgi_kube_id id[] = {{"00ff00", 1}, {"00ff00", 2}};
        begin(FGI_KUBE_HAMI, FGI_KUBE_HAMI_RESOURCE);
        fgi_kube_hami_start(&kube.resource[0], call, id, 2);
        for (unsigned i = 0; i < 3; i++) {
                fgi_kube_hami_check(&dra, fg_now());
                answer_all();
        }
        assert(answered == 1 && (kube.helds == 1) == (kube.refusals == 0));
        fgi_kube_hami_check(&dra, fg_now());
        assert(!dra.starts);
        end();
}

static void try_label(void)
{
        char project[FGI_KUBE_NAME_MAX];
        begin("vgpu-8g-25", "fastgpu.dev/vgpu-8g-25");
        assert(!fgi_kube_label(&kube, "n/p/c", project));
        answer_all();
        bool is_known = json_is_string(json_object_get(kube.labels, "n/p"));
        assert(is_known == fgi_kube_label(&kube, "n/p/c", project));
        assert(!is_known || !*project || fgi_kube_is_project(project));
        answer_all();
        end();
}

/* The checkpoint is not understood, or an entry of it, of no more devices than a container may have, names this one. */
static bool must_stay(const char *device)
{
        fgi_kube_autojson json_t *file = json_loads(text, 0, NULL);
        json_t *entry, *list, *id;
        const char *numa;
        size_t i, k;
        bool is_named = false;
        json_array_foreach(json_object_get(json_object_get(file, "Data"), "PodDeviceEntries"), i, entry) {
                const char *resource = json_string_value(json_object_get(entry, "ResourceName"));
                unsigned ids = 0;
                bool is_here = false;
                json_object_foreach(json_object_get(entry, "DeviceIDs"), numa, list) json_array_foreach(list, k, id) {
                        ids++;
                        is_here |= json_is_string(id) && strcmp(json_string_value(id), device) == 0;
                }
                is_named |= is_here && ids <= FGI_KUBE_IDS_MAX && resource && strcmp(resource, kube.resource[0].class.resource) == 0;
        }
        return !file || is_named;
}

/* One set is of the pod in the list, one only the checkpoint may know. */
static void try_checkpoint(void)
{
        const struct fgi_kube_id listed[] = {{"00ff00", 1}, {"00ff00", 2}}, written = {"00ff00", 7};
        size_t size;
        begin("vgpu-8g-25", "fastgpu.dev/vgpu-8g-25");
        uint8_t *list = pods("fastgpu.dev/vgpu-8g-25", &size);
        assert(list);
        assert(fgi_kube_held_add(&kube, 0, "vgpu-8g-25-00ff00.1.2", listed, 2) && fgi_kube_held_add(&kube, 0, "vgpu-8g-25-00ff00.7", &written, 1));
        for (unsigned i = 0; i < 4; i++) {
                for (uint32_t k = 0; k < kube.helds; k++)
                        kube.held[k].since = 0;
                fgi_kube_held_judge(&kube, list, size);
                answer_all();
        }
        assert(fgi_kube_held_find(&kube, "vgpu-8g-25-00ff00.1.2"));
        bool is_gone = !fgi_kube_held_find(&kube, "vgpu-8g-25-00ff00.7");
        assert(!is_gone || !must_stay("00ff00-7"));
        assert(json_array_size(given_back) == is_gone);
        free(list);
        end();
}

static bool has_own_pod(const uint8_t *data, size_t size)
{
        fgi_kube_automessage ProtobufCMessage *message = fgi_kube_unpack(&fgi__pods__list_reply__descriptor, data, size);
        const Fgi__Pods__ListReply *list = (const Fgi__Pods__ListReply *)message;
        bool found = false;
        for (size_t i = 0; list && i < list->n_pods; i++)
                found |= strcmp(list->pods[i]->namespace_, OWN_SPACE) == 0 && strcmp(list->pods[i]->name, OWN_NAME) == 0;
        return found;
}

static void try_pods(const uint8_t *data, size_t size)
{
        const struct fgi_kube_id id = {"00ff00", 1};
        begin("vgpu-8g-25", "fastgpu.dev/vgpu-8g-25");
        strcpy(text, "{}");
        assert(fgi_kube_held_add(&kube, 0, "vgpu-8g-25-00ff00.1", &id, 1));
        for (unsigned i = 0; i < 3; i++) {
                if (kube.helds)
                        kube.held[0].since = 0;
                fgi_kube_held_judge(&kube, data, size);
                answer_all();
        }
        assert(json_array_size(given_back) == 0 || has_own_pod(data, size));
        end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 3)
                return 0;
        text = calloc(1, size);
        assert(text);
        memcpy(text, data + 1, size - 1);
        if (data[0] == 'p')
                try_pods(data + 1, size - 1);
        else if (data[0] == 'h')
                try_hami();
        else if (data[0] == 'l')
                try_label();
        else
                try_checkpoint();
        free(text);
        return 0;
}
