/* SPDX-License-Identifier: Apache-2.0
 * A request made ready: words become numbers, and what nodes say of themselves a set of those that will do. */
#include "sched/fleet_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool read_number(const char *text, int64_t *ret)
{
        char *end;
        errno = 0;
        *ret = strtoll(text, &end, 10);
        return *text && (*text == '-' || (*text >= '0' && *text <= '9')) && !*end && errno == 0;
}

static const struct fg_word_pair *label_of(const struct fg_fleet *f, uint32_t node, uint32_t key)
{
        const struct fg_fleet_entry *e = &f->entry[node];
        for (uint32_t i = 0; i < e->labels; i++)
                if (f->pair[e->first + i].key == key)
                        return &f->pair[e->first + i];
        return NULL;
}

static bool is_among(const struct fg_ask_term *term, uint32_t value)
{
        for (size_t i = 0; i < term->values; i++)
                if (term->value[i] == value)
                        return true;
        return false;
}

bool fg_ask_holds(const struct fg_fleet *f, const struct fg_ask_term *term, uint32_t node)
{
        const struct fg_word_pair *label = label_of(f, node, term->key);
        int64_t has;
        switch (term->op) {
        case FG_FLEET_IN:
                return label && is_among(term, label->value);
        case FG_FLEET_NOT_IN:
                return !label || !is_among(term, label->value);
        case FG_FLEET_EXISTS:
                return label != NULL;
        case FG_FLEET_ABSENT:
                return label == NULL;
        case FG_FLEET_ABOVE:
                return label && read_number(f->words.text[label->value], &has) && has > term->number;
        case FG_FLEET_BELOW:
                return label && read_number(f->words.text[label->value], &has) && has < term->number;
        }
        return false;
}

static bool is_tolerated(const struct fg_fleet_ask *ask, const struct fg_word_pair *taint)
{
        for (size_t i = 0; i < ask->tolerances; i++) {
                const struct fg_ask_tolerance *t = &ask->tolerance[i];
                if ((t->any_key || t->key == taint->key) && (t->any_value || t->value == taint->value))
                        return true;
        }
        return false;
}

const struct fg_word_pair *fg_ask_taint(const struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node)
{
        const struct fg_fleet_entry *e = &f->entry[node];
        for (uint32_t i = e->labels; i < (uint32_t)e->labels + e->taints; i++)
                if (!is_tolerated(ask, &f->pair[e->first + i]))
                        return &f->pair[e->first + i];
        return NULL;
}

/* Words that nobody has said yet are kept too: a model or an app may come. */
static int read_term(struct fg_fleet *f, const struct fg_fleet_term *from, struct fg_ask_term *to, struct fg_error *err)
{
        bool is_number = from->op == FG_FLEET_ABOVE || from->op == FG_FLEET_BELOW;
        if (!from->key || !*from->key || (unsigned)from->op > FG_FLEET_BELOW)
                return fg_error_set(err, -EINVAL, "a term has no key, or no such operator");
        if (is_number && (from->values != 1 || !read_number(from->value[0], &to->number)))
                return fg_error_set(err, -EINVAL, "\"%.80s\": one whole number is needed to compare with", from->key);
        to->op = from->op;
        to->value = calloc(from->values + 1, sizeof(*to->value));
        if (!to->value || fg_words_add(&f->words, from->key, &to->key) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < from->values; i++, to->values++)
                if (fg_words_add(&f->words, from->value[i], &to->value[i]) < 0)
                        return -ENOMEM;
        return 0;
}

static int read_terms(struct fg_fleet *f, const struct fg_fleet_request *q, struct fg_fleet_ask *a, struct fg_error *err)
{
        a->term = calloc(q->terms + 1, sizeof(*a->term));
        a->tolerance = calloc(q->tolerances + 1, sizeof(*a->tolerance));
        if (!a->term || !a->tolerance)
                return -ENOMEM;
        for (; a->terms < q->terms; a->terms++) {
                int r = read_term(f, &q->term[a->terms], &a->term[a->terms], err);
                if (r < 0) {
                        free(a->term[a->terms].value);
                        return r;
                }
        }
        for (size_t i = 0; i < q->tolerances; i++, a->tolerances++) {
                const struct fg_fleet_tolerance *from = &q->tolerance[i];
                struct fg_ask_tolerance *to = &a->tolerance[i];
                *to = (struct fg_ask_tolerance){.any_key = !from->key, .any_value = !from->value};
                if ((from->key && fg_words_add(&f->words, from->key, &to->key) < 0) ||
                    (from->value && fg_words_add(&f->words, from->value, &to->value) < 0))
                        return -ENOMEM;
        }
        return 0;
}

static int read_bond(struct fg_fleet *f, const struct fg_fleet_bond *from, struct fg_ask_bond *to, struct fg_error *err)
{
        if (!from->app || (unsigned)from->scope > FG_FLEET_SITE)
                return fg_error_set(err, -EINVAL, "a bond names no app, or no such scope");
        to->scope = from->scope;
        to->apart = from->apart;
        return fg_words_add(&f->apps, from->app, &to->app);
}

/* What labels are worth is added up once, for each node. */
static int read_wished_term(struct fg_fleet *f, const struct fg_fleet_wish *wish, struct fg_fleet_ask *a, struct fg_error *err)
{
        struct fg_ask_term term = {0};
        int r = read_term(f, wish->term, &term, err);
        if (r == 0 && !a->wished && !(a->wished = calloc(f->nodes, sizeof(*a->wished))))
                r = -ENOMEM;
        for (uint32_t i = 0; r == 0 && i < f->nodes; i++)
                a->wished[i] += fg_ask_holds(f, &term, i) ? wish->weight : 0;
        free(term.value);
        return r;
}

static int read_wishes(struct fg_fleet *f, const struct fg_fleet_request *q, struct fg_fleet_ask *a, struct fg_error *err)
{
        if (q->wishes > FG_FLEET_WISHES_MAX)
                return fg_error_set(err, -EINVAL, "%zu wishes: at most %u are allowed", q->wishes, FG_FLEET_WISHES_MAX);
        a->wish = calloc(q->wishes + 1, sizeof(*a->wish));
        if (!a->wish)
                return -ENOMEM;
        for (size_t i = 0; i < q->wishes; i++) {
                const struct fg_fleet_wish *from = &q->wish[i];
                if (!from->term == !from->bond || from->weight < 1 || from->weight > FG_FLEET_WISH_MAX)
                        return fg_error_set(err, -EINVAL, "wish %zu: either a term or a bond, and a weight of 1 to %d are needed", i, FG_FLEET_WISH_MAX);
                int r = from->term ? read_wished_term(f, from, a, err) : read_bond(f, from->bond, &a->wish[a->wishes], err);
                if (r < 0)
                        return r;
                if (from->bond)
                        a->wish[a->wishes++].weight = from->weight;
        }
        return 0;
}

static int read_bonds(struct fg_fleet *f, const struct fg_fleet_request *q, struct fg_fleet_ask *a, struct fg_error *err)
{
        a->app = FG_WORD_NONE;
        a->bond = calloc(q->bonds + 1, sizeof(*a->bond));
        if (!a->bond || (q->app && fg_words_add(&f->apps, q->app, &a->app) < 0))
                return -ENOMEM;
        for (size_t i = 0; i < q->bonds; i++, a->bonds++) {
                int r = read_bond(f, &q->bond[i], &a->bond[i], err);
                if (r < 0)
                        return r;
        }
        int r = read_wishes(f, q, a, err);
        if (r < 0)
                return r;
        if (f->apps.count > f->in_apps) {
                uint32_t *more = realloc(f->in_app, f->apps.room * sizeof(*more));
                if (!more)
                        return -ENOMEM;
                memset(more + f->in_apps, 0, (f->apps.room - f->in_apps) * sizeof(*more));
                f->in_app = more;
                f->in_apps = f->apps.room;
        }
        return 0;
}

static int read_pod(struct fg_fleet *f, const struct fg_fleet_request *q, struct fg_fleet_ask *a, struct fg_error *err)
{
        uint32_t site = q->site ? fg_words_find(&f->sites, q->site) : FG_WORD_NONE;
        /* A site that no node has is away from all of them. */
        a->pod = (struct fg_cluster_pod){
                .cpu = q->cpu, .memory = q->memory, .milli = q->milli, .gpus = q->gpus, .site = site == FG_WORD_NONE ? 0 : (uint16_t)(site + 1)};
        for (size_t i = 0; i < q->models; i++) {
                uint32_t model = fg_words_find(&f->models, q->model[i]);
                a->pod.models |= 1ull << (model == FG_WORD_NONE ? FG_CLUSTER_MODELS_MAX - 1 : model + 1);
        }
        a->count = q->count ? q->count : 1;
        a->gang = q->gang;
        if (!fg_cluster_pod_is_valid(&a->pod))
                return fg_error_set(err, -EINVAL, "%u GPUs with %u milli of each: without GPUs it is 0, a part (1 to 999) is of one GPU, and of at most %u "
                                    "GPUs it is 1000", q->gpus, q->milli, FG_CLUSTER_GPUS_MAX);
        if (a->count > FG_FLEET_GANG_MAX || (unsigned)q->gang > FG_FLEET_ONE_SITE)
                return fg_error_set(err, -EINVAL, "a gang of %u: at most %u, on any nodes, one node or one site", a->count, FG_FLEET_GANG_MAX);
        return 0;
}

static bool is_willing(const struct fg_fleet *f, const struct fg_fleet_ask *a, uint32_t node)
{
        for (size_t i = 0; i < a->terms; i++)
                if (!fg_ask_holds(f, &a->term[i], node))
                        return false;
        return !fg_ask_taint(f, a, node);
}

/* Where all will do there is no set, and the scores are shared with others that want the same room. */
static int set_nodes(struct fg_fleet *f, struct fg_fleet_ask *a)
{
        size_t open = 0;
        a->node = calloc((f->nodes + 63) / 64, sizeof(*a->node));
        if (!a->node)
                return -ENOMEM;
        for (uint32_t i = 0; i < f->nodes; i++)
                if (is_willing(f, a, i)) {
                        a->node[i / 64] |= 1ull << i % 64;
                        open++;
                }
        if (open == f->nodes) {
                free(a->node);
                a->node = NULL;
        } else {
                a->id = ++f->asks;
        }
        return 0;
}

int fg_fleet_ask(struct fg_fleet *f, const struct fg_fleet_request *request, struct fg_fleet_ask **ret, struct fg_error *err)
{
        FG_CLEANUP(fg_fleet_ask_freep) struct fg_fleet_ask *a = calloc(1, sizeof(*a));
        if (!a)
                return fg_error_set(err, -ENOMEM, "out of memory");
        a->fleet = f;
        int r = read_pod(f, request, a, err);
        if (r == 0)
                r = read_terms(f, request, a, err);
        if (r == 0)
                r = read_bonds(f, request, a, err);
        if (r == 0)
                r = set_nodes(f, a);
        if (r == -ENOMEM)
                return fg_error_set(err, r, "out of memory");
        if (r < 0)
                return r;
        *ret = FG_TAKE_PTR(a);
        return 0;
}

struct fg_fleet_ask *fg_fleet_ask_free(struct fg_fleet_ask *a)
{
        for (size_t i = 0; a && i < a->terms; i++)
                free(a->term[i].value);
        if (a) {
                free(a->term);
                free(a->tolerance);
                free(a->bond);
                free(a->wish);
                free(a->wished);
                free(a->node);
                free(a);
        }
        return NULL;
}

uint32_t fg_fleet_ask_count(const struct fg_fleet_ask *ask)
{
        return ask->count;
}
