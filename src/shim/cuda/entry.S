/* SPDX-License-Identifier: Apache-2.0
 * What libcuda.so.1 exports. */
#include "abi/cuda_names.h"
#include "shim/common/entry.h"

FGX_ENTRIES(FG_CUDA_NAMES)
FGX_DLSYM(0x63, 0x75) /* "cu" */
