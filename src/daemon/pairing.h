/* SPDX-License-Identifier: Apache-2.0
 * Who slows whom on a device (sched/pair.h): fed by the settled minutes, asked where somebody is to go, kept in the state folder. What a
 * program is like goes by its project and the stem of its name: of vGPUs whose names were made up nothing is known. */
#ifndef FGD_PAIRING_H
#define FGD_PAIRING_H

#include "base/error.h"
#include "daemon/model.h"
#include "sched/pair.h"

struct fgd_manager;
struct fgd_job;

#define FGD_PAIRING_TEXT 160u

int fgd_pairing_new(struct fgd_manager *manager, struct fg_error *err);
void fgd_pairing_free(struct fgd_manager *manager);
/* To its file, if there is anything new and it is time, or `now`. */
void fgd_pairing_save(struct fgd_manager *manager, bool now);

uint64_t fgd_pairing_class(const struct fgd_project *project, const char *name); /* 0: not known */
uint64_t fgd_pairing_class_of(const struct fgd_set *set);

/* A minute of a device is over. */
void fgd_pairing_window(struct fgd_manager *manager, const struct fg_pair_work *work, size_t count, uint64_t wall_us);

/* Where one of that class would be slowed, or slow others, beyond the option slowdown-limit, and by how much anywhere (permille; 0: not, or
 * not known). Without the option nowhere. */
void fgd_pairing_crowded(const struct fgd_manager *manager, uint64_t class, bool ret[FGD_DEVICES_MAX], uint32_t ret_loss[FGD_DEVICES_MAX]);
/* "next to 2 others on device 0: predicted 1.50 times its time alone, measured in 12 minutes"; "": nothing is known. */
void fgd_pairing_explain(const struct fgd_manager *manager, const struct fgd_set *set, char ret[FGD_PAIRING_TEXT]);

#endif
