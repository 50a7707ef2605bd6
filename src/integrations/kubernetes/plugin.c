/* SPDX-License-Identifier: Apache-2.0
 * The interface v1beta1 of one resource. */
#include "integrations/kubernetes/dra.h"

#include "base/log.h"
#include "base/paths.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define SERVICE "/v1beta1.DevicePlugin/"

static enum fgi_grpc_code code_of(int r)
{
        return r == -ENOSPC || r == -ENOMEM ? FGI_GRPC_RESOURCE_EXHAUSTED :
               r == -EBUSY                  ? FGI_GRPC_FAILED_PRECONDITION :
               r == -ENOENT                 ? FGI_GRPC_NOT_FOUND :
               r == -EINVAL                 ? FGI_GRPC_INVALID_ARGUMENT :
                                              FGI_GRPC_UNAVAILABLE;
}

static ProtobufCMessage *unpack(struct fgi_grpc_call *call, const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t size)
{
        ProtobufCMessage *message = fgi_kube_unpack(descriptor, data, size);
        if (!message)
                fgi_grpc_end(call, FGI_GRPC_INVALID_ARGUMENT, "the request is not understood");
        return message;
}

static void options(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *user)
{
        Fgi__Plugin__Options reply = FGI__PLUGIN__OPTIONS__INIT;
        reply.pre_start = reply.preferred = true;
        fgi_kube_reply(call, &reply.base);
}

/* --- ListAndWatch --- */

static void unwatch(struct fgi_grpc_call *call, void *data)
{
        struct fgi_kube_resource *resource = data;
        for (uint32_t i = 0; i < FGI_KUBE_WATCHERS_MAX; i++)
                if (resource->watcher[i] == call)
                        resource->watcher[i] = NULL;
}

static void watch(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *user)
{
        struct fgi_kube_resource *resource = user;
        uint32_t i = 0;
        while (i < FGI_KUBE_WATCHERS_MAX && resource->watcher[i])
                i++;
        if (i == FGI_KUBE_WATCHERS_MAX) {
                fgi_grpc_end(call, FGI_GRPC_RESOURCE_EXHAUSTED, "too many watch already");
                return;
        }
        resource->watcher[i] = call;
        fgi_grpc_on_close(call, unwatch, resource);
        if (resource->told)
                fgi_grpc_send(call, resource->told, resource->told_size);
        else
                fgi_kube_plugin_tell(resource, true);
}

void fgi_kube_plugin_tell(struct fgi_kube_resource *resource, bool anyway)
{
        Fgi__Plugin__Devices list;
        size_t size;
        if (resource->is_retired || fgi_kube_devices(resource, &list) < 0)
                return;
        uint8_t *data = fgi_kube_pack(&list.base, &size);
        fgi_kube_devices_free(&list);
        if (!data)
                return;
        if (!anyway && resource->told && size == resource->told_size && memcmp(data, resource->told, size) == 0) {
                free(data);
                return;
        }
        free(resource->told);
        resource->told = data;
        resource->told_size = size;
        for (uint32_t i = 0; i < FGI_KUBE_WATCHERS_MAX; i++) {
                struct fgi_grpc_call *call = resource->watcher[i];
                if (!call || fgi_grpc_send(call, data, size) == 0)
                        continue;
                resource->watcher[i] = NULL;
                fgi_grpc_end(call, FGI_GRPC_RESOURCE_EXHAUSTED, "nobody takes the answers");
        }
}

/* --- GetPreferredAllocation --- */

static void prefer(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *user)
{
        fgi_kube_automessage ProtobufCMessage *message = unpack(call, &fgi__plugin__preferred_request__descriptor, data, size);
        const Fgi__Plugin__PreferredRequest *request = (const Fgi__Plugin__PreferredRequest *)message;
        Fgi__Plugin__PreferredReply reply = FGI__PLUGIN__PREFERRED_REPLY__INIT;
        Fgi__Plugin__Ids ids[16], *list[16];
        char *chosen[16][FGI_KUBE_IDS_MAX];
        if (!message)
                return;
        if (request->n_containers > 16) {
                fgi_grpc_end(call, FGI_GRPC_INVALID_ARGUMENT, "more than 16 containers at once");
                return;
        }
        for (size_t i = 0; i < request->n_containers; i++) {
                fgi__plugin__ids__init(&ids[i]);
                ids[i].n_ids = fgi_kube_prefer(user, request->containers[i], chosen[i]);
                ids[i].ids = chosen[i];
                list[i] = &ids[i];
        }
        reply.containers = list;
        reply.n_containers = request->n_containers;
        fgi_kube_reply(call, &reply.base);
}

/* --- Allocate --- */

static int ids_of(char **text, size_t count, struct fgi_kube_id *ret, struct fg_error *err)
{
        if (count < 1 || count > FGI_KUBE_IDS_MAX)
                return fg_error_set(err, -EINVAL, "FastGPU: a container can have 1 to %u devices of a class, not %zu", FGI_KUBE_IDS_MAX, count);
        for (size_t i = 0; i < count; i++)
                if (fgi_kube_id_parse(text[i], &ret[i]) < 0)
                        return fg_error_set(err, -EINVAL, "FastGPU: there is no device \"%.80s\"", text[i]);
        return 0;
}

/* All that points into these goes with fgi_kube_drop_json() of the box and clear_container(). */
static void clear_container(Fgi__Plugin__Container *c)
{
        for (size_t i = 0; i < c->n_envs; i++) {
                free(c->envs[i]->key);
                free(c->envs[i]);
        }
        for (size_t i = 0; i < c->n_mounts; i++)
                free(c->mounts[i]);
        for (size_t i = 0; i < c->n_devices; i++)
                free(c->devices[i]);
        for (size_t i = 0; i < c->n_cdi; i++) {
                free(c->cdi[i]->name);
                free(c->cdi[i]);
        }
        free(c->envs);
        free(c->mounts);
        free(c->devices);
        free(c->cdi);
        free(c);
}

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

static int add_cdi(Fgi__Plugin__Container *c, const char *device)
{
        c->cdi = calloc(1, sizeof *c->cdi);
        Fgi__Plugin__Cdi *cdi = c->cdi ? malloc(sizeof *cdi) : NULL;
        if (!cdi)
                return -ENOMEM;
        fgi__plugin__cdi__init(cdi);
        c->cdi[c->n_cdi++] = cdi;
        if (asprintf(&cdi->name, FGI_KUBE_DOMAIN "/vgpu=%s", device) < 0) {
                cdi->name = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int add_env(Fgi__Plugin__Container *c, const char *text)
{
        Fgi__Plugin__Pair *pair = malloc(sizeof *pair);
        char *copy = strdup(text), *equals = copy ? strchr(copy, '=') : NULL;
        if (!pair || !equals) {
                free(pair);
                free(copy);
                return -ENOMEM;
        }
        *equals = 0;
        fgi__plugin__pair__init(pair);
        pair->key = copy;
        pair->value = equals + 1;
        c->envs[c->n_envs++] = pair;
        return 0;
}

static int add_mount(Fgi__Plugin__Container *c, const json_t *item)
{
        Fgi__Plugin__Mount *mount = malloc(sizeof *mount);
        const json_t *options = json_object_get(item, "options"), *option;
        size_t i;
        if (!mount)
                return -ENOMEM;
        fgi__plugin__mount__init(mount);
        mount->host_path = (char *)text_of(item, "hostPath");
        mount->container_path = (char *)text_of(item, "containerPath");
        mount->read_only = true;
        json_array_foreach(options, i, option)
                if (json_is_string(option) && strcmp(json_string_value(option), "rw") == 0)
                        mount->read_only = false;
        c->mounts[c->n_mounts++] = mount;
        return 0;
}

static int add_node(Fgi__Plugin__Container *c, const json_t *item)
{
        Fgi__Plugin__DeviceNode *node = malloc(sizeof *node);
        if (!node)
                return -ENOMEM;
        fgi__plugin__device_node__init(node);
        node->host_path = node->container_path = (char *)text_of(item, "path");
        node->permissions = (char *)"rw";
        c->devices[c->n_devices++] = node;
        return 0;
}

static int add_edits(Fgi__Plugin__Container *c, const json_t *edits)
{
        const json_t *env = json_object_get(edits, "env"), *mounts = json_object_get(edits, "mounts"), *nodes = json_object_get(edits, "deviceNodes"), *item;
        size_t i;
        int r = 0;
        c->envs = calloc(json_array_size(env) + 1, sizeof *c->envs);
        c->mounts = calloc(json_array_size(mounts) + 1, sizeof *c->mounts);
        c->devices = calloc(json_array_size(nodes) + 1, sizeof *c->devices);
        if (!c->envs || !c->mounts || !c->devices)
                return -ENOMEM;
        json_array_foreach(env, i, item)
                r = r ? r : add_env(c, json_string_value(item));
        json_array_foreach(mounts, i, item)
                r = r ? r : add_mount(c, item);
        json_array_foreach(nodes, i, item)
                r = r ? r : add_node(c, item);
        return r;
}

static int fill(struct fgi_kube *kube, const json_t *box, Fgi__Plugin__Container *c, struct fg_error *err)
{
        const char *device = text_of(box, "device");
        if (!kube->with_mounts && !*device)
                return fg_error_set(err, -EINVAL, "FastGPU: container engines are told of no vGPUs by this daemon (option cdi-dir); start fastgpu-kubelet with "
                                                  "--inject=mounts");
        int r = kube->with_mounts ? add_edits(c, json_object_get(box, "edits")) : add_cdi(c, device);
        return r < 0 ? fg_error_set(err, r, "out of memory") : 0;
}

static int allocate_one(struct fgi_kube_resource *resource, const Fgi__Plugin__Ids *wanted, Fgi__Plugin__Container *c, json_t **ret_box, struct fg_error *err)
{
        struct fgi_kube_id id[FGI_KUBE_IDS_MAX];
        int r = ids_of(wanted->ids, wanted->n_ids, id, err);
        if (r == 0)
                r = fgi_kube_allocate(resource, id, (uint32_t)wanted->n_ids, ret_box, err);
        return r < 0 ? r : fill(resource->kube, *ret_box, c, err);
}

struct answer {
        Fgi__Plugin__Container **container;
        json_t **box;
        size_t count;
};

static void answer_clear(struct answer *a)
{
        for (size_t i = 0; i < a->count; i++) {
                clear_container(a->container[i]);
                json_decref(a->box[i]);
        }
        free(a->container);
        free(a->box);
}

static int allocate_all(struct fgi_kube_resource *resource, const Fgi__Plugin__AllocateRequest *request, struct answer *a, struct fg_error *err)
{
        int r = 0;
        a->container = calloc(request->n_containers + 1, sizeof *a->container);
        a->box = calloc(request->n_containers + 1, sizeof *a->box);
        if (!a->container || !a->box)
                return fg_error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; r == 0 && i < request->n_containers; i++) {
                Fgi__Plugin__Container *c = malloc(sizeof *c);
                if (!c)
                        return fg_error_set(err, -ENOMEM, "out of memory");
                fgi__plugin__container__init(c);
                a->container[a->count++] = c;
                r = allocate_one(resource, request->containers[i], c, &a->box[i], err);
        }
        return r;
}

/* Either all containers of a request get theirs or none does. */
static void take_back(struct fgi_kube_resource *resource, const struct answer *a)
{
        struct fgi_kube *kube = resource->kube;
        for (size_t i = 0; i < a->count; i++) {
                const char *set = a->box[i] ? text_of(a->box[i], "name") : "";
                struct fgi_kube_held *held = *set ? fgi_kube_held_find(kube, set) : NULL;
                struct fg_error ignored = {0};
                if (held && fgi_kube_node_delete(&kube->node, kube->node.project, set, &ignored) == 0)
                        fgi_kube_held_remove(kube, held);
        }
}

static void allocate(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *user)
{
        struct fgi_kube_resource *resource = user;
        fgi_kube_automessage ProtobufCMessage *message = unpack(call, &fgi__plugin__allocate_request__descriptor, data, size);
        FG_CLEANUP(answer_clear) struct answer a = {0};
        Fgi__Plugin__AllocateReply reply = FGI__PLUGIN__ALLOCATE_REPLY__INIT;
        struct fg_error err = {0};
        if (!message)
                return;
        int r = allocate_all(resource, (const Fgi__Plugin__AllocateRequest *)message, &a, &err);
        if (r < 0) {
                take_back(resource, &a);
                fg_log_warning("refused: %s", err.text);
                fgi_kube_refused(resource->kube, "%s", err.text);
                fgi_grpc_end(call, code_of(r), err.text);
                return;
        }
        reply.containers = a.container;
        reply.n_containers = a.count;
        fgi_kube_reply(call, &reply.base);
}

static void pre_start(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *user)
{
        fgi_kube_automessage ProtobufCMessage *message = unpack(call, &fgi__plugin__ids__descriptor, data, size);
        const Fgi__Plugin__Ids *wanted = (const Fgi__Plugin__Ids *)message;
        Fgi__Plugin__Nothing reply = FGI__PLUGIN__NOTHING__INIT;
        struct fgi_kube_id id[FGI_KUBE_IDS_MAX];
        struct fg_error err = {0};
        if (!message)
                return;
        int r = ids_of(wanted->ids, wanted->n_ids, id, &err);
        if (r == 0 && ((struct fgi_kube_resource *)user)->split) {
                fgi_kube_hami_start(user, call, id, (uint32_t)wanted->n_ids);
                return;
        }
        if (r == 0)
                r = fgi_kube_start(user, id, (uint32_t)wanted->n_ids, &err);
        if (r == 0)
                fgi_kube_reply(call, &reply.base);
        else
                fgi_grpc_end(call, code_of(r), err.text);
}

static const struct fgi_grpc_method methods[] = {{SERVICE "GetDevicePluginOptions", options},
                                                 {SERVICE "ListAndWatch", watch},
                                                 {SERVICE "GetPreferredAllocation", prefer},
                                                 {SERVICE "Allocate", allocate},
                                                 {SERVICE "PreStartContainer", pre_start},
                                                 {0}};

/* What processes left behind that were killed. */
static void remove_dead(const char *folder, const char *class_name)
{
        char pattern[PATH_MAX];
        glob_t found = {0};
        snprintf(pattern, sizeof pattern, "%s/fastgpu-%s-[0-9a-f][0-9a-f][0-9a-f][0-9a-f].sock", folder, class_name);
        if (glob(pattern, 0, NULL, &found) == 0)
                for (size_t i = 0; i < found.gl_pathc; i++) {
                        int fd = fg_unix_connect(found.gl_pathv[i], SOCK_STREAM);
                        if (fd == -ECONNREFUSED)
                                unlink(found.gl_pathv[i]);
                        if (fd >= 0)
                                close(fd);
                }
        globfree(&found);
}

/* A name that the kubelet has not heard yet: told the same one twice, kubelets to 1.37 at least forget whom to disconnect, and refuse it
 * until they are restarted ("device plugin already connected"). */
int fgi_kube_plugin_open(struct fgi_kube *kube, struct fgi_kube_resource *resource, struct fg_error *err)
{
        char folder[PATH_MAX], path[PATH_MAX + 128];
        uint16_t number;
        if (getrandom(&number, sizeof number, 0) != sizeof number)
                return fg_error_set(err, -EIO, "no random numbers: %m");
        snprintf(folder, sizeof folder, "%s/device-plugins", kube->folder);
        remove_dead(folder, resource->class.name);
        snprintf(resource->endpoint, sizeof resource->endpoint, "fastgpu-%s-%04x.sock", resource->class.name, number);
        snprintf(path, sizeof path, "%s/%s", folder, resource->endpoint);
        resource->asked = false;
        int r = fgi_grpc_server_new(methods, resource, &resource->server);
        if (r < 0)
                return fg_error_set(err, r, "cannot start a server: %m");
        r = fgi_grpc_server_listen(resource->server, path, 0600, err);
        if (r < 0)
                fgi_kube_plugin_close(resource);
        return r;
}

void fgi_kube_plugin_close(struct fgi_kube_resource *resource)
{
        fgi_kube_ask_stop(&resource->ask);
        fgi_grpc_server_free(resource->server);
        resource->server = NULL;
        resource->registered = false;
}
