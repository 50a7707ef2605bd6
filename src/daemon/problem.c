/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/problem.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
        const char *type, *title;
        unsigned status;
} kinds[] = {
        [FGD_BAD_REQUEST] = {"bad-request", "the request is not understood", 400},
        [FGD_NOT_FOUND] = {"not-found", "no such thing", 404},
        [FGD_METHOD] = {"method-not-allowed", "not possible on this path", 405},
        [FGD_EXISTS] = {"exists", "the name is taken", 409},
        [FGD_IN_USE] = {"in-use", "it is in use", 409},
        [FGD_NO_CAPACITY] = {"no-capacity", "it does not fit", 409},
        [FGD_DEVICE_LOST] = {"device-lost", "the device has vanished", 409},
        [FGD_QUARANTINED] = {"quarantined", "the vGPU is quarantined", 409},
        [FGD_TOO_LARGE] = {"too-large", "the request is too large", 413},
        [FGD_STORAGE] = {"storage", "the store could not be written", 507},
        [FGD_INTERNAL] = {"internal", "something failed inside", 500},
        [FGD_BUSY] = {"busy", "too much at once", 503},
        [FGD_UNAUTHORIZED] = {"unauthorized", "it is not known who is asking", 401},
        [FGD_FORBIDDEN] = {"forbidden", "not allowed", 403},
        [FGD_QUOTA] = {"quota", "a quota is used up", 409},
        [FGD_NO_ROOM] = {"no-room", "there are too many of these", 409},
        [FGD_RATE_LIMITED] = {"rate-limited", "too many requests", 429},
        [FGD_ENDED] = {"ended", "it has ended already", 409},
        [FGD_BUDGET] = {"budget", "its budget is used up", 409},
        [FGD_MISMATCH] = {"idempotency-mismatch", "the key belongs to another request", 409},
};

int fgd_problem_set(struct fgd_problem *problem, enum fgd_problem_type type, const char *format, ...)
{
        va_list args;
        problem->type = type;
        va_start(args, format);
        vsnprintf(problem->detail, sizeof problem->detail, format, args);
        va_end(args);
        return -1;
}

int fgd_problem_from(struct fgd_problem *problem, enum fgd_problem_type type, const struct fg_error *err)
{
        return fgd_problem_set(problem, type, "%s", err->text);
}

const char *fgd_problem_type_name(const struct fgd_problem *problem)
{
        return kinds[problem->type].type;
}

unsigned fgd_problem_status(const struct fgd_problem *problem)
{
        return kinds[problem->type].status;
}

static void write_quota(const struct fgd_problem *problem, struct fgd_text *text)
{
        fgd_text_field(text, "scope", problem->quota_scope);
        fgd_text_field(text, "key", problem->quota_key);
        fgd_text_number(text, "limit", problem->limit);
        fgd_text_number(text, "used", problem->used);
        fgd_text_number(text, "wanted", problem->wanted);
}

void fgd_problem_write(const struct fgd_problem *problem, struct fgd_text *text)
{
        fgd_text_add(text, "{");
        fgd_text_field(text, "type", kinds[problem->type].type);
        fgd_text_field(text, "title", kinds[problem->type].title);
        fgd_text_number(text, "status", kinds[problem->type].status);
        fgd_text_field(text, "detail", problem->detail);
        if (problem->type == FGD_NO_CAPACITY) {
                fgd_text_number(text, "available", problem->available);
                fgd_text_number(text, "available_share", problem->available_share);
        }
        if (problem->type == FGD_QUOTA)
                write_quota(problem, text);
        if (problem->type == FGD_RATE_LIMITED)
                fgd_text_number(text, "retry_after_ms", problem->retry_after_ms);
        if (problem->type == FGD_IN_USE && problem->used)
                fgd_text_number(text, "used", problem->used);
        if (problem->type == FGD_IN_USE && problem->pid_count) {
                fgd_text_name(text, "pids");
                fgd_text_add(text, "[");
                for (uint32_t i = 0; i < problem->pid_count && i < FGD_PROBLEM_PIDS; i++)
                        fgd_text_addf(text, "%s%u", i ? ", " : "", problem->pids[i]);
                fgd_text_add(text, "]");
        }
        fgd_text_add(text, "}\n");
}
