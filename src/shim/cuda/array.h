/* SPDX-License-Identifier: Apache-2.0
 * How much memory an array takes: a pure function. */
#ifndef FGC_ARRAY_H
#define FGC_ARRAY_H

#include "abi/cuda.h"

#include <stdint.h>

/* Bytes of `levels` levels (at least 1; those that do not exist are not counted) of what the descriptor asks for. 0 in
 * Height or Depth: fewer dimensions; layers and the faces of cubes do not shrink from level to level. UINT64_MAX: more
 * than there can be. */
uint64_t fgc_array_bytes(const CUDA_ARRAY3D_DESCRIPTOR *descriptor, unsigned int levels);

#endif
