/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lease.h"
#include "daemon/manager.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/api.h"
#include "daemon/arbiter.h"
#include "daemon/attach_server.h"
#include "daemon/history.h"
#include "daemon/box.h"
#include "daemon/discard.h"
#include "daemon/fair.h"
#include "daemon/http.h"
#include "daemon/jobs.h"
#include "daemon/journal.h"
#include "daemon/metering.h"
#include "daemon/metrics.h"
#include "daemon/money.h"
#include "daemon/pairing.h"
#include "daemon/placing.h"
#include "daemon/rate.h"
#include "daemon/registry.h"
#include "daemon/remote.h"
#include "daemon/usage.h"
#include "daemon/use.h"
#include "daemon/vgpus.h"
#include "daemon/telemetry.h"
#include "daemon/trace.h"
#include "daemon/watchdog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-id128.h>
#include <string.h>
#include <unistd.h>

void fgd_manager_note(struct fgd_manager *m, const char *format, ...)
{
        va_list args;
        char *text = NULL;
        va_start(args, format);
        int n = vasprintf(&text, format, args);
        va_end(args);
        if (n < 0)
                return;
        fg_log_warning("%s", text);
        if (m->journal)
                fgd_event_note(m, NULL, "problem", "", "%s", text);
        if (m->notes < FGD_NOTES)
                m->note[m->notes++] = text;
        else
                free(text);
}

void fgd_manager_active(struct fgd_manager *m)
{
        m->last_activity = fg_now();
}

/* SQLite reads on where it cannot write, until somebody changes something: better said at once. */
static int open_or_copy(struct fgd_manager *m, const char *path, char note[FG_ERROR_MAX], struct fg_error *err)
{
        struct fg_error why = {0};
        bool is_read_only = access(path, W_OK) < 0 && errno == EROFS;
        int r = is_read_only ? fg_error_set(&why, -EROFS, "cannot use %s: %m", path) : fgd_store_open(path, &m->store, note, &why);
        if ((r == -EROFS || r == -ENOSPC || r == -EIO) && fgd_store_open_safe(path, m->paths.run, &m->store, NULL) == 0) {
                snprintf(note, FG_ERROR_MAX, "safe mode: %.300s; nothing is created, changed or billed, programs keep their limits. "
                         "Mend it and restart fastgpud", why.text);
                return 0;
        }
        return r < 0 ? fg_error_set(err, r, "%s", why.text) : 0;
}

static int open_store(struct fgd_manager *m, const char *path, struct fg_error *err)
{
        char note[FG_ERROR_MAX];
        int r = open_or_copy(m, path, note, err);
        if (r < 0)
                return r;
        if (note[0])
                fgd_manager_note(m, "%s", note);
        r = fgd_tenants_load(m, err);
        if (r == 0)
                r = fgd_journal_new(m, err);
        if (r == 0)
                r = fgd_registry_load(m, err);
        if (r == 0)
                r = fgd_lease_new(m, err);
        if (r == 0)
                r = fgd_jobs_load(m, err);
        /* What suspended jobs do not take is known by now. */
        if (r == 0)
                fgd_registry_audit(m);
        return r;
}

static void look(struct fgd_manager *m)
{
        if (m->http)
                fgd_http_drive(m->http);
        fgd_remote_drive(m->remote);
}

static int make_parts(struct fgd_manager *m, struct fg_error *err)
{
        int r = fgd_hash_start();
        if (r < 0)
                return fg_error_set(err, r, "there is no randomness on this machine: %m");
        r = fgd_placing_new(m, err);
        if (r == 0)
                r = fgd_pairing_new(m, err);
        if (r == 0)
                r = fgd_inventory_new(m, err);
        if (r == 0)
                r = fgd_attach_new(m, err);
        if (r == 0)
                r = fgd_box_new(m, err);
        if (r == 0)
                r = fgd_metering_new(m, err);
        if (r == 0)
                r = fgd_metrics_new(m, err);
        if (r == 0)
                r = fgd_tenants_new(m, err);
        if (r == 0)
                r = fgd_rate_new(m, err);
        if (r == 0 && (fgd_fair_start(m) < 0 || fgd_discard_start(m) < 0))
                r = fg_error_set(err, -ENOMEM, "out of memory or descriptors");
        if (r == 0 && fgd_events_new(m) < 0)
                r = fg_error_set(err, -ENOMEM, "out of memory");
        if (r == 0)
                r = fgd_jobs_new(m, err);
        return r;
}

int fgd_manager_new(const struct fg_paths *paths, const struct fg_options *options, const char *store_path, struct fgd_manager **ret,
                    struct fg_error *err)
{
        FG_CLEANUP(fgd_cleanup_managerp) struct fgd_manager *m = calloc(1, sizeof *m);
        sd_id128_t boot;
        if (!m)
                return fg_error_set(err, -ENOMEM, "out of memory");
        m->paths = *paths;
        m->options = *options;
        m->started = fg_now();
        m->look = look;
        TAILQ_INIT(&m->sets);
        TAILQ_INIT(&m->pages);
        TAILQ_INIT(&m->listings);
        fgd_manager_active(m);
        int r = sd_id128_get_boot(&boot);
        if (r < 0)
                return fg_error_set(err, r, "cannot read the boot id: %m");
        memcpy(m->boot_id, boot.bytes, sizeof m->boot_id);
        r = sd_event_new(&m->event);
        if (r < 0)
                return fg_error_set(err, r, "cannot make an event loop: %m");
        r = make_parts(m, err);
        if (r == 0)
                r = open_store(m, store_path, err);
        if (r < 0)
                return r;
        *ret = FG_TAKE_PTR(m);
        return 0;
}

/* Running programs keep their slots and their limits; only this daemon's view of them goes. */
static void free_uses(struct fgd_manager *m, struct fgd_set *set)
{
        struct fgd_use *use;
        while ((use = TAILQ_FIRST(&set->uses))) {
                struct fgd_process *process = use->process;
                TAILQ_REMOVE(&set->uses, use, of_set);
                TAILQ_REMOVE(&process->uses, use, of_process);
                free(use);
                fgd_process_drop(process);
        }
}

static void free_sets(struct fgd_manager *m)
{
        struct fgd_set *set;
        while ((set = TAILQ_FIRST(&m->sets))) {
                TAILQ_REMOVE(&m->sets, set, order);
                for (uint32_t i = 0; i < set->count; i++)
                        fgd_pages_unload(m, &set->vgpu[i]);
                free_uses(m, set);
                fgd_set_free(set);
        }
        fgd_table_clear(&m->set_names);
}

void fgd_manager_free(struct fgd_manager *m)
{
        struct fgd_set *set;
        if (!m)
                return;
        TAILQ_FOREACH(set, &m->sets, order)
                fgd_vgpus_abandon(set);
        fgd_metering_end(m);
        fgd_history_free(m);
        fgd_money_free(m);
        fgd_events_free(m);
        fgd_jobs_free(m);
        fgd_lease_free(m);
        if (m->store)
                fgd_usage_persist(m);
        fgd_watchdog_free(m->watchdog);
        fgd_telemetry_free(m->telemetry);
        fgd_remote_free(m->remote);
        fgd_http_free(m->http);
        fgd_box_free(m);
        fgd_attach_free(m);
        free_sets(m);
        fgd_metering_free(m);
        fgd_metrics_free(m);
        fgd_trace_free(m);
        fgd_journal_free(m);
        fgd_tenants_free(m);
        fgd_rate_free(m);
        fgd_listings_free(m);
        fgd_discard_stop(m);
        fgd_fair_stop(m);
        fgd_placing_free(m);
        fgd_pairing_free(m);
        for (uint32_t i = 0; i < m->devices; i++) {
                fgd_arbiter_free(m->device[i]->arbiter);
                free(m->device[i]);
        }
        fgd_inventory_free(m->inventory);
        sd_event_source *const timer[] = {m->persist_timer, m->linger_timer, m->idle_timer, m->folder_timer};
        for (unsigned i = 0; i < sizeof timer / sizeof *timer; i++)
                sd_event_source_disable_unref(timer[i]);
        for (unsigned i = 0; i < sizeof m->life / sizeof *m->life; i++)
                sd_event_source_disable_unref(m->life[i]);
        fgd_store_close(m->store);
        sd_event_unref(m->event);
        while (m->notes)
                free(m->note[--m->notes]);
        free(m);
}
