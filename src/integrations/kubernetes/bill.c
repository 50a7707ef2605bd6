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

/* By a process of ours before this one. Who pays was said then, and somebody may have said otherwise since: a restart changes neither. */
static bool is_told(struct fgi_kube *kube, const char *project, const char *set, const char *pod)
{
        fgi_kube_autojson json_t *made = NULL;
        struct fg_error ignored = {0};
        if (fgi_kube_node_set(&kube->node, project, set, &made, &ignored) < 0)
                return false;
        const char *workload = json_string_value(json_object_get(made, "workload"));
        return workload && strcmp(workload, pod) == 0;
}

void fgi_kube_bill_claim(struct fgi_kube *kube, const char *pod, const char *cdi, json_t *told)
{
        static const char kind[] = FGI_KUBE_DOMAIN "/vgpu=";
        const char *name = strncmp(cdi, kind, sizeof kind - 1) == 0 ? cdi + sizeof kind - 1 : "", *colon = strchr(name, ':');
        const char *known = json_string_value(json_object_get(kube->billed, name));
        char project[FGI_KUBE_NAME_MAX];
        struct fg_error err = {0};
        int r;
        /* One that several containers have is the first one's. */
        if (!colon || strncmp(colon + 1, "claim-", 6) != 0 || json_object_get(told, name))
                return;
        snprintf(project, sizeof project, "%.*s", (int)(colon - name), name);
        bool knows = known ? strcmp(known, pod) == 0 : is_told(kube, project, colon + 1, pod);
        r = knows ? 0 : bill(kube, project, colon + 1, pod, &err);
        if (r == 0)
                json_object_set_new(told, name, json_string(pod));
        else if (r != -EINPROGRESS)
                fg_log_debug("%s is not known to be of %s: %s", name, pod, err.text);
}
