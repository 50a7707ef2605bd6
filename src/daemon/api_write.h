/* SPDX-License-Identifier: Apache-2.0
 * The API's objects as JSON. */
#ifndef FGD_API_WRITE_H
#define FGD_API_WRITE_H

#include "daemon/model.h"
#include "daemon/text.h"

struct fgd_manager;

void fgd_write_device(const struct fgd_manager *manager, const struct fgd_device *device, struct fgd_text *text);
/* api_vgpu.c */
void fgd_write_vgpu(struct fgd_vgpu *vgpu, struct fgd_text *text);
const char *fgd_vgpu_state(const struct fgd_vgpu *vgpu);
/* `note` may be empty. The beginning ends where the vGPUs come; "]}" closes it. */
void fgd_write_set_begin(const struct fgd_set *set, const char *note, struct fgd_text *text);
void fgd_write_set(struct fgd_set *set, const char *note, struct fgd_text *text);

#endif
