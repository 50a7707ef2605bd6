/* SPDX-License-Identifier: Apache-2.0
 *
 * fastgpu-sites: nodes that are not there all the time. Slurm says which are to come and go; the sites file says what each costs and who
 * has it; the providers' own command lines are driven. What was started and did not become a node is taken back, with a reason. */
#ifndef FGI_SITES_H
#define FGI_SITES_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define FGI_SITES_FILE   "/etc/fastgpu/sites"
#define FGI_SITES_STATE  "/var/lib/fastgpu-sites" /* not below the daemon's, which Slurm's user may not enter */
#define FGI_SITES_OFFERS 64u
#define FGI_SITES_WORDS  48u

/* --- file.c: the sites file --- */

struct fgi_sites_offer {
        char name[64], provider[16];
        char nodes[256];         /* Slurm's form: c[1-4] */
        uint64_t price_micro;    /* of a node, for an hour, in millionths of the currency; 0: private */
        char currency[4];
        uint64_t gpus, memory, cpus, ram; /* memory: of each GPU, in bytes; ram: of the node */
        char model[64];
        uint64_t timeout;        /* seconds for one call of the provider's program */
        char program[256], region[64], image[256], type[64], subnet[256], security_group[128], group[128], user[64], key[256], credentials[256];
        /* Of a pool of a Kubernetes cluster; labels: what its nodes have, "a=b,c=d". */
        char cluster[128], pool[128], space[64], labels[512];
        uint64_t least, most; /* nodes */
        uint64_t idle, wait;  /* seconds: a node without pods is ended after `idle`; one that does not come, after `wait` */
};

struct fgi_sites {
        struct fgi_sites_offer offer[FGI_SITES_OFFERS];
        unsigned count;
};

/* Everything in it is checked before anything is done. */
int fgi_sites_load(const char *path, struct fgi_sites *ret, struct fg_error *err);
/* A credentials file that others can read is refused when it is used, too: it may have changed. */
int fgi_sites_check_secret(const char *path, struct fg_error *err);
bool fgi_sites_is_private(const struct fgi_sites_offer *offer);
/* A pool of a Kubernetes cluster, not nodes of Slurm's. */
bool fgi_sites_is_pool(const struct fgi_sites_offer *offer);

/* --- choose.c: which offer --- */

struct fgi_sites_wish {
        uint64_t gpus, memory; /* so many vGPUs on a node, each of so many bytes; 0: any */
        uint32_t permille;     /* of a GPU's time, each */
        const char *model;     /* a part of the GPU's name; NULL: any */
        uint64_t seconds;      /* how long it may run; 0: not known, counted as an hour */
        int64_t left_micro;    /* of the budget; negative: there is none */
        const char *currency;  /* of the budget */
};

/* Of a node for that time, in millionths. */
uint64_t fgi_sites_price(const struct fgi_sites_offer *offer, const struct fgi_sites_wish *wish);
/* NULL: it fits; else why it does not, in `ret`. */
const char *fgi_sites_unfit(const struct fgi_sites_offer *offer, const struct fgi_sites_wish *wish, char *ret, size_t len);
/* The order in which they are taken: private ones first, then by price, then as in the file. */
void fgi_sites_order(const struct fgi_sites *sites, unsigned ret[FGI_SITES_OFFERS]);
char *fgi_sites_money(uint64_t micro, char *buf, size_t len);

/* --- budget.c --- */

int64_t fgi_sites_micro(const char *amount); /* "1.25": 1250000; NULL: 0 */

/* What is left of a project's budget, by the daemon's word; none: `wish` stays as it was. `currency` is what wish->currency points to. */
int fgi_sites_budget(const char *project, struct fgi_sites_wish *wish, char currency[8], struct fg_error *err);

/* --- run.c: somebody else's program --- */

struct fgi_sites_words {
        char *word[FGI_SITES_WORDS + 1];
        unsigned count;
        size_t answer_max; /* bytes; 0: 1 MiB */
};
__attribute__((format(printf, 2, 3))) void fgi_sites_add(struct fgi_sites_words *words, const char *format, ...);
void fgi_sites_words_clear(struct fgi_sites_words *words);
#define fgi_sites_autowords __attribute__((cleanup(fgi_sites_words_clear)))

/* Its standard output. One that is not over in `seconds` is killed with all that it started: -ETIMEDOUT. A failure is -EIO
 * with its last words. `variable`: "NAME=VALUE" more in its environment, or NULL. */
int fgi_sites_run(const struct fgi_sites_words *words, const char *variable, uint64_t seconds, char **ret_out, struct fg_error *err);

/* As much as fits of somebody else's text, for a sentence: whole characters; what steers a terminal, or is none, becomes '?'. Returns `ret`. */
const char *fgi_sites_quote(const char *text, char *ret, size_t len);

/* --- provider.c --- */

struct fgi_sites_start {
        char id[256], address[64];
};
/* `token` marks what is started, so that it is found again when the answer is lost. */
int fgi_sites_provider_start(const struct fgi_sites_offer *offer, const char *node, const char *token, struct fgi_sites_start *ret, struct fg_error *err);
/* An array of ids of what there is with that token. */
int fgi_sites_provider_find(const struct fgi_sites_offer *offer, const char *token, json_t **ret, struct fg_error *err);
int fgi_sites_provider_stop(const struct fgi_sites_offer *offer, const char *id, struct fg_error *err);
bool fgi_sites_provider_known(const char *name);
/* One call with the site's credentials. `ret` NULL: the answer does not matter; one that is to be JSON and is not is a failure. */
int fgi_sites_provider_ask(const struct fgi_sites_offer *offer, const struct fgi_sites_words *words, json_t **ret, struct fg_error *err);
/* "a/0/b": members and places; NULL where it leads nowhere. */
json_t *fgi_sites_at(json_t *json, const char *path);

/* --- record.c: what is remembered --- */

struct fgi_sites_place {
        const struct fgi_sites *sites;
        const char *state; /* a folder */
};
#define FGI_SITES_NODE ".json" /* ends of names */
#define FGI_SITES_POOL ".pool"
/* Several may be called for one thing at a time; held until *ret is closed. */
int fgi_sites_lock(const struct fgi_sites_place *place, const char *name, int *ret, struct fg_error *err);
json_t *fgi_sites_load_record(const struct fgi_sites_place *place, const char *name, const char *end);
int fgi_sites_keep_record(const struct fgi_sites_place *place, const char *name, const char *end, const json_t *record, struct fg_error *err);
void fgi_sites_forget_record(const struct fgi_sites_place *place, const char *name, const char *end);
/* A member that is text; "" without. */
const char *fgi_sites_text(const json_t *record, const char *name);
/* By its "since" and "price_micro". */
uint64_t fgi_sites_cost(const json_t *record, time_t until);
/* A line for each node that was: when, where, what it cost. */
void fgi_sites_log(const struct fgi_sites_place *place, const json_t *record);

/* --- node.c: one node that Slurm has started --- */

/* 0 also when it is there already. On failure nothing of it is left, or the error says what is and that it is tried again. */
int fgi_sites_node_start(const struct fgi_sites_place *place, const struct fgi_sites_offer *offer, const char *node, struct fgi_sites_start *ret, struct fg_error *err);
int fgi_sites_node_stop(const struct fgi_sites_place *place, const char *node, struct fg_error *err);
/* Tries again to take back what could not be; the first that still cannot is the error. */
int fgi_sites_sweep(const struct fgi_sites_place *place, struct fg_error *err);
/* An array of what is remembered, the costs so far included. */
json_t *fgi_sites_nodes(const struct fgi_sites_place *place);

/* --- pool.c: node pools of Kubernetes --- */

struct fgi_sites_pool {
        uint64_t size;    /* nodes that are asked for */
        json_t *machines; /* names of those that there are, in the provider's terms */
};
int fgi_sites_pool_read(const struct fgi_sites_offer *offer, struct fgi_sites_pool *ret, struct fg_error *err);
/* To more nodes; or to fewer, down to those that there are. */
int fgi_sites_pool_resize(const struct fgi_sites_offer *offer, struct fgi_sites_pool *pool, uint64_t size, struct fg_error *err);
/* Ends that one; the size goes down with it. */
int fgi_sites_pool_drop(const struct fgi_sites_offer *offer, struct fgi_sites_pool *pool, const char *machine, struct fg_error *err);
/* It is not to end: takes back what a drop that failed may have left. */
int fgi_sites_pool_keep(const struct fgi_sites_offer *offer, const char *machine, struct fg_error *err);

/* --- pods.c: the cluster --- */

#define FGI_SITES_NOTE "fastgpu.dev/sites" /* an annotation of a pod: why no node is started for it, or where */

struct fgi_sites_cluster {
        const char *config; /* a kubeconfig, which only its owner can read; NULL: kubectl's own */
        json_t *pods, *nodes, *claims;
};
/* `ret` is to be cleared in any case. */
int fgi_sites_cluster_read(const char *config, struct fgi_sites_cluster *ret, struct fg_error *err);
void fgi_sites_cluster_clear(struct fgi_sites_cluster *cluster);
const char *fgi_sites_name_of(json_t *object);
const char *fgi_sites_space_of(json_t *object);
bool fgi_sites_pod_waits(json_t *pod);
/* false: it asks for no vGPU. */
bool fgi_sites_pod_wish(const struct fgi_sites_cluster *cluster, json_t *pod, struct fgi_sites_wish *ret);
void fgi_sites_pod_note(const struct fgi_sites_cluster *cluster, json_t *pod, const char *text);
/* The node that a pool's machine has become; NULL: it has not come. */
json_t *fgi_sites_node_of(const struct fgi_sites_cluster *cluster, const char *machine);
/* By a pod that is not on each node. */
bool fgi_sites_node_is_used(const struct fgi_sites_cluster *cluster, const char *node);
int fgi_sites_cordon(const struct fgi_sites_cluster *cluster, const char *node, bool cordon, struct fg_error *err);

/* --- scale.c --- */

struct fgi_sites_scale {
        const char *config;  /* as in the cluster */
        const char *project; /* whose budget counts; %n is the namespace; NULL: none */
        bool dry;            /* says what it would do */
};
/* One round: pools grow for pods that wait, and lose nodes that nobody uses. 0, or the first failure of several. */
int fgi_sites_scale(const struct fgi_sites_place *place, const struct fgi_sites_scale *how, struct fg_error *err);
/* Appends the pools' nodes as fgi_sites_nodes() has the others. */
void fgi_sites_pool_nodes(const struct fgi_sites_place *place, json_t *list);

/* --- slurm.c --- */

/* The names that Slurm's form stands for, an array. */
int fgi_sites_expand(const char *list, json_t **ret, struct fg_error *err);
int fgi_sites_slurm_address(const char *node, const char *address, struct fg_error *err);
/* false: Slurm has given up waiting for it, or ends it. What cannot be asked is as it was. */
bool fgi_sites_slurm_wants(const char *node);
int fgi_sites_slurm_down(const char *node, const char *reason, struct fg_error *err);

#endif
