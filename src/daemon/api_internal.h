/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGD_API_INTERNAL_H
#define FGD_API_INTERNAL_H

#include "daemon/api.h"
#include "daemon/api_write.h"
#include "daemon/manager.h"
#include "daemon/problem.h"
#include "daemon/registry.h"

/* One request on its way. A handler returns 0 with `text` and `status` filled, -1 with `problem` filled, or 1: answered later. */
struct fgd_call {
        struct fgd_manager *manager;
        const struct fgd_request *request;
        char argument[256]; /* what follows the route's prefix, decoded */
        unsigned status;
        struct fgd_text text;
        struct fgd_problem problem;
};

/* The set (and the index in it, -1: none given) that the path names. */
int fgd_call_target(struct fgd_call *call, const char *target, struct fgd_set **ret, int64_t *ret_index);

int fgd_handle_create(struct fgd_call *call);
int fgd_handle_resize(struct fgd_call *call);
int fgd_handle_delete(struct fgd_call *call);
int fgd_handle_open(struct fgd_call *call);

/* A flag of the query ("force=1"): 0, or a refusal. Nothing else may be in the query. */
int fgd_query_flag(struct fgd_call *call, const char *name, bool *ret);

#endif
