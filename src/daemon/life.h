/* SPDX-License-Identifier: Apache-2.0
 * The daemon's own life: the only one in its folder, ended by a signal, by having nothing to do, or with its folder. */
#ifndef FGD_LIFE_H
#define FGD_LIFE_H

#include "base/error.h"

#include <stdbool.h>

struct fg_paths;
struct fgd_manager;

/* Makes the folders and takes run/daemon.lock for as long as the process lives. -EBUSY: another daemon has it. */
int fgd_life_prepare(const struct fg_paths *paths, struct fg_error *err);
/* Descriptors for everybody; quiet on broken pipes; small malloc. */
void fgd_life_limits(void);
/* The store's commits wait in a thread of their own from here on. Where the disk does not take one, the daemon begins anew in the same process:
 * as after a kill, but whoever knocks meanwhile waits, and from then on (`is_careful`) each commit waits by itself. */
int fgd_life_follow_store(struct fgd_manager *manager, bool is_careful, struct fg_error *err);
/* Signals, idle exit, the folder's end, damaged pages. */
int fgd_life_watch(struct fgd_manager *manager, struct fg_error *err);

#endif
