/* SPDX-License-Identifier: Apache-2.0
 *
 * The pages of a vGPU in use: files in run/vgpu/UUID/, mapped read-write here, handed to tenants with less. The files stay
 * while the vGPU exists, so that a restarted daemon finds what its programs have been doing. */
#ifndef FGD_PAGES_H
#define FGD_PAGES_H

#include "base/error.h"
#include "daemon/model.h"

#include <sys/types.h>

struct fgd_manager;
struct fgd_arbiter_client;

struct fgd_pages {
        struct fgd_vgpu *vgpu;
        struct fg_limits_page *limits;
        struct fg_usage_page *usage;
        /* What a tenant gets: descriptors of their own, so that nothing it does to one reaches the daemon's. */
        int limits_fd, usage_fd, poke_fd;
        int poke; /* the daemon's end of the FIFO */
        dev_t dev; /* of the usage file */
        ino_t inode;
        uint32_t damaged;    /* (a) the tenant cut the usage file */
        bool damage_handled;
        uint32_t holders;    /* uses */
        uint64_t seen_launches, seen_at; /* for "active" */
        struct fgd_counters saved;       /* what of vgpu->live is in the store */
        struct fgd_arbiter_client *client;
        TAILQ_ENTRY(fgd_pages) order;
};
TAILQ_HEAD(fgd_pages_list, fgd_pages);

/* Maps the vGPU's pages, making or adopting them, and hands them to the device's arbiter. No effect if they are mapped. */
int fgd_pages_load(struct fgd_manager *manager, struct fgd_vgpu *vgpu, struct fg_error *err);
/* Takes them from the arbiter and unmaps them, with the counters settled in vgpu->live. The files stay, unless damaged. */
void fgd_pages_unload(struct fgd_manager *manager, struct fgd_vgpu *vgpu);
/* Removes the files of a vGPU that is gone. */
void fgd_pages_delete(struct fgd_manager *manager, const uint8_t uuid[16]);
/* Renames run/vgpu/UUID to UUID.corrupt-… */
void fgd_pages_put_aside(struct fgd_manager *manager, const uint8_t uuid[16], const char *why);

/* Brings live up to date from the mapped pages, with device time as the arbiter last saw it. Returns the bytes in use. */
uint64_t fgd_pages_look(struct fgd_pages *pages);
/* The same, and the arbiter looks first. */
void fgd_pages_settle(struct fgd_pages *pages);
/* Writes share, mode and priority of the vGPU into the limits page and tells the arbiter. */
void fgd_pages_apply(struct fgd_pages *pages);
void fgd_pages_close(struct fgd_pages *pages, bool closed);
/* Launches wait until it is released. */
void fgd_pages_hold(struct fgd_pages *pages, bool held);

char *fgd_uuid_format(const uint8_t uuid[16], char ret[37]);

/* pages_files.c: the files alone. */
struct fgd_pages_files {
        int limits, usage, poke;            /* the daemon's */
        int tenant_limits, tenant_usage, tenant_poke;
};
int fgd_pages_files_make(const char *folder, const struct fgd_vgpu *vgpu, const uint8_t boot_id[16], struct fg_error *err);
int fgd_pages_files_open(const char *folder, struct fgd_pages_files *ret, struct fg_error *err);
void fgd_pages_files_close(struct fgd_pages_files *files);
int fgd_folder_remove(const char *path); /* one level of plain files */

#endif
