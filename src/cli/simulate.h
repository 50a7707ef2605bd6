/* SPDX-License-Identifier: Apache-2.0
 * Replays: simulate.c (what was asked, and one run after another), simulate_pods.c and simulate_jobs.c (what is replayed), simulate_say.c
 * (the table, JSON, CSV, progress), simulate_page.c and simulate_chart.c (the report), simulate_history.c (the node's own past).
 *
 * A scenario is a number of nodes more and a way to cut GPUs; a row is a policy in a scenario; each row has a run for each seed. */
#ifndef CLI_SIMULATE_H
#define CLI_SIMULATE_H

#include "cli/cli.h"

#include <stdio.h>

#define CLI_SIM_POLICIES 16u
#define CLI_SIM_WHATS    8u /* values of --add-nodes, --slices, --churn */
#define CLI_SIM_ROWS     64u
#define CLI_SIM_SEEDS    1000u
#define CLI_SIM_MEASURES 32u
#define CLI_SIM_CHARTS   5u
#define CLI_SIM_POINTS   256u

/* A figure of each run. */
struct cli_sim_measure {
        char key[32], title[32], about[96]; /* title: of the table's column */
        const char *unit;                   /* "s", "%", "" */
        int decimals, better; /* better: 1 more is, -1 less is, 0 neither */
        bool is_sum, is_main; /* over the seeds; in the table and the report's tiles */
};

enum cli_sim_axis { CLI_SIM_PERCENT, CLI_SIM_DAYS, CLI_SIM_LOG_TIME, CLI_SIM_LABELS };

/* A curve of each row: means over the seeds, or of the first one alone. */
struct cli_sim_chart {
        const char *key, *title, *about, *x_title, *y_title;
        enum cli_sim_axis x, y;
        double from;              /* where x begins; y then only covers what is there */
        const char *const *label; /* of CLI_SIM_LABELS */
        bool first_seed, tight, only_csv; /* tight: y begins near the lowest point */
};

struct cli_sim_curve {
        double x[CLI_SIM_POINTS], y[CLI_SIM_POINTS];
        size_t points;
};

struct cli_sim_row {
        const char *policy;
        unsigned policy_at, add_nodes, slices; /* slices 0: as wanted */
        unsigned seeds;                        /* runs so far */
        double sum[CLI_SIM_MEASURES], square[CLI_SIM_MEASURES];
        struct cli_sim_curve *curve[CLI_SIM_CHARTS];
};

/* One run: what it says is put here, then added to its row. */
struct cli_sim_run {
        uint64_t seed;
        double value[CLI_SIM_MEASURES];
        struct cli_sim_curve curve[CLI_SIM_CHARTS];
};

struct cli_sim;

/* What can be replayed. All but find_policy() return 0 or an exit code, said. */
struct cli_sim_kind {
        const char *what;                                                     /* "pods" */
        const char *(*policy_name)(const void *user, size_t i);               /* NULL at the end */
        bool (*is_oracle)(size_t i);                                          /* knows the future: to compare with, not to win */
        const char *default_policies;
        int (*load)(struct cli_sim *sim);                                     /* reads files, sets measures, charts, about */
        int (*prepare)(struct cli_sim *sim, unsigned add_nodes, unsigned slices, uint64_t seed);
        int (*run)(struct cli_sim *sim, unsigned policy_at, struct cli_sim_run *run);
        json_t *(*json)(const struct cli_sim *sim, const struct cli_sim_row *row); /* what belongs to it besides the measures; NULL */
        void (*free)(struct cli_sim *sim);
};
extern const struct cli_sim_kind cli_sim_pods, cli_sim_jobs;

struct cli_sim {
        /* What was asked. */
        bool json, any_tie, seeds_given, from_history;
        const char *nodes, *trace, *jobs, *csv, *report, *save, *policies;
        unsigned gpus, node_gpus, add_nodes[CLI_SIM_WHATS], slices[CLI_SIM_WHATS], loads[CLI_SIM_WHATS];
        unsigned adds, cuts, load_count, least, repack;
        int64_t from_day, until_day; /* until 0: all days */
        uint64_t first, last;        /* seeds */
        /* What is replayed. */
        const struct cli_sim_kind *kind;
        void *data;
        unsigned policy[CLI_SIM_POLICIES], policy_count; /* places in the kind's names */
        char about[512];                                 /* a sentence for people */
        struct cli_sim_measure measure[CLI_SIM_MEASURES];
        size_t measures;
        const struct cli_sim_chart *chart;
        size_t charts;
        /* What came of it. */
        struct cli_sim_row *row;
        size_t rows, done; /* done: runs */
        FILE *csv_out;
};

static inline bool cli_sim_wants_curves(const struct cli_sim *sim)
{
        return sim->csv || sim->report;
}
static inline double cli_sim_mean(const struct cli_sim_row *row, size_t measure)
{
        return row->seeds ? row->sum[measure] / row->seeds : 0;
}
double cli_sim_deviation(const struct cli_sim_row *row, size_t measure);
double cli_sim_shown(const struct cli_sim *sim, const struct cli_sim_row *row, size_t measure); /* a mean, or a sum */
/* "gittins, +10 nodes, 7 slices" */
const char *cli_sim_row_name(const struct cli_sim *sim, const struct cli_sim_row *row, char *buf, size_t len);
/* The row that is best in it, oracles aside; NULL: none is better than the others. */
const struct cli_sim_row *cli_sim_best(const struct cli_sim *sim, size_t measure);
struct cli_sim_measure *cli_sim_add_measure(struct cli_sim *sim, const char *key, const char *title, const char *unit, const char *about, int decimals,
                                            int better);

/* --- simulate_say.c --- */

void cli_sim_progress(const struct cli_sim *sim, const char *policy, uint64_t seed);
void cli_sim_progress_end(void);
void cli_sim_csv_head(const struct cli_sim *sim);
void cli_sim_csv_run(const struct cli_sim *sim, const struct cli_sim_row *row, const struct cli_sim_run *run);
int cli_sim_print(const struct cli_sim *sim);
/* Can a file be made there? Said before long work, not after. 0, or an exit code. */
int cli_sim_check_path(const char *path);
/* All of it or nothing: written beside it, then moved there. 0, or an exit code. */
int cli_sim_write_file(const char *path, const char *text, size_t len);

/* --- simulate_page.c, simulate_chart.c --- */

int cli_sim_page(const struct cli_sim *sim);
void cli_sim_put(FILE *out, const char *text); /* escaped */
void cli_sim_put_chart(const struct cli_sim *sim, size_t chart, FILE *out);

/* --- simulate_history.c --- */

struct fg_jobs_trace;
/* The node's jobs that are over, as CSV (docs/design/simulate.md), and its GPUs. The caller frees *ret. 0, or an exit code. */
int cli_sim_history(char **ret, size_t *ret_len, unsigned *ret_gpus);

#endif
