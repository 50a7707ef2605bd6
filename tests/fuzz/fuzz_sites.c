/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-sites' inputs. The first byte says which: 'f' a sites file, 'p' what an API server says of pods, nodes and claims, 'a' what aws, az and
 * kubectl answer, behind a letter for the provider. A file that is taken is complete and has its order; what pods ask for fits into numbers, and room
 * once taken is not there twice; what is taken from an answer can be a word of the next command. */
#include "integrations/sites/room.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- instead of other people's programs: each answers with the next line --- */

static const char *answers;
static size_t answers_left;

int __wrap_fgi_sites_run(const struct fgi_sites_words *words, const char *variable, uint64_t seconds, char **ret_out, struct fg_error *err);
int __wrap_fgi_sites_run(const struct fgi_sites_words *words, const char *variable, uint64_t seconds, char **ret_out, struct fg_error *err)
{
        const char *end = memchr(answers, '\n', answers_left);
        size_t len = end ? (size_t)(end - answers) : answers_left, skip = len + (end != NULL);
        assert(words->count > 2 && words->word[words->count] == NULL);
        for (unsigned i = 0; i < words->count; i++)
                assert(*words->word[i] || strcmp(words->word[0], "aws") != 0); /* az is told of some that there is none */
        *ret_out = strndup(answers, len);
        assert(*ret_out);
        answers += skip;
        answers_left -= skip;
        return 0;
}

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

static bool is_word(const json_t *text)
{
        return json_is_string(text) && *json_string_value(text) && *json_string_value(text) != '-';
}

static void try_node(const struct fgi_sites_offer *offer)
{
        struct fgi_sites_start start;
        struct fg_error err = {0};
        json_t *found = NULL, *one;
        size_t i;
        if (fgi_sites_provider_start(offer, "n1", "token", &start, &err) == 0)
                assert(*start.id && *start.id != '-');
        else
                assert(*err.text && !*start.id);
        err = (struct fg_error){0};
        assert((fgi_sites_provider_find(offer, "token", &found, &err) < 0) == (*err.text != 0));
        json_array_foreach(found, i, one) assert(is_word(one));
        json_decref(found);
}

static void try_pool(const struct fgi_sites_offer *offer)
{
        struct fgi_sites_pool pool = {0};
        struct fg_error err = {0};
        json_t *one;
        size_t i;
        int r = fgi_sites_pool_read(offer, &pool, &err);
        assert((r < 0) == (*err.text != 0) && (r == 0) == (pool.machines != NULL));
        json_array_foreach(pool.machines, i, one) assert(is_word(one));
        if (r == 0 && fgi_sites_pool_resize(offer, &pool, pool.size + 1, &err) == 0)
                fgi_sites_pool_drop(offer, &pool, "m", &err);
        json_decref(pool.machines);
}

static void try_answers(char provider, const char *text, size_t size)
{
        static const char *const names[] = {"local", "aws", "azure", "eks", "aks", "cluster-api"};
        struct fgi_sites_offer offer = {.name = "a", .program = "p", .region = "r", .group = "g", .cluster = "c", .pool = "p", .space = "s"};
        unsigned which = (unsigned char)provider % 6;
        snprintf(offer.provider, sizeof offer.provider, "%s", names[which]);
        answers = text;
        answers_left = size;
        if (fgi_sites_is_pool(&offer))
                try_pool(&offer);
        else
                try_node(&offer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size > 2 && data[0] == 'a')
                try_answers((char)data[1], (const char *)data + 2, size - 2);
        if (size > 1 && data[0] == 'f')
                try_file(data + 1, size - 1);
        if (size > 1 && data[0] == 'p')
                try_cluster((const char *)data + 1, size - 1);
        return 0;
}
