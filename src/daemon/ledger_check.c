/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ledger_check.h"

#include "base/paths.h"
#include "daemon/moneylog.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void on_found(void *user, int64_t record, const char *type, const char *text)
{
        if (record < 0)
                printf("%s: %s\n", type, text);
        else if (*type)
                printf("record %" PRId64 " (%s): %s\n", record, type, text);
        else
                printf("record %" PRId64 ": %s\n", record, text);
}

static void be_idle(void)
{
        const struct sched_param none = {0};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpriority(PRIO_PROCESS, 0, 19);
        sched_setscheduler(0, SCHED_IDLE, &none);
        syscall(SYS_ioprio_set, 1, 0, 3 << 13); /* this process, the idle class */
}

int fgd_check_ledger(const struct fg_paths *paths, bool is_idle, struct fg_error *err)
{
        struct fg_bill_verdict verdict = {0};
        char folder[PATH_MAX + 8];
        if (is_idle)
                be_idle();
        snprintf(folder, sizeof folder, "%s/money", paths->state);
        int r = fgd_moneylog_check(folder, on_found, NULL, &verdict, err);
        if (r < 0)
                return r;
        if (verdict.findings) {
                printf("%zu finding%s: the money log is not what was signed, or makes no sense\n", verdict.findings,
                       verdict.findings == 1 ? "" : "s");
                return FGD_LEDGER_FOUND;
        }
        if (verdict.torn)
                printf("the last %" PRId64 " bytes are of an append that did not end; the daemon cuts them at its next start\n", verdict.torn);
        if (verdict.are_hashes_wrong) {
                printf("%" PRId64 " records: all is well, but the kept hashes are not theirs; remove the files \"books\" and \"hashes\", and the "
                       "daemon makes them again at its next start\n", verdict.records);
                return FGD_LEDGER_HASHES;
        }
        printf("%" PRId64 " records, %" PRIu64 " of them signed, %" PRId64 " invoices: all is well\n", verdict.records, verdict.signed_size,
               verdict.invoices);
        return EXIT_SUCCESS;
}
