/* SPDX-License-Identifier: Apache-2.0
 * For the tests on the scripted driver: programs that say what was not as expected, and exit with its number. */
#ifndef CORE_TEST_H
#define CORE_TEST_H

#include "abi/cuda_types.h"
#include "scripted_driver.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

/* CHECK(condition), CHECK(condition, format, values): what was found instead. */
#define CHECK(what, ...) \
        do { \
                if (!(what)) { \
                        fprintf(stderr, "%s:%d: not so: %s ", __FILE__, __LINE__, #what); \
                        fprintf(stderr, " " __VA_ARGS__); \
                        fputc('\n', stderr); \
                        failures++; \
                } \
        } while (0)

/* The file that an address belongs to. */
static inline const char *file_of(const void *address)
{
        Dl_info info;

        return address && dladdr(address, &info) && info.dli_fname ? info.dli_fname : "";
}

/* Of the scripted driver, which CORE_DRIVER names the file of. */
static inline bool of_driver(const void *address)
{
        return strcmp(file_of(address), getenv("CORE_DRIVER")) == 0;
}

static inline bool of_ours(const void *address)
{
        return getenv("CORE_SHIM") && strcmp(file_of(address), getenv("CORE_SHIM")) == 0;
}

#endif
