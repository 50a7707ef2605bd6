/* SPDX-License-Identifier: Apache-2.0
 * Random histories: each pass is held against the model and the world's own books, and why() against the pass. */
#include "queue_model.h"

#define SECOND UINT64_C(1000000)

struct history {
        struct world *w;
        uint64_t seed;
        bool preempt, compare;
        unsigned began, reserved, left, explained[FG_QUEUE_PASS_FULL + 1]; /* so that an idle test is noticed */
};

static uint64_t pick(struct history *h, uint64_t below)
{
        return unit_random(&h->seed) % below;
}

static bool one_in(struct history *h, unsigned n)
{
        return pick(h, n) == 0;
}

static struct fg_queue_amounts random_limit(struct history *h)
{
        struct fg_queue_amounts a = {0};

        if (one_in(h, 6))
                a.jobs = 1 + pick(h, 6);
        if (one_in(h, 6))
                a.vgpus = 1 + pick(h, 12);
        if (one_in(h, 6))
                a.memory = 200 + pick(h, 3000);
        if (one_in(h, 6))
                a.share = 200 + pick(h, 3000);
        return a;
}

static void begin(struct history *h)
{
        struct fg_queue_config c = FG_QUEUE_DEFAULTS;
        struct world *w;

        c.half_life = one_in(h, 4) ? 0 : (1 + pick(h, 500)) * SECOND;
        c.advance = pick(h, 3) * 20 * SECOND;
        c.ageing = pick(h, 200) * SECOND;
        c.min_run = pick(h, 20) * SECOND;
        c.preempt = h->preempt;
        c.decisions = h->compare || !one_in(h, 4) ? 256 : 1 + (uint32_t)pick(h, 5);
        c.policy = one_in(h, 4) ? fg_queue_policy_find("fifo") : NULL;
        w = h->w = world_new(&c, 1 + pick(h, 6), 1 + pick(h, 5));
        w->users = 1 + pick(h, 3);
        for (size_t d = 0; d < w->devices; d++)
                w->device[d].kind = (uint32_t)pick(h, 2);
        for (size_t i = 0; i < w->projects; i++) {
                w->weight[i] = 1 + (uint32_t)pick(h, 4);
                w->project_limit[i] = random_limit(h);
                assert_int_equal(fg_queue_account_set(w->project[i], w->weight[i], &w->project_limit[i], NULL), 0);
        }
        for (size_t i = 0; i < w->users; i++) {
                assert_int_equal(fg_queue_account_add(w->q, &w->user[i]), 0);
                w->user_limit[i] = random_limit(h);
                assert_int_equal(fg_queue_account_set(w->user[i], 1, &w->user_limit[i], NULL), 0);
        }
}

static void submit(struct history *h)
{
        struct world *w = h->w;
        struct fg_queue_wish wish = world_wish(w, pick(h, w->projects), one_in(h, 3) ? 1 + (uint32_t)pick(h, 8) : 1,
                                               50 * (1 + pick(h, 20)), 50 * (1 + (uint32_t)pick(h, 20)));
        uint64_t length = (1 + pick(h, 100)) * SECOND;

        if (one_in(h, 2)) { /* small ones, often alike */
                wish.memory = 100;
                wish.share = 100;
        }
        wish.priority = one_in(h, 3) ? (uint32_t)pick(h, 4) : 1;
        if (one_in(h, 3))
                wish.user = w->user[pick(h, w->users)];
        if (one_in(h, 5))
                wish.device = (uint32_t)pick(h, w->devices + 1);
        else if (one_in(h, 4))
                wish.kind = (uint32_t)pick(h, 3);
        if (one_in(h, 3))
                length = 30 * SECOND;
        if (!one_in(h, 4))
                wish.time_limit = length + (one_in(h, 2) ? 0 : pick(h, 50) * SECOND);
        if (one_in(h, 8))
                wish.not_before = w->now + pick(h, 60) * SECOND;
        if (one_in(h, 10))
                wish.hold = 1;
        wish.may_requeue = one_in(h, 2);
        world_add(w, &wish, length);
}

/* Something that happens to a job from outside. */
static void meddle(struct history *h)
{
        struct world *w = h->w;
        struct world_job *j = NULL;

        for (int i = 0; i < 20 && w->jobs && (!j || j->state == WORLD_GONE || one_in(h, 3)); i++)
                j = &w->job[pick(h, w->jobs)];
        if (!j || j->state == WORLD_GONE)
                return;
        switch (pick(h, 7)) {
        case 0:
                world_end(w, j);
                break;
        case 1:
                if (j->wish.hold && j->since < w->now)
                        j->since = w->now;
                j->wish.hold = !j->wish.hold;
                fg_queue_hold(w->q, j->handle, j->wish.hold, w->now);
                break;
        case 2:
                if (j->state == WORLD_QUEUED || j->leaving != FG_QUEUE_STAY)
                        break;
                j->leaving = one_in(h, 3) || j->state == WORLD_SUSPENDED ? FG_QUEUE_REQUEUE : FG_QUEUE_SUSPEND;
                assert_int_equal(fg_queue_leaving(w->q, j->handle, j->leaving), 0);
                break;
        case 3:
                for (size_t i = 0; i < w->jobs; i++)
                        if (w->job[i].leaving != FG_QUEUE_STAY && one_in(h, 2))
                                world_leave(w, &w->job[i]);
                break;
        case 4:
                fg_queue_charge(w->q, w->project[j->project], w->now, pick(h, 1000) * SECOND);
                break;
        case 5:
                fg_queue_rekey(w->q, j->handle);
                break;
        case 6: /* suspends one, and begins to stop another that is */
                if (j->state == WORLD_RUNNING && j->leaving == FG_QUEUE_STAY) {
                        j->leaving = FG_QUEUE_SUSPEND;
                        world_leave(w, j);
                }
                for (size_t i = 0; i < w->jobs; i++)
                        if (w->job[i].state == WORLD_SUSPENDED && w->job[i].leaving == FG_QUEUE_STAY && one_in(h, 3)) {
                                w->job[i].leaving = FG_QUEUE_REQUEUE;
                                assert_int_equal(fg_queue_leaving(w->q, w->job[i].handle, FG_QUEUE_REQUEUE), 0);
                        }
                break;
        }
}

static bool is_same_plan(const struct fg_queue_plan *a, const struct fg_queue_decision *b, size_t count)
{
        if (a->count != count)
                return false;
        for (size_t i = 0; i < count; i++) {
                const struct fg_queue_decision *x = &a->decision[i], *y = &b[i];

                if (x->job != y->job || x->what != y->what || x->beneficiary != y->beneficiary)
                        return false;
        }
        return true;
}

/* A second pass says the same, as do passes after why() has looked. */
static void check_purity(struct history *h)
{
        struct world *w = h->w;
        size_t count = w->plan.count;
        struct fg_queue_decision *first = malloc((count + 1) * sizeof(*first));

        assert_non_null(first);
        memcpy(first, w->plan.decision, count * sizeof(*first));
        world_pass(w);
        assert_true(is_same_plan(&w->plan, first, count));
        free(first);
}

static void check_model(struct history *h)
{
        static struct model_plan model;
        struct world *w = h->w;

        model_pass(w, &model);
        assert_int_equal(w->plan.count, model.count);
        for (size_t i = 0; i < model.count; i++) {
                const struct fg_queue_decision *d = &w->plan.decision[i];
                uint32_t on[WORLD_DEVICES] = {0};

                assert_ptr_equal(world_of(d), model.decision[i].job);
                assert_int_equal(d->what, model.decision[i].resume ? FG_QUEUE_DO_RESUME : FG_QUEUE_DO_START);
                for (size_t k = 0; k < d->places; k++)
                        on[d->place[k].device] = d->place[k].count;
                assert_memory_equal(on, model.decision[i].on, sizeof(on));
        }
}

static bool begins(const struct world *w, const struct world_job *j)
{
        for (size_t i = 0; i < w->plan.count; i++)
                if (world_of(&w->plan.decision[i]) == j && w->plan.decision[i].what <= FG_QUEUE_DO_RESUME)
                        return true;
        return false;
}

/* By those who leave for it, or for others and leave it enough. */
static bool is_room_made(const struct world *w)
{
        for (size_t i = 0; i < w->plan.count; i++)
                if (w->plan.decision[i].beneficiary)
                        return true;
        for (size_t i = 0; i < w->jobs; i++)
                if (w->job[i].leaving != FG_QUEUE_STAY)
                        return true;
        return false;
}

static bool is_to_leave(const struct world *w, const struct world_job *j)
{
        for (size_t i = 0; i < w->plan.count; i++)
                if (world_of(&w->plan.decision[i]) == j && w->plan.decision[i].what == FG_QUEUE_DO_REQUEUE)
                        return true;
        return j->leaving == FG_QUEUE_REQUEUE;
}

static bool has_device(const struct world *w, const struct world_job *j)
{
        for (size_t d = 0; d < w->devices; d++) {
                if (j->state == WORLD_SUSPENDED && j->on[d] && !w->device[d].usable)
                        return false;
                if (j->state != WORLD_SUSPENDED && world_may(w, j, d))
                        return true;
        }
        return j->state == WORLD_SUSPENDED;
}

static bool could_fit(const struct world *w, const struct world_job *j)
{
        uint32_t n = 0;

        for (size_t d = 0; d < w->devices; d++)
                n += world_may(w, j, d) ? world_cap(j, w->device[d].memory, w->device[d].share) : 0;
        return n >= j->wish.count;
}

/* Were it to get what is missing, it would fit. */
static void check_missing(struct world *w, const struct world_job *j, const struct fg_queue_why *why)
{
        struct fg_queue_device *d = &w->device[why->device], saved = *d;

        assert_true(why->device < w->devices);
        assert_true(why->missing_memory > 0 || why->missing_share > 0);
        assert_true(why->wanted > why->available);
        d->memory_free += why->missing_memory;
        d->share_free += why->missing_share;
        if (j->wish.count == 1)
                assert_true(world_fits(w, j));
        if (why->missing_memory) {
                d->memory_free--;
                assert_true(j->wish.count > 1 || !world_fits(w, j));
        }
        *d = saved;
}

/* What the reason claims, as far as it can be told before the plan is carried out. */
static void check_why(struct history *h, const struct world_job *j, const struct fg_queue_why *why)
{
        struct world *w = h->w;
        const struct world_job *other = why->other;

        h->explained[why->reason]++;
        assert_int_equal(why->reason == FG_QUEUE_GOES, begins(w, j));
        switch (why->reason) {
        case FG_QUEUE_GOES:
                assert_true(world_fits(w, j) && world_in_quota(w, j) && world_waits(w, j));
                break;
        case FG_QUEUE_RUNS:
                assert_true(j->state == WORLD_RUNNING);
                break;
        case FG_QUEUE_LEAVES:
                assert_true(j->state == WORLD_SUSPENDED && is_to_leave(w, j));
                break;
        case FG_QUEUE_HELD:
                assert_true(j->wish.hold);
                break;
        case FG_QUEUE_NOT_BEFORE:
                assert_true(j->wish.not_before > w->now);
                break;
        case FG_QUEUE_NO_DEVICE:
                assert_false(has_device(w, j));
                break;
        case FG_QUEUE_TOO_LARGE:
                assert_true(has_device(w, j) && !could_fit(w, j));
                break;
        case FG_QUEUE_NO_MEMORY:
        case FG_QUEUE_NO_SHARE:
                assert_false(world_fits(w, j));
                check_missing(w, j, why);
                break;
        case FG_QUEUE_BEHIND_CLASS:
        case FG_QUEUE_BEHIND_SHARE:
        case FG_QUEUE_BEHIND_OWN:
                assert_true(world_fits(w, j) && begins(w, other));
                assert_int_equal(why->reason == FG_QUEUE_BEHIND_CLASS, other->wish.priority > j->wish.priority);
                if (why->reason != FG_QUEUE_BEHIND_CLASS)
                        assert_int_equal(why->reason == FG_QUEUE_BEHIND_OWN, other->project == j->project);
                break;
        case FG_QUEUE_RESERVED:
                assert_true(world_fits(w, j) && other != j && !begins(w, other) && world_waits(w, other));
                assert_true(other->wish.priority >= j->wish.priority);
                break;
        case FG_QUEUE_PREEMPTING:
                assert_true(is_room_made(w)); /* if it fits, then where room is kept for another */
                break;
        case FG_QUEUE_PASS_FULL:
                assert_true(w->plan.more);
                break;
        default: /* quotas: once the plan is carried out */
                assert_true(why->wanted > why->available);
        }
        if (why->start != FG_QUEUE_UNKNOWN)
                assert_true(why->start >= w->now && (why->next || why->reason == FG_QUEUE_GOES));
}

static bool is_quota(enum fg_queue_reason r)
{
        return r >= FG_QUEUE_QUOTA_JOBS && r <= FG_QUEUE_QUOTA_SHARE;
}

/* Asks for all jobs, or for some of many; -1: not asked. */
static void check_whys(struct history *h, int ret_reason[WORLD_JOBS])
{
        struct world *w = h->w;

        for (size_t i = 0; i < w->jobs; i++) {
                struct world_job *j = &w->job[i];
                struct fg_queue_why why;

                ret_reason[i] = -1;
                if (j->state == WORLD_GONE || (w->jobs > 60 && !one_in(h, 4)))
                        continue;
                why = world_why(w, j);
                check_why(h, j, &why);
                h->reserved += why.next;
                ret_reason[i] = (int)why.reason;
                if (world_waits(w, j) && !world_in_quota(w, j))
                        assert_true(is_quota(why.reason) || why.reason == FG_QUEUE_NO_DEVICE ||
                                    why.reason == FG_QUEUE_TOO_LARGE || why.reason == FG_QUEUE_PASS_FULL ||
                                    why.reason == FG_QUEUE_LEAVES);
        }
}

/* The plan is carried out. Nobody who fits and may is left out, but for a reservation. */
static void check_conservation(struct history *h, const int reason[WORLD_JOBS])
{
        struct world *w = h->w;

        for (size_t i = 0; i < w->jobs; i++) {
                const struct world_job *j = &w->job[i];
                enum fg_queue_reason r = (enum fg_queue_reason)reason[i];

                if (reason[i] < 0 || !world_waits(w, j))
                        continue;
                assert_true(r != FG_QUEUE_GOES);
                if (world_in_quota(w, j) && world_fits(w, j))
                        assert_true(r == FG_QUEUE_RESERVED || r == FG_QUEUE_PREEMPTING);
                else if (world_in_quota(w, j))
                        assert_true(!is_quota(r));
        }
}

/* Starting jobs moves projects behind others, and reservations with them: the next pass may find more. It comes to an
 * end. */
static void check_settles(struct history *h)
{
        struct world *w = h->w;

        for (unsigned passes = 0;; passes++) {
                assert_true(passes < 20);
                world_pass(w);
                if (w->plan.count == 0)
                        return;
                world_carry_out(w, false);
        }
}

static void run_pass(struct history *h)
{
        int reason[WORLD_JOBS];
        struct world *w = h->w;
        bool more;

        world_pass(w);
        check_purity(h);
        if (h->compare)
                check_model(h);
        check_whys(h, reason);
        check_purity(h);
        more = w->plan.more;
        for (size_t i = 0; i < w->plan.count; i++) {
                h->began += w->plan.decision[i].what <= FG_QUEUE_DO_RESUME;
                h->left += w->plan.decision[i].what > FG_QUEUE_DO_RESUME;
        }
        world_carry_out(w, false);
        world_check(w);
        if (!more)
                check_conservation(h, reason);
        if (one_in(h, 2))
                check_settles(h);
}

static void run_history(struct history *h)
{
        begin(h);
        for (int step = 0; step < 60; step++) {
                struct world *w = h->w;

                for (uint64_t n = pick(h, 5); n > 0; n--)
                        submit(h);
                for (uint64_t n = pick(h, 4); n > 0; n--)
                        meddle(h);
                if (one_in(h, 10)) {
                        size_t d = pick(h, w->devices);

                        w->device[d].usable = !w->device[d].usable;
                }
                run_pass(h);
                if (one_in(h, 2) && world_next_end(w) != FG_QUEUE_UNKNOWN && world_next_end(w) > w->now)
                        world_advance(w, world_next_end(w));
                else
                        world_advance(w, w->now + pick(h, 20) * SECOND);
        }
        world_free(h->w);
}

static struct history run_histories(uint64_t first, unsigned count, bool preempt, bool compare)
{
        struct history h = {.preempt = preempt, .compare = compare};

        for (unsigned i = 0; i < count; i++) {
                h.seed = first + i;
                run_history(&h);
        }
        return h;
}

static void passes_are_the_models(void **state)
{
        struct history h = run_histories(1000, 150, false, true);

        assert_true(h.began > 1000 && h.reserved > 1000 && h.left == 0);
}

static void nothing_breaks_with_preemption(void **state)
{
        struct history h = run_histories(5000, 300, true, false);

        assert_true(h.began > 1000 && h.reserved > 1000 && h.left > 100);
        for (size_t r = 0; r < COUNT_OF(h.explained); r++)
                assert_true(h.explained[r] >= 10);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(passes_are_the_models),
                cmocka_unit_test(nothing_breaks_with_preemption),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
