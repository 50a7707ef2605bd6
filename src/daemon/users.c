/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/users.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/jobs.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/store_tenants.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define OVERFLOW_UID 65534 /* what every user of another user namespace looks like */

static int check_uid(const struct fgd_manager *m, const struct fgd_user *self, int64_t uid, struct fgd_problem *problem)
{
        const struct fgd_user *other = uid == FGD_NO_UID ? NULL : fgd_user_of_uid(m, uid);
        if (uid == 0 || uid == geteuid())
                return fgd_problem_set(problem, uid ? FGD_EXISTS : FGD_BAD_REQUEST, "\"uid\" %lld is the operator's: root and the daemon's own user are admitted as that",
                                       (long long)uid);
        if (uid == OVERFLOW_UID)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"uid\" %d is everybody whom the kernel cannot name; choose a user's own",
                                       OVERFLOW_UID);
        if (other && other != self)
                return fgd_problem_set(problem, FGD_EXISTS, "the uid %lld is that of the user \"%s\"", (long long)uid, other->name);
        return 0;
}

static void apply(struct fgd_user *user, const struct fgd_user_change *change)
{
        if (change->has_uid)
                user->uid = change->uid;
        if (change->has_account)
                memcpy(user->account, change->account, sizeof user->account);
        if (change->has_admin)
                user->admin = change->admin;
        if (change->has_disabled)
                user->disabled = change->disabled;
}

int fgd_user_create(struct fgd_manager *m, const char *name, const struct fgd_user_change *change, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        if (strcmp(name, "operator") == 0 || strcmp(name, "anonymous") == 0 || strcmp(name, "system") == 0)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"%s\" is what the daemon itself calls somebody; choose another name", name);
        if (fgd_user_find(m, name))
                return fgd_problem_set(problem, FGD_EXISTS, "the user \"%s\" exists already", name);
        if (m->tenants->user_count >= FGD_TENANTS_MAX)
                return fgd_problem_set(problem, FGD_NO_ROOM, "there are %u users already, and more are not possible", m->tenants->user_count);
        if (change->has_uid && check_uid(m, NULL, change->uid, problem) < 0)
                return -1;
        fg_autofree struct fgd_user *user = calloc(1, sizeof *user);
        if (!user || fgd_tenants_reserve(m) < 0)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        snprintf(user->name, sizeof user->name, "%s", name);
        user->uid = FGD_NO_UID;
        user->created = time(NULL);
        TAILQ_INIT(&user->members);
        apply(user, change);
        fgd_event_stage(m, NULL, "user.created", name, "the user \"%s\" was made", name);
        fgd_journal_ready(m, user);
        if (fgd_store_add_user(m->store, user, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "the user \"%s\" was not made: %s", name, err.text);
        if (!fgd_tenants_on(m)) {
                fg_log_info("the first user was made: from now on only users, the operator and tokens are admitted");
                fgd_events_release(m); /* who reads along as the operator may be none from now on */
        }
        fgd_user_add(m, FG_TAKE_PTR(user));
        return 0;
}

int fgd_user_alter(struct fgd_manager *m, struct fgd_user *user, const struct fgd_user_change *change, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        struct fgd_user after = *user;
        if (change->has_uid && check_uid(m, user, change->uid, problem) < 0)
                return -1;
        if (fgd_tenants_reserve(m) < 0)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        apply(&after, change);
        fgd_event_stage(m, NULL, "user.changed", user->name, "the user \"%s\" was changed", user->name);
        if (fgd_store_change_user(m->store, &after, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "the user \"%s\" was not changed: %s", user->name, err.text);
        fgd_events_release(m);
        if (user->uid != after.uid)
                fgd_user_reindex(m, user, after.uid);
        apply(user, change);
        return 0;
}

int fgd_user_delete(struct fgd_manager *m, struct fgd_user *user, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        if (user->owned)
                return fgd_problem_set(problem, FGD_IN_USE, "\"%s\" owns %u set%s of vGPUs: delete them first, or disable the user", user->name,
                                       user->owned, user->owned == 1 ? "" : "s");
        if (fgd_jobs_of(m, NULL, user))
                return fgd_problem_set(problem, FGD_IN_USE, "\"%s\" has jobs that have not ended: cancel them first, or disable the user", user->name);
        fgd_event_stage(m, NULL, "user.deleted", user->name, "the user \"%s\" was deleted", user->name);
        if (fgd_store_delete_user(m->store, user, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "the user \"%s\" was not deleted: %s", user->name, err.text);
        fgd_user_remove(m, user);
        if (m->tenants->user_count == 0)
                m->tenants->locked = false;
        if (!fgd_tenants_on(m))
                fg_log_warning("the last user was deleted: whoever can open the socket is the operator again");
        return 0;
}
