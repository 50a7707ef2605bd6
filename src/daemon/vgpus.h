/* SPDX-License-Identifier: Apache-2.0
 * What a person can do with vGPUs. Each is done wholly or not at all, and durable when it returns 0; otherwise `problem`
 * says why not. */
#ifndef FGD_VGPUS_H
#define FGD_VGPUS_H

#include "daemon/model.h"
#include "daemon/problem.h"
#include "sched/placement.h"

#include <systemd/sd-event.h>

struct fgd_manager;
struct fgd_process;
struct fgd_audit;

struct fgd_create {
        char name[64];              /* empty: one is made up */
        uint32_t gpus;
        struct fg_sched_want *want; /* gpus of them */
        enum fg_mode mode;
        enum fg_priority priority;
        struct fgd_device *device; /* NULL: any */
        bool ephemeral;
        struct fgd_project *project;
        struct fgd_user *owner; /* NULL: the operator's */
        struct fgd_run *run;    /* of a job, which comes to be active with it; NULL: a person's */
        const uint32_t *at;     /* the vGPUs' devices, one for each; NULL: wherever there is room */
};
int fgd_vgpus_create(struct fgd_manager *manager, const struct fgd_create *create, struct fgd_set **ret, struct fgd_problem *problem);

/* What is left out (has_… false) stays. */
struct fgd_resize {
        struct fgd_set *set;
        uint32_t first, count;
        bool has_memory, has_share, has_mode, has_priority;
        const struct fg_sched_want *want; /* count of them */
        enum fg_mode mode;
        enum fg_priority priority;
};
int fgd_vgpus_resize(struct fgd_manager *manager, const struct fgd_resize *resize, struct fgd_problem *problem);

/* A deletion by force that waits for the programs to end. `done` is called once, with NULL when the set is gone. */
typedef void (*fgd_ended_t)(void *user, const struct fgd_problem *problem);
struct fgd_ending {
        struct fgd_manager *manager;
        struct fgd_set *set;
        fgd_ended_t done;
        void *user;
        bool killed;
        struct fgd_audit *audit; /* of the request; NULL: nobody asked */
        sd_event_source *timer;
};
int fgd_vgpus_delete(struct fgd_manager *manager, struct fgd_set *set, struct fgd_problem *problem);
/* 0: gone at once; 1: `done` follows. */
int fgd_vgpus_delete_force(struct fgd_manager *manager, struct fgd_set *set, fgd_ended_t done, void *user,
                           struct fgd_problem *problem);
/* The last use of a set that is being deleted ended. */
void fgd_vgpus_ended(struct fgd_manager *manager, struct fgd_set *set);
/* The daemon ends first: the set stays, its programs too if they still live. */
void fgd_vgpus_abandon(struct fgd_set *set);
/* The last use of an ephemeral set ended. */
void fgd_vgpus_expire(struct fgd_manager *manager, struct fgd_set *set);

/* No effect when it is so already. Resuming needs the share again: FGD_NO_CAPACITY, FGD_QUOTA. `why`: for people, "" when one asked. */
int fgd_vgpus_suspend(struct fgd_manager *manager, struct fgd_set *set, bool is_suspended, const char *why, struct fgd_problem *problem);
/* Nobody asked: `actor` ("lease", "budget") did, says the audit. Of a job's set, the job is. */
void fgd_vgpus_suspend_for(struct fgd_manager *manager, struct fgd_set *set, const char *actor, const char *why);
/* Whose the minutes of a set are, from the open one on, and what it runs for in a cluster ("": nothing that is known). */
int fgd_vgpus_bill(struct fgd_manager *manager, struct fgd_set *set, struct fgd_project *payer, const char *workload, struct fgd_problem *problem);
/* set->is_paused has changed, for whatever reason: the gates follow. Programs wait at them; their memory stays. */
void fgd_vgpus_on_state(struct fgd_manager *manager, struct fgd_set *set);

/* Why no program may start in the view now; 0: it may. */
int fgd_vgpus_refuse_state(const struct fgd_set *set, int64_t index, struct fgd_problem *problem);
/* The process is about to run a program in the view; ret_path: where it attaches. */
int fgd_vgpus_open(struct fgd_manager *manager, struct fgd_set *set, int64_t index, struct fgd_process *process, char *ret_path,
                   size_t size, struct fgd_problem *problem);

#endif
