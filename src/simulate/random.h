/* SPDX-License-Identifier: Apache-2.0
 * Numbers that are the same on every machine for one seed (splitmix64). */
#ifndef FG_REPLAY_RANDOM_H
#define FG_REPLAY_RANDOM_H

#include <stdint.h>

static inline uint64_t fg_replay_random(uint64_t *state)
{
        uint64_t z = *state += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

/* 0 <= the result < n, each as likely but for one part in 2^64 / n. */
static inline uint64_t fg_replay_below(uint64_t *state, uint64_t n)
{
        return (uint64_t)((unsigned __int128)fg_replay_random(state) * n >> 64);
}

#endif
