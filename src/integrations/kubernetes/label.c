/* SPDX-License-Identifier: Apache-2.0
 * Which project a pod's label names, or else its namespace's. The API server is asked once for each pod, in threads; until it has answered,
 * what the pod has stays billed as it is. */
#include "integrations/kubernetes/dra.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct question {
        struct fgi_kube *kube;
        bool is_namespace;
        char pod[FGI_KUBE_WORKLOAD_MAX]; /* "NAMESPACE/POD" */
};

int fgi_kube_label_parse(const char *text, struct fgi_kube *kube, struct fg_error *err)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
        size_t len = strlen(text);
        const char *slash = strchr(text, '/');
        if (len < 1 || len >= sizeof kube->label || strspn(text, letters) != len || (slash && (slash == text || !slash[1] || strchr(slash + 1, '/'))))
                return fg_error_set(err, -EINVAL, "--payer-label \"%.80s\": give a label's key, such as --payer-label example.com/project", text);
        memcpy(kube->label, text, len + 1);
        return 0;
}

static void learn(struct question *q, const char *project)
{
        struct fgi_kube *kube = q->kube;
        /* Its pod may be gone. */
        if (json_object_get(kube->labels, q->pod))
                json_object_set_new(kube->labels, q->pod, json_string(project));
        kube->cannot_label = false;
        kube->pods_at = 0;
        free(q);
}

/* It is asked again with the next list that has the pod. */
static void fail(struct question *q, long status, const char *body)
{
        struct fgi_kube *kube = q->kube;
        if (status != 404 && !kube->cannot_label)
                fg_log_warning("whom the labels of %s name is not known: %.200s (%ld)", q->pod,
                               status == 0   ? body :
                               status == 403 ? "the API server does not let us read pods and namespaces: is the ClusterRole there?" :
                                               "the API server does not tell",
                               status);
        kube->cannot_label = kube->cannot_label || status != 404;
        json_object_del(kube->labels, q->pod);
        free(q);
}

static void ask(struct question *q);

static void on_answer(void *user, long status, const char *body)
{
        struct question *q = user;
        fgi_kube_autojson json_t *object = status == 200 ? json_loads(body, JSON_REJECT_DUPLICATES, NULL) : NULL;
        const json_t *metadata = json_object_get(object, "metadata");
        const char *project = json_string_value(json_object_get(json_object_get(metadata, "labels"), q->kube->label));
        if (!metadata) {
                fail(q, status, body);
        } else if (project && fgi_kube_is_project(project)) {
                learn(q, project);
        } else if (q->is_namespace) {
                learn(q, "");
        } else {
                q->is_namespace = true;
                ask(q);
        }
}

static void ask(struct question *q)
{
        char path[400];
        int len = (int)strcspn(q->pod, "/");
        if (q->is_namespace)
                snprintf(path, sizeof path, "/api/v1/namespaces/%.*s", len, q->pod);
        else
                snprintf(path, sizeof path, "/api/v1/namespaces/%.*s/pods%.254s", len, q->pod, q->pod + len);
        if (fgi_kube_api_ask(q->kube->dra->api, "GET", path, NULL, on_answer, q) == 0)
                return;
        json_object_del(q->kube->labels, q->pod);
        free(q);
}

bool fgi_kube_label(struct fgi_kube *kube, const char *container, char ret[FGI_KUBE_NAME_MAX])
{
        char pod[FGI_KUBE_WORKLOAD_MAX];
        const char *end = strrchr(container, '/');
        *ret = 0;
        if (!end)
                return true; /* of no pod whose labels there might be */
        snprintf(pod, sizeof pod, "%.*s", (int)(end - container), container);
        const json_t *known = json_object_get(kube->labels, pod);
        if (known) {
                snprintf(ret, FGI_KUBE_NAME_MAX, "%s", json_is_string(known) ? json_string_value(known) : "");
                return json_is_string(known);
        }
        struct question *q = calloc(1, sizeof *q);
        if (!q || json_object_set_new(kube->labels, pod, json_null()) < 0) {
                free(q);
                return false;
        }
        q->kube = kube;
        memcpy(q->pod, pod, sizeof pod);
        ask(q);
        return false;
}

void fgi_kube_labels_keep(struct fgi_kube *kube, const Fgi__Pods__ListReply *list)
{
        char pod[FGI_KUBE_WORKLOAD_MAX];
        if (!kube->label[0])
                return;
        json_t *kept = json_object();
        for (size_t i = 0; i < list->n_pods; i++) {
                snprintf(pod, sizeof pod, "%s/%s", list->pods[i]->namespace_, list->pods[i]->name);
                json_object_set(kept, pod, json_object_get(kube->labels, pod));
        }
        json_decref(kube->labels);
        kube->labels = kept;
}
