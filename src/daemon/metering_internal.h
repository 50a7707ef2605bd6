/* SPDX-License-Identifier: Apache-2.0
 * What the metering's files share: metering.c (what happens to vGPUs), metering_clock.c (when), metering_settle.c (what comes
 * of it), metering_kept.c (what could not be put on record), metering_sums.c (the day so far). */
#ifndef FGD_METERING_INTERNAL_H
#define FGD_METERING_INTERNAL_H

#include "daemon/billing_clock.h"
#include "daemon/history.h"
#include "daemon/metering.h"
#include "daemon/model.h"
#include "daemon/perf.h"
#include "daemon/table.h"

#include <sys/queue.h>
#include <systemd/sd-event.h>

struct fgd_text;

/* Quantities of sched/meter.h, added up over windows; us and ppm*us. */
struct fgd_meter_sum {
        fg_int128 busy, reserved, burst, surcharge, credit, rebate;
};

/* Of one project and one user in it, or of whom there was no room for. */
struct fgd_meter_account {
        struct fgd_node node;
        int64_t project_id, user_id, day;
        struct fgd_meter_sum sum;
};

/* Whose a line was, once its vGPU is gone, and what it did last. */
struct fgd_meter_names {
        char project[64], user[64];
        struct fgd_history_look look;
};

/* Of all settled minutes of one vGPU, also of those that earlier daemons put on record. */
struct fgd_meter_total {
        fg_int128 reserved, burst; /* ppm*us */
        int64_t busy_us;
        uint32_t windows;          /* settled since the start; of the last one: */
        int64_t last;              /* unix s, its beginning */
        int64_t busy_last_us, wall_us;
};

/* One vGPU. There are many: what few of them need is allocated when it is needed. */
struct fgd_meter {
        struct fgd_vgpu *vgpu; /* NULL: gone; the line waits for the window's end */
        struct fgd_metering *metering;
        TAILQ_ENTRY(fgd_meter) order; /* of the device; valid while is_on */
        bool is_on;
        enum fg_meter_state state;     /* as its suspender says */
        struct fg_meter_segment last;  /* of the open window */
        struct fg_meter_line *line;    /* its segments, when there is more than `last` */
        int64_t end;                   /* in the open window; of one that is gone */
        int64_t seen_ns;               /* device time of its life, as last read */
        int64_t share_ns, cap_ns;      /* of that, what the open window has */
        uint64_t launches;             /* of its life, when the open window began */
        int64_t day;                   /* of `sum` */
        struct fgd_meter_sum sum;
        struct fgd_meter_total total;
        struct fgd_perf *perf;         /* once it was busy; before that only `idle`, its life sum */
        struct fgd_perf_sum idle;
        bool is_idle_changed;          /* `idle` is not in the store */
        bool is_discarded;             /* what it did, in the open window too, was for nothing */
        int64_t project_id, user_id;
        char *name, *job;              /* "NAME/I"; NULL: none */
        struct fgd_meter_names *names;
        char uuid[37];
};
TAILQ_HEAD(fgd_meter_list, fgd_meter);

struct fgd_meter_device {
        struct fgd_device *device;
        struct fgd_meter_list lines; /* in the order in which they came */
        size_t count;
        bool is_present, was_away; /* now; at some time of the open window */
        int64_t wall;         /* of the open window, while it was there */
        int64_t away, away_until; /* unix s: whole minutes without it that are no gap yet; away_until 0: none */
        int64_t unbilled_us;
        int64_t read_at;      /* when its arbiter was last asked, as clock.boot */
        struct fgd_meter_sum sum; /* of the day */
        fg_int128 day_wall, day_idle;
        int64_t day;
        uint64_t windows; /* of the day */
        struct fgd_perf perf;
        struct fgd_perf_wanted wanted;
};

struct fgd_kept_window;
TAILQ_HEAD(fgd_kept_list, fgd_kept_window);

struct fgd_metering {
        struct fgd_manager *manager;
        bool is_running;
        void (*read)(void *user, struct fgd_clocks *ret); /* the machine's clocks */
        void *read_user;
        struct fgd_billing_clock clock;
        bool told_of_step, save, has_ended;
        sd_event_source *timer;
        uint32_t beta_ppm;
        struct fgd_meter_sink sink;
        struct fgd_meter_device device[FGD_DEVICES_MAX]; /* by id */
        struct fgd_kept_list kept;
        size_t kept_count, kept_bytes;
        bool told_of_kept;
        sd_event_source *pump; /* hands over large windows, piece by piece */
        struct fgd_table accounts;
        struct fgd_meter_account rest; /* those beyond the bound */
};

/* --- metering_clock.c --- */

/* Goes on to now, with all windows settled that ended. Returns the time within the open one, us. */
int64_t fgd_metering_catch_up(struct fgd_metering *metering);
int fgd_metering_watch(struct fgd_metering *metering);
void fgd_metering_read_clocks(void *user, struct fgd_clocks *ret);

/* --- metering.c --- */

struct fgd_meter_device *fgd_meter_device_of(struct fgd_metering *metering, const struct fgd_vgpu *vgpu);
/* Takes the device time used since the last look into the line. */
void fgd_meter_read(struct fgd_meter_device *device, struct fgd_meter *meter);
/* The open window ends, and the next one opens at `at`. */
void fgd_meter_open(struct fgd_meter *meter, int64_t at);
void fgd_meter_free(struct fgd_meter *meter);

/* --- metering_settle.c --- */

/* The window that began at `start` (unix us) is over at `end` (us within it) for all devices. */
void fgd_metering_settle(struct fgd_metering *metering, int64_t start, int64_t end);
/* Puts on record how long devices were away. */
void fgd_metering_tell_away(struct fgd_metering *metering);
/* The open window of a device as if it ended now, for whoever asks. `line` is the caller's to free, in the order of
 * device->lines. -ENOMEM. */
int fgd_metering_peek(struct fgd_metering *metering, struct fgd_meter_device *device, int64_t at, struct fg_meter_window *ret,
                      struct fg_meter_line **ret_line, struct fg_error *err);

/* --- metering_kept.c --- */

/* Hands a window over, or keeps it. */
void fgd_metering_report(struct fgd_metering *metering, const struct fgd_meter_report *report);
void fgd_metering_gap(struct fgd_metering *metering, struct fgd_device *device, int64_t start, int64_t until, const char *reason);
void fgd_metering_kept_free(struct fgd_metering *metering);

/* --- metering_sums.c --- */

/* A settled window of a device that began at `start` (unix s); `line` in the order of device->lines. */
void fgd_meter_count(struct fgd_metering *metering, struct fgd_meter_device *device, const struct fg_meter_window *window,
                     const struct fg_meter_line *line, int64_t start);
/* --- metering_perf.c --- */

/* A window ended at `end` (us within it), and the next begins at `next`. */
void fgd_meter_count_wanted(struct fgd_metering *metering, int64_t start, int64_t end, int64_t next);
void fgd_meter_count_perf(struct fgd_metering *metering, struct fgd_meter_device *device, const struct fg_meter_window *window,
                          const struct fg_meter_line *line, int64_t start, int64_t end);
struct fgd_perf_sum fgd_meter_perf(const struct fgd_meter *meter, int64_t now, enum fgd_perf_window window);

void fgd_metering_sums_free(struct fgd_metering *metering);

#endif
