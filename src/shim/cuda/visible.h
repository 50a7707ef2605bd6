/* SPDX-License-Identifier: Apache-2.0
 * Which vGPUs the program wants to see, from its CUDA_VISIBLE_DEVICES. */
#ifndef FGC_VISIBLE_H
#define FGC_VISIBLE_H

#include "ledger/attach.h"

#include <stdint.h>

#define FGC_VISIBLE_ENV "CUDA_VISIBLE_DEVICES"

/* The rules of the driver's own variable, on vGPUs: positions, or UUIDs "GPU-…" as far as they are unambiguous, in the order
 * in which they are to appear; the list ends before the first entry that is wrong; one that comes twice empties it.
 * `text` NULL: all. Writes at most `count` positions to `ret` and returns how many. */
unsigned fgc_visible_parse(const char *text, unsigned count, const uint8_t (*uuid)[16], unsigned *ret);

/* After fgc_visible_begin(): positions in the session, in the program's order. */
unsigned fgc_visible_count(void);
unsigned fgc_visible_at(unsigned position);

/* "GPU-xxxxxxxx-xxxx-…" of 16 bytes; `prefix` is "GPU-" or "MIG-". */
#define FGC_UUID_TEXT 48
void fgc_uuid_text(const char *prefix, const uint8_t uuid[16], char ret[FGC_UUID_TEXT]);

#endif
