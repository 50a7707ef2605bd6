/* SPDX-License-Identifier: Apache-2.0
 * Sets by name, and what of each device is promised. In memory only: whoever changes the store calls these afterwards. */
#ifndef FGD_REGISTRY_H
#define FGD_REGISTRY_H

#include "base/error.h"
#include "daemon/model.h"

struct fgd_manager;

struct fgd_set *fgd_registry_find(const struct fgd_manager *manager, const struct fgd_project *project, const char *name);
/* An empty set, not yet in the registry; NULL: out of memory. */
struct fgd_set *fgd_set_new(const char *name, uint32_t count);
void fgd_set_free(struct fgd_set *set);

/* Makes room for it, so that fgd_registry_add() cannot fail after the store has the set. */
int fgd_registry_reserve(struct fgd_manager *manager, struct fgd_set *set);
void fgd_registry_add(struct fgd_manager *manager, struct fgd_set *set);
void fgd_registry_remove(struct fgd_manager *manager, struct fgd_set *set);

/* `payer`: NULL or its project: nobody else. `workload` "": none. -ENOMEM. */
int fgd_registry_bill(struct fgd_set *set, struct fgd_project *payer, const char *workload);

/* Accounts of the devices. A paused set's share is nobody's. */
uint32_t fgd_vgpu_share(const struct fgd_vgpu *vgpu);
/* Gives the share of a set back to its devices and quotas, or takes it again: whoever calls knows that it is there. */
void fgd_registry_pause(struct fgd_manager *manager, struct fgd_set *set, bool is_paused);
void fgd_vgpu_promise(struct fgd_vgpu *vgpu);
void fgd_vgpu_withdraw(struct fgd_vgpu *vgpu);
uint64_t fgd_device_reserved(const struct fgd_manager *manager, const struct fgd_device *device);
uint64_t fgd_device_memory_free(const struct fgd_manager *manager, const struct fgd_device *device);
uint32_t fgd_device_share_free(const struct fgd_device *device);
/* Every vGPU again, oldest first: those that are nonsense or no longer fit their device are quarantined. */
void fgd_registry_audit(struct fgd_manager *manager);
/* Takes in what the store holds; fgd_registry_audit() is to follow. */
int fgd_registry_load(struct fgd_manager *manager, struct fg_error *err);

#endif
