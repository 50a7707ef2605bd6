/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/telemetry.h"

#include "base/clock.h"
#include "daemon/feed.h"
#include "daemon/manager.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct sample {
        uint64_t seen_at; /* 0: never */
        uint64_t known;   /* a bit for each figure */
        uint64_t value[FGD_SAMPLE_COUNT];
};

struct fgd_telemetry {
        struct fgd_manager *manager;
        struct fgd_feed feed;
        struct sample sample[FGD_DEVICES_MAX]; /* by id */
};

_Static_assert(FGD_SAMPLE_COUNT <= 64, "a bit for each figure");

static const struct {
        const char *name;
        uint64_t max;
} figures[FGD_SAMPLE_COUNT] = {
#define X(id, name, max) {name, max},
        FGD_SAMPLE_FIGURES(X)
#undef X
};

static uint64_t interval_of(const struct fgd_manager *m)
{
        return m->options.value[FG_OPT_TELEMETRY_INTERVAL] * FG_NSEC_PER_SEC;
}

static const struct sample *sample_of(const struct fgd_manager *m, const struct fgd_device *device)
{
        const struct sample *s = m->telemetry ? &m->telemetry->sample[device->id] : NULL;
        return s && s->seen_at ? s : NULL;
}

static bool is_stale(const struct fgd_manager *m, const struct fgd_device *device, const struct sample *s)
{
        return !device->present || fg_now() - s->seen_at > 3 * interval_of(m) + FG_NSEC_PER_SEC;
}

static void take_sample(struct sample *s, const json_t *object)
{
        *s = (struct sample){.seen_at = fg_now()};
        for (unsigned i = 0; i < FGD_SAMPLE_COUNT; i++) {
                const json_t *value = json_object_get(object, figures[i].name);
                json_int_t n = json_integer_value(value);
                if (!json_is_integer(value) || n < 0 || (uint64_t)n > figures[i].max)
                        continue;
                s->value[i] = (uint64_t)n;
                s->known |= 1ull << i;
        }
}

void fgd_telemetry_take(struct fgd_telemetry *t, const char *line)
{
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *uuid = json_string_value(json_object_get(object, "sample"));
        for (uint32_t i = 0; uuid && i < t->manager->devices; i++) {
                const char *key = t->manager->device[i]->key;
                if (strncmp(key, "cuda/", 5) == 0 && strcmp(key + 5, uuid) == 0)
                        take_sample(&t->sample[i], object);
        }
        json_decref(object); /* anything else is a driver's chatter */
}

static void take(void *user, const char *line)
{
        fgd_telemetry_take(user, line);
}

static bool is_wanted(const struct fgd_manager *m)
{
        if (!m->options.value[FG_OPT_TELEMETRY_INTERVAL])
                return false;
        for (uint32_t i = 0; i < m->devices; i++)
                if (m->device[i]->present && strcmp(m->device[i]->api, "cuda") == 0)
                        return true;
        return false;
}

struct fgd_telemetry *fgd_telemetry_new(struct fgd_manager *m)
{
        struct fgd_telemetry *t = calloc(1, sizeof *t);
        if (t)
                t->manager = m;
        return t;
}

void fgd_telemetry_update(struct fgd_manager *m)
{
        bool wanted = m->event && is_wanted(m);
        if (!wanted && m->telemetry) {
                fgd_telemetry_free(m->telemetry);
                m->telemetry = NULL;
        } else if (wanted && !m->telemetry && (m->telemetry = fgd_telemetry_new(m))) {
                m->telemetry->feed = (struct fgd_feed){.manager = m, .what = "telemetry", .mode = "--sample", .take = take, .user = m->telemetry,
                                                       .interval = interval_of(m) / FG_NSEC_PER_MSEC};
                if (fgd_feed_start(&m->telemetry->feed) < 0) {
                        free(m->telemetry);
                        m->telemetry = NULL;
                }
        }
}

void fgd_telemetry_free(struct fgd_telemetry *t)
{
        if (t)
                fgd_feed_stop(&t->feed);
        free(t);
}

bool fgd_telemetry_get(const struct fgd_manager *m, const struct fgd_device *device, enum fgd_sample_figure figure, uint64_t *ret)
{
        const struct sample *s = sample_of(m, device);
        if (!s || is_stale(m, device, s) || !(s->known & 1ull << figure))
                return false;
        *ret = s->value[figure];
        return true;
}

bool fgd_telemetry_age(const struct fgd_manager *m, const struct fgd_device *device, uint64_t *ret)
{
        const struct sample *s = sample_of(m, device);
        if (s)
                *ret = fg_now() - s->seen_at;
        return s;
}

void fgd_telemetry_write_device(const struct fgd_manager *m, const struct fgd_device *device, struct fgd_text *text)
{
        const struct sample *s = sample_of(m, device);
        if (!s)
                return;
        fgd_text_name(text, "telemetry");
        fgd_text_add(text, "{");
        fgd_text_bool(text, "stale", is_stale(m, device, s));
        fgd_text_number(text, "age_ms", (fg_now() - s->seen_at) / FG_NSEC_PER_MSEC);
        for (unsigned i = 0; i < FGD_SAMPLE_COUNT; i++)
                if (s->known & 1ull << i)
                        fgd_text_number(text, figures[i].name, s->value[i]);
        fgd_text_add(text, "}");
}
