/* SPDX-License-Identifier: Apache-2.0
 *
 * From names to functions: the real driver is loaded at the first use of anything, and each exported name is bound
 * when it is first used. No lock is held meanwhile (the dynamic linker has its own, and may hold it while it runs
 * the code that got here): threads that come at the same time do the same work, and the first word that is written stays. */
#include "base/atomic.h"
#include "shim/common/library.h"
#include "shim/cuda/core.h"
#include "shim/cuda/session.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define REPLACE_TABLE 2048u /* a power of two, more than twice the hooks */

struct fgc_driver fgc_real;
__thread unsigned fgc_inside __attribute__((tls_model("initial-exec")));

const char fgx_stem[] = "libcuda.so";

const char *const fgx_names[] = {
#define RESOLVE_STRING(name) #name,
        FG_CUDA_NAMES(RESOLVE_STRING)
#undef RESOLVE_STRING
};
const unsigned fgx_count = FGC_NAMES;
_Static_assert(FGC_NAMES <= FGX_NAMES_MAX, "names");
#define RESOLVE_COUNT(name) +1
_Static_assert(2 * (0 FGC_HOOKS(RESOLVE_COUNT)) <= REPLACE_TABLE, "hooks");
#undef RESOLVE_COUNT

/* By number of the exported name. */
static void *const resolve_hook[FGC_NAMES] = {
#define RESOLVE_HOOK(name) [FGC_##name] = fgc_##name,
        FGC_HOOKS(RESOLVE_HOOK)
#undef RESOLVE_HOOK
};
static void **const resolve_real[FGC_NAMES] = {
#define RESOLVE_REAL(name) [FGC_##name] = (void **)&fgc_real.name,
        FGC_HOOKS(RESOLVE_REAL) FGC_USES(RESOLVE_REAL)
#undef RESOLVE_REAL
};

static uint32_t start_state;
static void *start_driver;
static __thread bool starting __attribute__((tls_model("initial-exec")));

/* Number + 1 of the hooked name whose real function has this address; 0: free. Filled like the table in library.c.
 * Where a driver has one function under several hooked names, the address alone does not say which is meant. */
static uint16_t replace_table[REPLACE_TABLE];
static bool replace_shared[FGC_NAMES];
static uint32_t replace_ready;

static uint32_t replace_hash(const void *real)
{
        return (uint32_t)(((uintptr_t)real >> 2) * 0x9e3779b97f4a7c15u >> 40) % REPLACE_TABLE;
}

static void replace_add(unsigned number)
{
        const void *real = fg_load_relaxed(resolve_real[number]);
        uint32_t at = replace_hash(real);

        for (uint16_t found; (found = fg_load_relaxed(&replace_table[at])) != 0; at = (at + 1) % REPLACE_TABLE)
                if (fg_load_relaxed(resolve_real[found - 1]) == real) {
                        if (found != number + 1)
                                fg_store_relaxed(&replace_shared[found - 1], true);
                        return;
                }
        fg_store_relaxed(&replace_table[at], number + 1);
}

void *fgc_replace(void *real)
{
        uint32_t at = replace_hash(real);

        if (!real || !fg_load_acquire(&replace_ready))
                return real;
        for (uint16_t found; (found = fg_load_relaxed(&replace_table[at])) != 0; at = (at + 1) % REPLACE_TABLE)
                if (fg_load_relaxed(resolve_real[found - 1]) == real)
                        return fg_load_relaxed(&replace_shared[found - 1]) ? real : resolve_hook[found - 1];
        return real;
}

void *fgc_hook_of(int index)
{
        return index >= 0 ? resolve_hook[index] : NULL;
}

void *fgc_driver_sym(const char *name)
{
        void *driver = fg_load_acquire(&start_driver);

        return driver ? fgx_sym(driver, name) : NULL;
}

static void start_fill(void)
{
        for (unsigned i = 0; i < FGC_NAMES; i++) {
                void *none = NULL, *real = resolve_real[i] ? fgc_driver_sym(fgx_names[i]) : NULL;

                if (real && !fg_load_acquire(resolve_real[i])) /* once: whoever was first may be calling it by now */
                        fg_cas_acq_rel(resolve_real[i], &none, real);
        }
        for (unsigned i = 0; i < FGC_NAMES; i++)
                if (resolve_hook[i] && fg_load_relaxed(resolve_real[i]))
                        replace_add(i);
        fg_store_release(&replace_ready, 1);
}

static enum fgc_state start_now(void)
{
        int r = fgc_session_attach();
        void *driver = fgx_load("libcuda.so.1", r == 0 ? fgc_session()->driver_path : "");

        fg_store_release(&start_driver, driver);
        if (driver)
                start_fill();
        return r == 0 && driver ? FGC_OPEN : FGC_CLOSED;
}

/* A driver that calls one of our entries while it is being loaded finds everything closed, not a loop. */
enum fgc_state fgc_start(void)
{
        uint32_t state = fg_load_acquire(&start_state), expected = FGC_NEW;
        int saved = errno, cancel;

        if (state != FGC_NEW || starting)
                return state;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* there is waiting for the daemon in it */
        starting = true;
        fg_cas_acq_rel(&start_state, &expected, start_now());
        starting = false;
        fgx_no_error();
        pthread_setcancelstate(cancel, NULL);
        errno = saved;
        return fg_load_acquire(&start_state);
}

void fgc_close(void)
{
        fg_store_release(&start_state, FGC_CLOSED);
        for (unsigned i = 0; i < FGC_NAMES; i++)
                fg_store_release(&fgx_slot[i], fgc_closed_target((int)i));
}

void fgc_close_child(void)
{
        void *refusal = fgc_closed_target(-1);

        fgc_close();
        for (unsigned i = 0; i < FGC_NAMES; i++)
                if (resolve_real[i] && *resolve_real[i] && fgc_closed_target((int)i) == refusal)
                        fg_store_relaxed(resolve_real[i], refusal);
}

static CUresult resolve_unsupported(void)
{
        return CUDA_ERROR_NOT_SUPPORTED;
}

static void *resolve_open(unsigned index)
{
        void *real = fgc_driver_sym(fgx_names[index]);

        if (!real) {
                fgx_no_error();
                return resolve_unsupported;
        }
        return resolve_hook[index] ? resolve_hook[index] : fgc_replace(real);
}

void *fgx_resolve(unsigned index)
{
        int saved = errno;
        enum fgc_state state = fgc_start();
        void *target = state == FGC_OPEN ? resolve_open(index) : fgc_closed_target((int)index);

        if (state != FGC_NEW)
                fg_store_release(&fgx_slot[index], target);
        if (state == FGC_OPEN && fgc_start() == FGC_CLOSED) { /* closed meanwhile */
                target = fgc_closed_target((int)index);
                fg_store_release(&fgx_slot[index], target);
        }
        errno = saved;
        return target;
}

/* cublasCreate, cudnnCreate and curl_easy_init are nobody's business here. */
bool fgx_may_name(const char *name)
{
        return strncmp(name, "cu", 2) == 0 && ((name[2] >= 'A' && name[2] <= 'Z') || strncmp(name, "cudbg", 5) == 0);
}

void *fgx_lookup(const char *name, int index)
{
        void *real;

        if (fgc_start() != FGC_OPEN)
                return index >= 0 ? fgx_entry((unsigned)index) : NULL;
        real = fgc_driver_sym(name);
        if (!real)
                return NULL;
        return fgc_hook_of(index) ? fgc_hook_of(index) : fgc_replace(real);
}
