/* SPDX-License-Identifier: Apache-2.0
 * Who slows whom on one device: learned for each pair of classes (kinds of programs) from what their launches take next to each other and
 * alone, which is what V of the performance model is made of. Pure, bounded, from nothing; the same calls give the same answers. */
#ifndef FG_SCHED_PAIR_H
#define FG_SCHED_PAIR_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FG_PAIR_CLASSES 256u  /* of more the one that was seen longest ago goes */
#define FG_PAIR_PAIRS   1024u
#define FG_PAIR_WINDOWS 3u /* fewer say nothing */

struct fg_pair;

int fg_pair_new(struct fg_pair **ret); /* -ENOMEM */
void fg_pair_free(struct fg_pair *p);

/* What one vGPU did on a device in one window. Class 0: not known. */
struct fg_pair_work {
        uint64_t class, busy_us, launches;
};
/* One window of one device, all who were busy in it. Alone: how much of the device the class uses, and what its launches take. Two: how much
 * longer they take next to each other. Of more nobody knows who slows whom. true: something was learned. */
bool fg_pair_window(struct fg_pair *p, const struct fg_pair_work *work, size_t count, uint64_t wall_us);

struct fg_pair_prediction {
        bool known;       /* each of them was seen alone */
        uint32_t joint;   /* permille of the device that they use together, if each were alone */
        uint32_t slow;    /* permille of the time alone that the slowest of them takes: 1000 is not slowed */
        uint64_t slowest; /* its class */
        uint64_t windows; /* measured together with the others; 0: taken from how much they use together */
};
/* Together: time is shared once they use more than the device has, and launches take longer as measured or, before that, as pairs of the
 * same joint use do in what was published (Lucid, ASPLOS'23: about 1.05 below half, 1.1 below four fifths, 1.25 above). */
void fg_pair_predict(const struct fg_pair *p, const uint64_t *class, size_t count, struct fg_pair_prediction *ret);

/* The whole state as text, ended by '\0'; the caller frees it. -ENOMEM. */
int fg_pair_save(const struct fg_pair *p, char **ret, size_t *ret_size);
/* -EINVAL with the line: not what fg_pair_save() made; -ENOMEM. */
int fg_pair_restore(const char *text, size_t size, struct fg_pair **ret, struct fg_error *err);

static inline void fg_pair_freep(struct fg_pair **p)
{
        fg_pair_free(*p);
}

#endif
