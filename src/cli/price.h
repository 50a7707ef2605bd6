/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_PRICE_H
#define CLI_PRICE_H

#include "bill/price.h"

#include <jansson.h>

/* The daemon's list as bill/price.h knows it, to look up the row that is in force as the daemon does. 0, or the exit code,
 * said; an empty list is CLI_NOT_FOUND. */
int cli_prices_take(const json_t *reply, struct fg_bill_prices *ret);

#endif
