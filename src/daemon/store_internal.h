/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGD_STORE_INTERNAL_H
#define FGD_STORE_INTERNAL_H

#include "daemon/store.h"

#include <sqlite3.h>

/* One row per statement: name, text. */
#define FGD_COUNTER_COLUMNS(p) \
        p "peak," p "gpu_ns," p "granted_ns," p "launches," p "waits," p "wait_ns," p "refusals," p "faults"
#define FGD_STATEMENTS(X)                                                                                                 \
        X(BEGIN, "BEGIN IMMEDIATE")                                                                                       \
        X(COMMIT, "COMMIT")                                                                                               \
        X(ROLLBACK, "ROLLBACK")                                                                                           \
        X(PUT_DEVICE, "INSERT INTO devices(id,key,uuid,api,model,vendor,driver,memory,compute_units,type) "               \
                      "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) ON CONFLICT(id) DO UPDATE SET uuid=?3,api=?4,model=?5,"     \
                      "vendor=?6,driver=?7,memory=?8,compute_units=?9,type=?10")                                          \
        X(ADD_SET, "INSERT INTO sets(name,created,ephemeral,count) VALUES(?1,?2,?3,?4)")                                  \
        X(ADD_VGPU, "INSERT INTO vgpus(set_id,idx,uuid,device,memory,share,mode,priority) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)") \
        X(DELETE_USAGE, "DELETE FROM usage WHERE vgpu IN (SELECT id FROM vgpus WHERE set_id=?1)")                         \
        X(DELETE_VGPUS, "DELETE FROM vgpus WHERE set_id=?1")                                                              \
        X(DELETE_SET, "DELETE FROM sets WHERE id=?1")                                                                     \
        X(CHANGE, "UPDATE vgpus SET memory=?2,share=?3,mode=?4,priority=?5 WHERE id=?1")                                  \
        X(PUT_USAGE, "INSERT OR REPLACE INTO usage(vgpu," FGD_COUNTER_COLUMNS("base_") "," FGD_COUNTER_COLUMNS("live_")   \
                     ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)")

enum fgd_statement {
#define X(name, text) FGD_SQL_##name,
        FGD_STATEMENTS(X)
#undef X
        FGD_SQL_COUNT
};

struct fgd_store {
        sqlite3 *db;
        sqlite3_stmt *statement[FGD_SQL_COUNT];
};

/* Opens `path` and looks whether it is a sound store of ours. -EUCLEAN: damaged, may be put aside. */
int fgd_store_open_file(const char *path, struct fgd_store **ret, struct fg_error *err);
/* Negative errno and the database's own words. */
int fgd_store_error(struct fgd_store *store, int sqlite_code, const char *what, struct fg_error *err);

#endif
