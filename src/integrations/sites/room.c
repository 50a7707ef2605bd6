/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/sites/room.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GPUS_MAX 16u /* of a node, as far as room is counted */

struct fgi_sites_room {
        const struct fgi_sites_site *site;
        bool there;
        unsigned gpus;
        uint64_t memory[GPUS_MAX]; /* free */
        uint32_t permille[GPUS_MAX];
};

void fgi_sites_room_add(struct fgi_sites_round *round, const struct fgi_sites_site *site, bool there)
{
        struct fgi_sites_room *more = realloc(round->room, (round->rooms + 1) * sizeof *more);
        if (!more)
                return;
        round->room = more;
        struct fgi_sites_room *room = &more[round->rooms++];
        *room = (struct fgi_sites_room){.site = site, .there = there, .gpus = site->offer->gpus < GPUS_MAX ? (unsigned)site->offer->gpus : GPUS_MAX};
        for (unsigned i = 0; i < room->gpus; i++) {
                room->memory[i] = site->offer->memory;
                room->permille[i] = 1000;
        }
}

static bool take(struct fgi_sites_room *room, const struct fgi_sites_wish *wish)
{
        struct fgi_sites_room left = *room;
        bool whole = !wish->memory && !wish->permille;
        if (wish->gpus > left.gpus * 1000ull)
                return false;
        for (uint64_t n = 0; n < wish->gpus; n++) {
                unsigned i = 0;
                while (i < left.gpus && (left.memory[i] < wish->memory || left.permille[i] < (whole ? 1000 : wish->permille)))
                        i++;
                if (i == left.gpus)
                        return false;
                left.memory[i] = whole ? 0 : left.memory[i] - wish->memory;
                left.permille[i] -= whole ? 1000 : wish->permille;
        }
        *room = left;
        return true;
}

bool fgi_sites_room_take(struct fgi_sites_round *round, struct fgi_sites_site *site, const struct fgi_sites_wish *wish)
{
        for (size_t i = 0; i < round->rooms; i++) {
                struct fgi_sites_room *room = &round->room[i];
                if (room->site == site && take(room, wish)) {
                        site->counted_on |= room->there;
                        return true;
                }
        }
        return false;
}

/* Nodes that are there unused, that are starting, and that are to come. */
static void add_rooms(struct fgi_sites_round *round, struct fgi_sites_site *site)
{
        json_t *machine;
        const char *name;
        uint64_t listed = 0;
        json_object_foreach(json_object_get(site->record, "machines"), name, machine)
        {
                bool there = json_object_get(machine, "joined");
                if (json_object_get(machine, "ended"))
                        continue;
                listed++;
                if (!there || (json_object_get(machine, "idle") && !json_is_true(json_object_get(machine, "cordoned"))))
                        fgi_sites_room_add(round, site, there);
        }
        for (; listed < site->pool.size; listed++)
                fgi_sites_room_add(round, site, false);
}

void fgi_sites_round_open(struct fgi_sites_round *round)
{
        fgi_sites_order(round->place->sites, round->order);
        for (unsigned i = 0; i < round->count; i++)
                round->site[i].offer = &round->place->sites->offer[i];
        round->spent = json_object();
        round->notes = json_array();
}

void fgi_sites_round_begin(struct fgi_sites_round *round)
{
        round->rooms = 0;
        json_array_clear(round->notes);
        for (unsigned i = 0; i < round->count; i++) {
                struct fgi_sites_site *site = &round->site[i];
                site->target = site->pool.size;
                site->counted_on = false;
                if (site->known)
                        add_rooms(round, site);
        }
}

void fgi_sites_round_close(struct fgi_sites_round *round)
{
        for (unsigned i = 0; i < round->count; i++) {
                json_decref(round->site[i].record);
                json_decref(round->site[i].gone);
                json_decref(round->site[i].pool.machines);
        }
        free(round->room);
        json_decref(round->spent);
        json_decref(round->notes);
        fgi_sites_cluster_clear(&round->cluster);
}

void fgi_sites_round_failed(struct fgi_sites_round *round, struct fgi_sites_site *site, int r, const char *why)
{
        site->known = false;
        snprintf(site->problem, sizeof site->problem, "%s", why);
        if (round->r == 0)
                round->r = fg_error_set(round->err, r, "site %s: %.400s", site->offer->name, why);
}

void fgi_sites_round_note(struct fgi_sites_round *round, json_t *pod, const char *text)
{
        json_array_append_new(round->notes, json_pack("{s:O, s:s}", "pod", pod, "text", text));
}

void fgi_sites_round_tell(struct fgi_sites_round *round)
{
        json_t *note;
        size_t i;
        json_array_foreach(round->notes, i, note)
        {
                json_t *pod = json_object_get(note, "pod");
                printf("%s/%s: %s\n", fgi_sites_space_of(pod), fgi_sites_name_of(pod), fgi_sites_text(note, "text"));
                if (!round->how->dry)
                        fgi_sites_pod_note(&round->cluster, pod, fgi_sites_text(note, "text"));
        }
}

static bool has_label(const char *labels, const char *name, const char *value)
{
        char wanted[400], all[600];
        snprintf(wanted, sizeof wanted, ",%s=%s,", name, value);
        snprintf(all, sizeof all, ",%s,", labels);
        return strstr(all, wanted);
}

bool fgi_sites_pod_keeps_away(json_t *pod, const struct fgi_sites_offer *offer, char *ret, size_t len)
{
        const char *name;
        json_t *value;
        if (fgi_sites_at(pod, "spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution")) {
                snprintf(ret, len, "the pod's node affinity is not read: write nodeSelector");
                return true;
        }
        json_object_foreach(fgi_sites_at(pod, "spec/nodeSelector"), name, value) if (!has_label(offer->labels, name, json_string_value(value) ? json_string_value(value) : ""))
        {
                snprintf(ret, len, "its labels lack the pod's %.80s=%.80s", name, json_string_value(value) ? json_string_value(value) : "");
                return true;
        }
        return false;
}
