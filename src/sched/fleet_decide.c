/* SPDX-License-Identifier: Apache-2.0
 * Decides by doing: members of a gang are placed in the fleet's own books one after the other, and all of that is taken back. */
#include "sched/fleet_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

/* What of the nodes is looked at. */
struct search {
        const struct fg_fleet *f;
        const struct fg_fleet_ask *ask;
        bool is_one;     /* of one domain: */
        uint32_t domain; /* a node, or a site as fg_fleet_where() says */
        uint32_t *room;  /* of each domain, how many members have room; sites stand behind the nodes. NULL: it does not matter */
};

static uint32_t domain_of(const struct search *s, uint32_t node)
{
        return fg_fleet_where(s->f, s->ask->gang == FG_FLEET_ONE_SITE ? FG_FLEET_SITE : FG_FLEET_NODE, node);
}

static uint32_t *room_of(const struct search *s, uint32_t domain)
{
        return &s->room[domain & FG_BOND_SITE ? s->f->nodes + (domain & ~FG_BOND_SITE) : domain];
}

static bool allows(void *user, uint32_t node)
{
        const struct search *s = user;
        uint32_t ignored;
        if (s->is_one && domain_of(s, node) != s->domain)
                return false;
        if (s->room && *room_of(s, domain_of(s, node)) < s->ask->count)
                return false;
        return fg_fleet_bond_lack(s->f, s->ask, node, &ignored) == FG_FLEET_FITS;
}

static int64_t likes(void *user, uint32_t node)
{
        const struct search *s = user;
        return fg_ask_wished(s->f, s->ask, node);
}

/* An app's requests are kept away by others' bonds as well. */
static bool has_bonds(const struct fg_fleet *f, const struct fg_fleet_ask *ask)
{
        return ask->bonds || (ask->app != FG_WORD_NONE && f->bonds.used);
}

static int choose(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct search *s, struct fg_cluster_place *ret)
{
        bool wishes = fg_ask_has_wishes(ask), asks = s->is_one || s->room || wishes || has_bonds(f, ask);
        struct fg_chooser_rule rule = {.id = ask->id, .node = ask->node, .allows = asks ? allows : NULL, .likes = wishes ? likes : NULL, .user = s};
        return fg_chooser_choose_by(f->chooser, &ask->pod, &rule, ret);
}

static void take_back(struct fg_fleet *f, const struct fg_fleet_ask *ask, const struct fg_cluster_place *place, uint32_t count)
{
        while (count)
                fg_fleet_release(f, ask, place[--count]);
}

/* All members where the search looks, or none. */
static int place_all(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct search *s, struct fg_cluster_place *ret)
{
        uint32_t i = 0;
        int r = 0;
        for (; i < ask->count && r == 0; i++) {
                r = choose(f, ask, s, &ret[i]);
                if (r == 0)
                        r = fg_fleet_take(f, ask, ret[i]);
                if (r < 0)
                        break;
        }
        take_back(f, ask, ret, i);
        return r;
}

static uint32_t least(uint32_t a, uint32_t b)
{
        return a < b ? a : b;
}

/* Members that have room on a node, at most all of them. */
static uint32_t members_on(const struct fg_cluster_node *n, const struct fg_fleet_ask *ask)
{
        const struct fg_cluster_pod *pod = &ask->pod;
        uint32_t most = ask->count, parts = 0;
        if (fg_cluster_judge(n, pod) != FG_CLUSTER_FITS)
                return 0;
        if (pod->cpu)
                most = least(most, (uint32_t)(n->cpu / pod->cpu));
        if (pod->memory)
                most = least(most, (uint32_t)(n->memory / pod->memory));
        if (pod->gpus == 0)
                return most;
        for (size_t i = 0; i < n->has.gpus; i++)
                parts += n->gpu[i] / pod->milli;
        return least(most, parts / pod->gpus);
}

static void count_room(struct search *s)
{
        for (uint32_t i = 0; i < s->f->nodes; i++) {
                uint32_t *room = room_of(s, domain_of(s, i)), more = members_on(fg_cluster_node(s->f->cluster, i), s->ask);
                if (!s->ask->node || s->ask->node[i / 64] >> i % 64 & 1)
                        *room = least(*room + more, s->ask->count);
        }
}

/* The domain of the best node that has room for all, then of the next best, while bonds are in the way. */
static int place_together(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct fg_cluster_place *ret)
{
        fg_autofree uint32_t *room = calloc(f->nodes + f->sites.count + 1, sizeof(*room));
        struct search s = {.f = f, .ask = ask, .room = room};
        if (!room)
                return -ENOMEM;
        count_room(&s);
        for (;;) {
                struct search one = {.f = f, .ask = ask, .is_one = true};
                int r = choose(f, ask, &s, &ret[0]);
                if (r < 0)
                        return r;
                one.domain = domain_of(&s, ret[0].node);
                r = place_all(f, ask, &one, ret);
                if (r != -ENOSPC)
                        return r;
                *room_of(&s, one.domain) = 0;
        }
}

int fg_fleet_decide(struct fg_fleet *f, const struct fg_fleet_ask *ask, struct fg_cluster_place *ret)
{
        struct search s = {.f = f, .ask = ask};
        if (ask->count == 1)
                return choose(f, ask, &s, ret);
        return ask->gang == FG_FLEET_ANYWHERE ? place_all(f, ask, &s, ret) : place_together(f, ask, ret);
}
