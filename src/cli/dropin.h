/* SPDX-License-Identifier: Apache-2.0
 * The CUDA and NVML drop-ins that a program on a machine with NVIDIA GPUs, real or simulated, is started with. */
#ifndef CLI_DROPIN_H
#define CLI_DROPIN_H

#include "base/error.h"

/* Puts both drop-ins in front of the vendor's libraries: LD_PRELOAD, for programs that were told where to look, and
 * LD_LIBRARY_PATH, for namespaces that preloading does not reach. `sim`: spec of simulated GPUs, "" for real ones. Refuses with
 * -ELIBACC what would be ignored without a word later. */
int cli_dropin_set(const char *sim, struct fg_error *err);

#endif
