/* SPDX-License-Identifier: Apache-2.0
 * Shared virtual memory, and Intel's unified one: charged by address. */
#ifndef FGO_SVM_H
#define FGO_SVM_H

#include "shim/opencl/charge.h"
#include "shim/opencl/map.h"

extern struct fgo_map fgo_svm_blocks; /* address -> struct fgo_charge */

/* The block is the charge's from now on. False: out of memory, and nothing is remembered. */
bool fgo_svm_keep(const void *block, struct fgo_charge *charge);
/* The block is about to be freed; to be refunded once it is. */
struct fgo_charge *fgo_svm_take(const void *block);

#endif
