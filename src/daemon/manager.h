/* SPDX-License-Identifier: Apache-2.0
 *
 * The manager owns everything: one of them is the daemon. All of it belongs to the main thread. */
#ifndef FGD_MANAGER_H
#define FGD_MANAGER_H

#include "base/option.h"
#include "base/paths.h"
#include "daemon/inventory.h"
#include "daemon/model.h"
#include "daemon/pages.h"
#include "daemon/jobs_pace.h"
#include "daemon/process.h"
#include "daemon/store.h"
#include "daemon/table.h"

#include <systemd/sd-event.h>

struct fgd_http;
struct fgd_remote;
struct fgd_attach;
struct fgd_boxes;
struct fgd_tenants;
struct fgd_journal;
struct fgd_events;
struct fgd_streams;
struct fgd_metering;
struct fgd_money;
struct fgd_history;
struct fgd_metrics;
struct fgd_trace;
struct fgd_rate;
struct fgd_lease;
struct fgd_jobs;
struct fgd_allowance;
struct fgd_fair;
struct fg_placer;
struct fgd_pairing;

#define FGD_NOTES 32u

struct fgd_manager {
        struct fg_paths paths;
        struct fg_options options;
        uint8_t boot_id[16];
        uint64_t started;
        sd_event *event;
        struct fgd_store *store;

        struct fgd_device *device[FGD_DEVICES_MAX]; /* by id */
        uint32_t devices;
        struct fgd_tenants *tenants;
        struct fgd_rate *rate;
        struct fgd_fair *fair;
        void (*look)(struct fgd_manager *m); /* at what has come, between two turns; NULL: nothing can */
        struct fgd_allowance *discard, *changes; /* reads of bodies that are thrown away; what people change, beside others */
        TAILQ_HEAD(, fgd_listing) listings; /* that are being written */
        struct fgd_journal *journal;
        struct fgd_events *events;
        struct fgd_streams *streams;
        struct fgd_metering *metering;
        struct fgd_money *money; /* NULL: not started */
        struct fgd_history *history; /* NULL: none is kept */
        struct fgd_metrics *metrics;
        struct fgd_trace *trace; /* NULL: nobody is told */
        struct fgd_lease *lease;
        struct fgd_set_list sets; /* in the order they were made */
        uint64_t sets_removed;    /* how many, ever: while none was, a pointer to one is good */
        struct fgd_table set_names; /* by project and name */
        uint32_t vgpu_count;

        struct fg_placer *placer; /* placing.h */
        struct fgd_pairing *pairing;
        struct fgd_jobs *jobs;
        struct fgd_inventory *inventory;
        struct fgd_watchdog *watchdog; /* NULL: nothing to watch */
        struct fgd_telemetry *telemetry; /* NULL: no sensors to read */
        struct fgd_http *http;
        struct fgd_remote *remote; /* NULL: nobody elsewhere is to be answered */
        struct fgd_attach *attach;
        struct fgd_boxes *boxes;
        struct fgd_pages_list pages; /* mapped now */
        struct fgd_process_table processes;
        uint32_t use_count, lingering; /* uses; those whose connection is gone while the process lives */

        sd_event_source *fair_turn; /* while there are tasks */
        sd_event_source *life[5]; /* signals, damage, folder */
        sd_event_source *persist_timer, *linger_timer, *idle_timer, *folder_timer;
        uint64_t last_activity;
        struct fgd_asked asked;
        bool idle_exit;
        int api_socket; /* http's */
        bool persist_failed;  /* said once */
        char *note[FGD_NOTES]; /* what was found damaged since the start; shown with the devices */
        uint32_t notes;
};

/* `state` and `run` must exist. Opens the store and takes in what it holds; starts nothing. */
int fgd_manager_new(const struct fg_paths *paths, const struct fg_options *options, const char *store_path,
                    struct fgd_manager **ret, struct fg_error *err);
void fgd_manager_free(struct fgd_manager *manager); /* NULL is fine; leaves running programs alone */

/* Remembers a finding for GET /v1/devices and logs it. */
__attribute__((format(printf, 2, 3))) void fgd_manager_note(struct fgd_manager *manager, const char *format, ...);
/* Something happened: the idle clock starts again. */
void fgd_manager_active(struct fgd_manager *manager);

static inline void fgd_cleanup_managerp(struct fgd_manager **manager)
{
        fgd_manager_free(*manager);
}

#endif
