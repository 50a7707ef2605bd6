/* SPDX-License-Identifier: Apache-2.0
 * What `top` shows: two answers of the daemon and what happened between them. */
#ifndef CLI_TOP_VIEW_H
#define CLI_TOP_VIEW_H

#include <jansson.h>
#include <stdio.h>

/* One object for each interval; it is also what --json prints (fastgpu-top(1)). `before` may be NULL: nothing is known
 * of the time that passed, and "got", "busy" and "waits_per_s" are null. NULL: out of memory. */
json_t *cli_top_view(const json_t *devices, const json_t *before, const json_t *now);
/* "device 0: …", one line. */
void cli_top_head(const json_t *device, char *ret, size_t len);
/* Draws a view as tables, `width` letters wide (0: as wide as it takes). */
void cli_top_draw(const json_t *view, FILE *out, size_t width);

#endif
