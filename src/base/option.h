/* SPDX-License-Identifier: Apache-2.0
 * Every option of the daemon and the command line is one row of one table (option.c): it feeds the file, the FASTGPU_*
 * environment, --dump-config and the manual. Later wins: default, file (fastgpu.conf in /etc/fastgpu or the state folder),
 * environment. */
#ifndef FG_BASE_OPTION_H
#define FG_BASE_OPTION_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum fg_option_id {
        FG_OPT_MEMORY_RESERVE,   /* bytes of each device kept out of vGPUs */
        FG_OPT_IDLE_EXIT,        /* s without anything to do after which a daemon started by a command ends */
        FG_OPT_QUANTUM,          /* us of device time granted at once while tenants compete */
        FG_OPT_FREE_AFTER,       /* ms without a second demand after which the gate opens fully */
        FG_OPT_MAX_CONNECTIONS,  /* on the API socket */
        FG_OPT_REQUEST_TIMEOUT,  /* s until a request must be complete */
        FG_OPT_PERSIST_INTERVAL, /* s between writes of usage to the store */
        FG_OPT_RESCAN_INTERVAL,  /* s between looks at the devices; 0: only when asked */
        FG_OPT_LOG_LEVEL,
        FG_OPT_DRIVER_PATH,      /* text: folder of the vendor's libraries */
        FG_OPT_SIM,              /* text: spec of simulated GPUs */
        FG_OPT_WATCHDOG,         /* enum fg_watchdog */
        FG_OPT_WATCHDOG_INTERVAL, /* ms */
        FG_OPT_TELEMETRY_INTERVAL, /* s; 0: never */
        FG_OPT_LISTEN,           /* address for remote callers; empty: none */
        FG_OPT_TLS_CERT,         /* text: path of the certificate (chain) in PEM */
        FG_OPT_TLS_KEY,          /* text: path of its key */
        FG_OPT_MAX_PER_SOURCE,   /* of those to `listen`, from one address */
        FG_OPT_RATE_LIMIT,       /* requests/s of each user; 0: none */
        FG_OPT_AUDIT_KEEP,       /* rows */
        FG_OPT_EVENTS_KEEP,      /* rows */
        FG_OPT_BURST_PRICE,      /* ppm of the price */
        FG_OPT_JOBS_KEEP,        /* jobs that are over */
        FG_OPT_JOB_LOG_MAX,      /* bytes of each job's output */
        FG_OPT_JOB_PIDS_MAX,     /* processes and threads of each job; 0: any number */
        FG_OPT_QUEUE_POLICY,     /* position in fg_queue_policies */
        FG_OPT_SHARE_HALF_LIFE,  /* s */
        FG_OPT_MIN_RUN,          /* s before a job may be made to give way */
        FG_OPT_PREEMPT,          /* 0: off, 1: on */
        FG_OPT_IDLE_LEASE, /* s; 0: none */
        FG_OPT_HISTORY_SIZE,    /* bytes; 0: no history */
        FG_OPT_HISTORY_MINUTES, /* s that minutes are kept one by one */
        FG_OPT_OTLP_ENDPOINT, /* text: URL of a collector; empty: the environment's, if there is one */
        FG_OPT_METRICS_LIMIT, /* rows of each kind in /metrics */
        FG_OPT_CDI_DIR,    /* text: folder of CDI specs, "" as fits, or "none" */
        FG_OPT_CDI_MAX,    /* devices in the spec */
        FG_OPT_PLACEMENT_POLICY, /* position in FGD_PLACEMENT_POLICIES of the daemon */
        FG_OPT_SLOWDOWN_LIMIT, /* %; 0: none */
        FG_OPT_COUNT
};

enum fg_option_type { FG_OPTION_COUNT, FG_OPTION_SIZE, FG_OPTION_LEVEL, FG_OPTION_CHOICE, FG_OPTION_TEXT, FG_OPTION_ADDRESS,
                      FG_OPTION_PART /* "0.5", in ppm */ };
enum fg_watchdog { FG_WATCHDOG_OFF, FG_WATCHDOG_REPORT, FG_WATCHDOG_KILL }; /* the order of the row's choices */
#define FG_OPTION_TEXT_MAX 256u /* with its NUL */

struct fg_option {
        const char *name;          /* "memory-reserve": file key; FASTGPU_MEMORY_RESERVE in the environment */
        const char *default_value; /* as typed */
        const char *unit;          /* "bytes", "s", "" */
        enum fg_option_type type;
        uint64_t min, max;
        const char *doc;           /* one sentence */
        const char *choices;       /* FG_OPTION_CHOICE: "off|report|kill"; the value is the position */
};

extern const struct fg_option fg_option_table[FG_OPT_COUNT];

struct fg_options {
        uint64_t value[FG_OPT_COUNT];
        char text[FG_OPT_COUNT][FG_OPTION_TEXT_MAX]; /* of FG_OPTION_TEXT and _ADDRESS; their value is 0 */
        const char *source[FG_OPT_COUNT]; /* "default", "file", "environment" */
};

/* `file` may be missing (not an error) or NULL. A bad value names file, line or variable, what was found and what is allowed. */
int fg_options_load(struct fg_options *ret, const char *file, struct fg_error *err);
/* One line of a config file, for the fuzzer too: blank and # lines are fine. */
int fg_options_parse_line(struct fg_options *options, const char *line, struct fg_error *err);
void fg_options_dump(const struct fg_options *options, FILE *out);

#endif
