/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "simulate/churn.h"
#include "simulate/inflation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLICIES_MAX 16u
#define SEEDS_MAX    1000u
#define LOADS_MAX    8u
#define COVERAGE     950 /* permille of the pods that are typical, as published */

struct options {
        bool json;
        const char *nodes, *trace;
        const struct fg_cluster_policy *policy[POLICIES_MAX];
        unsigned policies;
        bool any_tie;
        unsigned repack;
        uint64_t first, last; /* seeds */
        unsigned load[LOADS_MAX], loads; /* %; none: inflation */
};

/* Sums over the seeds, then means. */
struct row {
        double at_100, at_130;
        uint64_t arrivals, placed;
        struct fg_replay_churn churn[LOADS_MAX];
};

static const struct argp_option option_table[] = {
        {"nodes", 'n', "FILE", 0, "The cluster: CSV with cpu_milli, memory_mib, gpu, model", 1},
        {"trace", 't', "FILE", 0, "The pods: CSV with cpu_milli, memory_mib, num_gpu, gpu_milli and, if you like, gpu_spec", 1},
        {"policy", 'p', "NAME[,NAME…]", 0, "Which policies (fastgpu,fgd,best-fit)", 1},
        {"churn", 'c', "LOAD[,LOAD…]", 0, "Pods come and leave instead, at these loads in %, such as 90,95,100", 1},
        {"ties", 'T', "first|random", 0, "Of nodes with equal scores take the first, or any (first)", 1},
        {"repack", 'r', "MOVES", 0, "With --churn: after every 100 arrivals move at most so many who are placed worse than if they came now", 1},
        {"seeds", 's', "FIRST[-LAST]", 0, "One run for each seed (42-51)", 1},
        CLI_OPTION_JSON,
        {0}};

static const char *policy_name(const void *user, size_t i)
{
        return fg_cluster_policy_table[i].name;
}

static error_t take_policies(struct options *o, const char *arg)
{
        fg_autofree char *names = strdup(arg);
        char *rest = names;
        o->policies = 0;
        for (char *name; rest && (name = strsep(&rest, ","));) {
                const struct fg_cluster_policy *p = fg_cluster_policy_find(name);
                const char *meant = p ? NULL : cli_suggest(name, policy_name, NULL);
                if (!p) {
                        cli_fail(0, "there is no policy \"%s\"; %s%s", name, meant ? "did you mean " : "there are fastgpu, fgd, best-fit, "
                                 "dot-product, packing, clustering, first-fit, spread, cheapest, near, random", meant ? meant : "");
                        return EINVAL;
                }
                if (o->policies == POLICIES_MAX) {
                        cli_fail(0, "--policy: more than %u policies", POLICIES_MAX);
                        return EINVAL;
                }
                o->policy[o->policies++] = p;
        }
        return 0;
}

static error_t take_loads(struct options *o, const char *arg)
{
        fg_autofree char *loads = strdup(arg);
        char *rest = loads;
        struct fg_error err = {0};
        o->loads = 0;
        for (char *load; rest && (load = strsep(&rest, ","));) {
                uint64_t percent;
                if (o->loads == LOADS_MAX)
                        fg_error_set(&err, EINVAL, "--churn: more than %u loads", LOADS_MAX);
                if (o->loads == LOADS_MAX || fg_count_parse("--churn", load, 1, FG_REPLAY_CHURN_LOAD_MAX, &percent, &err) < 0) {
                        cli_fail(0, "%s", err.text);
                        return EINVAL;
                }
                o->load[o->loads++] = (unsigned)percent;
        }
        return 0;
}

static error_t take_repack(struct options *o, const char *arg)
{
        struct fg_error err = {0};
        uint64_t moves;
        if (fg_count_parse("--repack", arg, 0, FG_REPLAY_REPACK_MAX, &moves, &err) < 0) {
                cli_fail(0, "%s", err.text);
                return EINVAL;
        }
        o->repack = (unsigned)moves;
        return 0;
}

static error_t take_ties(struct options *o, const char *arg)
{
        o->any_tie = strcmp(arg, "random") == 0;
        if (o->any_tie || strcmp(arg, "first") == 0)
                return 0;
        cli_fail(0, "--ties: \"%s\" is not one of first, random", arg);
        return EINVAL;
}

static error_t take_seeds(struct options *o, const char *arg)
{
        fg_autofree char *first = strdup(arg);
        struct fg_error err = {0};
        char *dash = first ? strchr(first, '-') : NULL;
        if (!first)
                return ENOMEM;
        if (dash)
                *dash++ = '\0';
        if (fg_count_parse("--seeds", first, 0, UINT32_MAX, &o->first, &err) < 0 ||
            fg_count_parse("--seeds", dash ? dash : first, o->first, o->first + SEEDS_MAX - 1, &o->last, &err) < 0) {
                cli_fail(0, "%s", err.text);
                return EINVAL;
        }
        return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case 'n':
                o->nodes = arg;
                return 0;
        case 't':
                o->trace = arg;
                return 0;
        case 'p':
                return take_policies(o, arg);
        case 'c':
                return take_loads(o, arg);
        case 'r':
                return take_repack(o, arg);
        case 'T':
                return take_ties(o, arg);
        case 's':
                return take_seeds(o, arg);
        case ARGP_KEY_ARG:
                cli_fail(0, "simulate takes no argument, yet \"%s\" was given", arg);
                return EINVAL;
        case ARGP_KEY_END:
                if (o->repack && !o->loads) {
                        cli_fail(0, "--repack needs --churn LOAD: where nobody leaves nobody is moved");
                        return EINVAL;
                }
                if (o->nodes && o->trace)
                        return 0;
                cli_fail(0, "simulate needs --%s FILE", o->nodes ? "trace" : "nodes");
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_simulate_argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Compare placement policies: the pods of a trace come in random order, then more drawn from it, until they want 130 % of "
               "the GPUs. Nobody leaves; who finds no place is gone. What is placed of the GPUs is shown at 100 and 130 % of demand. "
               "With --churn they leave after a random while, and what was refused is shown in % of the GPUs that were wanted. "
               "No daemon is needed, and the same seeds give the same bytes."};

static void say_progress(const struct options *o, unsigned policy, uint64_t seed)
{
        if (isatty(STDERR_FILENO))
                fprintf(stderr, "\r\033[K%s: seed %llu of %llu", o->policy[policy]->name, (unsigned long long)seed, (unsigned long long)o->last);
}

static int replay(const struct options *o, const struct fg_replay_policy *policy, const struct fg_replay_nodes *nodes,
                  const struct fg_replay_pods *pods, const struct fg_mix *mix, uint64_t seed, struct row *sum)
{
        struct fg_replay_inflation once;
        int r = 0;
        for (unsigned i = 0; i < o->loads && r == 0; i++) {
                struct fg_replay_churn churn;
                r = fg_replay_churn(nodes, pods, mix, policy, o->load[i], seed, &churn);
                if (r == 0) {
                        sum->churn[i].refused += churn.refused;
                        sum->churn[i].allocated += churn.allocated;
                        sum->churn[i].moves += churn.moves;
                        sum->churn[i].lost += churn.lost;
                }
        }
        if (o->loads)
                return r;
        r = fg_replay_inflate(nodes, pods, mix, policy, seed, &once);
        if (r == 0) {
                sum->at_100 += once.allocated[100];
                sum->at_130 += once.allocated[130];
                sum->arrivals += once.arrivals;
                sum->placed += once.placed;
        }
        return r;
}

static int run_policy(const struct options *o, unsigned policy, const struct fg_replay_nodes *nodes, const struct fg_replay_pods *pods,
                      const struct fg_mix *mix, struct row *ret)
{
        const struct fg_replay_policy with = {o->policy[policy], o->any_tie, o->repack};
        double seeds = (double)(o->last - o->first + 1);
        for (uint64_t seed = o->first; seed <= o->last; seed++) {
                say_progress(o, policy, seed);
                int r = replay(o, &with, nodes, pods, mix, seed, ret);
                if (r == -EINVAL)
                        return cli_fail(CLI_FAILED, "%s: nothing to compare: there are no GPUs, or nobody wants any", o->trace);
                if (r < 0)
                        return cli_fail(CLI_FAILED, "%s: seed %llu: %s", o->policy[policy]->name, (unsigned long long)seed, strerror(-r));
        }
        ret->at_100 /= seeds;
        ret->at_130 /= seeds;
        for (unsigned i = 0; i < o->loads; i++) {
                ret->churn[i].refused /= seeds;
                ret->churn[i].allocated /= seeds;
                ret->churn[i].moves /= seeds;
                ret->churn[i].lost /= seeds;
        }
        return 0;
}

/* What is in use for nothing is not in use. */
static void print_load(const struct options *o, const struct fg_replay_churn *c)
{
        printf("  %14.2f %%  %6.2f", c->refused, c->allocated - c->lost);
        if (o->repack)
                printf("  %5.2f  %4.2f %%", c->moves, c->lost);
}

static void print_churn(const struct options *o, const struct row *row)
{
        printf("%-12s", "POLICY");
        for (unsigned k = 0; k < o->loads; k++)
                printf("  REFUSED AT %3u %%  IN USE%s", o->load[k], o->repack ? "  MOVES    LOST" : "");
        putchar('\n');
        for (unsigned i = 0; i < o->policies; i++) {
                printf("%-12s", o->policy[i]->name);
                for (unsigned k = 0; k < o->loads; k++)
                        print_load(o, &row[i].churn[k]);
                putchar('\n');
        }
}

static json_t *churn_json(const struct options *o, unsigned policy, const struct row *row)
{
        json_t *loads = json_array();
        for (unsigned k = 0; k < o->loads; k++)
                json_array_append_new(loads, json_pack("{s:i, s:f, s:f, s:f, s:f}", "load", (int)o->load[k], "refused", row->churn[k].refused,
                                                       "allocated", row->churn[k].allocated,
                                                       "moves", row->churn[k].moves, "lost", row->churn[k].lost));
        return json_pack("{s:s, s:o}", "policy", o->policy[policy]->name, "churn", loads);
}

static void print_inflation(const struct options *o, const struct row *row)
{
        printf("%-12s  %8s  %8s  %10s  %10s\n", "POLICY", "AT 100 %", "AT 130 %", "ARRIVALS", "PLACED");
        for (unsigned i = 0; i < o->policies; i++)
                printf("%-12s  %8.2f  %8.2f  %10llu  %10llu\n", o->policy[i]->name, row[i].at_100, row[i].at_130,
                       (unsigned long long)row[i].arrivals, (unsigned long long)row[i].placed);
}

static json_t *inflation_json(const struct options *o, unsigned policy, const struct row *row)
{
        return json_pack("{s:s, s:f, s:f, s:I, s:I}", "policy", o->policy[policy]->name, "allocated_at_100", row->at_100,
                         "allocated_at_130", row->at_130, "arrivals", (json_int_t)row->arrivals, "placed", (json_int_t)row->placed);
}

static void print_rows(const struct options *o, const struct row *row)
{
        cli_autojson json_t *all = json_array();
        if (!o->json)
                return o->loads ? print_churn(o, row) : print_inflation(o, row);
        for (unsigned i = 0; i < o->policies; i++)
                json_array_append_new(all, o->loads ? churn_json(o, i, &row[i]) : inflation_json(o, i, &row[i]));
        cli_print_json(all, stdout);
}

static int compare(const struct options *o, const struct fg_replay_nodes *nodes, const struct fg_replay_pods *pods)
{
        FG_CLEANUP(fg_cluster_freep) struct fg_cluster *c = NULL;
        FG_CLEANUP(fg_mix_freep) struct fg_mix *mix = NULL;
        struct row row[POLICIES_MAX] = {0};
        int r = fg_cluster_new(&c, nodes->shape, nodes->count);
        if (r == 0)
                r = fg_mix_new(&mix, c, pods->pod, pods->count, COVERAGE);
        if (r < 0)
                return cli_fail(CLI_FAILED, "cannot set the cluster up: %s", strerror(-r));
        for (unsigned i = 0; i < o->policies && r == 0; i++)
                r = run_policy(o, i, nodes, pods, mix, &row[i]);
        if (isatty(STDERR_FILENO))
                fputs("\r\033[K", stderr);
        if (r == 0)
                print_rows(o, row);
        return r;
}

int cli_simulate(int argc, char **argv)
{
        struct options o = {.first = 42, .last = 51};
        FG_CLEANUP(fg_replay_clear_nodes) struct fg_replay_nodes nodes = {0};
        FG_CLEANUP(fg_replay_clear_pods) struct fg_replay_pods pods = {0};
        struct fg_error err = {0};
        take_policies(&o, "fastgpu,fgd,best-fit");
        int r = cli_parse("simulate", &cli_simulate_argp, argc, argv, &o);
        if (r)
                return r;
        if (fg_replay_read_nodes(o.nodes, &nodes, &err) < 0 || fg_replay_read_pods(o.trace, &nodes, &pods, &err) < 0)
                return cli_fail(CLI_FAILED, "%s", err.text);
        return compare(&o, &nodes, &pods);
}
