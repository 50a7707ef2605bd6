/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/fleet_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COVERAGE 950 /* permille of the requests that are typical, as published */

static const char *or_empty(const char *text)
{
        return text ? text : "";
}

/* Numbers from 1, so that 0 is none. */
static int number_of(struct fg_words *w, const char *text, uint32_t most, uint32_t *ret)
{
        *ret = 0;
        if (!text || !*text)
                return 0;
        int r = fg_words_add(w, text, ret);
        if (r == 0 && *ret >= most)
                return -ERANGE;
        *ret += r == 0;
        return r;
}

static int add_name(struct fg_fleet *f, const struct fg_fleet_node *n, size_t i, struct fg_error *err)
{
        uint32_t number;
        if (!n->name || !*n->name)
                return fg_error_set(err, -EINVAL, "node %zu has no name", i);
        if (fg_words_add(&f->names, n->name, &number) < 0)
                return -ENOMEM;
        return number == i ? 0 : fg_error_set(err, -EINVAL, "there are two nodes \"%.80s\"", n->name);
}

static int add_shape(struct fg_fleet *f, const struct fg_fleet_node *n, struct fg_cluster_shape *ret, struct fg_error *err)
{
        uint32_t model, site;
        /* Model 0: none is said; the last: there is none such. */
        int r = number_of(&f->models, n->model, FG_CLUSTER_MODELS_MAX - 2, &model);
        if (r == -ERANGE)
                return fg_error_set(err, -EINVAL, "node \"%.80s\": more than %u models of GPUs", n->name, FG_CLUSTER_MODELS_MAX - 2);
        if (r == 0)
                r = number_of(&f->sites, n->site, UINT16_MAX, &site);
        if (r == -ERANGE)
                return fg_error_set(err, -EINVAL, "node \"%.80s\": more than %u sites", n->name, UINT16_MAX);
        if (r < 0)
                return r;
        if (n->cpu < 0 || n->cpu > FG_CLUSTER_CPU_MAX || n->memory < 0 || n->memory > FG_CLUSTER_MEMORY_MAX || n->gpus > FG_CLUSTER_GPUS_MAX ||
            n->price > FG_CLUSTER_PRICE_MAX)
                return fg_error_set(err, -EINVAL, "node \"%.80s\": milli-CPU to %d, MiB to %d, GPUs to %u and a price to %u are allowed", n->name,
                                    FG_CLUSTER_CPU_MAX, FG_CLUSTER_MEMORY_MAX, FG_CLUSTER_GPUS_MAX, FG_CLUSTER_PRICE_MAX);
        *ret = (struct fg_cluster_shape){n->cpu, n->memory, n->gpus, (uint8_t)model, (uint16_t)site, n->price};
        return 0;
}

static int add_pairs(struct fg_fleet *f, const struct fg_fleet_pair *from, size_t count, struct fg_word_pair *to)
{
        for (size_t i = 0; i < count; i++)
                if (fg_words_add(&f->words, or_empty(from[i].key), &to[i].key) < 0 ||
                    fg_words_add(&f->words, or_empty(from[i].value), &to[i].value) < 0)
                        return -ENOMEM;
        return 0;
}

static int add_nodes(struct fg_fleet *f, const struct fg_fleet_node *node, size_t nodes, struct fg_error *err)
{
        fg_autofree struct fg_cluster_shape *shape = calloc(nodes, sizeof(*shape));
        size_t pairs = 0;
        for (size_t i = 0; i < nodes; i++) {
                if (node[i].labels > UINT16_MAX || node[i].taints > UINT16_MAX)
                        return fg_error_set(err, -EINVAL, "node %zu has more than %u labels or taints", i, UINT16_MAX);
                pairs += node[i].labels + node[i].taints;
        }
        f->entry = calloc(nodes, sizeof(*f->entry));
        f->pair = calloc(pairs + 1, sizeof(*f->pair));
        if (!shape || !f->entry || !f->pair)
                return -ENOMEM;
        pairs = 0;
        for (size_t i = 0; i < nodes; i++) {
                const struct fg_fleet_node *n = &node[i];
                int r = add_name(f, n, i, err);
                if (r == 0)
                        r = add_shape(f, n, &shape[i], err);
                if (r == 0)
                        r = add_pairs(f, n->label, n->labels, &f->pair[pairs]);
                if (r == 0)
                        r = add_pairs(f, n->taint, n->taints, &f->pair[pairs + n->labels]);
                if (r < 0)
                        return r;
                f->entry[i] = (struct fg_fleet_entry){(uint32_t)pairs, (uint16_t)n->labels, (uint16_t)n->taints};
                pairs += n->labels + n->taints;
        }
        return fg_cluster_new(&f->cluster, shape, nodes);
}

static int add_mix(struct fg_fleet *f, const struct fg_cluster_pod *usual, size_t count)
{
        static const struct fg_cluster_pod even[] = {{.milli = 1000, .gpus = 1}, {.milli = 1000, .gpus = 1}, {.milli = 1000, .gpus = 1},
                                                     {.milli = 1000, .gpus = 8}, {.milli = 500, .gpus = 1},  {.milli = 500, .gpus = 1},
                                                     {.milli = 250, .gpus = 1},  {.milli = 250, .gpus = 1}};
        if (count == 0)
                return fg_mix_new(&f->mix, f->cluster, even, sizeof even / sizeof *even, COVERAGE);
        return fg_mix_new(&f->mix, f->cluster, usual, count, COVERAGE);
}

int fg_fleet_new(struct fg_fleet **ret, const struct fg_fleet_node *node, size_t nodes, const struct fg_cluster_policy *policy,
                 const struct fg_cluster_pod *usual, size_t count, struct fg_error *err)
{
        if (nodes == 0 || nodes > FG_CLUSTER_NODES_MAX)
                return fg_error_set(err, -EINVAL, "%zu nodes: 1 to %u are allowed", nodes, FG_CLUSTER_NODES_MAX);
        for (size_t i = 0; i < count; i++)
                if (!fg_cluster_pod_is_valid(&usual[i]))
                        return fg_error_set(err, -EINVAL, "usual request %zu: a part of more than one GPU, or more than there can be", i);
        FG_CLEANUP(fg_fleet_freep) struct fg_fleet *f = calloc(1, sizeof(*f));
        if (!f)
                return fg_error_set(err, -ENOMEM, "out of memory");
        f->nodes = nodes;
        int r = add_nodes(f, node, nodes, err);
        if (r == 0)
                r = add_mix(f, usual, count);
        if (r == 0)
                r = fg_chooser_new(&f->chooser, f->cluster, f->mix, policy, 1);
        if (r == -ENOMEM)
                return fg_error_set(err, r, "out of memory");
        if (r < 0)
                return r;
        *ret = FG_TAKE_PTR(f);
        return 0;
}

struct fg_fleet *fg_fleet_free(struct fg_fleet *f)
{
        if (!f)
                return NULL;
        fg_chooser_free(f->chooser);
        fg_mix_free(f->mix);
        fg_cluster_free(f->cluster);
        struct fg_words *words[] = {&f->names, &f->words, &f->models, &f->sites, &f->apps};
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                fg_words_clear(words[i]);
        free(f->entry);
        free(f->pair);
        free(f->bonds.slot);
        free(f->in_app);
        free(f);
        return NULL;
}

size_t fg_fleet_count(const struct fg_fleet *f)
{
        return f->nodes;
}

const char *fg_fleet_name(const struct fg_fleet *f, uint32_t node)
{
        return f->names.text[node];
}

int fg_fleet_find(const struct fg_fleet *f, const char *name, uint32_t *ret)
{
        uint32_t found = fg_words_find(&f->names, name);
        if (found == FG_WORD_NONE)
                return -ENOENT;
        *ret = found;
        return 0;
}

const struct fg_cluster_node *fg_fleet_state(const struct fg_fleet *f, uint32_t node)
{
        return fg_cluster_node(f->cluster, node);
}

int fg_fleet_close(struct fg_fleet *f, uint32_t node, bool closed)
{
        return fg_cluster_close(f->cluster, node, closed);
}

int fg_fleet_set_price(struct fg_fleet *f, uint32_t node, uint32_t price)
{
        return fg_cluster_set_price(f->cluster, node, price);
}

/* The books of who is where, after one came (1) or went (-1). There is room for them. */
static void book(struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node, int sign)
{
        if (ask->app != FG_WORD_NONE) {
                uint32_t site = fg_fleet_where(f, FG_FLEET_SITE, node);
                f->in_app[ask->app] += (uint32_t)sign;
                fg_bonds_add(&f->bonds, ask->app, node, sign, 0);
                if (site != node) /* it has one */
                        fg_bonds_add(&f->bonds, ask->app, site, sign, 0);
        }
        for (size_t i = 0; i < ask->bonds; i++)
                if (ask->bond[i].apart)
                        fg_bonds_add(&f->bonds, ask->bond[i].app, fg_fleet_where(f, ask->bond[i].scope, node), 0, sign);
}

int fg_fleet_take(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct fg_cluster_place place)
{
        int r = fg_bonds_reserve(&f->bonds, ask->bonds + 2);
        if (r == 0)
                r = fg_cluster_take(f->cluster, &ask->pod, place);
        if (r == 0)
                book(f, ask, place.node, 1);
        return r;
}

/* Is one with these bonds there, so that the books stay right? */
static bool is_booked(const struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node)
{
        const struct fg_bond_count *c = ask->app == FG_WORD_NONE ? NULL : fg_bonds_get(&f->bonds, ask->app, fg_fleet_where(f, FG_FLEET_NODE, node));
        if (ask->app != FG_WORD_NONE && !(c && c->here))
                return false;
        for (size_t i = 0; i < ask->bonds; i++) {
                c = fg_bonds_get(&f->bonds, ask->bond[i].app, fg_fleet_where(f, ask->bond[i].scope, node));
                if (ask->bond[i].apart && !(c && c->apart))
                        return false;
        }
        return true;
}

int fg_fleet_release(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct fg_cluster_place place)
{
        if (place.node >= f->nodes || !is_booked(f, ask, place.node))
                return -EINVAL;
        int r = fg_cluster_release(f->cluster, &ask->pod, place);
        if (r == 0)
                book(f, ask, place.node, -1);
        return r;
}
