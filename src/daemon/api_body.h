/* SPDX-License-Identifier: Apache-2.0
 * Reading request bodies: every field is checked and named in the refusal. */
#ifndef FGD_API_BODY_H
#define FGD_API_BODY_H

#include "daemon/problem.h"
#include "daemon/vgpus.h"

#include <jansson.h>

/* An object, all of whose fields are in `known` (ended by NULL). */
int fgd_body_parse(const char *body, size_t size, const char *const *known, json_t **ret, struct fgd_problem *problem);

int fgd_body_name(json_t *body, char ret[64], struct fgd_problem *problem);             /* absent: "" */
int fgd_body_count(json_t *body, uint32_t *ret, struct fgd_problem *problem);           /* "gpus"; absent: 1 */
int fgd_body_mode(json_t *body, bool *ret_given, enum fg_mode *ret, struct fgd_problem *problem);
int fgd_body_priority(json_t *body, bool *ret_given, enum fg_priority *ret, struct fgd_problem *problem);
/* "memory" and "compute" for `count` vGPUs; `whole` of them: what 100 % of the memory is. Absent: 0. */
int fgd_body_wants(json_t *body, uint32_t count, const uint64_t *whole, struct fg_sched_want *ret, struct fgd_problem *problem);
/* A piece of what was sent, for the refusal. */
const char *fgd_body_quote(json_t *value, char *buf, size_t size);

#endif
