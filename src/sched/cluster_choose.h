/* SPDX-License-Identifier: Apache-2.0
 * Chooses nodes for pods. What a node is worth to a kind of request is kept, and looked at again only when the node changed. */
#ifndef FG_SCHED_CLUSTER_CHOOSE_H
#define FG_SCHED_CLUSTER_CHOOSE_H

#include "sched/cluster_policy.h"

#define FG_CHOOSER_KINDS_MAX 160u /* kinds of request with kept scores; of more, the least recently used goes */

struct fg_chooser;

/* The cluster and the mix must outlive it; the mix belongs to the cluster's requests. `seed` is for a random policy. -ENOMEM. */
int fg_chooser_new(struct fg_chooser **ret, const struct fg_cluster *c, const struct fg_mix *m, const struct fg_cluster_policy *policy,
                   uint64_t seed);
struct fg_chooser *fg_chooser_free(struct fg_chooser *ch);

/* It has no scores. */
bool fg_chooser_is_random(const struct fg_chooser *ch);

/* From now on any one of those with equal scores instead of the first, to see what a policy owes to their order. */
void fg_chooser_shuffle_ties(struct fg_chooser *ch);

/* What a pod asks beyond what cluster.h knows. Scores are kept for a pod with the same id, which says the same of the same nodes for
 * as long as the chooser lives. With `allows` a decision asks of each node that may win, and ties go to the first of them. */
struct fg_chooser_rule {
        uint64_t id;          /* 0: `node` is NULL */
        const uint64_t *node; /* bit set of those that will do; NULL: all */
        bool (*allows)(void *user, uint32_t node);
        int64_t (*likes)(void *user, uint32_t node); /* more is better, and comes before the score; NULL: all alike. Needs `allows` */
        void *user;
};
int fg_chooser_choose_by(struct fg_chooser *ch, const struct fg_cluster_pod *pod, const struct fg_chooser_rule *rule, struct fg_cluster_place *ret);
/* The score that a node has for it, FG_SCORE_NONE where it does not fit. */
int fg_chooser_score(struct fg_chooser *ch, const struct fg_cluster_pod *pod, const struct fg_chooser_rule *rule, uint32_t node, int32_t *ret);

/* Where the pod goes; takes nothing. 0; -ENOSPC: it fits nowhere now; -EINVAL: no such pod; -ENOMEM. */
int fg_chooser_choose(struct fg_chooser *ch, const struct fg_cluster_pod *pod, struct fg_cluster_place *ret);

/* Why each node lost: how many lack what, and of those that it fits, how many score less and how many as much. */
struct fg_cluster_why {
        uint32_t lack[FG_CLUSTER_LACK_COUNT]; /* [FG_CLUSTER_FITS]: all that it fits, the chosen one too */
        uint32_t less, equal;                 /* less + equal + 1 = lack[FG_CLUSTER_FITS], unless that is 0 */
        int32_t score;                        /* of the chosen one */
};
int fg_chooser_explain(struct fg_chooser *ch, const struct fg_cluster_pod *pod, struct fg_cluster_why *ret);

static inline void fg_chooser_freep(struct fg_chooser **ch)
{
        fg_chooser_free(*ch);
}

#endif
