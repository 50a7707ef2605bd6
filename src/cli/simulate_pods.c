/* SPDX-License-Identifier: Apache-2.0
 * Pods on nodes: filling up, or coming and leaving. */
#include "cli/simulate.h"

#include "base/cleanup.h"
#include "simulate/churn.h"
#include "simulate/inflation.h"

#include <errno.h>
#include <string.h>

#define COVERAGE 950 /* permille of the pods that are typical, as published */

enum { AT_100, AT_130, REFUSED, REFUSED_PODS, ARRIVALS, PLACED };

struct pods {
        struct fg_replay_nodes nodes, more; /* more: what is replayed now, if nodes were added */
        struct fg_replay_pods pods, cut;
        struct fg_mix *mix;
        const struct fg_replay_nodes *now;
        unsigned add, slices; /* of what is prepared */
};

#define DEMAND  "demand, % of the capacity"
#define OF_GPUS "% of the GPUs"
static const struct cli_sim_chart filling_chart[] = {
        {.key = "allocated", .title = "Allocated GPUs", .about = "as demand grows", .x_title = DEMAND, .y_title = OF_GPUS},
        {.key = "allocated_near_full", .title = "Near saturation", .about = "the same, from 85 % of demand on", .x_title = DEMAND, .y_title = OF_GPUS, .from = 85},
        {.key = "fragmented", .title = "Fragmented GPUs", .about = "free, but of no use to typical requests", .x_title = DEMAND, .y_title = OF_GPUS},
        {.key = "p", .title = "P = α · U · S · V", .about = "S alone, what is served of demand: the trace says no more", .x_title = DEMAND, .y_title = "%", .tight = true},
};

static char load_text[CLI_SIM_WHATS][16];
static const char *load_label[CLI_SIM_WHATS + 1];

#define LOAD "load, % of the capacity"
static const struct cli_sim_chart churn_chart[] = {
        {.key = "refused", .title = "Refused", .about = "of the GPUs that were wanted", .x_title = LOAD, .y_title = "% of the demand", .x = CLI_SIM_LABELS, .label = load_label},
        {.key = "in_use", .title = "In use", .about = "mean over time", .x_title = LOAD, .y_title = OF_GPUS, .x = CLI_SIM_LABELS, .label = load_label, .tight = true},
};

static const char *policy_name(const void *user, size_t i)
{
        return fg_cluster_policy_table[i].name;
}

static bool is_oracle(size_t i)
{
        return false;
}

static void set_filling(struct cli_sim *sim)
{
        cli_sim_add_measure(sim, "allocated_at_100", "AT 100 %", "%", "% of the GPUs that are in use when as much is wanted as there is", 2, 1)->is_main = true;
        cli_sim_add_measure(sim, "allocated_at_130", "AT 130 %", "%", "% of the GPUs that are in use when 130 % of them are wanted", 2, 1)->is_main = true;
        cli_sim_add_measure(sim, "refused", "REFUSED %", "%", "% of what the trace itself wants of the GPUs", 2, -1)->is_main = true;
        cli_sim_add_measure(sim, "refused_pods", "OF PODS %", "%", "% of the pods of the trace, that found no place", 2, -1);
        cli_sim_add_measure(sim, "arrivals", "ARRIVALS", "", "pods that came", 0, 0)->is_sum = true;
        cli_sim_add_measure(sim, "placed", "PLACED", "", "pods that found a place", 0, 0)->is_sum = true;
        sim->chart = filling_chart;
        sim->charts = sizeof filling_chart / sizeof *filling_chart;
}

/* Of a load: refused, in use and, with repacking, moves and what they cost. */
static size_t measures_each(const struct cli_sim *sim)
{
        return sim->repack ? 4 : 2;
}

static void set_churn(struct cli_sim *sim)
{
        for (unsigned i = 0; i < sim->load_count; i++) {
                char key[32], title[32], about[96];
                snprintf(key, sizeof key, "refused_at_%u", sim->loads[i]);
                snprintf(title, sizeof title, "REFUSED AT %3u %%", sim->loads[i]);
                snprintf(about, sizeof about, "%% of the wanted GPUs that were refused at %u %% load", sim->loads[i]);
                cli_sim_add_measure(sim, key, title, "%", about, 2, -1)->is_main = true;
                snprintf(key, sizeof key, "allocated_at_%u", sim->loads[i]);
                snprintf(about, sizeof about, "%% of the GPUs in use at %u %% load, mean over time", sim->loads[i]);
                cli_sim_add_measure(sim, key, "IN USE", "%", about, 2, 0);
                snprintf(load_text[i], sizeof load_text[i], "%u %%", sim->loads[i]);
                load_label[i] = load_text[i];
                if (!sim->repack)
                        continue;
                snprintf(key, sizeof key, "moves_at_%u", sim->loads[i]);
                cli_sim_add_measure(sim, key, "MOVES", "", "moves in 100 arrivals", 2, -1);
                snprintf(key, sizeof key, "lost_at_%u", sim->loads[i]);
                cli_sim_add_measure(sim, key, "LOST", "%", "% of the GPUs that were held by who was being moved, and are not in use", 2, -1);
        }
        sim->chart = churn_chart;
        sim->charts = sizeof churn_chart / sizeof *churn_chart;
}

static int load(struct cli_sim *sim)
{
        struct fg_error err = {0};
        struct pods *p = calloc(1, sizeof(*p));
        sim->data = p;
        if (!p)
                return cli_fail(CLI_FAILED, "out of memory");
        if (fg_replay_read_nodes(sim->nodes, &p->nodes, &err) < 0 || fg_replay_read_pods(sim->trace, &p->nodes, &p->pods, &err) < 0)
                return cli_fail(CLI_FAILED, "%s", err.text);
        double capacity = (double)fg_replay_capacity(&p->nodes), wanted = 0;
        for (size_t i = 0; i < p->pods.count; i++)
                wanted += (double)fg_replay_wanted(&p->pods.pod[i]);
        if (capacity == 0 || wanted == 0)
                return cli_fail(CLI_FAILED, "%s: nothing to compare: %s", capacity == 0 ? sim->nodes : sim->trace,
                                capacity == 0 ? "no node has GPUs" : "nobody wants any GPUs");
        snprintf(sim->about, sizeof sim->about, "%zu pods that want %.0f GPUs, on %zu nodes with %.0f GPUs%s.", p->pods.count,
                 wanted / FG_CLUSTER_GPU, p->nodes.count, capacity / FG_CLUSTER_GPU,
                 sim->load_count ? ", coming and leaving at random moments" : ", filling up to 130 % of demand");
        if (sim->load_count)
                set_churn(sim);
        else
                set_filling(sim);
        return 0;
}

static void forget(struct pods *p)
{
        if (p->now == &p->more)
                fg_replay_clear_nodes(&p->more);
        fg_replay_clear_pods(&p->cut);
        fg_mix_freep(&p->mix);
        p->mix = NULL;
        p->now = NULL;
}

static int cut_pods(struct pods *p, unsigned slices)
{
        p->cut = (struct fg_replay_pods){malloc(p->pods.count * sizeof(*p->cut.pod)), p->pods.count};
        if (!p->cut.pod)
                return -ENOMEM;
        memcpy(p->cut.pod, p->pods.pod, p->pods.count * sizeof(*p->cut.pod));
        if (slices)
                fg_replay_slice(&p->cut, slices);
        return 0;
}

static int prepare(struct cli_sim *sim, unsigned add_nodes, unsigned slices, uint64_t seed)
{
        struct pods *p = sim->data;
        FG_CLEANUP(fg_cluster_freep) struct fg_cluster *c = NULL;
        if (p->now && add_nodes == 0 && p->add == 0 && p->slices == slices)
                return 0;
        forget(p);
        p->add = add_nodes;
        p->slices = slices;
        int r = cut_pods(p, slices);
        if (r == 0 && add_nodes)
                r = fg_replay_more_nodes(&p->nodes, add_nodes, seed, &p->more);
        if (r == 0) {
                p->now = add_nodes ? &p->more : &p->nodes;
                r = fg_cluster_new(&c, p->now->shape, p->now->count);
        }
        if (r == 0)
                r = fg_mix_new(&p->mix, c, p->cut.pod, p->cut.count, COVERAGE);
        return r < 0 ? cli_fail(CLI_FAILED, "cannot set the cluster up: %s", strerror(-r)) : 0;
}

/* What is held for nothing is not in use. */
static int run_churn(const struct cli_sim *sim, const struct pods *p, const struct fg_replay_policy *policy, struct cli_sim_run *run)
{
        for (unsigned i = 0; i < sim->load_count; i++) {
                struct fg_replay_churn churn;
                int r = fg_replay_churn(p->now, &p->cut, p->mix, policy, sim->loads[i], run->seed, &churn);
                if (r < 0)
                        return r;
                double *value = &run->value[i * measures_each(sim)], in_use = churn.allocated - churn.lost;
                value[0] = churn.refused;
                value[1] = in_use;
                if (sim->repack) {
                        value[2] = churn.moves;
                        value[3] = churn.lost;
                }
                run->curve[0].x[i] = run->curve[1].x[i] = i;
                run->curve[0].y[i] = churn.refused;
                run->curve[1].y[i] = in_use;
        }
        run->curve[0].points = run->curve[1].points = sim->load_count;
        return 0;
}

static void add_point(struct cli_sim_curve *curve, double x, double y)
{
        curve->x[curve->points] = x;
        curve->y[curve->points++] = y;
}

static void draw_filling(const struct fg_replay_inflation *once, struct cli_sim_run *run)
{
        add_point(&run->curve[0], 0, 0);
        for (size_t i = 1; i <= FG_REPLAY_DEMAND; i++) {
                double at = (double)i;
                if (once->allocated[i] < 0)
                        continue;
                add_point(&run->curve[0], at, once->allocated[i]);
                if (at >= filling_chart[1].from)
                        add_point(&run->curve[1], at, once->allocated[i]);
                add_point(&run->curve[2], at, once->fragmented[i]);
                add_point(&run->curve[3], at, 100 * once->allocated[i] / (at < 100 ? at : 100));
        }
        for (size_t i = 0; i < run->curve[3].points; i++)
                run->curve[3].y[i] = run->curve[3].y[i] < 100 ? run->curve[3].y[i] : 100;
}

static int run_filling(const struct pods *p, const struct fg_replay_policy *policy, struct cli_sim_run *run)
{
        struct fg_replay_inflation once;
        int r = fg_replay_inflate(p->now, &p->cut, p->mix, policy, run->seed, &once);
        if (r < 0)
                return r;
        run->value[AT_100] = once.allocated[100];
        run->value[AT_130] = once.allocated[130];
        run->value[REFUSED] = once.refused;
        run->value[REFUSED_PODS] = once.refused_pods;
        run->value[ARRIVALS] = (double)once.arrivals;
        run->value[PLACED] = (double)once.placed;
        if (policy->fragments)
                draw_filling(&once, run);
        return 0;
}

static int run_once(struct cli_sim *sim, unsigned policy_at, struct cli_sim_run *run)
{
        const struct pods *p = sim->data;
        const struct fg_replay_policy with = {&fg_cluster_policy_table[policy_at], sim->any_tie, cli_sim_wants_curves(sim), sim->repack};
        int r = sim->load_count ? run_churn(sim, p, &with, run) : run_filling(p, &with, run);
        return r < 0 ? cli_fail(CLI_FAILED, "%s: seed %llu: %s", with.policy->name, (unsigned long long)run->seed, strerror(-r)) : 0;
}

static json_t *churn_json(const struct cli_sim *sim, const struct cli_sim_row *row)
{
        if (!sim->load_count)
                return NULL;
        size_t each = measures_each(sim);
        json_t *loads = json_array();
        for (unsigned k = 0; k < sim->load_count; k++)
                json_array_append_new(loads, json_pack("{s:i, s:f, s:f, s:f, s:f}", "load", (int)sim->loads[k],
                                                       "refused", cli_sim_mean(row, each * k), "allocated", cli_sim_mean(row, each * k + 1),
                                                       "moves", sim->repack ? cli_sim_mean(row, each * k + 2) : 0.,
                                                       "lost", sim->repack ? cli_sim_mean(row, each * k + 3) : 0.));
        return json_pack("{s:o}", "churn", loads);
}

static void free_pods(struct cli_sim *sim)
{
        struct pods *p = sim->data;
        if (!p)
                return;
        forget(p);
        fg_replay_clear_nodes(&p->nodes);
        fg_replay_clear_pods(&p->pods);
        free(p);
}

const struct cli_sim_kind cli_sim_pods = {"pods", policy_name, is_oracle, "fastgpu,fgd,best-fit", load, prepare, run_once, churn_json, free_pods};
