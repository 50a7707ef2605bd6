/* SPDX-License-Identifier: Apache-2.0
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef FG_BASE_UTF8_H
#define FG_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define FG_UTF8_MAX 4u /* bytes of a character */

/* Bytes of the well-formed character at `text`, of which `size` bytes may be read; 0 when there is none. Sets *ret_code
 * (NULL is allowed) to its code point. Reads no further than the first byte that cannot belong to it, so that for a
 * NUL-terminated text `size` may be FG_UTF8_MAX. */
size_t fg_utf8_decode(const void *text, size_t size, uint32_t *ret_code);

#endif
