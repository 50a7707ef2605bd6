/* SPDX-License-Identifier: Apache-2.0
 * How fast a project's jobs may start. Each takes some of the loop's time, at its start and at its end, and that is what is counted: while others
 * than their owner ask the daemon for something, a project gets one part in so many of the time. docs/design/fairness.md. */
#ifndef FGD_JOBS_PACE_H
#define FGD_JOBS_PACE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define FGD_PACE_PARTS    400u        /* of a project, while others ask */
#define FGD_PACE_SAVED    2000000u    /* ns of the loop's time that it may have at once after a pause: three jobs or so */
#define FGD_PACE_DEBT     1000000000u /* ns: what many ends at once have cost keeps no start waiting for longer */
#define FGD_PACE_LAUNCHES 2u          /* on their way at once: another's comes soon behind them */

#define FGD_NOBODY        (-1)

/* Who asks: ids of users, 0 for the operator. */
struct fgd_asked {
        int64_t who;         /* the last one */
        uint64_t at, others; /* fg_now() when he asked last, when anybody else did; 0: never */
};

static inline void fgd_asked_note(struct fgd_asked *asked, int64_t who, uint64_t now)
{
        if (who != asked->who)
                asked->others = asked->at;
        asked->who = who;
        asked->at = now;
}

/* Somebody other than `who` has within a second. */
static inline bool fgd_asked_by_others(const struct fgd_asked *asked, int64_t who, uint64_t now)
{
        uint64_t at = who == asked->who ? asked->others : asked->at;
        return at && now - at <= FG_NSEC_PER_SEC;
}

struct fgd_pace {
        uint64_t at;       /* fg_now() from which on it may start another */
        uint64_t started;  /* when it started the last one; where it started none, when an end first cost something */
        uint32_t launches; /* that the worker has */
};

/* When it may start another beside others: what its jobs' ends cost anew keeps none waiting for longer than FGD_PACE_DEBT either. */
static inline uint64_t fgd_pace_next(const struct fgd_pace *pace)
{
        uint64_t latest = pace->started + FGD_PACE_DEBT;
        return pace->at < latest ? pace->at : latest;
}

static inline bool fgd_pace_admits(const struct fgd_pace *pace, uint64_t now, bool is_alone)
{
        return pace->launches < FGD_PACE_LAUNCHES && (is_alone || now >= fgd_pace_next(pace));
}

static inline void fgd_pace_launch(struct fgd_pace *pace, uint64_t now)
{
        pace->launches++;
        pace->started = now;
}

/* Its jobs have taken that much. What was taken while nobody else asked is nobody's loss. */
static inline void fgd_pace_charge(struct fgd_pace *pace, uint64_t now, uint64_t ns, bool is_alone)
{
        if (is_alone)
                return;
        if (!pace->started)
                pace->started = now;
        uint64_t saved = (uint64_t)FGD_PACE_SAVED * FGD_PACE_PARTS, least = now > saved ? now - saved : 0, most = now + FGD_PACE_DEBT;
        uint64_t at = (pace->at > least ? pace->at : least) + (ns < FGD_PACE_DEBT ? ns * FGD_PACE_PARTS : FGD_PACE_DEBT);
        pace->at = at < most ? at : most;
}

#endif
