/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared pages: the binary interface between fastgpud and the libraries that run inside tenants.
 *
 * Every vGPU that has ever been attached to owns two files in the daemon's run folder:
 *
 *   limits   written by the daemon alone; tenants hold it open and mapped read-only
 *   usage    written by the processes of that one vGPU; the daemon reads it with suspicion
 *
 * Both live as long as the vGPU, so that a restarted daemon finds them again. No usage page is shared by two
 * vGPUs. All times are CLOCK_MONOTONIC nanoseconds, all sizes bytes. Fields marked (a) are accessed with the
 * atomics of src/base/atomic.h only. A reader must check magic, version and size before anything else.
 */
#ifndef FASTGPU_PAGE_H
#define FASTGPU_PAGE_H

#include <stdint.h>

#define FG_LIMITS_MAGIC 0x4c504746u /* "FGPL" */
#define FG_USAGE_MAGIC  0x55504746u /* "FGPU" */
#define FG_PAGE_VERSION 3u

#define FG_SLOTS       256u /* processes that can use one vGPU at the same time */
#define FG_LANES       4u   /* memory operations one process can have under way at the same time */
#define FG_LANE_REAPER 0xffffu
#define FG_NAME_MAX    80u  /* "my-vgpu/0", with its NUL */
#define FG_KEY_MAX     128u /* a physical device's key, with its NUL: "opencl/<platform name>/<index>" */

enum fg_mode { FG_MODE_SHARE = 0, FG_MODE_CAP = 1 };
enum fg_priority { FG_PRIORITY_LOW = 0, FG_PRIORITY_NORMAL = 1, FG_PRIORITY_HIGH = 2 };

/* The low two bits of fg_limits_page.grant; the rest is the grant's epoch. */
enum fg_grant { FG_GRANT_DENIED = 0, FG_GRANT_TIMED = 1, FG_GRANT_FREE = 2 };
#define FG_GRANT_MASK 3u
/* `until` of a timed grant that stands: it does not end by itself, but who launches with nothing in flight pokes. */
#define FG_UNTIL_STANDS UINT64_MAX

/* Who holds a slot, in the daemon's words. The pair pid + start time names a process for the whole boot. */
struct fg_slot_owner {
        uint32_t pid;        /* (a) in the daemon's PID namespace; 0: the slot is vacant */
        uint32_t generation; /* (a) bumped each time the slot changes hands */
        uint64_t start_time; /* (a) field 22 of /proc/PID/stat, clock ticks since boot */
        uint64_t busy_seen;  /* (a) of the slot's `busy`, what the daemon has taken into account */
        uint64_t driver_used; /* (a) device memory of this process on this device by the driver's own word, bytes */
        uint64_t driver_seen; /* (a) when that was read; 0: never */
};

/* Limits page. Owner of every field: the daemon. */
struct fg_limits_page {
        uint32_t magic, version;
        uint32_t size;               /* sizeof(struct fg_limits_page) */
        uint32_t index;              /* I in NAME/I */
        uint8_t boot_id[16];         /* a page from an earlier boot is void */
        uint8_t uuid[16];            /* the vGPU's own */
        char name[FG_NAME_MAX];
        char device_key[FG_KEY_MAX]; /* the physical device below */

        _Alignas(64) uint64_t quota; /* (a) bytes */
        uint32_t share_permille;     /* (a) 1..1000 of the device's time; weight in share mode, ceiling in cap mode */
        uint32_t mode;               /* (a) enum fg_mode */
        uint32_t priority;           /* (a) enum fg_priority */
        uint32_t closed;             /* (a) 1: the vGPU is being taken away; every reserve and launch is refused */
        uint64_t context_bytes;      /* (a) what a new context is expected to take beyond what the program asks for; 0: unknown */

        /* The compute gate; see src/governor/gate.h. */
        _Alignas(64) uint32_t grant; /* (a) futex word: epoch << 2 | enum fg_grant */
        uint32_t held;               /* (a) 1: suspended: launches wait, with or without an arbiter, until it is 0 */
        uint64_t until;              /* (a) end of the timed grant */
        uint64_t window;             /* (a) predicted device time that may be in flight at once, ns */
        uint64_t beat;               /* (a) the arbiter was alive at this time; refreshed every 50 ms while it has work */
        uint64_t frame, offset, length; /* (a) fallback without an arbiter: in each frame, run from offset for length */

        /* Accounts as the daemon settled them. Cumulative over the vGPU's life on this boot. */
        _Alignas(64) uint64_t charged; /* (a) device time charged, ns */
        uint64_t granted;              /* (a) wall time during which the device was granted, ns */

        _Alignas(64) struct fg_slot_owner owner[FG_SLOTS];
};

/* One memory operation's lane: what makes a reservation exact although its process may die at any instruction.
 *
 * Equation: a lane's contribution to `used` is held[done & 1] while done == seq; while seq == done + 1 it is
 * held[seq & 1] if the operation's compare-and-swap took place, else held[done & 1]. It took place if and only if the
 * counter's tag names this lane and seq, or applied == seq: whoever overwrites a foreign tag first records it in that
 * lane's `applied`. Written by the thread that holds the lane, except `applied` (any process of the vGPU) and, for a
 * dead process, by the daemon. */
struct fg_lane {
        uint64_t seq;     /* (a) operation announced */
        uint64_t done;    /* (a) operation finished */
        uint64_t applied; /* (a) last operation known to be in the counter, recorded by the next writer */
        uint64_t held[2]; /* (a) bytes, by parity of the operation's number; may wrap below zero in one lane */
        uint64_t pad[3];
};

/* One process. `owner` in the limits page says whose it is; nothing in here identifies anybody. */
struct fg_slot {
        struct fg_lane lane[FG_LANES];
        /* Compute: demand and what it got. busy, launches, waits, wait_time and refusals are cumulative, never reset, also
         * not when the slot changes hands. */
        _Alignas(64) uint32_t waiting; /* (a) threads that want the device and may not launch yet */
        uint32_t inflight;             /* (a) tracked launches not yet complete */
        uint32_t active;               /* (a) 1: untracked work (free grant) is believed to be on the device */
        uint32_t looks;                /* (a) bumped each time a waiting thread looks at the grant: it is not stopped */
        uint64_t idle_since;           /* (a) when inflight last became 0 */
        uint64_t estimate;             /* (a) mean device time of a launch, ns; 0: unknown */
        _Alignas(64) uint64_t busy;    /* (a) device time measured, ns */
        uint64_t launches;             /* (a) */
        uint64_t waits;                /* (a) launches that had to wait for a grant */
        uint64_t wait_time;            /* (a) ns */
        uint64_t refusals;             /* (a) allocations refused for the quota */
        uint64_t faults;               /* (a) internal failures survived by calling the original */
        uint64_t gap;                  /* (a) time from nothing in flight to the next launch: a fading maximum, ns */
        uint64_t expected_end;         /* (a) when the work of a free grant should be done */
};

/* The counter. One 16-byte compare-and-swap changes both words.
 *
 * Equation: used == sum over all lanes of all slots of their contribution; used <= quota at every instant. */
struct fg_counter {
        _Alignas(16) uint64_t used; /* (a) bytes */
        uint64_t tag;               /* (a) lane id (slot * FG_LANES + lane) << 48 | low 48 bits of that lane's seq */
};

/* Usage page. Owner: the vGPU's own processes; `reaper` the daemon's. */
struct fg_usage_page {
        uint32_t magic, version;
        uint32_t size;  /* sizeof(struct fg_usage_page) */
        uint32_t slots; /* FG_SLOTS */
        _Alignas(64) struct fg_counter counter;
        uint64_t peak;  /* (a) highest `used` ever seen */
        /* The daemon's own lane and what it is doing: a reaper that dies is completed by the next one. */
        _Alignas(64) struct {
                uint64_t seq, done, applied; /* (a) */
                uint64_t slot;               /* (a) the slot being reaped */
                uint64_t amount;             /* (a) bytes being given back */
        } reaper;
        _Alignas(64) struct fg_slot slot[FG_SLOTS];
};

_Static_assert(sizeof(struct fg_slot_owner) == 40, "slot owner layout");
_Static_assert(sizeof(struct fg_lane) == 64, "lane layout");
_Static_assert(sizeof(struct fg_slot) == FG_LANES * 64 + 128, "slot layout");
_Static_assert(sizeof(struct fg_counter) == 16, "counter layout");
_Static_assert(_Alignof(struct fg_limits_page) == 64 && _Alignof(struct fg_usage_page) == 64, "page alignment");

#endif
