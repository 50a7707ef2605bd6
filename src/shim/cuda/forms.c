/* SPDX-License-Identifier: Apache-2.0
 *
 * Which exported function an address from cuGetProcAddress is. A name has come in several forms over the years
 * (cuCtxCreate, _v2, _v3 …, each perhaps with a per-thread twin), and the caller names only the base and a release.
 *
 * Nearly always the address is the one that dlsym gives for the right form, and one look into a table tells. A
 * driver may answer with an address of its own instead. Then the order in time decides: over the releases, up to its
 * own, the driver gives a sequence of different answers to the same name and flags; the last of them is the newest
 * form that it exports, the one before it the form before, and so on back. Nothing that is not in this sequence is
 * touched. */
#include "shim/common/library.h"
#include "shim/cuda/core.h"

#include <stdio.h>
#include <string.h>

#define FORMS_MAX     6
#define NAME_SIZE     128
#define FIRST_RELEASE 2000
#define FIRST_TWINS   7000 /* per-thread streams came with CUDA 7 */

struct forms {
        int number[FORMS_MAX]; /* of the exported names, oldest first; -1: not in our table */
        unsigned count;
};

/* The one name whose newest form is not called after it. */
static const char *form_name(char name[NAME_SIZE], const char *symbol, unsigned version, const char *twin)
{
        if (strcmp(symbol, "cuGraphInstantiate") == 0 && version == FORMS_MAX)
                snprintf(name, NAME_SIZE, "cuGraphInstantiateWithFlags%s", twin);
        else if (version == 1)
                snprintf(name, NAME_SIZE, "%s%s", symbol, twin);
        else
                snprintf(name, NAME_SIZE, "%s_v%u%s", symbol, version, twin);
        return name;
}

static bool forms_any_hooked(const char *symbol)
{
        static const char *const twin[] = {"", "_ptsz", "_ptds"};
        char name[NAME_SIZE];

        for (unsigned version = 1; version <= FORMS_MAX; version++)
                for (unsigned i = 0; i < 3; i++)
                        if (fgc_hook_of(fgx_index(form_name(name, symbol, version, twin[i]))))
                                return true;
        return false;
}

/* Adds the form if the driver exports it. */
static bool forms_add(struct forms *forms, const char *name)
{
        if (!fgc_driver_sym(name))
                return false;
        forms->number[forms->count++] = fgx_index(name);
        return true;
}

static void forms_list(struct forms *forms, const char *symbol, bool twins)
{
        char name[NAME_SIZE];

        forms->count = 0;
        for (unsigned version = 1; version <= FORMS_MAX; version++) {
                if (twins && (forms_add(forms, form_name(name, symbol, version, "_ptsz")) ||
                              forms_add(forms, form_name(name, symbol, version, "_ptds"))))
                        continue;
                forms_add(forms, form_name(name, symbol, version, ""));
        }
}

/* 12090, 13000, 13010 … */
static int next_release(int release)
{
        return release % 1000 < 90 ? release + 10 : release + 910;
}

static void *ask(const char *symbol, int release, cuuint64_t flags)
{
        CUdriverProcAddressQueryResult status;
        void *found = NULL;
        CUresult r;

        if (fgc_real.cuGetProcAddress_v2)
                r = FGC_REAL(cuGetProcAddress_v2, symbol, &found, release, flags, &status);
        else
                r = FGC_REAL(cuGetProcAddress, symbol, &found, release, flags);
        return r == CUDA_SUCCESS ? found : NULL;
}

/* How many other answers came after `found`; -1: it is not among the driver's answers. */
static int answer_age(const char *symbol, const void *found, cuuint64_t flags, bool twins)
{
        void *last = NULL;
        int newest = 0, age = -1;

        if (!fgc_real.cuDriverGetVersion || FGC_REAL(cuDriverGetVersion, &newest) != CUDA_SUCCESS)
                return -1;
        for (int release = twins ? FIRST_TWINS : FIRST_RELEASE; release <= newest; release = next_release(release)) {
                void *answer = ask(symbol, release, flags);

                if (!answer || answer == last)
                        continue;
                last = answer;
                if (age >= 0)
                        age++;
                if (answer == found)
                        age = 0;
        }
        return age;
}

void *fgc_form_replace(const char *symbol, void *found, cuuint64_t flags)
{
        bool twins = (flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) != 0;
        void *hook = fgc_replace(found);
        int age, entry = fgx_entry_index(found);
        struct forms forms;

        if (entry >= 0) /* to a driver whose own names the dynamic linker has bound to us */
                return fgx_lookup(fgx_names[entry], entry);
        if (hook != found || !forms_any_hooked(symbol))
                return hook;
        forms_list(&forms, symbol, twins);
        for (unsigned i = 0; i < forms.count; i++)
                if (forms.number[i] >= 0 && fgc_driver_sym(fgx_names[forms.number[i]]) == found)
                        return fgc_hook_of(forms.number[i]) ? fgc_hook_of(forms.number[i]) : found;
        age = answer_age(symbol, found, flags, twins);
        if (age < 0 || (unsigned)age >= forms.count)
                return found;
        hook = fgc_hook_of(forms.number[forms.count - 1 - (unsigned)age]);
        return hook ? hook : found;
}
