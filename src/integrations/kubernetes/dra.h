/* SPDX-License-Identifier: Apache-2.0
 * The DRA driver: each GPU is a device whose memory and compute claims consume. What was prepared for a claim is a set named after it, so
 * preparing twice is preparing once, whoever died in between. */
#ifndef FGI_KUBE_DRA_H
#define FGI_KUBE_DRA_H

#include "integrations/kubernetes/plugin.h"

#include "dra.pb-c.h"

#define FGI_KUBE_CLAIMS_MAX 256u /* of one request */
#define FGI_KUBE_RESULTS_MAX 64u /* devices of one claim */

/* --- quantity.c --- */

/* "8Gi", "10", "12.5", "1500m", "1e9" in thousandths, as Kubernetes writes quantities. -EINVAL; -ERANGE: negative or absurd. */
int fgi_kube_quantity(const char *text, uint64_t *ret_milli);

/* --- api.c: the API server; threads ask it, so that nobody else waits --- */

struct fgi_kube_api;

struct fgi_kube_api_where {
        char url[280];        /* "https://host:port" */
        char ca[PATH_MAX];    /* file of its authority */
        char token[PATH_MAX]; /* file; read for each request, as it is replaced while it is used. "": none */
};

/* Called by fgi_kube_api_dispatch(). status 0: there was no answer, and `body` says why. */
typedef void fgi_kube_api_done(void *user, long status, const char *body);

int fgi_kube_api_open(const struct fgi_kube_api_where *where, struct fgi_kube_api **ret, struct fg_error *err);
void fgi_kube_api_close(struct fgi_kube_api *api); /* what is not answered is told so; NULL is fine */
/* -EAGAIN: too many wait; then `done` is not called. `body` may be NULL. PATCH merges, APPLY is server-side apply. */
int fgi_kube_api_ask(struct fgi_kube_api *api, const char *method, const char *path, const char *body, fgi_kube_api_done *done, void *user);
int fgi_kube_api_fd(const struct fgi_kube_api *api);
void fgi_kube_api_dispatch(struct fgi_kube_api *api);

/* --- slice.c: what the scheduler is told of this node's GPUs --- */

struct fgi_kube_slice {
        char *devices;   /* as published last, JSON; NULL: not yet, or not known */
        bool asking;
        bool again;      /* something happened meanwhile */
        uint64_t at;     /* when it is looked at again */
        unsigned looks;  /* so many of them come soon, as the kubelet is new */
        char node_uid[64];
        char problem[256]; /* why it is not published; "" */
};

/* --- condition.c: what the status of claims says --- */

struct fgi_kube_conditions {
        json_t *waiting; /* path -> what is written there */
        char path[800];  /* where something is being written; "" */
        bool failing;    /* it was said that they cannot be written */
};

struct fgi_kube_dra {
        struct fgi_kube *kube;
        struct fgi_kube_api_where where;
        struct fgi_kube_api *api;
        char node[254];
        struct fgi_grpc_call *watcher[FGI_KUBE_WATCHERS_MAX]; /* of the GPUs' health; NULL: free */
        uint64_t digest, health_at; /* what they were told, and when they are told again */
        struct fgi_grpc_server *registration, *plugin;
        struct fgi_kube_slice slice;
        bool is_hami; /* pods that were written for HAMi are served, too */
        struct fgi_kube_hami_start *starts; /* of their containers, which wait */
        uint64_t hami_at, hami_told; /* when the scheduler is told again of what there is, and of how much it was */
        json_t *prepared; /* uid -> devices, of this process: saves questions */
        struct fgi_kube_conditions conditions;
};

void fgi_kube_slice_registered(struct fgi_kube_dra *dra);
void fgi_kube_slice_check(struct fgi_kube_dra *dra, uint64_t now);
/* The devices of a slice; for tests, too. NULL: out of memory. */
json_t *fgi_kube_slice_devices(const struct fgi_kube_dra *dra);

/* --- claim.c --- */

/* The body for the set of a claim, from what the API server says of it (NULL: nothing that is JSON). */
int fgi_kube_claim_read(struct fgi_kube_dra *dra, const json_t *claim, const char *uid, const char *project, json_t **ret_body, json_t **ret_devices,
                        struct fg_error *err);
/* Makes it, or finds that it is made. `devices` get their CDI names. */
int fgi_kube_claim_make(struct fgi_kube_dra *dra, const char *project, json_t *body, json_t *devices, struct fg_error *err);

/* --- condition.c --- */

/* Has the claim of this name say so of its devices here, later: `error` is why it was not prepared, NULL: it was. */
void fgi_kube_condition_put(struct fgi_kube_dra *dra, const json_t *claim, const char *namespace, const char *name, const char *error);
/* The body for that, `anyway` or if the claim says something else. NULL: nothing is to be written. */
json_t *fgi_kube_condition_body(const struct fgi_kube_dra *dra, const json_t *claim, const char *error, const char *now, bool anyway);
void fgi_kube_condition_check(struct fgi_kube_dra *dra);
void fgi_kube_condition_close(struct fgi_kube_dra *dra); /* before the API server's questions are answered with nothing */

/* --- hami.c --- */

/* A container is about to start: its vGPUs are made as its pod asks for them, then the call is answered. */
void fgi_kube_hami_start(struct fgi_kube_resource *resource, struct fgi_grpc_call *call, const struct fgi_kube_id *id, uint32_t ids);
void fgi_kube_hami_check(struct fgi_kube_dra *dra, uint64_t now);
void fgi_kube_hami_close(struct fgi_kube_dra *dra); /* when nobody calls or answers any more */

/* --- health.c --- */

void fgi_kube_health_watch(struct fgi_grpc_call *call, const uint8_t *data, size_t size, void *dra);
void fgi_kube_health_check(struct fgi_kube_dra *dra, uint64_t now);

/* --- dra.c --- */

int fgi_kube_dra_open(struct fgi_kube_dra *dra, struct fg_error *err);
void fgi_kube_dra_close(struct fgi_kube_dra *dra);
void fgi_kube_dra_check(struct fgi_kube_dra *dra, uint64_t now); /* its sockets may have been wiped; slices */

/* --- status.c --- */

void fgi_kube_status_write(struct fgi_kube *kube, const struct fgi_kube_dra *dra, uint64_t now); /* dra: NULL without */

#endif
