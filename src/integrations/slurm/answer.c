/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * The answers come from the daemon, which writes valid JSON; of it a few members are wanted, whose names are unique in their answers.
 * What is malformed is not found. */
#include "integrations/slurm/slurm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind the string that begins at `at`; NULL: it does not end. */
static const char *skip_string(const char *at)
{
        for (at++; *at && *at != '"'; at++)
                if (*at == '\\' && !*++at)
                        return NULL;
        return *at ? at + 1 : NULL;
}

/* The value of the next member of that name from `at` on. */
static const char *next(const char *at, const char *name)
{
        size_t n = strlen(name);
        while (at && *at) {
                if (*at != '"') {
                        at++;
                        continue;
                }
                const char *key = at + 1;
                at = skip_string(at);
                if (!at)
                        return NULL;
                const char *value = at + strspn(at, " \t\r\n");
                if (*value == ':' && (size_t)(at - 1 - key) == n && strncmp(key, name, n) == 0)
                        return value + 1 + strspn(value + 1, " \t\r\n");
        }
        return NULL;
}

bool fgi_slurm_text(const char *json, const char *name, char *ret, size_t len)
{
        const char *at = next(json, name);
        size_t n = 0;
        if (!at || *at != '"')
                return false;
        for (at++; *at && *at != '"' && n + 1 < len; at++) {
                if (*at == '\\') {
                        if (!*++at)
                                break;
                        /* Numbers come in names of people's making only, which are shown: any sign does. */
                        if (*at == 'u')
                                at += strnlen(at, 5) == 5 ? 4 : 0;
                }
                ret[n++] = *at;
        }
        ret[n] = '\0';
        return *at == '"';
}

bool fgi_slurm_true(const char *json, const char *name)
{
        const char *at = next(json, name);
        return at && strncmp(at, "true", 4) == 0;
}

uint64_t fgi_slurm_sum(const char *json, const char *name, unsigned *ret_count)
{
        uint64_t sum = 0;
        *ret_count = 0;
        for (const char *at = json; (at = next(at, name)) != NULL; ++*ret_count)
                sum += strtoull(at, NULL, 10);
        return sum;
}

void fgi_slurm_quote(char *to, size_t size, const char *text)
{
        size_t at = strlen(to);
        if (at + 3 > size)
                return;
        to[at++] = '"';
        for (; *text && at + 4 < size; text++) {
                if ((unsigned char)*text < ' ')
                        continue;
                if (*text == '"' || *text == '\\')
                        to[at++] = '\\';
                to[at++] = *text;
        }
        to[at++] = '"';
        to[at] = '\0';
}
