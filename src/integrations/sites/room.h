/* SPDX-License-Identifier: Apache-2.0
 * A round of scale.c: what it knows of each site, and the room on nodes that are there unused or coming, which pods that wait take up. */
#ifndef FGI_SITES_ROOM_H
#define FGI_SITES_ROOM_H

#include "integrations/sites/sites.h"

struct fgi_sites_site {
        const struct fgi_sites_offer *offer;
        bool known;                 /* `pool` is as it is now */
        char problem[FG_ERROR_MAX]; /* why it is not */
        struct fgi_sites_pool pool;
        json_t *record;
        uint64_t target;            /* nodes it is to have */
        json_t *gone;               /* machines that are no longer there and are not in the log yet */
        bool grown, counted_on;     /* a pod was given room on a node that is there unused */
};

struct fgi_sites_room;

struct fgi_sites_round {
        const struct fgi_sites_place *place;
        const struct fgi_sites_scale *how;
        struct fgi_sites_cluster cluster;
        time_t now;
        unsigned count, order[FGI_SITES_OFFERS];
        struct fgi_sites_site site[FGI_SITES_OFFERS];
        struct fgi_sites_room *room; /* of each node that has some */
        size_t rooms;
        json_t *spent, *notes;       /* project -> site -> what its nodes of this round cost, in millionths; of pods */
        struct fg_error *err;        /* the first failure, and */
        int r;                       /* its code */
};

void fgi_sites_round_open(struct fgi_sites_round *round);
/* Before pods are settled, also once more: room, notes and targets as the pools are. */
void fgi_sites_round_begin(struct fgi_sites_round *round);
void fgi_sites_round_close(struct fgi_sites_round *round);
/* The site's pool is left alone in this round. */
void fgi_sites_round_failed(struct fgi_sites_round *round, struct fgi_sites_site *site, int r, const char *why);
void fgi_sites_round_note(struct fgi_sites_round *round, json_t *pod, const char *text);
/* The notes to the pods, and to standard output. */
void fgi_sites_round_tell(struct fgi_sites_round *round);

/* A node's worth more; `there`: it is a node already. */
void fgi_sites_room_add(struct fgi_sites_round *round, const struct fgi_sites_site *site, bool there);
/* false: no node of the site has it free. */
bool fgi_sites_room_take(struct fgi_sites_round *round, struct fgi_sites_site *site, const struct fgi_sites_wish *wish);

/* The pod asks for other nodes than the pool's, by their labels; `ret` says how. */
bool fgi_sites_pod_keeps_away(json_t *pod, const struct fgi_sites_offer *offer, char *ret, size_t len);

#endif
