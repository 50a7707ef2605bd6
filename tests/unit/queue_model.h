/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue's rules once more, straight down: no groups, no heaps, nothing remembered from one question to the next,
 * and the test's own books. Without preemption. What it decides is what a pass must decide. */
#ifndef FG_TESTS_QUEUE_MODEL_H
#define FG_TESTS_QUEUE_MODEL_H

#include "queue_world.h"

struct model_decision {
        struct world_job *job;
        bool resume;
        uint32_t on[WORLD_DEVICES];
};

struct model_plan {
        struct model_decision decision[WORLD_JOBS];
        size_t count;
};

void model_pass(const struct world *w, struct model_plan *ret);

#endif
