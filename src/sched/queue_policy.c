/* SPDX-License-Identifier: Apache-2.0
 * The orders a queue can be kept in, one row each. */
#include "sched/queue.h"

#include <string.h>

static uint64_t by_submission(const struct fg_queue_wish *wish, void *context)
{
        return wish->submitted;
}

static uint64_t by_kept(const struct fg_queue_wish *wish, void *context)
{
        const struct fg_queue_keys *keys = context;
        return keys ? keys->of(wish->owner) : wish->submitted;
}

const struct fg_queue_policy fg_queue_policies[] = {
        {"fair", true, by_submission},
        {"fifo", false, by_submission},
        {"learned", true, by_kept},
        {NULL, false, NULL},
};

const struct fg_queue_policy *fg_queue_policy_find(const char *name)
{
        for (const struct fg_queue_policy *row = fg_queue_policies; row->name; row++)
                if (strcmp(row->name, name) == 0)
                        return row;
        return NULL;
}
