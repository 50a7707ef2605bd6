/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/sites/sites.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char *trim(char *text)
{
        text += strspn(text, " \t\r\n");
        size_t len = strlen(text);
        while (len && strchr(" \t\r\n", text[len - 1]))
                text[--len] = 0;
        return text;
}

bool fgi_sites_is_private(const struct fgi_sites_offer *offer)
{
        return strcmp(offer->provider, "private") == 0;
}

static int take_price(const char *text, uint64_t *ret, struct fg_error *err)
{
        uint64_t whole = 0, part = 0, unit = 1000000;
        const char *at = text;
        for (; isdigit((unsigned char)*at) && whole < 1000000; at++)
                whole = whole * 10 + (uint64_t)(*at - '0');
        bool digits = at > text;
        if (*at == '.')
                for (at++; isdigit((unsigned char)*at) && unit > 1; at++) {
                        unit /= 10;
                        part += (uint64_t)(*at - '0') * unit;
                }
        if (!digits || *at || whole >= 1000000)
                return fg_error_set(err, -EINVAL, "price \"%.40s\" is no amount for an hour, such as 1.25", text);
        *ret = whole * 1000000 + part;
        return 0;
}

static int take_size(const char *text, uint64_t *ret, struct fg_error *err)
{
        return fg_size_parse(text, 0, ret, err);
}

static int take_seconds(const char *text, uint64_t *ret, struct fg_error *err)
{
        return fg_duration_parse("timeout", text, 86400, ret, err);
}

static int take_nodes(const char *text, uint64_t *ret, struct fg_error *err)
{
        return fg_count_parse("nodes of a pool", text, 0, 1000, ret, err);
}

static int take_count(const char *text, uint64_t *ret, struct fg_error *err)
{
        return fg_count_parse("count", text, 1, 4096, ret, err);
}

#define TEXT(n, field)       {n, offsetof(struct fgi_sites_offer, field), sizeof(((struct fgi_sites_offer *)0)->field), NULL}
#define NUMBER(n, field, fn) {n, offsetof(struct fgi_sites_offer, field), 0, fn}
static const struct key {
        const char *name;
        size_t at, size;
        int (*number)(const char *text, uint64_t *ret, struct fg_error *err);
} key_table[] = {
        TEXT("provider", provider), TEXT("nodes", nodes), TEXT("currency", currency), TEXT("model", model), TEXT("program", program),
        TEXT("region", region), TEXT("image", image), TEXT("type", type), TEXT("subnet", subnet), TEXT("security-group", security_group),
        TEXT("resource-group", group), TEXT("user", user), TEXT("key", key), TEXT("credentials", credentials),
        TEXT("cluster", cluster), TEXT("pool", pool), TEXT("namespace", space), TEXT("labels", labels), NUMBER("least", least, take_nodes),
        NUMBER("most", most, take_nodes), NUMBER("idle", idle, take_seconds), NUMBER("wait", wait, take_seconds),
        NUMBER("price", price_micro, take_price), NUMBER("memory", memory, take_size), NUMBER("ram", ram, take_size), NUMBER("gpus", gpus, take_count),
        NUMBER("cpus", cpus, take_count), NUMBER("timeout", timeout, take_seconds),
};

static int take(struct fgi_sites_offer *offer, const char *name, const char *value, struct fg_error *err)
{
        for (size_t i = 0; i < sizeof key_table / sizeof *key_table; i++) {
                const struct key *key = &key_table[i];
                char *at = (char *)offer + key->at;
                if (strcmp(key->name, name) != 0)
                        continue;
                if (key->number)
                        return key->number(value, (uint64_t *)(void *)at, err);
                if (strlen(value) >= key->size)
                        return fg_error_set(err, -EINVAL, "%s is longer than %zu letters", name, key->size - 1);
                strcpy(at, value);
                return 0;
        }
        return fg_error_set(err, -EINVAL, "there is no \"%.40s\" in a site; see the sites file's page", name);
}

int fgi_sites_check_secret(const char *path, struct fg_error *err)
{
        struct stat st;
        if (stat(path, &st) < 0)
                return fg_error_set(err, -errno, "credentials %s: %m", path);
        if (st.st_mode & (S_IRWXG | S_IRWXO))
                return fg_error_set(err, -EPERM, "credentials %s can be read by others (mode %03o): chmod %s %s", path, (unsigned)st.st_mode & 0777,
                                    S_ISDIR(st.st_mode) ? "700" : "600", path);
        return 0;
}

static const char *missing(const struct fgi_sites_offer *o)
{
        const struct {
                const char *provider, *name, *value;
        } needs[] = {{"aws", "image", o->image}, {"aws", "type", o->type}, {"aws", "region", o->region}, {"azure", "resource-group", o->group},
                     {"azure", "image", o->image}, {"azure", "type", o->type}, {"local", "program", o->program}, {"eks", "region", o->region}, {"eks", "cluster", o->cluster},
                     {"aks", "resource-group", o->group}, {"aks", "cluster", o->cluster}, {"cluster-api", "namespace", o->space}};
        if (!fgi_sites_is_pool(o) && !*o->nodes)
                return "nodes";
        if (fgi_sites_is_pool(o) && (!*o->pool || !o->most))
                return *o->pool ? "most" : "pool";
        for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
                if (strcmp(needs[i].provider, o->provider) == 0 && !*needs[i].value)
                        return needs[i].name;
        return !fgi_sites_is_private(o) && !o->price_micro ? "price" : !fgi_sites_is_private(o) && !*o->currency ? "currency" : NULL;
}

/* az reads a folder, aws a file. */
static int check_credentials(const struct fgi_sites_offer *o, struct fg_error *err)
{
        struct stat st;
        bool folder = stat(o->credentials, &st) == 0 && S_ISDIR(st.st_mode), wanted = strcmp(o->provider, "azure") == 0 || strcmp(o->provider, "aks") == 0;
        int r = fgi_sites_check_secret(o->credentials, err);
        if (r == 0 && folder != wanted)
                r = fg_error_set(err, -EINVAL, "site %s: credentials of %s are a %s, which %s is not", o->name, o->provider,
                                 wanted ? "folder (AZURE_CONFIG_DIR, filled by az login)" : "file", o->credentials);
        return r;
}

static int check(const struct fgi_sites *sites, unsigned at, struct fg_error *err)
{
        const struct fgi_sites_offer *o = &sites->offer[at];
        if (!fgi_sites_provider_known(o->provider))
                return fg_error_set(err, -EINVAL, "site %s: no provider \"%s\"; there are private, local, aws, azure, eks, aks and cluster-api", o->name, o->provider);
        if (missing(o))
                return fg_error_set(err, -EINVAL, "site %s: %s is missing, which provider %s needs", o->name, missing(o), o->provider);
        /* Values become words of a command line: none is to be taken for an option there. */
        for (size_t i = 0; i < sizeof key_table / sizeof *key_table; i++)
                if (!key_table[i].number && ((const char *)o)[key_table[i].at] == '-')
                        return fg_error_set(err, -EINVAL, "site %s: %s begins with '-'", o->name, key_table[i].name);
        for (unsigned i = 0; i < at; i++) {
                if (strcmp(sites->offer[i].name, o->name) == 0)
                        return fg_error_set(err, -EEXIST, "there are two sites %s", o->name);
                if (*sites->offer[i].currency && *o->currency && strcmp(sites->offer[i].currency, o->currency) != 0)
                        return fg_error_set(err, -EINVAL, "site %s has prices in %s and site %s in %s: which is cheaper cannot be said", sites->offer[i].name,
                                            sites->offer[i].currency, o->name, o->currency);
        }
        return *o->credentials ? check_credentials(o, err) : 0;
}

static int line(struct fgi_sites *sites, char *text, struct fg_error *err)
{
        char *name = trim(text), *equals = strchr(name, '=');
        size_t len = strlen(name);
        if (!*name || *name == '#')
                return 0;
        if (*name == '[' && name[len - 1] == ']') {
                name[len - 1] = 0;
                if (sites->count == FGI_SITES_OFFERS)
                        return fg_error_set(err, -E2BIG, "there are more than %u sites", FGI_SITES_OFFERS);
                if (fg_name_check(name + 1, err) < 0)
                        return -EINVAL;
                struct fgi_sites_offer *offer = &sites->offer[sites->count++];
                *offer = (struct fgi_sites_offer){.gpus = 1, .cpus = 1, .timeout = 300, .idle = 600, .wait = 900};
                strcpy(offer->name, name + 1);
                return 0;
        }
        if (!sites->count || !equals)
                return fg_error_set(err, -EINVAL, "\"%.40s\" is neither [SITE] nor, below one, NAME = VALUE", name);
        *equals = 0;
        return take(&sites->offer[sites->count - 1], trim(name), trim(equals + 1), err);
}

static void close_file(FILE **file)
{
        if (*file)
                fclose(*file);
}

int fgi_sites_load(const char *path, struct fgi_sites *ret, struct fg_error *err)
{
        char text[1024];
        ret->count = 0;
        FG_CLEANUP(close_file) FILE *file = fopen(path, "re");
        if (!file)
                return errno == ENOENT ? fg_error_set(err, -ENOENT, "%s: there is no sites file; fastgpu-sites(8) shows one, and --file names another", path)
                                       : fg_error_set(err, -errno, "%s: %m", path);
        for (unsigned number = 1; fgets(text, sizeof text, file); number++) {
                struct fg_error why = {0};
                if (line(ret, text, &why) < 0)
                        return fg_error_set(err, -EINVAL, "%s, line %u: %s", path, number, why.text);
        }
        for (unsigned i = 0; i < ret->count; i++)
                if (check(ret, i, err) < 0)
                        return fg_error_wrap(err, -EINVAL, "%s", path);
        return ret->count ? 0 : fg_error_set(err, -ENOENT, "%s has no site: write [NAME] and below it provider, nodes, price", path);
}
