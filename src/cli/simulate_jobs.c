/* SPDX-License-Identifier: Apache-2.0
 * Jobs that wait for GPUs. */
#include "cli/simulate.h"

#include "base/cleanup.h"
#include "simulate/jobs.h"
#include "simulate/stage.h"

#include <errno.h>
#include <string.h>

#define NODE_GPUS 8u
#define DRAWN     96u /* points over time of a chart, so that a line can be seen */

struct jobs {
        struct fg_jobs_trace trace, now; /* now: drawn and cut */
        uint8_t *size;                   /* GPUs of each node */
        size_t nodes, all;               /* all: with those added */
};

static const char *const length_label[FG_JOBS_CLASSES + 1] = {"< 1 min", "< 10 min", "< 1 h", "< 6 h", "< 1 day", "≥ 1 day", NULL};

static const struct cli_sim_chart chart[] = {
        {.key = "jct", .title = "Completion times", .about = "jobs that are over after that long", .x_title = "since submission", .y_title = "% of the jobs", .x = CLI_SIM_LOG_TIME},
        {.key = "wait", .title = "Waiting by length of job", .about = "mean", .x_title = "how long the job runs", .y_title = "waiting", .x = CLI_SIM_LABELS, .y = CLI_SIM_LOG_TIME, .label = length_label},
        {.key = "used", .title = "GPUs held", .about = "over time", .x_title = "days", .y_title = "% of the GPUs", .x = CLI_SIM_DAYS, .first_seed = true},
        {.key = "p", .title = "P = α · U · S · V", .about = "of what was wanted, over time", .x_title = "days", .y_title = "%", .x = CLI_SIM_DAYS, .first_seed = true, .tight = true},
        {.key = "demand", .title = "GPUs wanted", .x = CLI_SIM_DAYS, .first_seed = true, .only_csv = true},
};

static const char *policy_name(const void *user, size_t i)
{
        return fg_order_policies[i].name;
}

static bool is_oracle(size_t i)
{
        return fg_order_policies[i].oracle;
}

/* The order is that of the values in run_once(). */
static void set_measures(struct cli_sim *sim, bool use_is_known)
{
        cli_sim_add_measure(sim, "mean_jct_s", "MEAN JCT", "s", "s from submission to the end, mean over the jobs", 0, -1)->is_main = true;
        cli_sim_add_measure(sim, "mean_queue_s", "MEAN QUEUE", "s", "s of it waiting", 0, -1);
        cli_sim_add_measure(sim, "p99_jct_s", "P99 JCT", "s", "s from submission to the end, of the last but a hundredth", 0, -1)->is_main = true;
        cli_sim_add_measure(sim, "short_queue_s", "QUEUE < 1 H", "s", "s that a job of less than an hour waits", 0, -1)->is_main = true;
        cli_sim_add_measure(sim, "long_slowdown", "LONG", "", "time to the end over length, of jobs of a day and more", 2, -1)->is_main = true;
        cli_sim_add_measure(sim, "preemptions", "PREEMPTIONS", "", "how often a job was suspended", 0, -1);
        cli_sim_add_measure(sim, "s", "S %", "%", "what was held, of what could have been", 2, 1);
        cli_sim_add_measure(sim, "alpha", "α %", "%", "work that was not lost to suspending", 2, 1);
        cli_sim_add_measure(sim, "p", "P %", "%", use_is_known ? "α · U · S; V is not known" : "α · S; U and V are not known", 2, 1);
        cli_sim_add_measure(sim, "jobs", "JOBS", "", "that were replayed", 0, 0);
        if (use_is_known)
                cli_sim_add_measure(sim, "u", "U %", "%", "what was used, of what was held by jobs of which that is known", 2, 1);
        sim->chart = chart;
        sim->charts = sizeof chart / sizeof *chart;
}

static bool is_use_known(const struct fg_jobs_trace *trace)
{
        for (size_t i = 0; i < trace->jobs; i++)
                if (trace->job[i].busy >= 0)
                        return true;
        return false;
}

static int set_pool(struct cli_sim *sim, struct jobs *j, unsigned gpus)
{
        unsigned node = sim->node_gpus ? sim->node_gpus : NODE_GPUS;
        if (sim->from_history && !sim->node_gpus && !sim->gpus && gpus <= FG_JOBS_NODE_MAX)
                node = gpus; /* this node, as it is */
        if (gpus == 0 || gpus % node)
                return cli_fail(CLI_FAILED, "%u GPUs are no whole number of nodes with %u; say --node-gpus N", gpus, node);
        j->nodes = gpus / node;
        j->size = malloc(j->nodes);
        if (!j->size)
                return cli_fail(CLI_FAILED, "out of memory");
        memset(j->size, (int)node, j->nodes);
        return 0;
}

static int read_pool(struct cli_sim *sim, struct jobs *j)
{
        FG_CLEANUP(fg_replay_clear_nodes) struct fg_replay_nodes nodes = {0};
        struct fg_error err = {0};
        if (fg_replay_read_nodes(sim->nodes, &nodes, &err) < 0)
                return cli_fail(CLI_FAILED, "%s", err.text);
        if (nodes.count > FG_JOBS_NODES_MAX)
                return cli_fail(CLI_FAILED, "%s: %zu nodes; for jobs allowed are %u", sim->nodes, nodes.count, FG_JOBS_NODES_MAX);
        if (!(j->size = malloc(nodes.count)))
                return cli_fail(CLI_FAILED, "out of memory");
        for (size_t i = 0; i < nodes.count; i++)
                if (nodes.shape[i].gpus)
                        j->size[j->nodes++] = nodes.shape[i].gpus;
        return j->nodes ? 0 : cli_fail(CLI_FAILED, "%s: no node has GPUs", sim->nodes);
}

/* The trace: the node's past, or a file. */
static int read_trace(struct cli_sim *sim, struct jobs *j, unsigned *ret_gpus)
{
        struct fg_jobs_window window = {.from = INT64_MIN, .to = INT64_MAX, .least = sim->least};
        struct fg_error err = {0};
        fg_autofree char *text = NULL;
        size_t len = 0;
        int code = sim->from_history ? cli_sim_history(&text, &len, ret_gpus) : 0;
        if (code == 0 && sim->save)
                code = cli_sim_write_file(sim->save, text, len);
        if (code)
                return code;
        if (sim->until_day) {
                window.from = sim->from_day * FG_JOBS_DAY;
                window.to = sim->until_day * FG_JOBS_DAY;
        }
        int r = sim->from_history ? fg_jobs_parse("history", text, len, &window, &j->trace, &err) : fg_jobs_read(sim->jobs, &window, &j->trace, &err);
        return r < 0 ? cli_fail(CLI_FAILED, "%s", err.text) : 0;
}

static int load(struct cli_sim *sim)
{
        struct jobs *j = calloc(1, sizeof(*j));
        unsigned gpus = 0, all = 0;
        sim->data = j;
        int code = j ? read_trace(sim, j, &gpus) : cli_fail(CLI_FAILED, "out of memory");
        if (code == 0)
                code = sim->nodes ? read_pool(sim, j) : set_pool(sim, j, sim->gpus ? sim->gpus : gpus);
        if (code)
                return code;
        for (size_t i = 0; i < j->nodes; i++)
                all += j->size[i];
        int len = snprintf(sim->about, sizeof sim->about, "%zu jobs on %u GPUs of %zu node%s", j->trace.jobs, all, j->nodes, j->nodes == 1 ? "" : "s");
        if (j->trace.left_out)
                len += snprintf(sim->about + len, sizeof sim->about - (size_t)len, "; %zu others of the trace are left out", j->trace.left_out);
        snprintf(sim->about + len, sizeof sim->about - (size_t)len, "%s.", sim->seeds_given ? "; each seed draws as many jobs from them, with replacement" : "");
        set_measures(sim, is_use_known(&j->trace));
        return 0;
}

/* The nodes that are added are drawn from those there are. */
static int add_nodes(struct jobs *j, unsigned more, uint64_t seed)
{
        struct fg_replay_nodes nodes = {.count = j->nodes}, grown = {0};
        fg_autofree struct fg_cluster_shape *shape = calloc(j->nodes, sizeof(*shape));
        uint8_t *size = realloc(j->size, j->nodes + more);
        if (!shape || !size)
                return -ENOMEM;
        j->size = size;
        for (size_t i = 0; i < j->nodes; i++)
                shape[i].gpus = size[i];
        nodes.shape = shape;
        int r = fg_replay_more_nodes(&nodes, more, seed, &grown);
        for (size_t i = j->nodes; r == 0 && i < grown.count; i++)
                size[i] = grown.shape[i].gpus;
        j->all = j->nodes + more;
        fg_replay_clear_nodes(&grown);
        return r;
}

static int prepare(struct cli_sim *sim, unsigned more, unsigned slices, uint64_t seed)
{
        struct jobs *j = sim->data;
        int r = 0;
        free(j->now.job);
        j->now = (struct fg_jobs_trace){.job = malloc(j->trace.jobs * sizeof(*j->now.job)), .jobs = j->trace.jobs};
        if (!j->now.job)
                return cli_fail(CLI_FAILED, "out of memory");
        memcpy(j->now.job, j->trace.job, j->trace.jobs * sizeof(*j->now.job));
        if (sim->seeds_given) {
                free(FG_TAKE_PTR(j->now.job));
                r = fg_jobs_draw(&j->trace, seed, &j->now);
        }
        if (r == 0)
                r = add_nodes(j, more, seed);
        if (r < 0)
                return cli_fail(CLI_FAILED, "cannot set the replay up: %s", strerror(-r));
        if (slices)
                fg_jobs_slice(&j->now, slices);
        return 0;
}

static void add_point(struct cli_sim_curve *curve, double x, double y)
{
        curve->x[curve->points] = x;
        curve->y[curve->points++] = y;
}

static void draw_time(const struct fg_jobs_result *result, struct cli_sim_run *run)
{
        size_t width = (result->stretches + DRAWN - 1) / DRAWN;
        for (size_t i = 0; i < result->stretches; i += width) {
                struct fg_jobs_stretch sum = {0};
                double day = (double)i * (double)result->stretch_s / FG_JOBS_DAY;
                for (size_t k = i; k < i + width && k < result->stretches; k++) {
                        const struct fg_jobs_stretch *s = &result->course[k];
                        sum = (struct fg_jobs_stretch){sum.capacity + s->capacity, sum.demand + s->demand, sum.held + s->held, sum.busy + s->busy,
                                                       sum.known + s->known, sum.lost + s->lost};
                }
                if (sum.capacity <= 0)
                        continue;
                add_point(&run->curve[2], day, 100 * sum.held / sum.capacity);
                add_point(&run->curve[4], day, 100 * sum.demand / sum.capacity);
                if (sum.demand > 0)
                        add_point(&run->curve[3], day, 100 * fg_jobs_factors(&sum).p);
        }
}

static void draw(const struct fg_jobs_result *result, struct cli_sim_run *run)
{
        for (size_t i = 0; i <= 100; i++)
                add_point(&run->curve[0], result->quantile[i], (double)i);
        for (size_t i = 0; i < FG_JOBS_CLASSES; i++)
                add_point(&run->curve[1], (double)i, result->wait[i]);
        draw_time(result, run);
}

static int run_once(struct cli_sim *sim, unsigned policy_at, struct cli_sim_run *run)
{
        const struct jobs *j = sim->data;
        struct fg_jobs_pool_size pool = {j->size, j->all};
        struct fg_error err = {0};
        fg_autofree struct fg_jobs_result *result = malloc(sizeof(*result));
        if (!result)
                return cli_fail(CLI_FAILED, "out of memory");
        if (fg_jobs_run(&j->now, &pool, &fg_order_policies[policy_at], result, &err) < 0)
                return cli_fail(CLI_FAILED, "%s", err.text);
        struct fg_jobs_factors f = fg_jobs_factors(&result->sum);
        const double value[] = {result->mean, result->queue, (double)result->p99, result->short_queue, result->long_slowdown,
                                (double)result->preemptions, 100 * f.s, 100 * f.alpha, 100 * f.p, (double)result->jobs, 100 * f.u};
        memcpy(run->value, value, sizeof value);
        draw(result, run);
        return 0;
}

static json_t *no_json(const struct cli_sim *sim, const struct cli_sim_row *row)
{
        return NULL;
}

static void free_jobs(struct cli_sim *sim)
{
        struct jobs *j = sim->data;
        if (!j)
                return;
        free(j->trace.job);
        free(j->now.job);
        free(j->size);
        free(j);
}

const struct cli_sim_kind cli_sim_jobs = {"jobs", policy_name, is_oracle, "fifo-skip,mean,gittins,sjf,srtf", load, prepare, run_once, no_json, free_jobs};
