/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/api_write.h"

#include "daemon/lease.h"
#include "daemon/manager.h"
#include "daemon/registry.h"
#include "daemon/tenants.h"
#include "daemon/usage.h"
#include "daemon/telemetry.h"
#include "daemon/watchdog.h"

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

void fgd_write_set_begin(const struct fgd_set *set, const char *note, struct fgd_text *text)
{
        char created[32];
        fgd_text_add(text, "{\"name\": \"");
        fgd_text_add(text, set->name);
        fgd_text_add(text, "\", \"project\": \"");
        fgd_text_add(text, set->project->name);
        fgd_text_add(text, "\", \"owner\": \"");
        fgd_text_add(text, set->owner ? set->owner->name : "operator");
        fgd_text_add(text, "\", \"created\": \"");
        fgd_text_add(text, fgd_date_format(set->created, created));
        fgd_text_add(text, set->ephemeral ? "\", \"ephemeral\": true" : "\", \"ephemeral\": false");
        if (set->job)
                fgd_text_number(text, "job", (uint64_t)set->job);
        if (set->payer)
                fgd_text_field(text, "payer", set->payer->name);
        if (set->workload)
                fgd_text_field(text, "workload", set->workload);
        fgd_lease_write(set, text);
        if (note[0])
                fgd_text_field(text, "note", note);
        fgd_text_add(text, ", \"vgpus\": [");
}

void fgd_write_set(struct fgd_set *set, const char *note, struct fgd_text *text)
{
        fgd_write_set_begin(set, note, text);
        for (uint32_t i = 0; i < set->count; i++) {
                fgd_text_add(text, i ? ", " : "");
                fgd_write_vgpu(&set->vgpu[i], text);
        }
        fgd_text_add(text, "]}");
}
