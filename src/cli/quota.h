/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_QUOTA_H
#define CLI_QUOTA_H

#include "cli/cli.h"

/* `fastgpu project quota …`: shows what is allowed and used, or sets it. */
int cli_quota(const struct cli_words *words);

#endif
