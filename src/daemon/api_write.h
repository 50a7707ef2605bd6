/* SPDX-License-Identifier: Apache-2.0
 * The API's objects as JSON. */
#ifndef FGD_API_WRITE_H
#define FGD_API_WRITE_H

#include "daemon/model.h"
#include "daemon/text.h"

struct fgd_manager;

void fgd_write_device(const struct fgd_manager *manager, const struct fgd_device *device, struct fgd_text *text);
const char *fgd_vgpu_state(const struct fgd_vgpu *vgpu);
/* api_vgpu.c */
void fgd_write_vgpu(struct fgd_vgpu *vgpu, struct fgd_text *text);
/* `note` may be empty. */
void fgd_write_set(struct fgd_set *set, const char *note, struct fgd_text *text);

#endif
