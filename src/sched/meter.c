/* SPDX-License-Identifier: Apache-2.0
 * The rule in the order of docs/design/metering.md: conserve, measure, rebate, credit. Every step that divides does so
 * through fg_apportion(), which loses nothing; why idle cannot be negative is proven there. */
#include "sched/meter.h"

#include "base/cleanup.h"
#include "sched/apportion.h"

#include <errno.h>

#define PARTS 2u /* of one line: share and cap */

static int64_t positive(int64_t value)
{
        return value > 0 ? value : 0;
}

static int check_segments(const struct fg_meter_line *line, size_t number, struct fg_error *err)
{
        int64_t last = line->begin;
        for (uint32_t i = 0; i < line->segments; i++) {
                const struct fg_meter_segment *s = &line->segment[i];
                if (s->from < last || s->from > line->end || (i == 0 && s->from != line->begin))
                        return fg_error_set(err, -EINVAL, "line %zu: segment %u begins at %lld us, out of order",
                                            number, i, (long long)s->from);
                if (s->memory_ppm > FG_PPM || s->share_ppm > FG_PPM)
                        return fg_error_set(err, -EINVAL,
                                            "line %zu: segment %u has %u ppm of memory and %u of compute: at most %d",
                                            number, i, s->memory_ppm, s->share_ppm, FG_PPM);
                if ((unsigned)s->state >= FG_METER_STATES)
                        return fg_error_set(err, -EINVAL, "line %zu: segment %u is in no state (%u)", number, i,
                                            (unsigned)s->state);
                last = s->from;
        }
        return 0;
}

static int check_line(const struct fg_meter_line *line, size_t number, struct fg_error *err)
{
        if (line->begin < 0 || line->end < line->begin || line->end > FG_METER_WALL_MAX)
                return fg_error_set(err, -EINVAL, "line %zu: from %lld to %lld us is not within a window", number,
                                    (long long)line->begin, (long long)line->end);
        if (line->segments == 0 || line->segments > FG_METER_SEGMENTS)
                return fg_error_set(err, -EINVAL, "line %zu has %u segments: 1 to %u", number, line->segments,
                                    FG_METER_SEGMENTS);
        if (line->busy_us < 0 || line->busy_cap_us < 0)
                return fg_error_set(err, -EINVAL, "line %zu: device time is negative", number);
        return check_segments(line, number, err);
}

static int check(const struct fg_meter_window *window, struct fg_meter_line *const *lines, size_t count,
                 struct fg_error *err)
{
        if (window->wall_us < 1 || window->wall_us > FG_METER_WALL_MAX)
                return fg_error_set(err, -EINVAL, "a window of %lld us: 1 to %lld", (long long)window->wall_us,
                                    FG_METER_WALL_MAX);
        if (window->beta_ppm > FG_PPM)
                return fg_error_set(err, -EINVAL, "beta is %u ppm: at most %d", window->beta_ppm, FG_PPM);
        if (count > FG_METER_LINES)
                return fg_error_set(err, -EINVAL, "%zu vGPUs in one window: at most %u", count, FG_METER_LINES);
        for (size_t i = 0; i < count; i++) {
                int r = check_line(lines[i], i, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Overlapping work is charged to each; a GPU has no more device time than wall time. */
static void conserve(const struct fg_meter_window *window, struct fg_meter_line *const *lines, size_t count,
                     struct fg_part *part)
{
        fg_uint128 busy = 0;
        for (size_t i = 0; i < count; i++) {
                struct fg_part *p = &part[PARTS * i];
                p[0] = (struct fg_part){.weight = lines[i]->busy_us, .index = PARTS * i};
                p[1] = (struct fg_part){.weight = lines[i]->busy_cap_us, .index = PARTS * i + 1};
                busy += (fg_uint128)p[0].weight + (fg_uint128)p[1].weight;
                lines[i]->conserved_us = 0;
        }
        /* As charged, if that is possible. */
        int64_t wall = window->wall_us, most = busy > (fg_uint128)wall ? wall : (int64_t)busy;
        fg_apportion(most, busy, part, PARTS * count);
        for (size_t i = 0; i < PARTS * count; i++) {
                struct fg_meter_line *line = lines[part[i].index / PARTS];
                line->conserved_us += part[i].share;
                if (part[i].index % PARTS)
                        line->conserved_cap_us = part[i].share;
        }
}

/* R, B and its price; for now `unused` is what of R lay idle. */
static void measure(const struct fg_meter_window *window, struct fg_meter_line *line)
{
        int64_t share = 0, cap = 0; /* reserved */
        for (uint32_t i = 0; i < line->segments; i++) {
                const struct fg_meter_segment *s = &line->segment[i];
                int64_t end = i + 1 < line->segments ? s[1].from : line->end;
                *(s->cap ? &cap : &share) += (int64_t)fg_meter_rate(s) * (end - s->from);
        }
        int64_t used = (line->conserved_us - line->conserved_cap_us) * FG_PPM,
                used_cap = line->conserved_cap_us * FG_PPM;
        line->reserved = share + cap;
        line->burst = positive(used - share);
        line->surcharge = (int64_t)((fg_uint128)line->burst * window->beta_ppm / FG_PPM);
        line->unused = positive(share - used) + positive(cap - used_cap);
}

/* Takes off again what was reserved beyond the GPU; and what is not paid for cannot lie idle at the tenant's expense.
 */
static void rebate(struct fg_meter_line *const *lines, size_t count, int64_t beyond, int64_t reserved,
                   struct fg_part *part)
{
        for (size_t i = 0; i < count; i++)
                part[i] = (struct fg_part){.weight = lines[i]->reserved, .index = i};
        fg_apportion(beyond, (fg_uint128)reserved, part, count);
        for (size_t i = 0; i < count; i++) {
                struct fg_meter_line *line = lines[part[i].index];
                line->rebate = part[i].share;
                if (line->unused > line->reserved - line->rebate)
                        line->unused = line->reserved - line->rebate;
        }
}

/* Bursts used what lay idle, the owners' and nobody's (`nobodys`), in proportion. Returns all that was credited. */
static int64_t credit(struct fg_meter_line *const *lines, size_t count, int64_t surcharge, int64_t nobodys,
                      struct fg_part *part)
{
        fg_uint128 idle = (fg_uint128)nobodys;
        for (size_t i = 0; i < count; i++) {
                part[i] = (struct fg_part){.weight = lines[i]->unused, .index = i};
                idle += (fg_uint128)part[i].weight;
        }
        int64_t credited = fg_apportion(surcharge, idle, part, count);
        for (size_t i = 0; i < count; i++)
                lines[part[i].index]->credit = part[i].share;
        return credited;
}

int fg_meter_settle(struct fg_meter_window *window, struct fg_meter_line *const *lines, size_t count,
                    struct fg_error *err)
{
        int r = check(window, lines, count, err);
        if (r < 0)
                return r;
        fg_autofree struct fg_part *part = calloc(count ? PARTS * count : 1, sizeof(*part));
        if (!part)
                return fg_error_set(err, -ENOMEM, "no memory to settle %zu vGPUs", count);
        int64_t wall = window->wall_us * FG_PPM, reserved = 0, surcharge = 0;
        conserve(window, lines, count, part);
        for (size_t i = 0; i < count; i++) {
                measure(window, lines[i]);
                reserved += lines[i]->reserved;
                surcharge += lines[i]->surcharge;
        }
        rebate(lines, count, positive(reserved - wall), reserved, part);
        int64_t credited = credit(lines, count, surcharge, positive(wall - reserved), part);
        window->idle = positive(wall - reserved) - surcharge + credited;
        return 0;
}

int64_t fg_meter_bill(const struct fg_meter_line *line)
{
        return line->reserved + line->surcharge - line->credit - line->rebate;
}
