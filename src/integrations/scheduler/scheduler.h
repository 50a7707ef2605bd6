/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-scheduler: an extender of kube-scheduler, which asks it where a pod with vGPUs goes best, and what says why a pod is pending. It keeps
 * nothing and decides nothing alone: what it knows is read at the API server, and kube-scheduler still allocates. docs/design/kubernetes.md. */
#ifndef FGI_SCHEDULER_H
#define FGI_SCHEDULER_H

#include "base/error.h"
#include "integrations/kubernetes/dra.h"
#include "sched/fleet.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FGI_SCHED_WANTS_MAX 64u

/* "" where there is no such text. */
const char *fgi_sched_text(const json_t *object, const char *key);
/* object.a.b.c, NULL-terminated; NULL where there is none. */
json_t *fgi_sched_at(const json_t *object, ...) __attribute__((sentinel));

/* --- view.c: the cluster as the API server tells it --- */

struct fgi_sched_gpu {
        const char *name, *model;
        uint64_t memory, memory_free; /* what claims may have of it, and what they have left */
        uint64_t whole;               /* what it has, others' part included */
        uint32_t share, share_free;   /* permille */
        const char *taint;            /* NULL: it takes claims */
};

struct fgi_sched_node {
        const char *name;
        const json_t *object; /* its Node; NULL where nodes were not read */
        uint32_t gpus;
        bool has_more; /* than are looked at here */
        struct fgi_sched_gpu gpu[FG_CLUSTER_GPUS_MAX];
};

struct fgi_sched_view {
        json_t *slices, *claims, *classes, *nodes; /* lists of objects */
        json_t *claim;                             /* "namespace/name" -> claim */
        struct fgi_sched_node *node;               /* by name */
        size_t count;
        struct fg_fleet *fleet; /* the same nodes, in the same order; NULL: there are none */
        struct fg_fleet_ask *part[FG_CLUSTER_GPU + 1]; /* made as they are needed */
};

/* Takes over the four lists; nodes may be NULL. What is odd in them is left out. */
int fgi_sched_view_new(json_t *slices, json_t *claims, json_t *classes, json_t *nodes, struct fgi_sched_view **ret, struct fg_error *err);
struct fgi_sched_view *fgi_sched_view_free(struct fgi_sched_view *view);
struct fgi_sched_node *fgi_sched_view_node(const struct fgi_sched_view *view, const char *name);
bool fgi_sched_view_is_ours(const struct fgi_sched_view *view, const char *class); /* a DeviceClass */
bool fgi_sched_view_has(const struct fgi_sched_view *view, const char *class);     /* the same, be it whose it may */
/* An ask for so much of one GPU of any node; NULL: out of memory. */
const struct fg_fleet_ask *fgi_sched_view_part(struct fgi_sched_view *view, unsigned milli);

/* --- want.c: what a pod asks for --- */

struct fgi_sched_want {
        uint64_t memory; /* bytes; 0: all of a GPU */
        uint32_t share;  /* permille; 0: all */
        bool of_claim;
        bool selects; /* by CEL, which is not read here */
        bool tolerates; /* taints of GPUs, whichever */
        char from[256]; /* "claim gpu-x" or "fastgpu.dev/vgpu-8g-25" */
};

struct fgi_sched_wants {
        size_t count;
        struct fgi_sched_want want[FGI_SCHED_WANTS_MAX];
        bool is_ours;          /* it asks for something of FastGPU's */
        const char *allocated; /* a claim is allocated already, on this node's GPUs */
        /* What is in the way before any node is looked at; reason NULL: nothing. */
        const char *reason;
        bool is_unmade; /* that is a claim of a template, which its controller makes */
        char text[400], remedy[200];
};

void fgi_sched_wants(const struct fgi_sched_view *view, const struct fgi_kube_class *class, size_t classes, const json_t *pod, struct fgi_sched_wants *ret);
/* The largest, by which nodes are compared; NULL: none. */
const struct fgi_sched_want *fgi_sched_largest(const struct fgi_sched_wants *wants);
/* "12 GiB and 30 %". */
void fgi_sched_say(uint64_t memory, uint32_t share, char *ret, size_t size);
/* The same of what there is: asked for, it is not more than that. */
void fgi_sched_say_left(uint64_t memory, uint32_t share, char *ret, size_t size);

/* --- offer.c: resources with a domain in their names, ours and others' --- */

bool fgi_sched_is_our_resource(const char *resource); /* by its name alone */
bool fgi_sched_offers(const json_t *node, const char *resource);
/* The first that the pod asks for and that this node does not offer, NULL node: that none does; NULL: there is none such. */
const char *fgi_sched_missing(const struct fgi_sched_view *view, const json_t *node, const json_t *pod);

/* --- judge.c: a node for a pod --- */

enum fgi_sched_lack {
        FGI_SCHED_FITS,
        FGI_SCHED_NO_GPUS,   /* none that claims could have */
        FGI_SCHED_TOO_LARGE, /* no GPU of it is that large, empty or not */
        FGI_SCHED_NO_ROOM,   /* not now */
        FGI_SCHED_TAINTED,   /* only on GPUs that take nobody */
        FGI_SCHED_LACK_COUNT
};

struct fgi_sched_verdict {
        enum fgi_sched_lack lack;
        const struct fgi_sched_want *want; /* the first that is not met */
        const struct fgi_sched_gpu *best;  /* of the node's, the one that comes nearest to it; NULL: none, or each would fit and not all together */
        const struct fgi_sched_gpu *tainted; /* where that is what it lacks: the first such */
};
/* How much of a want a GPU could meet now, in permille of the part that is shorter. */
uint64_t fgi_sched_met(const struct fgi_sched_gpu *gpu, const struct fgi_sched_want *want);
/* Never harder than kube-scheduler: what only it can know counts as fitting. */
struct fgi_sched_verdict fgi_sched_judge(const struct fgi_sched_node *node, const struct fgi_sched_wants *wants);
/* Where what claims may have of the GPUs is too small for a want: as if they might have all of them. NO_ROOM names the nearest. */
struct fgi_sched_verdict fgi_sched_judge_whole(const struct fgi_sched_node *node, const struct fgi_sched_want *want);
/* Others have all of it: its capacity is only the least that the API server takes. */
bool fgi_sched_is_full(const struct fgi_sched_gpu *gpu);
/* To compare verdicts by their `best`: one that is full is the last, and none less than that. */
uint64_t fgi_sched_nearness(const struct fgi_sched_verdict *v);
/* The placement policy's word; higher is better. FG_SCORE_NONE: none. */
int32_t fgi_sched_score(struct fgi_sched_view *view, size_t node, const struct fgi_sched_want *want);

/* --- extend.c: what kube-scheduler asks (k8s.io/kube-scheduler/extender/v1) --- */

const json_t *fgi_sched_pod_of(const json_t *question); /* NULL: it has none */
/* NULL with a reason: the question is none. */
json_t *fgi_sched_filter(struct fgi_sched_view *view, const struct fgi_kube_class *class, size_t classes, const json_t *question, size_t *ret_refused,
                         struct fg_error *err);
json_t *fgi_sched_prioritize(struct fgi_sched_view *view, const struct fgi_kube_class *class, size_t classes, const json_t *question, struct fg_error *err);

/* --- ask.c: where it is read --- */

struct fgi_sched_source {
        struct fgi_kube_api *api; /* NULL: kubectl, with the caller's own rights */
};

/* -ENOENT: there is no such thing; -EAGAIN: the server does not answer; else -EIO with its sentence. */
int fgi_sched_get(struct fgi_sched_source *source, const char *path, json_t **ret, struct fg_error *err);
int fgi_sched_post(struct fgi_sched_source *source, const char *path, const json_t *body, struct fg_error *err); /* -EEXIST */
/* All items of a list, page by page. `path` without a query, `query` "" or "a=b". */
int fgi_sched_list(struct fgi_sched_source *source, const char *path, const char *query, json_t **ret, struct fg_error *err);
int fgi_sched_load(struct fgi_sched_source *source, bool with_nodes, struct fgi_sched_view **ret, struct fg_error *err);
/* "namespace/name" as Kubernetes allows them. */
bool fgi_sched_is_name(const char *text);

/* --- why.c --- */

/* {"name", "state", "reason", "text", "remedy"?}: the one reason that decides, and what would help. NULL: out of memory. */
json_t *fgi_sched_why(struct fgi_sched_view *view, const struct fgi_kube_class *class, size_t classes, const json_t *pod, const json_t *events);

/* --- watch.c: pods that are pending are told why, by an event --- */

/* Once; `told` remembers what was said. One that cannot be told does not keep the others from it: the first such failure is the error. */
int fgi_sched_watch(struct fgi_sched_source *source, const struct fgi_kube_class *class, size_t classes, json_t *told, struct fg_error *err);

/* --- serve.c --- */

struct fgi_sched_server {
        struct fgi_sched_source source;
        const struct fgi_kube_class *class;
        size_t classes;
        struct fgi_sched_view *view;
        uint64_t at; /* when it was read */
};
struct MHD_Daemon;
int fgi_sched_serve(struct fgi_sched_server *server, const char *address, struct MHD_Daemon **ret, struct fg_error *err);

#endif
