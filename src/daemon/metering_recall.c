/* SPDX-License-Identifier: Apache-2.0
 * Totals of vGPUs go on where the record ends. */
#include "daemon/metering_internal.h"

#include "bill/sums.h"
#include "daemon/manager.h"

#include <stdlib.h>

/* The meters by the numbers of the vGPUs' names in the record. */
static void find_meters(const struct fgd_manager *m, const struct fg_bill_sums *sums, struct fgd_meter **ret)
{
        const struct fgd_set *set;
        char uuid[37];
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; i < set->count; i++) {
                        uint32_t number = fg_bill_texts_find(&sums->texts, fgd_uuid_format(set->vgpu[i].uuid, uuid));
                        if (number < sums->texts.count)
                                ret[number] = set->vgpu[i].meter;
                }
}

void fgd_metering_recall(struct fgd_manager *m, const struct fg_bill_sums *sums)
{
        struct fgd_meter **meter = calloc(sums->texts.count + 1, sizeof(struct fgd_meter *));
        if (!meter)
                return;
        find_meters(m, sums, meter);
        for (uint32_t i = 0; i < sums->count; i++) {
                const struct fg_bill_cell *cell = &sums->cell[i];
                struct fgd_meter_total *total = meter[cell->vgpu] ? &meter[cell->vgpu]->total : NULL;
                if (!total)
                        continue;
                total->busy_us += cell->busy;
                total->reserved += cell->reserved;
                total->burst += cell->burst;
        }
        free(meter);
}
