/* SPDX-License-Identifier: Apache-2.0
 * The device plugin: one resource for each class, and which sets were made for whom. */
#ifndef FGI_KUBE_PLUGIN_H
#define FGI_KUBE_PLUGIN_H

#include "integrations/kubernetes/kube.h"

#include "deviceplugin.pb-c.h"
#include "podresources.pb-c.h"

#include <sys/stat.h>
#include <time.h>

#define FGI_KUBE_WATCHERS_MAX 8u
#define FGI_KUBE_HELD_MAX     4096u
#define FGI_KUBE_WORKLOAD_MAX 384u
#define FGI_KUBE_HAMI         "hami" /* class whose resource is called otherwise */
#define FGI_KUBE_HAMI_RESOURCE "nvidia.com/gpu"

struct fgi_kube;

struct fgi_kube_resource {
        struct fgi_kube *kube;
        struct fgi_kube_class class;
        bool is_retired; /* offered no more, but sets are left of it */
        uint32_t split; /* not 0: HAMi's, so many on each GPU, made when they start and as large as their pod says */
        char endpoint[96]; /* "fastgpu-vgpu-8g-25-1f3a.sock", in the kubelet's folder */
        bool asked;        /* the kubelet was told of this endpoint */
        struct fgi_grpc_server *server;
        bool registered;
        uint64_t at; /* when it was, or when to try again */
        struct fgi_kube_ask ask;
        struct fgi_grpc_call *watcher[FGI_KUBE_WATCHERS_MAX]; /* NULL: free */
        uint8_t *told; /* the last list, packed */
        size_t told_size;
};

/* A set that was made for devices of a class. */
struct fgi_kube_held {
        uint32_t resource;
        char set[FGI_KUBE_NAME_MAX];
        uint32_t ids; /* 0: its name does not tell, and no pod did yet */
        struct fgi_kube_id id[FGI_KUBE_IDS_MAX];
        uint64_t since;  /* it was made, or its container was about to start */
        bool seen;       /* a pod had it */
        bool listed;     /* in the answer that is being read */
        bool written;    /* in what the kubelet wrote down */
        uint32_t missed; /* answers in a row without it */
        char pod[FGI_KUBE_WORKLOAD_MAX];  /* "namespace/pod/container", "" while none is known */
        char told[FGI_KUBE_WORKLOAD_MAX]; /* as the daemon knows it */
        bool is_unpaid;  /* it was said that the daemon cannot be told */
};

#define FGI_KUBE_REFUSALS 16u
#define FGI_KUBE_WITHOUT  64u

struct fgi_kube_refusal {
        time_t time;
        char text[600];
};

struct fgi_kube {
        char folder[PATH_MAX - 128]; /* the kubelet's: /var/lib/kubelet */
        char own_pod[320];           /* "namespace/name", "": runs outside of pods */
        struct fgi_kube_payers payers;
        char label[320];             /* whose value is the project that pays; "": none */
        json_t *labels;              /* "namespace/pod" -> what it says, "" for nothing, null while it is asked; never NULL */
        bool cannot_label;           /* it was said that the API server does not tell */
        struct fgi_kube_dra *dra;    /* NULL: no claims */
        bool with_claims;            /* be a DRA driver, too */
        json_t *billed;              /* project:set of claims -> who has them, as the daemon was told; "": nobody yet */
        json_t *workloads;           /* project:set -> for whom it is, as the daemon says; asked once for a list of pods, if at all: NULL */
        bool with_mounts;            /* containers get mounts instead of a CDI device */
        struct fgi_kube_node node;
        uint32_t resources;
        struct fgi_kube_resource resource[FGI_KUBE_CLASSES_MAX + FGI_KUBE_RETIRED_MAX];
        uint32_t helds;
        struct fgi_kube_held *held;
        bool knows_sets; /* the daemon told them */
        bool changed;    /* what is left for others, since they were told */
        uint64_t sets_at, pods_at, look_at; /* when that is due */
        struct fgi_kube_ask pods;
        json_t *without; /* pods whose devices no set is there for; never NULL */
        uint32_t refusals;
        struct fgi_kube_refusal refusal[FGI_KUBE_REFUSALS]; /* the newest */
        char *status;
        uint64_t status_at;
        int inotify;
        struct stat socket; /* the kubelet's, as it was seen last */
};

/* --- devices.c --- */

/* What the kubelet is told of a class; the caller frees it with fgi_kube_devices_free(). -ENOMEM. */
int fgi_kube_devices(const struct fgi_kube_resource *resource, Fgi__Plugin__Devices *ret);
void fgi_kube_devices_free(Fgi__Plugin__Devices *devices);
/* Chooses `count` of what is available, those that must be among them first, on the GPUs where the daemon would place them.
 * ret[i] point into the request. How many there are. */
size_t fgi_kube_prefer(struct fgi_kube_resource *resource, const Fgi__Plugin__PreferredContainer *wanted, char **ret);

/* --- held.c --- */

struct fgi_kube_held *fgi_kube_held_find(struct fgi_kube *kube, const char *set);
struct fgi_kube_held *fgi_kube_held_add(struct fgi_kube *kube, uint32_t resource, const char *set, const struct fgi_kube_id *id, uint32_t ids);
void fgi_kube_held_remove(struct fgi_kube *kube, struct fgi_kube_held *held);
/* As the daemon has them. */
int fgi_kube_held_load(struct fgi_kube *kube, struct fg_error *err);
/* Whether the answer can be believed: right after its start a kubelet knows few pods, or none, while their containers run. */
void fgi_kube_held_judge(struct fgi_kube *kube, const uint8_t *answer, size_t size);

/* --- bill.c --- */

/* Tells the daemon what each set is for, so that its minutes are the namespace's. */
void fgi_kube_bill_held(struct fgi_kube *kube);
/* A claim's CDI device and the container that has it, from a list of pods; `told` takes what the daemon knows now. */
void fgi_kube_bill_claim(struct fgi_kube *kube, const char *pod, const char *cdi, json_t *told);

/* --- label.c --- */

int fgi_kube_label_parse(const char *text, struct fgi_kube *kube, struct fg_error *err);
/* What is of other pods is forgotten. */
void fgi_kube_labels_keep(struct fgi_kube *kube, const Fgi__Pods__ListReply *list);
/* Whom the labels of this "NAMESPACE/POD/CONTAINER" name, "" if nobody; false: it is being asked. */
bool fgi_kube_label(struct fgi_kube *kube, const char *container, char ret[FGI_KUBE_NAME_MAX]);

/* --- allocate.c --- */

/* Makes the set for these devices of a class, or refuses in words for the pod's events. */
int fgi_kube_allocate(struct fgi_kube_resource *resource, const struct fgi_kube_id *id, uint32_t ids, json_t **ret_box, struct fg_error *err);
/* What the container gets of it is known to engines from now on; a set that is gone is made again. */
int fgi_kube_start(struct fgi_kube_resource *resource, const struct fgi_kube_id *id, uint32_t ids, struct fg_error *err);

/* --- plugin.c --- */

int fgi_kube_plugin_open(struct fgi_kube *kube, struct fgi_kube_resource *resource, struct fg_error *err);
void fgi_kube_plugin_close(struct fgi_kube_resource *resource);
/* Tells the watchers, if something changed or `anyway`. */
void fgi_kube_plugin_tell(struct fgi_kube_resource *resource, bool anyway);

/* --- status.c --- */

/* What is no character goes: a text that was cut may end within one. */
void fgi_kube_characters(char *text);
__attribute__((format(printf, 2, 3))) void fgi_kube_refused(struct fgi_kube *kube, const char *format, ...);

/* --- kubelet.c: its socket comes and goes --- */

int fgi_kube_kubelet_open(struct fgi_kube *kube, struct fg_error *err);
bool fgi_kube_wants_pods(const struct fgi_kube *kube);
void fgi_kube_kubelet_check(struct fgi_kube *kube, uint64_t now); /* registers where that is due, asks for pods */

#endif
