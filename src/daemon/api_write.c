/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/api_write.h"

#include "daemon/lease.h"
#include "daemon/manager.h"
#include "daemon/registry.h"
#include "daemon/tenants.h"
#include "daemon/usage.h"
#include "daemon/telemetry.h"
#include "daemon/watchdog.h"

#include <stdio.h>

static const char *const mode_name[] = {[FG_MODE_SHARE] = "share", [FG_MODE_CAP] = "cap"};
static const char *const priority_name[] = {[FG_PRIORITY_LOW] = "low", [FG_PRIORITY_NORMAL] = "normal", [FG_PRIORITY_HIGH] = "high"};

void fgd_write_device(const struct fgd_manager *m, const struct fgd_device *d, struct fgd_text *text)
{
        fgd_text_add(text, "{");
        fgd_text_number(text, "id", d->id);
        fgd_text_field(text, "key", d->key);
        fgd_text_field(text, "uuid", d->uuid);
        fgd_text_field(text, "api", d->api);
        fgd_text_field(text, "type", d->type);
        fgd_text_field(text, "model", d->model);
        fgd_text_field(text, "vendor", d->vendor);
        fgd_text_field(text, "driver", d->driver);
        fgd_text_number(text, "memory", d->memory);
        fgd_text_number(text, "memory_reserved", fgd_device_reserved(m, d));
        fgd_text_number(text, "memory_free", fgd_device_memory_free(m, d));
        fgd_text_number(text, "share_free", fgd_device_share_free(d));
        fgd_text_number(text, "compute_units", d->compute_units);
        fgd_text_number(text, "vgpus", d->vgpus);
        if (d->native_ppm)
                fgd_text_number(text, "native_ppm", d->native_ppm);
        if (d->mig[0]) {
                fgd_text_field(text, "mig", d->mig);
                fgd_text_bool(text, "mps", d->mps);
                fgd_text_bool(text, "opencl", d->opencl);
        }
        fgd_watchdog_write_device(m, d, text);
        fgd_telemetry_write_device(m, d, text);
        fgd_text_field(text, "state", d->present ? "ok" : "lost");
        fgd_text_field(text, "tier", "soft");
        fgd_text_add(text, "}");
}

static const char *state_name(const struct fgd_vgpu *v)
{
        if (v->quarantined || (v->pages && v->pages->damaged))
                return "quarantined";
        return !v->device->present ? "lost" : v->set->is_paused ? "suspended" : "ready";
}

static void write_vgpu(struct fgd_vgpu *v, struct fgd_text *text)
{
        char uuid[37];
        fgd_text_add(text, "{");
        fgd_text_name(text, "name");
        fgd_text_add(text, "\"");
        fgd_text_add(text, v->set->name);
        fgd_text_add(text, "/");
        fgd_text_digits(text, v->index);
        fgd_text_add(text, "\"");
        fgd_text_number(text, "index", v->index);
        fgd_text_word(text, "uuid", fgd_uuid_format(v->uuid, uuid));
        if (v->device) {
                fgd_text_number(text, "device", v->device->id);
                fgd_text_field(text, "device_key", v->device->key);
                fgd_text_field(text, "device_model", v->device->model);
        } else {
                fgd_text_name(text, "device");
                fgd_text_add(text, "null");
                fgd_text_field(text, "device_key", "");
                fgd_text_field(text, "device_model", "");
        }
        fgd_text_number(text, "memory", v->memory);
        fgd_text_number(text, "share", v->share);
        fgd_text_word(text, "mode", mode_name[v->mode]);
        fgd_text_word(text, "priority", priority_name[v->priority]);
        fgd_text_word(text, "tier", "soft");
        fgd_text_word(text, "state", state_name(v));
        fgd_usage_write(v, text);
        fgd_text_add(text, "}");
}

void fgd_write_set(struct fgd_set *set, const char *note, struct fgd_text *text)
{
        char created[32];
        fgd_text_add(text, "{");
        fgd_text_word(text, "name", set->name);
        fgd_text_word(text, "project", set->project->name);
        fgd_text_word(text, "owner", set->owner ? set->owner->name : "operator");
        fgd_text_word(text, "created", fgd_date_format(set->created, created));
        fgd_text_bool(text, "ephemeral", set->ephemeral);
        if (set->job)
                fgd_text_number(text, "job", (uint64_t)set->job);
        fgd_lease_write(set, text);
        if (note[0])
                fgd_text_field(text, "note", note);
        fgd_text_name(text, "vgpus");
        fgd_text_add(text, "[");
        for (uint32_t i = 0; i < set->count; i++) {
                fgd_text_add(text, i ? ", " : "");
                write_vgpu(&set->vgpu[i], text);
        }
        fgd_text_add(text, "]}");
}
