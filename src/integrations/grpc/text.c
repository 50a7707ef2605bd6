/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/grpc/wire.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
        char letter;
        uint64_t ns;
} unit_table[] = {{'n', 1},
                  {'u', FG_NSEC_PER_USEC},
                  {'m', FG_NSEC_PER_MSEC},
                  {'S', FG_NSEC_PER_SEC},
                  {'M', 60 * FG_NSEC_PER_SEC},
                  {'H', 3600 * FG_NSEC_PER_SEC}};
#define UNITS (sizeof unit_table / sizeof *unit_table)
#define TIMEOUT_DIGITS 8u

int fgi_grpc_timeout_parse(const char *text, size_t size, uint64_t *ret_ns)
{
        uint64_t count = 0;
        if (size < 2 || size > TIMEOUT_DIGITS + 1)
                return -EINVAL;
        for (size_t i = 0; i + 1 < size; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return -EINVAL;
                count = count * 10 + (uint64_t)(text[i] - '0');
        }
        for (size_t i = 0; i < UNITS; i++)
                if (unit_table[i].letter == text[size - 1]) {
                        if (__builtin_mul_overflow(count, unit_table[i].ns, ret_ns))
                                *ret_ns = UINT64_MAX;
                        return 0;
                }
        return -EINVAL;
}

void fgi_grpc_timeout_format(uint64_t ns, char *ret, size_t len)
{
        size_t i = 0;
        while (i + 1 < UNITS && ns / unit_table[i].ns > 99999999)
                i++;
        uint64_t count = ns / unit_table[i].ns;
        snprintf(ret, len, "%llu%c", (unsigned long long)(count < 99999999 ? count : 99999999), unit_table[i].letter);
}

void fgi_grpc_percent_encode(const char *text, char *ret, size_t len)
{
        static const char hex[] = "0123456789ABCDEF";
        size_t n = 0;
        for (const unsigned char *p = (const unsigned char *)text; *p && n + 4 <= len; p++) {
                if (*p >= ' ' && *p <= '~' && *p != '%') {
                        ret[n++] = (char)*p;
                        continue;
                }
                ret[n++] = '%';
                ret[n++] = hex[*p >> 4];
                ret[n++] = hex[*p & 15];
        }
        ret[n] = 0;
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void fgi_grpc_percent_decode(const char *text, size_t size, char *ret, size_t len)
{
        size_t n = 0;
        for (size_t i = 0; i < size && n + 1 < len; i++) {
                char c = text[i];
                if (c == '%' && i + 2 < size && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
                        c = (char)(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
                        i += 2;
                }
                ret[n++] = (unsigned char)c < ' ' || c == 0x7f ? ' ' : c;
        }
        ret[n] = 0;
}

enum fgi_grpc_code fgi_grpc_code_parse(const char *text, size_t size)
{
        unsigned code = 0;
        if (size < 1 || size > 2)
                return FGI_GRPC_UNKNOWN;
        for (size_t i = 0; i < size; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return FGI_GRPC_UNKNOWN;
                code = code * 10 + (unsigned)(text[i] - '0');
        }
        return code <= 16 ? (enum fgi_grpc_code)code : FGI_GRPC_UNKNOWN;
}

const char *fgi_grpc_code_name(enum fgi_grpc_code code)
{
        static const char *const name[] = {"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
                                           "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
                                           "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};
        return (size_t)code < sizeof name / sizeof *name ? name[code] : "UNKNOWN";
}
