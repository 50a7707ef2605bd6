/* SPDX-License-Identifier: Apache-2.0
 * A vGPU's window as it goes: segments are begun by changes, and merged when there are too many. */
#include "sched/meter.h"

#include <string.h>

uint32_t fg_meter_rate(const struct fg_meter_segment *segment)
{
        switch (segment->state) {
        case FG_METER_RUN:
                return segment->memory_ppm > segment->share_ppm ? segment->memory_ppm : segment->share_ppm;
        case FG_METER_HOLD:
                return segment->memory_ppm;
        default:
                return 0;
        }
}

static bool is_alike(const struct fg_meter_segment *a, const struct fg_meter_segment *b)
{
        return a->memory_ppm == b->memory_ppm && a->share_ppm == b->share_ppm && a->cap == b->cap &&
               a->state == b->state;
}

/* What the tenant pays more once segment i and the next, which ends at `end`, are one. */
static int64_t merging_costs(const struct fg_meter_segment *s, int64_t end)
{
        int64_t first = fg_meter_rate(&s[0]), second = fg_meter_rate(&s[1]);
        return first > second ? (first - second) * (end - s[1].from) : (second - first) * (s[1].from - s[0].from);
}

/* One segment of s[0] and s[1]. A cap stays one only if both were: time in share segments makes a burst smaller. */
static struct fg_meter_segment merged(const struct fg_meter_segment *s)
{
        struct fg_meter_segment one = fg_meter_rate(&s[1]) > fg_meter_rate(&s[0]) ? s[1] : s[0];
        one.from = s[0].from;
        one.cap = s[0].cap && s[1].cap;
        return one;
}

/* Makes room for one more, which begins at `at`, where it costs the tenant least, as early as possible. */
static void merge_cheapest(struct fg_meter_line *line, int64_t at)
{
        struct fg_meter_segment *s = line->segment;
        uint32_t best = 0;
        int64_t least = INT64_MAX;
        for (uint32_t i = 0; i + 1 < line->segments; i++) {
                int64_t cost = merging_costs(&s[i], i + 2 < line->segments ? s[i + 2].from : at);
                if (cost < least)
                        least = cost, best = i;
        }
        s[best] = merged(&s[best]);
        line->segments--;
        memmove(&s[best + 1], &s[best + 2], (line->segments - best - 1) * sizeof(*s));
}

void fg_meter_change(struct fg_meter_line *line, int64_t at, const struct fg_meter_segment *what)
{
        struct fg_meter_segment *last = line->segments ? &line->segment[line->segments - 1] : NULL;
        if (last && is_alike(last, what))
                return;
        if (last && at <= last->from) {
                /* What was replaced lasted no time. */
                at = last->from;
                line->segments--;
                if (line->segments && is_alike(last - 1, what))
                        return;
        }
        if (line->segments == FG_METER_SEGMENTS)
                merge_cheapest(line, at);
        if (line->segments == 0)
                line->begin = at;
        line->segment[line->segments] = *what;
        line->segment[line->segments++].from = at;
}
