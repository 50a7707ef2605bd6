/* SPDX-License-Identifier: Apache-2.0
 * The daemon makes a set before anybody can know for which pod: a device plugin is told devices, and nothing else. Once the kubelet's list says
 * whose they are, the daemon bills them to the namespace, all of the open minute with them. */
#include "integrations/kubernetes/plugin.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Of "NAMESPACE/POD/CONTAINER". -EINPROGRESS: its labels are being asked for. */
static int bill(struct fgi_kube *kube, const char *project, const char *set, const char *pod, struct fg_error *err)
{
        char namespace[FGI_KUBE_NAME_MAX], payer[FGI_KUBE_NAME_MAX];
        snprintf(namespace, sizeof namespace, "%.*s", (int)strcspn(pod, "/"), pod);
        if (!fgi_kube_payer(&kube->payers, namespace, payer)) {
                payer[0] = 0;
                if (kube->label[0] && !fgi_kube_label(kube, pod, payer))
                        return -EINPROGRESS;
                if (!payer[0])
                        fgi_kube_own_project(&kube->payers, namespace, payer);
        }
        return fgi_kube_node_bill(&kube->node, project, set, payer, pod, err);
}

void fgi_kube_bill_held(struct fgi_kube *kube)
{
        for (uint32_t i = 0; i < kube->helds; i++) {
                struct fgi_kube_held *held = &kube->held[i];
                struct fg_error err = {0};
                if (!*held->pod || strcmp(held->pod, held->told) == 0 || (kube->label[0] && !held->listed))
                        continue;
                int r = bill(kube, kube->node.project, held->set, held->pod, &err);
                if (r == -EINPROGRESS)
                        continue;
                if (r == 0)
                        memcpy(held->told, held->pod, sizeof held->told);
                else if (!held->is_unpaid)
                        fg_log_warning("%s stays billed to %s, and not to %s: %s", held->set, kube->node.project, held->pod, err.text);
                held->is_unpaid = r < 0;
                if (!kube->node.is_there)
                        return;
        }
}

/* For whom the daemon was told that it is, by a process of ours before this one: who pays was said then, and somebody may have said otherwise since.
 * A restart changes neither, nor does a question that fails: then it is NULL, until the next list. "": for nobody. */
static const char *told_before(struct fgi_kube *kube, const char *name)
{
        struct fg_error err = {0};
        if (!kube->workloads && fgi_kube_node_workloads(&kube->node, &kube->workloads, &err) < 0) {
                fg_log_debug("what claims are billed to cannot be read: %s", err.text);
                kube->workloads = json_null();
        }
        const char *workload = json_string_value(json_object_get(kube->workloads, name));
        return workload ? workload : json_is_object(kube->workloads) ? "" : NULL;
}

void fgi_kube_bill_claim(struct fgi_kube *kube, const char *pod, const char *cdi, json_t *told)
{
        static const char kind[] = FGI_KUBE_DOMAIN "/vgpu=";
        const char *name = strncmp(cdi, kind, sizeof kind - 1) == 0 ? cdi + sizeof kind - 1 : "", *colon = strchr(name, ':');
        const char *known = json_string_value(json_object_get(kube->billed, name));
        char project[FGI_KUBE_NAME_MAX];
        struct fg_error err = {0};
        /* One that several containers have is the first one's. */
        if (!colon || strncmp(colon + 1, "claim-", 6) != 0 || json_object_get(told, name))
                return;
        if (!known)
                known = told_before(kube, name);
        if (!known)
                return;
        snprintf(project, sizeof project, "%.*s", (int)(colon - name), name);
        int r = strcmp(known, pod) == 0 ? 0 : bill(kube, project, colon + 1, pod, &err);
        json_object_set_new(told, name, json_string(r == 0 ? pod : known));
        if (r < 0 && r != -EINPROGRESS)
                fg_log_debug("%s is not known to be of %s: %s", name, pod, err.text);
}
