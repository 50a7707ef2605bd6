/* SPDX-License-Identifier: Apache-2.0
 * The kubelet's interfaces for DRA drivers: registration by a socket that the kubelet finds, preparing and unpreparing claims. */
#include "integrations/kubernetes/dra.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGISTRATION "/pluginregistration.Registration/"
#define SERVICE      "/k8s.io.kubelet.pkg.apis.dra."

static void paths_of(const struct fgi_kube_dra *dra, char ret_registration[PATH_MAX], char ret_plugin[PATH_MAX])
{
        snprintf(ret_registration, PATH_MAX, "%s/plugins_registry/" FGI_KUBE_DOMAIN "-reg.sock", dra->kube->folder);
        snprintf(ret_plugin, PATH_MAX, "%s/plugins/" FGI_KUBE_DOMAIN "/dra.sock", dra->kube->folder);
}

/* --- registration --- */

static void info(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *user)
{
        char registration[PATH_MAX], plugin[PATH_MAX];
        static char *versions[] = {(char *)"v1.DRAPlugin", (char *)"v1beta1.DRAPlugin", (char *)"v1.DRAResourceHealth", (char *)"v1alpha1.DRAResourceHealth"};
        Fgi__Dra__Info reply = FGI__DRA__INFO__INIT;
        paths_of(user, registration, plugin);
        reply.type = (char *)"DRAPlugin";
        reply.name = (char *)FGI_KUBE_DOMAIN;
        reply.endpoint = plugin;
        reply.versions = versions;
        reply.n_versions = sizeof versions / sizeof *versions;
        fgi_kube_reply(call, &reply.base);
}

static void notify(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *user)
{
        struct fgi_kube_dra *dra = user;
        Fgi__Dra__StatusReply reply = FGI__DRA__STATUS_REPLY__INIT;
        fgi_kube_automessage ProtobufCMessage *message = fgi_kube_unpack(&fgi__dra__status__descriptor, data, size);
        const Fgi__Dra__Status *status = (const Fgi__Dra__Status *)message;
        if (status && status->registered)
                fg_log_info("the kubelet has the DRA driver");
        else
                fg_log_warning("the kubelet refuses the DRA driver: %s", status ? status->error : "and does not say why");
        fgi_kube_slice_registered(dra); /* a kubelet that starts removes the slices of its node */
        fgi_kube_reply(call, &reply.base);
}

/* --- preparing --- */

struct entry {
        struct job *job;
        char *namespace, *uid, *name;
        char *error;
        json_t *devices;
};

struct job {
        struct fgi_kube_dra *dra;
        struct fgi_grpc_call *call; /* NULL: nobody waits any more */
        size_t count, pending;
        struct entry entry[];
};

static void job_free(struct job *job)
{
        for (size_t i = 0; i < job->count; i++) {
                free(job->entry[i].namespace);
                free(job->entry[i].uid);
                free(job->entry[i].name);
                free(job->entry[i].error);
                json_decref(job->entry[i].devices);
        }
        free(job);
}

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

static Fgi__Dra__Device *device_message(const json_t *from, char **cdi, char **request)
{
        Fgi__Dra__Device *device = malloc(sizeof *device);
        if (!device)
                return NULL;
        fgi__dra__device__init(device);
        *request = (char *)json_string_value(json_array_get(json_object_get(from, "requests"), 0));
        *cdi = (char *)text_of(from, "cdi");
        device->requests = request;
        device->n_requests = *request && **request ? 1 : 0;
        device->cdi = cdi;
        device->n_cdi = 1;
        device->pool = (char *)text_of(from, "pool");
        device->device = (char *)text_of(from, "device");
        device->share_id = (char *)text_of(from, "share");
        return device;
}

/* One entry's part of the answer; all of it points into the entry. */
struct part {
        Fgi__Dra__PreparedEntry entry;
        Fgi__Dra__Prepared value;
        Fgi__Dra__Device *device[FGI_KUBE_RESULTS_MAX];
        char *cdi[FGI_KUBE_RESULTS_MAX], *request[FGI_KUBE_RESULTS_MAX];
};

static void fill_part(const struct entry *entry, struct part *part)
{
        fgi__dra__prepared_entry__init(&part->entry);
        fgi__dra__prepared__init(&part->value);
        part->entry.key = entry->uid;
        part->entry.value = &part->value;
        part->value.devices = part->device;
        if (entry->error)
                part->value.error = entry->error;
        for (size_t i = 0; !entry->error && i < json_array_size(entry->devices); i++) {
                part->device[i] = device_message(json_array_get(entry->devices, i), &part->cdi[i], &part->request[i]);
                if (part->device[i])
                        part->value.n_devices++;
                else
                        part->value.error = (char *)"out of memory";
        }
}

static void answer(struct job *job)
{
        Fgi__Dra__PrepareReply reply = FGI__DRA__PREPARE_REPLY__INIT;
        struct part *part = calloc(job->count + 1, sizeof *part);
        Fgi__Dra__PreparedEntry **list = calloc(job->count + 1, sizeof *list);
        if (!part || !list) {
                fgi_grpc_end(job->call, FGI_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        } else {
                for (size_t i = 0; i < job->count; i++) {
                        fill_part(&job->entry[i], &part[i]);
                        list[i] = &part[i].entry;
                }
                reply.claims = list;
                reply.n_claims = job->count;
                fgi_kube_reply(job->call, &reply.base);
                for (size_t i = 0; i < job->count; i++)
                        for (size_t j = 0; j < part[i].value.n_devices; j++)
                                free(part[i].device[j]);
        }
        free(part);
        free(list);
}

static void settle(struct job *job)
{
        if (--job->pending > 0)
                return;
        if (job->call)
                answer(job);
        job_free(job);
}

static void refuse(struct entry *entry, const char *text)
{
        if (asprintf(&entry->error, "FastGPU: %s", text) < 0)
                entry->error = NULL;
        if (entry->error)
                fgi_kube_characters(entry->error);
        fg_log_warning("claim %s/%s: %s", entry->namespace, entry->name, text);
        fgi_kube_refused(entry->job->dra->kube, "claim %s/%s: %.400s", entry->namespace, entry->name, text);
}

static int prepare_one(struct entry *entry, const json_t *claim, struct fg_error *err)
{
        struct fgi_kube_dra *dra = entry->job->dra;
        fgi_kube_autojson json_t *want = NULL;
        fgi_kube_autojson json_t *devices = NULL;
        char project[FGI_KUBE_NAME_MAX];
        fgi_kube_own_project(&dra->kube->payers, entry->namespace, project);
        int r = dra->kube->node.gpus ? 0 : fgi_kube_node_look(&dra->kube->node, err);
        if (r == 0)
                r = fgi_kube_claim_read(dra, claim, entry->uid, project, &want, &devices, err);
        if (r == 0)
                r = fgi_kube_claim_make(dra, project, want, devices, err);
        if (r < 0)
                return r;
        json_object_set(dra->prepared, entry->uid, devices);
        entry->devices = FG_TAKE_PTR(devices);
        fg_log_debug("claim %s/%s prepared", entry->namespace, entry->name);
        return 0;
}

/* One that was told. */
static void take(struct entry *entry, const char *body)
{
        fgi_kube_autojson json_t *claim = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
        struct fg_error err = {0};
        int r = prepare_one(entry, claim, &err);
        if (r < 0)
                refuse(entry, err.text);
        if (r == 0 || (entry->error && strcmp(text_of(json_object_get(claim, "metadata"), "uid"), entry->uid) == 0))
                fgi_kube_condition_put(entry->job->dra, claim, entry->namespace, entry->name, entry->error);
}

static void on_claim(void *user, long status, const char *body)
{
        struct entry *entry = user;
        /* Who gave up asks again, or has it unprepared; a set made now would be of neither. */
        if (!entry->job->call) {
                settle(entry->job);
                return;
        }
        if (status == 404)
                refuse(entry, "there is no such claim");
        else if (status == 0)
                refuse(entry, body);
        else if (status != 200)
                refuse(entry, status == 403 ? "the API server does not let us read claims: is the ClusterRole there?" : "the API server does not tell the claim");
        else
                take(entry, body);
        settle(entry->job);
}

static void gone(struct fgi_grpc_call *call, void *data)
{
        struct job *job = data;
        job->call = NULL;
}

/* Names come into paths and names of ours: what the API server would not have as one is none. */
static bool is_name(const char *text, size_t max)
{
        size_t len = strlen(text);
        return len >= 1 && len <= max && text[0] != '.' && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == len;
}

/* Prepared before, and still there: engines are told of it anew. */
static bool is_prepared(struct entry *entry)
{
        struct fgi_kube_dra *dra = entry->job->dra;
        json_t *known = json_object_get(dra->prepared, entry->uid);
        char project[FGI_KUBE_NAME_MAX], set[FGI_KUBE_NAME_MAX];
        fgi_kube_autojson json_t *box = NULL;
        struct fg_error ignored = {0};
        if (!known)
                return false;
        fgi_kube_own_project(&dra->kube->payers, entry->namespace, project);
        snprintf(set, sizeof set, "claim-%.50s", entry->uid);
        if (fgi_kube_node_box(&dra->kube->node, project, set, &box, &ignored) < 0)
                return false;
        entry->devices = json_incref(known);
        return true;
}

static void begin(struct entry *entry)
{
        struct fgi_kube_dra *dra = entry->job->dra;
        char path[800];
        if (is_prepared(entry)) {
                settle(entry->job);
                return;
        }
        snprintf(path, sizeof path, "/apis/resource.k8s.io/v1/namespaces/%s/resourceclaims/%s", entry->namespace, entry->name);
        if (fgi_kube_api_ask(dra->api, "GET", path, NULL, on_claim, entry) < 0) {
                refuse(entry, "too many claims at once; it is tried again");
                settle(entry->job);
        }
}

static struct job *job_new(struct fgi_kube_dra *dra, struct fgi_grpc_call *call, const Fgi__Dra__Request *request)
{
        struct job *job = calloc(1, sizeof *job + request->n_claims * sizeof *job->entry);
        if (!job)
                return NULL;
        job->dra = dra;
        job->call = call;
        job->count = request->n_claims;
        for (size_t i = 0; i < job->count; i++) {
                const Fgi__Dra__Claim *claim = request->claims[i];
                struct entry *entry = &job->entry[i];
                *entry = (struct entry){job, strdup(claim->namespace_), strdup(claim->uid), strdup(claim->name)};
                if (!entry->namespace || !entry->uid || !entry->name) {
                        job_free(job);
                        return NULL;
                }
        }
        return job;
}

static const Fgi__Dra__Request *read_request(struct fgi_grpc_call *call, ProtobufCMessage *message)
{
        const Fgi__Dra__Request *request = (const Fgi__Dra__Request *)message;
        if (!request || request->n_claims > FGI_KUBE_CLAIMS_MAX) {
                fgi_grpc_end(call, FGI_GRPC_INVALID_ARGUMENT, request ? "more than 256 claims at once" : "the request is not understood");
                return NULL;
        }
        for (size_t i = 0; i < request->n_claims; i++)
                if (!is_name(request->claims[i]->uid, 50) || !is_name(request->claims[i]->namespace_, 63) || !is_name(request->claims[i]->name, 253)) {
                        fgi_grpc_end(call, FGI_GRPC_INVALID_ARGUMENT, "a claim's namespace, name or uid is none");
                        return NULL;
                }
        return request;
}

static void prepare(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *user)
{
        fgi_kube_automessage ProtobufCMessage *message = fgi_kube_unpack(&fgi__dra__request__descriptor, data, size);
        const Fgi__Dra__Request *request = read_request(call, message);
        struct job *job = request ? job_new(user, call, request) : NULL;
        if (!request)
                return;
        if (!job) {
                fgi_grpc_end(call, FGI_GRPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        fgi_grpc_on_close(call, gone, job);
        /* One more than there are, so that the last does not end it while others are begun. */
        job->pending = job->count + 1;
        for (size_t i = 0; i < job->count; i++)
                begin(&job->entry[i]);
        settle(job);
}

/* --- unpreparing: asks nobody --- */

struct undone {
        Fgi__Dra__UnpreparedEntry entry;
        Fgi__Dra__Unprepared value;
        char error[FG_ERROR_MAX];
};

static void unprepare_one(struct fgi_kube_dra *dra, const Fgi__Dra__Claim *claim, struct undone *ret)
{
        char project[FGI_KUBE_NAME_MAX], set[FGI_KUBE_NAME_MAX];
        struct fg_error err = {0};
        fgi__dra__unprepared_entry__init(&ret->entry);
        fgi__dra__unprepared__init(&ret->value);
        ret->entry.key = claim->uid;
        ret->entry.value = &ret->value;
        fgi_kube_own_project(&dra->kube->payers, claim->namespace_, project);
        snprintf(set, sizeof set, "claim-%s", claim->uid);
        json_object_del(dra->prepared, claim->uid);
        if (fgi_kube_node_delete(&dra->kube->node, project, set, &err) < 0) {
                snprintf(ret->error, sizeof ret->error, "FastGPU: %.480s", err.text);
                fgi_kube_characters(ret->error);
                ret->value.error = ret->error;
                fg_log_warning("claim %s/%s: %s", claim->namespace_, claim->name, err.text);
        }
        dra->kube->changed = true;
}

static void unprepare(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *user)
{
        fgi_kube_automessage ProtobufCMessage *message = fgi_kube_unpack(&fgi__dra__request__descriptor, data, size);
        const Fgi__Dra__Request *request = read_request(call, message);
        Fgi__Dra__UnprepareReply reply = FGI__DRA__UNPREPARE_REPLY__INIT;
        if (!request)
                return;
        fg_autofree struct undone *undone = calloc(request->n_claims + 1, sizeof *undone);
        fg_autofree Fgi__Dra__UnpreparedEntry **list = calloc(request->n_claims + 1, sizeof *list);
        if (!undone || !list) {
                fgi_grpc_end(call, FGI_GRPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        for (size_t i = 0; i < request->n_claims; i++) {
                unprepare_one(user, request->claims[i], &undone[i]);
                list[i] = &undone[i].entry;
        }
        reply.claims = list;
        reply.n_claims = request->n_claims;
        fgi_kube_reply(call, &reply.base);
}

/* --- sockets --- */

static const struct fgi_grpc_method registration_methods[] = {{REGISTRATION "GetInfo", info}, {REGISTRATION "NotifyRegistrationStatus", notify}, {0}};
static const struct fgi_grpc_method plugin_methods[] = {{SERVICE "v1.DRAPlugin/NodePrepareResources", prepare},
                                                        {SERVICE "v1.DRAPlugin/NodeUnprepareResources", unprepare},
                                                        {SERVICE "v1beta1.DRAPlugin/NodePrepareResources", prepare},
                                                        {SERVICE "v1beta1.DRAPlugin/NodeUnprepareResources", unprepare},
                                                        {"/v1.DRAResourceHealth/NodeWatchResources", fgi_kube_health_watch},
                                                        {"/v1alpha1.DRAResourceHealth/NodeWatchResources", fgi_kube_health_watch},
                                                        {0}};

static int need(struct fgi_kube_dra *dra, const char *path, const struct fgi_grpc_method *methods, struct fgi_grpc_server **server, struct fg_error *err)
{
        char folder[PATH_MAX];
        if (*server && access(path, F_OK) == 0)
                return 0;
        fgi_grpc_server_free(*server);
        *server = NULL;
        snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
        int r = fg_mkdirs(folder, 0750, err);
        if (r == 0 && fgi_grpc_server_new(methods, dra, server) < 0)
                r = fg_error_set(err, -EMFILE, "cannot start a server: %m");
        if (r == 0)
                r = fgi_grpc_server_listen(*server, path, 0600, err);
        if (r < 0) {
                fgi_grpc_server_free(*server);
                *server = NULL;
        }
        return r;
}

/* The plugin's socket first: the kubelet connects to it as soon as it finds the other. */
static int need_both(struct fgi_kube_dra *dra, struct fg_error *err)
{
        char registration[PATH_MAX], plugin[PATH_MAX];
        paths_of(dra, registration, plugin);
        int r = need(dra, plugin, plugin_methods, &dra->plugin, err);
        return r < 0 ? r : need(dra, registration, registration_methods, &dra->registration, err);
}

int fgi_kube_dra_open(struct fgi_kube_dra *dra, struct fg_error *err)
{
        dra->prepared = json_object();
        dra->conditions.waiting = json_object();
        int r = fgi_kube_api_open(&dra->where, &dra->api, err);
        return r < 0 ? r : need_both(dra, err);
}

void fgi_kube_dra_check(struct fgi_kube_dra *dra, uint64_t now)
{
        struct fg_error err = {0};
        if (need_both(dra, &err) < 0)
                fg_log_warning("%s", err.text);
        fgi_kube_slice_check(dra, now);
        fgi_kube_condition_check(dra);
        fgi_kube_health_check(dra, now);
        fgi_kube_hami_check(dra, now);
}

void fgi_kube_dra_close(struct fgi_kube_dra *dra)
{
        fgi_grpc_server_free(dra->registration);
        fgi_grpc_server_free(dra->plugin);
        fgi_kube_condition_close(dra);
        fgi_kube_api_close(dra->api);
        fgi_kube_hami_close(dra);
        free(dra->slice.devices);
        json_decref(dra->prepared);
}
