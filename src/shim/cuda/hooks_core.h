/* SPDX-License-Identifier: Apache-2.0
 * What the drop-in itself hooks. */
#ifndef FGC_HOOKS_CORE_H
#define FGC_HOOKS_CORE_H

#define FGC_HOOKS_CORE(X) \
        X(cuInit) \
        X(cuGetProcAddress) \
        X(cuGetProcAddress_v2)

#endif
