/* SPDX-License-Identifier: Apache-2.0
 * May its project and its user have one more? */
#include "sched/queue_pass.h"

/* What the job adds, in the order of enum fg_queue_reason's quotas. A suspended one adds its share alone. */
static void amounts_of(const struct fg_queue_job *job, uint64_t ret[4])
{
        const struct fg_queue_want *want = &job->group->want;
        bool begins = !job->run;

        ret[0] = begins;
        ret[1] = begins ? want->count : 0;
        ret[2] = begins ? want->memory * want->count : 0;
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

static const struct fg_queue_account *account_of(const struct fg_queue_job *job, bool of_user)
{
        return of_user ? job->group->user : job->group->lane->project;
}

enum fg_queue_reason fg_queue_quota(const struct fg_queue_job *job, bool *ret_of_user)
{
        uint64_t wanted[4], left[4];

        amounts_of(job, wanted);
        for (int user = 0; user < 2; user++) {
                const struct fg_queue_account *a = account_of(job, user);

                if (!a)
                        continue;
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

void fg_queue_quota_numbers(const struct fg_queue_job *job, enum fg_queue_reason reason, bool of_user,
                            uint64_t *ret_wanted, uint64_t *ret_available)
{
        uint64_t wanted[4], left[4];

        amounts_of(job, wanted);
        amounts_left(account_of(job, of_user), left);
        *ret_wanted = wanted[reason - FG_QUEUE_QUOTA_JOBS];
        *ret_available = left[reason - FG_QUEUE_QUOTA_JOBS];
}
