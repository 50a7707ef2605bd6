/* SPDX-License-Identifier: Apache-2.0 */
#include "base/address.h"

#include "base/size.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LABEL_MAX 63u

static bool is_name_char(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static void lower(char *text)
{
        for (; *text; text++)
                if (*text >= 'A' && *text <= 'Z')
                        *text = (char)(*text - 'A' + 'a');
}

/* A name for the resolver. One that looks like an IPv4 address must be one: resolvers take "1" and "0x7f.1" for some. */
static bool is_host(const char *host)
{
        struct in_addr address;
        size_t label = 0;
        for (const char *c = host; *c; c++) {
                if (!is_name_char(*c))
                        return false;
                label = *c == '.' ? 0 : label + 1;
                if (label > LABEL_MAX || (*c == '.' && (c == host || c[-1] == '.')))
                        return false;
        }
        if (host[0] == '-')
                return false;
        const char *last = strrchr(host, '.');
        last = last && last[1] ? last + 1 : host;
        bool numeric = *last >= '0' && *last <= '9' && strspn(last, "0123456789abcdefx") == strlen(last);
        return !numeric || inet_pton(AF_INET, host, &address) == 1;
}

static int bad(const char *what, const char *text, const char *why, struct fg_error *err)
{
        return fg_error_set(err, -EINVAL, "%s \"%.80s\" is not HOST:PORT or [IPV6]:PORT: %s", what, text, why);
}

static int take_host(const char *what, const char *text, const char *from, size_t len, bool v6, char ret[FG_HOST_MAX], struct fg_error *err)
{
        struct in6_addr address;
        if (len >= FG_HOST_MAX)
                return bad(what, text, "the host is too long", err);
        memcpy(ret, from, len);
        ret[len] = '\0';
        lower(ret);
        if (v6)
                return inet_pton(AF_INET6, ret, &address) == 1 ? 0 : bad(what, text, "what stands in brackets is no IPv6 address", err);
        if (strchr(ret, ':'))
                return bad(what, text, "an IPv6 address belongs in brackets", err);
        return is_host(ret) ? 0 : bad(what, text, "the host is neither a name nor an address", err);
}

static int take_port(const char *what, const char *text, const char *port, uint16_t default_port, uint16_t *ret, struct fg_error *err)
{
        uint64_t value = default_port;
        if (*port == '\0' && !default_port)
                return bad(what, text, "the port is missing", err);
        if (*port && (*port != ':' || port[1] < '0' || port[1] > '9' || fg_count_parse("port", port + 1, 0, 65535, &value, NULL) < 0))
                return bad(what, text, "the port is not a number up to 65535", err);
        *ret = (uint16_t)value;
        return 0;
}

int fg_address_parse(const char *what, const char *text, uint16_t default_port, struct fg_address *ret, struct fg_error *err)
{
        struct fg_address address = {0};
        bool v6 = text[0] == '[';
        const char *from = text + v6, *end = v6 ? strchr(text, ']') : strrchr(text, ':');
        if (v6 && !end)
                return bad(what, text, "a bracket is not closed", err);
        if (!end)
                end = text + strlen(text);
        int r = take_host(what, text, from, (size_t)(end - from), v6, address.host, err);
        if (r == 0)
                r = take_port(what, text, end + v6, default_port, &address.port, err);
        if (r == 0)
                *ret = address;
        return r;
}

char *fg_address_format(const struct fg_address *address, char buf[FG_ADDRESS_MAX])
{
        const char *brackets = strchr(address->host, ':') ? "[]" : "";
        snprintf(buf, FG_ADDRESS_MAX, "%.1s%s%s:%u", brackets, address->host, *brackets ? brackets + 1 : "", address->port);
        return buf;
}
