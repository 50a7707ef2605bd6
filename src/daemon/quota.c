/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/quota.h"

#include "base/size.h"
#include "daemon/manager.h"
#include "daemon/registry.h"

#include <stdio.h>
#include <string.h>

const char *const fgd_quota_names[FGD_QUOTA_KEYS] = {[FGD_QUOTA_VGPUS] = "vgpus",
                                                     [FGD_QUOTA_MEMORY] = "memory",
                                                     [FGD_QUOTA_SHARE] = "share",
                                                     [FGD_QUOTA_JOBS] = "jobs",
                                                     [FGD_QUOTA_QUEUED] = "queued",
                                                     [FGD_QUOTA_WEIGHT] = "weight"};

static const char *amount(enum fgd_quota_key key, uint64_t value, char *buf, size_t size)
{
        if (key == FGD_QUOTA_MEMORY && value)
                return fg_size_format(value, buf, size);
        if (key == FGD_QUOTA_SHARE)
                snprintf(buf, size, "%llu.%llu %%", (unsigned long long)value / 10, (unsigned long long)value % 10);
        else
                snprintf(buf, size, "%llu", (unsigned long long)value);
        return buf;
}

static int refuse(const struct fgd_account *account, enum fgd_quota_key key, uint64_t more, const char *scope, const char *whose,
                  struct fgd_problem *problem)
{
        char limit[32], used[32], wanted[32];
        problem->quota_scope = scope;
        problem->quota_key = fgd_quota_names[key];
        problem->limit = account->limit[key];
        problem->used = account->used[key];
        problem->wanted = more;
        return fgd_problem_set(problem, FGD_QUOTA, "the quota of %s allows %s of %s: %s are used and %s more were asked for; ask for less, "
                               "delete what is not needed, or have the quota raised", whose, amount(key, account->limit[key], limit, sizeof limit),
                               fgd_quota_names[key], amount(key, account->used[key], used, sizeof used),
                               amount(key, more, wanted, sizeof wanted));
}

static int check(const struct fgd_account *account, const struct fgd_demand *demand, const char *scope, const char *whose,
                 struct fgd_problem *problem)
{
        for (int i = 0; i < FGD_QUOTA_KEYS; i++) {
                uint64_t more = demand->more[i] > 0 ? (uint64_t)demand->more[i] : 0, limit = account->limit[i];
                if (limit && more && (account->used[i] > limit || more > limit - account->used[i]))
                        return refuse(account, (enum fgd_quota_key)i, more, scope, whose, problem);
        }
        return 0;
}

/* `is_empty`: as if nothing were used. */
static int check_all(const struct fgd_manager *m, const struct fgd_project *project, const struct fgd_user *user, bool is_empty,
                     const struct fgd_demand *demand, struct fgd_problem *problem)
{
        const struct fgd_member *member = user ? fgd_member_find(m, user, project) : NULL;
        const struct {
                const struct fgd_account *account;
                const char *scope;
        } all[] = {{&project->account, "project"}, {member ? &member->account : NULL, "user"}, {&m->tenants->organisation, "organisation"}};
        char whose[160];
        for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
                if (!all[i].account)
                        continue;
                struct fgd_account account = *all[i].account;
                if (is_empty)
                        memset(account.used, 0, sizeof account.used);
                if (i == 0)
                        snprintf(whose, sizeof whose, "the project \"%s\"", project->name);
                else if (i == 1)
                        snprintf(whose, sizeof whose, "\"%s\" in the project \"%s\"", user->name, project->name);
                else
                        snprintf(whose, sizeof whose, "the organisation");
                if (check(&account, demand, all[i].scope, whose, problem) < 0)
                        return -1;
        }
        return 0;
}

int fgd_quota_check(const struct fgd_manager *m, struct fgd_project *project, struct fgd_user *user, const struct fgd_demand *demand,
                    struct fgd_problem *problem)
{
        return check_all(m, project, user, false, demand, problem);
}

int fgd_quota_possible(const struct fgd_manager *m, struct fgd_project *project, struct fgd_user *user, const struct fgd_demand *demand,
                       struct fgd_problem *problem)
{
        return check_all(m, project, user, true, demand, problem);
}

/* Counters wrap the same way in both directions: what was booked is what is taken back. */
static void book(struct fgd_account *account, const struct fgd_demand *demand)
{
        for (int i = 0; i < FGD_QUOTA_KEYS; i++)
                account->used[i] += (uint64_t)demand->more[i];
}

void fgd_quota_book(struct fgd_manager *m, struct fgd_project *project, struct fgd_user *user, const struct fgd_demand *demand)
{
        struct fgd_member *member = user ? fgd_member_find(m, user, project) : NULL;
        book(&m->tenants->organisation, demand);
        book(&project->account, demand);
        if (member)
                book(&member->account, demand);
}

void fgd_quota_of_set(const struct fgd_set *set, struct fgd_demand *ret)
{
        *ret = (struct fgd_demand){.more = {[FGD_QUOTA_VGPUS] = set->count}};
        for (uint32_t i = 0; i < set->count; i++) {
                const struct fgd_vgpu *v = &set->vgpu[i];
                if (v->damaged_row)
                        continue;
                ret->more[FGD_QUOTA_MEMORY] += (int64_t)v->memory;
                ret->more[FGD_QUOTA_SHARE] += fgd_vgpu_share(v);
        }
}
