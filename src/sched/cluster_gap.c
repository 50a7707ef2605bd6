/* SPDX-License-Identifier: Apache-2.0
 * Column generation: the basis holds one packing for each size; a knapsack finds the packing that the prices value most, and it takes
 * the place of the one that runs out first. Plain additions, multiplications and divisions in a fixed order: the same on every machine. */
#include "sched/cluster_gap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 2000u /* a cycle ends here; the prices are of use at any time, because worth is scaled to one GPU */
#define TINY       1e-9

struct size {
        int milli;
        double count;
};

struct program {
        unsigned sizes;
        struct size size[FG_GAP_SIZES_MAX];
        double packings[FG_GAP_SIZES_MAX];                    /* how many GPUs are packed as the basis' i-th column */
        double inverse[FG_GAP_SIZES_MAX][FG_GAP_SIZES_MAX];   /* of the basis */
        double price[FG_GAP_SIZES_MAX];
        double worth[FG_CLUSTER_GPU + 1];
        int taken[FG_CLUSTER_GPU + 1]; /* the size that a gap takes first; -1: it is worth what one milli less is */
};

static int by_count(const void *a, const void *b)
{
        const struct size *p = a, *q = b;
        return p->count != q->count ? p->count > q->count ? -1 : 1 : (p->milli > q->milli) - (p->milli < q->milli);
}

static void count_sizes(struct program *p, const struct fg_cluster_pod *pod, size_t count)
{
        struct size all[FG_CLUSTER_GPU] = {0};
        for (int g = 0; g < FG_CLUSTER_GPU; g++)
                all[g].milli = g;
        for (size_t i = 0; i < count; i++)
                if (pod[i].gpus == 1 && pod[i].milli < FG_CLUSTER_GPU)
                        all[pod[i].milli].count++;
        qsort(all, FG_CLUSTER_GPU, sizeof(*all), by_count);
        while (p->sizes < FG_GAP_SIZES_MAX && all[p->sizes].count > 0) {
                p->size[p->sizes] = all[p->sizes];
                p->sizes++;
        }
}

/* At first each size has GPUs of its own. */
static void begin(struct program *p)
{
        for (unsigned i = 0; i < p->sizes; i++) {
                double fit = FG_CLUSTER_GPU / p->size[i].milli;
                p->inverse[i][i] = 1 / fit;
                p->packings[i] = p->size[i].count / fit;
        }
}

static void set_prices(struct program *p)
{
        for (unsigned j = 0; j < p->sizes; j++) {
                p->price[j] = 0;
                for (unsigned i = 0; i < p->sizes; i++)
                        p->price[j] += p->inverse[i][j];
        }
}

static void set_worth(struct program *p)
{
        p->worth[0] = 0;
        for (int g = 1; g <= FG_CLUSTER_GPU; g++) {
                p->worth[g] = p->worth[g - 1];
                p->taken[g] = -1;
                for (unsigned i = 0; i < p->sizes; i++) {
                        int left = g - p->size[i].milli;
                        if (left >= 0 && p->worth[left] + p->price[i] > p->worth[g]) {
                                p->worth[g] = p->worth[left] + p->price[i];
                                p->taken[g] = (int)i;
                        }
                }
        }
}

/* The packing that is worth most, as the basis sees it. */
static void best_column(const struct program *p, double ret[FG_GAP_SIZES_MAX])
{
        memset(ret, 0, FG_GAP_SIZES_MAX * sizeof(*ret));
        for (int g = FG_CLUSTER_GPU; g > 0;) {
                int i = p->taken[g];
                if (i < 0) {
                        g--;
                        continue;
                }
                for (unsigned row = 0; row < p->sizes; row++)
                        ret[row] += p->inverse[row][i];
                g -= p->size[i].milli;
        }
}

/* False: the column replaces none, which only rounding can bring about. */
static bool exchange(struct program *p, const double column[FG_GAP_SIZES_MAX])
{
        unsigned out = p->sizes;
        for (unsigned i = 0; i < p->sizes; i++)
                if (column[i] > TINY && (out == p->sizes || p->packings[i] * column[out] < p->packings[out] * column[i]))
                        out = i;
        if (out == p->sizes)
                return false;
        p->packings[out] /= column[out];
        for (unsigned j = 0; j < p->sizes; j++)
                p->inverse[out][j] /= column[out];
        for (unsigned i = 0; i < p->sizes; i++) {
                if (i == out)
                        continue;
                p->packings[i] -= column[i] * p->packings[out];
                for (unsigned j = 0; j < p->sizes; j++)
                        p->inverse[i][j] -= column[i] * p->inverse[out][j];
        }
        return true;
}

static void solve(struct program *p)
{
        double column[FG_GAP_SIZES_MAX];
        begin(p);
        for (unsigned round = 0; round < ROUNDS_MAX; round++) {
                set_prices(p);
                set_worth(p);
                if (p->worth[FG_CLUSTER_GPU] <= 1 + TINY)
                        return;
                best_column(p, column);
                if (!exchange(p, column))
                        return;
        }
}

int fg_gap_worth(const struct fg_cluster_pod *pod, size_t count, int16_t ret_worth[FG_CLUSTER_GPU + 1])
{
        struct program *p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        count_sizes(p, pod, count);
        if (p->sizes)
                solve(p);
        for (int g = 0; g <= FG_CLUSTER_GPU; g++)
                ret_worth[g] = (int16_t)(p->sizes ? FG_CLUSTER_GPU * p->worth[g] / p->worth[FG_CLUSTER_GPU] + .5 : g);
        free(p);
        return 0;
}
