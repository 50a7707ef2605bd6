/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/simulate.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "simulate/churn.h"
#include "simulate/jobs.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { KEY_GPUS = 0x200, KEY_NODE_GPUS, KEY_DAYS, KEY_LEAST, KEY_ADD, KEY_SLICES, KEY_CSV, KEY_SAVE, KEY_HISTORY, KEY_REPACK };

static const struct argp_option option_table[] = {
        {"nodes", 'n', "FILE", 0, "The cluster: CSV with cpu_milli, memory_mib, gpu, model", 1},
        {"trace", 't', "FILE", 0, "Pods: CSV with cpu_milli, memory_mib, num_gpu, gpu_milli and, if you like, gpu_spec", 1},
        {"jobs", 'J', "FILE", 0, "Or jobs: CSV with submit_s, duration_s, num_gpus and, if you like, more", 1},
        {"from-history", KEY_HISTORY, NULL, 0, "Or the jobs that this node has had, as far as you may see them", 1},
        {"policy", 'p', "NAME[,NAME…]", 0, "Which policies", 2},
        {"seeds", 's', "FIRST[-LAST]", 0, "One run for each seed (42-51; jobs: one run, as the trace has them)", 2},
        {"add-nodes", KEY_ADD, "N[,N…]", 0, "What if there were N nodes more: 0,10,20", 3},
        {"slices", KEY_SLICES, "N[,N…]", 0, "What if each GPU were cut into N equal slices; 0: as now", 3},
        {"churn", 'c', "LOAD[,LOAD…]", 0, "Pods come and leave instead, at these loads in %, such as 90,95,100", 4},
        {"ties", 'T', "first|random", 0, "Of nodes with equal scores take the first, or any (first)", 4},
        {"repack", KEY_REPACK, "MOVES", 0, "With --churn: after every 100 arrivals move at most so many who are placed worse than if they came now", 4},
        {"gpus", KEY_GPUS, "N", 0, "GPUs of the pool that jobs share, unless --nodes says", 5},
        {"node-gpus", KEY_NODE_GPUS, "N", 0, "Of them on each node (8)", 5},
        {"days", KEY_DAYS, "FIRST-LAST", 0, "Only jobs of these days of the trace: 0-61", 5},
        {"least-jobs", KEY_LEAST, "N", 0, "Only projects with at least N jobs", 5},
        {"report", 'r', "FILE", 0, "Write a page with charts there: one HTML file that needs nothing else", 6},
        {"csv", KEY_CSV, "FILE", 0, "Write every figure and curve of every run there", 6},
        {"save-jobs", KEY_SAVE, "FILE", 0, "Write the jobs of --from-history there, for --jobs", 6},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

/* "a,b,c" */
static error_t take_numbers(const char *option, const char *arg, uint64_t least, uint64_t most, unsigned *ret, unsigned *ret_count)
{
        fg_autofree char *list = strdup(arg);
        char *rest = list;
        struct fg_error err = {0};
        *ret_count = 0;
        for (char *word; rest && (word = strsep(&rest, ","));) {
                uint64_t value;
                if (*ret_count == CLI_SIM_WHATS)
                        fg_error_set(&err, EINVAL, "%s: more than %u values", option, CLI_SIM_WHATS);
                if (*ret_count == CLI_SIM_WHATS || fg_count_parse(option, word, least, most, &value, &err) < 0) {
                        cli_fail(0, "%s", err.text);
                        return EINVAL;
                }
                ret[(*ret_count)++] = (unsigned)value;
        }
        return 0;
}

static error_t take_number(const char *option, const char *arg, uint64_t least, uint64_t most, unsigned *ret)
{
        uint64_t value;
        struct fg_error err = {0};
        if (fg_count_parse(option, arg, least, most, &value, &err) < 0) {
                cli_fail(0, "%s", err.text);
                return EINVAL;
        }
        *ret = (unsigned)value;
        return 0;
}

/* "A-B", or "A" if `single` is enough: B is at most A + `most`. */
static error_t take_range(const char *option, const char *arg, uint64_t limit, uint64_t most, bool single, uint64_t *ret_first, uint64_t *ret_last)
{
        fg_autofree char *first = strdup(arg);
        struct fg_error err = {0};
        char *dash = first ? strchr(first, '-') : NULL;
        if (!first)
                return ENOMEM;
        if (dash)
                *dash++ = '\0';
        if (!dash && !single) {
                cli_fail(0, "%s: \"%s\" is not FIRST-LAST", option, arg);
                return EINVAL;
        }
        if (fg_count_parse(option, first, 0, limit, ret_first, &err) < 0 ||
            fg_count_parse(option, dash ? dash : first, *ret_first + !single, *ret_first + most, ret_last, &err) < 0) {
                cli_fail(0, "%s", err.text);
                return EINVAL;
        }
        return 0;
}

static error_t take_ties(struct cli_sim *sim, const char *arg)
{
        sim->any_tie = strcmp(arg, "random") == 0;
        if (sim->any_tie || strcmp(arg, "first") == 0)
                return 0;
        cli_fail(0, "--ties: \"%s\" is not one of first, random", arg);
        return EINVAL;
}

static error_t take_days(struct cli_sim *sim, const char *arg)
{
        uint64_t first = 0, last = 0;
        error_t e = take_range("--days", arg, 36500, 36500, false, &first, &last);
        sim->from_day = (int64_t)first;
        sim->until_day = (int64_t)last;
        return e;
}

static int check_policies(struct cli_sim *sim);

/* What goes with what. */
static error_t check_options(struct cli_sim *sim)
{
        bool jobs = sim->jobs || sim->from_history;
        const char *wrong = NULL;
        if (!!sim->jobs + !!sim->trace + sim->from_history > 1)
                wrong = "of --trace, --jobs and --from-history only one can be replayed";
        else if (!jobs && !(sim->nodes && sim->trace))
                wrong = sim->nodes ? "simulate needs --trace FILE" : sim->trace ? "simulate needs --nodes FILE" : "simulate needs --nodes FILE and --trace FILE, or --jobs FILE, or --from-history";
        else if (sim->jobs && !sim->nodes && !sim->gpus)
                wrong = "simulate --jobs needs --gpus N, or --nodes FILE";
        else if (!jobs && (sim->gpus || sim->node_gpus || sim->until_day || sim->least))
                wrong = "--gpus, --node-gpus, --days and --least-jobs are for jobs";
        else if (sim->nodes && (sim->gpus || sim->node_gpus))
                wrong = "--nodes says how many GPUs there are: without --gpus and --node-gpus";
        else if (jobs && (sim->load_count || sim->any_tie))
                wrong = "--churn and --ties are for pods (--trace)";
        else if (sim->repack && !sim->load_count)
                wrong = "--repack needs --churn LOAD: where nobody leaves nobody is moved";
        else if (sim->save && !sim->from_history)
                wrong = "--save-jobs is for --from-history";
        if (wrong) {
                cli_fail(0, "%s", wrong);
                return EINVAL;
        }
        sim->kind = jobs ? &cli_sim_jobs : &cli_sim_pods;
        if (jobs && !sim->seeds_given)
                sim->first = sim->last = 0;
        return check_policies(sim) ? EINVAL : 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct cli_sim *sim = state->input;
        switch (key) {
        case CLI_KEY_JSON: sim->json = true; return 0;
        case CLI_KEY_PROJECT: return cli_project_take(arg);
        case 'n': sim->nodes = arg; return 0;
        case 't': sim->trace = arg; return 0;
        case 'J': sim->jobs = arg; return 0;
        case 'p': sim->policies = arg; return 0;
        case 'r': sim->report = arg; return 0;
        case KEY_CSV: sim->csv = arg; return 0;
        case KEY_SAVE: sim->save = arg; return 0;
        case KEY_HISTORY: sim->from_history = true; return 0;
        case 'T': return take_ties(sim, arg);
        case 'c': return take_numbers("--churn", arg, 1, FG_REPLAY_CHURN_LOAD_MAX, sim->loads, &sim->load_count);
        case KEY_REPACK: return take_number("--repack", arg, 0, FG_REPLAY_REPACK_MAX, &sim->repack);
        case KEY_ADD: return take_numbers("--add-nodes", arg, 0, 100000, sim->add_nodes, &sim->adds);
        case KEY_SLICES: return take_numbers("--slices", arg, 0, 100, sim->slices, &sim->cuts);
        case KEY_GPUS: return take_number("--gpus", arg, 1, FG_JOBS_NODES_MAX, &sim->gpus);
        case KEY_NODE_GPUS: return take_number("--node-gpus", arg, 1, FG_JOBS_NODE_MAX, &sim->node_gpus);
        case KEY_LEAST: return take_number("--least-jobs", arg, 1, FG_JOBS_MAX, &sim->least);
        case KEY_DAYS: return take_days(sim, arg);
        case 's':
                sim->seeds_given = true;
                return take_range("--seeds", arg, UINT32_MAX, CLI_SIM_SEEDS - 1, true, &sim->first, &sim->last);
        case ARGP_KEY_ARG:
                cli_fail(0, "simulate takes no argument, yet \"%s\" was given", arg);
                return EINVAL;
        case ARGP_KEY_END:
                return check_options(sim);
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_simulate_argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Compare policies by replaying a trace. Pods (--trace) come in random order, then more drawn from it, until they want 130 % of "
               "the GPUs; nobody leaves, and who finds no place is gone; with --churn they leave after a random while. Jobs (--jobs) come when "
               "the trace says, wait for GPUs, and run for as long as it says; --from-history replays the node's own past. Without "
               "--from-history no daemon is needed, and the same seeds give the same bytes."};

static unsigned find_name(const struct cli_sim_kind *kind, const char *name)
{
        unsigned i = 0;
        while (kind->policy_name(NULL, i) && strcmp(kind->policy_name(NULL, i), name) != 0)
                i++;
        return i;
}

static int refuse_policy(const struct cli_sim *sim, const char *name)
{
        char names[256] = "";
        size_t len = 0;
        const struct cli_sim_kind *other = sim->kind == &cli_sim_jobs ? &cli_sim_pods : &cli_sim_jobs;
        const char *meant = cli_suggest(name, sim->kind->policy_name, NULL);
        if (meant)
                return cli_fail(CLI_USAGE, "there is no policy \"%s\"; did you mean %s", name, meant);
        for (unsigned i = 0; sim->kind->policy_name(NULL, i) && len < sizeof names; i++)
                len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i ? ", " : "", sim->kind->policy_name(NULL, i));
        if (other->policy_name(NULL, find_name(other, name)))
                return cli_fail(CLI_USAGE, "the policy \"%s\" is for %s; for %s there are %s", name, other->what, sim->kind->what, names);
        return cli_fail(CLI_USAGE, "there is no policy \"%s\"; for %s there are %s", name, sim->kind->what, names);
}

static int check_policies(struct cli_sim *sim)
{
        fg_autofree char *names = strdup(sim->policies ? sim->policies : sim->kind->default_policies);
        char *rest = names;
        for (char *name; rest && (name = strsep(&rest, ","));) {
                unsigned at = find_name(sim->kind, name);
                if (!sim->kind->policy_name(NULL, at))
                        return refuse_policy(sim, name);
                if (sim->policy_count == CLI_SIM_POLICIES)
                        return cli_fail(CLI_USAGE, "--policy: more than %u policies", CLI_SIM_POLICIES);
                sim->policy[sim->policy_count++] = at;
        }
        if ((size_t)sim->policy_count * sim->adds * sim->cuts <= CLI_SIM_ROWS)
                return 0;
        return cli_fail(CLI_USAGE, "%u policies, %u --add-nodes and %u --slices make %u rows; allowed are %u", sim->policy_count, sim->adds,
                        sim->cuts, sim->policy_count * sim->adds * sim->cuts, CLI_SIM_ROWS);
}

double cli_sim_deviation(const struct cli_sim_row *row, size_t measure)
{
        double mean = cli_sim_mean(row, measure), n = row->seeds;
        double variance = n > 1 ? (row->square[measure] - n * mean * mean) / (n - 1) : 0;
        return variance > 0 ? sqrt(variance) : 0;
}

double cli_sim_shown(const struct cli_sim *sim, const struct cli_sim_row *row, size_t measure)
{
        return sim->measure[measure].is_sum ? row->sum[measure] : cli_sim_mean(row, measure);
}

const char *cli_sim_row_name(const struct cli_sim *sim, const struct cli_sim_row *row, char *buf, size_t len)
{
        char more[48] = "", cut[48] = "";
        if (sim->adds > 1 || row->add_nodes)
                snprintf(more, sizeof more, ", +%u node%s", row->add_nodes, row->add_nodes == 1 ? "" : "s");
        if (row->slices)
                snprintf(cut, sizeof cut, ", %u slice%s", row->slices, row->slices == 1 ? "" : "s");
        else if (sim->cuts > 1)
                snprintf(cut, sizeof cut, ", uncut");
        snprintf(buf, len, "%s%s%s%s", row->policy, sim->kind->is_oracle(row->policy_at) ? " (oracle)" : "", more, cut);
        return buf;
}

const struct cli_sim_row *cli_sim_best(const struct cli_sim *sim, size_t measure)
{
        const struct cli_sim_row *best = NULL;
        bool differ = false;
        int sign = sim->measure[measure].better;
        for (size_t i = 0; i < sim->rows; i++) {
                const struct cli_sim_row *row = &sim->row[i];
                if (sim->kind->is_oracle(row->policy_at))
                        continue;
                double gain = best ? sign * (cli_sim_shown(sim, row, measure) - cli_sim_shown(sim, best, measure)) : 0;
                differ |= gain != 0;
                if (!best || gain > 0)
                        best = row;
        }
        return differ ? best : NULL;
}

struct cli_sim_measure *cli_sim_add_measure(struct cli_sim *sim, const char *key, const char *title, const char *unit, const char *about, int decimals,
                                            int better)
{
        struct cli_sim_measure *m = &sim->measure[sim->measures++];
        *m = (struct cli_sim_measure){.unit = unit, .decimals = decimals, .better = better};
        snprintf(m->key, sizeof m->key, "%s", key);
        snprintf(m->title, sizeof m->title, "%s", title);
        snprintf(m->about, sizeof m->about, "%s", about);
        return m;
}

static int set_rows(struct cli_sim *sim)
{
        sim->row = calloc(CLI_SIM_ROWS, sizeof(*sim->row));
        for (unsigned a = 0; sim->row && a < sim->adds; a++)
                for (unsigned c = 0; c < sim->cuts; c++)
                        for (unsigned p = 0; p < sim->policy_count; p++)
                                sim->row[sim->rows++] = (struct cli_sim_row){.policy = sim->kind->policy_name(NULL, sim->policy[p]),
                                                                             .policy_at = sim->policy[p], .add_nodes = sim->add_nodes[a],
                                                                             .slices = sim->slices[c]};
        for (size_t i = 0; i < sim->rows && cli_sim_wants_curves(sim); i++)
                for (size_t k = 0; k < sim->charts; k++)
                        if (!(sim->row[i].curve[k] = calloc(1, sizeof(*sim->row[i].curve[k]))))
                                return cli_fail(CLI_FAILED, "out of memory");
        return sim->row ? 0 : cli_fail(CLI_FAILED, "out of memory");
}

/* Curves of several seeds have the same x: sums, made means at the end. */
static void add_run(const struct cli_sim *sim, struct cli_sim_row *row, const struct cli_sim_run *run)
{
        for (size_t m = 0; m < sim->measures; m++) {
                row->sum[m] += run->value[m];
                row->square[m] += run->value[m] * run->value[m];
        }
        for (size_t k = 0; k < sim->charts && row->curve[k]; k++) {
                struct cli_sim_curve *all = row->curve[k];
                if (row->seeds == 0)
                        *all = run->curve[k];
                for (size_t i = 0; row->seeds > 0 && !sim->chart[k].first_seed && i < all->points && i < run->curve[k].points; i++) {
                        all->x[i] += (run->curve[k].x[i] - all->x[i]) / (row->seeds + 1);
                        all->y[i] += (run->curve[k].y[i] - all->y[i]) / (row->seeds + 1);
                }
        }
        row->seeds++;
}

/* All policies with one seed, so that what is drawn for it is drawn once. */
static int run_seed(struct cli_sim *sim, struct cli_sim_row *row, uint64_t seed, struct cli_sim_run *run)
{
        int code = sim->kind->prepare(sim, row->add_nodes, row->slices, seed);
        for (unsigned p = 0; p < sim->policy_count && code == 0; p++) {
                cli_sim_progress(sim, row[p].policy, seed);
                *run = (struct cli_sim_run){.seed = seed};
                code = sim->kind->run(sim, row[p].policy_at, run);
                if (code == 0)
                        add_run(sim, &row[p], run);
                if (code == 0 && sim->csv_out)
                        cli_sim_csv_run(sim, &row[p], run);
                sim->done++;
        }
        return code;
}

static int run_all(struct cli_sim *sim)
{
        fg_autofree struct cli_sim_run *run = malloc(sizeof(*run));
        int code = run ? 0 : cli_fail(CLI_FAILED, "out of memory");
        for (size_t i = 0; i < sim->rows && code == 0; i += sim->policy_count)
                for (uint64_t seed = sim->first; seed <= sim->last && code == 0; seed++)
                        code = run_seed(sim, &sim->row[i], seed, run);
        cli_sim_progress_end();
        return code;
}

static int replay(struct cli_sim *sim, char **csv, size_t *csv_len)
{
        int code = set_rows(sim);
        if (code == 0 && sim->csv && !(sim->csv_out = open_memstream(csv, csv_len)))
                code = cli_fail(CLI_FAILED, "out of memory");
        if (code == 0 && sim->csv)
                cli_sim_csv_head(sim);
        if (code == 0)
                code = run_all(sim);
        if (sim->csv_out && fclose(sim->csv_out) != 0 && code == 0)
                code = cli_fail(CLI_FAILED, "out of memory");
        if (code == 0 && sim->csv)
                code = cli_sim_write_file(sim->csv, *csv, *csv_len);
        if (code == 0 && sim->report)
                code = cli_sim_page(sim);
        return code ? code : cli_sim_print(sim);
}

static void drop(struct cli_sim *sim)
{
        if (sim->kind)
                sim->kind->free(sim);
        for (size_t i = 0; i < sim->rows; i++)
                for (size_t k = 0; k < CLI_SIM_CHARTS; k++)
                        free(sim->row[i].curve[k]);
        free(sim->row);
}

int cli_simulate(int argc, char **argv)
{
        FG_CLEANUP(drop) struct cli_sim sim = {.first = 42, .last = 51, .adds = 1, .cuts = 1};
        fg_autofree char *csv = NULL;
        size_t csv_len = 0;
        int code = cli_parse("simulate", &cli_simulate_argp, argc, argv, &sim);
        const char *const path[] = {sim.csv, sim.report, sim.save};
        for (size_t i = 0; i < 3 && code == 0; i++)
                code = path[i] ? cli_sim_check_path(path[i]) : 0;
        if (code == 0)
                code = sim.kind->load(&sim);
        return code ? code : replay(&sim, &csv, &csv_len);
}
