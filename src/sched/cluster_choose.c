/* SPDX-License-Identifier: Apache-2.0
 * For each kind of request the scores of all nodes, and the best of each block of nodes: a decision looks again at the nodes that
 * changed since the kind was asked for, then at the blocks, then into one block. */
#include "sched/cluster_choose.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64u

struct kind {
        struct fg_cluster_pod pod;
        uint64_t rule; /* its id; 0: none */
        const uint64_t *node;
        uint64_t seen; /* changes of the cluster that the scores know */
        uint64_t used;
        int32_t *score; /* of each node, then of each block its best */
};

struct fg_chooser {
        const struct fg_cluster *cluster;
        const struct fg_mix *mix;
        const struct fg_cluster_policy *policy;
        uint64_t random, clock;
        bool any_tie;
        size_t nodes, blocks, kinds;
        struct kind kind[FG_CHOOSER_KINDS_MAX];
};

int fg_chooser_new(struct fg_chooser **ret, const struct fg_cluster *c, const struct fg_mix *m, const struct fg_cluster_policy *policy,
                   uint64_t seed)
{
        struct fg_chooser *ch = calloc(1, sizeof(*ch));
        if (!ch)
                return -ENOMEM;
        ch->cluster = c;
        ch->mix = m;
        ch->policy = policy;
        ch->random = seed;
        ch->nodes = fg_cluster_count(c);
        ch->blocks = (ch->nodes + BLOCK - 1) / BLOCK;
        *ret = ch;
        return 0;
}

struct fg_chooser *fg_chooser_free(struct fg_chooser *ch)
{
        for (size_t i = 0; ch && i < ch->kinds; i++)
                free(ch->kind[i].score);
        free(ch);
        return NULL;
}

static bool is_same(const struct fg_cluster_pod *a, const struct fg_cluster_pod *b)
{
        return a->cpu == b->cpu && a->memory == b->memory && a->milli == b->milli && a->gpus == b->gpus && a->models == b->models &&
               a->site == b->site;
}

static bool is_open(const uint64_t *node, size_t i)
{
        return !node || node[i / 64] >> i % 64 & 1;
}

static int32_t score_node(const struct fg_chooser *ch, size_t i, const struct kind *k)
{
        unsigned gpu;
        const struct fg_cluster_pod *pod = &k->pod;
        if (!is_open(k->node, i))
                return FG_SCORE_NONE;
        const struct fg_cluster_node *n = fg_cluster_node(ch->cluster, i);
        return fg_cluster_judge(n, pod) == FG_CLUSTER_FITS ? ch->policy->score(ch->mix, n, pod, &gpu) : FG_SCORE_NONE;
}

static int32_t best_of(const int32_t *score, size_t first, size_t end)
{
        int32_t best = FG_SCORE_NONE;
        for (size_t i = first; i < end; i++)
                best = score[i] > best ? score[i] : best;
        return best;
}

static size_t block_end(const struct fg_chooser *ch, size_t block)
{
        size_t end = (block + 1) * BLOCK;
        return end < ch->nodes ? end : ch->nodes;
}

static void score_again(const struct fg_chooser *ch, struct kind *k, size_t i)
{
        int32_t *block = &k->score[ch->nodes + i / BLOCK], old = k->score[i], now = score_node(ch, i, k);
        k->score[i] = now;
        if (now >= *block)
                *block = now;
        else if (old == *block)
                *block = best_of(k->score, i / BLOCK * BLOCK, block_end(ch, i / BLOCK));
}

static void score_all(const struct fg_chooser *ch, struct kind *k)
{
        for (size_t i = 0; i < ch->nodes; i++)
                k->score[i] = score_node(ch, i, k);
        for (size_t b = 0; b < ch->blocks; b++)
                k->score[ch->nodes + b] = best_of(k->score, b * BLOCK, block_end(ch, b));
}

static void catch_up(const struct fg_chooser *ch, struct kind *k)
{
        uint64_t changes = fg_cluster_changes(ch->cluster);
        if (changes - k->seen > ch->nodes)
                score_all(ch, k);
        else
                for (uint64_t c = k->seen; c < changes; c++)
                        score_again(ch, k, fg_cluster_changed(ch->cluster, c));
        k->seen = changes;
}

static int find_kind(struct fg_chooser *ch, const struct fg_cluster_pod *pod, const struct fg_chooser_rule *rule, struct kind **ret)
{
        uint64_t id = rule ? rule->id : 0;
        struct kind *oldest = NULL;
        for (size_t i = 0; i < ch->kinds; i++) {
                if (ch->kind[i].rule == id && is_same(&ch->kind[i].pod, pod)) {
                        *ret = &ch->kind[i];
                        return 0;
                }
                if (!oldest || ch->kind[i].used < oldest->used)
                        oldest = &ch->kind[i];
        }
        if (ch->kinds < FG_CHOOSER_KINDS_MAX) {
                int32_t *score = malloc((ch->nodes + ch->blocks) * sizeof(*score));
                if (!score)
                        return -ENOMEM;
                oldest = &ch->kind[ch->kinds++];
                oldest->score = score;
        }
        oldest->pod = *pod;
        oldest->rule = id;
        oldest->node = rule ? rule->node : NULL;
        oldest->seen = fg_cluster_changes(ch->cluster);
        score_all(ch, oldest);
        *ret = oldest;
        return 0;
}

static size_t first_best(const struct fg_chooser *ch, const struct kind *k)
{
        const int32_t *block = &k->score[ch->nodes];
        size_t best = 0, i;
        for (size_t b = 1; b < ch->blocks; b++)
                if (block[b] > block[best])
                        best = b;
        for (i = best * BLOCK; k->score[i] != block[best]; i++)
                ;
        return i;
}

/* splitmix64 */
static uint64_t draw(struct fg_chooser *ch)
{
        uint64_t z = ch->random += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

static size_t any_best(struct fg_chooser *ch, const struct kind *k)
{
        const int32_t *block = &k->score[ch->nodes];
        int32_t best = best_of(block, 0, ch->blocks);
        uint64_t equal = 0;
        size_t ret = 0;
        for (size_t b = 0; b < ch->blocks; b++)
                for (size_t i = b * BLOCK; block[b] == best && i < block_end(ch, b); i++)
                        if (k->score[i] == best && draw(ch) % ++equal == 0)
                                ret = i;
        return ret;
}

bool fg_chooser_is_random(const struct fg_chooser *ch)
{
        return ch->policy->random;
}

void fg_chooser_shuffle_ties(struct fg_chooser *ch)
{
        ch->any_tie = true;
}

static uint16_t whole_gpus(const struct fg_cluster_node *n, unsigned count)
{
        uint16_t set = 0;
        for (unsigned i = 0; i < n->has.gpus && count; i++)
                if (n->gpu[i] == FG_CLUSTER_GPU) {
                        set = (uint16_t)(set | 1u << i);
                        count--;
                }
        return set;
}

static unsigned random_gpu(struct fg_chooser *ch, const struct fg_cluster_node *n, int milli)
{
        unsigned fit[FG_CLUSTER_GPUS_MAX], count = 0;
        for (unsigned i = 0; i < n->has.gpus; i++)
                if (n->gpu[i] >= milli)
                        fit[count++] = i;
        return fit[draw(ch) % count];
}

static struct fg_cluster_place place_on(struct fg_chooser *ch, size_t i, const struct fg_cluster_pod *pod)
{
        const struct fg_cluster_node *n = fg_cluster_node(ch->cluster, i);
        unsigned gpu = 0;
        if (pod->gpus == 0 || pod->milli == FG_CLUSTER_GPU)
                return (struct fg_cluster_place){(uint32_t)i, whole_gpus(n, pod->gpus)};
        if (ch->policy->random)
                gpu = random_gpu(ch, n, pod->milli);
        else
                ch->policy->score(ch->mix, n, pod, &gpu);
        return (struct fg_cluster_place){(uint32_t)i, (uint16_t)(1u << gpu)};
}

static bool allows(const struct fg_chooser_rule *rule, size_t i)
{
        return !rule || !rule->allows || rule->allows(rule->user, (uint32_t)i);
}

static int random_node(struct fg_chooser *ch, const struct fg_cluster_pod *pod, const struct fg_chooser_rule *rule, size_t *ret)
{
        uint64_t fit = 0;
        int64_t most = INT64_MIN;
        for (size_t i = 0; i < ch->nodes; i++) {
                if (!is_open(rule ? rule->node : NULL, i) || fg_cluster_judge(fg_cluster_node(ch->cluster, i), pod) != FG_CLUSTER_FITS ||
                    !allows(rule, i))
                        continue;
                int64_t liked = rule && rule->likes ? rule->likes(rule->user, (uint32_t)i) : 0;
                if (liked > most) {
                        most = liked;
                        fit = 0;
                }
                if (liked == most && draw(ch) % ++fit == 0)
                        *ret = i;
        }
        return fit ? 0 : -ENOSPC;
}

/* The first of the best that is allowed; ch->nodes: none. Blocks that cannot win are passed over. */
static size_t best_allowed(const struct fg_chooser *ch, const struct kind *k, const struct fg_chooser_rule *rule)
{
        int32_t best = FG_SCORE_NONE;
        size_t ret = ch->nodes;
        for (size_t b = 0; b < ch->blocks; b++)
                for (size_t i = b * BLOCK; k->score[ch->nodes + b] > best && i < block_end(ch, b); i++)
                        if (k->score[i] > best && rule->allows(rule->user, (uint32_t)i)) {
                                best = k->score[i];
                                ret = i;
                        }
        return ret;
}

/* The first of the best of those that are liked most: each that may have it is asked; ch->nodes: none. */
static size_t best_liked(const struct fg_chooser *ch, const struct kind *k, const struct fg_chooser_rule *rule)
{
        int32_t best = FG_SCORE_NONE;
        int64_t most = INT64_MIN;
        size_t ret = ch->nodes;
        for (size_t i = 0; i < ch->nodes; i++) {
                if (k->score[i] == FG_SCORE_NONE || !rule->allows(rule->user, (uint32_t)i))
                        continue;
                int64_t liked = rule->likes(rule->user, (uint32_t)i);
                if (ret < ch->nodes && (liked < most || (liked == most && k->score[i] <= best)))
                        continue;
                most = liked;
                best = k->score[i];
                ret = i;
        }
        return ret;
}

static int ask(struct fg_chooser *ch, const struct fg_cluster_pod *pod, const struct fg_chooser_rule *rule, struct kind **ret)
{
        int r = fg_cluster_pod_is_valid(pod) ? find_kind(ch, pod, rule, ret) : -EINVAL;
        if (r == 0) {
                (*ret)->used = ++ch->clock;
                catch_up(ch, *ret);
        }
        return r;
}

static int best_node(struct fg_chooser *ch, const struct fg_cluster_pod *pod, const struct fg_chooser_rule *rule, size_t *ret)
{
        struct kind *k;
        int r = ask(ch, pod, rule, &k);
        if (r < 0)
                return r;
        if (rule && rule->allows) {
                *ret = rule->likes ? best_liked(ch, k, rule) : best_allowed(ch, k, rule);
                return *ret == ch->nodes ? -ENOSPC : 0;
        }
        *ret = ch->any_tie ? any_best(ch, k) : first_best(ch, k);
        return k->score[*ret] == FG_SCORE_NONE ? -ENOSPC : 0;
}

int fg_chooser_choose_by(struct fg_chooser *ch, const struct fg_cluster_pod *pod, const struct fg_chooser_rule *rule, struct fg_cluster_place *ret)
{
        size_t node = 0;
        if (!fg_cluster_pod_is_valid(pod))
                return -EINVAL;
        int r = ch->policy->random ? random_node(ch, pod, rule, &node) : best_node(ch, pod, rule, &node);
        if (r == 0)
                *ret = place_on(ch, node, pod);
        return r;
}

int fg_chooser_choose(struct fg_chooser *ch, const struct fg_cluster_pod *pod, struct fg_cluster_place *ret)
{
        return fg_chooser_choose_by(ch, pod, NULL, ret);
}

int fg_chooser_score(struct fg_chooser *ch, const struct fg_cluster_pod *pod, const struct fg_chooser_rule *rule, uint32_t node, int32_t *ret)
{
        struct kind *k;
        int r = node < ch->nodes ? ask(ch, pod, rule, &k) : -EINVAL;
        if (r == 0)
                *ret = k->score[node];
        return r;
}

int fg_chooser_explain(struct fg_chooser *ch, const struct fg_cluster_pod *pod, struct fg_cluster_why *ret)
{
        struct fg_cluster_why why = {0};
        struct kind *k;
        int r = ask(ch, pod, NULL, &k);
        if (r < 0)
                return r;
        why.score = k->score[first_best(ch, k)];
        for (size_t i = 0; i < ch->nodes; i++) {
                enum fg_cluster_lack lack = fg_cluster_judge(fg_cluster_node(ch->cluster, i), pod);
                why.lack[lack]++;
                why.less += lack == FG_CLUSTER_FITS && k->score[i] < why.score;
                why.equal += lack == FG_CLUSTER_FITS && k->score[i] == why.score;
        }
        why.equal -= why.equal > 0;
        *ret = why;
        return 0;
}
