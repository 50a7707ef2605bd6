/* SPDX-License-Identifier: Apache-2.0
 * A node's file is written before its provider is asked, and goes when nothing of it is left. Whatever happens in between, killed or lost
 * answers included, what was started is found again by the token in it. */
#include "integrations/sites/sites.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define STARTING "starting"
#define UP       "up"
#define LEFT     "left" /* to be taken back, which failed, or is not known to be done */
#define LATE_SEC 600    /* a provider's list may lack for so long what has just been started */

static const struct fgi_sites_offer *offer_of(const struct fgi_sites_place *place, const json_t *kept)
{
        for (unsigned i = 0; i < place->sites->count; i++)
                if (strcmp(place->sites->offer[i].name, fgi_sites_text(kept, "site")) == 0)
                        return &place->sites->offer[i];
        return NULL;
}

/* The list had nothing of it, which is no proof yet. It is remembered by its token, so that the node's name is free, and asked for again. */
static int put_aside(const struct fgi_sites_place *place, const char *node, json_t *kept, struct fg_error *err)
{
        const char *token = fgi_sites_text(kept, "token");
        json_object_set_new(kept, "state", json_string(LEFT));
        int r = strcmp(token, node) == 0 ? 0 : fgi_sites_keep_record(place, token, FGI_SITES_NODE, kept, err);
        if (r == 0 && strcmp(token, node) != 0)
                fgi_sites_forget_record(place, node, FGI_SITES_NODE);
        return r;
}

static bool may_come_late(const json_t *kept)
{
        return time(NULL) < json_integer_value(json_object_get(kept, "since")) + LATE_SEC;
}

/* Stops what the file names and what the provider knows by its token. Until that is done the file stays. */
static int take_back(const struct fgi_sites_place *place, const char *node, json_t *kept, struct fg_error *err)
{
        const struct fgi_sites_offer *offer = offer_of(place, kept);
        const char *id = fgi_sites_text(kept, "id");
        json_t *found = NULL, *one;
        size_t i;
        if (!offer)
                return fg_error_set(err, -ENOENT, "%s was started at site %s, which is no longer in the sites file: put it back, or end %s there by hand", node,
                                    fgi_sites_text(kept, "site"), *id ? id : "it");
        int r = *id ? fgi_sites_provider_stop(offer, id, err) : fgi_sites_provider_find(offer, fgi_sites_text(kept, "token"), &found, err);
        json_array_foreach(found, i, one) if (r == 0)
                r = fgi_sites_provider_stop(offer, json_string_value(one), err);
        bool there = *id || json_array_size(found);
        json_decref(found);
        if (r == 0 && !there && may_come_late(kept))
                return put_aside(place, node, kept, err);
        if (r < 0) {
                json_object_set_new(kept, "state", json_string(LEFT));
                fgi_sites_keep_record(place, node, FGI_SITES_NODE, kept, NULL);
                return r;
        }
        if (*id)
                fgi_sites_log(place, kept);
        fgi_sites_forget_record(place, node, FGI_SITES_NODE);
        return 0;
}

static json_t *new_record(const struct fgi_sites_offer *offer, const char *node)
{
        unsigned char noise[8];
        char token[64];
        if (getrandom(noise, sizeof noise, 0) != sizeof noise)
                return NULL;
        int n = snprintf(token, sizeof token, "fastgpu-%lld-", (long long)time(NULL));
        for (unsigned i = 0; i < sizeof noise; i++)
                n += snprintf(token + n, sizeof token - (size_t)n, "%02x", noise[i]);
        return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "node", node, "site", offer->name, "state", STARTING, "token", token, "since",
                         (json_int_t)time(NULL), "price_micro", (json_int_t)offer->price_micro, "currency", offer->currency);
}

static int roll_back(const struct fgi_sites_place *place, const char *node, json_t *kept, struct fg_error *err)
{
        struct fg_error why = {0};
        if (take_back(place, node, kept, &why) == 0)
                return fg_error_wrap(err, -EIO, "site %s", fgi_sites_text(kept, "site"));
        char first[FG_ERROR_MAX];
        snprintf(first, sizeof first, "%s", err->text);
        return fg_error_set(err, -EIO, "site %s: %.180s; what was started may be there still, for taking it back failed (%.180s): it is tried again",
                            fgi_sites_text(kept, "site"), first, why.text);
}

int fgi_sites_node_start(const struct fgi_sites_place *place, const struct fgi_sites_offer *offer, const char *node, struct fgi_sites_start *ret, struct fg_error *err)
{
        fg_autoclose int held = -1;
        int r = fgi_sites_lock(place, node, &held, err);
        if (r < 0)
                return r;
        json_t *kept = fgi_sites_load_record(place, node, FGI_SITES_NODE);
        *ret = (struct fgi_sites_start){0};
        if (kept && strcmp(fgi_sites_text(kept, "state"), UP) == 0) {
                json_decref(kept);
                return 0;
        }
        /* An earlier start was cut off, or could not be taken back. */
        if (kept)
                r = take_back(place, node, kept, err);
        json_decref(kept);
        if (r < 0)
                return r;
        kept = new_record(offer, node);
        r = kept ? fgi_sites_keep_record(place, node, FGI_SITES_NODE, kept, err) : fg_error_set(err, -ENOMEM, "out of memory");
        if (r < 0)
                fg_error_wrap(err, r, "%s was not started", node);
        if (r == 0) {
                r = fgi_sites_provider_start(offer, node, fgi_sites_text(kept, "token"), ret, err);
                if (r == 0) {
                        json_object_set_new(kept, "id", json_string(ret->id));
                        json_object_set_new(kept, "state", json_string(UP));
                        r = fgi_sites_keep_record(place, node, FGI_SITES_NODE, kept, err);
                }
                if (r < 0)
                        r = roll_back(place, node, kept, err);
        }
        json_decref(kept);
        return r;
}

int fgi_sites_node_stop(const struct fgi_sites_place *place, const char *node, struct fg_error *err)
{
        fg_autoclose int held = -1;
        int r = fgi_sites_lock(place, node, &held, err);
        json_t *kept = r == 0 ? fgi_sites_load_record(place, node, FGI_SITES_NODE) : NULL;
        if (kept)
                r = take_back(place, node, kept, err);
        json_decref(kept);
        return r;
}

static void each_node(const struct fgi_sites_place *place, void (*what)(const struct fgi_sites_place *place, const char *node, void *data), void *data)
{
        DIR *folder = opendir(place->state);
        struct dirent *entry;
        while (folder && (entry = readdir(folder))) {
                char *end = strstr(entry->d_name, ".json");
                if (!end || end[5])
                        continue;
                *end = 0;
                what(place, entry->d_name, data);
        }
        if (folder)
                closedir(folder);
}

struct sweep {
        struct fg_error *err;
        int r;
};

static void sweep_one(const struct fgi_sites_place *place, const char *node, void *data)
{
        struct sweep *sweep = data;
        fg_autoclose int held = -1;
        struct fg_error why = {0};
        int r = fgi_sites_lock(place, node, &held, &why);
        json_t *kept = r == 0 ? fgi_sites_load_record(place, node, FGI_SITES_NODE) : NULL;
        if (kept && strcmp(fgi_sites_text(kept, "state"), UP) != 0)
                r = take_back(place, node, kept, &why);
        json_decref(kept);
        if (r < 0 && sweep->r == 0)
                sweep->r = fg_error_set(sweep->err, r, "%s: %.400s", node, why.text);
}

int fgi_sites_sweep(const struct fgi_sites_place *place, struct fg_error *err)
{
        struct sweep sweep = {.err = err};
        each_node(place, sweep_one, &sweep);
        return sweep.r;
}

static void list_one(const struct fgi_sites_place *place, const char *node, void *data)
{
        char cost[40];
        json_t *kept = fgi_sites_load_record(place, node, FGI_SITES_NODE);
        if (!kept)
                return;
        json_object_set_new(kept, "cost", json_string(fgi_sites_money(fgi_sites_cost(kept, time(NULL)), cost, sizeof cost)));
        json_array_append_new(data, kept);
}

json_t *fgi_sites_nodes(const struct fgi_sites_place *place)
{
        json_t *list = json_array();
        each_node(place, list_one, list);
        return list;
}
