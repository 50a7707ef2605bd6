/* SPDX-License-Identifier: Apache-2.0
 *
 * libc, as old as can be. A drop-in is loaded into programs that bring their own userland: what it asks of glibc is
 * asked for by the symbol versions of long ago, which every glibc has. The dl* family moved from libdl to libc in
 * 2.34 and got a new version there; under the old one both have it. Weak: NULL in a program with an older glibc and
 * without libdl. */
#ifndef FGX_LIBC_H
#define FGX_LIBC_H

#include <dlfcn.h>

#if defined(__x86_64__)
#define FGX_GLIBC_BASE "GLIBC_2.2.5"
#else
#error "drop-in libraries are for x86-64"
#endif

#define FGX_LIBC(name) \
        extern __typeof__(name) fgx_libc_##name __attribute__((weak)); \
        __asm__(".symver fgx_libc_" #name ", " #name "@" FGX_GLIBC_BASE)

FGX_LIBC(dlopen);
FGX_LIBC(dlclose);
FGX_LIBC(dlvsym);
FGX_LIBC(dlerror);
FGX_LIBC(dladdr);

#endif
