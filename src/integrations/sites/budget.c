/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/sites/sites.h"

#include "base/size.h"
#include "fastgpu/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t fgi_sites_micro(const char *amount)
{
        return amount ? (int64_t)(strtod(amount, NULL) * 1e6 + 0.5) : 0;
}

static int judge(const char *project, const struct fg_client_reply *reply, struct fgi_sites_wish *wish, char currency[8], struct fg_error *err)
{
        json_t *answer = json_loads(reply->body, 0, NULL);
        const json_t *budget = json_array_get(json_object_get(answer, "budgets"), 0);
        int r = 0;
        if (reply->status != 200)
                r = fg_error_set(err, -EACCES, "fastgpud does not tell the budget of %s: %.200s", project,
                                 *fgi_sites_text(answer, "detail") ? fgi_sites_text(answer, "detail") : "?");
        else if (budget) {
                int64_t left = fgi_sites_micro(fgi_sites_text(budget, "amount")) - fgi_sites_micro(fgi_sites_text(budget, "spent"));
                wish->left_micro = left > 0 ? left : 0;
                snprintf(currency, 8, "%.7s", fgi_sites_text(budget, "currency"));
        }
        json_decref(answer);
        return r;
}

int fgi_sites_budget(const char *project, struct fgi_sites_wish *wish, char currency[8], struct fg_error *err)
{
        struct fg_client *client = NULL;
        struct fg_client_reply reply = {0};
        char path[128];
        int r = fg_name_check(project, err);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "/v1/budgets?project=%s", project);
        r = fg_client_open(FG_CLIENT_BRIEF, &client, err->text, sizeof err->text);
        if (r < 0)
                return r;
        r = fg_client_request(client, "GET", path, NULL, &reply);
        r = r < 0 ? fg_error_set(err, r, "fastgpud at %s does not tell the budget of %s: %s", fg_client_where(client), project, strerror(-r))
                  : judge(project, &reply, wish, currency, err);
        fg_client_reply_clear(&reply);
        fg_client_close(client);
        return r;
}
