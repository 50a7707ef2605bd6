/* SPDX-License-Identifier: Apache-2.0
 * The segments of a line as one text, "from:memory:share:cap|share:state", divided by ';'. The reader writes again what
 * it read and compares, so that there is one form. */
#include "bill/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const states[FG_METER_STATES] = {
        [FG_METER_RUN] = "run", [FG_METER_HOLD] = "hold", [FG_METER_WAIT] = "wait", [FG_METER_PARK] = "park", [FG_METER_DOWN] = "down",
};

const char *fg_bill_mode(const struct fg_meter_line *line)
{
        for (uint32_t i = 0; i < line->segments; i++)
                if (!line->segment[i].cap)
                        return "share";
        return "cap";
}

int fg_bill_segments_write(const struct fg_meter_line *line, char ret[FG_BILL_SEGMENTS_MAX])
{
        size_t size = 0;
        if (line->segments == 0 || line->segments > FG_METER_SEGMENTS)
                return -EINVAL;
        for (uint32_t i = 0; i < line->segments; i++) {
                const struct fg_meter_segment *s = &line->segment[i];
                if ((unsigned)s->state >= FG_METER_STATES)
                        return -EINVAL;
                int n = snprintf(ret + size, FG_BILL_SEGMENTS_MAX - size, "%s%" PRId64 ":%" PRIu32 ":%" PRIu32 ":%s:%s",
                                 i ? ";" : "", s->from, s->memory_ppm, s->share_ppm, s->cap ? "cap" : "share",
                                 states[s->state]);
                size += (size_t)n;
                if (size >= FG_BILL_SEGMENTS_MAX)
                        return -EMSGSIZE;
        }
        return 0;
}

/* Digits up to `end`; whatever is not in the one form comes out different when it is written again. */
static const char *take_number(const char *s, char end, int64_t *ret)
{
        int64_t value = 0;
        for (; *s >= '0' && *s <= '9'; s++)
                if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *s - '0', &value))
                        return NULL;
        *ret = value;
        return *s == end ? s + 1 : NULL;
}

static const char *take_word(const char *s, const char *word)
{
        size_t size = strlen(word);
        return strncmp(s, word, size) == 0 ? s + size : NULL;
}

static const char *take_segment(const char *s, struct fg_meter_segment *ret)
{
        int64_t number[3];
        for (int i = 0; i < 3; i++)
                if (!(s = take_number(s, ':', &number[i])))
                        return NULL;
        if (number[1] > FG_PPM || number[2] > FG_PPM)
                return NULL;
        *ret = (struct fg_meter_segment){number[0], (uint32_t)number[1], (uint32_t)number[2], false, FG_METER_RUN};
        const char *rest = take_word(s, "cap:");
        ret->cap = rest != NULL;
        if (!rest && !(rest = take_word(s, "share:")))
                return NULL;
        for (int i = 0; i < FG_METER_STATES; i++)
                if ((s = take_word(rest, states[i]))) {
                        ret->state = (enum fg_meter_state)i;
                        return s;
                }
        return NULL;
}

int fg_bill_segments_read(const char *text, struct fg_meter_line *ret)
{
        struct fg_meter_line line = {.segments = 0};
        char again[FG_BILL_SEGMENTS_MAX];
        const char *s = text;
        do {
                if (line.segments == FG_METER_SEGMENTS || !(s = take_segment(s, &line.segment[line.segments])))
                        return -EBADMSG;
                line.segments++;
        } while (*s++ == ';');
        if (s[-1] != '\0' || fg_bill_segments_write(&line, again) < 0 || strcmp(again, text) != 0)
                return -EBADMSG;
        memcpy(ret->segment, line.segment, line.segments * sizeof(line.segment[0]));
        ret->segments = line.segments;
        return 0;
}
