/* SPDX-License-Identifier: Apache-2.0
 * Who is where, by app: open addressing that closes its gaps, so that what is 0 again leaves nothing behind. */
#include "sched/fleet_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t home(const struct fg_bonds *b, uint32_t app, uint32_t where)
{
        uint64_t h = ((uint64_t)app << 32 | where) * 0x9e3779b97f4a7c15u;
        return (h ^ h >> 32) & (b->slots - 1);
}

static size_t slot_of(const struct fg_bonds *b, uint32_t app, uint32_t where)
{
        size_t i = home(b, app, where);
        while (b->slot[i].app != FG_WORD_NONE && (b->slot[i].app != app || b->slot[i].where != where))
                i = (i + 1) & (b->slots - 1);
        return i;
}

const struct fg_bond_count *fg_bonds_get(const struct fg_bonds *b, uint32_t app, uint32_t where)
{
        if (b->slots == 0)
                return NULL;
        const struct fg_bond_count *c = &b->slot[slot_of(b, app, where)];
        return c->app == FG_WORD_NONE ? NULL : c;
}

int fg_bonds_reserve(struct fg_bonds *b, size_t more)
{
        struct fg_bonds grown = {.slots = b->slots ? b->slots : 16, .used = b->used};
        while ((b->used + more) * 2 > grown.slots)
                grown.slots *= 2;
        if (grown.slots == b->slots)
                return 0;
        grown.slot = malloc(grown.slots * sizeof(*grown.slot));
        if (!grown.slot)
                return -ENOMEM;
        for (size_t i = 0; i < grown.slots; i++)
                grown.slot[i].app = FG_WORD_NONE;
        for (size_t i = 0; i < b->slots; i++)
                if (b->slot[i].app != FG_WORD_NONE)
                        grown.slot[slot_of(&grown, b->slot[i].app, b->slot[i].where)] = b->slot[i];
        free(b->slot);
        *b = grown;
        return 0;
}

/* Whoever stands behind the gap because of what was in it moves up. */
static void close_gap(struct fg_bonds *b, size_t gap)
{
        size_t mask = b->slots - 1;
        for (size_t i = (gap + 1) & mask; b->slot[i].app != FG_WORD_NONE; i = (i + 1) & mask) {
                size_t wants = home(b, b->slot[i].app, b->slot[i].where);
                if (((i - wants) & mask) >= ((i - gap) & mask)) {
                        b->slot[gap] = b->slot[i];
                        gap = i;
                }
        }
        b->slot[gap].app = FG_WORD_NONE;
        b->used--;
}

void fg_bonds_add(struct fg_bonds *b, uint32_t app, uint32_t where, int here, int apart)
{
        size_t i = slot_of(b, app, where);
        struct fg_bond_count *c = &b->slot[i];
        if (c->app == FG_WORD_NONE) {
                *c = (struct fg_bond_count){.app = app, .where = where};
                b->used++;
        }
        c->here += (uint32_t)here;
        c->apart += (uint32_t)apart;
        if (c->here == 0 && c->apart == 0)
                close_gap(b, i);
}

uint32_t fg_fleet_where(const struct fg_fleet *f, enum fg_fleet_scope scope, uint32_t node)
{
        uint16_t site = fg_cluster_node(f->cluster, node)->has.site;
        return scope == FG_FLEET_SITE && site ? FG_BOND_SITE | site : node;
}

static bool is_first_of_its_app(const struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t app)
{
        return app == ask->app && (app >= f->in_apps || f->in_app[app] == 0);
}

enum fg_fleet_lack fg_fleet_bond_lack(const struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node, uint32_t *ret_app)
{
        for (size_t i = 0; i < ask->bonds; i++) {
                const struct fg_ask_bond *bond = &ask->bond[i];
                const struct fg_bond_count *c = fg_bonds_get(&f->bonds, bond->app, fg_fleet_where(f, bond->scope, node));
                bool is_there = c && c->here;
                *ret_app = bond->app;
                if (bond->apart && is_there)
                        return FG_FLEET_APART;
                if (!bond->apart && !is_there && !is_first_of_its_app(f, ask, bond->app))
                        return FG_FLEET_BOND;
        }
        for (int scope = FG_FLEET_NODE; ask->app != FG_WORD_NONE && scope <= FG_FLEET_SITE; scope++) {
                const struct fg_bond_count *c = fg_bonds_get(&f->bonds, ask->app, fg_fleet_where(f, (enum fg_fleet_scope)scope, node));
                *ret_app = ask->app;
                if (c && c->apart)
                        return FG_FLEET_APART;
        }
        return FG_FLEET_FITS;
}

bool fg_ask_has_wishes(const struct fg_fleet_ask *ask)
{
        return ask->wished || ask->wishes;
}

int64_t fg_ask_wished(const struct fg_fleet *f, const struct fg_fleet_ask *ask, uint32_t node)
{
        int64_t sum = ask->wished ? ask->wished[node] : 0;
        for (size_t i = 0; i < ask->wishes; i++) {
                const struct fg_ask_bond *wish = &ask->wish[i];
                const struct fg_bond_count *c = fg_bonds_get(&f->bonds, wish->app, fg_fleet_where(f, wish->scope, node));
                int64_t more = c ? (int64_t)wish->weight * c->here : 0;
                sum += wish->apart ? -more : more;
        }
        return sum;
}
