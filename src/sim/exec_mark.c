/* SPDX-License-Identifier: Apache-2.0
 * Marks, and the operations that set them and wait for them. */
#include "sim/exec.h"

#include <stdlib.h>

struct mark_op {
        struct fgsim_op op;
        struct fgsim_mark *mark;
};

struct fgsim_mark *fgsim_mark_new(void)
{
        struct fgsim_mark *mark = calloc(1, sizeof(*mark));

        if (mark)
                mark->refs = 1;
        return mark;
}

void fgsim_mark_drop(struct fgsim_mark *mark)
{
        if (mark && --mark->refs == 0)
                free(mark);
}

static void mark_end(struct fgsim_op *op, uint64_t at)
{
        struct fgsim_mark *mark = ((struct mark_op *)op)->mark;

        mark->done = true;
        mark->at = at;
        fgsim_mark_drop(mark);
}

static bool wait_may(struct fgsim_op *op, uint64_t *at)
{
        const struct fgsim_mark *mark = ((struct mark_op *)op)->mark;

        if (mark->done && mark->at > *at)
                *at = mark->at;
        return mark->done;
}

static void wait_end(struct fgsim_op *op, uint64_t at)
{
        fgsim_mark_drop(((struct mark_op *)op)->mark);
}

static struct fgsim_op *mark_op_new(struct fgsim_mark *mark, const struct fgsim_op_class *class)
{
        struct mark_op *op = calloc(1, sizeof(*op));

        if (!op)
                return NULL;
        op->op.class = class;
        op->op.lane = FGSIM_LANE_NONE;
        op->mark = mark;
        mark->refs++;
        return &op->op;
}

struct fgsim_op *fgsim_op_mark(struct fgsim_mark *mark)
{
        static const struct fgsim_op_class class = {.end = mark_end};

        return mark_op_new(mark, &class);
}

struct fgsim_op *fgsim_op_wait(struct fgsim_mark *mark)
{
        static const struct fgsim_op_class class = {.may = wait_may, .end = wait_end};

        return mark_op_new(mark, &class);
}
