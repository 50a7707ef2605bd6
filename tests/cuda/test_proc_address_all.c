/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints what dlsym and cuGetProcAddress say about every name, at every release that matters and every flag: which
 * exported function it is, result and status. With the drop-in preloaded it has to be, word for word, what the bare
 * driver says. */
#include "abi/cuda_names.h"
#include "abi/cuda_types.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef CUresult get_v2_fn(const char *, void **, int, cuuint64_t, CUdriverProcAddressQueryResult *);
typedef CUresult get_fn(const char *, void **, int, cuuint64_t);

static const int releases[] = {1000,  2000,  3010,  3020,  4000,  5050,  6050,  7000,  8000,  9000,  9020,  10000, 10010,
                               10020, 11000, 11010, 11020, 11030, 11040, 11060, 11070, 11080, 12000, 12010, 12020, 12030,
                               12040, 12050, 12060, 12080, 12090, 13000, 13010, 13020, 13030, 13050, 14000};

static struct name {
        const char *text;
        void *address;
} names[] = {
#define NAME(name) {#name, NULL},
        FG_CUDA_NAMES(NAME)
#undef NAME
        {"cuNoSuchThing", NULL},
        {"cublasCreate", NULL},
        {"", NULL},
};

static const char *name_of(const void *address)
{
        for (size_t i = 0; address && i < COUNT(names); i++)
                if (names[i].address == address)
                        return names[i].text;
        return address ? "something" : "nothing";
}

/* Without the ending, if it has one: programs ask for the base. */
static const char *base_of(const char *name, char base[128])
{
        snprintf(base, 128, "%s", name);
        for (int again = 0; again < 2; again++) {
                char *end = strrchr(base, '_');

                if (end && (strcmp(end, "_ptsz") == 0 || strcmp(end, "_ptds") == 0 || (end[1] == 'v' && end[3] == 0)))
                        *end = 0;
        }
        return base;
}

static void ask(get_v2_fn *get_v2, get_fn *get, const char *symbol)
{
        for (size_t i = 0; i < COUNT(releases); i++)
                for (cuuint64_t flags = 0; flags < 4; flags++) {
                        CUdriverProcAddressQueryResult status = 77;
                        void *found_v2 = NULL, *found = NULL;
                        CUresult r_v2 = get_v2(symbol, &found_v2, releases[i], flags, &status);
                        CUresult r = get(symbol, &found, releases[i], flags);

                        printf("%s %d %d: %d %d %s, %d %s\n", symbol, releases[i], (int)flags, (int)r_v2, (int)status,
                               name_of(found_v2), (int)r, name_of(found));
                }
}

int main(void)
{
        void *handle = dlopen("libcuda.so.1", RTLD_LAZY);
        char base[128], last[128] = "none";

        if (!handle)
                return 1;
        for (size_t i = 0; i < COUNT(names); i++) {
                names[i].address = dlsym(handle, names[i].text);
                printf("%s %s\n", names[i].text, name_of(names[i].address));
        }
        for (size_t i = 0; i < COUNT(names); i++) {
                ask((get_v2_fn *)dlsym(handle, "cuGetProcAddress_v2"), (get_fn *)dlsym(handle, "cuGetProcAddress"),
                    names[i].text);
                if (strcmp(base_of(names[i].text, base), names[i].text) != 0 && strcmp(base, last) != 0)
                        ask((get_v2_fn *)dlsym(handle, "cuGetProcAddress_v2"),
                            (get_fn *)dlsym(handle, "cuGetProcAddress"), base);
                strcpy(last, base);
        }
        return 0;
}
