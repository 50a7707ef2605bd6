/* SPDX-License-Identifier: Apache-2.0
 *
 * Boxes: views that containers can be given. Each is a folder with a socket in it, which is mounted into the container. Those that
 * engines are told of (docs/design/containers.md) are in one CDI spec, written anew with every change before the request is answered. */
#ifndef FGD_BOX_H
#define FGD_BOX_H

#include "base/error.h"
#include "daemon/model.h"
#include "daemon/problem.h"

#include <jansson.h>
#include <stdbool.h>

struct fgd_boxes;
struct fgd_manager;
struct fgd_view;

int fgd_box_new(struct fgd_manager *manager, struct fg_error *err);
/* The daemon ends: engines are told nothing any more. The sockets' folders stay, as containers may have them. */
void fgd_box_free(struct fgd_manager *manager);
/* Takes over the folders of an earlier daemon, and publishes what there is. */
void fgd_box_adopt(struct fgd_manager *manager);
/* The devices are known, or others than before: what containers need of the driver is looked for again. */
void fgd_box_devices_changed(struct fgd_manager *manager);

/* A set was made: engines are told, if they are told at all. */
void fgd_box_created(struct fgd_manager *manager, struct fgd_set *set);
/* It goes away, in front of fgd_attach_remove(). */
void fgd_box_removing(struct fgd_manager *manager, struct fgd_set *set);
/* A container is to have it: its box exists and is the newest of those published. ret_edits: what the container gets. */
int fgd_box_open(struct fgd_manager *manager, struct fgd_set *set, int64_t index, struct fgd_view **ret, json_t **ret_edits,
                 struct fgd_problem *problem);
/* The device's name to engines; NULL: they are not told, or cannot be. */
const char *fgd_box_device(const struct fgd_view *view, char *buf, size_t size);
/* Somebody may come to a box at any time. */
bool fgd_box_any(const struct fgd_manager *manager);

#endif
