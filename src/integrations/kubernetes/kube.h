/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-kubelet: this node's vGPUs for the kubelet, as a device plugin (v1beta1) and as a DRA driver (v1). It keeps nothing itself: the
 * daemon has the vGPUs, whose names say what they were made for; the kubelet says which pods there are. docs/design/kubernetes.md. */
#ifndef FGI_KUBE_H
#define FGI_KUBE_H

#include "base/error.h"
#include "fastgpu/client.h"
#include "integrations/grpc/grpc.h"

#include <jansson.h>
#include <limits.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#define FGI_KUBE_CLASSES_MAX 16u
#define FGI_KUBE_RETIRED_MAX 48u /* that earlier processes offered, and sets are left of */
#define FGI_KUBE_GPUS_MAX    64u
#define FGI_KUBE_SLOTS_MAX   1000u /* of one class on one GPU: the smallest share is one permille */
#define FGI_KUBE_TAG         7u    /* six hexadecimal digits and NUL */
#define FGI_KUBE_NAME_MAX    64u
#define FGI_KUBE_IDS_MAX     64u   /* of one container */

#define FGI_KUBE_DOMAIN "fastgpu.dev"

static inline void fgi_kube_drop_json(json_t **json)
{
        json_decref(*json);
}
#define fgi_kube_autojson FG_CLEANUP(fgi_kube_drop_json)

/* --- class.c: what a resource is --- */

struct fgi_kube_class {
        char resource[128];             /* "fastgpu.dev/vgpu-8g-25" */
        char name[FGI_KUBE_NAME_MAX];   /* "vgpu-8g-25" */
        uint64_t memory;                /* bytes */
        uint32_t share;                 /* permille */
};

/* "8G:25", or "NAME=8G:25" for another name than vgpu-8g-25; NAME may be "domain/name". */
int fgi_kube_class_parse(const char *text, struct fgi_kube_class *ret, struct fg_error *err);

/* Device IDs are TAG-SLOT; the set made for some of them is called CLASS-TAG.SLOT.SLOT-TAG.SLOT, or CLASS-xHASH if that is too long. */
struct fgi_kube_id {
        char tag[FGI_KUBE_TAG];
        uint32_t slot;
};

int fgi_kube_id_parse(const char *text, struct fgi_kube_id *ret);
void fgi_kube_set_name(const char *class_name, const struct fgi_kube_id *id, size_t count, char ret[FGI_KUBE_NAME_MAX]);
/* How many IDs a set's name tells (at most `max` are written), 0 if it is the hashed kind; -ENOENT: it is no set of this class. */
int fgi_kube_set_ids(const char *class_name, const char *set, struct fgi_kube_id *ret, size_t max);
void fgi_kube_tag(const char *device_key, char ret[FGI_KUBE_TAG]);

/* --- node.c: what the daemon has --- */

struct fgi_kube_gpu {
        char tag[FGI_KUBE_TAG];
        char key[192], uuid[64], model[128], driver[64], api[16];
        uint64_t memory, memory_free; /* what vGPUs may have, and what is left of it */
        uint32_t share_free;
        uint64_t claimed_memory; /* what claims have of it; fgi_kube_node_claimed() */
        uint32_t claimed_share;
        bool usable, is_lost;
        uint32_t xid;      /* of the last error that was the GPU's own; 0: none */
        char trouble[96]; /* why it is not usable; "" */
        int numa; /* -1: not known */
};

struct fgi_kube_node {
        struct fg_client *client;
        char project[FGI_KUBE_NAME_MAX];
        bool is_there;     /* the daemon answered last time */
        bool is_plain;     /* engines are told of PROJECT:SET with each set that is made, as was seen over this connection */
        uint32_t gpus;
        struct fgi_kube_gpu gpu[FGI_KUBE_GPUS_MAX];
        char type[32]; /* of the last refusal, in the API's words */
};

/* Each 0 or a negative errno with the daemon's own sentence; -EEXIST, -EBUSY, -ENOSPC and -ENOENT for what these say. */
int fgi_kube_node_look(struct fgi_kube_node *node, struct fg_error *err); /* at the devices */
int fgi_kube_node_create(struct fgi_kube_node *node, const char *project, const char *body, struct fg_error *err);
int fgi_kube_node_delete(struct fgi_kube_node *node, const char *project, const char *set, struct fg_error *err);
/* Engines are told of it; its name there is *ret's "device". */
int fgi_kube_node_box(struct fgi_kube_node *node, const char *project, const char *set, json_t **ret, struct fg_error *err);
/* Of one project; {"sets": […]}. */
int fgi_kube_node_sets(struct fgi_kube_node *node, const char *project, json_t **ret, struct fg_error *err);
int fgi_kube_node_set(struct fgi_kube_node *node, const char *project, const char *set, json_t **ret, struct fg_error *err);
/* project:set -> the container that it is for, of all sets that are for one. */
int fgi_kube_node_workloads(struct fgi_kube_node *node, json_t **ret, struct fg_error *err);
/* Who pays for it, and "NAMESPACE/POD/CONTAINER" that it is for; "" where that is not known. The payer's project is made if it is not there. */
int fgi_kube_node_bill(struct fgi_kube_node *node, const char *project, const char *set, const char *payer, const char *workload, struct fg_error *err);
/* Adds up what sets called claim-… have, in all projects. */
/* `prefix`: of the projects of claims. */
int fgi_kube_node_claimed(struct fgi_kube_node *node, const char *prefix, struct fg_error *err);
/* Makes it if it is not there. vGPUs of pods that are idle for long stay: there, nobody is asked for a lease. */
int fgi_kube_node_project(struct fgi_kube_node *node, const char *project, struct fg_error *err);
/* The GPU that this tag stands for, or NULL. */
struct fgi_kube_gpu *fgi_kube_node_gpu(struct fgi_kube_node *node, const char *tag);
void fgi_kube_node_close(struct fgi_kube_node *node);
/* The NUMA node of the NVIDIA GPU with this UUID, -1 if that cannot be known. `root` is "" but in tests. */
int fgi_kube_numa(const char *root, const char *uuid);

/* --- payer.c: whose the vGPUs of a namespace are --- */

#define FGI_KUBE_PAYERS_MAX 256u

struct fgi_kube_payers {
        char prefix[32]; /* of the project of a namespace that is not named below */
        uint32_t count;
        struct {
                char namespace[FGI_KUBE_NAME_MAX], project[FGI_KUBE_NAME_MAX];
        } of[FGI_KUBE_PAYERS_MAX];
};

/* The project made for a namespace: prefix and name, shortened where that is too long. */
void fgi_kube_own_project(const struct fgi_kube_payers *payers, const char *namespace, char ret[FGI_KUBE_NAME_MAX]);
/* The one that somebody said pays for it; false: nobody did. */
bool fgi_kube_payer(const struct fgi_kube_payers *payers, const char *namespace, char ret[FGI_KUBE_NAME_MAX]);
bool fgi_kube_is_project(const char *text);
/* "NAMESPACE=PROJECT". */
int fgi_kube_payer_parse(const char *text, struct fgi_kube_payers *payers, struct fg_error *err);

/* --- message.c: protobuf --- */

/* NULL: no such message, or more than FGI_KUBE_UNPACK_MAX bytes of memory for it. */
#define FGI_KUBE_UNPACK_MAX (64u << 20)
ProtobufCMessage *fgi_kube_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t size);
void fgi_kube_forget(ProtobufCMessage *message); /* NULL is fine */
/* Queues it as an answer; when that is not possible the call is ended, and -errno returned. */
int fgi_kube_send(struct fgi_grpc_call *call, const ProtobufCMessage *message);
/* With OK behind it. */
void fgi_kube_reply(struct fgi_grpc_call *call, const ProtobufCMessage *message);
/* As a whole request: for the client. NULL: out of memory. */
uint8_t *fgi_kube_pack(const ProtobufCMessage *message, size_t *ret_size);
static inline void fgi_kube_forgetp(ProtobufCMessage **message)
{
        fgi_kube_forget(*message);
}
#define fgi_kube_automessage FG_CLEANUP(fgi_kube_forgetp)

/* --- ask.c: a question to the kubelet that the loop does not wait for --- */

struct fgi_kube_ask {
        struct fgi_grpc_client *client; /* NULL: none is asked */
};

int fgi_kube_ask_start(struct fgi_kube_ask *ask, const char *path, const char *method, const ProtobufCMessage *message, uint64_t patience,
                       struct fg_error *err);
/* 1: answered, *ret is to be freed; 0: not yet; negative errno. */
int fgi_kube_ask_try(struct fgi_kube_ask *ask, uint8_t **ret, size_t *ret_size, struct fg_error *err);
void fgi_kube_ask_stop(struct fgi_kube_ask *ask);

#endif
