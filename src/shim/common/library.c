/* SPDX-License-Identifier: Apache-2.0
 * The dynamic linker's side of a drop-in: libc's own dlsym, names and entries. */
#include "shim/common/library.h"

#include "base/atomic.h"
#include "shim/common/libc.h"

#include <string.h>

#define ENTRY_STRIDE 16u
#define NAME_TABLE   (2u * FGX_NAMES_MAX)

extern const char fastgpu_drop_in[];
extern const unsigned char fgx_entries[] __attribute__((visibility("hidden")));

__attribute__((visibility("default"))) const char fastgpu_drop_in[] = FASTGPU_VERSION;

typedef void *dlsym_fn(void *handle, const char *name);
static dlsym_fn *dlsym_next, *dlsym_libc;

dlsym_fn *fgx_next_dlsym(const char *name);

/* Finds libc's own (asking for its version passes over everybody else's), and who answers after us: libc, or a
 * library in between that has a dlsym of its own. Both stay NULL in a program without the linker's interface (before
 * glibc 2.34, without libdl): it has nobody who could ask. */
static void dlsym_find(void)
{
        dlsym_fn *libc = fgx_libc_dlvsym ? (dlsym_fn *)fgx_libc_dlvsym(RTLD_NEXT, "dlsym", FGX_GLIBC_BASE) : NULL;

        if (!libc)
                return;
        fg_store_release(&dlsym_libc, libc);
        fg_store_release(&dlsym_next, (dlsym_fn *)libc(RTLD_NEXT, "dlsym"));
}

/* For the assembler. A library in between may find its own successor by asking dlsym for "dlsym": that is for libc
 * to answer, or the two of us would go round in circles. */
dlsym_fn *fgx_next_dlsym(const char *name)
{
        if (!fg_load_acquire(&dlsym_next))
                dlsym_find();
        return name && strcmp(name, "dlsym") == 0 ? fg_load_relaxed(&dlsym_libc) : fg_load_relaxed(&dlsym_next);
}

void *fgx_sym(void *handle, const char *name)
{
        if (!fg_load_acquire(&dlsym_next))
                dlsym_find();
        dlsym_fn *libc = fg_load_relaxed(&dlsym_libc);
        return libc ? libc(handle, name) : NULL;
}

void *fgx_next_sym(void *handle, const char *name)
{
        dlsym_fn *next = fgx_next_dlsym(name);

        return next ? next(handle, name) : NULL;
}

void fgx_no_error(void)
{
        if (fgx_libc_dlerror)
                fgx_libc_dlerror();
}

void *fgx_entry(unsigned index)
{
        return (void *)(fgx_entries + index * ENTRY_STRIDE);
}

int fgx_entry_index(const void *address)
{
        uintptr_t index = ((uintptr_t)address - (uintptr_t)fgx_entries) / ENTRY_STRIDE;

        return index < fgx_count ? (int)index : -1;
}

/* Number + 1 of a name at its place; 0: free. Threads that fill it at the same time write the same: each puts the
 * names in the same order, and what one finds there already is what it was about to write. */
static uint16_t name_table[NAME_TABLE];
static uint32_t name_table_full;

static uint32_t name_hash(const char *name)
{
        uint32_t hash = 2166136261u;

        for (; *name; name++)
                hash = (hash ^ (unsigned char)*name) * 16777619u;
        return hash ^ hash >> 15;
}

static void name_table_fill(void)
{
        for (unsigned i = 0; i < fgx_count; i++) {
                uint32_t at = name_hash(fgx_names[i]) % NAME_TABLE;

                while (fg_load_relaxed(&name_table[at]) && fg_load_relaxed(&name_table[at]) != i + 1)
                        at = (at + 1) % NAME_TABLE;
                fg_store_relaxed(&name_table[at], i + 1);
        }
        fg_store_release(&name_table_full, 1);
}

int fgx_index(const char *name)
{
        uint32_t at = name_hash(name) % NAME_TABLE;

        if (!fg_load_acquire(&name_table_full))
                name_table_fill();
        for (uint16_t found; (found = fg_load_relaxed(&name_table[at])) != 0; at = (at + 1) % NAME_TABLE)
                if (strcmp(fgx_names[found - 1], name) == 0)
                        return found - 1;
        return -1;
}
