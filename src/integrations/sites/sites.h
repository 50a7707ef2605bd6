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

/* --- choose.c: which offer --- */

struct fgi_sites_wish {
        uint64_t gpus, memory; /* so many vGPUs on a node, each of so many bytes; 0: any */
        uint32_t permille;     /* of a GPU's time, each */
        const char *model;     /* a part of the GPU's name; NULL: any */
        uint64_t seconds;      /* how long it may run; 0: not known, counted as an hour */
        int64_t left_micro;    /* of the budget; negative: there is none */
        const char *currency;  /* of the budget */
};

/* NULL: it fits; else why it does not, in `ret`. */
const char *fgi_sites_unfit(const struct fgi_sites_offer *offer, const struct fgi_sites_wish *wish, char *ret, size_t len);
/* The order in which they are taken: private ones first, then by price, then as in the file. */
void fgi_sites_order(const struct fgi_sites *sites, unsigned ret[FGI_SITES_OFFERS]);
char *fgi_sites_money(uint64_t micro, char *buf, size_t len);

/* --- run.c: somebody else's program --- */

struct fgi_sites_words {
        char *word[FGI_SITES_WORDS + 1];
        unsigned count;
};
__attribute__((format(printf, 2, 3))) void fgi_sites_add(struct fgi_sites_words *words, const char *format, ...);
void fgi_sites_words_clear(struct fgi_sites_words *words);
#define fgi_sites_autowords __attribute__((cleanup(fgi_sites_words_clear)))

/* Its standard output, at most 1 MiB. One that is not over in `seconds` is killed with all that it started: -ETIMEDOUT. A failure is -EIO
 * with its last words. `variable`: "NAME=VALUE" more in its environment, or NULL. */
int fgi_sites_run(const struct fgi_sites_words *words, const char *variable, uint64_t seconds, char **ret_out, struct fg_error *err);

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

/* --- node.c: one node, and what is remembered of it --- */

struct fgi_sites_place {
        const struct fgi_sites *sites;
        const char *state; /* a folder */
};
/* 0 also when it is there already. On failure nothing of it is left, or the error says what is and that it is tried again. */
int fgi_sites_node_start(const struct fgi_sites_place *place, const struct fgi_sites_offer *offer, const char *node, struct fgi_sites_start *ret, struct fg_error *err);
int fgi_sites_node_stop(const struct fgi_sites_place *place, const char *node, struct fg_error *err);
/* Tries again to take back what could not be; the first that still cannot is the error. */
int fgi_sites_sweep(const struct fgi_sites_place *place, struct fg_error *err);
/* An array of what is remembered, the costs so far included. */
json_t *fgi_sites_nodes(const struct fgi_sites_place *place);

/* --- slurm.c --- */

/* The names that Slurm's form stands for, an array. */
int fgi_sites_expand(const char *list, json_t **ret, struct fg_error *err);
int fgi_sites_slurm_address(const char *node, const char *address, struct fg_error *err);
/* false: Slurm has given up waiting for it, or ends it. What cannot be asked is as it was. */
bool fgi_sites_slurm_wants(const char *node);
int fgi_sites_slurm_down(const char *node, const char *reason, struct fg_error *err);

#endif
