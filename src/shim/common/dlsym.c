/* SPDX-License-Identifier: Apache-2.0
 *
 * dlsym() for the vendor's names. The rule: what would have been found in the vendor's library without us is
 * answered from there, hooks in place; everything else is libc's own answer. */
#include "shim/common/library.h"

#include "shim/common/libc.h"

#include <string.h>

struct dlsym_answer {
        void *address;
        uint64_t final; /* 0: let libc answer, who sees the true caller */
};

struct dlsym_answer fgx_dlsym(void *handle, const char *name);

/* A program may have opened the vendor's file by its path, or a copy of it in another namespace. */
static bool dlsym_of_vendor(const void *address)
{
        Dl_info info;
        const char *slash;

        if (!address || !fgx_libc_dladdr(address, &info) || !info.dli_fname)
                return false;
        slash = strrchr(info.dli_fname, '/');
        return strncmp(slash ? slash + 1 : info.dli_fname, fgx_stem, strlen(fgx_stem)) == 0;
}

/* A name that we do not export would have been found in the vendor's library if ours is within the handle's reach. */
static bool dlsym_reaches_us(void *handle, const void *found)
{
        return found ? fgx_entry_index(found) >= 0 || dlsym_of_vendor(found) : fgx_sym(handle, FGX_MARKER) != NULL;
}

struct dlsym_answer fgx_dlsym(void *handle, const char *name)
{
        /* What comes after the caller cannot be seen from here; what comes first of all decides whether we are
         * concerned. */
        void *scope = handle == RTLD_NEXT ? RTLD_DEFAULT : handle;
        struct dlsym_answer answer = {.final = 0};

        if (!fgx_may_name(name) || !dlsym_reaches_us(scope, fgx_next_sym(scope, name)))
                return answer;
        answer.final = 1;
        answer.address = fgx_lookup(name, fgx_index(name));
        if (answer.address)
                fgx_no_error();
        return answer;
}
