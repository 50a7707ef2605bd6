/* SPDX-License-Identifier: Apache-2.0
 * protobuf-c with a bound: a small message can ask for much memory, as each empty part of it becomes a structure. */
#include "integrations/kubernetes/kube.h"

#include <errno.h>
#include <stdlib.h>

static void *take(void *data, size_t size)
{
        size_t *left = data;
        if (size > *left)
                return NULL;
        *left -= size;
        return malloc(size);
}

static void give(void *data, void *pointer)
{
        free(pointer);
}

ProtobufCMessage *fgi_kube_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t size)
{
        size_t left = FGI_KUBE_UNPACK_MAX;
        ProtobufCAllocator allocator = {take, give, &left};
        return protobuf_c_message_unpack(descriptor, &allocator, size, data);
}

void fgi_kube_forget(ProtobufCMessage *message)
{
        ProtobufCAllocator allocator = {take, give, NULL};
        if (message)
                protobuf_c_message_free_unpacked(message, &allocator);
}

uint8_t *fgi_kube_pack(const ProtobufCMessage *message, size_t *ret_size)
{
        size_t size = protobuf_c_message_get_packed_size(message);
        uint8_t *data = malloc(size + 1);
        if (data)
                *ret_size = protobuf_c_message_pack(message, data);
        return data;
}

int fgi_kube_send(struct fgi_grpc_call *call, const ProtobufCMessage *message)
{
        size_t size;
        fg_autofree uint8_t *data = fgi_kube_pack(message, &size);
        int r = data ? fgi_grpc_send(call, data, size) : -ENOMEM;
        if (r < 0)
                fgi_grpc_end(call, FGI_GRPC_RESOURCE_EXHAUSTED, r == -ENOMEM ? "out of memory" : "nobody takes the answers");
        return r;
}

void fgi_kube_reply(struct fgi_grpc_call *call, const ProtobufCMessage *message)
{
        if (fgi_kube_send(call, message) == 0)
                fgi_grpc_end(call, FGI_GRPC_OK, NULL);
}
