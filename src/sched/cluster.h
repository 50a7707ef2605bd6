/* SPDX-License-Identifier: Apache-2.0
 * A cluster of nodes with shared GPUs: what is free where, and who changed last. Pure state, integers only: giving back
 * what was taken restores it to the bit. A GPU is 1000 milli. */
#ifndef FG_SCHED_CLUSTER_H
#define FG_SCHED_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FG_CLUSTER_GPU         1000 /* milli of one GPU */
#define FG_CLUSTER_GPUS_MAX    16u  /* of one node */
#define FG_CLUSTER_KINDS       (FG_CLUSTER_GPUS_MAX + 2u)
#define FG_CLUSTER_MODELS_MAX  64u
#define FG_CLUSTER_NODES_MAX   1000000u
#define FG_CLUSTER_CPU_MAX     100000000  /* milli-CPU of one node */
#define FG_CLUSTER_MEMORY_MAX  1000000000 /* MiB of one node */
#define FG_CLUSTER_PRICE_MAX   1000000u

struct fg_cluster_shape {
        int32_t cpu;    /* milli-CPU */
        int32_t memory; /* MiB */
        uint8_t gpus;
        uint8_t model; /* < FG_CLUSTER_MODELS_MAX */
        uint16_t site; /* any number; 0: none */
        uint32_t price; /* of a GPU for an hour, in any unit that all nodes share; at most FG_CLUSTER_PRICE_MAX */
};

/* What somebody wants: `gpus` GPUs of one node with `milli` of each. Less than a whole GPU: of one GPU only. */
struct fg_cluster_pod {
        int32_t cpu, memory;
        uint16_t milli; /* 1..1000; 0 without GPUs */
        uint16_t gpus;  /* 0: none */
        uint64_t models; /* bit set of those that will do; 0: any */
        uint16_t site;   /* where it would like to be, for policies that ask; 0: it does not care */
};

/* 0: without GPU; 1: with a part of one; 1 + n: with n whole ones. */
static inline unsigned fg_cluster_kind(const struct fg_cluster_pod *pod)
{
        return pod->gpus == 0 ? 0 : pod->milli < FG_CLUSTER_GPU ? 1 : 1u + pod->gpus;
}

struct fg_cluster_node {
        int32_t cpu, memory; /* free */
        uint16_t gpu[FG_CLUSTER_GPUS_MAX]; /* free milli */
        int32_t milli;                     /* their sum */
        uint16_t pods[FG_CLUSTER_KINDS];   /* placed here, by fg_cluster_kind() */
        bool closed;                       /* takes nobody now; who is here stays */
        struct fg_cluster_shape has;
};

struct fg_cluster_place {
        uint32_t node;
        uint16_t gpus; /* bit set */
};

/* Why a node cannot take a pod; the first that holds. */
enum fg_cluster_lack {
        FG_CLUSTER_FITS,
        FG_CLUSTER_CLOSED,
        FG_CLUSTER_LACKS_MODEL,
        FG_CLUSTER_LACKS_CPU,
        FG_CLUSTER_LACKS_MEMORY,
        FG_CLUSTER_LACKS_GPUS,  /* has fewer than wanted */
        FG_CLUSTER_LACKS_SHARE, /* has them, but not free */
        FG_CLUSTER_LACK_COUNT
};
extern const char *const fg_cluster_lack_text[FG_CLUSTER_LACK_COUNT];

struct fg_cluster;

/* -EINVAL: no node, too many, or a shape out of its bounds; -ENOMEM. */
int fg_cluster_new(struct fg_cluster **ret, const struct fg_cluster_shape *shape, size_t count);
struct fg_cluster *fg_cluster_free(struct fg_cluster *c);
/* Everything free again, as new. */
void fg_cluster_reset(struct fg_cluster *c);

size_t fg_cluster_count(const struct fg_cluster *c);
const struct fg_cluster_node *fg_cluster_node(const struct fg_cluster *c, size_t i);

bool fg_cluster_pod_is_valid(const struct fg_cluster_pod *pod);
enum fg_cluster_lack fg_cluster_judge(const struct fg_cluster_node *n, const struct fg_cluster_pod *pod);

/* -EINVAL: no such pod or place; -ENOSPC: it does not fit there. */
int fg_cluster_take(struct fg_cluster *c, const struct fg_cluster_pod *pod, struct fg_cluster_place place);
/* -EINVAL: the node would have more than it has. */
int fg_cluster_release(struct fg_cluster *c, const struct fg_cluster_pod *pod, struct fg_cluster_place place);

/* Of a node that comes and goes, or whose price moves. -EINVAL: there is none, or no such price. */
int fg_cluster_close(struct fg_cluster *c, size_t i, bool closed);
int fg_cluster_set_price(struct fg_cluster *c, size_t i, uint32_t price);

/* Changes so far, and the node of the k-th of them; only the last fg_cluster_count() are kept. */
uint64_t fg_cluster_changes(const struct fg_cluster *c);
uint32_t fg_cluster_changed(const struct fg_cluster *c, uint64_t k);

static inline void fg_cluster_freep(struct fg_cluster **c)
{
        fg_cluster_free(*c);
}

#endif
