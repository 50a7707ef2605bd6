/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGD_MONEY_CHECK_H
#define FGD_MONEY_CHECK_H

#include "daemon/money.h"

/* Reads the log again from time to time; of the main thread. */
int fgd_money_check_new(struct fgd_money *money);
void fgd_money_check_free(struct fgd_money_check *check); /* NULL is fine */

#endif
