/* SPDX-License-Identifier: Apache-2.0
 * The kubelet calls us back while it answers (it asks for our options during Register), so nobody here may wait for it. */
#include "integrations/kubernetes/kube.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

void fgi_kube_ask_stop(struct fgi_kube_ask *ask)
{
        fgi_grpc_client_close(ask->client);
        ask->client = NULL;
}

int fgi_kube_ask_start(struct fgi_kube_ask *ask, const char *path, const char *method, const ProtobufCMessage *message, uint64_t patience,
                       struct fg_error *err)
{
        size_t size;
        fg_autofree uint8_t *data = fgi_kube_pack(message, &size);
        fgi_kube_ask_stop(ask);
        if (!data)
                return fg_error_set(err, -ENOMEM, "out of memory");
        int r = fgi_grpc_client_open(path, &ask->client, err);
        if (r == 0)
                r = fgi_grpc_client_start(ask->client, method, data, size, fg_now() + patience, err);
        if (r < 0)
                fgi_kube_ask_stop(ask);
        return r;
}

int fgi_kube_ask_try(struct fgi_kube_ask *ask, uint8_t **ret, size_t *ret_size, struct fg_error *err)
{
        struct fgi_grpc_status status;
        int r = fgi_grpc_client_try(ask->client, ret, ret_size, &status, err);
        if (r == -EAGAIN)
                return 0;
        if (r == 0)
                r = fg_error_set(err, status.code == FGI_GRPC_UNIMPLEMENTED ? -EOPNOTSUPP : -EREMOTEIO, "the kubelet refuses: %s",
                                 *status.text ? status.text : "without a word");
        fgi_kube_ask_stop(ask);
        return r;
}
