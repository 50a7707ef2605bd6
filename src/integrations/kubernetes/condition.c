/* SPDX-License-Identifier: Apache-2.0
 * What became of a claim, in its own status: the condition Ready of each device that it has here, for who looks at the claim and not at the
 * pod. Written behind what pods wait for: one at a time, once each, and whether it could be written changes nothing else. */
#include "integrations/kubernetes/dra.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAITING_MAX 256u /* a node has fewer pods */
#define BODY_MAX    (64u << 10) /* of FGI_KUBE_RESULTS_MAX devices, with names as long as Kubernetes has them */

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

static bool is_same(const json_t *a, const json_t *b, const char *key)
{
        return strcmp(text_of(a, key), text_of(b, key)) == 0;
}

/* As the claim has it. */
static const json_t *ready_of(const json_t *status, const json_t *result)
{
        const json_t *device, *condition;
        size_t i, j;
        json_array_foreach(json_object_get(status, "devices"), i, device)
                if (is_same(device, result, "driver") && is_same(device, result, "pool") && is_same(device, result, "device") && is_same(device, result, "shareID"))
                        json_array_foreach(json_object_get(device, "conditions"), j, condition)
                                if (strcmp(text_of(condition, "type"), "Ready") == 0)
                                        return condition;
        return NULL;
}

/* Since when it is so is kept; `ret_is_new`: the claim says something else. */
static json_t *device_of(const json_t *status, const json_t *result, const char *error, const char *now, bool *ret_is_new)
{
        const json_t *old = ready_of(status, result);
        json_t *ready = json_pack("{s:s, s:s, s:s, s:s}", "type", "Ready", "status", error ? "False" : "True", "reason", error ? "NotPrepared" : "Prepared", "message",
                                  error ? error : "FastGPU: prepared");
        if (!ready)
                return NULL;
        if (!old || !is_same(old, ready, "status") || !is_same(old, ready, "message"))
                *ret_is_new = true;
        json_object_set_new(ready, "lastTransitionTime", json_string(old && is_same(old, ready, "status") ? text_of(old, "lastTransitionTime") : now));
        return json_pack("{s:s, s:s, s:s, s:s*, s:[o]}", "driver", text_of(result, "driver"), "pool", text_of(result, "pool"), "device", text_of(result, "device"), "shareID",
                         json_string_value(json_object_get(result, "shareID")), "conditions", ready);
}

json_t *fgi_kube_condition_body(const struct fgi_kube_dra *dra, const json_t *claim, const char *error, const char *now, bool anyway)
{
        const json_t *metadata = json_object_get(claim, "metadata"), *status = json_object_get(claim, "status"), *result;
        bool is_new = anyway;
        size_t i;
        fgi_kube_autojson json_t *devices = json_array();
        json_array_foreach(json_object_get(json_object_get(json_object_get(status, "allocation"), "devices"), "results"), i, result)
                if (strcmp(text_of(result, "driver"), FGI_KUBE_DOMAIN) == 0 && strcmp(text_of(result, "pool"), dra->node) == 0 && i < FGI_KUBE_RESULTS_MAX)
                        json_array_append_new(devices, device_of(status, result, error, now, &is_new));
        if (!is_new || json_array_size(devices) == 0)
                return NULL;
        /* By its uid it is this claim, or none. */
        return json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:{s:O}}", "apiVersion", "resource.k8s.io/v1", "kind", "ResourceClaim", "metadata", "namespace",
                         text_of(metadata, "namespace"), "name", text_of(metadata, "name"), "uid", text_of(metadata, "uid"), "status", "devices", devices);
}

static void on_written(void *user, long status, const char *body)
{
        struct fgi_kube_dra *dra = user;
        struct fgi_kube_conditions *conditions = &dra->conditions;
        fgi_kube_autojson json_t *answer = status ? json_loads(body, 0, NULL) : NULL;
        conditions->path[0] = 0;
        if (!conditions->waiting)
                return;
        /* 404, 409: the claim is gone, or was made anew under its name. */
        if (status != 404 && status != 409) {
                if (status != 200 && !conditions->failing)
                        fg_log_warning("claims' status cannot be written, and so does not say whether they are prepared: %.300s (%ld)", status ? text_of(answer, "message") : body, status);
                conditions->failing = status != 200;
        }
        fgi_kube_condition_check(dra);
}

void fgi_kube_condition_check(struct fgi_kube_dra *dra)
{
        struct fgi_kube_conditions *conditions = &dra->conditions;
        void *first = json_object_iter(conditions->waiting);
        if (conditions->path[0] || !first)
                return;
        const char *path = json_object_iter_key(first);
        if (fgi_kube_api_ask(dra->api, "APPLY", path, json_string_value(json_object_iter_value(first)), on_written, dra) < 0)
                return;
        snprintf(conditions->path, sizeof conditions->path, "%s", path);
        json_object_del(conditions->waiting, conditions->path);
}

void fgi_kube_condition_put(struct fgi_kube_dra *dra, const json_t *claim, const char *namespace, const char *name, const char *error)
{
        struct fgi_kube_conditions *conditions = &dra->conditions;
        char now[32], path[sizeof conditions->path];
        time_t seconds = time(NULL);
        struct tm tm;
        strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
        snprintf(path, sizeof path, "/apis/resource.k8s.io/v1/namespaces/%s/resourceclaims/%s/status?fieldManager=" FGI_KUBE_DOMAIN "&force=true", namespace, name);
        /* What is still to be written, the claim does not say yet. */
        bool anyway = strcmp(conditions->path, path) == 0 || json_object_get(conditions->waiting, path);
        fgi_kube_autojson json_t *body = fgi_kube_condition_body(dra, claim, error, now, anyway);
        fg_autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        if (!text || strlen(text) > BODY_MAX || (!anyway && json_object_size(conditions->waiting) >= WAITING_MAX))
                return;
        json_object_set_new(conditions->waiting, path, json_string(text));
        fgi_kube_condition_check(dra);
}

void fgi_kube_condition_close(struct fgi_kube_dra *dra)
{
        json_decref(dra->conditions.waiting);
        dra->conditions.waiting = NULL;
}
