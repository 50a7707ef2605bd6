/* SPDX-License-Identifier: Apache-2.0
 * Every name of NVML, for those that no other file defines: "not supported". */
#include "abi/nvml_names.h"

#define NAME(name) .weak name; .type name, @function; name:

        .text
        .p2align 4
FG_NVML_NAMES(NAME)
        endbr64
        mov $3, %eax /* NVML_ERROR_NOT_SUPPORTED */
        ret
        .section .note.GNU-stack, "", @progbits
