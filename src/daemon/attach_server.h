/* SPDX-License-Identifier: Apache-2.0
 *
 * The sockets on which programs attach (src/ledger/attach.h): one listening socket for each view in use. Which socket a
 * process reaches says what it may have; its credentials say who it is. */
#ifndef FGD_ATTACH_SERVER_H
#define FGD_ATTACH_SERVER_H

#include "base/error.h"
#include "daemon/model.h"

#include <sys/types.h>

struct fgd_manager;
struct fgd_link; /* one connection */

int fgd_attach_new(struct fgd_manager *manager, struct fg_error *err);
void fgd_attach_free(struct fgd_manager *manager); /* leaves the socket files for the next daemon */

/* Listens for the view (index -1: all of the set) and writes the socket's path. No effect if it listens already. */
int fgd_attach_listen(struct fgd_manager *manager, struct fgd_set *set, int64_t index, char *ret_path, size_t size,
                      struct fg_error *err);
/* The same in a folder of its own, which is mounted into containers. */
int fgd_attach_listen_box(struct fgd_manager *manager, struct fgd_set *set, int64_t index, struct fgd_view **ret, struct fg_error *err);
void fgd_attach_box_path(const struct fgd_view *view, char *ret, size_t size);
/* The set goes away: its sockets are closed and removed. */
void fgd_attach_remove(struct fgd_manager *manager, struct fgd_set *set);
/* Listens again for the views whose sockets an earlier daemon left; removes those of sets that are gone. */
void fgd_attach_adopt(struct fgd_manager *manager);
/* A use ended: its connection is closed without asking anything. */
void fgd_attach_forget(struct fgd_link *link);

#endif
