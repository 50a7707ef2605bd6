/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FG_SCHED_FLEET_INTERNAL_H
#define FG_SCHED_FLEET_INTERNAL_H

#include "sched/cluster_choose.h"
#include "sched/fleet.h"

#define FG_WORD_NONE UINT32_MAX

/* Texts by number: each once. */
struct fg_words {
        char **text;
        uint32_t count, room;
        uint32_t *slot; /* open addressing, a power of two */
        size_t slots;
};
int fg_words_add(struct fg_words *w, const char *text, uint32_t *ret);
uint32_t fg_words_find(const struct fg_words *w, const char *text); /* FG_WORD_NONE */
void fg_words_clear(struct fg_words *w);

/* How many of an app are where, and how many who want to be apart from it: only what is not 0 is there. */
struct fg_bonds {
        struct fg_bond_count {
                uint32_t app, where; /* app FG_WORD_NONE: free; where: a node, or a site with FG_BOND_SITE */
                uint32_t here, apart;
        } *slot;
        size_t slots, used;
};
#define FG_BOND_SITE (1u << 31)
const struct fg_bond_count *fg_bonds_get(const struct fg_bonds *b, uint32_t app, uint32_t where); /* NULL: nothing */
/* Room for `more` new ones, so that adding cannot fail. */
int fg_bonds_reserve(struct fg_bonds *b, size_t more);
void fg_bonds_add(struct fg_bonds *b, uint32_t app, uint32_t where, int here, int apart);

struct fg_word_pair {
        uint32_t key, value;
};

struct fg_fleet {
        struct fg_cluster *cluster;
        struct fg_mix *mix;
        struct fg_chooser *chooser;
        size_t nodes;
        struct fg_words names, words, models, sites, apps;
        struct fg_fleet_entry {
                uint32_t first; /* its pairs: labels, then taints */
                uint16_t labels, taints;
        } *entry;
        struct fg_word_pair *pair;
        uint64_t asks; /* made so far */
        struct fg_bonds bonds;
        uint32_t *in_app; /* members placed of each app */
        uint32_t in_apps; /* room there */
};

struct fg_fleet_ask {
        struct fg_fleet *fleet;
        uint64_t id;
        struct fg_cluster_pod pod;
        uint64_t *node; /* bit set of those whose labels and taints will do; NULL: all */
        uint32_t count, app; /* app: FG_WORD_NONE */
        enum fg_fleet_gang gang;
        size_t bonds, wishes;
        struct fg_ask_bond {
                uint32_t app;
                enum fg_fleet_scope scope;
                bool apart;
                int32_t weight; /* of a wish */
        } *bond, *wish;
        int32_t *wished; /* of each node, by its labels; NULL: nothing is */
        /* For explaining, and for who comes later: the request's own, copied. */
        size_t terms, tolerances;
        struct fg_ask_term {
                uint32_t key;
                enum fg_fleet_op op;
                size_t values;
                uint32_t *value; /* those that any node has, or one number's word */
                int64_t number;
        } *term;
        struct fg_ask_tolerance {
                bool any_key, any_value;
                uint32_t key, value;
        } *tolerance;
};

/* fleet_ask.c */
bool fg_ask_holds(const struct fg_fleet *f, const struct fg_ask_term *term, uint32_t node);
/* The first taint that keeps it out; NULL: none. */
const struct fg_word_pair *fg_ask_taint(const struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node);

/* fleet_bond.c */
bool fg_ask_has_wishes(const struct fg_fleet_ask *ask);
int64_t fg_ask_wished(const struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node);
uint32_t fg_fleet_where(const struct fg_fleet *f, enum fg_fleet_scope scope, uint32_t node);
/* The first bond that does not hold there, or the app that stands apart; FG_FLEET_FITS: none. */
enum fg_fleet_lack fg_fleet_bond_lack(const struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node, uint32_t *ret_app);

#endif
