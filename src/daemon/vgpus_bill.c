/* SPDX-License-Identifier: Apache-2.0
 * Who pays for a set. A device plugin makes sets before it is told for whom; what it learns in the same minute counts for all of that minute. */
#include "daemon/vgpus.h"

#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/metering.h"
#include "daemon/registry.h"
#include "daemon/tenants.h"

#include <string.h>

int fgd_vgpus_bill(struct fgd_manager *m, struct fgd_set *set, struct fgd_project *payer, const char *workload, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        if (set->ending)
                return fgd_problem_set(problem, FGD_IN_USE, "\"%s\" is being deleted", set->name);
        if (set->job)
                return fgd_problem_set(problem, FGD_IN_USE, "\"%s\" belongs to job %lld: its project pays", set->name, (long long)set->job);
        if (fgd_set_payer(set) == payer && strcmp(set->workload ? set->workload : "", workload) == 0)
                return 0;
        fgd_metering_now(m); /* minutes that are over are settled with who paid in them */
        fgd_event_stage(m, set->project, "vgpu.billed", set->name, "\"%s\" is billed to \"%s\"%s%s", set->name, payer->name, *workload ? ", for " : "", workload);
        if (fgd_store_bill_set(m->store, set, payer == set->project ? 0 : payer->id, workload, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "the payer of \"%s\" was not changed: %s", set->name, err.text);
        /* Without memory what the store has counts from the next start on. */
        return fgd_registry_bill(set, payer, workload) < 0 ? fgd_problem_set(problem, FGD_INTERNAL, "out of memory") : 0;
}
