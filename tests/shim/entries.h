/* SPDX-License-Identifier: Apache-2.0
 * The entries that make the device work, each as one call that moves BYTES from a source to a target. */
#ifndef ENTRIES_H
#define ENTRIES_H

#include "shim_test.h"

#define WIDTH  256
#define HEIGHT 128
#define BYTES  (WIDTH * HEIGHT * 4) /* twice what passes ungated */
#define FILL   7

/* What the calls use; made by the test. */
extern struct work {
        cl_command_queue queue;
        cl_kernel copy;
        cl_mem from, to, image_from, image_to;
        unsigned char *svm_from, *svm_to; /* NULL: the driver has no shared memory */
        unsigned char host_from[BYTES], host_to[BYTES];
        void *mapped;
        cl_bool blocking;
} work;

extern const size_t zero[3], pixels[3];

enum place { NOWHERE, BUFFER, IMAGE, SVM, HOST };

struct row {
        const char *name;
        cl_int (*call)(cl_event *event);
        enum place place; /* where the result is found */
        bool fills;       /* with FILL, instead of copying */
        bool svm;
        bool passes;                          /* is no work: does not wait at the gate */
        void (*before)(void), (*after)(void); /* what must surround the call */
};

extern const struct row rows[];
extern const size_t rows_count;

#endif
