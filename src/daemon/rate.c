/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/rate.h"

#include "base/clock.h"
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCES        4096u /* remembered; the one that came first makes room */
#define FAILURES_RATE  10u
#define FAILURES_BURST 20u
#define THOUSAND       1000u
#define HOUR_US        3600000000ull
#define TIME_PARTS     5u /* a user has one of so many parts of the daemon's time */

struct source {
        struct fgd_node node;
        TAILQ_ENTRY(source) order;
        int64_t left;
        uint64_t at;
        char name[64];
};

struct fgd_rate {
        struct fgd_table by_name;
        TAILQ_HEAD(, source) sources;
};

int fgd_rate_new(struct fgd_manager *m, struct fg_error *err)
{
        m->rate = calloc(1, sizeof *m->rate);
        if (!m->rate)
                return fg_error_set(err, -ENOMEM, "out of memory");
        TAILQ_INIT(&m->rate->sources);
        return 0;
}

static void forget(struct fgd_rate *rate, struct source *source)
{
        fgd_table_remove(&rate->by_name, &source->node);
        TAILQ_REMOVE(&rate->sources, source, order);
        free(source);
}

void fgd_rate_free(struct fgd_manager *m)
{
        if (!m->rate)
                return;
        while (!TAILQ_EMPTY(&m->rate->sources))
                forget(m->rate, TAILQ_FIRST(&m->rate->sources));
        fgd_table_clear(&m->rate->by_name);
        free(m->rate);
        m->rate = NULL;
}

bool fgd_bucket_take(int64_t *left, uint64_t *at, uint64_t rate, uint64_t burst, uint64_t now, unsigned *ret_after_ms)
{
        int64_t full = (int64_t)(burst * THOUSAND);
        uint64_t elapsed_us = now > *at ? (now - *at) / FG_NSEC_PER_USEC : 0;
        uint64_t gained = elapsed_us > HOUR_US ? HOUR_US / THOUSAND * rate : elapsed_us * rate / THOUSAND;
        if (*at == 0 || (int64_t)gained >= full - *left)
                *left = full;
        else
                *left += (int64_t)gained;
        /* What is too little to count stays in the clock. */
        if (*at == 0 || gained || *left == full)
                *at = now;
        if (*left >= (int64_t)THOUSAND) {
                *left -= THOUSAND;
                return true;
        }
        *ret_after_ms = (unsigned)((uint64_t)((int64_t)THOUSAND - *left) / rate) + 1;
        return false;
}

void fgd_bucket_charge(int64_t *left, uint64_t rate, uint64_t burst, uint64_t ns)
{
        uint64_t us = ns / FG_NSEC_PER_USEC;
        uint64_t cost = (us > HOUR_US ? HOUR_US : us) * rate * TIME_PARTS / THOUSAND;
        int64_t least = -(int64_t)(burst * THOUSAND);
        if (cost <= THOUSAND)
                return;
        *left -= (int64_t)(cost - THOUSAND);
        if (*left < least)
                *left = least;
}

static int refuse(struct fgd_problem *problem, unsigned after_ms, const char *what, uint64_t rate)
{
        problem->retry_after_ms = after_ms;
        return fgd_problem_set(problem, FGD_RATE_LIMITED, "too many %s: at most %llu a second on average; try again in %u ms", what,
                               (unsigned long long)rate, after_ms);
}

int fgd_rate_request(struct fgd_manager *m, const struct fgd_principal *who, struct fgd_problem *problem)
{
        uint64_t rate = m->options.value[FG_OPT_RATE_LIMIT];
        unsigned after_ms;
        uint64_t now = fg_now();
        if (who->user && rate && !fgd_bucket_take(&who->user->rate_left, &who->user->rate_at, rate, 2 * rate, now, &after_ms))
                return refuse(problem, after_ms, "requests", rate);
        fgd_asked_note(&m->asked, who->user ? who->user->id : 0, now);
        return 0;
}

void fgd_rate_spent(struct fgd_manager *m, int64_t id, uint64_t ns)
{
        uint64_t rate = m->options.value[FG_OPT_RATE_LIMIT];
        struct fgd_user *user = rate ? fgd_user_of_id(m, id) : NULL;
        if (user)
                fgd_bucket_charge(&user->rate_left, rate, 2 * rate, ns);
}

static struct source *find(const struct fgd_rate *rate, const char *name, uint64_t hash)
{
        for (struct fgd_node *at = fgd_table_first(&rate->by_name, hash); at; at = fgd_table_next(at)) {
                struct source *source = FGD_OF_NODE(at, struct source, node);
                if (strcmp(source->name, name) == 0)
                        return source;
        }
        return NULL;
}

/* A process that calls again and again has another number each time; its user has not. */
static const char *stable_part(const char *from)
{
        const char *uid = from ? strstr(from, "uid ") : NULL;
        return uid ? uid : from && *from ? from : "unknown";
}

static struct source *get(struct fgd_rate *rate, const char *from)
{
        char name[sizeof((struct source *)0)->name];
        snprintf(name, sizeof name, "%s", stable_part(from));
        uint64_t hash = fgd_hash_text(name);
        struct source *source = find(rate, name, hash);
        if (source || fgd_table_reserve(&rate->by_name) < 0)
                return source;
        if (rate->by_name.count >= SOURCES)
                forget(rate, TAILQ_FIRST(&rate->sources));
        source = calloc(1, sizeof *source);
        if (!source)
                return NULL;
        memcpy(source->name, name, sizeof name);
        fgd_table_add(&rate->by_name, &source->node, hash);
        TAILQ_INSERT_TAIL(&rate->sources, source, order);
        return source;
}

int fgd_rate_failure(struct fgd_manager *m, const char *from, struct fgd_problem *problem)
{
        struct source *source = get(m->rate, from);
        unsigned after_ms;
        if (!source || fgd_bucket_take(&source->left, &source->at, FAILURES_RATE, FAILURES_BURST, fg_now(), &after_ms))
                return -1;
        return refuse(problem, after_ms, "requests with bad credentials", FAILURES_RATE);
}
