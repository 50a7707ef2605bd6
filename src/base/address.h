/* SPDX-License-Identifier: Apache-2.0
 * A host and a port as people write them. Nothing is looked up. */
#ifndef FG_BASE_ADDRESS_H
#define FG_BASE_ADDRESS_H

#include "base/error.h"

#include <stdint.h>

#define FG_HOST_MAX    254 /* the longest name of RFC 1035, and a NUL */
#define FG_ADDRESS_MAX (FG_HOST_MAX + 8)

struct fg_address {
        char host[FG_HOST_MAX]; /* a name in lower case or an address without brackets; "": all addresses of this machine */
        uint16_t port;
};

/* "HOST:PORT", "192.0.2.1:PORT", "[2001:db8::1]:PORT", ":PORT". `what` names the text in the error. A `default_port` other than 0 may
 * be left out. Port 0 is any free one, for those who listen. */
int fg_address_parse(const char *what, const char *text, uint16_t default_port, struct fg_address *ret, struct fg_error *err);
/* Back to text, with the port and with brackets where they are needed. Returns buf. */
char *fg_address_format(const struct fg_address *address, char buf[FG_ADDRESS_MAX]);

#endif
