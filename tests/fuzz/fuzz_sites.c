/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-sites' inputs. The first byte says which: 'f' a sites file, 'p' what an API server says of pods, nodes and claims. A file that is taken is
 * complete and has its order; what pods ask for fits into numbers, and room once taken is not there twice. */
#include "integrations/sites/room.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_file(const uint8_t *data, size_t size)
{
        static struct fgi_sites sites;
        struct fg_error err = {0};
        char path[40];
        unsigned order[FGI_SITES_OFFERS];
        int fd = memfd_create("sites", MFD_CLOEXEC);
        assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int r = fgi_sites_load(path, &sites, &err);
        close(fd);
        assert((r < 0) == (err.text[0] != 0));
        if (r < 0)
                return;
        fgi_sites_order(&sites, order);
        for (unsigned i = 0; i < sites.count; i++) {
                const struct fgi_sites_offer *offer = &sites.offer[order[i]];
                assert(offer->gpus > 0 && fgi_sites_provider_known(offer->provider));
                assert(fgi_sites_is_pool(offer) ? *offer->pool && offer->most : *offer->nodes);
                assert(i == 0 || sites.offer[order[i - 1]].price_micro <= offer->price_micro);
        }
}

/* However it is asked for, a GPU's time is given at most once. */
static void try_room(const struct fgi_sites_wish *wish)
{
        static struct fgi_sites_round round;
        struct fgi_sites_offer offer = {.name = "a", .provider = "eks", .gpus = 2, .memory = (uint64_t)80 << 30, .price_micro = 980000};
        struct fgi_sites_site *site = &round.site[0];
        char why[256];
        unsigned taken = 0;
        round = (struct fgi_sites_round){.count = 1};
        site->offer = &offer;
        bool fits = fgi_sites_unfit(&offer, wish, why, sizeof why) == NULL;
        fgi_sites_room_add(&round, site, true);
        while (taken < 3000 && fgi_sites_room_take(&round, site, wish))
                taken++;
        assert((taken > 0) == fits);
        assert(taken * wish->gpus * wish->permille <= 2000 && (wish->memory == 0 || taken * wish->gpus <= ((uint64_t)160 << 30) / wish->memory));
        free(round.room);
}

static void try_cluster(const char *text, size_t size)
{
        json_t *all = json_loadb(text, size, 0, NULL), *pod, *node;
        struct fgi_sites_cluster cluster = {.pods = json_object_get(all, "pods"), .nodes = json_object_get(all, "nodes"), .claims = json_object_get(all, "claims")};
        struct fgi_sites_offer offer = {.name = "a", .provider = "eks", .labels = "gpu=l4"};
        struct fgi_sites_wish wish;
        char why[256];
        size_t i;
        json_array_foreach(cluster.pods, i, pod)
        {
                fgi_sites_pod_waits(pod);
                fgi_sites_pod_keeps_away(pod, &offer, why, sizeof why);
                if (fgi_sites_pod_wish(&cluster, pod, &wish)) {
                        assert(wish.gpus > 0 && wish.memory <= (uint64_t)1 << 50 && wish.permille <= 1000);
                        try_room(&wish);
                }
        }
        json_array_foreach(cluster.nodes, i, node)
        {
                fgi_sites_node_is_used(&cluster, fgi_sites_name_of(node));
                fgi_sites_node_of(&cluster, fgi_sites_name_of(node));
        }
        json_decref(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size > 1 && data[0] == 'f')
                try_file(data + 1, size - 1);
        if (size > 1 && data[0] == 'p')
                try_cluster((const char *)data + 1, size - 1);
        return 0;
}
