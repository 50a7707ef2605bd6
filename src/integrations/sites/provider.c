/* SPDX-License-Identifier: Apache-2.0
 * A row for each provider: what its own command line is told, and where its answer has what. Values go in as words, never through a shell;
 * credentials go in as the name of a file. tests/sites has the same as recorded contracts. */
#include "integrations/sites/sites.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef void words_fn(const struct fgi_sites_offer *o, const char *subject, const char *token, struct fgi_sites_words *w);

json_t *fgi_sites_at(json_t *json, const char *path)
{
        char part[64];
        while (json && *path) {
                size_t n = strcspn(path, "/");
                snprintf(part, sizeof part, "%.*s", (int)n, path);
                json = *part >= '0' && *part <= '9' ? json_array_get(json, (size_t)(*part - '0')) : json_object_get(json, part);
                path += n + (path[n] == '/');
        }
        return json;
}

static void add_pair(struct fgi_sites_words *w, const char *option, const char *value)
{
        if (!*value)
                return;
        fgi_sites_add(w, "%s", option);
        fgi_sites_add(w, "%s", value);
}

static void aws(struct fgi_sites_words *w, const struct fgi_sites_offer *o, const char *action)
{
        fgi_sites_add(w, "aws");
        fgi_sites_add(w, "ec2");
        fgi_sites_add(w, "%s", action);
        add_pair(w, "--region", o->region);
        add_pair(w, "--output", "json");
}

/* The client token makes AWS start one instance, however often it is asked. */
static void aws_start(const struct fgi_sites_offer *o, const char *node, const char *token, struct fgi_sites_words *w)
{
        aws(w, o, "run-instances");
        add_pair(w, "--image-id", o->image);
        add_pair(w, "--instance-type", o->type);
        add_pair(w, "--count", "1");
        add_pair(w, "--client-token", token);
        add_pair(w, "--subnet-id", o->subnet);
        add_pair(w, "--security-group-ids", o->security_group);
        add_pair(w, "--key-name", o->key);
        fgi_sites_add(w, "--tag-specifications");
        fgi_sites_add(w, "ResourceType=instance,Tags=[{Key=Name,Value=%s},{Key=fastgpu,Value=%s}]", node, token);
}

static void aws_find(const struct fgi_sites_offer *o, const char *subject, const char *token, struct fgi_sites_words *w)
{
        aws(w, o, "describe-instances");
        fgi_sites_add(w, "--filters");
        fgi_sites_add(w, "Name=tag:fastgpu,Values=%s", token);
        fgi_sites_add(w, "Name=instance-state-name,Values=pending,running,stopping,stopped");
        add_pair(w, "--query", "Reservations[].Instances[].InstanceId");
}

static void aws_stop(const struct fgi_sites_offer *o, const char *id, const char *token, struct fgi_sites_words *w)
{
        aws(w, o, "terminate-instances");
        add_pair(w, "--instance-ids", id);
}

static void az(struct fgi_sites_words *w, const char *action)
{
        fgi_sites_add(w, "az");
        fgi_sites_add(w, "vm");
        fgi_sites_add(w, "%s", action);
        add_pair(w, "--output", "json");
}

/* Disk and network interface go with the machine: left behind, they are billed. */
static void azure_start(const struct fgi_sites_offer *o, const char *node, const char *token, struct fgi_sites_words *w)
{
        az(w, "create");
        add_pair(w, "--resource-group", o->group);
        add_pair(w, "--location", o->region);
        add_pair(w, "--name", node);
        add_pair(w, "--image", o->image);
        add_pair(w, "--size", o->type);
        add_pair(w, "--subnet", o->subnet);
        /* Not given, az makes one for each machine, which stays. */
        fgi_sites_add(w, "--nsg");
        fgi_sites_add(w, "%s", o->security_group);
        add_pair(w, "--admin-username", o->user);
        add_pair(w, "--ssh-key-values", o->key);
        add_pair(w, "--os-disk-delete-option", "Delete");
        add_pair(w, "--nic-delete-option", "Delete");
        fgi_sites_add(w, "--public-ip-address");
        fgi_sites_add(w, "%s", "");
        fgi_sites_add(w, "--tags");
        fgi_sites_add(w, "fastgpu=%s", token);
}

static void azure_find(const struct fgi_sites_offer *o, const char *subject, const char *token, struct fgi_sites_words *w)
{
        az(w, "list");
        add_pair(w, "--resource-group", o->group);
        fgi_sites_add(w, "--query");
        fgi_sites_add(w, "[?tags.fastgpu=='%s'].id", token);
}

static void azure_stop(const struct fgi_sites_offer *o, const char *id, const char *token, struct fgi_sites_words *w)
{
        az(w, "delete");
        add_pair(w, "--ids", id);
        fgi_sites_add(w, "--yes");
}

static void local(const struct fgi_sites_offer *o, const char *action, const char *first, const char *second, struct fgi_sites_words *w)
{
        fgi_sites_add(w, "%s", o->program);
        fgi_sites_add(w, "%s", action);
        fgi_sites_add(w, "%s", first);
        if (second)
                fgi_sites_add(w, "%s", second);
}

static void local_start(const struct fgi_sites_offer *o, const char *node, const char *token, struct fgi_sites_words *w)
{
        local(o, "start", node, token, w);
}

static void local_find(const struct fgi_sites_offer *o, const char *subject, const char *token, struct fgi_sites_words *w)
{
        local(o, "find", token, NULL, w);
}

static void local_stop(const struct fgi_sites_offer *o, const char *id, const char *token, struct fgi_sites_words *w)
{
        local(o, "stop", id, NULL, w);
}

static const struct provider {
        const char *name;
        words_fn *start, *find, *stop;
        const char *id, *address; /* in the answer to start */
        const char *secret;       /* the variable that names the credentials file; of azure, the folder that `az login` has filled */
} provider_table[] = {
        {"private", NULL, NULL, NULL, NULL, NULL, NULL},
        {"local", local_start, local_find, local_stop, "id", "address", NULL},
        {"aws", aws_start, aws_find, aws_stop, "Instances/0/InstanceId", "Instances/0/PrivateIpAddress", "AWS_SHARED_CREDENTIALS_FILE"},
        {"azure", azure_start, azure_find, azure_stop, "id", "privateIpAddress", "AZURE_CONFIG_DIR"},
        /* Pools: pool.c. */
        {"eks", NULL, NULL, NULL, NULL, NULL, "AWS_SHARED_CREDENTIALS_FILE"},
        {"aks", NULL, NULL, NULL, NULL, NULL, "AZURE_CONFIG_DIR"},
        {"cluster-api", NULL, NULL, NULL, NULL, NULL, "KUBECONFIG"},
};

static const struct provider *provider_of(const char *name)
{
        for (size_t i = 0; i < sizeof provider_table / sizeof *provider_table; i++)
                if (strcmp(provider_table[i].name, name) == 0)
                        return &provider_table[i];
        return NULL;
}

bool fgi_sites_provider_known(const char *name)
{
        return provider_of(name) != NULL;
}

int fgi_sites_provider_ask(const struct fgi_sites_offer *o, const struct fgi_sites_words *words, json_t **ret, struct fg_error *err)
{
        const struct provider *p = provider_of(o->provider);
        fg_autofree char *out = NULL, *variable = NULL;
        json_error_t why;
        char said[61];
        if (*o->credentials && p && p->secret) {
                int r = fgi_sites_check_secret(o->credentials, err);
                if (r < 0)
                        return r;
                if (asprintf(&variable, "%s=%s", p->secret, o->credentials) < 0)
                        return fg_error_set(err, -ENOMEM, "out of memory");
        }
        int r = fgi_sites_run(words, variable, o->timeout, &out, err);
        if (r < 0 || !ret)
                return r;
        *ret = json_loads(out, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
        if (!*ret)
                return fg_error_set(err, -EPROTO, "%s answered what is no JSON: \"%s\"", words->word[0], fgi_sites_quote(out, said, sizeof said));
        return 0;
}

static int call(const struct fgi_sites_offer *o, words_fn *fill, const char *subject, const char *token, json_t **ret, struct fg_error *err)
{
        fgi_sites_autowords struct fgi_sites_words words = {0};
        if (!fill)
                return fg_error_set(err, -EOPNOTSUPP, "nodes of a private site are there: nothing starts or stops them");
        fill(o, subject, token, &words);
        return fgi_sites_provider_ask(o, &words, ret, err);
}

int fgi_sites_provider_start(const struct fgi_sites_offer *offer, const char *node, const char *token, struct fgi_sites_start *ret, struct fg_error *err)
{
        const struct provider *p = provider_of(offer->provider);
        json_t *answer = NULL;
        *ret = (struct fgi_sites_start){0};
        int r = call(offer, p->start, node, token, &answer, err);
        if (r < 0)
                return r;
        const char *id = json_string_value(fgi_sites_at(answer, p->id)), *address = json_string_value(fgi_sites_at(answer, p->address));
        if (!id || !*id || *id == '-' || strlen(id) >= sizeof ret->id)
                r = fg_error_set(err, -EPROTO, "%s answered without %s", offer->provider, p->id);
        else
                strcpy(ret->id, id);
        if (r == 0 && address)
                snprintf(ret->address, sizeof ret->address, "%s", address);
        json_decref(answer);
        return r;
}

int fgi_sites_provider_find(const struct fgi_sites_offer *offer, const char *token, json_t **ret, struct fg_error *err)
{
        json_t *answer = NULL, *one;
        size_t i;
        int r = call(offer, provider_of(offer->provider)->find, "", token, &answer, err);
        if (r < 0)
                return r;
        if (!json_is_array(answer))
                r = fg_error_set(err, -EPROTO, "%s answered no list of what there is", offer->provider);
        json_array_foreach(answer, i, one) if (r == 0 && (!json_is_string(one) || !*json_string_value(one) || *json_string_value(one) == '-'))
                r = fg_error_set(err, -EPROTO, "%s answered a list of what are no ids", offer->provider);
        if (r < 0)
                json_decref(answer);
        else
                *ret = answer;
        return r;
}

int fgi_sites_provider_stop(const struct fgi_sites_offer *offer, const char *id, struct fg_error *err)
{
        return call(offer, provider_of(offer->provider)->stop, id, "", NULL, err);
}
