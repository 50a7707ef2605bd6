/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGD_INVENTORY_INTERNAL_H
#define FGD_INVENTORY_INTERNAL_H

#include "daemon/inventory.h"
#include "daemon/model.h"

#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#define FGD_PROBE_SECONDS  20
#define FGD_PROBE_OUTPUT   (1u << 20)
#define FGD_PROBLEMS_MAX   32u

struct fgd_waiter {
        fgd_scanned_t done;
        void *user;
        TAILQ_ENTRY(fgd_waiter) order;
};
TAILQ_HEAD(fgd_waiters, fgd_waiter);

struct fgd_inventory {
        struct fgd_manager *manager;
        struct fgd_waiters waiters;
        bool scanned; /* once */
        bool unsure;  /* a helper did not get to its end: what was not seen may still be there */
        /* The helper under way; pid 0: none. */
        unsigned backend;
        pid_t pid;
        int pidfd, output;
        sd_event_source *exited, *readable, *timeout, *timer;
        char *text;
        size_t size;
        char *problem[FGD_PROBLEMS_MAX];
        unsigned problems;
        bool seen[FGD_DEVICES_MAX];
};

__attribute__((format(printf, 2, 3))) void fgd_inventory_complain(struct fgd_inventory *inventory, const char *format, ...);
/* Starts the helper of a row: its pidfd and the reading end of its output. `mode` not NULL: the argument that makes it go on, every `ms`. */
int fgd_probe_spawn(const struct fgd_manager *manager, const struct fgd_backend *backend, const char *mode, unsigned ms, pid_t *ret_pid,
                    int *ret_pidfd, int *ret_output, struct fg_error *err);
/* Takes in what a helper printed. -EPROTO when it did not get to the end. */
int fgd_probe_parse(struct fgd_inventory *inventory, const struct fgd_backend *backend, char *text);
/* A device that was seen: known or new. */
void fgd_inventory_saw(struct fgd_inventory *inventory, const struct fgd_device *device);

#endif
