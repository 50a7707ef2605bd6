/* SPDX-License-Identifier: Apache-2.0
 * Starting a daemon of one's own, and waiting until it is ready. */
#ifndef FG_CLIENT_START_H
#define FG_CLIENT_START_H

#include "base/paths.h"

#include <stdint.h>

/* Starts `fastgpud` for `paths` and connects to it. When several commands start one at the same time, one daemon wins
 * and all are connected to it. Returns the connection or -errno by `deadline` (fg_now() time). */
int fg_client_start(const struct fg_paths *paths, uint64_t deadline, struct fg_error *err);

#endif
