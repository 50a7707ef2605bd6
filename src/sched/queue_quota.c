/* SPDX-License-Identifier: Apache-2.0
 * May its project and its user have one more? */
#include "sched/queue_pass.h"

/* What the job adds, in the order of enum fg_queue_reason's quotas. A suspended one adds its share alone. */
static void amounts_of(const struct fg_queue_group *group, bool suspended, uint64_t ret[4])
{
        const struct fg_queue_want *want = &group->want;

        ret[0] = !suspended;
        ret[1] = suspended ? 0 : want->count;
        ret[2] = suspended ? 0 : want->memory * want->count;
        ret[3] = (uint64_t)want->share * want->count;
}

static void amounts_left(const struct fg_queue_account *a, uint64_t ret[4])
{
        const struct fg_queue_amounts *all[3] = {&a->limit, &a->held, &a->outside};
        uint64_t v[3][4];

        for (size_t i = 0; i < 3; i++) {
                v[i][0] = all[i]->jobs;
                v[i][1] = all[i]->vgpus;
                v[i][2] = all[i]->memory;
                v[i][3] = all[i]->share;
        }
        for (size_t k = 0; k < 4; k++) {
                uint64_t left = v[0][k] > v[1][k] ? v[0][k] - v[1][k] : 0;

                ret[k] = v[0][k] == 0 ? UINT64_MAX : left > v[2][k] ? left - v[2][k] : 0;
        }
}

static const struct fg_queue_account *account_of(const struct fg_queue_group *group, bool of_user)
{
        return of_user ? group->user : group->lane->project;
}

static bool is_limited(const struct fg_queue_account *a)
{
        return a && (a->limit.jobs || a->limit.vgpus || a->limit.memory || a->limit.share);
}

enum fg_queue_reason fg_queue_quota(const struct fg_queue_group *group, bool suspended, bool *ret_of_user)
{
        uint64_t wanted[4], left[4];

        for (int user = 0; user < 2; user++) {
                const struct fg_queue_account *a = account_of(group, user);

                if (!is_limited(a))
                        continue;
                amounts_of(group, suspended, wanted);
                amounts_left(a, left);
                for (unsigned k = 0; k < 4; k++)
                        if (wanted[k] > left[k]) {
                                *ret_of_user = user;
                                return FG_QUEUE_QUOTA_JOBS + k;
                        }
        }
        *ret_of_user = false;
        return FG_QUEUE_GOES;
}

static void amounts_add(struct fg_queue_amounts *to, const uint64_t more[4], uint64_t times)
{
        to->jobs += more[0] * times;
        to->vgpus += more[1] * times;
        to->memory += more[2] * times;
        to->share += more[3] * times;
}

uint64_t fg_queue_quota_ask(const struct fg_queue_group *group, uint64_t jobs)
{
        struct fg_queue_account *const all[2] = {group->lane->project, group->user};
        uint64_t wanted[4], left[4];

        amounts_of(group, false, wanted);
        for (int i = 0; i < 2 && jobs; i++) {
                if (!is_limited(all[i]))
                        continue;
                const uint64_t asked[4] = {all[i]->asked.jobs, all[i]->asked.vgpus, all[i]->asked.memory, all[i]->asked.share};

                amounts_left(all[i], left);
                for (unsigned k = 0; k < 4; k++) {
                        uint64_t most = left[k] > asked[k] ? (left[k] - asked[k]) / wanted[k] : 0;

                        jobs = most < jobs ? most : jobs;
                }
        }
        for (int i = 0; i < 2; i++)
                if (is_limited(all[i]))
                        amounts_add(&all[i]->asked, wanted, jobs);
        return jobs;
}

void fg_queue_quota_numbers(const struct fg_queue_group *group, bool suspended, enum fg_queue_reason reason,
                            bool of_user, uint64_t *ret_wanted, uint64_t *ret_available)
{
        uint64_t wanted[4], left[4];

        amounts_of(group, suspended, wanted);
        amounts_left(account_of(group, of_user), left);
        *ret_wanted = wanted[reason - FG_QUEUE_QUOTA_JOBS];
        *ret_available = left[reason - FG_QUEUE_QUOTA_JOBS];
}
