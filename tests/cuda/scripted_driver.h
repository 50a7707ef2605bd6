/* SPDX-License-Identifier: Apache-2.0
 * What tests ask a scripted driver besides CUDA; found by dlsym on a handle of its file. */
#ifndef SCRIPTED_DRIVER_H
#define SCRIPTED_DRIVER_H

#define SCRIPTED_UUID "GPU-5c5c5c5c-5c5c-5c5c-5c5c-5c5c5c5c5c5c"

/* The driver function that ran last, and how often cuInit did. */
typedef const char *scripted_last_fn(void);
typedef int scripted_inits_fn(void);

#endif
