/* SPDX-License-Identifier: Apache-2.0
 * The kubelet's stream of how the GPUs do, which it shows in the status of the pods that have claims on them. */
#include "integrations/kubernetes/dra.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGAIN    (10 * FG_NSEC_PER_SEC)
#define TIMEOUT  30 /* s: the kubelet holds older news for none */

static Fgi__Dra__Health health_of(const struct fgi_kube_node *node, const struct fgi_kube_gpu *gpu)
{
        return !node->is_there ? FGI__DRA__HEALTH__UNKNOWN : gpu->usable ? FGI__DRA__HEALTH__HEALTHY : FGI__DRA__HEALTH__UNHEALTHY;
}

/* What it is made of, so that only changes are told at once. */
static uint64_t digest_of(const struct fgi_kube_node *node)
{
        uint64_t h = node->is_there;
        for (uint32_t i = 0; i < node->gpus; i++)
                for (const char *p = node->gpu[i].tag, *q = node->gpu[i].trouble; *p || *q; p += *p != 0, q += *q != 0)
                        h = (h ^ (uint64_t)(unsigned char)*p ^ (uint64_t)(unsigned char)*q << 8) * 0x100000001b3ull;
        return h;
}

static int tell(const struct fgi_kube_dra *dra, struct fgi_grpc_call *call)
{
        const struct fgi_kube_node *node = &dra->kube->node;
        Fgi__Dra__DeviceHealth device[FGI_KUBE_GPUS_MAX], *list[FGI_KUBE_GPUS_MAX];
        Fgi__Dra__DeviceName name[FGI_KUBE_GPUS_MAX];
        char text[FGI_KUBE_GPUS_MAX][16];
        Fgi__Dra__HealthReply reply = FGI__DRA__HEALTH_REPLY__INIT;
        for (uint32_t i = 0; i < node->gpus; i++) {
                fgi__dra__device_name__init(&name[i]);
                fgi__dra__device_health__init(&device[i]);
                snprintf(text[i], sizeof text[i], "gpu-%s", node->gpu[i].tag);
                name[i].pool = (char *)dra->node;
                name[i].device = text[i];
                device[i].device = &name[i];
                device[i].health = health_of(node, &node->gpu[i]);
                device[i].time = time(NULL);
                device[i].timeout = TIMEOUT;
                device[i].message = (char *)(node->is_there ? node->gpu[i].trouble : "fastgpud does not answer");
                list[i] = &device[i];
        }
        reply.devices = list;
        reply.n_devices = node->gpus;
        return fgi_kube_send(call, &reply.base);
}

static void unwatch(struct fgi_grpc_call *call, void *data)
{
        struct fgi_kube_dra *dra = data;
        for (unsigned i = 0; i < FGI_KUBE_WATCHERS_MAX; i++)
                if (dra->watcher[i] == call)
                        dra->watcher[i] = NULL;
}

void fgi_kube_health_watch(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *user)
{
        struct fgi_kube_dra *dra = user;
        fgi_kube_automessage ProtobufCMessage *message = fgi_kube_unpack(&fgi__dra__health_request__descriptor, data, size);
        unsigned i = 0;
        while (i < FGI_KUBE_WATCHERS_MAX && dra->watcher[i])
                i++;
        if (!message || i == FGI_KUBE_WATCHERS_MAX) {
                fgi_grpc_end(call, message ? FGI_GRPC_RESOURCE_EXHAUSTED : FGI_GRPC_INVALID_ARGUMENT,
                             message ? "too many watch already" : "the request is not understood");
                return;
        }
        if (tell(dra, call) < 0)
                return;
        dra->watcher[i] = call;
        fgi_grpc_on_close(call, unwatch, dra);
}

void fgi_kube_health_check(struct fgi_kube_dra *dra, uint64_t now)
{
        uint64_t digest = digest_of(&dra->kube->node);
        if (digest == dra->digest && now < dra->health_at)
                return;
        dra->digest = digest;
        dra->health_at = now + AGAIN;
        for (unsigned i = 0; i < FGI_KUBE_WATCHERS_MAX; i++)
                if (dra->watcher[i] && tell(dra, dra->watcher[i]) < 0)
                        dra->watcher[i] = NULL;
}
