/* SPDX-License-Identifier: Apache-2.0
 * What cmocka wants included before it, and what every unit test needs. */
#ifndef FG_TESTS_UNIT_H
#define FG_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* splitmix64 (Steele, Lea, Flood 2014): the same numbers in every run. */
static inline uint64_t unit_random(uint64_t *state)
{
        uint64_t z = (*state += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static inline void unit_make_folder(char ret[64])
{
        strcpy(ret, "/tmp/fastgpu-unit.XXXXXX");
        assert_non_null(mkdtemp(ret));
}

/* Deletes a folder made by unit_make_folder(). */
static inline void unit_remove_folder(const char *path)
{
        char command[128];
        assert_int_equal(strncmp(path, "/tmp/fastgpu-unit.", 18), 0);
        snprintf(command, sizeof(command), "rm -rf '%s'", path);
        assert_int_equal(system(command), 0);
}

#endif
