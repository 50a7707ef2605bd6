/* SPDX-License-Identifier: Apache-2.0
 * One vGPU as JSON. Lists are full of vGPUs that nothing has used since they were last told of: the text of those is kept and is taken again
 * if everything that it was written of is the same. It is compared, not invalidated: nobody who changes a vGPU has to think of it. */
#include "daemon/api_write.h"

#include "daemon/manager.h"
#include "daemon/usage.h"

#include <stdio.h>
#include <string.h>

#define KEPT      512u /* the last one told of in each place */
#define TEXT_SIZE 704u /* what is longer is written each time */
#define FEW       64u  /* a set of more would push out what others' lists are made of */

static const char *const mode_name[] = {[FG_MODE_SHARE] = "share", [FG_MODE_CAP] = "cap"};
static const char *const priority_name[] = {[FG_PRIORITY_LOW] = "low", [FG_PRIORITY_NORMAL] = "normal", [FG_PRIORITY_HIGH] = "high"};

/* All that the text of an unused vGPU is made of; a set's name never changes. Compared as bytes: there is no gap in it. */
struct facts {
        const struct fgd_set *set;
        const struct fgd_device *device;
        const char *state;
        uint64_t set_id, memory;
        uint8_t uuid[16];
        uint32_t index, device_facts;
        uint16_t share;
        uint8_t mode, priority;
        uint32_t device_id;
};
_Static_assert(sizeof(struct facts) == 3 * sizeof(void *) + 2 * 8 + 16 + 2 * 4 + 4 + 4, "no gaps");

static struct {
        struct facts facts;
        size_t size; /* 0: nothing is kept */
        char text[TEXT_SIZE];
} kept[KEPT];

const char *fgd_vgpu_state(const struct fgd_vgpu *v)
{
        if (v->quarantined || (v->pages && v->pages->damaged))
                return "quarantined";
        return !v->device->present ? "lost" : v->set->is_paused ? "suspended" : "ready";
}

static struct facts facts_of(const struct fgd_vgpu *v)
{
        struct facts facts = {.set = v->set, .device = v->device, .state = fgd_vgpu_state(v), .set_id = (uint64_t)v->set->id, .memory = v->memory,
                              .index = v->index, .device_facts = v->device ? v->device->facts : 0, .share = v->share, .mode = v->mode,
                              .priority = v->priority, .device_id = v->device ? v->device->id : 0};
        memcpy(facts.uuid, v->uuid, sizeof facts.uuid);
        return facts;
}

static void write_device(const struct fgd_device *device, struct fgd_text *text)
{
        fgd_text_name(text, "device");
        if (device)
                fgd_text_digits(text, device->id);
        else
                fgd_text_add(text, "null");
        fgd_text_field(text, "device_key", device ? device->key : "");
        fgd_text_field(text, "device_model", device ? device->model : "");
}

static void write_all(struct fgd_vgpu *v, struct fgd_text *text)
{
        char uuid[37];
        fgd_text_add(text, "{\"name\": \"");
        fgd_text_add(text, v->set->name);
        fgd_text_add(text, "/");
        fgd_text_digits(text, v->index);
        fgd_text_add(text, "\"");
        fgd_text_number(text, "index", v->index);
        fgd_text_word(text, "uuid", fgd_uuid_format(v->uuid, uuid));
        write_device(v->device, text);
        fgd_text_number(text, "memory", v->memory);
        fgd_text_number(text, "share", v->share);
        fgd_text_word(text, "mode", mode_name[v->mode]);
        fgd_text_word(text, "priority", priority_name[v->priority]);
        fgd_text_word(text, "tier", "soft");
        fgd_text_word(text, "state", fgd_vgpu_state(v));
        fgd_usage_write(v, text);
        fgd_text_add(text, "}");
}

void fgd_write_vgpu(struct fgd_vgpu *v, struct fgd_text *text)
{
        size_t begin = text->size;
        if (v->set->count > FEW || !fgd_usage_is_none(v)) {
                write_all(v, text);
                return;
        }
        struct facts facts = facts_of(v);
        __typeof__(&kept[0]) place = &kept[((uint64_t)v->id + v->index) % KEPT];
        if (place->size && memcmp(&place->facts, &facts, sizeof facts) == 0) {
                fgd_text_bytes(text, place->text, place->size);
                return;
        }
        write_all(v, text);
        place->size = 0;
        if (text->failed || text->size - begin > TEXT_SIZE)
                return;
        place->facts = facts;
        place->size = text->size - begin;
        memcpy(place->text, text->data + begin, place->size);
}
