/* SPDX-License-Identifier: Apache-2.0
 * What the handlers of money share. */
#ifndef FGD_API_MONEY_H
#define FGD_API_MONEY_H

#include "daemon/api_internal.h"
#include "daemon/money.h"

/* The open log, or -1 with the problem. */
int fgd_call_moneylog(struct fgd_call *call, struct fgd_moneylog **ret);
/* Amounts are texts of decimal digits: no reader of JSON rounds them. */
void fgd_text_money(struct fgd_text *text, const char *name, int64_t nano, const char *currency);
void fgd_text_cost(struct fgd_text *text, const char *name, fg_int128 cost);
void fgd_text_hours(struct fgd_text *text, const char *name, fg_int128 ppmus);
void fgd_text_hash(struct fgd_text *text, const struct fg_tlog_hash *hash);
void fgd_text_proof(struct fgd_text *text, const struct fg_tlog_proof *proof);

#endif
