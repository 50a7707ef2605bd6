/* SPDX-License-Identifier: Apache-2.0
 * What follows the '?'. */
#include "daemon/api_internal.h"

#include "base/size.h"

#include <stdio.h>
#include <string.h>

static int refuse(struct fgd_call *call, const struct fgd_query *known, size_t count)
{
        char list[256] = "none are";
        size_t at = 0;
        for (size_t i = 0; i < count && at < sizeof list; i++)
                at += (size_t)snprintf(list + at, sizeof list - at, "%s\"%s=\"", i ? ", " : "known are ", known[i].name);
        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "the query \"%.80s\" is not understood; %s%s", call->request->query, list,
                               count ? "" : " known here");
}

static struct fgd_query *find(struct fgd_query *known, size_t count, const char *name, size_t len)
{
        for (size_t i = 0; i < count; i++)
                if (strlen(known[i].name) == len && memcmp(known[i].name, name, len) == 0)
                        return &known[i];
        return NULL;
}

int fgd_query_read(struct fgd_call *call, struct fgd_query *known, size_t count)
{
        const char *at = call->request->query;
        while (at && *at) {
                size_t len = strcspn(at, "&"), name = strcspn(at, "=&");
                struct fgd_query *query = name < len ? find(known, count, at, name) : NULL;
                if (!query || query->is_given || len == name + 1 ||
                    !fgd_decode(at + name + 1, len - name - 1, query->value, sizeof query->value))
                        return refuse(call, known, count);
                query->is_given = true;
                at += len;
                at += *at == '&';
        }
        return 0;
}

int fgd_query_none(struct fgd_call *call)
{
        return fgd_query_read(call, NULL, 0);
}

int fgd_query_flag(struct fgd_call *call, const struct fgd_query *query, bool *ret)
{
        *ret = query->is_given && strcmp(query->value, "1") == 0;
        if (!query->is_given || *ret || strcmp(query->value, "0") == 0)
                return 0;
        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "the query \"%.80s\" is not understood; known is \"%s=1\"", call->request->query,
                               query->name);
}

int fgd_query_number(struct fgd_call *call, const struct fgd_query *query, uint64_t min, uint64_t max, uint64_t standard, uint64_t *ret)
{
        struct fg_error err = {0};
        *ret = standard;
        if (!query->is_given || fg_count_parse(query->name, query->value, min, max, ret, &err) == 0)
                return 0;
        return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
}

int fgd_query_page(struct fgd_call *call, const struct fgd_query *limit, const struct fgd_query *after, uint32_t standard, struct fgd_page *ret)
{
        uint64_t count, last;
        if (fgd_query_number(call, limit, 1, FGD_PAGE_MAX, standard, &count) < 0 ||
            fgd_query_number(call, after, 0, INT64_MAX, 0, &last) < 0)
                return -1;
        *ret = (struct fgd_page){(uint32_t)count, (int64_t)last};
        return 0;
}

void fgd_page_end(struct fgd_text *text, int64_t last, bool has_more)
{
        char cursor[24];
        fgd_text_add(text, "]");
        snprintf(cursor, sizeof cursor, "%lld", (long long)last);
        if (has_more)
                fgd_text_field(text, "next", cursor);
}
