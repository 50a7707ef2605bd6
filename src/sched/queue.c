/* SPDX-License-Identifier: Apache-2.0
 * The queue as an object. */
#include "sched/queue.h"

#include "sched/queue_internal.h"

#include <errno.h>
#include <stdlib.h>

int fg_queue_new(const struct fg_queue_config *config, struct fg_queue **ret)
{
        struct fg_queue *q;

        if (config->decisions == 0)
                return -EINVAL;
        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        q->config = *config;
        if (!q->config.policy)
                q->config.policy = &fg_queue_policies[0];
        *ret = q;
        return 0;
}

static void remove_all(struct fg_queue *q, const struct fg_queue_tree *tree)
{
        struct fg_queue_node *job;

        while ((job = fg_queue_tree_first(tree)))
                fg_queue_remove(q, fg_queue_job_of(job));
}

static void remove_grouped(struct fg_queue *q, struct fg_queue_class *class)
{
        while (class->lanes) {
                struct fg_queue_group *group = fg_queue_group_of(fg_queue_tree_first(&class->lane[0]->groups));

                fg_queue_remove(q, fg_queue_job_of(fg_queue_tree_first(&group->jobs)));
        }
}

void fg_queue_free(struct fg_queue *q)
{
        if (!q)
                return;
        remove_all(q, &q->held);
        remove_all(q, &q->waiting);
        remove_all(q, &q->running);
        for (size_t c = 0; c < FG_QUEUE_CLASSES; c++) {
                remove_all(q, &q->class[c].suspended);
                remove_grouped(q, &q->class[c]);
                free(q->class[c].lane);
        }
        while (q->accounts)
                fg_queue_account_remove(q, q->accounts);
        free(q->bucket);
        free(q->decision);
        free(q->place);
        free(q);
}
