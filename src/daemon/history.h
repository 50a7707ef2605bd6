/* SPDX-License-Identifier: Apache-2.0
 *
 * History: of each device, project and vGPU what was used, minute by minute for some days and hour by hour for a year, in
 * history.db of the state folder. docs/design/history.md. It is for looking at: money is in the records (moneylog.h), and
 * nothing that happens to this file stops the daemon or a bill. Belongs to the main thread.
 *
 * Fed by the metering, a settled window at a time. */
#ifndef FGD_HISTORY_H
#define FGD_HISTORY_H

#include "base/error.h"
#include "daemon/history_block.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fg_meter_line;
struct fg_meter_window;
struct fgd_device;
struct fgd_history;
struct fgd_manager;
struct fgd_meter;
struct fgd_meter_device;
struct fgd_perf_sum;
struct fgd_vgpu;

#define FGD_HISTORY_KEEP_S (366 * 86400) /* hours are kept */

enum fgd_history_kind { FGD_HISTORY_DEVICE, FGD_HISTORY_PROJECT, FGD_HISTORY_VGPU }; /* as in the file */

/* Opens the file, or puts a damaged one aside; what goes wrong is a note. Nothing happens with the option history-size 0. */
int fgd_history_start(struct fgd_manager *manager, struct fg_error *err);
void fgd_history_free(struct fgd_manager *manager); /* writes what is open */
/* "": it is kept; else why not. */
const char *fgd_history_trouble(const struct fgd_manager *manager);

/* --- from the metering --- */

/* What only a living vGPU can tell of its minute. */
struct fgd_history_look {
        uint64_t memory, quota, wait_ns, refusals;
        uint32_t share;
        int64_t created; /* unix s */
};
/* Of the minute so far, or until it was deleted. */
struct fgd_history_look fgd_history_look(const struct fgd_vgpu *vgpu);

/* One line of the window that began at `start` (unix s). */
void fgd_history_line(struct fgd_meter_device *device, struct fgd_meter *meter, const struct fg_meter_line *line,
                      const struct fgd_perf_sum *sum, int64_t start);
/* Its lines are told. */
void fgd_history_window(struct fgd_meter_device *device, const struct fg_meter_window *window, const struct fgd_perf_sum *sum, int64_t start);
/* The windows of all devices are. */
void fgd_history_turn(struct fgd_manager *manager, int64_t start);
/* Writes what is due. After each minute. */
void fgd_history_save(struct fgd_manager *manager);

/* --- for who asks --- */

struct fgd_history_range {
        int64_t from, until, step; /* unix s; whole steps */
};

struct fgd_history_point {
        struct fgd_history_row row;
        bool is_known;
};

struct fgd_history_answer {
        struct fgd_history_point *point; /* (until - from) / step of them; the caller's */
        char currency[8];                /* of the newest; "": none */
        int64_t cost_from;               /* before that it was another: the cost means nothing */
};

/* Who a subject is, from the file or from memory. */
struct fgd_history_who {
        char key[64], name[80], project[64], user[64], device[40];
        int64_t id, first, last; /* unix s */
};

/* -ENOENT: nothing is known of it. */
int fgd_history_who(struct fgd_manager *manager, enum fgd_history_kind kind, const char *key, struct fgd_history_who *ret, struct fg_error *err);
/* Fills ret->point, which comes zeroed. Nothing known is no error. */
int fgd_history_get(struct fgd_manager *manager, enum fgd_history_kind kind, const char *key, const struct fgd_history_range *range,
                    struct fgd_history_answer *ret, struct fg_error *err);
/* vGPUs of a project (NULL: of all) with an id above `after` that existed in the range, in the order of their ids; `each` ends
 * it with anything but 0. */
int fgd_history_vgpus(struct fgd_manager *manager, const char *project, const struct fgd_history_range *range, int64_t after,
                      int (*each)(void *user, const struct fgd_history_who *who), void *user, struct fg_error *err);
/* unix s: minutes before that are only known by the hour. */
int64_t fgd_history_minutes_from(struct fgd_manager *manager);

#endif
