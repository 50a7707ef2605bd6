/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-otlp: otlp.c (time and the network), otlp_queue.c (what waits). */
#ifndef FGD_OTLP_H
#define FGD_OTLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FGD_OTLP_SPANS  4096u       /* that wait, at most, */
#define FGD_OTLP_BYTES  (4u << 20)  /* with so many bytes together */
#define FGD_OTLP_BATCH  256u        /* in one request */

struct fgd_otlp_queue {
        char *span[FGD_OTLP_SPANS]; /* from `first`, around the end */
        uint32_t first, count;
        size_t bytes;
        uint64_t dropped;
        char line[4096]; /* what came of the next one so far */
        size_t size;
        bool is_skipped; /* the line is too long */
};

/* Bytes of the pipe: a span ends with its line. What there is no room for is dropped and counted. */
void fgd_otlp_take(struct fgd_otlp_queue *queue, const char *data, size_t size);
/* The request of the oldest spans; *ret_count: how many. NULL: nothing waits, or out of memory. */
char *fgd_otlp_body(const struct fgd_otlp_queue *queue, uint32_t *ret_count);
void fgd_otlp_drop(struct fgd_otlp_queue *queue, uint32_t count); /* the oldest */

#endif
