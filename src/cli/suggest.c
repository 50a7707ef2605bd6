/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <string.h>

#define LETTERS 64

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
        unsigned m = a < b ? a : b;
        return m < c ? m : c;
}

/* Optimal string alignment: rows i-2, i-1 and i of the usual table. */
unsigned cli_edit_distance(const char *a, const char *b)
{
        unsigned rows[3][LETTERS + 1];
        size_t la = strlen(a), lb = strlen(b);
        if (la > LETTERS || lb > LETTERS)
                return LETTERS * 2;
        for (size_t j = 0; j <= lb; j++)
                rows[0][j] = (unsigned)j;
        for (size_t i = 1; i <= la; i++) {
                unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
                row[0] = (unsigned)i;
                for (size_t j = 1; j <= lb; j++) {
                        row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                            above2[j - 2] + 1 < row[j])
                                row[j] = above2[j - 2] + 1;
                }
        }
        return rows[la % 3][lb];
}

const char *cli_suggest(const char *typed, const char *(*next)(const void *user, size_t i), const void *user)
{
        const char *best = NULL, *candidate;
        unsigned least = 0;
        for (size_t i = 0; (candidate = next(user, i)); i++) {
                size_t len = strlen(candidate);
                unsigned distance = cli_edit_distance(typed, candidate);
                /* One mistake in three letters; or the beginning, at least three letters of it. */
                bool near = distance <= (len + 2) / 3 && distance < len;
                bool begins = strlen(typed) >= 3 && strncmp(typed, candidate, strlen(typed)) == 0;
                if ((near || begins) && (!best || distance < least)) {
                        best = candidate;
                        least = distance;
                }
        }
        return best;
}
