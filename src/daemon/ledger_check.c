/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ledger_check.h"

#include "base/paths.h"
#include "daemon/moneylog.h"

#include <inttypes.h>
#include <stdio.h>

static void on_found(void *user, int64_t record, const char *type, const char *text)
{
        if (record < 0)
                printf("%s: %s\n", type, text);
        else if (*type)
                printf("record %" PRId64 " (%s): %s\n", record, type, text);
        else
                printf("record %" PRId64 ": %s\n", record, text);
}

int fgd_check_ledger(const struct fg_paths *paths, struct fg_error *err)
{
        struct fg_bill_verdict verdict = {0};
        char folder[PATH_MAX + 8];
        snprintf(folder, sizeof folder, "%s/money", paths->state);
        int r = fgd_moneylog_check(folder, on_found, NULL, &verdict, err);
        if (r < 0)
                return r;
        if (verdict.findings) {
                printf("%zu finding%s: the money log is not what was signed, or makes no sense\n", verdict.findings,
                       verdict.findings == 1 ? "" : "s");
                return EXIT_FAILURE;
        }
        if (verdict.torn)
                printf("the last %" PRId64 " bytes are of an append that did not end; the daemon cuts them at its next start\n", verdict.torn);
        printf("%" PRId64 " records, %" PRIu64 " of them signed, %" PRId64 " invoices: all is well\n", verdict.records, verdict.signed_size,
               verdict.invoices);
        return EXIT_SUCCESS;
}
