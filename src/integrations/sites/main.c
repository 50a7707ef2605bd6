/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/sites/sites.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

__attribute__((visibility("default"))) const char *argp_program_version = "fastgpu-sites " FASTGPU_VERSION;

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NONE_FITS = 5, EXIT_NO_DAEMON = 6 };
enum { KEY_FILE = 'f', KEY_STATE = 's', KEY_MEMORY = 'm', KEY_COMPUTE = 'c', KEY_GPUS = 'g', KEY_JSON = 'j', KEY_PROJECT = 'P', KEY_MODEL = 0x100, KEY_HOURS, KEY_BUDGET, KEY_FEATURES, KEY_KUBECONFIG, KEY_DRY };

struct options {
        const char *file, *verb, *argument, *memory, *compute, *gpus, *model, *hours, *budget, *project, *kubeconfig;
        bool json, features, dry;
        struct fgi_sites_place place;
        struct fgi_sites sites;
};

__attribute__((format(printf, 2, 3))) static int fail(int code, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        fputs("fastgpu-sites: ", stderr);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
        return code;
}

static const struct argp_option option_table[] = {
        {"file", KEY_FILE, "FILE", 0, "The sites file (" FGI_SITES_FILE ")", 1},
        {"state", KEY_STATE, "FOLDER", 0, "What was started is remembered there (" FGI_SITES_STATE ")", 1},
        {"memory", KEY_MEMORY, "SIZE", 0, "choose: of each vGPU", 2},
        {"compute", KEY_COMPUTE, "PERCENT", 0, "choose: of each vGPU", 2},
        {"gpus", KEY_GPUS, "N", 0, "choose: vGPUs on a node (1)", 2},
        {"model", KEY_MODEL, "TEXT", 0, "choose: a part of the GPU's name", 2},
        {"hours", KEY_HOURS, "N", 0, "choose: how long at most (1)", 2},
        {"budget", KEY_BUDGET, "AMOUNT", 0, "choose: what it may cost altogether", 2},
        {"project", KEY_PROJECT, "NAME", 0, "choose, scale: what is left of that project's budget; scale: %n is the pod's namespace", 2},
        {"features", KEY_FEATURES, NULL, 0, "choose: all that fit, as Slurm's --constraint has them", 2},
        {"kubeconfig", KEY_KUBECONFIG, "FILE", 0, "scale: of the cluster whose pods wait (kubectl's own)", 2},
        {"dry-run", KEY_DRY, NULL, 0, "scale: says what it would do", 2},
        {"json", KEY_JSON, NULL, 0, "list, choose: as JSON", 3},
        {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        const struct {
                int key;
                const char **to;
        } table[] = {{KEY_FILE, &o->file}, {KEY_STATE, &o->place.state}, {KEY_MEMORY, &o->memory}, {KEY_COMPUTE, &o->compute}, {KEY_GPUS, &o->gpus},
                     {KEY_MODEL, &o->model}, {KEY_HOURS, &o->hours}, {KEY_BUDGET, &o->budget}, {KEY_PROJECT, &o->project}, {KEY_KUBECONFIG, &o->kubeconfig}};
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
                if (table[i].key == key) {
                        *table[i].to = arg;
                        return 0;
                }
        switch (key) {
        case KEY_JSON:
                o->json = true;
                return 0;
        case KEY_DRY:
                o->dry = true;
                return 0;
        case KEY_FEATURES:
                o->features = true;
                return 0;
        case ARGP_KEY_ARG:
                if (o->verb && o->argument)
                        argp_error(state, "\"%s\" is one word too many", arg);
                *(o->verb ? &o->argument : &o->verb) = arg;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .args_doc = "check\nchoose\nnodes\nprices SITE\nlist\nresume NODES\nsuspend NODES\nsweep\nscale",
        .doc = "Nodes that are rented when the private ones are full. check: reads the sites file. choose: which site a job would go to, and why. "
               "nodes: lines for slurm.conf. prices: a list for `fastgpu price set`. list: what is there, and what it has cost. resume, suspend: Slurm's "
               "ResumeProgram and SuspendProgram. sweep: tries again to end what could not be ended. scale: starts and ends nodes of Kubernetes pools as pods need them, once."};

/* --- what the sites are --- */

static int check(struct options *o)
{
        for (unsigned i = 0; i < o->sites.count; i++) {
                const struct fgi_sites_offer *offer = &o->sites.offer[i];
                char price[40];
                printf("%s: %s, %s %s, %s %s an hour\n", offer->name, offer->provider, fgi_sites_is_pool(offer) ? "pool" : "nodes",
                       fgi_sites_is_pool(offer) ? offer->pool : offer->nodes, fgi_sites_money(offer->price_micro, price, sizeof price),
                       *offer->currency ? offer->currency : "-");
        }
        return EXIT_FINE;
}

/* Slurm takes nodes of less weight first: so the cheapest that fits is its own choice. */
static int nodes(struct options *o)
{
        unsigned order[FGI_SITES_OFFERS];
        fgi_sites_order(&o->sites, order);
        for (unsigned i = 0; i < o->sites.count; i++) {
                const struct fgi_sites_offer *offer = &o->sites.offer[order[i]];
                if (fgi_sites_is_pool(offer))
                        continue;
                printf("NodeName=%s %sCPUs=%" PRIu64, offer->nodes, fgi_sites_is_private(offer) ? "" : "State=CLOUD ", offer->cpus);
                if (offer->ram)
                        printf(" RealMemory=%" PRIu64, offer->ram >> 20);
                printf(" Gres=gpu:%" PRIu64 ",shard:%" PRIu64 " Feature=%s Weight=%u\n", offer->gpus, 100 * offer->gpus, offer->name, (i + 1) * 10);
        }
        return EXIT_FINE;
}

static const struct fgi_sites_offer *find(const struct options *o, const char *name)
{
        for (unsigned i = 0; name && i < o->sites.count; i++)
                if (strcmp(o->sites.offer[i].name, name) == 0)
                        return &o->sites.offer[i];
        return NULL;
}

static int prices(struct options *o)
{
        const struct fgi_sites_offer *offer = find(o, o->argument);
        char price[40];
        if (!offer)
                return fail(EXIT_USAGE, "prices of which site? There is no \"%s\" in %s", o->argument ? o->argument : "", o->file);
        if (!offer->price_micro)
                return fail(EXIT_USAGE, "site %s has no price in %s", offer->name, o->file);
        printf("currency,price\n%s,%s\n", offer->currency, fgi_sites_money(offer->price_micro / offer->gpus, price, sizeof price));
        return EXIT_FINE;
}

static int list(struct options *o)
{
        json_t *all = fgi_sites_nodes(&o->place), *one;
        size_t i;
        fgi_sites_pool_nodes(&o->place, all);
        if (o->json) {
                json_dumpf(all, stdout, JSON_INDENT(2));
                putchar('\n');
        }
        json_array_foreach(all, i, one) if (!o->json)
                printf("%s  %s  %s  %s  %s %s\n", json_string_value(json_object_get(one, "node")), json_string_value(json_object_get(one, "site")),
                       json_string_value(json_object_get(one, "state")), json_object_get(one, "id") ? json_string_value(json_object_get(one, "id")) : "-",
                       json_string_value(json_object_get(one, "cost")), json_string_value(json_object_get(one, "currency")));
        json_decref(all);
        return EXIT_FINE;
}

/* --- choose --- */

static int read_wish(const struct options *o, struct fgi_sites_wish *wish, char currency[8], struct fg_error *err)
{
        uint64_t hours = 1;
        *wish = (struct fgi_sites_wish){.gpus = 1, .left_micro = -1, .model = o->model, .currency = currency};
        snprintf(currency, 8, "%s", o->sites.count ? o->sites.offer[0].currency : "");
        for (unsigned i = 0; i < o->sites.count && !*currency; i++)
                snprintf(currency, 8, "%s", o->sites.offer[i].currency);
        if ((o->memory && fg_size_parse(o->memory, 0, &wish->memory, err) < 0) || (o->compute && fg_share_parse(o->compute, &wish->permille, err) < 0) ||
            (o->gpus && fg_count_parse("--gpus", o->gpus, 1, 64, &wish->gpus, err) < 0) || (o->hours && fg_count_parse("--hours", o->hours, 1, 8760, &hours, err) < 0))
                return -EINVAL;
        wish->seconds = hours * 3600;
        if (o->budget)
                wish->left_micro = fgi_sites_micro(o->budget);
        return 0;
}

static void say_choice(const struct options *o, const struct fgi_sites_offer *offer, const char *why_not)
{
        char price[40];
        if (o->json)
                printf("{\"site\": \"%s\", \"price\": \"%s\", \"currency\": \"%s\"}\n", offer->name, fgi_sites_money(offer->price_micro, price, sizeof price), offer->currency);
        else if (fgi_sites_is_private(offer))
                printf("%s: private nodes come first%s%s\n", offer->name, *why_not ? "; not " : "", why_not);
        else
                printf("%s: %s %s an hour, the cheapest that fits%s%s\n", offer->name, fgi_sites_money(offer->price_micro, price, sizeof price), offer->currency,
                       *why_not ? "; not " : "", why_not);
}

static int choose(struct options *o)
{
        struct fg_error err = {0};
        struct fgi_sites_wish wish;
        unsigned order[FGI_SITES_OFFERS], fitting = 0;
        char currency[8], why[256], why_not[2048] = "";
        if (read_wish(o, &wish, currency, &err) < 0)
                return fail(EXIT_USAGE, "%s", err.text);
        if (o->project && fgi_sites_budget(o->project, &wish, currency, &err) < 0)
                return fail(EXIT_NO_DAEMON, "%s", err.text);
        fgi_sites_order(&o->sites, order);
        for (unsigned i = 0; i < o->sites.count; i++) {
                const struct fgi_sites_offer *offer = &o->sites.offer[order[i]];
                size_t n = strlen(why_not);
                /* Features are of Slurm's nodes. */
                if (o->features && fgi_sites_is_pool(offer))
                        continue;
                if (fgi_sites_unfit(offer, &wish, why, sizeof why)) {
                        snprintf(why_not + n, sizeof why_not - n, "%s%s (%s)", n ? ", " : "", offer->name, why);
                        continue;
                }
                if (fitting++ && !o->features)
                        continue;
                if (o->features)
                        printf("%s%s", fitting > 1 ? "|" : "", offer->name);
                else
                        say_choice(o, offer, why_not);
        }
        if (o->features && fitting)
                putchar('\n');
        return fitting ? EXIT_FINE : fail(EXIT_NONE_FITS, "no site fits: %s", why_not);
}

/* --- nodes that come and go --- */

/* Which site a node is of: its name is in the site's list. */
static int site_of(const struct options *o, const char *node, const struct fgi_sites_offer **ret, struct fg_error *err)
{
        for (unsigned i = 0; i < o->sites.count; i++) {
                json_t *names = NULL, *one;
                size_t k;
                bool found = false;
                if (fgi_sites_is_pool(&o->sites.offer[i]))
                        continue;
                int r = fgi_sites_expand(o->sites.offer[i].nodes, &names, err);
                if (r < 0)
                        return r;
                json_array_foreach(names, k, one) found |= strcmp(json_string_value(one), node) == 0;
                json_decref(names);
                if (found) {
                        *ret = &o->sites.offer[i];
                        return 0;
                }
        }
        return fg_error_set(err, -ENOENT, "no site in %s has a node %s", o->file, node);
}

static int resume_one(const struct options *o, const char *node)
{
        const struct fgi_sites_offer *offer = NULL;
        struct fgi_sites_start start = {0};
        struct fg_error err = {0}, why = {0};
        int r = site_of(o, node, &offer, &err);
        if (r == 0)
                r = fgi_sites_node_start(&o->place, offer, node, &start, &err);
        if (r == 0 && *start.address) {
                r = fgi_sites_slurm_address(node, start.address, &err);
                /* Slurm will not reach it: it would be paid for and do nothing. */
                if (r < 0 && fgi_sites_node_stop(&o->place, node, &why) < 0)
                        fail(0, "%s: %s; it is tried again", node, why.text);
        }
        if (r == 0)
                return EXIT_FINE;
        /* Slurm's users look at the node's reason, and their jobs go elsewhere. */
        if (fgi_sites_slurm_down(node, err.text, &why) < 0)
                fail(0, "%s", why.text);
        return fail(EXIT_FAILED, "%s: %s", node, err.text);
}

static int suspend_one(const struct options *o, const char *node)
{
        struct fg_error err = {0};
        return fgi_sites_node_stop(&o->place, node, &err) < 0 ? fail(EXIT_FAILED, "%s: %s", node, err.text) : EXIT_FINE;
}

static int make_state(const struct options *o)
{
        return mkdir(o->place.state, 0700) < 0 && errno != EEXIST ? fail(EXIT_FAILED, "%s: %s", o->place.state, strerror(errno)) : EXIT_FINE;
}

static int each(struct options *o, int (*one)(const struct options *o, const char *node))
{
        struct fg_error err = {0};
        json_t *names = NULL, *name;
        size_t i;
        int code = EXIT_FINE;
        if (!o->argument)
                return fail(EXIT_USAGE, "%s which nodes? Type: fastgpu-sites %s NODES", o->verb, o->verb);
        if (make_state(o) != EXIT_FINE)
                return EXIT_FAILED;
        if (fgi_sites_expand(o->argument, &names, &err) < 0)
                return fail(EXIT_FAILED, "%s", err.text);
        json_array_foreach(names, i, name)
        {
                /* One after the other takes its time, in which Slurm may have given up on those that come last. */
                if (i > 0 && one == resume_one && !fgi_sites_slurm_wants(json_string_value(name))) {
                        code = fail(EXIT_FAILED, "%s: not started, for Slurm no longer waits for it", json_string_value(name));
                        continue;
                }
                int r = one(o, json_string_value(name));
                code = code ? code : r;
        }
        json_decref(names);
        if (fgi_sites_sweep(&o->place, &err) < 0)
                fail(0, "%s", err.text);
        return code;
}

/* Slurm would wait for them until ResumeTimeout, and nobody would know why. */
static int resume_none(const struct options *o, const struct fg_error *why)
{
        struct fg_error err = {0};
        json_t *names = NULL, *name;
        size_t i;
        if (o->argument && fgi_sites_expand(o->argument, &names, &err) < 0)
                fail(0, "%s", err.text);
        json_array_foreach(names, i, name) if (fgi_sites_slurm_down(json_string_value(name), why->text, &err) < 0)
                fail(0, "%s", err.text);
        json_decref(names);
        return fail(EXIT_USAGE, "%s", why->text);
}

static int resume(struct options *o)
{
        return each(o, resume_one);
}

static int suspend(struct options *o)
{
        return each(o, suspend_one);
}

static int sweep(struct options *o)
{
        struct fg_error err = {0};
        return fgi_sites_sweep(&o->place, &err) < 0 ? fail(EXIT_FAILED, "%s", err.text) : EXIT_FINE;
}

static int scale(struct options *o)
{
        const struct fgi_sites_scale how = {.config = o->kubeconfig, .project = o->project, .dry = o->dry};
        struct fg_error err = {0};
        if (make_state(o) != EXIT_FINE)
                return EXIT_FAILED;
        return fgi_sites_scale(&o->place, &how, &err) < 0 ? fail(EXIT_FAILED, "%s", err.text) : EXIT_FINE;
}

static const struct {
        const char *name;
        int (*run)(struct options *o);
} verb_table[] = {{"check", check}, {"choose", choose}, {"nodes", nodes}, {"prices", prices}, {"list", list}, {"resume", resume}, {"suspend", suspend}, {"sweep", sweep}, {"scale", scale}};

int main(int argc, char **argv)
{
        static struct options o = {.file = FGI_SITES_FILE, .place = {.state = FGI_SITES_STATE}};
        struct fg_error err = {0};
        argp_err_exit_status = EXIT_USAGE;
        /* ResumeProgram is called with the nodes alone. */
        o.file = getenv("FASTGPU_SITES") ? getenv("FASTGPU_SITES") : o.file;
        o.place.state = getenv("FASTGPU_SITES_STATE") ? getenv("FASTGPU_SITES_STATE") : o.place.state;
        argp_parse(&argp, argc, argv, 0, NULL, &o);
        o.place.sites = &o.sites;
        for (size_t i = 0; o.verb && i < sizeof verb_table / sizeof *verb_table; i++)
                if (strcmp(verb_table[i].name, o.verb) == 0) {
                        if (fgi_sites_load(o.file, &o.sites, &err) == 0)
                                return verb_table[i].run(&o);
                        return verb_table[i].run == resume ? resume_none(&o, &err) : fail(EXIT_USAGE, "%s", err.text);
                }
        return fail(EXIT_USAGE, o.verb ? "there is no \"%.40s\"; type fastgpu-sites --help" : "what? Type fastgpu-sites --help%s", o.verb ? o.verb : "");
}
