/* SPDX-License-Identifier: Apache-2.0
 * Reading request bodies: every field is checked and named in the refusal. */
#ifndef FGD_API_BODY_H
#define FGD_API_BODY_H

#include "daemon/problem.h"
#include "daemon/tenants.h"
#include "daemon/vgpus.h"

#include <jansson.h>

/* An object, all of whose fields are in `known` (ended by NULL). */
int fgd_body_parse(const char *body, size_t size, const char *const *known, json_t **ret, struct fgd_problem *problem);

/* A whole number as JSON has it: 7 and 7.0 are the same. */
bool fgd_body_integer(const json_t *value, int64_t *ret);
/* A string; absent: NULL. It lives as long as the body. */
int fgd_body_string(json_t *body, const char *field, const char **ret, struct fgd_problem *problem);
/* The same of what names something: "" is refused, as it would be taken for what is not given. */
int fgd_body_word(json_t *body, const char *field, const char **ret, struct fgd_problem *problem);
int fgd_body_bool(json_t *body, const char *field, bool *ret_given, bool *ret, struct fgd_problem *problem);
int fgd_body_number(json_t *body, const char *field, int64_t min, int64_t max, bool *ret_given, int64_t *ret, struct fgd_problem *problem);
/* viewer, member, manager or, if `is_cap`, admin. */
int fgd_body_role(json_t *body, bool is_cap, bool *ret_given, enum fgd_role *ret, struct fgd_problem *problem);
int fgd_body_name(json_t *body, char ret[64], struct fgd_problem *problem);             /* absent: "" */
int fgd_body_count(json_t *body, uint32_t *ret, struct fgd_problem *problem);           /* "gpus"; absent: 1 */
int fgd_body_mode(json_t *body, bool *ret_given, enum fg_mode *ret, struct fgd_problem *problem);
int fgd_body_priority(json_t *body, bool *ret_given, enum fg_priority *ret, struct fgd_problem *problem);
/* "device": an id, a key or the start of a UUID; absent: NULL (api_vgpus.c). */
struct fgd_call;
int fgd_body_device(struct fgd_call *call, json_t *body, struct fgd_device **ret);
/* "memory" and "compute" for `count` vGPUs; `whole` of them: what 100 % of the memory is. Absent: 0. */
int fgd_body_wants(json_t *body, uint32_t count, const uint64_t *whole, struct fg_sched_want *ret, struct fgd_problem *problem);
/* The same, with what they need; on any device, or (not NULL) that one, or each on the one of `at` (api_vgpus.c). */
struct fgd_wants {
        struct fg_sched_want *want;
        uint64_t *whole;
};
void fgd_wants_clear(struct fgd_wants *wants);
int fgd_wants_read(struct fgd_call *call, json_t *body, uint32_t count, const struct fgd_device *device, const uint32_t *at, struct fgd_wants *ret);
/* A piece of what was sent, for the refusal. */
const char *fgd_body_quote(json_t *value, char *buf, size_t size);

#endif
