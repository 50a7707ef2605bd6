/* SPDX-License-Identifier: Apache-2.0
 * Without an arbiter each vGPU keeps to its own part of a common frame of monotonic time, as last written in its limits page:
 * tenants neither run free nor stop. */
#include "base/atomic.h"
#include "base/clock.h"
#include "base/futex.h"
#include "governor/internal.h"

#define DEAD_AFTER (400 * FG_NSEC_PER_MSEC) /* eight missed beats */

bool fg_fallback_due(struct fg_gate *gate, uint64_t waiting_since)
{
        uint64_t beat = fg_load_relaxed(&gate->limits->beat), now = fg_now();

        if (fg_load_relaxed(&gate->limits->held))
                return false; /* its last limit is: not at all */
        if (fg_load_relaxed(&gate->fallback_beat) == beat && beat)
                return true; /* still the beat it was found dead with */
        if (now - waiting_since < DEAD_AFTER || (beat > waiting_since && now - beat < DEAD_AFTER)) {
                fg_store_relaxed(&gate->fallback_beat, 0);
                return false;
        }
        fg_store_relaxed(&gate->fallback_beat, beat);
        return true;
}

/* ns until a launch of `predicted` ns behind what is in flight may start: it must end inside this vGPU's part. */
static uint64_t time_to_part(const struct fg_gate *gate, uint64_t predicted)
{
        uint64_t frame = fg_load_relaxed(&gate->limits->frame), offset = fg_load_relaxed(&gate->limits->offset);
        uint64_t length = fg_load_relaxed(&gate->limits->length), phase, end;

        if (frame == 0 || length == 0 || length >= frame)
                return 0;
        phase = (fg_now() % frame + frame - offset % frame) % frame;
        end = phase + fg_load_relaxed(&gate->predicted) + predicted / 2;
        if (phase < length && (end <= length || fg_load_relaxed(&gate->inflight) == 0))
                return 0;
        return frame - phase;
}

void fg_fallback_wait(struct fg_gate *gate, uint64_t predicted)
{
        uint64_t wait;

        while ((wait = time_to_part(gate, predicted)) > 0) {
                uint32_t grant = fg_load_acquire(&gate->limits->grant);
                uint64_t beat = fg_load_relaxed(&gate->limits->beat);

                fg_futex_wait(&gate->limits->grant, grant, wait);
                if (fg_load_relaxed(&gate->limits->beat) != beat)
                        return; /* an arbiter came back; this one launch passes without it */
        }
}
