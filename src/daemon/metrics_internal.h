/* SPDX-License-Identifier: Apache-2.0
 * What the files of /metrics share: metrics_table.c (what there is), metrics_rows.c (of what, with which labels), metrics_queue.c and
 * metrics_money.c (figures that take some adding up), metrics_write.c (the text). */
#ifndef FGD_METRICS_INTERNAL_H
#define FGD_METRICS_INTERNAL_H

#include "daemon/jobs.h"
#include "daemon/metering_internal.h"
#include "daemon/metrics.h"
#include "daemon/telemetry.h"
#include "daemon/tenants.h"
#include "daemon/text.h"

struct fgd_call;

enum fgd_metric_type { FGD_GAUGE, FGD_COUNTER, FGD_HISTOGRAM };

/* What the rows are of that a series has: one each. */
enum fgd_metric_of {
        FGD_OF_SCRAPE,
        FGD_OF_NODE,    /* for admins, as are devices, findings and refusals */
        FGD_OF_DEVICE,
        FGD_OF_FINDING, /* kinds of findings */
        FGD_OF_REFUSAL, /* types of refusals */
        /* Bounded by what they are of up to here; behind it by metrics-limit. */
        FGD_OF_GPU,     /* NVIDIA GPUs that are sampled, with dcgm-exporter's labels */
        FGD_OF_CONTAINER, /* vGPUs on those, the same */
        FGD_OF_VGPU,
        FGD_OF_PROJECT,
        FGD_OF_MODEL,   /* devices and projects */
        FGD_OF_PENDING, /* a project's reasons to wait */
        FGD_OF_WAIT,    /* the histogram of a project */
        FGD_OF_COST,    /* a project's currencies */
        FGD_OF_BUDGET,
        FGD_OF_COUNT
};

/* A number as it is printed: `n` / 10^decimals. */
struct fgd_figure {
        fg_int128 n;
        unsigned decimals;
        bool is_ratio; /* `ratio` instead */
        double ratio;
};

struct fgd_metric_row {
        uint32_t labels; /* where they are in the scrape's `labels`: "a=\"x\",b=\"y\"", without braces */
        const void *object;
        fg_int128 number; /* of rows that have just one */
};

struct fgd_metric_rows {
        struct fgd_metric_row *row;
        uint32_t count, room, dropped;
};

struct fgd_scrape {
        struct fgd_call *call;
        struct fgd_manager *manager;
        const struct fgd_project *only; /* NULL: all that the caller may see */
        bool is_admin, is_openmetrics;
        int64_t now; /* unix s */
        struct fgd_metric_rows rows[FGD_OF_COUNT];
        struct fgd_text labels;
};

struct fgd_metric {
        const char *name;
        enum fgd_metric_type type;
        enum fgd_metric_of of;
        const char *unit; /* as OpenMetrics has it, the end of the name; "": none */
        const char *help;
        bool (*get)(const struct fgd_scrape *scrape, const struct fgd_metric_row *row, unsigned which, struct fgd_figure *ret); /* false: not known */
        unsigned which;
};
extern const struct fgd_metric fgd_metric_table[];
extern const size_t fgd_metric_count;
extern const char *const fgd_metric_labels[FGD_OF_COUNT]; /* for the manual */

/* --- metrics_queue.c --- */

#define FGD_WAIT_BUCKETS 11u
extern const uint32_t fgd_wait_bounds[FGD_WAIT_BUCKETS]; /* s */

/* Reasons to wait: the queue's own, holds, and two of ours. */
#define FGD_PENDING_REASONS 32u

struct fgd_project_figures {
        uint64_t waited[FGD_WAIT_BUCKETS + 1]; /* not cumulative; the last is of what waited for longer */
        uint64_t waited_ms;
        uint32_t pending[FGD_PENDING_REASONS]; /* of the scrape at hand */
        int64_t oldest_ms;                     /* submission of what has waited for longest, then; 0: nothing waits */
};

/* Counts what waits, into the figures of the projects. */
void fgd_metrics_count_pending(struct fgd_manager *manager);
const char *fgd_pending_reason(unsigned reason); /* NULL: there is none */

/* --- metrics_money.c --- */

struct fgd_spent {
        const struct fgd_project *project;
        char currency[FG_CURRENCY_MAX];
        fg_int128 all, month; /* exact */
        int64_t budget; /* nano-units; 0: none */
};

/* The longest of this minute and the one before. */
struct fgd_longest {
        uint64_t ns[2], minute;
};
uint64_t fgd_longest(const struct fgd_longest *longest);

struct fgd_metrics {
        struct fgd_longest turn, pass;
        uint64_t refused[FGD_PROBLEM_TYPES];
        char host[65];
        struct fgd_spent *spent;
        size_t spent_count;
        int64_t spent_seq, spent_month; /* of what `spent` was added up */
        uint32_t spent_projects;
};

/* Fills metrics->spent; it stays valid until a project is deleted. False: nothing is billed. */
bool fgd_metrics_add_up(struct fgd_manager *manager, int64_t now);

/* --- metrics_rows.c --- */

/* Everything that the caller may see. */
void fgd_scrape_collect(struct fgd_scrape *scrape);
void fgd_scrape_clear(struct fgd_scrape *scrape);
const char *fgd_device_gpu(const struct fgd_device *device); /* "GPU-…", as NVML has it */

/* --- metrics_write.c --- */

/* name="value", after a comma where there is something already. */
void fgd_label_add(struct fgd_text *text, const char *name, const char *value);
void fgd_metrics_write(struct fgd_scrape *scrape, struct fgd_text *text);

#endif
