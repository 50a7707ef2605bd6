/* SPDX-License-Identifier: Apache-2.0
 * Reading the store at start. */
#include "daemon/store_internal.h"

static int device_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_visitor *visitor = user;
        int64_t id = sqlite3_column_int64(s, 0), memory = sqlite3_column_int64(s, 7), units = sqlite3_column_int64(s, 8);
        struct fgd_device device = {.id = (uint32_t)id, .memory = (uint64_t)memory, .compute_units = (uint32_t)units};
        if (id < 0 || id >= FGD_DEVICES_MAX || memory < 0 || units < 0)
                return 0;
        fgd_sql_text(s, 1, device.key, sizeof device.key);
        fgd_sql_text(s, 2, device.uuid, sizeof device.uuid);
        fgd_sql_text(s, 3, device.api, sizeof device.api);
        fgd_sql_text(s, 4, device.model, sizeof device.model);
        fgd_sql_text(s, 5, device.vendor, sizeof device.vendor);
        fgd_sql_text(s, 6, device.driver, sizeof device.driver);
        fgd_sql_text(s, 9, device.type, sizeof device.type);
        return visitor->device(visitor->user, &device);
}

static int set_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_visitor *visitor = user;
        struct fgd_store_set set = {.id = sqlite3_column_int64(s, 0),
                                    .name = (const char *)sqlite3_column_text(s, 1),
                                    .created = sqlite3_column_int64(s, 2),
                                    .ephemeral = sqlite3_column_int64(s, 3) != 0,
                                    .count = sqlite3_column_int64(s, 4),
                                    .project = sqlite3_column_int64(s, 5),
                                    .owner = sqlite3_column_int64(s, 6),
                                    .job = sqlite3_column_int64(s, 7),
                                    .element = sqlite3_column_int64(s, 8),
                                    .is_suspended = sqlite3_column_int64(s, 9) != 0,
                                    .payer = sqlite3_column_int64(s, 10),
                                    .workload = (const char *)sqlite3_column_text(s, 11)};
        return visitor->set(visitor->user, &set);
}

static int vgpu_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_visitor *visitor = user;
        struct fgd_store_vgpu vgpu = {.id = sqlite3_column_int64(s, 0),
                                      .set_id = sqlite3_column_int64(s, 1),
                                      .index = sqlite3_column_int64(s, 2),
                                      .device = sqlite3_column_int64(s, 4),
                                      .memory = sqlite3_column_int64(s, 5),
                                      .share = sqlite3_column_int64(s, 6),
                                      .mode = sqlite3_column_int64(s, 7),
                                      .priority = sqlite3_column_int64(s, 8)};
        if (sqlite3_column_bytes(s, 3) == 16)
                vgpu.uuid = sqlite3_column_blob(s, 3);
        uint64_t *base = (uint64_t *)&vgpu.base, *live = (uint64_t *)&vgpu.live;
        for (unsigned i = 0; i < FGD_COUNTERS; i++) {
                int64_t b = sqlite3_column_int64(s, 9 + (int)i), l = sqlite3_column_int64(s, 9 + (int)(FGD_COUNTERS + i));
                base[i] = b > 0 ? (uint64_t)b : 0;
                live[i] = l > 0 ? (uint64_t)l : 0;
        }
        return visitor->vgpu(visitor->user, &vgpu);
}

int fgd_store_load(struct fgd_store *store, const struct fgd_store_visitor *visitor, struct fg_error *err)
{
        int r = fgd_sql_walk(store, "SELECT id,key,uuid,api,model,vendor,driver,memory,compute_units,type FROM devices ORDER BY id",
                     visitor, device_row, err);
        if (r == 0)
                r = fgd_sql_walk(store, "SELECT id,name,created,ephemeral,count,project,owner,job,element,suspended,payer,workload FROM sets ORDER BY id",
                         visitor, set_row, err);
        if (r == 0)
                r = fgd_sql_walk(store,
                         "SELECT id,set_id,idx,uuid,device,memory,share,mode,priority," FGD_COUNTER_COLUMNS("base_") ","
                         FGD_COUNTER_COLUMNS("live_") " FROM vgpus LEFT JOIN usage ON usage.vgpu=vgpus.id ORDER BY set_id,idx",
                         visitor, vgpu_row, err);
        sqlite3_db_release_memory(store->db);
        return r;
}
