/* SPDX-License-Identifier: Apache-2.0
 * Nodes by their names, with what they say of themselves: for integrations, which ask where a request goes, and why. Pure: nothing is
 * read but what is given, and the same calls give the same answers. One thread at a time.
 *
 * What must hold, in Kubernetes' words: node selectors and affinity (terms), taints and tolerations, affinity and anti-affinity between
 * requests of named apps on one node or one site (anti-affinity both ways: who stands apart keeps others away as well), and gangs: all or none.
 * What is only wished (preferred affinity, spreading) comes before the policy: it decides among the nodes that are wished for most. */
#ifndef FG_SCHED_FLEET_H
#define FG_SCHED_FLEET_H

#include "base/error.h"
#include "sched/cluster_policy.h"

#define FG_FLEET_GANG_MAX 4096u

struct fg_fleet;
struct fg_fleet_ask;

/* A label, or a taint that keeps out whoever does not tolerate it. NULL is "". */
struct fg_fleet_pair {
        const char *key, *value;
};

struct fg_fleet_node {
        const char *name; /* unique, not "" */
        int32_t cpu, memory; /* milli-CPU, MiB */
        uint8_t gpus;
        const char *model; /* of its GPUs; NULL: none is said */
        const char *site;  /* NULL: none */
        uint32_t price;    /* see struct fg_cluster_shape */
        const struct fg_fleet_pair *label, *taint;
        size_t labels, taints;
};

enum fg_fleet_op { FG_FLEET_IN, FG_FLEET_NOT_IN, FG_FLEET_EXISTS, FG_FLEET_ABSENT, FG_FLEET_ABOVE, FG_FLEET_BELOW };

/* Of a node's label. NOT_IN holds also where there is none; ABOVE and BELOW compare whole numbers with the one value. */
struct fg_fleet_term {
        const char *key;
        enum fg_fleet_op op;
        const char *const *value;
        size_t values;
};

/* NULL: of any key, of any value. */
struct fg_fleet_tolerance {
        const char *key, *value;
};

enum fg_fleet_scope { FG_FLEET_NODE, FG_FLEET_SITE };

/* Where requests of that app are, or (apart) where none is. Of its own app: the first goes anywhere. A node without a site is one by itself. */
struct fg_fleet_bond {
        const char *app;
        enum fg_fleet_scope scope;
        bool apart;
};

#define FG_FLEET_WISH_MAX   100 /* weight */
#define FG_FLEET_WISHES_MAX 1024u

/* Of a node where the term holds: so much more. By bond: so much for each request of that app that is there, and (apart) less. One of both. */
struct fg_fleet_wish {
        const struct fg_fleet_term *term;
        const struct fg_fleet_bond *bond;
        int32_t weight; /* 1 to FG_FLEET_WISH_MAX */
};

enum fg_fleet_gang { FG_FLEET_ANYWHERE, FG_FLEET_ONE_NODE, FG_FLEET_ONE_SITE };

struct fg_fleet_request {
        int32_t cpu, memory;
        uint16_t milli, gpus; /* as of struct fg_cluster_pod */
        const char *const *model; /* those that will do; none: any */
        size_t models;
        const char *site; /* where it would like to be, for the policy "near"; NULL: it does not care */
        const char *app;  /* what it is to bonds, its own and others'; NULL: nothing */
        const struct fg_fleet_term *term; /* all must hold */
        const struct fg_fleet_tolerance *tolerance;
        const struct fg_fleet_bond *bond; /* all must hold */
        const struct fg_fleet_wish *wish;
        size_t terms, tolerances, bonds, wishes;
        uint32_t count; /* of a gang, all alike; 0 is 1 */
        enum fg_fleet_gang gang;
};

/* `usual`: what is asked for usually, for the policies that look ahead; without any, whole GPUs and even parts of them are. What the
 * nodes say is copied. -EINVAL with the node and what is wrong with it; -ENOMEM. */
int fg_fleet_new(struct fg_fleet **ret, const struct fg_fleet_node *node, size_t nodes, const struct fg_cluster_policy *policy,
                 const struct fg_cluster_pod *usual, size_t count, struct fg_error *err);
struct fg_fleet *fg_fleet_free(struct fg_fleet *f);

size_t fg_fleet_count(const struct fg_fleet *f);
const char *fg_fleet_name(const struct fg_fleet *f, uint32_t node);
int fg_fleet_find(const struct fg_fleet *f, const char *name, uint32_t *ret); /* -ENOENT */
const struct fg_cluster_node *fg_fleet_state(const struct fg_fleet *f, uint32_t node);
/* It takes nobody from now on, or again. -EINVAL: there is none, or no such price. */
int fg_fleet_close(struct fg_fleet *f, uint32_t node, bool closed);
int fg_fleet_set_price(struct fg_fleet *f, uint32_t node, uint32_t price);

/* A request made ready; many alike need one. It ends before its fleet, and after the last place that was taken with it is released.
 * -EINVAL with what is wrong; -ENOMEM. */
int fg_fleet_ask(struct fg_fleet *f, const struct fg_fleet_request *request, struct fg_fleet_ask **ret, struct fg_error *err);
struct fg_fleet_ask *fg_fleet_ask_free(struct fg_fleet_ask *ask);
uint32_t fg_fleet_ask_count(const struct fg_fleet_ask *ask); /* of its gang */

/* Where the gang goes (fg_fleet_ask_count() places); takes nothing. 0; -ENOSPC: not now; -ENOMEM. Members are placed one after the
 * other, each as well as can be: a gang whose members differ in nothing but their places is not found a better one by trying others. */
int fg_fleet_decide(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct fg_cluster_place *ret);
/* One member; whether its bonds hold is for the decision. -ENOSPC: it does not fit; -EINVAL: no such place; -ENOMEM. */
int fg_fleet_take(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct fg_cluster_place place);
/* -EINVAL: nothing of it is there. */
int fg_fleet_release(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct fg_cluster_place place);

/* Why a node would not take one member; the first that holds. */
enum fg_fleet_lack {
        FG_FLEET_FITS,
        FG_FLEET_LABEL,
        FG_FLEET_TAINT,
        FG_FLEET_ROOM, /* see fg_cluster_judge() */
        FG_FLEET_BOND, /* another that it wants to be with is not there */
        FG_FLEET_APART,
        FG_FLEET_LACK_COUNT
};
struct fg_fleet_verdict {
        enum fg_fleet_lack lack;
        enum fg_cluster_lack room;
        const char *key, *value; /* of the label's term, the taint, the bond; else NULL */
        int64_t wished;          /* sum of the wishes' weights; where it fits */
        int32_t score;           /* the same; of those with as many wishes the largest is taken */
};
int fg_fleet_judge(struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node, struct fg_fleet_verdict *ret);

/* Of all nodes, for one member: how many would not take it for what, and of the others how many are not as good as the best. */
struct fg_fleet_why {
        uint32_t lack[FG_FLEET_LACK_COUNT];
        uint32_t room[FG_CLUSTER_LACK_COUNT]; /* they add up to lack[FG_FLEET_ROOM] */
        uint32_t less, equal;                 /* less + equal + 1 = lack[FG_FLEET_FITS], unless that is 0 */
        struct fg_fleet_verdict sample[FG_FLEET_LACK_COUNT]; /* the first of its kind */
};
int fg_fleet_explain(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct fg_fleet_why *ret);
/* "3 of 1213 nodes fit; 1000: another GPU model; 210: taint gpu=reserved" */
void fg_fleet_say(const struct fg_fleet_why *why, char *ret, size_t size);

static inline void fg_fleet_freep(struct fg_fleet **f)
{
        fg_fleet_free(*f);
}
static inline void fg_fleet_ask_freep(struct fg_fleet_ask **ask)
{
        fg_fleet_ask_free(*ask);
}

#endif
