/* SPDX-License-Identifier: Apache-2.0
 * Where each entry leads: decided at its first use. */
#include "base/atomic.h"
#include "shim/common/library.h"
#include "shim/nvml/core.h"
#include "shim/nvml/session.h"

#include <errno.h>
#include <string.h>

const char *const fgx_names[] = {
#define RESOLVE_NAME(name) #name,
        FG_NVML_NAMES(RESOLVE_NAME)
#undef RESOLVE_NAME
};
const unsigned fgx_count = FGN_NAMES;
const char fgx_stem[] = "libnvidia-ml.so";

struct fgn_driver fgn_real;
__thread unsigned fgn_inside __attribute__((tls_model("initial-exec")));

static void *const resolve_hook[FGN_NAMES] = {
#define RESOLVE_HOOK(name) [FGN_##name] = fgn_##name,
        FGN_HOOKS(RESOLVE_HOOK)
#undef RESOLVE_HOOK
};
static void **const resolve_real[FGN_NAMES] = {
#define RESOLVE_REAL(name) [FGN_##name] = (void **)&fgn_real.name,
        FGN_HOOKS(RESOLVE_REAL)
#undef RESOLVE_REAL
};

static uint32_t start_state;
static void *start_driver;
static void *driver_function[FGN_NAMES];
static __thread bool starting __attribute__((tls_model("initial-exec")));

void *fgn_driver_function(unsigned index)
{
        return fg_load_relaxed(&driver_function[index]);
}

int fgn_has_driver(void)
{
        return fg_load_acquire(&start_driver) != NULL;
}

static void start_fill(void *driver)
{
        for (unsigned i = 0; i < FGN_NAMES; i++) {
                void *real = fgx_sym(driver, fgx_names[i]);

                fg_store_relaxed(&driver_function[i], real);
                if (resolve_real[i])
                        fg_store_relaxed(resolve_real[i], real);
        }
        fg_store_release(&start_driver, driver);
}

static enum fgn_state start_now(void)
{
        int r = fgn_session_attach();
        void *driver = fgx_load("libnvidia-ml.so.1", r == 0 ? fgn_session_driver_path() : "");

        if (driver)
                start_fill(driver);
        return r == 0 && driver ? FGN_OPEN : FGN_CLOSED;
}

/* Threads that come here at the same time all find the same. The vendor's library, should it call one of our entries
 * while it is being loaded, finds everything closed instead of a loop. */
enum fgn_state fgn_start(void)
{
        uint32_t state = fg_load_acquire(&start_state), expected = FGN_NEW;
        int saved = errno;

        if (state != FGN_NEW || starting)
                return state;
        starting = true;
        fg_cas_acq_rel(&start_state, &expected, start_now());
        starting = false;
        fgx_no_error();
        errno = saved;
        return fg_load_acquire(&start_state);
}

static nvmlReturn_t resolve_missing(void)
{
        return NVML_ERROR_FUNCTION_NOT_FOUND;
}

static nvmlReturn_t resolve_uninitialised(void)
{
        return NVML_ERROR_UNINITIALIZED;
}

static const char *resolve_error_text(nvmlReturn_t error)
{
        switch (error) {
        case NVML_SUCCESS:
                return "Success";
        case NVML_ERROR_UNINITIALIZED:
                return "Uninitialized";
        case NVML_ERROR_NO_PERMISSION:
                return "Insufficient Permissions";
        case NVML_ERROR_DRIVER_NOT_LOADED:
                return "Driver Not Loaded";
        default:
                return "Unknown Error";
        }
}

static void *resolve_open(unsigned index)
{
        void *real = fgn_driver_function(index);

        if (resolve_hook[index] && real)
                return resolve_hook[index];
        if (!real)
                return resolve_missing;
        return fgn_kind_of(fgx_names[index]) == FGN_PASSES ? real : fgn_thunk(index);
}

/* Without a vGPU: nvmlInit refuses, texts of errors are given. */
static void *resolve_closed(unsigned index)
{
        switch (index) {
        case FGN_nvmlInit:
        case FGN_nvmlInit_v2:
        case FGN_nvmlInitWithFlags:
                return resolve_hook[index];
        case FGN_nvmlErrorString:
                return fgn_driver_function(index) ? fgn_driver_function(index) : (void *)resolve_error_text;
        default:
                return resolve_uninitialised;
        }
}

void *fgx_resolve(unsigned index)
{
        int saved = errno;
        enum fgn_state state = fgn_start();
        void *target = state == FGN_OPEN ? resolve_open(index) : resolve_closed(index);

        if (state != FGN_NEW)
                fg_store_release(&fgx_slot[index], target);
        errno = saved;
        return target;
}

bool fgx_may_name(const char *name)
{
        return strncmp(name, "nvml", 4) == 0;
}

/* A name that is newer than our table is the vendor's as it is: it knows the first vGPU of each physical device, and
 * takes the others' handles for invalid. */
void *fgx_lookup(const char *name, int index)
{
        if (fgn_start() != FGN_OPEN)
                return index >= 0 ? fgx_entry((unsigned)index) : NULL;
        if (index >= 0 && fgn_driver_function((unsigned)index))
                return fgx_entry((unsigned)index);
        return fgx_sym(fg_load_acquire(&start_driver), name);
}
