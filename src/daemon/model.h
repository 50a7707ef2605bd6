/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's objects: devices, sets of vGPUs, their counters.
 *
 * Equation, per device: memory_promised == sum of the quotas, share_promised == sum of the shares of its vGPUs whose rows
 * make sense. Both stay within what the device has; after it came back smaller nothing is promised until they do again. Owner of everything here: the main thread. */
#ifndef FGD_MODEL_H
#define FGD_MODEL_H

#include "daemon/arbiter.h"
#include "daemon/table.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* <sys/queue.h> of glibc lacks the forms that survive the removal of the element at hand. */
#define FGD_TAILQ_EACH_SAFE(at, head, field, next) \
        for ((at) = TAILQ_FIRST(head); (at) && ((next) = TAILQ_NEXT(at, field), 1); (at) = (next))
#define FGD_LIST_EACH_SAFE(at, head, field, next) \
        for ((at) = LIST_FIRST(head); (at) && ((next) = LIST_NEXT(at, field), 1); (at) = (next))

#define FGD_GPUS_MAX    10000u /* vGPUs one request may make */
#define FGD_DEVICES_MAX 256u
#define FGD_SHARE_WHOLE 1000u /* permille */
#define FGD_MEMORY_MAX  (1ull << 50)
#define FGD_CONTEXT_MAX (4ull << 30) /* no context takes more */

struct fgd_pages;
struct fgd_set;
struct fgd_use;
struct fgd_view;
struct fgd_ending;
struct fgd_project;
struct fgd_run;
struct fgd_user;
struct fgd_meter;
struct fgd_metering;
struct fgd_set_trace;

/* Cumulative counters, in the order of the store's columns. `peak` is a maximum, the others are sums. */
struct fgd_counters {
        uint64_t peak, gpu_ns, granted_ns, launches, waits, wait_ns, refusals, faults;
};
#define FGD_COUNTERS (sizeof(struct fgd_counters) / sizeof(uint64_t))

struct fgd_device {
        uint32_t id;
        char key[FG_KEY_MAX];
        char uuid[37];
        char api[16];
        char type[16]; /* "cpu", "gpu", "accelerator" or "other" */
        char model[128], vendor[128], driver[128];
        uint64_t memory;
        uint32_t compute_units;
        uint32_t facts; /* how often what it says of itself was taken over */
        char mig[16];  /* NVIDIA: "enabled", "disabled", "unsupported" or "slice"; "" elsewhere */
        bool mps;      /* an MPS control daemon runs */
        bool opencl;   /* NVIDIA: its OpenCL driver is there as well; programs of both kinds share the vGPU's account */
        uint64_t context_bytes; /* what a context takes beyond what programs ask for, as learned; 0: not known */
        bool present; /* seen by the last look; false: lost */
        uint64_t memory_promised;
        uint32_t share_promised;
        uint32_t vgpus;
        struct fgd_arbiter *arbiter; /* started with the first program */
        uint32_t native_ppm; /* work done in a vGPU against the bare device, by `fastgpu bench`; 0: not calibrated */
        struct fgd_metering *metering; /* once it is metered */
};

/* Equation: life so far == base + live; live is what the present pages have counted, base what earlier pages had. */
struct fgd_vgpu {
        struct fgd_set *set;
        struct fgd_device *device; /* NULL: the store names a device it does not know (quarantined) */
        struct fgd_pages *pages;   /* NULL while nothing uses the vGPU */
        struct fgd_arbiter_account account;
        int64_t id;                /* row in the store */
        uint64_t memory;
        uint8_t uuid[16];
        uint32_t index;
        uint16_t share; /* permille */
        uint8_t mode, priority;
        bool had_pages;   /* a folder of pages may exist */
        bool damaged_row; /* the store says something that cannot be */
        bool quarantined; /* not runnable: its row is damaged or it does not fit its device */
        struct fgd_counters base, live;
        uint64_t memory_high;    /* bytes: the most in use at once, as seen since the minute began */
        struct fgd_meter *meter; /* made with fgd_metering_reserve() */
};

/* What a name stands for. One allocation; vGPUs never move. */
struct fgd_set {
        int64_t id;
        int64_t created; /* unix time, s */
        char name[64];
        bool ephemeral; /* goes with the last process that uses it */
        bool is_paused; /* suspended, a job's with its job: its share is free for others, its memory is not */
        int64_t active_at; /* ms of CLOCK_BOOTTIME, possibly before 0: last known to have used device time; lease.h */
        int64_t active_wall; /* the same as unix time, s, to tell people when a lease ends */
        uint64_t lease_gpu_ns; /* what it had used then */
        uint32_t changes; /* how often what it was given, or whether it is paused, has changed since it is known */
        bool is_warned, lease_dirty; /* its end was announced; differs from the store */
        int64_t job;    /* whose it is, and of which element; 0: a person's */
        uint32_t element;
        struct fgd_run *run; /* NULL: a person's, or a job's that is not known */
        uint32_t count;
        struct fgd_project *project; /* names are unique within it */
        struct fgd_project *payer;   /* whose its minutes are; NULL: its project's */
        char *workload;              /* "NAMESPACE/POD/CONTAINER" of the cluster that it runs for; NULL: none is known */
        struct fgd_user *owner;      /* NULL: the operator's */
        struct fgd_node by_name;
        TAILQ_ENTRY(fgd_set) order;
        TAILQ_HEAD(, fgd_use) uses; /* runners and attached processes */
        struct fgd_view *views;
        struct fgd_set_trace *trace; /* NULL: nothing is to be remembered for its trace */
        struct fgd_ending *ending; /* being deleted by force */
        struct fgd_vgpu vgpu[];
};
TAILQ_HEAD(fgd_set_list, fgd_set);

static inline struct fgd_project *fgd_set_payer(const struct fgd_set *set)
{
        return set->payer ? set->payer : set->project;
}

static inline void fgd_counters_add(struct fgd_counters *to, const struct fgd_counters *more)
{
        uint64_t *a = (uint64_t *)to;
        const uint64_t *b = (const uint64_t *)more;
        for (unsigned i = 1; i < FGD_COUNTERS; i++)
                if (__builtin_add_overflow(a[i], b[i], &a[i]) || a[i] > INT64_MAX)
                        a[i] = INT64_MAX; /* a tenant can write anything into its page; the store holds 63 bits */
        if (more->peak > to->peak)
                to->peak = more->peak;
}

static inline void fgd_counters_max(struct fgd_counters *to, const struct fgd_counters *seen)
{
        uint64_t *a = (uint64_t *)to;
        const uint64_t *b = (const uint64_t *)seen;
        for (unsigned i = 0; i < FGD_COUNTERS; i++)
                if (b[i] > a[i])
                        a[i] = b[i] > INT64_MAX ? INT64_MAX : b[i];
}

#endif
