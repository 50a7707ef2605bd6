/* SPDX-License-Identifier: Apache-2.0
 * What the writer and the reader of records share. */
#ifndef FG_TLOG_RECORD_INTERNAL_H
#define FG_TLOG_RECORD_INTERNAL_H

#include "tlog/record.h"

/* The field with this key, or NULL. */
const struct fg_tlog_field *fg_tlog_record_find(const struct fg_tlog_record *record, const char *key);

/* Is it an integer of 128 bits in its one decimal form? */
bool fg_tlog_record_is_big(const char *decimal);

#endif
