/* SPDX-License-Identifier: Apache-2.0
 * Between spec.c (sections, inline form), spec_keys.c (the table of keys) and spec_models.c (GPUs known by name). */
#ifndef FGSIM_SPEC_INTERNAL_H
#define FGSIM_SPEC_INTERNAL_H

#include "sim/spec.h"

#include <stdbool.h>

/* A section being read. Which keys were set is a bit per row of its table. */
struct fgsim_section {
        enum {
                FGSIM_SECTION_NONE, FGSIM_SECTION_SIM, FGSIM_SECTION_GPU, FGSIM_SECTION_KERNEL, FGSIM_SECTION_FAULT
        } type;
        unsigned line;
        uint64_t set, count;
        bool has_kind;
        struct fgsim_gpu_spec gpu;
        struct fgsim_kernel_spec kernel;
        struct fgsim_fault_spec fault;
        uint32_t driver;
        char driver_text[32];
};

/* Sets `key` of the section to `value`. The error has neither file nor line. */
int fgsim_spec_set(struct fgsim_section *section, const char *key, const char *value, struct fg_error *err);
bool fgsim_spec_is_set(const struct fgsim_section *section, const char *key);

/* Fills what the section did not set: from the known model, else from a plain GPU (whose memory must be given). */
int fgsim_spec_complete(struct fgsim_section *section, struct fg_error *err);

/* "H100" or the full name -> its row, NULL; the list of short names for messages. */
const struct fgsim_gpu_spec *fgsim_model_find(const char *name);
extern const struct fgsim_gpu_spec fgsim_model_plain;
extern const char fgsim_model_names[];

/* "200us", "2ms", "1.5s", "300ns", "0" -> nanoseconds, at most an hour. */
int fgsim_time_parse(const char *text, uint64_t *ret_ns, struct fg_error *err);

#endif
