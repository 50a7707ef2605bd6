/* SPDX-License-Identifier: Apache-2.0
 * The answer to a change is given when the change is on the disk. A refusal waits too: "there is none" may be said of what another has deleted
 * a moment ago. Reading does not wait. */
#include "daemon/api_internal.h"

#include "daemon/store_sync.h"

#include <stdlib.h>

struct held {
        struct fgd_store_wait wait;
        const struct fgd_store *store;
        struct fgd_later later;
        unsigned status;
        char *json;
};

/* Instead of `json`. */
static char *refuse(const struct fgd_store *store, char *json, unsigned *ret_status)
{
        struct fgd_problem problem = {0};
        struct fgd_text text = {0};
        fgd_problem_set(&problem, FGD_STORAGE, fgd_store_is_uncertain(store) ? "it is not known whether it was changed: the disk did not take it; look again in a moment"
                                                                            : "nothing was changed: the disk did not take it; the log of fastgpud says more");
        fgd_problem_write(&problem, &text);
        fgd_text_free(json);
        *ret_status = fgd_problem_status(&problem);
        return text.data;
}

static void tell(struct fgd_store_wait *wait, bool is_kept)
{
        struct held *held = (struct held *)((char *)wait - offsetof(struct held, wait));
        if (!is_kept)
                held->json = refuse(held->store, held->json, &held->status);
        held->later.done(held->later.user, held->status, held->json);
        free(held);
}

bool fgd_hold_answer(struct fgd_call *call)
{
        struct fgd_store *store = call->manager->store;
        if (!call->is_change || fgd_store_is_settled(store))
                return false;
        struct held *held = call->request->later ? malloc(sizeof *held) : NULL;
        if (held) {
                *held = (struct held){.wait.done = tell, .store = store, .later = *call->request->later, .status = call->status, .json = call->text.data};
                fgd_store_wait(store, &held->wait);
                return true;
        }
        if (fgd_store_settle(store, NULL) < 0)
                call->text.data = refuse(store, call->text.data, &call->status);
        return false;
}
