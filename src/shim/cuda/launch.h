/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGC_LAUNCH_H
#define FGC_LAUNCH_H

#include "shim/cuda/gate.h"

#if defined(__x86_64__)
#define FGC_LAUNCH_FRONT 1 /* cuLaunchKernel comes in by launch_front.c, which may call these */
__typeof__(cuLaunchKernel) fgc_long_cuLaunchKernel;
__typeof__(cuLaunchKernel_ptsz) fgc_long_cuLaunchKernel_ptsz;
#else
#define fgc_long_cuLaunchKernel      fgc_cuLaunchKernel
#define fgc_long_cuLaunchKernel_ptsz fgc_cuLaunchKernel_ptsz
#endif

#endif
