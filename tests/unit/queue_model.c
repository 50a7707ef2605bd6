/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_model.h"

#include "sched/placement.h"
#include "sched/queue_decay.h"

struct mdevice {
        uint64_t memory, share;
        const struct world_job *keeper;
        uint64_t until, spare_memory, spare_share;
};

struct model {
        const struct world *w;
        struct model_plan *plan;
        struct mdevice device[WORLD_DEVICES];
        enum { WAITS, MISSED, BEGUN } is[WORLD_JOBS];
        uint32_t on[WORLD_JOBS][WORLD_DEVICES]; /* of those begun */
        uint64_t pool[2 * WORLD_DEVICES + 4];
        size_t pools;
};

/* Running jobs in the order in which they are expected to end. */
struct ending {
        size_t job;
        uint64_t key;
};

static uint64_t end_of(const struct model *m, const struct world_job *j, uint64_t from)
{
        if (!j->wish.time_limit)
                return UINT64_MAX;
        return from + (j->wish.time_limit > j->ran ? j->wish.time_limit - j->ran : 0);
}

static uint64_t left(uint64_t have, uint64_t spare, bool all)
{
        return all || have < spare ? have : spare;
}

/* Of so many devices, how many of the job's vGPUs could be there; `kept`: minding reservations. */
static uint32_t cap(const struct model *m, const struct world_job *j, size_t d, bool kept)
{
        const struct mdevice *v = &m->device[d];
        bool all = !kept || !v->keeper || end_of(m, j, m->w->now) <= v->until;
        uint64_t memory = left(v->memory, v->spare_memory, all), share = left(v->share, v->spare_share, all);

        if (j->state != WORLD_SUSPENDED)
                return world_may(m->w, j, d) ? world_cap(j, memory, share) : 0;
        if (!m->w->device[d].usable)
                return 0;
        return share / j->wish.share < j->on[d] ? (uint32_t)(share / j->wish.share) : j->on[d];
}

static bool fits(const struct model *m, const struct world_job *j)
{
        uint32_t n = 0;

        for (size_t d = 0; d < m->w->devices; d++)
                n += cap(m, j, d, true);
        return n >= j->wish.count;
}

static void place(const struct model *m, const struct world_job *j, const struct mdevice *device, bool unkept,
                  bool kept, uint32_t *ret_on)
{
        struct fg_sched_device view[WORLD_DEVICES];
        struct fg_sched_want want[64];
        uint32_t chosen[64], share[64];
        uint64_t memory[64];
        struct fg_sched_misfit failed;

        for (size_t d = 0; d < m->w->devices; d++) {
                const struct mdevice *v = &device[d];
                bool all = !kept || !v->keeper || end_of(m, j, m->w->now) <= v->until;

                view[d] = (struct fg_sched_device){
                        .memory_free = left(v->memory, v->spare_memory, all),
                        .share_free = (uint32_t)left(v->share, v->spare_share, all),
                        .usable = world_may(m->w, j, d) && !(unkept && m->device[d].keeper)};
        }
        for (uint32_t i = 0; i < j->wish.count; i++)
                want[i] = (struct fg_sched_want){j->wish.memory, j->wish.share};
        assert_int_equal(fg_sched_place(view, m->w->devices, want, j->wish.count, chosen, memory, share, &failed), 0);
        memset(ret_on, 0, WORLD_DEVICES * sizeof(*ret_on));
        for (uint32_t i = 0; i < j->wish.count; i++)
                ret_on[chosen[i]]++;
}

static void begin(struct model *m, size_t i)
{
        const struct world_job *j = &m->w->job[i];
        struct model_decision *x = &m->plan->decision[m->plan->count++];
        uint64_t end = end_of(m, j, m->w->now);

        *x = (struct model_decision){.job = (struct world_job *)(uintptr_t)j, .resume = j->state == WORLD_SUSPENDED};
        if (x->resume)
                memcpy(x->on, j->on, sizeof(x->on));
        else
                place(m, j, m->device, false, true, x->on);
        memcpy(m->on[i], x->on, sizeof(x->on));
        m->is[i] = BEGUN;
        for (size_t d = 0; d < m->w->devices; d++) {
                struct mdevice *v = &m->device[d];
                uint64_t memory = x->resume ? 0 : x->on[d] * j->wish.memory, share = (uint64_t)x->on[d] * j->wish.share;

                v->memory -= memory;
                v->share -= share;
                if (v->keeper && end > v->until) {
                        v->spare_memory -= memory;
                        v->spare_share -= share;
                }
        }
}

static bool runs(const struct model *m, size_t i)
{
        return m->w->job[i].state == WORLD_RUNNING || m->w->job[i].leaving != FG_QUEUE_STAY || m->is[i] == BEGUN;
}

static int by_key(const void *a, const void *b)
{
        const struct ending *x = a, *y = b;

        return x->key < y->key ? -1 : x->key > y->key;
}

static size_t list_endings(const struct model *m, struct ending *e)
{
        size_t n = 0;

        for (size_t i = 0; i < m->w->jobs; i++) {
                const struct world_job *j = &m->w->job[i];
                uint64_t begun = m->is[i] == BEGUN ? m->w->now : j->begun, end = end_of(m, j, begun);

                if (j->state == WORLD_GONE || !runs(m, i))
                        continue;
                e[n].job = i;
                e[n++].key = j->leaving != FG_QUEUE_STAY ? 0 : end == UINT64_MAX ? (UINT64_C(1) << 63) | begun : end;
        }
        qsort(e, n, sizeof(*e), by_key);
        return n;
}

static void give_back(const struct model *m, size_t i, struct mdevice *later)
{
        const struct world_job *j = &m->w->job[i];
        const uint32_t *on = m->is[i] == BEGUN ? m->on[i] : j->on;

        for (size_t d = 0; d < m->w->devices; d++) {
                later[d].memory += j->leaving == FG_QUEUE_SUSPEND ? 0 : on[d] * j->wish.memory;
                later[d].share += j->state == WORLD_SUSPENDED && m->is[i] != BEGUN ? 0 : on[d] * j->wish.share;
        }
}

static bool fits_later(const struct model *m, const struct world_job *j, const struct mdevice *later)
{
        struct model copy = *m;
        uint32_t n = 0;

        memcpy(copy.device, later, sizeof(copy.device));
        for (size_t d = 0; d < m->w->devices; d++)
                n += m->device[d].keeper ? 0 : cap(&copy, j, d, false);
        return n >= j->wish.count;
}

static void keep(struct model *m, const struct world_job *j, const struct mdevice *later, uint64_t until)
{
        uint32_t on[WORLD_DEVICES];

        if (j->state == WORLD_SUSPENDED)
                memcpy(on, j->on, sizeof(on));
        else
                place(m, j, later, true, false, on);
        for (size_t d = 0; d < m->w->devices; d++) {
                if (!on[d])
                        continue;
                m->device[d].keeper = j;
                m->device[d].until = until;
                m->device[d].spare_memory =
                        later[d].memory - (j->state == WORLD_SUSPENDED ? 0 : on[d] * j->wish.memory);
                m->device[d].spare_share = later[d].share - (uint64_t)on[d] * j->wish.share;
        }
}

static uint64_t pool_of(const struct world_job *j)
{
        return j->wish.device != FG_QUEUE_ANY ? UINT64_C(1) << 40 | j->wish.device : j->wish.kind;
}

static void missed(struct model *m, size_t i)
{
        const struct world_job *j = &m->w->job[i];
        struct mdevice later[WORLD_DEVICES];
        struct ending *e = calloc(m->w->jobs + 1, sizeof(*e));
        size_t n = list_endings(m, e), k = 0;
        uint64_t last = 0;

        m->is[i] = MISSED;
        memcpy(later, m->device, sizeof(later));
        for (size_t p = 0; p < m->pools; p++)
                if (j->state != WORLD_SUSPENDED && m->pool[p] == pool_of(j))
                        n = 0;
        if (n == 0) {
                free(e);
                return;
        }
        while (k < n && (!fits_later(m, j, later) || e[k].key == last)) {
                last = e[k].key;
                give_back(m, e[k++].job, later);
        }
        free(e);
        if (!fits_later(m, j, later))
                return;
        if (j->state != WORLD_SUSPENDED)
                m->pool[m->pools++] = pool_of(j);
        if (last < UINT64_C(1) << 63)
                keep(m, j, later, last > m->w->now ? last : m->w->now);
        else if (m->w->now >= j->since && m->w->now - j->since >= m->w->config.ageing)
                keep(m, j, later, 0);
}

static uint64_t due_of(const struct model *m, size_t project)
{
        uint64_t use, at, share = 0;

        fg_queue_use_save(m->w->project[project], &use, &at);
        use = fg_queue_decay(use, m->w->now > at ? m->w->now - at : 0, m->w->config.half_life);
        for (size_t i = 0; i < m->w->jobs; i++)
                if (m->w->job[i].project == project && (m->w->job[i].state == WORLD_RUNNING || m->is[i] == BEGUN))
                        share += (uint64_t)m->w->job[i].wish.share * m->w->job[i].wish.count;
        return use + m->w->config.advance * share / 1000 * 1024;
}

/* The jobs begun so far count as running; then the world's own check. */
static bool in_quota(struct model *m, size_t i)
{
        struct world *w = (struct world *)(uintptr_t)m->w;
        enum world_state *saved = calloc(w->jobs, sizeof(*saved));
        bool ok;

        for (size_t k = 0; k < w->jobs; k++) {
                saved[k] = w->job[k].state;
                if (m->is[k] == BEGUN)
                        w->job[k].state = WORLD_RUNNING;
        }
        ok = world_in_quota(w, &w->job[i]);
        for (size_t k = 0; k < w->jobs; k++)
                w->job[k].state = saved[k];
        free(saved);
        return ok;
}

static bool goes_first(const struct model *m, size_t a, size_t b)
{
        const struct world_job *x = &m->w->job[a], *y = &m->w->job[b];
        unsigned __int128 of_x, of_y;

        if (x->wish.priority != y->wish.priority)
                return x->wish.priority > y->wish.priority;
        if ((x->state == WORLD_SUSPENDED) != (y->state == WORLD_SUSPENDED))
                return x->state == WORLD_SUSPENDED;
        of_x = (unsigned __int128)due_of(m, x->project) * m->w->weight[y->project];
        of_y = (unsigned __int128)due_of(m, y->project) * m->w->weight[x->project];
        if (x->state != WORLD_SUSPENDED && of_x != of_y && (!m->w->config.policy || m->w->config.policy->by_share))
                return of_x < of_y;
        if (x->wish.submitted != y->wish.submitted)
                return x->wish.submitted < y->wish.submitted;
        return x->wish.order < y->wish.order;
}

void model_pass(const struct world *w, struct model_plan *ret)
{
        struct model *m = calloc(1, sizeof(*m));

        m->w = w;
        m->plan = ret;
        ret->count = 0;
        for (size_t d = 0; d < w->devices; d++)
                m->device[d] = (struct mdevice){.memory = w->device[d].memory_free, .share = w->device[d].share_free};
        for (;;) {
                size_t best = w->jobs;

                for (size_t i = 0; i < w->jobs; i++)
                        if (m->is[i] == WAITS && world_waits(w, &w->job[i]) &&
                            (best == w->jobs || goes_first(m, i, best)))
                                best = i;
                if (best == w->jobs)
                        break;
                if (!in_quota(m, best))
                        m->is[best] = MISSED;
                else if (fits(m, &w->job[best]))
                        begin(m, best);
                else
                        missed(m, best);
        }
        free(m);
}
