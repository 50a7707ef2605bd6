/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/inventory_internal.h"

#include "base/log.h"
#include "daemon/events.h"
#include "daemon/manager.h"
#include "daemon/registry.h"
#include "daemon/telemetry.h"
#include "daemon/watchdog.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

const struct fgd_backend fgd_backend_table[] = {
        {"cuda", "fastgpu-probe-nvml"},
        {"opencl", "fastgpu-probe-opencl"},
};
const unsigned fgd_backend_count = sizeof fgd_backend_table / sizeof fgd_backend_table[0];

static int start_backend(struct fgd_inventory *inventory);

void fgd_inventory_complain(struct fgd_inventory *inventory, const char *format, ...)
{
        va_list args;
        char *text = NULL;
        va_start(args, format);
        int n = vasprintf(&text, format, args);
        va_end(args);
        if (n < 0)
                return;
        fg_log_warning("%s", text);
        if (inventory->problems < FGD_PROBLEMS_MAX)
                inventory->problem[inventory->problems++] = text;
        else
                free(text);
}

static void clear_problems(struct fgd_inventory *inventory)
{
        while (inventory->problems)
                free(inventory->problem[--inventory->problems]);
}

void fgd_inventory_problems(const struct fgd_manager *m, bool *first, struct fgd_text *text)
{
        for (unsigned i = 0; m->inventory && i < m->inventory->problems; i++, *first = false) {
                fgd_text_add(text, *first ? "" : ", ");
                fgd_text_string(text, m->inventory->problem[i]);
        }
}

static struct fgd_device *find_device(struct fgd_manager *m, const char *key)
{
        for (uint32_t i = 0; i < m->devices; i++)
                if (strcmp(m->device[i]->key, key) == 0)
                        return m->device[i];
        return NULL;
}

/* What the store keeps of a device. */
static bool same(const struct fgd_device *a, const struct fgd_device *b)
{
        return a->memory == b->memory && a->compute_units == b->compute_units && strcmp(a->uuid, b->uuid) == 0 &&
               strcmp(a->model, b->model) == 0 && strcmp(a->vendor, b->vendor) == 0 && strcmp(a->driver, b->driver) == 0 &&
               strcmp(a->type, b->type) == 0;
}

static void take_facts(struct fgd_device *device, const struct fgd_device *seen)
{
        memcpy(device->uuid, seen->uuid, sizeof device->uuid);
        memcpy(device->api, seen->api, sizeof device->api);
        memcpy(device->model, seen->model, sizeof device->model);
        memcpy(device->vendor, seen->vendor, sizeof device->vendor);
        memcpy(device->driver, seen->driver, sizeof device->driver);
        memcpy(device->type, seen->type, sizeof device->type);
        device->memory = seen->memory;
        device->compute_units = seen->compute_units;
}

static struct fgd_device *new_device(struct fgd_inventory *inventory, const struct fgd_device *seen)
{
        struct fgd_manager *m = inventory->manager;
        struct fgd_device *device = m->devices < FGD_DEVICES_MAX ? malloc(sizeof *device) : NULL;
        if (!device) {
                fgd_inventory_complain(inventory, "device %s is left out: there are %u already", seen->key, m->devices);
                return NULL;
        }
        *device = *seen;
        device->id = m->devices;
        device->present = false;
        return device;
}

/* The NVIDIA GPU that is seen once more, through its OpenCL driver: two rows for it would promise its memory and its time twice.
 * The rows of CUDA come first; one that nobody could look for is not gone. */
static struct fgd_device *twin(const struct fgd_inventory *inventory, const struct fgd_device *seen)
{
        const struct fgd_manager *m = inventory->manager;
        for (uint32_t i = 0; strcmp(seen->api, "opencl") == 0 && i < m->devices; i++) {
                struct fgd_device *d = m->device[i];
                if (strcmp(d->api, "cuda") == 0 && strcmp(d->uuid, seen->uuid) == 0 &&
                    (inventory->seen[i] || (inventory->unsure && d->present)))
                        return d;
        }
        return NULL;
}

void fgd_inventory_saw(struct fgd_inventory *inventory, const struct fgd_device *seen)
{
        struct fgd_manager *m = inventory->manager;
        struct fgd_device *device = twin(inventory, seen), *fresh = NULL;
        struct fg_error err = {0};
        if (device) {
                device->opencl = true;
                return;
        }
        device = find_device(m, seen->key);
        if (device && inventory->seen[device->id]) {
                fgd_inventory_complain(inventory, "two devices are called %s; the second is left out", seen->key);
                return;
        }
        if (!device)
                device = fresh = new_device(inventory, seen);
        if (!device)
                return;
        memcpy(device->mig, seen->mig, sizeof device->mig); /* not in the store */
        device->mps = seen->mps;
        device->opencl = false;
        if (fresh || !same(device, seen)) {
                struct fgd_device next = *device;
                take_facts(&next, seen);
                if (fgd_store_put_device(m->store, &next, &err) < 0) {
                        fgd_inventory_complain(inventory, "device %s cannot be remembered: %s", seen->key, err.text);
                        free(fresh);
                        return;
                }
                take_facts(device, seen);
        }
        if (fresh)
                m->device[m->devices++] = fresh;
        inventory->seen[device->id] = true;
}

/* Compares what was seen with what is known; `sure`: all helpers got to their end, so what was not seen is not there. */
static void conclude(struct fgd_inventory *inventory, bool sure)
{
        struct fgd_manager *m = inventory->manager;
        for (uint32_t i = 0; i < m->devices; i++) {
                struct fgd_device *d = m->device[i];
                bool present = inventory->seen[i] || (!sure && d->present);
                if (present && !d->present)
                        fg_log_info("device %u: %s (%s)", d->id, d->model, d->key);
                if (!present && (d->present || !inventory->scanned))
                        fg_log_warning("device %u is lost: %s (%s)", d->id, d->model, d->key);
                if (inventory->scanned ? present != d->present : !present)
                        fgd_event_note(m, NULL, present ? "device.returned" : "device.lost", d->key, "device %u %s: %s", d->id,
                                       present ? "is back" : "is lost", d->model);
                d->present = present;
        }
        fgd_registry_audit(m);
        fgd_watchdog_update(m);
        fgd_telemetry_update(m);
        if (!m->devices)
                fg_log_warning("no device was found");
        inventory->scanned = true;
}

static void finish(struct fgd_inventory *inventory)
{
        struct fgd_waiters waiters;
        struct fgd_waiter *w;
        conclude(inventory, !inventory->unsure);
        TAILQ_INIT(&waiters);
        TAILQ_CONCAT(&waiters, &inventory->waiters, order);
        while ((w = TAILQ_FIRST(&waiters))) {
                TAILQ_REMOVE(&waiters, w, order);
                if (w->done)
                        w->done(w->user);
                free(w);
        }
}

static void stop_helper(struct fgd_inventory *inventory)
{
        inventory->exited = sd_event_source_disable_unref(inventory->exited);
        inventory->readable = sd_event_source_disable_unref(inventory->readable);
        inventory->timeout = sd_event_source_disable_unref(inventory->timeout);
        if (inventory->pid) {
                kill(-inventory->pid, SIGKILL); /* and what it started */
                kill(inventory->pid, SIGKILL);
                waitpid(inventory->pid, NULL, 0);
                close(inventory->pidfd);
                close(inventory->output);
        }
        inventory->pid = 0;
        free(inventory->text);
        inventory->text = NULL;
        inventory->size = 0;
}

static void next_backend(struct fgd_inventory *inventory)
{
        stop_helper(inventory);
        inventory->backend++;
        start_backend(inventory);
}

static void read_output(struct fgd_inventory *inventory)
{
        char buf[4096];
        ssize_t n;
        while ((n = read(inventory->output, buf, sizeof buf)) > 0) {
                char *more = inventory->size + (size_t)n < FGD_PROBE_OUTPUT ? realloc(inventory->text, inventory->size + (size_t)n + 1) : NULL;
                if (!more)
                        continue;
                memcpy(more + inventory->size, buf, (size_t)n);
                inventory->text = more;
                inventory->size += (size_t)n;
                more[inventory->size] = 0;
        }
        if (n == 0)
                sd_event_source_set_enabled(inventory->readable, SD_EVENT_OFF);
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *user)
{
        read_output(user);
        return 0;
}

static int on_helper_exit(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_inventory *inventory = user;
        const struct fgd_backend *backend = &fgd_backend_table[inventory->backend];
        siginfo_t info = {0};
        read_output(inventory);
        waitid(P_PIDFD, (id_t)inventory->pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
        char empty[1] = "";
        if (fgd_probe_parse(inventory, backend, inventory->text ? inventory->text : empty) < 0) {
                inventory->unsure = true;
                fgd_inventory_complain(inventory, "%s ended early (%s %d): the %s driver may be broken; \"fastgpu doctor\" looks closer",
                                       backend->program, info.si_code == CLD_EXITED ? "status" : "signal", info.si_status, backend->name);
        }
        next_backend(inventory);
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_inventory *inventory = user;
        inventory->unsure = true;
        fgd_inventory_complain(inventory, "%s did not answer within %d s and was ended: the %s driver hangs",
                               fgd_backend_table[inventory->backend].program, FGD_PROBE_SECONDS, fgd_backend_table[inventory->backend].name);
        next_backend(inventory);
        return 0;
}

/* Starts the helpers one after the other. */
static int start_backend(struct fgd_inventory *inventory)
{
        sd_event *event = inventory->manager->event;
        struct fg_error err = {0};
        for (; inventory->backend < fgd_backend_count; inventory->backend++) {
                int r = fgd_probe_spawn(inventory->manager, &fgd_backend_table[inventory->backend], NULL, 0, &inventory->pid, &inventory->pidfd,
                                        &inventory->output, &err);
                if (r < 0) {
                        inventory->unsure = true;
                        fgd_inventory_complain(inventory, "%s", err.text);
                        continue;
                }
                if (sd_event_add_io(event, &inventory->exited, inventory->pidfd, EPOLLIN, on_helper_exit, inventory) >= 0 &&
                    sd_event_add_io(event, &inventory->readable, inventory->output, EPOLLIN, on_output, inventory) >= 0 &&
                    sd_event_add_time_relative(event, &inventory->timeout, CLOCK_MONOTONIC, FGD_PROBE_SECONDS * 1000000ull, 0, on_timeout,
                                               inventory) >= 0)
                        return 0;
                fgd_inventory_complain(inventory, "out of memory");
                stop_helper(inventory);
        }
        finish(inventory);
        return 0;
}

int fgd_inventory_scan(struct fgd_manager *m, fgd_scanned_t done, void *user, struct fg_error *err)
{
        struct fgd_inventory *inventory = m->inventory;
        struct fgd_waiter *w = calloc(1, sizeof *w);
        if (!w)
                return fg_error_set(err, -ENOMEM, "out of memory");
        *w = (struct fgd_waiter){.done = done, .user = user};
        bool under_way = inventory->pid != 0;
        TAILQ_INSERT_TAIL(&inventory->waiters, w, order);
        if (under_way)
                return 0;
        clear_problems(inventory);
        memset(inventory->seen, 0, sizeof inventory->seen);
        inventory->backend = 0;
        inventory->unsure = false;
        return start_backend(inventory);
}

static int on_rescan(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        fgd_inventory_scan(m, NULL, NULL, NULL);
        sd_event_source_set_time_relative(source, m->options.value[FG_OPT_RESCAN_INTERVAL] * 1000000);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

int fgd_inventory_watch(struct fgd_manager *m)
{
        uint64_t interval = m->options.value[FG_OPT_RESCAN_INTERVAL] * 1000000;
        return interval ? sd_event_add_time_relative(m->event, &m->inventory->timer, CLOCK_MONOTONIC, interval, interval / 10, on_rescan, m)
                        : 0;
}

int fgd_inventory_new(struct fgd_manager *m, struct fg_error *err)
{
        m->inventory = calloc(1, sizeof *m->inventory);
        if (!m->inventory)
                return fg_error_set(err, -ENOMEM, "out of memory");
        m->inventory->manager = m;
        TAILQ_INIT(&m->inventory->waiters);
        return 0;
}

void fgd_inventory_free(struct fgd_inventory *inventory)
{
        struct fgd_waiter *w;
        if (!inventory)
                return;
        stop_helper(inventory);
        clear_problems(inventory);
        sd_event_source_disable_unref(inventory->timer);
        while ((w = TAILQ_FIRST(&inventory->waiters))) {
                TAILQ_REMOVE(&inventory->waiters, w, order);
                free(w);
        }
        free(inventory);
}
