/* SPDX-License-Identifier: Apache-2.0
 * GET /metrics. */
#include "daemon/api_internal.h"

#include "daemon/metrics_internal.h"

/* Prometheus needs no more than to read: of an admin's token that reads alone, all is told as well. */
static bool may_read_all(const struct fgd_principal *who)
{
        return who->known && (who->is_operator || who->user->admin) && !who->bound;
}

int fgd_handle_metrics(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}};
        struct fgd_project *only = NULL;
        if (fgd_query_read(call, query, 1) < 0 || (query[0].value[0] && fgd_call_project(call, query[0].value, &only) < 0))
                return -1;
        struct fgd_scrape scrape = {.call = call, .manager = call->manager, .only = only, .is_admin = may_read_all(&call->who),
                                    .is_openmetrics = fgd_metrics_wants_openmetrics(call->request->accept),
                                    .now = fgd_metering_now(call->manager) / 1000000};
        fgd_scrape_collect(&scrape);
        fgd_metrics_write(&scrape, &call->text);
        fgd_scrape_clear(&scrape);
        if (call->request->content_type)
                *call->request->content_type = scrape.is_openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                                                     : "text/plain; version=0.0.4; charset=utf-8";
        return 0;
}
