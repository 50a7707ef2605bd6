/* SPDX-License-Identifier: Apache-2.0
 * Node pools by the cluster engine's own command lines: how many nodes are asked for, which there are, more of them, and one of them less. A
 * pool is made smaller by its number alone only down to the machines that there are: the engine chooses the node that ends, which may be one that is used. */
#include "integrations/sites/sites.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* NULL ends them. */
static void fill(struct fgi_sites_words *w, const char *first, va_list rest)
{
        for (const char *word = first; word; word = va_arg(rest, const char *))
                fgi_sites_add(w, "%s", word);
}

__attribute__((sentinel)) static int ask(const struct fgi_sites_offer *o, json_t **ret, struct fg_error *err, const char *first, ...)
{
        fgi_sites_autowords struct fgi_sites_words w = {0};
        va_list rest;
        va_start(rest, first);
        fill(&w, first, rest);
        va_end(rest);
        return fgi_sites_provider_ask(o, &w, ret, err);
}

/* Takes both over, and judges them: a number, and a list of names. */
static int take(const struct fgi_sites_offer *o, json_t *size, json_t *machines, struct fgi_sites_pool *ret, struct fg_error *err)
{
        json_t *one;
        size_t i;
        bool fine = json_is_integer(size) && json_integer_value(size) >= 0 && json_integer_value(size) <= 100000 && json_is_array(machines);
        json_array_foreach(machines, i, one) fine &= json_is_string(one) && *json_string_value(one) && *json_string_value(one) != '-';
        *ret = (struct fgi_sites_pool){.size = fine ? (uint64_t)json_integer_value(size) : 0, .machines = fine ? json_incref(machines) : NULL};
        return fine ? 0 : fg_error_set(err, -EPROTO, "%s answered no size and no list of the nodes of pool %s", o->provider, o->pool);
}

/* --- Amazon EKS: the group behind the pool is the truth, of which the pool's own description may be late --- */

static int eks_read(const struct fgi_sites_offer *o, struct fgi_sites_pool *ret, struct fg_error *err)
{
        json_t *name = NULL, *group = NULL;
        int r = ask(o, &name, err, "aws", "eks", "describe-nodegroup", "--region", o->region, "--output", "json", "--cluster-name", o->cluster, "--nodegroup-name",
                    o->pool, "--query", "nodegroup.resources.autoScalingGroups[0].name", NULL);
        if (r == 0 && (!json_is_string(name) || !*json_string_value(name) || *json_string_value(name) == '-'))
                r = fg_error_set(err, -EPROTO, "aws answered no group of nodes behind pool %s", o->pool);
        if (r == 0)
                r = ask(o, &group, err, "aws", "autoscaling", "describe-auto-scaling-groups", "--region", o->region, "--output", "json", "--auto-scaling-group-names",
                        json_string_value(name), "--query",
                        "AutoScalingGroups[0].{size:DesiredCapacity,machines:Instances[?!starts_with(LifecycleState,'Terminat')].InstanceId}", NULL);
        if (r == 0)
                r = take(o, json_object_get(group, "size"), json_object_get(group, "machines"), ret, err);
        json_decref(name);
        json_decref(group);
        return r;
}

static int eks_resize(const struct fgi_sites_offer *o, const struct fgi_sites_pool *now, uint64_t size, struct fg_error *err)
{
        char wanted[64];
        json_t *answer = NULL;
        snprintf(wanted, sizeof wanted, "desiredSize=%" PRIu64, size);
        int r = ask(o, &answer, err, "aws", "eks", "update-nodegroup-config", "--region", o->region, "--output", "json", "--cluster-name", o->cluster, "--nodegroup-name",
                    o->pool, "--scaling-config", wanted, NULL);
        if (r == 0 && !json_is_string(fgi_sites_at(answer, "update/id")))
                r = fg_error_set(err, -EPROTO, "aws answered without update/id");
        json_decref(answer);
        return r;
}

static int eks_drop(const struct fgi_sites_offer *o, const struct fgi_sites_pool *now, const char *machine, struct fg_error *err)
{
        return ask(o, NULL, err, "aws", "autoscaling", "terminate-instance-in-auto-scaling-group", "--region", o->region, "--output", "json", "--instance-id", machine,
                   "--should-decrement-desired-capacity", NULL);
}

/* --- Azure AKS: its calls wait for minutes unless told not to, and then answer nothing --- */

static int aks_read(const struct fgi_sites_offer *o, struct fgi_sites_pool *ret, struct fg_error *err)
{
        json_t *size = NULL, *machines = NULL;
        int r = ask(o, &size, err, "az", "aks", "nodepool", "show", "--output", "json", "--resource-group", o->group, "--cluster-name", o->cluster, "--name", o->pool,
                    "--query", "count", NULL);
        if (r == 0)
                r = ask(o, &machines, err, "az", "aks", "machine", "list", "--output", "json", "--resource-group", o->group, "--cluster-name", o->cluster,
                        "--nodepool-name", o->pool, "--query", "[].name", NULL);
        if (r == 0)
                r = take(o, size, machines, ret, err);
        json_decref(size);
        json_decref(machines);
        return r;
}

static int aks_resize(const struct fgi_sites_offer *o, const struct fgi_sites_pool *now, uint64_t size, struct fg_error *err)
{
        char wanted[24];
        snprintf(wanted, sizeof wanted, "%" PRIu64, size);
        return ask(o, NULL, err, "az", "aks", "nodepool", "scale", "--output", "json", "--resource-group", o->group, "--cluster-name", o->cluster, "--name", o->pool,
                   "--node-count", wanted, "--no-wait", NULL);
}

static int aks_drop(const struct fgi_sites_offer *o, const struct fgi_sites_pool *now, const char *machine, struct fg_error *err)
{
        return ask(o, NULL, err, "az", "aks", "nodepool", "delete-machines", "--output", "json", "--resource-group", o->group, "--cluster-name", o->cluster, "--name",
                   o->pool, "--machine-names", machine, "--no-wait", NULL);
}

/* --- Cluster API: objects of a management cluster --- */

static int capi_read(const struct fgi_sites_offer *o, struct fgi_sites_pool *ret, struct fg_error *err)
{
        char label[192];
        json_t *pool = NULL, *list = NULL, *names = json_array(), *one;
        size_t i;
        snprintf(label, sizeof label, "cluster.x-k8s.io/deployment-name=%s", o->pool);
        int r = ask(o, &pool, err, "kubectl", "get", "machinedeployment", o->pool, "--namespace", o->space, "--output", "json", NULL);
        if (r == 0)
                r = ask(o, &list, err, "kubectl", "get", "machines", "--namespace", o->space, "--selector", label, "--output", "json", NULL);
        json_array_foreach(json_object_get(list, "items"), i, one) if (!fgi_sites_at(one, "metadata/deletionTimestamp"))
                json_array_append(names, fgi_sites_at(one, "metadata/name"));
        if (r == 0)
                r = take(o, fgi_sites_at(pool, "spec/replicas"), json_is_array(json_object_get(list, "items")) ? names : NULL, ret, err);
        json_decref(pool);
        json_decref(list);
        json_decref(names);
        return r;
}

static int capi_resize(const struct fgi_sites_offer *o, const struct fgi_sites_pool *now, uint64_t size, struct fg_error *err)
{
        char before[48], wanted[48];
        snprintf(before, sizeof before, "--current-replicas=%" PRIu64, now->size);
        snprintf(wanted, sizeof wanted, "--replicas=%" PRIu64, size);
        return ask(o, NULL, err, "kubectl", "scale", "machinedeployment", o->pool, "--namespace", o->space, before, wanted, NULL);
}

static int capi_mark(const struct fgi_sites_offer *o, const char *machine, const char *mark, struct fg_error *err)
{
        return ask(o, NULL, err, "kubectl", "annotate", "machine", machine, "--namespace", o->space, "--overwrite", mark, NULL);
}

static int capi_keep(const struct fgi_sites_offer *o, const char *machine, struct fg_error *err)
{
        return capi_mark(o, machine, "cluster.x-k8s.io/delete-machine-", err);
}

/* The mark says which goes when the number falls. Where it has not fallen the mark is taken away, or the next fall, which may be for another, would
 * end this one; where that is not known it stays, or a fall that is under way would end any. */
static int capi_drop(const struct fgi_sites_offer *o, const struct fgi_sites_pool *now, const char *machine, struct fg_error *err)
{
        struct fgi_sites_pool after = {0};
        int r = capi_mark(o, machine, "cluster.x-k8s.io/delete-machine=yes", err);
        if (r < 0 || now->size == 0)
                return r;
        r = capi_resize(o, now, now->size - 1, err);
        if (r < 0 && capi_read(o, &after, NULL) == 0) {
                if (after.size < now->size)
                        r = 0;
                else
                        capi_keep(o, machine, NULL);
        }
        json_decref(after.machines);
        return r;
}

static const struct engine {
        const char *provider;
        int (*read)(const struct fgi_sites_offer *o, struct fgi_sites_pool *ret, struct fg_error *err);
        int (*resize)(const struct fgi_sites_offer *o, const struct fgi_sites_pool *now, uint64_t size, struct fg_error *err);
        int (*drop)(const struct fgi_sites_offer *o, const struct fgi_sites_pool *now, const char *machine, struct fg_error *err);
        int (*keep)(const struct fgi_sites_offer *o, const char *machine, struct fg_error *err); /* NULL: a drop that failed leaves nothing */
} engine_table[] = {{"eks", eks_read, eks_resize, eks_drop, NULL}, {"aks", aks_read, aks_resize, aks_drop, NULL}, {"cluster-api", capi_read, capi_resize, capi_drop, capi_keep}};

static const struct engine *engine_of(const struct fgi_sites_offer *o)
{
        for (size_t i = 0; i < sizeof engine_table / sizeof *engine_table; i++)
                if (strcmp(engine_table[i].provider, o->provider) == 0)
                        return &engine_table[i];
        return NULL;
}

bool fgi_sites_is_pool(const struct fgi_sites_offer *offer)
{
        return engine_of(offer) != NULL;
}

int fgi_sites_pool_read(const struct fgi_sites_offer *offer, struct fgi_sites_pool *ret, struct fg_error *err)
{
        return engine_of(offer)->read(offer, ret, err);
}

int fgi_sites_pool_resize(const struct fgi_sites_offer *offer, struct fgi_sites_pool *pool, uint64_t size, struct fg_error *err)
{
        int r = engine_of(offer)->resize(offer, pool, size, err);
        if (r == 0)
                pool->size = size;
        return r;
}

int fgi_sites_pool_drop(const struct fgi_sites_offer *offer, struct fgi_sites_pool *pool, const char *machine, struct fg_error *err)
{
        int r = engine_of(offer)->drop(offer, pool, machine, err);
        if (r == 0 && pool->size > 0)
                pool->size--;
        return r;
}

int fgi_sites_pool_keep(const struct fgi_sites_offer *offer, const char *machine, struct fg_error *err)
{
        return engine_of(offer)->keep ? engine_of(offer)->keep(offer, machine, err) : 0;
}
