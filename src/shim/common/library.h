/* SPDX-License-Identifier: Apache-2.0
 *
 * What every drop-in library of ours needs: entries that jump through slots (entry.h, for the assembler), the
 * vendor's library behind it, and an answer to dlsym(). One drop-in links this once; its own part is the four
 * functions at the end. */
#ifndef FGX_LIBRARY_H
#define FGX_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exported by every drop-in: a library that has it is one of ours, whatever its name and file. */
#define FGX_MARKER "fastgpu_drop_in"

#define FGX_NAMES_MAX 2048

/* The exported names in the order of the entries, and where each entry jumps. A slot starts at a resolver that calls
 * fgx_resolve(); it is written atomically. */
extern const char *const fgx_names[];
extern const unsigned fgx_count;
extern void *fgx_slot[] __attribute__((visibility("hidden")));

/* The address of entry number `index`, and back: -1 if `address` is not in one. */
void *fgx_entry(unsigned index);
int fgx_entry_index(const void *address);
/* The number of the exported `name`, or -1. */
int fgx_index(const char *name);

/* libc's dlsym, as it answers to this library; and that of whoever comes after us, libc or not. */
void *fgx_sym(void *handle, const char *name);
void *fgx_next_sym(void *handle, const char *name);
/* Forgets what fgx_sym() and fgx_load() left behind for dlerror(). */
void fgx_no_error(void);

/* Loads the vendor's `file` ("libcuda.so.1"): from `folder` if that is not empty, then from the usual folders. Never
 * one of our own, also not where ours is mounted over the vendor's. Takes no lock but the dynamic linker's. NULL:
 * there is none. */
void *fgx_load(const char *file, const char *folder);

/* --- the drop-in's part --- */

/* Where entry `index` is to jump now; may store it into the slot. Called by an entry's first use, with its arguments
 * saved. */
void *fgx_resolve(unsigned index);
/* The vendor's file without version: "libcuda.so". */
extern const char fgx_stem[];
/* Whether a function of the vendor's library may have this name. */
bool fgx_may_name(const char *name);
/* What dlsym() says to `name`, an exported one (index >= 0) or one that may be: the vendor's function or its hook;
 * NULL, with dlerror() set, where the vendor has none. Loads the vendor's library if need be. */
void *fgx_lookup(const char *name, int index);

#endif
