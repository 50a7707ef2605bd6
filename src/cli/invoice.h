/* SPDX-License-Identifier: Apache-2.0
 * invoice --verify: fetching and checking a bundle (bill/bundle.h). */
#ifndef CLI_INVOICE_H
#define CLI_INVOICE_H

#include "cli/witness.h"

/* Fetches the bundle of an invoice as it is under the witnessed checkpoint. 0, or the exit code, said. */
int cli_invoice_fetch(const struct cli_witness *witness, const char *number, FILE *f);
/* Checks one and says what was found or that all is well. `public`: the node's key, NULL: not known. 0 or CLI_FAILED. */
int cli_invoice_check(FILE *f, const char *name, const uint8_t *public, bool json);

#endif
