/* SPDX-License-Identifier: Apache-2.0
 * The boxes that an earlier daemon left. */
#ifndef FGD_BOX_ADOPT_H
#define FGD_BOX_ADOPT_H

#include "daemon/model.h"

struct fgd_box_rest;
struct fgd_manager;

/* Publishes the newest at once. The others get their sockets while the daemon is at work already: ten thousand take longer than anybody
 * waits for an answer. NULL: there are none, or none that could be looked for. */
struct fgd_box_rest *fgd_box_adopt_left(struct fgd_manager *manager);
/* Now, and not by and by. */
void fgd_box_adopt_all(struct fgd_box_rest *rest);
void fgd_box_rest_free(struct fgd_box_rest *rest);

/* --- of box.c --- */

bool fgd_box_is_told(const struct fgd_manager *manager, const struct fgd_set *set);
int fgd_box_publish(struct fgd_manager *manager, struct fgd_set *set, int64_t index);
void fgd_box_publish_set(struct fgd_manager *manager, struct fgd_set *set);

#endif
