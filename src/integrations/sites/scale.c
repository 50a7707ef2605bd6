/* SPDX-License-Identifier: Apache-2.0
 * One round over a cluster: what is there is read anew each time, pods that wait get room on nodes that are coming or on new ones of the first
 * site that fits, and nodes that nobody uses end, each by its name. A pool's record has since when its nodes are there, for their cost, and why
 * it is left alone for a while. */
#include "integrations/sites/room.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RETRY_SEC 1800 /* a pool that failed is left alone for so long */
#define LATE_SEC  300  /* a pool's description may be so old */

/* --- what a pool's record says --- */

static json_t *new_record(const struct fgi_sites_offer *o)
{
        return json_pack("{s:s, s:{}}", "site", o->name, "machines");
}

static json_int_t at(const json_t *record, const char *name)
{
        return json_integer_value(json_object_get(record, name));
}

static void set_aside(struct fgi_sites_site *site, time_t now, const char *why)
{
        json_object_set_new(site->record, "failed", json_pack("{s:I, s:s}", "at", (json_int_t)now, "why", why));
        json_object_del(site->record, "asked");
        printf("%s: %s\n", site->offer->name, why);
}

static void note_asked(struct fgi_sites_site *site, uint64_t size, time_t now)
{
        json_object_set_new(site->record, "asked", json_pack("{s:I, s:I}", "size", (json_int_t)size, "at", (json_int_t)now));
}

static json_t *new_machine(const struct fgi_sites_site *site, const char *name, time_t now)
{
        json_int_t asked = at(json_object_get(site->record, "asked"), "at");
        return json_pack("{s:s, s:s, s:b, s:I, s:I, s:s}", "node", name, "site", site->offer->name, "asked", asked != 0, "since", asked ? asked : (json_int_t)now, "price_micro",
                         (json_int_t)site->offer->price_micro, "currency", site->offer->currency);
}

/* Only then in the log: a record that still has them would have them written there again. */
static int keep(struct fgi_sites_round *round, struct fgi_sites_site *site, struct fg_error *err)
{
        json_t *machine;
        size_t i;
        int r = fgi_sites_keep_record(round->place, site->offer->name, FGI_SITES_POOL, site->record, err);
        if (r < 0)
                return r;
        json_array_foreach(site->gone, i, machine) fgi_sites_log(round->place, machine);
        json_array_clear(site->gone);
        return 0;
}

/* Those that are new are remembered; those that are gone have cost what they have. */
static void compare(struct fgi_sites_site *site, time_t now)
{
        json_t *known = json_object_get(site->record, "machines"), *one;
        const char *name;
        void *next;
        size_t i;
        json_array_foreach(site->pool.machines, i, one) if (!json_object_get(known, json_string_value(one)))
                json_object_set_new(known, json_string_value(one), new_machine(site, json_string_value(one), now));
        json_object_foreach_safe(known, next, name, one)
        {
                bool there = false;
                json_t *listed;
                json_array_foreach(site->pool.machines, i, listed) there |= strcmp(json_string_value(listed), name) == 0;
                if (!there) {
                        json_array_append(site->gone, one);
                        json_object_del(known, name);
                }
        }
}

static void watch(const struct fgi_sites_cluster *cluster, struct fgi_sites_site *site, time_t now)
{
        json_t *one;
        const char *name;
        json_object_foreach(json_object_get(site->record, "machines"), name, one)
        {
                json_t *node = fgi_sites_node_of(cluster, name);
                bool cordoned = json_is_true(fgi_sites_at(node, "spec/unschedulable")) && !json_object_get(one, "closed");
                json_object_set_new(one, "cordoned", json_boolean(cordoned));
                if (node) {
                        json_object_set_new(one, "joined", json_true());
                        json_object_set_new(one, "node", json_string(fgi_sites_name_of(node)));
                }
                if (!node || fgi_sites_node_is_used(cluster, fgi_sites_name_of(node)))
                        json_object_del(one, "idle");
                else if (!at(one, "idle"))
                        json_object_set_new(one, "idle", json_integer(now));
        }
}

/* Not where more are there than are to be: then one is about to go, and the mark says which. */
static void keep_undropped(const struct fgi_sites_round *round, struct fgi_sites_site *site)
{
        json_t *machine;
        const char *name;
        if (round->how->dry || json_array_size(site->pool.machines) > site->pool.size)
                return;
        json_object_foreach(json_object_get(site->record, "machines"), name, machine) if (json_object_get(machine, "undropped") && fgi_sites_pool_keep(site->offer, name, NULL) == 0)
                json_object_del(machine, "undropped");
}

/* What was asked for lately counts, though the description does not have it yet. */
static void expect(struct fgi_sites_site *site, time_t now)
{
        json_t *asked = json_object_get(site->record, "asked");
        if (asked && now < at(asked, "at") + LATE_SEC && at(asked, "size") > (json_int_t)site->pool.size)
                site->pool.size = (uint64_t)at(asked, "size");
        if (json_array_size(site->pool.machines) >= site->pool.size)
                json_object_del(site->record, "asked");
        else if (!asked)
                note_asked(site, site->pool.size, now);
        site->target = site->pool.size;
}

static void read_site(struct fgi_sites_round *round, struct fgi_sites_site *site)
{
        struct fg_error err = {0};
        site->record = fgi_sites_load_record(round->place, site->offer->name, FGI_SITES_POOL);
        site->record = site->record ? site->record : new_record(site->offer);
        if (fgi_sites_pool_read(site->offer, &site->pool, &err) < 0) {
                fgi_sites_round_failed(round, site, err.code, err.text);
                return;
        }
        site->known = true;
        site->gone = json_array();
        compare(site, round->now);
        watch(&round->cluster, site, round->now);
        keep_undropped(round, site);
        expect(site, round->now);
}

/* --- pods that wait --- */

static const char *unfit(const struct fgi_sites_round *round, const struct fgi_sites_site *site, json_t *pod, const struct fgi_sites_wish *wish, char *ret, size_t len)
{
        const json_t *failed = json_object_get(site->record, "failed");
        if (fgi_sites_unfit(site->offer, wish, ret, len))
                return ret;
        if (fgi_sites_is_private(site->offer))
                snprintf(ret, len, "its nodes are full");
        else if (!site->known)
                snprintf(ret, len, "%s", site->problem);
        else if (failed && round->now < at(failed, "at") + RETRY_SEC)
                snprintf(ret, len, "it failed less than %d min ago: %s", RETRY_SEC / 60, fgi_sites_text(failed, "why"));
        else if (fgi_sites_pod_keeps_away(pod, site->offer, ret, len))
                return ret;
        else if (site->target >= site->offer->most)
                snprintf(ret, len, "it has the %" PRIu64 " nodes that it may have", site->offer->most);
        else
                return NULL;
        return ret;
}

static json_int_t spent_by(const struct fgi_sites_round *round, const char *project)
{
        json_int_t sum = 0;
        const char *site;
        json_t *cost;
        json_object_foreach(json_object_get(round->spent, project), site, cost) sum += json_integer_value(cost);
        return sum;
}

static void spend(struct fgi_sites_round *round, const char *project, const char *site, uint64_t cost)
{
        json_t *spent = json_object_get(round->spent, project);
        if (!spent)
                json_object_set_new(round->spent, project, spent = json_object());
        json_object_set_new(spent, site, json_integer(at(spent, site) + (json_int_t)cost));
}

/* Its nodes have not been started after all. */
static void unspend(struct fgi_sites_round *round, const char *site)
{
        const char *project;
        json_t *spent;
        json_object_foreach(round->spent, project, spent) json_object_del(spent, site);
}

/* The budget's rest is shared by all of its pods of this round. */
static int limit(struct fgi_sites_round *round, json_t *pod, struct fgi_sites_wish *wish, char currency[8], char project[64], struct fg_error *err)
{
        wish->currency = currency;
        currency[0] = project[0] = '\0';
        if (!round->how->project)
                return 0;
        const char *space = strstr(round->how->project, "%n");
        int n = space ? snprintf(project, 64, "%.*s%s%s", (int)(space - round->how->project), round->how->project, fgi_sites_space_of(pod), space + 2)
                      : snprintf(project, 64, "%s", round->how->project);
        if (n >= 64)
                return fg_error_set(err, -EINVAL, "project %.40s… has too long a name", project);
        int r = fgi_sites_budget(project, wish, currency, err);
        json_int_t spent = spent_by(round, project);
        if (r == 0 && wish->left_micro >= 0)
                wish->left_micro = wish->left_micro > spent ? wish->left_micro - spent : 0;
        return r;
}

static void take_site(struct fgi_sites_round *round, struct fgi_sites_site *site, const struct fgi_sites_wish *wish, const char *project)
{
        site->target++;
        fgi_sites_room_add(round, site, false);
        fgi_sites_room_take(round, site, wish);
        if (*project && wish->left_micro >= 0)
                spend(round, project, site->offer->name, fgi_sites_price(site->offer, wish));
}

static bool take_coming(struct fgi_sites_round *round, json_t *pod, const struct fgi_sites_wish *wish, char *note, size_t len)
{
        char why[256];
        for (unsigned i = 0; i < round->count; i++) {
                struct fgi_sites_site *site = &round->site[round->order[i]];
                if (site->known && !fgi_sites_pod_keeps_away(pod, site->offer, why, sizeof why) && fgi_sites_room_take(round, site, wish)) {
                        snprintf(note, len, "site %s: a node is coming", site->offer->name);
                        return true;
                }
        }
        return false;
}

/* The first site in the order that fits, or why none does. */
static void take_new(struct fgi_sites_round *round, json_t *pod, const struct fgi_sites_wish *wish, const char *project, char *note, size_t len)
{
        char why[256], why_not[480] = "", price[40];
        for (unsigned i = 0; i < round->count; i++) {
                struct fgi_sites_site *site = &round->site[round->order[i]];
                size_t n = strlen(why_not);
                if (!fgi_sites_is_private(site->offer) && !fgi_sites_is_pool(site->offer))
                        continue;
                if (unfit(round, site, pod, wish, why, sizeof why)) {
                        snprintf(why_not + n, sizeof why_not - n, "%s%s (%s)", n ? ", " : "", site->offer->name, why);
                        continue;
                }
                take_site(round, site, wish, project);
                snprintf(note, len, "site %s: %s %s an hour, the cheapest that fits%s%s", site->offer->name,
                         fgi_sites_money(site->offer->price_micro, price, sizeof price), site->offer->currency, *why_not ? "; not " : "", why_not);
                return;
        }
        snprintf(note, len, "no site fits: %s", why_not);
}

static void settle(struct fgi_sites_round *round, json_t *pod, struct fgi_sites_wish *wish)
{
        struct fg_error err = {0};
        char note[640], currency[8], project[64];
        if (!take_coming(round, pod, wish, note, sizeof note)) {
                if (limit(round, pod, wish, currency, project, &err) < 0)
                        snprintf(note, sizeof note, "no node is started: %s", err.text);
                else
                        take_new(round, pod, wish, project, note, sizeof note);
        }
        fgi_sites_round_note(round, pod, note);
}

static void settle_all(struct fgi_sites_round *round)
{
        json_t *pod;
        size_t i;
        fgi_sites_round_begin(round);
        json_array_foreach(round->cluster.pods, i, pod)
        {
                struct fgi_sites_wish wish;
                if (fgi_sites_pod_waits(pod) && fgi_sites_pod_wish(&round->cluster, pod, &wish))
                        settle(round, pod, &wish);
        }
}

/* --- more nodes --- */

/* A call that failed may have done it all the same: the pool's size says. */
static int resize(struct fgi_sites_round *round, struct fgi_sites_site *site, uint64_t size)
{
        struct fg_error err = {0};
        note_asked(site, size, round->now);
        int r = keep(round, site, &err);
        if (r == 0)
                r = fgi_sites_pool_resize(site->offer, &site->pool, size, &err);
        if (r == 0)
                return 0;
        struct fgi_sites_pool now = {0};
        bool read = fgi_sites_pool_read(site->offer, &now, NULL) == 0;
        bool done = read && now.size == size;
        json_decref(now.machines);
        if (read)
                site->pool.size = now.size;
        if (done)
                return 0;
        fgi_sites_round_failed(round, site, r, err.text);
        set_aside(site, round->now, err.text);
        return r;
}

/* false: one failed, so that its pods are to go elsewhere. */
static bool grow(struct fgi_sites_round *round)
{
        bool fine = true;
        for (unsigned i = 0; i < round->count; i++) {
                struct fgi_sites_site *site = &round->site[i];
                if (site->target <= site->pool.size || !site->known)
                        continue;
                printf("%s: from %" PRIu64 " to %" PRIu64 " nodes\n", site->offer->name, site->pool.size, site->target);
                site->grown = true;
                uint64_t before = site->pool.size;
                if (round->how->dry || resize(round, site, site->target) == 0)
                        continue;
                fine = false;
                if (site->pool.size <= before)
                        unspend(round, site->offer->name);
        }
        return fine;
}

/* --- fewer --- */

static bool is_over(const struct fgi_sites_round *round, json_int_t since, uint64_t patience)
{
        return since && round->now >= since + (json_int_t)patience;
}

/* Has one come since the last look, a smaller number would have the engine end one. */
static bool are_as_many(const struct fgi_sites_site *site, uint64_t machines)
{
        struct fgi_sites_pool now = {0};
        bool same = fgi_sites_pool_read(site->offer, &now, NULL) == 0 && json_array_size(now.machines) == machines;
        json_decref(now.machines);
        return same;
}

/* Nodes that were asked for and that the provider does not have. */
static void give_up_missing(struct fgi_sites_round *round, struct fgi_sites_site *site)
{
        uint64_t there = json_array_size(site->pool.machines), size = site->pool.size;
        char why[160];
        if (there >= size || site->grown || !is_over(round, at(json_object_get(site->record, "asked"), "at"), site->offer->wait))
                return;
        snprintf(why, sizeof why, "%" PRIu64 " of %" PRIu64 " nodes have come in %" PRIu64 " s", there, size, site->offer->wait);
        if (!round->how->dry && !are_as_many(site, there))
                return;
        if (round->how->dry || resize(round, site, there) == 0)
                set_aside(site, round->now, why);
}

/* Only what was closed here: an administrator's cordon stays. */
static void open_node(const struct fgi_sites_round *round, json_t *machine)
{
        if (json_object_get(machine, "closed") && fgi_sites_cordon(&round->cluster, fgi_sites_text(machine, "node"), false, NULL) == 0)
                json_object_del(machine, "closed");
}

static void end_machine(struct fgi_sites_round *round, struct fgi_sites_site *site, const char *name, json_t *machine)
{
        struct fg_error err = {0};
        int r = fgi_sites_pool_drop(site->offer, &site->pool, name, &err);
        if (r == 0) {
                json_object_set_new(machine, "ended", json_integer(round->now));
                return;
        }
        json_object_set_new(machine, "undropped", json_true());
        /* It may be used until it can be ended. */
        open_node(round, machine);
        fgi_sites_round_failed(round, site, r, err.text);
}

/* Between the last look and now a pod may have come: with the node closed none comes any more, so that the second look is true. */
static bool close_node(struct fgi_sites_round *round, struct fgi_sites_site *site, json_t *machine)
{
        const char *node = fgi_sites_text(machine, "node");
        struct fgi_sites_cluster now = {0};
        bool cordoned = json_is_true(json_object_get(machine, "cordoned"));
        if (!cordoned)
                json_object_set_new(machine, "closed", json_true());
        bool unused = (cordoned || (keep(round, site, NULL) == 0 && fgi_sites_cordon(&round->cluster, node, true, NULL) == 0)) &&
                      fgi_sites_cluster_read(round->how->config, &now, NULL) == 0 && !fgi_sites_node_is_used(&now, node);
        if (!unused)
                open_node(round, machine);
        fgi_sites_cluster_clear(&now);
        return unused;
}

/* That it did not join counts only where this is the cluster that the pool's machines join: one has, or it was asked for because of this cluster's pods. */
static bool is_late(const struct fgi_sites_round *round, const struct fgi_sites_site *site, const json_t *machine)
{
        bool ours = json_is_true(json_object_get(machine, "asked"));
        const char *name;
        json_t *other;
        json_object_foreach(json_object_get(site->record, "machines"), name, other) ours = ours || json_object_get(other, "joined");
        return ours && !json_object_get(machine, "joined") && is_over(round, at(machine, "since"), site->offer->wait);
}

static bool has_not_come(const struct fgi_sites_round *round, const char *name)
{
        struct fgi_sites_cluster now = {0};
        bool away = fgi_sites_cluster_read(round->how->config, &now, NULL) == 0 && !fgi_sites_node_of(&now, name);
        fgi_sites_cluster_clear(&now);
        return away;
}

static void shrink(struct fgi_sites_round *round, struct fgi_sites_site *site)
{
        json_t *machine;
        const char *name;
        char why[200];
        json_object_foreach(json_object_get(site->record, "machines"), name, machine)
        {
                const char *node = fgi_sites_text(machine, "node"); /* as the machine, until it has joined */
                if (!round->how->dry && !json_object_get(machine, "ended")) /* left by a round that did not end */
                        open_node(round, machine);
                bool late = is_late(round, site, machine), idle = is_over(round, at(machine, "idle"), site->offer->idle);
                if ((!late && (!idle || site->pool.size <= site->offer->least)) || (at(machine, "ended") && !is_over(round, at(machine, "ended"), site->offer->wait)))
                        continue;
                printf("%s: ends %s, which %s\n", site->offer->name, node, late ? "did not become a node" : "nobody uses");
                if (round->how->dry)
                        continue;
                if (idle ? !close_node(round, site, machine) : !has_not_come(round, name))
                        continue;
                end_machine(round, site, name, machine);
                snprintf(why, sizeof why, late ? "%.60s did not become a node in %" PRIu64 " s" : "%.60s was there for pods, which did not come to it in %" PRIu64 " s",
                         node, late ? site->offer->wait : site->offer->idle);
                if (late || site->counted_on)
                        set_aside(site, round->now, why);
        }
}

static void finish(struct fgi_sites_round *round, struct fgi_sites_site *site)
{
        struct fg_error err = {0};
        if (site->known) {
                give_up_missing(round, site);
                shrink(round, site);
        }
        if (!round->how->dry && keep(round, site, &err) < 0)
                fgi_sites_round_failed(round, site, err.code, err.text);
}

/* Nodes of a site that is no longer in the file: nobody else would say that they are paid for. */
static void tell_of_strays(struct fgi_sites_round *round)
{
        DIR *folder = opendir(round->place->state);
        struct dirent *entry;
        while (folder && (entry = readdir(folder))) {
                char *end = strstr(entry->d_name, FGI_SITES_POOL);
                bool known = false;
                if (!end || end[strlen(FGI_SITES_POOL)])
                        continue;
                *end = '\0';
                for (unsigned i = 0; i < round->count; i++)
                        known |= fgi_sites_is_pool(round->site[i].offer) && strcmp(round->site[i].offer->name, entry->d_name) == 0;
                json_t *record = known ? NULL : fgi_sites_load_record(round->place, entry->d_name, FGI_SITES_POOL);
                const char *first = json_object_iter_key(json_object_iter(json_object_get(record, "machines")));
                if (first && round->r == 0)
                        round->r = fg_error_set(round->err, -ENOENT, "site %s has %s and is no longer in the sites file: put it back, or end its nodes by hand and delete %s/%s" FGI_SITES_POOL,
                                                entry->d_name, first, round->place->state, entry->d_name);
                json_decref(record);
        }
        if (folder)
                closedir(folder);
}

int fgi_sites_scale(const struct fgi_sites_place *place, const struct fgi_sites_scale *how, struct fg_error *err)
{
        struct fgi_sites_round round = {.place = place, .how = how, .now = time(NULL), .count = place->sites->count, .err = err};
        fg_autoclose int held = -1;
        int r = fgi_sites_lock(place, "scale", &held, err);
        if (r == 0)
                r = fgi_sites_cluster_read(how->config, &round.cluster, err);
        if (r == 0) {
                fgi_sites_round_open(&round);
                for (unsigned i = 0; i < round.count; i++)
                        if (fgi_sites_is_pool(round.site[i].offer))
                                read_site(&round, &round.site[i]);
                do
                        settle_all(&round);
                while (!grow(&round));
                fgi_sites_round_tell(&round);
                for (unsigned i = 0; i < round.count; i++)
                        if (fgi_sites_is_pool(round.site[i].offer))
                                finish(&round, &round.site[i]);
                tell_of_strays(&round);
                r = round.r;
        }
        fgi_sites_round_close(&round);
        return r;
}

void fgi_sites_pool_nodes(const struct fgi_sites_place *place, json_t *list)
{
        for (unsigned i = 0; i < place->sites->count; i++) {
                json_t *record = fgi_sites_load_record(place, place->sites->offer[i].name, FGI_SITES_POOL), *one;
                const char *name;
                char cost[40];
                json_object_foreach(json_object_get(record, "machines"), name, one)
                {
                        json_t *shown = json_copy(one);
                        json_object_set_new(shown, "id", json_string(name));
                        json_object_set_new(shown, "state", json_string(at(one, "ended") ? "ending" : json_object_get(one, "joined") ? "up" : "starting"));
                        json_object_set_new(shown, "cost", json_string(fgi_sites_money(fgi_sites_cost(one, time(NULL)), cost, sizeof cost)));
                        json_array_append_new(list, shown);
                }
                json_decref(record);
        }
}
