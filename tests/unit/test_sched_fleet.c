/* SPDX-License-Identifier: Apache-2.0
 * Random lives of small fleets against a naive reading of the same rules: who fits where, both ways; gangs whole or not at all; all that
 * was taken comes back to the bit; what is explained is what is decided; the order of nodes decides ties alone. */
#include "unit.h"
#include "base/cleanup.h"
#include "sched/fleet_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NODES    60u
#define REQUESTS 40u
#define ROUNDS   500u

static const char *const app_names[] = {"web", "db", "train"};
static const char *const zones[] = {"a", "b", "c"};
static const char *const model_names[] = {"T4", "A100"};

struct world_node {
        struct fg_fleet_node as;
        struct fg_fleet_pair label[3], taint[1];
        char name[16], size[8];
};

struct world_request {
        struct fg_fleet_request as;
        const char *value[2], *model[1];
        struct fg_fleet_term term[2];
        struct fg_fleet_tolerance tolerance[1];
        struct fg_fleet_bond bond[2], wished_bond;
        struct fg_fleet_term wished_term;
        struct fg_fleet_wish wish[2];
        struct fg_fleet_ask *ask;
};

struct world {
        struct world_node node[NODES];
        struct fg_fleet_node as[NODES];
        struct world_request request[REQUESTS];
        struct guest {
                unsigned request, count;
                struct fg_cluster_place place[8];
        } guest[ROUNDS];
        size_t guests;
};

static uint64_t seed;

static unsigned draw(unsigned n)
{
        return (unsigned)(unit_random(&seed) % n);
}

static void make_node(struct world_node *n, size_t i)
{
        snprintf(n->name, sizeof n->name, "node-%zu", i);
        snprintf(n->size, sizeof n->size, "%u", draw(5));
        n->label[0] = (struct fg_fleet_pair){"zone", zones[draw(3)]};
        n->label[1] = (struct fg_fleet_pair){"size", n->size};
        n->label[2] = (struct fg_fleet_pair){"fast", NULL};
        n->taint[0] = (struct fg_fleet_pair){"gpu", draw(2) ? "reserved" : "old"};
        n->as = (struct fg_fleet_node){.name = n->name,
                                       .cpu = 8000 * (1 + (int)draw(3)),
                                       .memory = 16384,
                                       .gpus = (uint8_t)draw(5),
                                       .model = model_names[draw(2)],
                                       .site = draw(4) ? n->label[0].value : NULL,
                                       .price = 100 * draw(4),
                                       .label = n->label,
                                       .labels = 2 + draw(2),
                                       .taint = n->taint,
                                       .taints = draw(4) == 0};
}

static void make_request(struct world_request *q)
{
        static const uint16_t milli[] = {200, 500, 1000};
        q->value[0] = zones[draw(3)];
        q->value[1] = zones[draw(3)];
        q->model[0] = draw(12) ? model_names[draw(2)] : "H900";
        q->term[0] = (struct fg_fleet_term){"zone", draw(2) ? FG_FLEET_IN : FG_FLEET_NOT_IN, q->value, 1 + draw(2)};
        if (draw(3) == 0)
                q->term[0] = (struct fg_fleet_term){"fast", draw(2) ? FG_FLEET_EXISTS : FG_FLEET_ABSENT, NULL, 0};
        static const char *const two[] = {"2"};
        q->term[1] = (struct fg_fleet_term){"size", draw(2) ? FG_FLEET_ABOVE : FG_FLEET_BELOW, two, 1};
        q->tolerance[0] = (struct fg_fleet_tolerance){draw(3) ? "gpu" : NULL, draw(2) ? "reserved" : NULL};
        for (int i = 0; i < 2; i++)
                q->bond[i] = (struct fg_fleet_bond){app_names[draw(3)], draw(2) ? FG_FLEET_NODE : FG_FLEET_SITE, draw(3) > 0};
        q->wished_term = (struct fg_fleet_term){"zone", draw(2) ? FG_FLEET_IN : FG_FLEET_NOT_IN, q->value, 1};
        q->wished_bond = (struct fg_fleet_bond){app_names[draw(3)], draw(2) ? FG_FLEET_NODE : FG_FLEET_SITE, draw(2)};
        q->wish[0] = (struct fg_fleet_wish){.term = &q->wished_term, .weight = 1 + (int)draw(3)};
        q->wish[1] = (struct fg_fleet_wish){.bond = &q->wished_bond, .weight = 1 + (int)draw(3)};
        q->as = (struct fg_fleet_request){.cpu = 1000 * (int)draw(5),
                                          .memory = 1024 * (int)draw(4),
                                          .gpus = (uint16_t)draw(3),
                                          .model = q->model,
                                          .models = draw(4) == 0,
                                          .site = draw(2) ? zones[draw(3)] : NULL,
                                          .app = draw(2) ? app_names[draw(3)] : NULL,
                                          .term = q->term,
                                          .terms = draw(3) ? 0 : 1 + draw(2),
                                          .tolerance = q->tolerance,
                                          .tolerances = draw(2),
                                          .bond = q->bond,
                                          .bonds = draw(2) ? 0 : 1 + draw(2),
                                          .wish = q->wish,
                                          .wishes = draw(2) ? 0 : 1 + draw(2),
                                          .count = draw(3) ? 1 : 1 + draw(8),
                                          .gang = (enum fg_fleet_gang)draw(3)};
        q->as.milli = q->as.gpus == 0 ? 0 : q->as.gpus > 1 ? 1000 : milli[draw(3)];
}

static void make_world(struct world *w)
{
        *w = (struct world){0};
        for (size_t i = 0; i < NODES; i++) {
                make_node(&w->node[i], i);
                w->as[i] = w->node[i].as;
        }
        for (size_t i = 0; i < REQUESTS; i++)
                make_request(&w->request[i]);
}

/* --- the rules, read naively --- */

static const char *label(const struct fg_fleet_node *n, const char *key)
{
        for (size_t i = 0; i < n->labels; i++)
                if (strcmp(n->label[i].key, key) == 0)
                        return n->label[i].value ? n->label[i].value : "";
        return NULL;
}

static bool holds(const struct fg_fleet_node *n, const struct fg_fleet_term *t)
{
        const char *has = label(n, t->key);
        bool among = false;
        for (size_t i = 0; has && i < t->values; i++)
                among |= strcmp(has, t->value[i]) == 0;
        switch (t->op) {
        case FG_FLEET_IN:
                return among;
        case FG_FLEET_NOT_IN:
                return !among;
        case FG_FLEET_EXISTS:
                return has;
        case FG_FLEET_ABSENT:
                return !has;
        case FG_FLEET_ABOVE:
                return has && atoi(has) > atoi(t->value[0]);
        default:
                return has && atoi(has) < atoi(t->value[0]);
        }
}

static bool is_willing(const struct fg_fleet_node *n, const struct fg_fleet_request *q)
{
        for (size_t i = 0; i < q->terms; i++)
                if (!holds(n, &q->term[i]))
                        return false;
        for (size_t i = 0; i < n->taints; i++) {
                const struct fg_fleet_tolerance *t = q->tolerances ? &q->tolerance[0] : NULL;
                if (!t || (t->key && strcmp(t->key, n->taint[i].key)) || (t->value && strcmp(t->value, n->taint[i].value)))
                        return false;
        }
        return q->models == 0 || strcmp(q->model[0], n->model) == 0;
}

static bool is_same_place(const struct world *w, enum fg_fleet_scope scope, uint32_t a, uint32_t b)
{
        const char *x = w->as[a].site, *y = w->as[b].site;
        return a == b || (scope == FG_FLEET_SITE && x && y && strcmp(x, y) == 0);
}

/* May one more of `q` be on the node, with those who are there and `count` of its own gang at `own`? */
static bool bonds_hold(const struct world *w, const struct fg_fleet_request *q, uint32_t node, const struct fg_cluster_place *own, unsigned count)
{
        bool met[2] = {false}, any[2] = {false};
        for (size_t g = 0; g <= w->guests; g++) {
                const struct guest *guest = &w->guest[g];
                const struct fg_fleet_request *o = g == w->guests ? q : &w->request[guest->request].as;
                const struct fg_cluster_place *place = g == w->guests ? own : guest->place;
                for (unsigned k = 0; k < (g == w->guests ? count : guest->count); k++) {
                        for (size_t i = 0; i < q->bonds; i++)
                                if (o->app && strcmp(o->app, q->bond[i].app) == 0) {
                                        any[i] = true;
                                        met[i] |= is_same_place(w, q->bond[i].scope, node, place[k].node);
                                }
                        for (size_t i = 0; i < o->bonds; i++)
                                if (o->bond[i].apart && q->app && strcmp(q->app, o->bond[i].app) == 0 &&
                                    is_same_place(w, o->bond[i].scope, node, place[k].node))
                                        return false;
                }
        }
        for (size_t i = 0; i < q->bonds; i++) {
                bool first = q->app && strcmp(q->app, q->bond[i].app) == 0 && !any[i];
                if (q->bond[i].apart ? met[i] : !met[i] && !first)
                        return false;
        }
        return true;
}

/* What the request wishes of the node, with those who are there. */
static int64_t wished(const struct world *w, const struct fg_fleet_request *q, uint32_t node)
{
        int64_t sum = 0;
        if (q->wishes > 0 && holds(&w->as[node], q->wish[0].term))
                sum += q->wish[0].weight;
        for (size_t g = 0; g < w->guests && q->wishes > 1; g++) {
                const struct fg_fleet_bond *bond = q->wish[1].bond;
                const struct fg_fleet_request *o = &w->request[w->guest[g].request].as;
                for (unsigned k = 0; k < w->guest[g].count; k++)
                        if (o->app && strcmp(o->app, bond->app) == 0 && is_same_place(w, bond->scope, node, w->guest[g].place[k].node))
                                sum += bond->apart ? -q->wish[1].weight : q->wish[1].weight;
        }
        return sum;
}

static bool has_room(const struct fg_cluster_node *n, const struct fg_fleet_request *q)
{
        unsigned room = 0;
        for (size_t i = 0; i < n->has.gpus; i++)
                room += n->gpu[i] >= q->milli;
        return !n->closed && n->cpu >= q->cpu && n->memory >= q->memory && room >= q->gpus;
}

/* --- what must hold --- */

static struct fg_fleet *new_fleet(struct world *w, const struct fg_cluster_policy *policy, bool turned)
{
        struct fg_fleet_node node[NODES];
        struct fg_fleet *f = NULL;
        struct fg_error err = {0};
        for (size_t i = 0; i < NODES; i++)
                node[turned ? NODES - 1 - i : i] = w->as[i];
        assert_int_equal(fg_fleet_new(&f, node, NODES, policy, NULL, 0, &err), 0);
        return f;
}

static void ask_all(struct world *w, struct fg_fleet *f, struct fg_fleet_ask **ret)
{
        struct fg_error err = {0};
        for (size_t i = 0; i < REQUESTS; i++)
                assert_int_equal(fg_fleet_ask(f, &w->request[i].as, &ret[i], &err), 0);
}

static void free_asks(struct fg_fleet_ask **ask)
{
        for (size_t i = 0; i < REQUESTS; i++)
                fg_fleet_ask_free(ask[i]);
}

static void check_scope(const struct world *w, const struct fg_fleet_request *q, const struct fg_cluster_place *place, unsigned count)
{
        for (unsigned k = 1; k < count; k++) {
                assert_true(q->gang != FG_FLEET_ONE_NODE || place[k].node == place[0].node);
                assert_true(q->gang != FG_FLEET_ONE_SITE || is_same_place(w, FG_FLEET_SITE, place[0].node, place[k].node));
        }
}

/* Decides, checks by the naive rules, and takes. */
static bool arrive(struct world *w, struct fg_fleet *f, struct fg_fleet_ask **ask, unsigned request, bool is_random)
{
        const struct fg_fleet_request *q = &w->request[request].as;
        struct guest *g = &w->guest[w->guests];
        struct fg_cluster_node before[NODES];
        struct fg_fleet_why why;
        uint32_t could = 0;
        g->request = request;
        g->count = fg_fleet_ask_count(ask[request]);
        memcpy(before, fg_fleet_state(f, 0), sizeof before);
        for (uint32_t i = 0; i < NODES; i++) {
                struct fg_fleet_verdict v;
                bool fits = is_willing(&w->as[i], q) && has_room(fg_fleet_state(f, i), q) && bonds_hold(w, q, i, NULL, 0);
                assert_int_equal(fg_fleet_judge(f, ask[request], i, &v), 0);
                assert_int_equal(v.lack == FG_FLEET_FITS, fits);
                assert_true(!fits || v.wished == wished(w, q, i));
                could += fits;
        }
        assert_int_equal(fg_fleet_explain(f, ask[request], &why), 0);
        assert_int_equal(why.lack[FG_FLEET_FITS], could);
        assert_true(could == 0 || why.less + why.equal + 1 == could);
        int r = fg_fleet_decide(f, ask[request], g->place);
        assert_memory_equal(before, fg_fleet_state(f, 0), sizeof before);
        if (g->count == 1 || could == 0)
                assert_int_equal(r, could ? 0 : -ENOSPC);
        if (r < 0)
                return false;
        struct fg_fleet_verdict won, other;
        assert_int_equal(fg_fleet_judge(f, ask[request], g->place[0].node, &won), 0);
        for (uint32_t i = 0; i < NODES && g->count == 1; i++) {
                assert_int_equal(fg_fleet_judge(f, ask[request], i, &other), 0);
                assert_true(other.lack != FG_FLEET_FITS || other.wished <= won.wished);
                if (other.lack == FG_FLEET_FITS && other.wished == won.wished && !is_random)
                        assert_true(other.score < won.score || (other.score == won.score && i >= g->place[0].node));
        }
        for (unsigned k = 0; k < g->count; k++) {
                assert_true(is_willing(&w->as[g->place[k].node], q));
                assert_true(bonds_hold(w, q, g->place[k].node, g->place, k));
                assert_int_equal(fg_fleet_take(f, ask[request], g->place[k]), 0);
        }
        check_scope(w, q, g->place, g->count);
        w->guests++;
        return true;
}

static void leave(struct world *w, struct fg_fleet *f, struct fg_fleet_ask **ask, size_t guest)
{
        struct guest *g = &w->guest[guest];
        for (unsigned k = 0; k < g->count; k++)
                assert_int_equal(fg_fleet_release(f, ask[g->request], g->place[k]), 0);
        *g = w->guest[--w->guests];
}

static void check_bounds(const struct fg_fleet *f)
{
        for (uint32_t i = 0; i < NODES; i++) {
                const struct fg_cluster_node *n = fg_fleet_state(f, i);
                assert_true(n->cpu >= 0 && n->memory >= 0 && n->cpu <= n->has.cpu && n->memory <= n->has.memory);
                for (size_t g = 0; g < n->has.gpus; g++)
                        assert_true(n->gpu[g] <= FG_CLUSTER_GPU);
        }
}

static void live(const struct fg_cluster_policy *policy)
{
        static struct world w;
        make_world(&w);
        FG_CLEANUP(fg_fleet_freep) struct fg_fleet *f = new_fleet(&w, policy, false);
        struct fg_fleet_ask *ask[REQUESTS] = {NULL};
        struct fg_cluster_node before[NODES];
        unsigned placed = 0, refused = 0, gangs = 0;
        memcpy(before, fg_fleet_state(f, 0), sizeof before);
        ask_all(&w, f, ask);
        for (size_t round = 0; round < ROUNDS - 1; round++) {
                if (w.guests && draw(3) == 0) {
                        leave(&w, f, ask, draw((unsigned)w.guests));
                        continue;
                }
                bool came = arrive(&w, f, ask, draw(REQUESTS), policy->random);
                placed += came;
                refused += !came;
                gangs += came && w.guest[w.guests - 1].count > 1;
                check_bounds(f);
        }
        assert_true(placed > 50 && refused > 50 && gangs > 5);
        while (w.guests)
                leave(&w, f, ask, draw((unsigned)w.guests));
        assert_memory_equal(before, fg_fleet_state(f, 0), sizeof before);
        assert_int_equal(f->bonds.used, 0);
        free_asks(ask);
}

static void every_policy_keeps_the_rules(void **state)
{
        for (const struct fg_cluster_policy *p = fg_cluster_policy_table; p->name; p++) {
                seed = 3;
                live(p);
        }
}

static void order_decides_ties_alone(void **state)
{
        static struct world w;
        for (const struct fg_cluster_policy *p = fg_cluster_policy_table; p->name; p++) {
                if (p->random)
                        continue;
                seed = 9;
                make_world(&w);
                FG_CLEANUP(fg_fleet_freep) struct fg_fleet *a = new_fleet(&w, p, false), *b = new_fleet(&w, p, true);
                struct fg_fleet_ask *ask_a[REQUESTS] = {NULL}, *ask_b[REQUESTS] = {NULL};
                ask_all(&w, a, ask_a);
                ask_all(&w, b, ask_b);
                for (unsigned i = 0; i < 4 * REQUESTS; i++) {
                        struct fg_fleet_why x, y;
                        struct fg_cluster_place place[8];
                        assert_int_equal(fg_fleet_explain(a, ask_a[i % REQUESTS], &x), 0);
                        assert_int_equal(fg_fleet_explain(b, ask_b[i % REQUESTS], &y), 0);
                        assert_memory_equal(x.lack, y.lack, sizeof x.lack);
                        assert_memory_equal(x.room, y.room, sizeof x.room);
                        assert_true(x.less == y.less && x.equal == y.equal);
                        if (fg_fleet_decide(a, ask_a[i % REQUESTS], place) < 0)
                                continue;
                        for (unsigned k = 0; k < fg_fleet_ask_count(ask_a[i % REQUESTS]); k++) {
                                assert_int_equal(fg_fleet_take(a, ask_a[i % REQUESTS], place[k]), 0);
                                place[k].node = NODES - 1 - place[k].node;
                                assert_int_equal(fg_fleet_take(b, ask_b[i % REQUESTS], place[k]), 0);
                        }
                }
                free_asks(ask_a);
                free_asks(ask_b);
        }
}

/* --- by hand --- */

static struct fg_fleet *hand_fleet(const struct fg_fleet_node *node, size_t nodes, const char *policy)
{
        struct fg_fleet *f = NULL;
        struct fg_error err = {0};
        assert_int_equal(fg_fleet_new(&f, node, nodes, fg_cluster_policy_find(policy), NULL, 0, &err), 0);
        return f;
}

static int decide(struct fg_fleet *f, const struct fg_fleet_request *q, struct fg_cluster_place *ret, struct fg_fleet_ask **ret_ask)
{
        struct fg_error err = {0};
        assert_int_equal(fg_fleet_ask(f, q, ret_ask, &err), 0);
        return fg_fleet_decide(f, *ret_ask, ret);
}

static const char *where(struct fg_fleet *f, const struct fg_fleet_request *q)
{
        FG_CLEANUP(fg_fleet_ask_freep) struct fg_fleet_ask *ask = NULL;
        struct fg_cluster_place place[8];
        return decide(f, q, place, &ask) < 0 ? "" : fg_fleet_name(f, place[0].node);
}

static void prices_and_sites(void **state)
{
        const struct fg_fleet_node node[] = {{"dear", 8000, 9999, 4, "A100", "home", 300},
                                             {"cheap", 8000, 9999, 4, "A100", "away", 100},
                                             {"fair", 8000, 9999, 4, "A100", "home", 200}};
        struct fg_fleet_request q = {.cpu = 1000, .gpus = 1, .milli = 1000, .site = "home"};
        FG_CLEANUP(fg_fleet_freep) struct fg_fleet *cheapest = hand_fleet(node, 3, "cheapest"), *near = hand_fleet(node, 3, "near");
        uint32_t at;
        assert_string_equal(where(cheapest, &q), "cheap");
        assert_string_equal(where(near, &q), "fair");
        q.site = "moon"; /* away from all */
        assert_string_equal(where(near, &q), "cheap");
        q.site = "home";
        assert_int_equal(fg_fleet_find(near, "dear", &at), 0);
        assert_int_equal(fg_fleet_set_price(near, at, 50), 0);
        assert_string_equal(where(near, &q), "dear");
        assert_int_equal(fg_fleet_close(near, at, true), 0);
        assert_string_equal(where(near, &q), "fair");
        assert_int_equal(fg_fleet_close(near, at, false), 0);
        assert_string_equal(where(near, &q), "dear");
        assert_int_equal(fg_fleet_set_price(near, 3, 1), -EINVAL);
        assert_int_equal(fg_fleet_set_price(near, 0, FG_CLUSTER_PRICE_MAX + 1), -EINVAL);
        assert_int_equal(fg_fleet_find(near, "nowhere", &at), -ENOENT);
        q.cpu = 9000;
        assert_string_equal(where(near, &q), "");
}

/* Four members of two GPUs: on one node only "big" has room, on one site only "b", and never a half of them. */
static void take_one(struct fg_fleet *f, const struct fg_fleet_request *q)
{
        struct fg_fleet_ask *ask = NULL;
        struct fg_cluster_place place;
        struct fg_error err = {0};
        assert_int_equal(fg_fleet_ask(f, q, &ask, &err), 0);
        assert_int_equal(fg_fleet_decide(f, ask, &place), 0);
        assert_int_equal(fg_fleet_take(f, ask, place), 0);
        fg_fleet_ask_free(ask);
}

/* Wishes come before the policy and after what must hold; spreading is to wish oneself away from one's own app. */
static void wishes(void **state)
{
        const struct fg_fleet_pair fast = {"fast", "yes"};
        const struct fg_fleet_node node[] = {{"a", 8000, 9999, 2, "A100", "east", 100},
                                             {"b", 8000, 9999, 2, "A100", "east", 200, .label = &fast, .labels = 1},
                                             {"c", 8000, 9999, 2, "A100", NULL, 300}};
        const struct fg_fleet_term is_fast = {"fast", FG_FLEET_EXISTS};
        const struct fg_fleet_bond apart = {"web", FG_FLEET_NODE, true}, apart_by_site = {"web", FG_FLEET_SITE, true};
        struct fg_fleet_wish wish[] = {{.term = &is_fast, .weight = 1}, {.bond = &apart, .weight = 1}};
        struct fg_fleet_request q = {.cpu = 1000, .gpus = 1, .milli = 1000, .app = "web"};
        FG_CLEANUP(fg_fleet_freep) struct fg_fleet *f = hand_fleet(node, 3, "cheapest");
        assert_string_equal(where(f, &q), "a");
        q.wish = &wish[0];
        q.wishes = 1;
        assert_string_equal(where(f, &q), "b");
        take_one(f, &q);
        take_one(f, &q);
        assert_string_equal(where(f, &q), "a"); /* the fast one is full */
        q.wish = &wish[1];
        take_one(f, &q); /* a, the cheaper of those without any */
        assert_string_equal(where(f, &q), "c");
        take_one(f, &q);
        assert_string_equal(where(f, &q), "a"); /* one on each again */
        wish[1].bond = &apart_by_site;
        assert_string_equal(where(f, &q), "c"); /* one there, three in the east */
}

static void gangs(void **state)
{
        const struct fg_fleet_node node[] = {{"a1", 8000, 9999, 4, NULL, "a"}, {"b1", 8000, 9999, 4, NULL, "b"}, {"b2", 8000, 9999, 4, NULL, "b"},
                                             {"big", 8000, 9999, 8, NULL, NULL}};
        FG_CLEANUP(fg_fleet_freep) struct fg_fleet *f = hand_fleet(node, 4, "first-fit");
        const struct fg_fleet_bond apart = {"mpi", FG_FLEET_NODE, true};
        struct fg_fleet_request q = {.gpus = 2, .milli = 1000, .count = 4, .gang = FG_FLEET_ONE_NODE, .app = "mpi"};
        struct fg_cluster_place p[5];
        for (int i = 0; i < 6; i++) {
                static const struct {
                        enum fg_fleet_gang gang;
                        uint32_t count;
                        bool apart;
                        const char *where[4];
                } want[] = {{FG_FLEET_ONE_NODE, 4, false, {"big", "big", "big", "big"}}, {FG_FLEET_ONE_SITE, 4, false, {"b1", "b1", "b2", "b2"}},
                            {FG_FLEET_ANYWHERE, 4, true, {"a1", "b1", "b2", "big"}},     {FG_FLEET_ONE_SITE, 2, true, {"b1", "b2"}},
                            {FG_FLEET_ONE_NODE, 5, false, {NULL}},                       {FG_FLEET_ONE_NODE, 2, true, {NULL}}};
                FG_CLEANUP(fg_fleet_ask_freep) struct fg_fleet_ask *ask = NULL;
                q.gang = want[i].gang;
                q.count = want[i].count;
                q.bond = &apart;
                q.bonds = want[i].apart;
                int r = decide(f, &q, p, &ask);
                assert_int_equal(r, want[i].where[0] ? 0 : -ENOSPC);
                for (uint32_t k = 0; r == 0 && k < q.count; k++)
                        assert_string_equal(fg_fleet_name(f, p[k].node), want[i].where[k]);
                assert_int_equal(f->bonds.used, 0);
        }
}

static void what_is_wrong_is_named(void **state)
{
        struct fg_fleet_node node[] = {{"a", 1, 1, 1}, {"a", 1, 1, 1}};
        struct fg_fleet *f = NULL;
        struct fg_fleet_ask *ask = NULL;
        struct fg_error err = {0};
        const struct fg_cluster_policy *p = fg_cluster_policy_find("fastgpu");
        assert_int_equal(fg_fleet_new(&f, node, 0, p, NULL, 0, &err), -EINVAL);
        assert_int_equal(fg_fleet_new(&f, node, 2, p, NULL, 0, &err), -EINVAL);
        assert_non_null(strstr(err.text, "two nodes \"a\""));
        node[1].name = "b";
        node[1].gpus = 17;
        assert_int_equal(fg_fleet_new(&f, node, 2, p, NULL, 0, &err), -EINVAL);
        assert_non_null(strstr(err.text, "\"b\""));
        node[1].gpus = 1;
        assert_int_equal(fg_fleet_new(&f, node, 2, p, NULL, 0, &err), 0);
        const struct fg_fleet_request wrong[] = {{.gpus = 2, .milli = 500}, {.cpu = -1}, {.count = FG_FLEET_GANG_MAX + 1},
                                                 {.term = &(struct fg_fleet_term){"size", FG_FLEET_ABOVE}, .terms = 1},
                                                 {.term = &(struct fg_fleet_term){NULL, FG_FLEET_EXISTS}, .terms = 1},
                                                 {.bond = &(struct fg_fleet_bond){NULL}, .bonds = 1},
                                                 {.wish = &(struct fg_fleet_wish){.weight = 1}, .wishes = 1},
                                                 {.wish = &(struct fg_fleet_wish){.bond = &(struct fg_fleet_bond){"x"}}, .wishes = 1}};
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
                assert_int_equal(fg_fleet_ask(f, &wrong[i], &ask, &err), -EINVAL);
        const struct fg_fleet_request right = {.gpus = 1, .milli = 500, .app = "x"};
        assert_int_equal(fg_fleet_ask(f, &right, &ask, &err), 0);
        assert_int_equal(fg_fleet_release(f, ask, (struct fg_cluster_place){0, 1}), -EINVAL);
        assert_int_equal(fg_fleet_take(f, ask, (struct fg_cluster_place){2, 1}), -EINVAL);
        assert_int_equal(f->bonds.used, 0);
        fg_fleet_ask_free(ask);
        fg_fleet_free(f);
}

static void why_in_words(void **state)
{
        const struct fg_fleet_pair taint = {"gpu", "reserved"}, zone = {"zone", "a"};
        const char *const a = "a";
        const struct fg_fleet_node node[] = {{"full", 1000, 9999, 1, "A100", .label = &zone, .labels = 1},
                                             {"kept", 8000, 9999, 1, "A100", .label = &zone, .labels = 1, .taint = &taint, .taints = 1},
                                             {"else", 8000, 9999, 1, "A100"}};
        const struct fg_fleet_term term = {"zone", FG_FLEET_IN, &a, 1};
        const struct fg_fleet_request q = {.cpu = 2000, .gpus = 1, .milli = 1000, .term = &term, .terms = 1};
        FG_CLEANUP(fg_fleet_freep) struct fg_fleet *f = hand_fleet(node, 3, "fastgpu");
        FG_CLEANUP(fg_fleet_ask_freep) struct fg_fleet_ask *ask = NULL;
        struct fg_cluster_place place;
        struct fg_fleet_why why;
        char text[256], little[12];
        assert_int_equal(decide(f, &q, &place, &ask), -ENOSPC);
        assert_int_equal(fg_fleet_explain(f, ask, &why), 0);
        fg_fleet_say(&why, text, sizeof text);
        assert_string_equal(text, "0 of 3 nodes fit; 1: another label, such as of zone; 1: not tolerated taints, such as gpu=reserved; "
                                  "1: too little CPU free");
        fg_fleet_say(&why, little, sizeof little);
        assert_string_equal(little, "0 of 3 node");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_policy_keeps_the_rules),
                cmocka_unit_test(order_decides_ties_alone),
                cmocka_unit_test(prices_and_sites),
                cmocka_unit_test(wishes),
                cmocka_unit_test(gangs),
                cmocka_unit_test(what_is_wrong_is_named),
                cmocka_unit_test(why_in_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
