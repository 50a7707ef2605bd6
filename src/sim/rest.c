/* SPDX-License-Identifier: Apache-2.0
 * Entry points of the real driver that the simulator does not have: they are there, as programs link against them, and
 * say that they are not supported. Weak: an implementation elsewhere takes the name. */
#include "abi/cuda_names.h"

#define NOT_SUPPORTED 801

#define REST(name)                                                                                                     \
        int name(void);                                                                                                \
        __attribute__((weak, visibility("default"))) int name(void)                                                    \
        {                                                                                                              \
                return NOT_SUPPORTED;                                                                                  \
        }

FG_CUDA_NAMES(REST)
