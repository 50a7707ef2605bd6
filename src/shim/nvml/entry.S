/* SPDX-License-Identifier: Apache-2.0
 * What libnvidia-ml.so.1 exports. */
#include "abi/nvml_names.h"
#include "shim/common/entry.h"

FGX_ENTRIES(FG_NVML_NAMES)
FGX_DLSYM(0x6e, 0x76) /* "nv" */
