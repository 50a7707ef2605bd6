/* SPDX-License-Identifier: Apache-2.0
 * Which devices there are. Each way to find some is a row: a helper program that prints one JSON object a line and ends with
 * {"end": true}. The daemon loads no driver itself: what hangs or crashes in one is a problem line here. */
#ifndef FGD_INVENTORY_H
#define FGD_INVENTORY_H

#include "base/error.h"
#include "daemon/text.h"
#include "ledger/attach.h"

#include <stdbool.h>

struct fgd_manager;
struct fgd_inventory;

struct fgd_backend {
        const char *name;    /* the "api" of its devices and the start of their keys */
        const char *program; /* in lib/fastgpu of the tree */
};
extern const struct fgd_backend fgd_backend_table[];
extern const unsigned fgd_backend_count;

/* The folder of the vendor's libraries, as the options have it; "": where the loader finds them. */
void fgd_driver_path(const struct fgd_manager *manager, char ret[FG_DRIVER_PATH_MAX]);

typedef void (*fgd_scanned_t)(void *user);

int fgd_inventory_new(struct fgd_manager *manager, struct fg_error *err);
void fgd_inventory_free(struct fgd_inventory *inventory); /* NULL is fine */
/* Looks at the devices; `done` (may be NULL) is called from the event loop when that is over, also when it failed. Several
 * callers share one look. */
int fgd_inventory_scan(struct fgd_manager *manager, fgd_scanned_t done, void *user, struct fg_error *err);
/* Starts the periodic look, if an option asks for it. */
int fgd_inventory_watch(struct fgd_manager *manager);
/* What the last look complained of, as JSON strings, each after a comma when `text` holds one already. */
void fgd_inventory_problems(const struct fgd_manager *manager, bool *first, struct fgd_text *text);

#endif
